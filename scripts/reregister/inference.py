"""Trained networks as a method like any other: (moving, fixed, spacing) in, a displacement field out."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from reregister.baselines.batch import RegisterOne, register_pairs
from reregister.errors import ReregisterError


def network_method(model: nn.Module, device: torch.device) -> RegisterOne:
    """A network in evaluation mode as a function of one pair of (*spatial) images; returns ddf and an empty note."""

    @torch.inference_mode()
    def register(
        moving: np.ndarray, fixed: np.ndarray, spacing: Sequence[float], *, settings: Mapping[str, Any]
    ) -> tuple[np.ndarray, str]:
        images = (torch.from_numpy(image)[None, None].to(device) for image in (moving, fixed))
        ddf: np.ndarray = model(*images)[0].float().cpu().numpy()
        return ddf, ""

    return register


def register_by_part(
    models: Mapping[str, nn.Module],
    images: np.ndarray,
    pairs: pd.DataFrame,
    spacing: np.ndarray,
    device: torch.device,
    report: Callable[[int], None],
    out: np.ndarray,
    start: np.ndarray | None = None,
) -> pd.DataFrame:
    """Register each pair with the network of its group, or all of them with the one of part `all`.

    models: part to network. images: (N, *spatial). spacing: (N, ndim). pairs: columns group, moving_row, fixed_row. out:
    array (P, ndim, *spatial), such as a mapped one, that takes each field as it comes, voxels, in the order of `pairs`.
    start: fields (P, ndim, *spatial) that the pairs start from, see `register_pairs`.
    Returns one row of timing per pair, in that order. Raises ReregisterError for a group without a network.
    """
    parts = pd.Series("all", index=pairs.index) if set(models) == {"all"} else pairs["group"]
    missing = sorted(set(parts) - set(models))
    if missing:
        raise ReregisterError(f"no network was trained for the group {missing[0]}; add it to training.parts")
    timings: list[pd.DataFrame] = []
    for part, model in models.items():
        rows = np.flatnonzero((parts == part).to_numpy())
        if not len(rows):
            continue
        report_part = partial(_report_after, report, sum(map(len, timings)))
        _, timing = register_pairs(
            network_method(model, device),
            images,
            pairs["moving_row"].to_numpy()[rows],
            pairs["fixed_row"].to_numpy()[rows],
            spacing,
            {},
            out,
            report_part,
            rows,
            start,
        )
        timings.append(timing.set_axis(rows))
    return pd.concat(timings).sort_index()


def _report_after(report: Callable[[int], None], before: int, done: int) -> None:
    report(before + done)
