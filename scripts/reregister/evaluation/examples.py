"""Pairs of one method to look at, with all that is needed for it: the best, the median, the worst, one for all methods."""

from typing import Any

import numpy as np
import pandas as pd

from reregister.evaluation.fields import PairData
from reregister.metrics.intensity import ncc
from reregister.metrics.labels import warp_labels

RANKS = ("best", "median", "worst")
COMMON = "common"


def rank_pairs(metrics: pd.DataFrame) -> dict[str, int]:
    """Rows of the pairs with the highest, the median and the lowest score after registration: Dice, without labels NCC.

    metrics: pair_id, ncc and, where there are labels, dice; rows numbered from 0. Ties go by pair_id; of an even number
    of pairs the median is the better of the middle two; pairs without a defined score are left out, and without any the
    answer is empty. One pair may hold several ranks.
    """
    score = "dice" if "dice" in metrics else "ncc"
    order = metrics[np.isfinite(metrics[score])].sort_values([score, "pair_id"], ascending=[False, True]).index
    if order.empty:
        return {}
    places = (0, (len(order) - 1) // 2, len(order) - 1)
    return {rank: int(order[place]) for rank, place in zip(RANKS, places, strict=True)}


def example_pairs(
    data: PairData, fields: np.ndarray, metrics: pd.DataFrame, by_group: bool = False
) -> dict[str, np.ndarray]:
    """Images, fields and numbers of the pairs of `rank_pairs`, and of one that is the same for every method.

    fields: (P, ndim, *spatial), voxels. metrics: the table that `evaluate_fields` made of them. by_group: rank the pairs of
    each group by themselves. The pair for all methods, rank `common`, is the median one before registration. One entry
    along the first axis for each rank: rank, pair_id, moving_id, fixed_id, group and unit (of lengths; text), spacing (R,
    ndim) and axes (where they lead, "" where unknown) of the fixed image, ncc_before, ncc_after, dice_before and
    dice_after (mean over the scored labels, NaN without), fold_share and field_error (NaN without a true field), moving,
    fixed and warped (R, C, *spatial), ddf (R, ndim, *spatial), voxels, mask_moving, mask_fixed and mask_warped (R,
    *spatial), uint8: the scored labels numbered from 1 in their order, 0 elsewhere, and label_names (R, labels), their
    names; nothing without ranks.
    """
    parts = [rows for _, rows in metrics.groupby("group")] if by_group else [metrics]
    ranked = [(rank, row) for rows in parts for rank, row in rank_pairs(rows).items()]
    if ranked:
        ranked.append((COMMON, _median_before(data)))
    cases = [{"rank": rank, **_case(data, fields, metrics, row)} for rank, row in ranked]
    return {name: np.stack([np.asarray(case[name]) for case in cases]) for name in (cases[0] if cases else {})}


def sequence(data: PairData, fields: np.ndarray) -> dict[str, Any]:
    """All pairs in their order as the frames of one sequence with one fixed image.

    Returns ids (T,) of the moving frames, moving and warped (T, C, *spatial), fixed (C, *spatial), ddf (T, ndim,
    *spatial), voxels, mask_moving (T, *spatial) uint8 (as in `example_pairs`), ncc_before and ncc_after (T,), group, unit.
    Raises ValueError where the pairs have several fixed images.
    """
    if data.pairs["fixed"].nunique() != 1:
        raise ValueError("the pairs of a sequence have one fixed image")
    frames = []
    for position, pair in enumerate(data.pairs.itertuples(index=False)):
        moving, fixed = data.images(position)
        ddf = np.array(fields[position], dtype=np.float32)
        warped = data.warped(moving, ddf)
        mask = _mask(data, pair.moving)
        numbers = {"ncc_before": ncc(moving[0], fixed[0]), "ncc_after": ncc(warped[0], fixed[0])}
        frames.append(
            {"ids": pair.moving, "moving": moving, "warped": warped, "ddf": ddf, "mask_moving": mask, **numbers}
        )
    whole = {name: np.stack([np.asarray(frame[name]) for frame in frames]) for name in frames[0]}
    return {**whole, "fixed": fixed, "group": data.pairs["group"].iloc[0], "unit": data.unit}


def _median_before(data: PairData) -> int:
    """Row of the median pair before registration, by Dice where pairs have scored labels, else by NCC."""
    score, before = "dice", [_dice_before(data, position) for position in range(len(data.pairs))]
    if not np.isfinite(before).any():
        images = (data.images(position) for position in range(len(data.pairs)))
        score, before = "ncc", [ncc(moving[0], fixed[0]) for moving, fixed in images]
    return rank_pairs(pd.DataFrame({"pair_id": data.pairs["pair_id"], score: before})).get("median", 0)


def _mask(data: PairData, identity: str) -> np.ndarray:
    """The scored labels of an image numbered from 1, zeros where it has none: uint8 (*spatial)."""
    names = [name for name in data.scored_names if data.labels.has(identity, name)]
    if not names:
        return np.zeros(data.store.images.shape[2:], np.uint8)
    numbers = np.zeros(256, np.uint8)
    numbers[data.labels.values(identity, names)] = [data.scored_names.index(name) + 1 for name in names]
    return numbers[np.asarray(data.labels.map(identity))]


def _dice_before(data: PairData, position: int) -> float:
    """Mean Dice of a pair's scored labels before registration; NaN where there is none that both images have."""
    sides = data.label_sides(position, data.scored_names)
    numbers = [data.scored_names.index(name) + 1 for name, there in sides.items() if all(there)]
    if not numbers:
        return float("nan")
    pair = data.pairs.iloc[position]
    moving, fixed = (_mask(data, pair[side]) for side in ("moving", "fixed"))
    # Of all labels in one pass: a volume has many.
    sizes, others = (np.bincount(mask.ravel(), minlength=256)[numbers] for mask in (moving, fixed))
    shared = np.bincount(moving[moving == fixed], minlength=256)[numbers]
    return float(np.mean(2 * shared / (sizes + others)))


def _mask_warped(data: PairData, mask: np.ndarray, ddf: np.ndarray) -> np.ndarray:
    """A moving mask of `_mask`, not empty, pulled back label by label; where two meet at a tie, the later one."""
    numbers = np.unique(mask[mask > 0]).tolist()
    warped = np.zeros_like(mask)
    for number, own in zip(numbers, warp_labels(mask, ddf, numbers, data.interpolation, data.padding), strict=True):
        warped[own] = number
    return warped


def _case(data: PairData, fields: np.ndarray, metrics: pd.DataFrame, row: int) -> dict[str, Any]:
    pair, found = data.pairs.iloc[row], metrics.iloc[row]
    moving, fixed = data.images(row)
    ddf = np.array(fields[row], dtype=np.float32)
    masks = [_mask(data, pair[side]) for side in ("moving", "fixed")]
    before = _dice_before(data, row)
    both = np.isfinite(before)
    masks.append(_mask_warped(data, masks[0], ddf) if both else np.zeros_like(masks[0]))
    ids = {"pair_id": pair["pair_id"], "moving_id": pair["moving"], "fixed_id": pair["fixed"], "group": pair["group"]}
    values = {"ncc_before": ncc(moving[0], fixed[0]), "ncc_after": found["ncc"], "dice_before": before}
    values |= {"dice_after": found["dice"] if both and "dice" in found else np.nan}
    values |= {"fold_share": found["fold_share"], "field_error": found["field_error_mean"]}
    arrays = {"moving": moving, "fixed": fixed, "warped": data.warped(moving, ddf), "ddf": ddf}
    arrays |= dict(zip(("mask_moving", "mask_fixed", "mask_warped"), masks, strict=True))
    about = {"unit": found["unit"], "spacing": data.spacing(row), "axes": data.axes(row)}
    return {**ids, **about, "label_names": np.array(data.scored_names, dtype=str), **values, **arrays}
