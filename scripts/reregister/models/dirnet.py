"""DIRNet [de Vos 2017] and its variants: a ConvNet that regresses control points of a spline from a pair of images."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reregister.transforms.bspline import bspline_ddf
from reregister.transforms.thin_plate import thin_plate_ddf

POOLINGS = {"average": nn.AvgPool2d, "max": nn.MaxPool2d}
TRANSFORMERS = ("bspline", "bspline_misaligned", "thin_plate")
# Lasagne's settings of batch normalisation.
EPS = 1e-4
MOMENTUM = 0.1


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Zero-padded convolution without bias, batch normalisation, ELU (section 2). Without padding where it strides."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2 if stride == 1 else 0, bias=False),
        nn.BatchNorm2d(outputs, eps=EPS, momentum=MOMENTUM),
        nn.ELU(),
    )


def _dense(inputs: int, outputs: int) -> nn.Sequential:
    """Fully connected layer without bias, batch normalisation, ELU."""
    return nn.Sequential(
        nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs, eps=EPS, momentum=MOMENTUM), nn.ELU()
    )


def _downsample(pooling: str, kernels: int) -> nn.Module:
    """Halves either side: a pooling, or a 2 x 2 convolution of stride 2 with its normalisation and activation."""
    return _conv(kernels, kernels, 2, stride=2) if pooling == "strided" else POOLINGS[pooling](2)


def _features(poolings: int, kernels: int, pooling: str, overlap: bool) -> list[nn.Module]:
    """The four 3 x 3 layers, each of the first `poolings` with its pooling. overlap: the last one between two more."""
    layers: list[nn.Module] = []
    for index in range(4):
        layers.append(_conv(2 if index == 0 else kernels, kernels, 3))
        if index < poolings:
            widened = overlap and index == poolings - 1
            layers += [_conv(kernels, kernels, 3)] if widened else []
            layers.append(_downsample(pooling, kernels))
            layers += [_conv(kernels, kernels, 3)] if widened else []
    return layers


def _dense_head(kernels: int, pooling: str, grid: tuple[int, int], nodes: int) -> list[nn.Module]:
    """From features on the grid to the control points by way of fully connected layers; the grid's sides are even."""
    points = grid[0] * grid[1]
    return [
        _conv(kernels, kernels, 3),
        _downsample(pooling, kernels),
        nn.Flatten(),
        _dense(kernels * points // 4, nodes),
        _dense(nodes, nodes),
        nn.Linear(nodes, 2 * points),
        nn.Unflatten(1, (2, *grid)),
    ]


class DIRNet(nn.Module):
    """Regressor and spline transformer; forward gives the displacement field.

    poolings: how many of the four 3 x 3 layers are followed by 2 x 2 pooling: 4 for cardiac images (spacing 16 px), 2 for
    MNIST (spacing 4 px). order: of the B-spline, 2 or 3. pad: at its border, see `bspline_ddf`. init_last: `zero` starts
    at the identity (TorchIR), `glorot` as the other layers. With 16 kernels these defaults are the baseline BL, 7,938
    parameters. The variants of section 4.2, each by one change:

    A1 pooling `max`, 7,938; A2 pooling `strided`, 2 x 2 convolutions instead of poolings, 12,162.
    B1 order 2, 7,938, and its probe transformer `bspline_misaligned`, see `bspline_ddf`; B2 transformer `thin_plate`,
    7,938: order and pad have no meaning there.
    C1 overlap true, a 3 x 3 layer more on either side of the last pooling, 12,610: the receptive field grows from 46 to
    94 px.
    C2 head `dense`, 2,635,712 for 256 x 256: instead of the 1 x 1 layers a 3 x 3 layer, a pooling and two fully connected
    layers of `nodes` each, so every control point sees the whole image. It fixes image_size, (H, W), which no other
    network takes.
    """

    def __init__(
        self,
        poolings: int = 4,
        kernels: int = 16,
        order: int = 3,
        pad: str = "zero",
        init_last: str = "zero",
        pooling: str = "average",
        transformer: str = "bspline",
        overlap: bool = False,
        head: str = "convolutions",
        image_size: Sequence[int] | None = None,
        nodes: int = 1024,
    ) -> None:
        super().__init__()
        if not 1 <= poolings <= 4:
            raise ValueError(f"poolings must lie in 1..4, got {poolings}")
        _check_word("init_last", init_last, ("zero", "glorot"))
        _check_word("pooling", pooling, (*POOLINGS, "strided"))
        _check_word("transformer", transformer, TRANSFORMERS)
        _check_word("head", head, ("convolutions", "dense"))
        self.order, self.pad, self.transformer, self.stride = order, pad, transformer, 2**poolings
        self.image_size = _fixed_size(head, image_size, self.stride)
        layers = _features(poolings, kernels, pooling, overlap)
        if self.image_size is None:
            layers += [_conv(kernels, kernels, 1), _conv(kernels, kernels, 1), nn.Conv2d(kernels, 2, 1)]
        else:
            grid = (self.image_size[0] // self.stride, self.image_size[1] // self.stride)
            layers += _dense_head(kernels, pooling, grid, nodes)
        self.regressor = nn.Sequential(*layers)
        weighted = [module for module in self.regressor.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
        for module in weighted:
            nn.init.xavier_uniform_(module.weight)
        assert weighted[-1].bias is not None
        nn.init.zeros_(weighted[-1].bias)
        if init_last == "zero":
            nn.init.zeros_(weighted[-1].weight)

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        """Displacement field (B, 2, H, W) in voxels from moving and fixed (B, 1, H, W).

        Raises ValueError where the images differ in shape, a side is no multiple of the control point spacing, or the
        size is another one than a dense head was made for.
        """
        if moving.shape != fixed.shape or moving.ndim != 4 or moving.shape[1] != 1:
            raise ValueError(f"expected two (B, 1, H, W) images, got {tuple(moving.shape)} and {tuple(fixed.shape)}")
        size = tuple(moving.shape[2:])
        if any(side % self.stride for side in size):
            raise ValueError(f"image size {size} is no multiple of the control point spacing {self.stride}")
        if self.image_size not in (None, size):
            raise ValueError(f"image size {size} is not {self.image_size}, for which the dense head was made")
        # channels_last is 1.3 to 1.8 times faster in 2-D; the result does not depend on it beyond rounding. Stacked along
        # the last axis and permuted, the pair is written in that order at once: half the time of torch.cat and a copy.
        pair = torch.stack([moving[:, 0], fixed[:, 0]], -1).permute(0, 3, 1, 2)
        coefficients = self.regressor(pair)
        if self.transformer == "thin_plate":
            return thin_plate_ddf(coefficients, size)
        alignment = "torchir" if self.transformer == "bspline_misaligned" else "centred"
        return bspline_ddf(coefficients, size, self.order, self.pad, alignment)


def _check_word(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be {', '.join(allowed[:-1])} or {allowed[-1]}, got {value!r}")


def _fixed_size(head: str, image_size: Sequence[int] | None, stride: int) -> tuple[int, int] | None:
    """The image size that a head fixes, None for the convolutions, which take any."""
    if (head == "dense") != (image_size is not None):
        raise ValueError(f"image_size must be given for the head dense and for no other, got {image_size} for {head}")
    if image_size is None:
        return None
    size = tuple(image_size)
    # The pooling of the head halves the grid.
    if len(size) != 2 or any(side < 1 or side % (2 * stride) for side in size):
        raise ValueError(f"image_size of a dense head must be two multiples of {2 * stride}, got {size}")
    return size[0], size[1]


build = DIRNet
