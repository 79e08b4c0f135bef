"""Layers that the 3-D networks share: convolutions that half precision cannot spoil, and images padded to fit."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

HALF = (torch.bfloat16, torch.float16)
# Channels last in memory: with few channels, as at full size, gradients of convolutions take a third of the time so.
LAYOUTS = {2: torch.channels_last, 3: torch.channels_last_3d}
# Samples x channels x depth x height up to which torch, on one thread, does not hand a 3-D convolution of kernel 3 to
# oneDNN (`use_mkldnn` in ATen's Convolution.cpp): its own takes up to 20 times as long.
_LEFT_ALONE = 20480


class Conv3d(nn.Conv3d):
    """3-D convolution: in single precision where half precision on the CPU is wrong, and by planes where torch is slow.

    In half precision the weight gradient of oneDNN's convolution is garbage where the depth, or with strides the height,
    is less than the kernel (3 x 3 x 3, stride 1: depth 2, at any batch and size of the other sides), and a kernel of 7 may
    break the heap. Such a layer is small: it is the deepest one of a network on a small image. So every side less than the
    kernel's means single precision, under autocast as with weights in half precision; the output has the type that it
    would have had. In single precision on one thread, small inputs are convolved by planes (`_by_planes`). On CUDA nothing
    changes.
    """

    def forward(self, features: Tensor) -> Tensor:
        """(B, in, D, H, W) to (B, out, D', H', W')."""
        small = any(side < kernel for side, kernel in zip(features.shape[2:], self.kernel_size, strict=True))
        if self.bias is None and torch.compiler.is_exporting():
            # torch 2.13 writes a 3-D convolution without bias as ONNX with one of two dimensions, which is no network.
            return self._conv_forward(features, self.weight, self.weight.new_zeros(self.out_channels))
        if features.device.type != "cpu" or torch.compiler.is_exporting():
            return super().forward(features)
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else features.dtype
        if dtype not in HALF:
            return self._by_planes(features) if self._left_alone(features) else super().forward(features)
        if not small:
            return super().forward(features)
        bias = None if self.bias is None else self.bias.float()
        with torch.autocast("cpu", enabled=False):
            return self._conv_forward(features.float(), self.weight.float(), bias).to(dtype)

    def _left_alone(self, features: Tensor) -> bool:
        """Whether torch would convolve with its own, slow code."""
        plain = self.kernel_size == (3, 3, 3) and self.padding == (1, 1, 1) and self.padding_mode == "zeros"
        unit = self.stride == (1, 1, 1) and self.dilation == (1, 1, 1) and self.groups == 1
        return plain and unit and torch.get_num_threads() == 1 and features.shape[:4].numel() <= _LEFT_ALONE

    def _by_planes(self, features: Tensor) -> Tensor:
        """The same as one 2-D convolution of all planes, whose channels are those of a plane and of both beside it.

        Only the order of the sums differs. Of features in channels_last_3d, planes in channels_last are a view.
        """
        batch, channels, depth, *plane = features.shape
        padded = functional.pad(features.permute(0, 2, 3, 4, 1), (0, 0, 0, 0, 0, 0, 1, 1))
        beside = torch.cat([padded[:, place : place + depth] for place in range(3)], -1)
        planes = beside.reshape(batch * depth, *plane, 3 * channels).permute(0, 3, 1, 2)
        weight = self.weight.permute(0, 2, 1, 3, 4).reshape(self.out_channels, 3 * channels, 3, 3)
        out = functional.conv2d(planes, weight, self.bias, padding=1)
        return out.permute(0, 2, 3, 1).reshape(batch, depth, *plane, self.out_channels).permute(0, 4, 1, 2, 3)


CONVOLUTIONS: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: Conv3d}


class LeakyConv(nn.Module):
    """Convolution of kernel 3, zero-padded, with bias and the framework's own start, and leaky ReLU 0.2."""

    def __init__(self, ndim: int, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = CONVOLUTIONS[ndim](inputs, outputs, 3, stride, 1)
        self.act = nn.LeakyReLU(0.2, inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs, *spatial) to (B, outputs, *spatial), each side divided by the stride and rounded up."""
        out: Tensor = self.act(self.conv(features))
        return out


def flow_layer(ndim: int, inputs: int) -> nn.Conv2d | nn.Conv3d:
    """The last convolution of the VoxelMorph line: weights N(0, 1e-5), bias 0, so a start next to the identity."""
    layer = CONVOLUTIONS[ndim](inputs, ndim, 3, padding=1)
    assert layer.bias is not None
    nn.init.normal_(layer.weight, 0, 1e-5)
    nn.init.zeros_(layer.bias)
    return layer


def upsample(features: Tensor) -> Tensor:
    """Nearest neighbour, each side doubled."""
    return functional.interpolate(features, scale_factor=2, mode="nearest")


def stacked_pair(moving: Tensor, fixed: Tensor, ndim: int, multiple: int) -> Tensor:
    """Moving and fixed (B, 1, *spatial) as the two channels (B, 2, *padded) of a network that halves its sides.

    Where a side is no multiple of `multiple`, both are padded with zeros at their far ends, so a voxel keeps its index;
    `cropped` takes the field back. Raises ValueError for images that differ in shape or have another number of channels
    or sides.
    """
    if moving.shape != fixed.shape or moving.ndim != ndim + 2 or moving.shape[1] != 1:
        axes = ", ".join("DHW"[-ndim:])
        raise ValueError(f"expected two images (B, 1, {axes}), got {tuple(moving.shape)} and {tuple(fixed.shape)}")
    pair, size = torch.cat([moving, fixed], 1), moving.shape[2:]
    more = [wanted - side for wanted, side in zip(padded_size(size, multiple), size, strict=True)]
    if any(more):
        # functional.pad counts from the last axis, with both ends of each.
        pair = functional.pad(pair, [end for extra in reversed(more) for end in (0, extra)])
    return pair.contiguous(memory_format=LAYOUTS[ndim])


def cropped(ddf: Tensor, image: Tensor) -> Tensor:
    """The part (B, ndim, *spatial) of a field of a padded pair that belongs to an image (B, 1, *spatial)."""
    if ddf.shape[2:] == image.shape[2:]:
        return ddf
    return ddf[(slice(None), slice(None), *map(slice, image.shape[2:]))]


def padded_size(size: Sequence[int], multiple: int) -> list[int]:
    """The least size that `size` fits in and whose sides are multiples of `multiple`."""
    return [math.ceil(side / multiple) * multiple for side in size]


def padding_of(model: nn.Module, size: Sequence[int]) -> list[int] | None:
    """The size to which a network pads images of `size`, None where it takes them as they are."""
    padded = padded_size(size, getattr(model, "multiple", 1))
    return None if padded == list(size) else padded


def padding_note(model: nn.Module, size: Sequence[int]) -> str:
    """What is to be said of the padding of images of `size`; empty where there is none."""
    padded, times = padding_of(model, size), " x ".join(map(str, size))
    if padded is None:
        return ""
    return (
        f"images of {times} are padded with zeros at their far ends to {' x '.join(map(str, padded))}, for the network "
        f"takes multiples of {getattr(model, 'multiple', 1)}, and the field is cropped to {times}"
    )


def check_ndim(ndim: int) -> None:
    """Raise ValueError where there are no networks of that many dimensions."""
    if ndim not in CONVOLUTIONS:
        raise ValueError(f"ndim must be 2 or 3, got {ndim}")
