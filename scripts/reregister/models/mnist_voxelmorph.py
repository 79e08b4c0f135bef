"""The six-layer VoxelMorph of "Image registration using the MNIST dataset": a displacement for every pixel."""

import torch
from torch import Tensor, nn
from torch.nn import functional

# Three poolings: sides must be multiples of it, and are padded with zeros to be.
MULTIPLE = 8
SLOPE = 0.2
# Standard deviation of the last layer's weights, as voxelmorph starts its flow.
LAST_SD = 1e-5
# Bits of a draw that say whether a value is dropped.
BITS = 16


class _LeakyDropout(torch.autograd.Function):
    """LeakyReLU and element-wise dropout in one: a value times a factor, which alone is kept for the gradient.

    torch draws a number for each value, one after the other on one thread: a quarter of a training step. Here a draw of 64
    bits of the same generator serves four values. The rate is thereby rounded to a multiple of 2^-16, and what is kept is
    scaled by the rounded one, so that the mean stays.
    """

    @staticmethod
    def forward(ctx, features: Tensor, rate: float) -> Tensor:  # type: ignore[no-untyped-def]
        """features: dense, in any layout."""
        count, dropped = features.numel(), round(rate * 2**BITS)
        # All 64 bits, signed; int16 then has every value equally often.
        draws = torch.empty(-(-count * BITS // 64), dtype=torch.int64, device=features.device).random_(-(2**63), None)
        kept = torch.empty_like(features)
        flat = kept.as_strided((count,), (1,))
        flat.copy_(draws.view(torch.int16)[:count] >= dropped - 2 ** (BITS - 1)).mul_(2**BITS / (2**BITS - dropped))
        factor: Tensor = torch.ops.aten.leaky_relu_backward(kept, features, SLOPE, False)
        ctx.save_for_backward(factor)
        return features * factor

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        (factor,) = ctx.saved_tensors
        return upstream * factor, None


class _Interleaved(torch.autograd.Function):
    """Four (B, C, H, W), of even and odd rows and columns, as one (B, C, 2H, 2W), channels_last."""

    @staticmethod
    def forward(ctx, *kinds: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        batch, channels, height, width = kinds[0].shape
        out = kinds[0].new_empty(batch, height, 2, width, 2, channels)
        for place, kind in enumerate(kinds):
            out[:, :, place // 2, :, place % 2] = kind.permute(0, 2, 3, 1)
        return out.view(batch, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple[Tensor, ...]:  # type: ignore[no-untyped-def]
        kinds = (upstream[:, :, row::2, column::2] for row in range(2) for column in range(2))
        return tuple(kind.contiguous(memory_format=torch.channels_last) for kind in kinds)


def conv_of_doubled(features: Tensor, conv: nn.Conv2d) -> Tensor:
    """`conv` of 3 x 3 and padding 1 over features (B, C, H, W) of which every pixel is doubled to 2 x 2: (B, C', 2H, 2W).

    Of the three taps along an axis two read the same pixel. So each of four kinds of pixels, of even and odd rows and
    columns, takes four products in place of nine and reads a tensor a fourth as large. Equal but for rounding.
    """
    kernels = [kernel for rows in _merged(conv.weight, 2) for kernel in _merged(rows, 3)]
    kinds = []
    for place, kernel in enumerate(kernels):
        row, column = place // 2, place % 2
        padded = functional.pad(features, (1 - column, column, 1 - row, row))
        kinds.append(functional.conv2d(padded, kernel, conv.bias))
    doubled: Tensor = _Interleaved.apply(*kinds)
    return doubled


def _merged(weight: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Two taps in place of three: for even pixels, the one before and their own; for odd ones, their own and the next."""
    before, own, after = weight.unbind(axis)
    return torch.stack([before, own + after], axis), torch.stack([before + own, after], axis)


class _Block(nn.Module):
    """Convolution of 3 x 3 with bias, batch normalisation, LeakyReLU, element-wise dropout (section 2.2)."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.BatchNorm2d(outputs)
        self.activation = nn.LeakyReLU(SLOPE)
        self.drop = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        return self.after(self.conv(features))

    def after(self, convolved: Tensor) -> Tensor:
        """What follows the convolution."""
        normed = self.norm(convolved)
        if self.training and self.drop.p and normed.device.type == "cpu":
            quick: Tensor = _LeakyDropout.apply(normed, self.drop.p)
            return quick
        out: Tensor = self.drop(self.activation(normed))
        return out


class MnistVoxelMorph(nn.Module):
    """Three layers with poolings down, three with upsamplings up [papers.md 4.2]; forward gives the displacement field.

    filters: of the five hidden layers; 256 make 2,372,358 parameters with output_norm and 2,372,354 without.
    output_norm: batch normalisation between the last convolution and its tanh, as "all layers were batch-normalized" says;
    the field then has unit variance from the first step on. skip: an ablation, each layer up also reads the features of its
    size from before the pooling. dropout: share of hidden values set to 0 in training. init_last: `default`, as all
    layers, or `normal`, N(0, 1e-5) without bias (voxelmorph), which starts at the identity and which a normalisation of
    the output would undo. Raises ValueError for anything else.
    """

    def __init__(
        self,
        filters: int = 256,
        output_norm: bool = True,
        skip: bool = False,
        dropout: float = 0.2,
        init_last: str = "default",
    ) -> None:
        super().__init__()
        if filters < 1:
            raise ValueError(f"filters must be at least 1, got {filters}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {dropout}")
        if init_last not in ("default", "normal"):
            raise ValueError(f"init_last must be default or normal, got {init_last!r}")
        if init_last == "normal" and output_norm:
            raise ValueError("init_last normal needs output_norm false, which would scale the small start up again")
        self.skip = skip
        self.down = nn.ModuleList(_Block(2 if level == 0 else filters, filters, dropout) for level in range(3))
        self.pool = nn.MaxPool2d(2)
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")
        wide = 2 * filters if skip else filters
        self.up = nn.ModuleList(_Block(wide, filters, dropout) for _ in range(2))
        self.last = nn.Conv2d(wide, 2, 3, padding=1)
        self.last_norm = nn.BatchNorm2d(2) if output_norm else nn.Identity()
        if init_last == "normal":
            nn.init.normal_(self.last.weight, std=LAST_SD)
            assert self.last.bias is not None
            nn.init.zeros_(self.last.bias)

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        """Displacement field (B, 2, H, W) in voxels from moving and fixed (B, 1, H, W), intensities in [0, 1].

        tanh gives normalised units, so no displacement along an axis of N voxels is larger than (N - 1) / 2: 13.5 px at 28.
        Sides that are no multiples of 8 are padded with zeros, half on either side, and the field is cropped: 28 -> 32 ->
        28. Raises ValueError where the images differ in shape or are no such batches.
        """
        if moving.shape != fixed.shape or moving.ndim != 4 or moving.shape[1] != 1:
            raise ValueError(f"expected two (B, 1, H, W) images, got {tuple(moving.shape)} and {tuple(fixed.shape)}")
        height, width = moving.shape[2:]
        more = [-side % MULTIPLE for side in (height, width)]
        top, left = (extra // 2 for extra in more)
        margins = (left, more[1] - left, top, more[0] - top)
        # Stacked along the last axis and permuted, the pair is written channels_last at once, which the convolutions keep.
        pair = torch.stack([functional.pad(image[:, 0], margins) for image in (moving, fixed)], -1).permute(0, 3, 1, 2)
        field = self._features(pair)[:, :, top : top + height, left : left + width]
        # Displacements of a few pixels need more than the 8 bits of bfloat16.
        field = field.float() if field.dtype == torch.bfloat16 else field
        half = torch.tensor([height - 1, width - 1], dtype=field.dtype, device=field.device).view(1, 2, 1, 1) / 2
        return torch.tanh(field).contiguous() * half

    def _features(self, features: Tensor) -> Tensor:
        """What tanh takes, (B, 2, H, W), of a padded pair."""
        passed = []
        for block in self.down:
            features = block(features)
            passed.append(features)
            features = self.pool(features)
        for block in self.up:
            assert isinstance(block, _Block)
            features = block.after(self._grown(features, block.conv, passed))
        field: Tensor = self.last_norm(self._grown(features, self.last, passed))
        return field

    def _grown(self, features: Tensor, conv: nn.Conv2d, passed: list[Tensor]) -> Tensor:
        """A convolution of the features at twice their size, and of the skip where there are any."""
        # Only training has to be quick; elsewhere the layers are the ones of the table, which exports and drawings follow.
        if self.training and not self.skip:
            return conv_of_doubled(features, conv)
        features = self.grow(features)
        out: Tensor = conv(torch.cat([features, passed.pop()], 1) if self.skip else features)
        return out


build = MnistVoxelMorph
