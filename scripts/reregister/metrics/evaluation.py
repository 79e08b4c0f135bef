"""Metrics of all pairs of one method, whoever made its fields."""

from typing import Any

import numpy as np
import pandas as pd
import torch

from reregister.metrics.registration import evaluate_pair
from reregister.transforms.warp import warp


def evaluate_fields(
    images: np.ndarray,
    pairs: pd.DataFrame,
    fields: np.ndarray,
    truth: np.ndarray,
    spacing: tuple[float, ...],
    unit: str,
    padding: str,
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """One row of metrics per pair, and for each group the mean of moving, fixed and warped images.

    images: (N, C, *spatial). pairs: P rows with pair_id, moving, fixed, group, cluster, moving_row, fixed_row. fields:
    (P, ndim, *spatial) voxels. truth: true fields in the same form, or (0, ...) where none are known. unit: mm or px, of
    spacing and of every length. padding: what lies outside the moving image. Returns the table (no clock, no commit: the
    same fields give the same bytes) and arrays named `<group>.<moving|fixed|warped>`. Raises ValueError where there are
    not as many fields as pairs.
    """
    if len(fields) != len(pairs) or len(truth) not in (0, len(pairs)):
        raise ValueError(f"{len(pairs)} pairs, but {len(fields)} fields and {len(truth)} true fields")
    rows: list[dict[str, Any]] = []
    sums: dict[str, np.ndarray] = {}
    counts: dict[str, int] = {}
    for position, pair in enumerate(pairs.itertuples(index=False)):
        moving, fixed = np.array(images[pair.moving_row]), np.array(images[pair.fixed_row])
        field = np.array(fields[position], dtype=np.float32)
        warped = warp(torch.from_numpy(moving)[None], torch.from_numpy(field)[None], padding=padding)[0].numpy()
        known = truth[position] if len(truth) and np.isfinite(truth[position]).all() else None
        metrics = evaluate_pair(moving[0], fixed[0], warped[0], field, spacing, known)
        case = {name: getattr(pair, name) for name in ("pair_id", "moving", "fixed", "group", "cluster")}
        rows.append({**case, "unit": unit, "spacing": " ".join(f"{s:g}" for s in spacing), **metrics})
        total = sums.setdefault(pair.group, np.zeros((3, *moving.shape), np.float64))
        total += np.stack([moving, fixed, warped])
        counts[pair.group] = counts.get(pair.group, 0) + 1
    means = {
        f"{group}.{name}": (sums[group][index] / counts[group]).astype(np.float32)
        for group in sorted(sums)
        for index, name in enumerate(("moving", "fixed", "warped"))
    }
    return pd.DataFrame(rows), means
