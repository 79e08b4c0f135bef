"""The speed table: every claim of speed, measured again in one run."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import pandas as pd

from reregister.benchmark import (
    bspline,
    cardiac,
    contestants,
    integers,
    plan,
    prior,
    registration,
    terms,
    training,
    volumes,
    voxelmorph,
)
from reregister.benchmark.rows import Effort, Row


def measure(
    threads: int,
    model: Mapping[str, Any],
    training_settings: Mapping[str, Any],
    elastix_settings: Mapping[str, Any],
    plan_config: Mapping[str, Any] | None,
    effort: Effort | None = None,
) -> pd.DataFrame:
    """One row for each thing measured, columns as the fields of `Row`; an empty cell where a row has no such value.

    threads: of torch and ITK, which the caller has set; the rows whose targets are for two threads
    take those, in processes of their own, and say so. model: DIRNet's arguments for digits. training_settings: batch,
    optimiser, loss and padding of the training. elastix_settings: of elastix's B-spline. plan_config: of
    `plan.plan_config`. Times vary with the machine and its load, ratios by about a tenth. The current folder is the one
    that Snakemake runs in.
    """
    effort = effort or Effort()
    rows = [
        training.step_28(model, training_settings, threads, effort),
        bspline.compare(7, 28, effort.fields_28),
        bspline.compare(16, 256, effort.fields_256),
        registration.dirnet_against_elastix(model, elastix_settings, threads, effort),
        training.step_256(model, training_settings, effort),
        *cardiac.cardiac_rows(model, elastix_settings, effort),
        *voxelmorph.voxelmorph_rows(effort),
        *prior.prior_rows(effort),
        *contestants.contest_rows(effort),
        *terms.term_rows(effort),
        volumes.maxpool_memory(effort),
        *volumes.volume_rows(effort),
        *integers.int8_rows(effort),
        training.allocator(model, training_settings, threads, effort),
        *plan.plan_rows(plan_config, effort.plans, effort.plan_seeds),
    ]
    columns = [field.name for field in fields(Row)]
    frame = pd.DataFrame([asdict(row) for row in rows], columns=columns)
    return frame.astype({"value": "float64", "ratio": "float64"}).round({"value": 4, "ratio": 2})
