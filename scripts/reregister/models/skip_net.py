"""The skip network of the deep image prior [Ulyanov et al. 2018] as a generator of displacement fields [Laves et al. 2019].

It sees noise and no image, and is fitted to one pair: its structure is the regulariser (papers.md 7.2).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.2
#: Least side of the deepest map. Of a single value batch normalisation has no variance.
DEEPEST = 4


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution with bias on a border that is reflected, batch normalisation, leaky ReLU.

    Without running statistics: there is one image, and every pass is normalised by itself.
    """
    convolution = nn.Conv2d(
        inputs, outputs, kernel, stride, kernel // 2, padding_mode="reflect" if kernel > 1 else "zeros"
    )
    return nn.Sequential(
        convolution, nn.BatchNorm2d(outputs, track_running_stats=False), nn.LeakyReLU(SLOPE, inplace=True)
    )


class _Doubled(torch.autograd.Function):
    """Twice the size, bilinear, corners not aligned: torch's own values, but for the gradient.

    torch's gradient takes ten times as long in the memory order of the network. Its rule is a filter: of the doubled
    pixels, the four nearest to one along each axis have it with weights 1/4, 3/4, 3/4, 1/4, the edge continued.
    """

    @staticmethod
    def forward(features: Tensor) -> Tensor:
        return functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        line = gradient.new_tensor([0.25, 0.75, 0.75, 0.25])
        kernel = (line[:, None] * line).expand(gradient.shape[1], 1, 4, 4)
        continued = functional.pad(gradient, (1, 1, 1, 1), mode="replicate")
        return functional.conv2d(continued, kernel, stride=2, groups=gradient.shape[1])


class _Scale(nn.Module):
    """What one scale adds around the deeper ones: half the size, the deeper scales, twice the size, beside a skip."""

    def __init__(self, inputs: int, channels: int, skip: int, deeper: nn.Module, deeper_channels: int) -> None:
        super().__init__()
        self.skip = _conv(inputs, skip, 1)
        self.down = nn.Sequential(_conv(inputs, channels, 3, stride=2), _conv(channels, channels, 3))
        self.deeper = deeper
        self.normalise = nn.BatchNorm2d(skip + deeper_channels, track_running_stats=False)
        self.up = nn.Sequential(_conv(skip + deeper_channels, channels, 3), _conv(channels, channels, 1))

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, channels, H, W)."""
        wide = _Doubled.apply(self.deeper(self.down(features)))
        out: Tensor = self.up(self.normalise(torch.cat([self.skip(features), wide], 1)))
        return out


class SkipNet(nn.Module):
    """Untrained network u = f(z): noise (B, z_channels, H, W) to a displacement field (B, 2, H, W) without a last sigmoid.

    channels: of each scale, the first at full size, as many as there are scales; 128 five times have, with 32 channels of
    noise and 4 of each skip, 2,217,702 parameters. Source: papers.md 7.2, after `models/skip.py` of
    DmitryUlyanov/deep-image-prior. Raises ValueError for a number below 1 or no scale.
    """

    def __init__(
        self, z_channels: int = 32, channels: Sequence[int] = (128, 128, 128, 128, 128), skip_channels: int = 4
    ) -> None:
        super().__init__()
        if not channels or min(z_channels, skip_channels, *channels) < 1:
            raise ValueError(
                f"z_channels, skip_channels and channels must be from 1 on, got {z_channels}, {skip_channels} and "
                f"{list(channels)}"
            )
        self.z_channels, self.scales = z_channels, len(channels)
        network: nn.Module = nn.Identity()
        for place in reversed(range(self.scales)):
            inputs = channels[place - 1] if place else z_channels
            deeper = channels[min(place + 1, self.scales - 1)]
            network = _Scale(inputs, channels[place], skip_channels, network, deeper)
        self.network = network
        self.last = nn.Conv2d(channels[0], 2, 1)

    def padded_size(self, size: Sequence[int]) -> tuple[int, int]:
        """The least size that the network takes and an image of `size` fits in: what is beyond is cut off afterwards."""
        step = 2**self.scales
        height, width = (max(-(-side // step), DEEPEST) * step for side in size)
        return height, width

    def forward(self, z: Tensor) -> Tensor:
        """Field (B, 2, H, W) from noise (B, z_channels, H, W); what its unit is the caller says.

        Raises ValueError for other channels, and for a size that cannot be halved at every scale down to `DEEPEST`.
        """
        if z.ndim != 4 or z.shape[1] != self.z_channels:
            raise ValueError(f"expected noise (B, {self.z_channels}, H, W), got {tuple(z.shape)}")
        size = tuple(z.shape[2:])
        if size != self.padded_size(size):
            raise ValueError(
                f"noise of {size[0]} x {size[1]} cannot be halved {self.scales} times down to {DEEPEST} or more: give "
                f"{' x '.join(map(str, self.padded_size(size)))}, or fewer scales"
            )
        # 1.3 to 1.8 times faster in 2-D.
        field: Tensor = self.last(self.network(z.contiguous(memory_format=torch.channels_last)))
        return field


build = SkipNet
