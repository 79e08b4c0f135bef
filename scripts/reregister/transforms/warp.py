"""Pull-back warping of images by a dense displacement field."""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

MODES = ("bilinear", "nearest")
PADDINGS = ("border", "zeros")


def warp(image: Tensor, ddf: Tensor, mode: str = "bilinear", padding: str = "border") -> Tensor:
    """Image pulled back through a field: warped(x) = image(x + ddf(x)).

    image: (B, C, *spatial), 2-D or 3-D, any floating dtype, any range.
    ddf: (B, ndim, *spatial), voxels; channel k displaces along spatial axis k. Floating dtype.
    mode: "bilinear" (trilinear in 3-D) or "nearest"; the latter has no gradient to the field.
    padding: value outside of the image, "border" (nearest edge voxel) or "zeros" (blended over the last voxel).
    Returns (B, C, *spatial) in the dtype of image; coordinates are computed in single precision or better, because
    half precision cannot tell neighbouring voxels of a 256-voxel axis apart.
    Raises ValueError for shapes that do not fit, dtypes that are not floating, unknown mode or padding.
    Sampling follows torch.nn.functional.grid_sample with align_corners=True, as MONAI's `Warp`.
    """
    _check(image, ddf, mode, padding)
    dtype = torch.promote_types(torch.promote_types(image.dtype, ddf.dtype), torch.float32)
    identity, scale = _identity_grid(tuple(ddf.shape[2:]), ddf.device, dtype)
    # grid_sample wants (x, y, z), the reverse of the tensor axes, in the last dimension.
    offsets = ddf.to(dtype).movedim(1, -1).flip(-1)
    grid = torch.addcmul(identity, offsets, scale)
    warped = functional.grid_sample(image.to(dtype), grid, mode=mode, padding_mode=padding, align_corners=True)
    return warped.to(image.dtype)


@lru_cache(maxsize=8)
def _identity_grid(spatial: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Identity grid (1, *spatial, ndim) in [-1, 1] and the factors (ndim,) from voxels to it, both in x, y, z order.

    Bounded, since one grid of a 160x192x224 volume takes 83 MB.
    """
    # A grid made under inference_mode could not serve a later backward pass.
    with torch.inference_mode(False), torch.no_grad():
        axes = [torch.linspace(-1, 1, n, device=device, dtype=dtype) for n in spatial]
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], dim=-1)[None]
        # An axis of one voxel has no extent: the clamp keeps its factor finite.
        scale = torch.tensor([2 / max(n - 1, 1) for n in spatial[::-1]], device=device, dtype=dtype)
    return grid, scale


def _check(image: Tensor, ddf: Tensor, mode: str, padding: str) -> None:
    ndim = image.ndim - 2
    if ndim not in (2, 3):
        raise ValueError(f"warp takes images (B, C, H, W) or (B, C, D, H, W), got image of shape {tuple(image.shape)}")
    expected = (image.shape[0], ndim, *image.shape[2:])
    if tuple(ddf.shape) != expected:
        raise ValueError(
            f"warp of an image of shape {tuple(image.shape)} takes a ddf of shape {expected}, got {tuple(ddf.shape)}"
        )
    for name, tensor in (("image", image), ("ddf", ddf)):
        if not tensor.is_floating_point():
            raise ValueError(f"warp takes floating {name}, got {tensor.dtype}: convert labels to one-hot floats first")
    if mode not in MODES or padding not in PADDINGS:
        raise ValueError(f"warp takes mode {MODES} and padding {PADDINGS}, got mode {mode!r}, padding {padding!r}")
