"""What the terms of a loss ask of their tensors, and the precision in which they are computed."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import torch
from torch import Tensor

P = ParamSpec("P")


def single_precision(term: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Run a term in single precision or better, also under autocast.

    Sums of squares over windows and second differences are differences of large numbers: of bf16 nothing would be left.
    """

    @wraps(term)
    def run(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        first = next(value for value in (*args, *kwargs.values()) if isinstance(value, Tensor))
        promoted = [_promoted(value) for value in args]
        with torch.autocast(first.device.type, enabled=False):
            return term(*promoted, **{name: _promoted(value) for name, value in kwargs.items()})  # type: ignore[arg-type]

    return run


def _promoted(value: object) -> object:
    return value.to(torch.promote_types(value.dtype, torch.float32)) if isinstance(value, Tensor) else value


def check_same(a: Tensor, b: Tensor) -> None:
    """Raise ValueError where two tensors are not both (B, C, *spatial) of one shape, 2-D or 3-D."""
    if a.shape != b.shape or a.ndim not in (4, 5):
        raise ValueError(
            f"expected two (B, C, *spatial) of one shape, 2-D or 3-D, got {tuple(a.shape)}, {tuple(b.shape)}"
        )


def check_field(values: Tensor, least: int, what: str = "ddf") -> None:
    """Raise ValueError where a tensor is not (B, C, *spatial), 2-D or 3-D, with at least `least` voxels per axis."""
    if values.ndim not in (4, 5) or min(values.shape[2:]) < least:
        raise ValueError(
            f"expected {what} (B, C, *spatial), 2-D or 3-D, of at least {least} voxels per axis, got {tuple(values.shape)}"
        )
