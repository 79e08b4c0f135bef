"""LocalNet of label-reg [Hu et al. 2018], the network of the label-driven paper (papers.md 5.2)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from reregister.layers import LAYOUTS, Conv3d, cropped, stacked_pair

# Defaults of TensorFlow's batch normalisation: epsilon 1e-3, decay 0.999.
EPS, MOMENTUM = 1e-3, 1e-3
STATISTICS = ("batch", "running")
LEVELS = 5


class BatchNorm3d(nn.BatchNorm3d):
    """Batch normalisation with shifts, without scales unless wanted, and with the batch's statistics at inference too."""

    def __init__(self, channels: int, statistics: str, scale: bool) -> None:
        super().__init__(channels, eps=EPS, momentum=MOMENTUM)
        self.statistics = statistics
        if not scale:
            self.register_parameter("weight", None)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, D, H, W), normalised per channel."""
        if self.training or self.statistics == "running":
            return super().forward(features)
        # torch refuses to normalise a single value, which the deepest level has of one pair of 16^3: it becomes the shift.
        if torch.compiler.is_exporting() or features[:, 0].numel() == 1:
            return self._written_out(features)
        # Without the running averages, so that inference does not move them.
        return functional.batch_norm(features, None, None, self.weight, self.bias, training=True, eps=self.eps)

    def _written_out(self, features: Tensor) -> Tensor:
        """The same in plain operations: other runtimes than torch know normalisation by given statistics alone."""
        axes, shape = (0, 2, 3, 4), (1, -1, 1, 1, 1)
        centred = features - features.mean(axes, keepdim=True)
        out = centred * torch.rsqrt(centred.square().mean(axes, keepdim=True) + self.eps)
        out = out if self.weight is None else out * self.weight.reshape(shape)
        return out + self.bias.reshape(shape)


class _Block(nn.Module):
    """Convolution without bias, normalisation, and ReLU of that and of what is `added` to it."""

    def __init__(self, conv: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm, self.act = conv, norm, nn.ReLU(inplace=True)

    def forward(self, features: Tensor, added: Tensor | None = None) -> Tensor:
        out = self.norm(self.conv(features))
        activated: Tensor = self.act(out if added is None else out + added)
        return activated


class ConvTranspose3d(nn.ConvTranspose3d):
    """Kernel 3, stride 2, each side doubled: TensorFlow's padding, which cuts the far end alone."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, stride=2, bias=False)

    def forward(self, features: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(features)[..., :-1, :-1, :-1].contiguous(memory_format=LAYOUTS[3])


def _resized(features: Tensor, size: Sequence[int]) -> Tensor:
    return functional.interpolate(features, size=list(size), mode="trilinear", align_corners=False)


class _Down(nn.Module):
    """Residual block and pooling; hands on the pooled output and, as the skip, the block's first layer."""

    def __init__(self, inputs: int, outputs: int, kernel: int, statistics: str, scale: bool) -> None:
        super().__init__()
        self.h0 = _conv(inputs, outputs, statistics, scale, kernel)
        self.r1 = _conv(outputs, outputs, statistics, scale)
        self.r2 = _conv(outputs, outputs, statistics, scale)
        self.pool = nn.MaxPool3d(2)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        h0 = self.h0(features)
        return self.pool(self.r2(self.r1(h0), h0)), h0


class _Up(nn.Module):
    """Transposed convolution beside additive upsampling, and a residual block around the skip."""

    def __init__(self, inputs: int, outputs: int, statistics: str, scale: bool) -> None:
        super().__init__()
        self.d = _Block(ConvTranspose3d(inputs, outputs), BatchNorm3d(outputs, statistics, scale))
        self.r2 = _conv(outputs, outputs, statistics, scale)
        self.out = _conv(outputs, outputs, statistics, scale)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        half = features.shape[1] // 2
        # Summed before they are resized, which is linear: half of the work.
        d = self.d(features) + _resized(features[:, :half] + features[:, half:], skip.shape[2:])
        out: Tensor = self.out(self.r2(d), d + skip)
        return out


def _conv(inputs: int, outputs: int, statistics: str, scale: bool, kernel: int = 3) -> _Block:
    conv = Conv3d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return _Block(conv, BatchNorm3d(outputs, statistics, scale))


class LabelRegLocalNet(nn.Module):
    """Moving and fixed (B, 1, D, H, W) to ddf (B, 3, D, H, W): the sum of displacements of five levels.

    channels: of the first level, twice as many at each deeper one; 32 have 18,906,351 parameters, 18,909,743 with scale.
    It must be even, since additive upsampling halves the channels. statistics: what normalisation uses at inference,
    `batch` as label-reg, whose `is_training` is never set to false, or `running` averages. scale: whether it has factors.
    momentum: what a step adds to the running averages, 1 - decay; the default asks for thousands of steps. All layers
    start by Glorot's rule [Glorot 2010], the displacements of every level at zero, so the network at the identity. Sides
    that are no multiples of 16 are padded.

    Source: `labelreg/networks.py` and `labelreg/layers.py` of YipengHu/label-reg (Apache-2.0), read and not copied.
    Differences: TensorFlow 1's linear resize has no offset of half a voxel, this one has (align_corners=False).
    Raises ValueError for an odd number of channels, a momentum outside of (0, 1] or an unknown word.
    """

    multiple = 2 ** (LEVELS - 1)

    def __init__(
        self, channels: int = 32, statistics: str = "batch", scale: bool = False, momentum: float = MOMENTUM
    ) -> None:
        super().__init__()
        if channels < 2 or channels % 2:
            raise ValueError(f"channels must be even and from 2 on, got {channels}")
        if statistics not in STATISTICS:
            raise ValueError(f"statistics must be batch or running, got {statistics!r}")
        if not 0 < momentum <= 1:
            raise ValueError(f"momentum must lie in (0, 1], got {momentum}")
        counts = [channels * 2**level for level in range(LEVELS)]
        self.down = nn.ModuleList(
            _Down(counts[level - 1] if level else 2, counts[level], 3 if level else 7, statistics, scale)
            for level in range(LEVELS - 1)
        )
        self.deep = _conv(counts[-2], counts[-1], statistics, scale)
        self.up = nn.ModuleList(
            _Up(counts[level + 1], counts[level], statistics, scale) for level in reversed(range(LEVELS - 1))
        )
        # From the deepest level to the first, in the order in which they are used.
        self.summands = nn.ModuleList(Conv3d(count, 3, 3, padding=1) for count in reversed(counts))
        for module in self.modules():
            if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
                nn.init.xavier_uniform_(module.weight)
            elif isinstance(module, BatchNorm3d):
                module.momentum = momentum
        for parameter in self.summands.parameters():
            nn.init.zeros_(parameter)

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        """Displacement field (B, 3, D, H, W) in voxels, in the type of `moving`, from two images (B, 1, D, H, W).

        Raises ValueError where the shapes do not fit.
        """
        features = stacked_pair(moving, fixed, 3, self.multiple)
        skips = []
        for down in self.down:
            features, skip = down(features)
            skips.append(skip)
        levels = [self.deep(features)]
        for up in self.up:
            levels.append(up(levels[-1], skips.pop()))
        # In the type of the images: half precision would round displacements of several voxels.
        *parts, ddf = (summand(level).to(moving.dtype) for summand, level in zip(self.summands, levels, strict=True))
        for part in parts:
            ddf = ddf + _resized(part, ddf.shape[2:])
        return cropped(ddf, moving)


build = LabelRegLocalNet
