"""A training step of our VoxelMorph against those that other packages offer, each as its users run it."""

import statistics
from collections.abc import Callable, Mapping
from functools import partial
from importlib import metadata, util
from typing import Any

import torch
from torch import Tensor, nn

from reregister.benchmark.process import in_own_process
from reregister.benchmark.rows import NO_BF16, NOT_MEASURED, Effort, Row, medians, yes_no
from reregister.errors import ReregisterError
from reregister.runtime import computes_in_bf16
from reregister.steps.batches import measure_batch

THREADS, BATCH = 2, 1
# performance.md, section 5: least ratios for each precision of ours; None where there is no target.
TARGETS: dict[str, dict[str, float | None]] = {
    "bf16": {"monai": 2.5, "voxelmorph": 2.0},
    "fp32": {"monai": 1.2, "voxelmorph": None},
}
PACKAGES = ("monai", "voxelmorph")
OURS = {
    "model": {"name": "cvpr_voxelmorph", "params": {"variant": "VM-2"}},
    "loss": {"local_ncc": 1.0, "grad_l2_forward": 1.0},
    "optimiser": {"name": "adam", "lr": 0.0001},
    "padding": "zeros",
    "device": "cpu",
    "determinism": "none",
    "threads": THREADS,
}
Loss = Callable[[Tensor, Tensor], Tensor]


def _monai(settings: Mapping[str, Any]) -> tuple[nn.Module, Loss]:
    """`VoxelMorph` of MONAI with its losses: the example of its documentation, whose backbone is the default one."""
    from monai.losses import DiffusionLoss, LocalNormalizedCrossCorrelationLoss
    from monai.networks.nets import VoxelMorph

    network = VoxelMorph(**settings)
    similarity, smoothness = LocalNormalizedCrossCorrelationLoss(kernel_size=9), DiffusionLoss()

    def loss(moving: Tensor, fixed: Tensor) -> Tensor:
        warped, ddf = network(moving, fixed)
        value: Tensor = similarity(warped, fixed) + smoothness(ddf)
        return value

    return network, loss


def _voxelmorph(settings: Mapping[str, Any]) -> tuple[nn.Module, Loss]:
    """`VxmPairwise` of the authors' package from 0.3 on, with the losses of its companion neurite.

    Version 0.2, whose network was `VxmDense`, needs Python before 3.11, and its NCC a GPU.
    """
    from neurite.nn.modules import NCC, SpatialGradient
    from voxelmorph.nn.models import VxmPairwise

    network: nn.Module = VxmPairwise(3, 1, 1, **settings)
    similarity, smoothness = NCC(window_size=9), SpatialGradient("l2")

    def loss(moving: Tensor, fixed: Tensor) -> Tensor:
        ddf, warped = network(moving, fixed, return_warped_source=True)
        value: Tensor = smoothness(ddf) - similarity(warped, fixed).mean()
        return value

    return network, loss


_BUILDERS = {"monai": _monai, "voxelmorph": _voxelmorph}


def package_step(package: str, settings: Mapping[str, Any], side: int, steps: int) -> dict[str, float]:
    """Median milliseconds (ms) of a training step in fp32 on a random pair of side^3, and the network's parameters.

    For a process of its own. package: of PACKAGES. settings: of its network, beyond its defaults. Nothing of ours takes
    part: the C library keeps its own settings, and Adam is torch's as it comes.
    """
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    network, loss = _BUILDERS[package](settings)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)
    moving, fixed = torch.rand(2, BATCH, 1, side, side, side)

    def step() -> None:
        optimiser.zero_grad()
        value = loss(moving, fixed)
        value.backward()
        value.item()
        optimiser.step()

    parameters = sum(parameter.numel() for parameter in network.parameters())
    return {"ms": medians({"step": step}, steps)["step"], "parameters": parameters}


def _contestants(effort: Effort) -> Mapping[str, Callable[[], dict[str, float]]]:
    """What is measured, by name: both precisions of ours, and each package that is installed with and without integration.

    Each call is one process of its own.
    """

    def ours(precision: str) -> dict[str, float]:
        case = {**OURS, "precision": precision, "shape": [1, *[effort.contest_side] * 3]}
        arguments = {"case": case, "batch": BATCH, "repeats": effort.contest_steps, "budget_s": 60, "register": False}
        return {"ms": in_own_process(measure_batch, THREADS, arguments)["step_ms"]}

    def theirs(package: str, settings: Mapping[str, Any]) -> dict[str, float]:
        arguments = {"package": package, "settings": settings, "side": effort.contest_side}
        measured: dict[str, float] = in_own_process(package_step, THREADS, arguments | {"steps": effort.contest_steps})
        return measured

    calls: dict[str, Callable[[], dict[str, float]]] = {
        precision: partial(ours, precision)
        for precision in TARGETS
        if precision != "bf16" or computes_in_bf16(torch.device("cpu"))
    }
    for package in filter(util.find_spec, PACKAGES):
        calls[package] = partial(theirs, package, {})
        calls[f"{package} plain"] = partial(theirs, package, {"integration_steps": 0})
    return calls


def _measured(effort: Effort) -> dict[str, dict[str, float]]:
    """Median over processes of what each contestant returns; they take turns. One that fails is left out."""
    found: dict[str, list[dict[str, float]]] = {}
    calls = dict(_contestants(effort))
    for _ in range(effort.processes):
        for name in list(calls):
            try:
                found.setdefault(name, []).append(calls[name]())
            except ReregisterError as error:
                if name in TARGETS:
                    raise
                # Into the log and not into the table: a message may name folders of the user.
                print(error)
                del calls[name]
    return {
        name: {key: statistics.median(each[key] for each in found[name]) for key in found[name][0]} for name in calls
    }


def contest_rows(effort: Effort) -> list[Row]:
    """Ours in both precisions against each package; a package that is not installed or fails gives a row that says so."""
    measured = _measured(effort)
    return [_row(precision, package, measured, effort) for precision, targets in TARGETS.items() for package in targets]


def _row(precision: str, package: str, measured: Mapping[str, Mapping[str, float]], effort: Effort) -> Row:
    least = TARGETS[precision][package]
    name, target = f"voxelmorph_64_{precision}_vs_{package}", f">= {least:g}" if least else "none"
    if precision not in measured:
        return Row(name, None, "ms", package, None, target, NOT_MEASURED, NO_BF16)
    if package not in measured:
        why = f"{package} failed, see the log" if util.find_spec(package) else f"{package} not in this environment"
        return Row(name, None, "ms", package, None, target, NOT_MEASURED, f"not measured: {why}")
    ours, theirs = measured[precision]["ms"], measured[package]["ms"]
    plain = measured.get(f"{package} plain")
    without = f", {plain['ms']:.3g} ms without its integration" if plain else ""
    return Row(
        name=name,
        value=ours,
        unit="ms",
        reference=f"{package} {metadata.version(package)} with its defaults, fp32, {theirs:.3g} ms",
        ratio=theirs / ours,
        target=target,
        met=yes_no(theirs / ours >= least) if least else "reported",
        note=f"one training step, random pair {effort.contest_side}^3, batch {BATCH}, {THREADS} threads, {effort.processes} "
        f"process(es) of their own, in turns; ours CvprVoxelMorph VM-2, 300547 parameters, {precision}, freed memory kept; "
        f"theirs {measured[package]['parameters']:.0f} parameters{without}; local NCC and smoothness of each its own",
    )
