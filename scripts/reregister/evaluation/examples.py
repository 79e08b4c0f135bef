"""Pairs of one method to look at, with all that is needed for it: the best, the median, the worst, one for all methods."""

from typing import Any

import numpy as np
import pandas as pd

from reregister.evaluation.fields import PairData
from reregister.metrics.intensity import ncc
from reregister.metrics.labels import warp_labels
from reregister.metrics.overlap import dice

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
    along the first axis for each rank: rank, pair_id, moving_id, fixed_id, group and unit (of lengths; text), ncc_before,
    ncc_after, dice_before and dice_after (of the first label, NaN without), fold_share and field_error (NaN without a true
    field), moving, fixed and warped (R, C, *spatial), ddf (R, ndim, *spatial), voxels, and mask_moving, mask_fixed and
    mask_warped (R, *spatial), uint8, of the first label; nothing without ranks.
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
    *spatial), voxels, mask_moving (T, *spatial) uint8 (zeros where unknown), ncc_before and ncc_after (T,), group, unit.
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
    """Row of the median pair before registration, by Dice where pairs have labels, else by NCC."""
    masks = [_masks(data, position) for position in range(len(data.pairs))]
    if any(masks):
        score, before = "dice", [dice(*pair) if pair else np.nan for pair in masks]
    else:
        images = (data.images(position) for position in range(len(data.pairs)))
        score, before = "ncc", [ncc(moving[0], fixed[0]) for moving, fixed in images]
    return rank_pairs(pd.DataFrame({"pair_id": data.pairs["pair_id"], score: before})).get("median", 0)


def _first_label(data: PairData) -> str | None:
    names = data.labels.table["label"]
    return str(names.iloc[0]) if len(names) else None


def _mask(data: PairData, identity: str) -> np.ndarray:
    """Mask of the first label of an image, zeros where it has none."""
    label = _first_label(data)
    if label and data.labels.has(identity, label):
        return np.array(data.labels.mask(identity, label))
    return np.zeros(data.store.images.shape[2:], np.uint8)


def _masks(data: PairData, position: int) -> tuple[np.ndarray, np.ndarray] | None:
    pair, label = data.pairs.iloc[position], _first_label(data)
    if not label or not all(data.labels.has(pair[side], label) for side in ("moving", "fixed")):
        return None
    return _mask(data, pair["moving"]), _mask(data, pair["fixed"])


def _case(data: PairData, fields: np.ndarray, metrics: pd.DataFrame, row: int) -> dict[str, Any]:
    pair, found = data.pairs.iloc[row], metrics.iloc[row]
    moving, fixed = data.images(row)
    ddf = np.array(fields[row], dtype=np.float32)
    masks = _masks(data, row)
    before = after = np.nan
    shown = [_mask(data, pair["moving"]), _mask(data, pair["fixed"]), np.zeros(moving.shape[1:], np.uint8)]
    if masks:
        shown[2] = warp_labels(masks[0], ddf, [1], data.interpolation, data.padding)[0].astype(np.uint8)
        before, after = dice(*masks), dice(shown[2], masks[1])
    ids = {"pair_id": pair["pair_id"], "moving_id": pair["moving"], "fixed_id": pair["fixed"], "group": pair["group"]}
    values = {"ncc_before": ncc(moving[0], fixed[0]), "ncc_after": found["ncc"], "dice_before": before}
    values |= {"dice_after": after, "fold_share": found["fold_share"], "field_error": found["field_error_mean"]}
    arrays = {"moving": moving, "fixed": fixed, "warped": data.warped(moving, ddf), "ddf": ddf}
    arrays |= dict(zip(("mask_moving", "mask_fixed", "mask_warped"), shown, strict=True))
    return {**ids, "unit": found["unit"], **values, **arrays}
