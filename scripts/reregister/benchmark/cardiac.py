"""One registration of a cardiac pair by DIRNet, in torch and exported, against one by elastix, on the same pairs."""

import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reregister.baselines import elastix
from reregister.baselines.batch import RegisterOne, register_pairs
from reregister.benchmark.process import in_own_process
from reregister.benchmark.rows import Effort, Row, yes_no
from reregister.data.phantoms.cardiac_cases import cases
from reregister.data.phantoms.cardiac_draws import draw_patient, draw_slices
from reregister.data.phantoms.short_axis import paint, sample
from reregister.data.phantoms.velocity import pixel_grid
from reregister.export import export_onnx
from reregister.inference import network_method
from reregister.models.dirnet import DIRNet
from reregister.runtime import keep_freed_memory
from reregister.runtimes import RUNTIMES, onnx_method

# performance.md, section 5: both with two threads. The field of an exported network may differ by so many voxels.
THREADS, TARGET, EXPORTED_TARGET, LARGEST_DIFFERENCE = 2, 15.0, 40.0, 1e-4
SIZE, POOLINGS, SPACING_PX = 256, 4, 16
_NOISE = 7.0


def cardiac_pairs(slices: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """End-diastole and end-systole of the middle slice of so many patients of the SCD stand-in, and both pairs of each.

    Returns images float32 (2 slices, 256, 256) in [0, 1], rows of the moving and of the fixed images, and the spacing
    (2 slices, 2), mm.
    """
    images, spacings = [], []
    grid = pixel_grid((SIZE, SIZE))
    for case in cases()[:slices]:
        rng = np.random.default_rng([seed, case.row])
        patient = draw_patient(case, SIZE, 20, rng)
        cut = draw_slices(case, patient, case.slices, SIZE, rng)[0][case.slices // 2]
        raster = paint(patient.chest, cut.heart, SIZE, patient.pixel, rng)
        for contraction in (0.0, 1.0):
            frame = np.abs(sample(raster, cut.beat(contraction).apply(grid)) + rng.normal(0, _NOISE, (SIZE, SIZE)))
            images.append((frame / frame.max()).astype(np.float32))
            spacings.append((patient.pixel, patient.pixel))
    rows = np.arange(len(images))
    return np.stack(images), rows, rows ^ 1, np.array(spacings)


def cardiac_times(model: Mapping[str, Any], settings: Mapping[str, Any], slices: int, rounds: int) -> dict[str, Any]:
    """For a process of its own with THREADS threads. model, settings: of `cardiac_rows`.

    Returns milliseconds: by method, the median over pairs and rounds, the first call of each round left out; pairs;
    failed: registrations by elastix that failed; difference: by runtime, the largest one from torch, voxels.
    """
    torch.set_num_threads(THREADS)
    keep_freed_memory()
    torch.manual_seed(0)
    # The last layer is not zero, or every field would be, and nothing could differ.
    network = DIRNet(**{**model, "poolings": POOLINGS, "init_last": "glorot"}).eval()
    images, moving, fixed, spacing = cardiac_pairs(slices)
    methods: dict[str, RegisterOne] = {"torch": network_method(network, torch.device("cpu"))}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "dirnet.onnx")
        export_onnx(network, path, (1, SIZE, SIZE), {})
        methods |= {runtime: onnx_method(path, runtime, THREADS) for runtime in RUNTIMES}
    methods["elastix"] = elastix.register
    cardiac = {**settings, "final_spacing": SPACING_PX, "final_spacing_unit": "px"}
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    fields: dict[str, np.ndarray] = {}
    failed = 0
    for _ in range(rounds):
        for name, method in methods.items():
            fields[name], timing = register_pairs(method, images, moving, fixed, spacing, cardiac)
            seconds[name] += timing["seconds"].tolist()
            failed += int((timing["note"] != "").sum())
    return {
        "milliseconds": {name: 1e3 * statistics.median(values) for name, values in seconds.items()},
        "pairs": len(moving),
        "failed": failed,
        "difference": {runtime: float(np.abs(fields[runtime] - fields["torch"]).max()) for runtime in RUNTIMES},
    }


def cardiac_rows(model: Mapping[str, Any], settings: Mapping[str, Any], effort: Effort) -> list[Row]:
    """DIRNet in torch and in each runtime; of the runtimes, the faster one has the target.

    model: DIRNet's arguments; its weights are untrained, since no weight changes the time, and the poolings are those
    for cardiac images. settings: of elastix's B-spline for digits, taken with 16 pixels between control points.
    """
    arguments = {"model": dict(model), "settings": dict(settings), "slices": effort.slices, "rounds": effort.rounds}
    measured = in_own_process(cardiac_times, THREADS, arguments)
    times = measured["milliseconds"]
    faster = min(RUNTIMES, key=lambda runtime: times[runtime])
    note = (
        f"{measured['pairs']} pairs of synthetic cardiac images {SIZE}x{SIZE}, {effort.rounds} round(s), {THREADS} threads "
        f"each in a process of their own; elastix with {settings['resolutions']} x {settings['iterations']} iterations of "
        f"{settings['samples']} samples, {SPACING_PX} px between control points, {measured['failed']} of its registrations "
        "failed; DIRNet batch 1, untrained"
    )
    rows = []
    for name in ("torch", *RUNTIMES):
        ratio = times["elastix"] / times[name]
        target, met, remark = f">= {TARGET:g}", yes_no(ratio >= TARGET), ""
        if name != "torch":
            difference = measured["difference"][name]
            remark = f"; largest difference from torch {difference:.1e} voxels"
            target = f">= {EXPORTED_TARGET:g} and equal to {LARGEST_DIFFERENCE:g} voxels"
            met = yes_no(ratio >= EXPORTED_TARGET and difference <= LARGEST_DIFFERENCE)
            if name != faster:
                target, met = f"none: {faster} is the faster one", "reported"
        rows.append(
            Row(
                name=f"dirnet_{name}_vs_elastix_256",
                value=times[name],
                unit="ms per pair",
                reference=f"itk-elastix B-spline, {times['elastix']:.3g} ms per pair",
                ratio=ratio,
                target=target,
                met=met,
                note=note + remark,
            )
        )
    return rows
