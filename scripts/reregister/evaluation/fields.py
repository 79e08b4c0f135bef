"""Metrics of all pairs of one method, whoever made its fields."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from reregister.data.labels import LabelStore
from reregister.data.store import ImageStore
from reregister.metrics.intensity import ssim
from reregister.metrics.labels import LABEL_METRICS, evaluate_labels
from reregister.metrics.registration import evaluate_pair
from reregister.transforms.warp import warp

# Of the labels of a pair, the mean of what is defined.
MEANS = ("dice", "hd95", "hd95_pooled", "asd")
_CASE = ("pair_id", "moving", "fixed", "group", "cluster")


@dataclass(frozen=True)
class PairData:
    """What fields are measured on.

    pairs: P rows with pair_id, moving, fixed, group, cluster, moving_row, fixed_row. truth: true fields (P, ndim,
    *spatial), voxels, or (0, ...) where none are known. unit: mm or px, of the store's spacing and of every length.
    padding: what lies outside the moving image. interpolation: of warped labels, `linear` or `nearest`.
    """

    store: ImageStore
    labels: LabelStore
    pairs: pd.DataFrame
    truth: np.ndarray
    unit: str
    padding: str
    interpolation: str = "linear"

    def images(self, position: int) -> tuple[np.ndarray, np.ndarray]:
        """Moving and fixed image (C, *spatial) of a pair."""
        pair = self.pairs.iloc[position]
        moving, fixed = (np.array(self.store.images[pair[row]]) for row in ("moving_row", "fixed_row"))
        return moving, fixed

    def warped(self, image: np.ndarray, field: np.ndarray) -> np.ndarray:
        """An image (C, *spatial) pulled back through a field (ndim, *spatial), voxels."""
        moving, ddf = (torch.from_numpy(np.array(array, np.float32))[None] for array in (image, field))
        warped: np.ndarray = warp(moving, ddf, padding=self.padding)[0].numpy()
        return warped

    def raw_ssim(self, position: int, warped: np.ndarray) -> dict[str, float]:
        """`ssim_raw`, SSIM of the grey values that were read, / 255, where the store has each image's (lowest, highest).

        warped: (C, *spatial), of the first channel; it is scaled back by the moving image's values, the fixed image by its
        own. The level of SSIM depends on that scale (papers.md 7.6). Empty where the columns are missing.
        """
        subjects, pair = self.store.subjects, self.pairs.iloc[position]
        if not {"lowest", "highest"} <= set(subjects):
            return {}
        grey = []
        for image, row in ((warped, pair["moving_row"]), (self.store.images[pair["fixed_row"]], pair["fixed_row"])):
            low, high = (float(subjects[name].iloc[row]) for name in ("lowest", "highest"))
            # Where an image is of one grey value, it was stored as 0.
            grey.append((np.asarray(image[0], np.float64) * max(high - low, 1) + low) / 255)
        return {"ssim_raw": ssim(*grey)}

    def spacing(self, position: int) -> tuple[float, ...]:
        """Spacing of the fixed image of a pair, on whose grid the field lives."""
        return tuple(self.store.spacings[self.pairs["fixed_row"].iloc[position]].tolist())

    def common_labels(self, position: int) -> list[str]:
        """Names of the labels that both images of a pair have."""
        pair = self.pairs.iloc[position]
        names = dict.fromkeys(self.labels.table["label"])
        return [name for name in names if all(self.labels.has(pair[side], name) for side in ("moving", "fixed"))]


class Evaluation(NamedTuple):
    """metrics: one row a pair. by_label: one row a pair and label. means: arrays `<group>.<moving|fixed|warped>`."""

    metrics: pd.DataFrame
    by_label: pd.DataFrame
    means: dict[str, np.ndarray]


def evaluate_fields(data: PairData, fields: np.ndarray, advance: Callable[[], object] = lambda: None) -> Evaluation:
    """Metrics of every pair (no clock, no commit: the same fields give the same bytes), and mean images of each group.

    fields: (P, ndim, *spatial), voxels. advance: called after each pair. Where a pair has labels its row holds the mean
    of each of `MEANS` over those where it is defined, and empty_labels, the number of labels of which a mask is empty.
    Raises ValueError where there are not as many fields as pairs.
    """
    pairs, truth = data.pairs, data.truth
    if len(fields) != len(pairs) or len(truth) not in (0, len(pairs)):
        raise ValueError(f"{len(pairs)} pairs, but {len(fields)} fields and {len(truth)} true fields")
    rows: list[dict[str, Any]] = []
    label_rows: list[dict[str, Any]] = []
    sums: dict[str, np.ndarray] = {}
    counts: dict[str, int] = {}
    for position, pair in enumerate(pairs.itertuples(index=False)):
        moving, fixed = data.images(position)
        field = np.array(fields[position], dtype=np.float32)
        warped = data.warped(moving, field)
        known = truth[position] if len(truth) and np.isfinite(truth[position]).all() else None
        spacing = data.spacing(position)
        case = {name: getattr(pair, name) for name in _CASE}
        case |= {"unit": data.unit, "spacing": " ".join(f"{s:g}" for s in spacing)}
        own = _label_rows(data, position, field, spacing)
        label_rows += [{**case, **row} for row in own]
        metrics = evaluate_pair(moving[0], fixed[0], warped[0], field, spacing, known)
        rows.append({**case, **metrics, **data.raw_ssim(position, warped), **_over_labels(own)})
        total = sums.setdefault(pair.group, np.zeros((3, *moving.shape), np.float64))
        total += np.stack([moving, fixed, warped])
        counts[pair.group] = counts.get(pair.group, 0) + 1
        advance()
    means = {
        f"{group}.{name}": (sums[group][index] / counts[group]).astype(np.float32)
        for group in sorted(sums)
        for index, name in enumerate(("moving", "fixed", "warped"))
    }
    columns = [*_CASE, "unit", "spacing", "label", "interpolation", *LABEL_METRICS]
    return Evaluation(pd.DataFrame(rows), pd.DataFrame(label_rows, columns=columns), means)


def _label_rows(data: PairData, position: int, field: np.ndarray, spacing: tuple[float, ...]) -> list[dict[str, Any]]:
    pair = data.pairs.iloc[position]
    rows = []
    for name in data.common_labels(position):
        moving, fixed = (np.array(data.labels.mask(pair[side], name)) for side in ("moving", "fixed"))
        (row,) = evaluate_labels(moving, fixed, field, spacing, [1], data.interpolation, data.padding)
        rows.append({**row, "label": name})
    return rows


def _over_labels(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Means over the labels of one pair, and how many of them are empty on either side."""
    if not rows:
        return {}
    values = {name: np.array([row[name] for row in rows], dtype=np.float64) for name in MEANS}
    means = {name: float(v[np.isfinite(v)].mean()) if np.isfinite(v).any() else np.nan for name, v in values.items()}
    return {**means, "empty_labels": sum(row["empty_warped"] or row["empty_fixed"] for row in rows)}
