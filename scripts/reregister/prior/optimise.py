"""Registration of one pair by fitting an untrained network to it [Laves, Ihler, Ortmaier 2019; papers.md section 7].

The network makes a displacement field of noise; its parameters are moved until the warped image looks like the fixed one.
Nothing is learnt from other pairs, and no term of the loss asks for a smooth field.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from reregister.baselines.checks import check_pair, constant_note
from reregister.errors import ReregisterError
from reregister.prior.settings import PriorSettings
from reregister.transforms.warp import warp
from reregister.weights import build_model


class Fitted(NamedTuple):
    """ddf: (2, H, W), float32, voxels. note: '' or why the field is zero. trace: columns step, loss (of the field that the
    parameters give before that step; the last row is that of the result), max_displacement (Euclidean, voxels)."""

    ddf: np.ndarray
    note: str
    trace: np.ndarray


def seed_of_pair(seed: int, moving: str, fixed: str) -> int:
    """A seed for one pair by its images' ids, so that a field does not depend on which other pairs are registered."""
    text = "\0".join(["prior", str(seed), moving, fixed])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7])


def initialise(model: nn.Module, settings: PriorSettings, generator: torch.Generator) -> None:
    """Draw the parameters that `settings.init` names from N(0, init_std), in the order of the modules."""
    if settings.init == "framework":
        return
    with torch.no_grad():
        for module in model.modules():
            convolution = isinstance(module, nn.Conv2d)
            for name, parameter in module.named_parameters(recurse=False):
                if settings.init == "all" or (convolution and name == "weight"):
                    parameter.normal_(0, settings.init_std, generator=generator)


class _Noise:
    """Draws of z, (1, C, H, W) in the memory order that the network works in."""

    def __init__(self, channels: int, size: tuple[int, int], std: float, seed: int, device: torch.device) -> None:
        self._shape, self._std = (1, *size, channels), std
        self._generator = torch.Generator(device).manual_seed(seed)
        self._device = device

    def draw(self) -> Tensor:
        values = torch.empty(self._shape, device=self._device).normal_(0, self._std, generator=self._generator)
        return values.permute(0, 3, 1, 2)


def fit(
    moving: np.ndarray,
    fixed: np.ndarray,
    model: Mapping[str, Any],
    settings: PriorSettings,
    seed: int,
    device: torch.device,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> Fitted:
    """Fit a network to one pair, from its initialisation on, in single precision (bf16 gains nothing here).

    moving, fixed: (H, W), float32, one grid, any range. model: name and params of a network of `reregister.models` that
    takes noise. seed: of parameters and noise, as from `seed_of_pair`. report: told the step and the loss of every row of
    the trace. Images that the network cannot halve are surrounded: the field is made larger and cut. Same arguments, same
    bits, on one device with one number of threads. Raises ReregisterError for 3-D or unlike images, and where field or
    loss is not finite.
    """
    check_pair(moving, fixed, (1.0,) * fixed.ndim)
    if fixed.ndim != 2:
        raise ReregisterError(f"The deep prior registers 2-D images; these are of shape {fixed.shape}.")
    if note := constant_note(moving, fixed):
        return Fitted(np.zeros((2, *fixed.shape), np.float32), note, np.zeros((0, 3)))
    # Modules take their own first values from the global generator, which is left as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_model(model["name"], model["params"])
    initialise(network, settings, torch.Generator().manual_seed(seed))
    # A type checker knows no memory format here.
    placed: Any = network
    placed.to(device, memory_format=torch.channels_last)
    return _Run(network, moving, fixed, settings, seed, device).fit(report)


class _Run:
    def __init__(
        self,
        network: Any,
        moving: np.ndarray,
        fixed: np.ndarray,
        settings: PriorSettings,
        seed: int,
        device: torch.device,
    ) -> None:
        self.network, self.settings = network, settings
        self.moving, self.fixed = (torch.from_numpy(image)[None, None].to(device) for image in (moving, fixed))
        self.size = fixed.shape
        size = network.padded_size(self.size)
        self.steps, self.draws = (
            _Noise(network.z_channels, size, settings.z_std, seed + offset, device) for offset in (1, 2)
        )
        normalised = settings.unit == "normalised"
        factors = [(side - 1) / 2 if normalised else 1.0 for side in self.size]
        self.factors = torch.tensor(factors, device=device).view(1, 2, 1, 1)

    def field(self, z: Tensor) -> Tensor:
        """Displacement (1, 2, H, W) in voxels."""
        field: Tensor = self.network(z)[..., : self.size[0], : self.size[1]] * self.factors
        return field

    def loss(self, field: Tensor) -> Tensor:
        return (warp(self.moving, field, padding=self.settings.padding) - self.fixed).abs().mean()

    def fit(self, report: Callable[[int, float], None]) -> Fitted:
        # Fused: the same numbers in fewer passes over memory.
        optimiser = torch.optim.Adam(self.network.parameters(), lr=self.settings.lr, fused=True)
        resample = self.settings.z == "resample"
        z = self.steps.draw()
        rows: list[tuple[float, float, float]] = []
        for step in range(self.settings.iterations):
            if resample and step:
                z = self.steps.draw()
            optimiser.zero_grad(set_to_none=True)
            field = self.field(z)
            _require_finite(field, step)
            loss = self.loss(field)
            if step % self.settings.trace_every == 0:
                rows.append(_row(step, loss, field))
                report(step, rows[-1][1])
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            count = self.settings.final_draws if resample else 1
            made = [self.field(self.draws.draw() if resample else z) for _ in range(count)]
            field = torch.stack(made).mean(0)
            _require_finite(field, self.settings.iterations)
            rows.append(_row(self.settings.iterations, self.loss(field), field))
        report(self.settings.iterations, rows[-1][1])
        return Fitted(field[0].cpu().numpy(), "", np.array(rows))


def _require_finite(values: Tensor, step: int, what: str = "field") -> None:
    # In every step: the gradient of sampling at a place that is no number reads outside of memory.
    if not torch.isfinite(values).all():
        raise ReregisterError(
            f"The {what} of the prior is not finite at step {step}: lower lr, or look at the two images."
        )


def _row(step: int, loss: Tensor, field: Tensor) -> tuple[float, float, float]:
    _require_finite(loss, step, "loss")
    value = float(loss.detach())
    return step, value, float(field.detach().square().sum(1).max().sqrt())
