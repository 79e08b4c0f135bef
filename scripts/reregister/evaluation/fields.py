"""Metrics of all pairs of one method, whoever made its fields."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from reregister.data.label_maps import LabelMaps
from reregister.data.orientation import axes_of
from reregister.data.store import ImageStore
from reregister.errors import ReregisterError
from reregister.metrics.intensity import ssim
from reregister.metrics.labels import LABEL_METRICS, evaluate_labels
from reregister.metrics.registration import evaluate_pair
from reregister.transforms.warp import warp

# Of the scored labels of a pair, the mean of what is defined, and of the distances of centroids the root mean square.
MEANS = ("dice", "hd95", "hd95_pooled", "asd")
ROOTS = {"tre": "centroid_distance", "tre_px": "centroid_distance_px"}
_CASE = ("pair_id", "moving", "fixed", "group", "cluster")


@dataclass(frozen=True)
class PairData:
    """What fields are measured on.

    pairs: P rows with pair_id, moving, fixed, group, cluster, moving_row, fixed_row. truth: true fields (P, ndim,
    *spatial), voxels, or (0, ...) where none are known. unit: mm or px, of the store's spacing and of every length.
    padding: what lies outside the moving image. interpolation: of warped labels, `linear` or `nearest`. scored: names of
    the labels whose means are a pair's, in their order; all of them where left out.
    """

    store: ImageStore
    labels: LabelMaps
    pairs: pd.DataFrame
    truth: np.ndarray
    unit: str
    padding: str
    interpolation: str = "linear"
    scored: Sequence[str] | None = None

    @property
    def scored_names(self) -> list[str]:
        """Names of the labels whose means are a pair's."""
        return list(self.labels.names if self.scored is None else self.scored)

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

    def axes(self, position: int) -> str:
        """Where the axes of the fixed image of a pair lead, such as `RAS`; "" where the store does not say."""
        subjects = self.store.subjects
        if "affine" not in subjects or self.store.images.ndim != 5:
            return ""
        return axes_of(subjects["affine"].iloc[self.pairs["fixed_row"].iloc[position]])

    def label_sides(self, position: int, names: Sequence[str]) -> dict[str, tuple[bool, bool]]:
        """Which image of a pair, moving and fixed, has a voxel of a label; labels that neither image's table names are out.

        names: the labels asked for, in the order of the answer.
        """
        pair, labels = self.pairs.iloc[position], self.labels
        ids = [pair["moving"], pair["fixed"]]
        known = [name for name in names if any(labels.has(identity, name) for identity in ids)]
        there = [[labels.has(i, name) and not labels.is_empty(i, name) for i in ids] for name in known]
        return {name: (moving, fixed) for name, (moving, fixed) in zip(known, there, strict=True)}


def choose_labels(labels: LabelMaps, asked: bool | Sequence[str]) -> tuple[LabelMaps, list[str]]:
    """The labels to measure and the names of those to score, as an experiment asks: all, none, or a list of names.

    With a list all labels are measured. Raises ReregisterError for a name that the data do not have.
    """
    if isinstance(asked, bool):
        return (labels, labels.names) if asked else (LabelMaps(labels.maps[:0], labels.table[:0]), [])
    for name in asked:
        if name not in labels.names:
            known = ", ".join(labels.names) or "none"
            raise ReregisterError(f"score_labels names {name}, which is no label of the data; they have {known}")
    return labels, list(asked)


class Evaluation(NamedTuple):
    """metrics: one row a pair. by_label: one row a pair and label. means: arrays `<group>.<moving|fixed|warped>`."""

    metrics: pd.DataFrame
    by_label: pd.DataFrame
    means: dict[str, np.ndarray]


def evaluate_fields(data: PairData, fields: np.ndarray, advance: Callable[[], object] = lambda: None) -> Evaluation:
    """Metrics of every pair (no clock, no commit: the same fields give the same bytes), and mean images of each group.

    fields: (P, ndim, *spatial), voxels. advance: called after each pair. Where a pair has scored labels its row holds the
    mean of each of `MEANS` and the root mean square of each of `ROOTS` over those where it is defined, and empty_labels,
    the number of them of which a mask is empty. by_label has all labels, `scored` saying `yes` for those. A label that an
    image of a pair does not have is undefined there, and flagged: no method can do anything about it.
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
    columns = [*_CASE, "unit", "spacing", "label", "scored", "interpolation", *LABEL_METRICS]
    return Evaluation(pd.DataFrame(rows), pd.DataFrame(label_rows, columns=columns), means)


def _label_rows(data: PairData, position: int, field: np.ndarray, spacing: tuple[float, ...]) -> list[dict[str, Any]]:
    pair, scored = data.pairs.iloc[position], set(data.scored_names)
    sides = data.label_sides(position, data.labels.names)
    both = [name for name, there in sides.items() if all(there)]
    found: dict[str, dict[str, Any]] = {}
    if both:
        moving, fixed = (np.asarray(data.labels.map(pair[side])) for side in ("moving", "fixed"))
        values, others = (data.labels.values(pair[side], both) for side in ("moving", "fixed"))
        measured = evaluate_labels(moving, fixed, field, spacing, values, data.interpolation, data.padding, others)
        found = dict(zip(both, measured, strict=True))
    return [
        {**found.get(name, _absent(data, there)), "label": name, "scored": "yes" if name in scored else ""}
        for name, there in sides.items()
    ]


def _absent(data: PairData, there: tuple[bool, bool]) -> dict[str, Any]:
    """The row of a label that an image of the pair does not have."""
    flags = {"empty_warped": int(not there[0]), "empty_fixed": int(not there[1])}
    return {**dict.fromkeys(LABEL_METRICS, np.nan), **flags, "interpolation": data.interpolation}


def _over_labels(rows: list[dict[str, Any]]) -> dict[str, float]:
    """What the scored labels of one pair say together, and how many of them are empty on either side."""
    rows = [row for row in rows if row["scored"]]
    if not rows:
        return {}
    means = {name: _mean([row[name] for row in rows]) for name in MEANS}
    roots = {name: float(np.sqrt(_mean([row[of] ** 2 for row in rows]))) for name, of in ROOTS.items()}
    return {**means, **roots, "empty_labels": sum(row["empty_warped"] or row["empty_fixed"] for row in rows)}


def _mean(numbers: list[float]) -> float:
    """Mean of the numbers that are defined; NaN without any."""
    values = np.array(numbers, dtype=np.float64)
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else float("nan")
