"""By what methods are judged: which of their metrics are better where they are lower, and which one comes first."""

import numpy as np
import pandas as pd

from reregister.drawing import Exhibit
from reregister.errors import ReregisterError

#: Metrics of accuracy that methods are compared by: whether a higher value is better.
HIGHER = {
    "dice": True,
    "hd95": False,
    "asd": False,
    "ncc": True,
    "mse": False,
    "ssim": True,
    "field_error_mean": False,
    "field_error_p95": False,
}
#: Their unit is that of the data.
LENGTHS = ("hd95", "asd", "field_error_mean", "field_error_p95")


def has(metrics: pd.DataFrame, name: str) -> bool:
    """Whether a table of metrics has a defined value of one of them."""
    return name in metrics and bool(np.isfinite(metrics[name].to_numpy(np.float64)).any())


def score_of(exhibit: Exhibit, metrics: pd.DataFrame, asked: str | None) -> str:
    """The metric that an exhibit goes by: the one that it asks for, else Dice where there are labels, else NCC.

    Raises ReregisterError for one that is not in `HIGHER`, or that the metrics do not have.
    """
    score = asked or ("dice" if has(metrics, "dice") else "ncc")
    if score not in HIGHER or not has(metrics, score):
        allowed = [name for name in HIGHER if has(metrics, name)]
        raise ReregisterError(f"{exhibit.exhibit} goes by {score}; its methods have {', '.join(allowed) or 'none'}")
    return score
