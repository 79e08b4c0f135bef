"""Our local NCC and multi-scale Dice against MONAI's in time, and against forms that must agree in value and gradient."""

from collections.abc import Callable
from importlib import util
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from reregister.benchmark.process import in_own_process
from reregister.benchmark.rows import NOT_MEASURED, Effort, Row, medians, yes_no
from reregister.runtime import keep_freed_memory
from reregister.terms.label_dice import EPS, SCALES, label_reg_dice
from reregister.terms.local_ncc import local_ncc

THREADS, WINDOW, LABELS = 2, 9, 5
NCC_TARGET, DICE_TARGET, LARGEST_DIFFERENCE = 3.0, 15.0, 1e-5
Term = Callable[[Tensor], Tensor]


def _pass(term: Term, moved: Tensor) -> tuple[Tensor, Tensor]:
    """A term's value and its gradient for the moved image: one forward and one backward pass."""
    value = term(moved)
    return value.detach(), torch.autograd.grad(value, moved)[0]


def difference(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> dict[str, float]:
    """Absolute difference of two values, and the largest of two gradients in units of the other's largest."""
    gradient = (one[1] - other[1]).abs().max() / other[1].abs().max()
    return {"value": float((one[0] - other[0]).abs()), "gradient": float(gradient)}


def _compared(ours: Term, monai: Term, reference: Term, moved: Tensor, repeats: int) -> dict[str, Any]:
    """Milliseconds of ours and of MONAI's, ours from the reference, and how far MONAI's value is from ours."""
    found = _pass(ours, moved)
    times = medians({"ours": lambda: _pass(ours, moved), "monai": lambda: _pass(monai, moved)}, repeats)
    return {
        **times,
        **difference(found, _pass(reference, moved)),
        "apart": float((found[0] - monai(moved).detach()).abs()),
    }


def ncc_times(side: int, repeats: int) -> dict[str, Any]:
    """For a process of its own: local NCC of noise, where MONAI's form is the reference as well."""
    from monai.losses import LocalNormalizedCrossCorrelationLoss

    torch.set_num_threads(THREADS)
    keep_freed_memory()
    moved, fixed = torch.rand(2, 1, 1, side, side, side, generator=torch.Generator().manual_seed(0))
    monai = LocalNormalizedCrossCorrelationLoss(spatial_dims=3, kernel_size=WINDOW)

    def theirs(image: Tensor) -> Tensor:
        value: Tensor = monai(image, fixed)
        return value

    return _compared(
        lambda image: -local_ncc(image, fixed, WINDOW).mean(), theirs, theirs, moved.requires_grad_(), repeats
    )


def smoothed(labels: Tensor, sigma: float) -> Tensor:
    """Labels (B, L, D, H, W) smoothed by convolutions with a Gaussian cut at 3 sigma and made to sum to 1; 0: as they are."""
    tail = int(3 * sigma)
    if not tail:
        return labels
    kernel = torch.exp(-0.5 * (torch.arange(-tail, tail + 1) / sigma) ** 2).to(labels)
    kernel = (kernel / kernel.sum()).expand(labels.shape[1], 1, 1, 1, -1)
    for axis in (2, 3, 4):
        turned = functional.conv3d(labels.transpose(axis, 4), kernel, padding=(0, 0, tail), groups=labels.shape[1])
        labels = turned.transpose(axis, 4)
    return labels


def direct_dice(warped: Tensor, fixed: Tensor) -> Tensor:
    """`label_reg_dice` (B, L) as its formula says: both labels smoothed at every scale, and autograd for the gradient."""
    losses = []
    for scale in SCALES:
        a, b = smoothed(warped, scale), smoothed(fixed, scale)
        losses.append(1 - 2 * (a * b).sum((2, 3, 4)) / (a.sum((2, 3, 4)) + b.sum((2, 3, 4)) + EPS))
    return torch.stack(losses).mean(0)


def dice_times(side: int, repeats: int) -> dict[str, Any]:
    """For a process of its own: multi-scale Dice of balls, the moved ones with soft edges as after warping."""
    from monai.losses import DiceLoss, MultiScaleLoss

    torch.set_num_threads(THREADS)
    keep_freed_memory()
    moved, fixed = _balls(side, 0.0), (_balls(side, 0.05) > 0.5).float()
    monai = MultiScaleLoss(DiceLoss(), scales=list(SCALES))

    def theirs(labels: Tensor) -> Tensor:
        value: Tensor = monai(fixed, labels)
        return value

    return _compared(
        lambda labels: label_reg_dice(labels, fixed).mean(),
        theirs,
        lambda labels: direct_dice(labels, fixed).mean(),
        moved.requires_grad_(),
        repeats,
    )


def _balls(side: int, shift: float) -> Tensor:
    """LABELS balls (1, LABELS, side, side, side) about the middle of a cube, in [0, 1]; shift: in sides, along each axis."""
    places = (torch.arange(side) + 0.5) / side - 0.5 - shift
    distance = (places[:, None, None].square() + places[:, None].square() + places.square()).sqrt()
    radii = torch.linspace(0.15, 0.4, LABELS).view(1, LABELS, 1, 1, 1)
    return ((radii - distance) * side + 0.5).clamp(0, 1)


def term_rows(effort: Effort) -> list[Row]:
    """Local NCC and multi-scale Dice, forward and backward; MONAI missing gives rows that say so."""
    rows = (("local_ncc", NCC_TARGET), ("label_dice", DICE_TARGET))
    if not util.find_spec("monai"):
        why = "not measured: monai not in this environment"
        return [Row(name, None, "ms", "monai", None, _target(least), NOT_MEASURED, why) for name, least in rows]
    ncc = in_own_process(ncc_times, THREADS, {"side": effort.terms_side, "repeats": effort.terms})
    dice = in_own_process(dice_times, THREADS, {"side": effort.dice_side, "repeats": max(effort.terms // 5, 1)})
    return [
        _row(
            "local_ncc",
            "MONAI's LocalNormalizedCrossCorrelationLoss",
            ncc,
            NCC_TARGET,
            f"noise {effort.terms_side}^3, window {WINDOW}; compared with MONAI's own value and gradient, which are ours but "
            "where a window is constant: MONAI bounds variances from below by 1e-5, ours adds 1e-5 to their product",
        ),
        _row(
            "label_dice",
            "MONAI's MultiScaleLoss of DiceLoss",
            dice,
            DICE_TARGET,
            f"{LABELS} labels of {effort.dice_side}^3, six scales; compared with the formula of label-reg by plain "
            f"convolutions, since MONAI's kernels do not sum to 1 and its value is {dice['apart']:.1e} from ours",
        ),
    ]


def _target(least: float) -> str:
    return f">= {least:g} and equal to {LARGEST_DIFFERENCE:g}"


def _row(name: str, reference: str, measured: dict[str, float], least: float, note: str) -> Row:
    ratio = measured["monai"] / measured["ours"]
    equal = max(measured["value"], measured["gradient"]) <= LARGEST_DIFFERENCE
    return Row(
        name=name,
        value=measured["ours"],
        unit="ms",
        reference=f"{reference}, {measured['monai']:.3g} ms",
        ratio=ratio,
        target=_target(least),
        met=yes_no(ratio >= least and equal),
        note=f"forward and backward, {note}; difference of the value {measured['value']:.1e}, of the gradient "
        f"{measured['gradient']:.1e} of its largest; {THREADS} threads in a process of its own",
    )
