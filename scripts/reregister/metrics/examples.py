"""The best, the median and the worst pair of one method, with all that is needed to look at them."""

from typing import Any

import numpy as np
import pandas as pd
import torch

from reregister.metrics.intensity import ncc
from reregister.transforms.warp import warp

RANKS = ("best", "median", "worst")


def rank_pairs(metrics: pd.DataFrame) -> dict[str, int]:
    """Rows of the pairs with the highest, the median and the lowest NCC after registration.

    metrics: pair_id and ncc, rows numbered from 0. Ties go by pair_id; of an even number of pairs the median is the better
    of the middle two; pairs without a defined NCC are left out, and without any the answer is empty. One pair may hold
    several ranks.
    """
    order = metrics[np.isfinite(metrics["ncc"])].sort_values(["ncc", "pair_id"], ascending=[False, True]).index
    if order.empty:
        return {}
    places = (0, (len(order) - 1) // 2, len(order) - 1)
    return {rank: int(order[place]) for rank, place in zip(RANKS, places, strict=True)}


def example_pairs(
    images: np.ndarray, pairs: pd.DataFrame, fields: np.ndarray, metrics: pd.DataFrame, padding: str
) -> dict[str, np.ndarray]:
    """Images, fields and numbers of the pairs of `rank_pairs`, one entry along the first axis for each rank.

    images, pairs, fields, padding: as `evaluate_fields`; metrics: the table it made of them. Returns rank, pair_id,
    moving_id, fixed_id, group and unit (of lengths; text), ncc_before, ncc_after, fold_share and field_error (NaN without
    a true field), moving, fixed and warped (R, C, *spatial) and ddf (R, ndim, *spatial), voxels; nothing without ranks.
    """
    cases: list[dict[str, Any]] = []
    ranked = rank_pairs(metrics)
    for rank, row in ranked.items():
        pair, found = pairs.iloc[row], metrics.iloc[row]
        moving, fixed = np.array(images[pair["moving_row"]]), np.array(images[pair["fixed_row"]])
        ddf = np.array(fields[row], dtype=np.float32)
        warped = warp(torch.from_numpy(moving)[None], torch.from_numpy(ddf)[None], padding=padding)[0].numpy()
        ids = {"rank": rank, "pair_id": pair["pair_id"], "moving_id": pair["moving"], "fixed_id": pair["fixed"]}
        values = {"ncc_before": ncc(moving[0], fixed[0]), "ncc_after": found["ncc"], "fold_share": found["fold_share"]}
        values["field_error"] = found["field_error_mean"]
        arrays = {"moving": moving, "fixed": fixed, "warped": warped, "ddf": ddf}
        cases.append({**ids, "group": pair["group"], "unit": found["unit"], **values, **arrays})
    return {name: np.stack([np.asarray(case[name]) for case in cases]) for name in (cases[0] if cases else {})}
