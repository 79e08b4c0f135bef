"""Results in words: every number in a notebook's text comes from here."""

from collections.abc import Iterable

from reregister.comparison import ALL
from reregister.notebook.results import Experiment
from reregister.report.tables import LABELS, format_number

# Names beside those of the pages' tables, whose columns tell the unit too.
NAMES = {
    "hd95": "HD95",
    "asd": "ASD",
    "tre": "TRE",
    "validation_loss": "validation loss",
    "train_loss": "training loss",
}


def listed(words: Iterable[str]) -> str:
    """`a, b and c`."""
    *first, last = list(words)
    return f"{', '.join(first)} and {last}" if first else last


def number(value: float) -> str:
    """A number in few digits."""
    return format_number(repr(float(value)))


def mean_of(experiment: Experiment, method: str, metric: str, group: str = ALL) -> str:
    """A mean with its interval: `0.83 (0.80 to 0.86)`."""
    found = experiment.value(method, metric, group)
    return f"{number(found.mean)}{_interval(found.low, found.high)}"


def gain_of(experiment: Experiment, method: str, metric: str, group: str = ALL) -> str:
    """The paired difference to the images before registration, in words, and whether its interval holds 0."""
    found = experiment.value(method, metric, group)
    way = "more" if found.gain >= 0 else "less"
    bounds = sorted((abs(found.gain_low), abs(found.gain_high)))
    if found.gain_low != found.gain_low:
        return f"{number(abs(found.gain))} {way} than before registration, with too few cases for an interval"
    if found.gain_low <= 0 <= found.gain_high:
        ends = _interval(found.gain_low, found.gain_high)
        return f"no clear difference to before registration: {number(found.gain)}{ends}"
    return f"{number(abs(found.gain))}{_interval(*bounds)} {way} than before registration"


def _interval(low: float, high: float) -> str:
    return "" if low != low else f" ({number(low)} to {number(high)})"


def name_of(metric: str) -> str:
    """A metric's name for people."""
    return NAMES.get(metric) or LABELS.get(metric, metric.replace("_", " "))
