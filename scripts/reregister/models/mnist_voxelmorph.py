"""The six-layer VoxelMorph of "Image registration using the MNIST dataset": a displacement for every pixel."""

import torch
from torch import Tensor, nn
from torch.nn import functional

# Three poolings: sides must be multiples of it, and are padded with zeros to be.
MULTIPLE = 8
SLOPE = 0.2
# Standard deviation of the last layer's weights, as voxelmorph starts its flow.
LAST_SD = 1e-5


class _Block(nn.Module):
    """Convolution of 3 x 3 with bias, batch normalisation, LeakyReLU, element-wise dropout (section 2.2)."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.BatchNorm2d(outputs)
        self.activation = nn.LeakyReLU(SLOPE)
        self.drop = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.drop(self.activation(self.norm(self.conv(features))))
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
        for block in (*self.up, None):
            features = self.grow(features)
            if self.skip:
                features = torch.cat([features, passed.pop()], 1)
            if block is not None:
                features = block(features)
        field: Tensor = self.last_norm(self.last(features))
        return field


build = MnistVoxelMorph
