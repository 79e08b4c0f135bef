"""VoxelMorph-1 and VoxelMorph-2 as they were first published, to check the reduced VoxelMorph paper's findings on."""

import torch
from torch import Tensor, nn

from reregister.layers import LeakyConv, check_ndim, cropped, flow_layer, stacked_pair, upsample

# Channels of the layers after the last upsampling but one: at half the size, then at full size.
TAILS = {"VM-1": (8, 8), "VM-2": (32, 16, 16)}


class CvprVoxelMorph(nn.Module):
    """VoxelMorph of [Balakrishnan et al. 2018], moving and fixed (B, 1, *spatial) to ddf (B, ndim, *spatial).

    Every layer of the encoder strides, the full-size skip is the pair of images itself. variant: `VM-2`, 300,547
    parameters, or `VM-1`, 259,675. reduced: without the levels at 1/8 and 1/16, that is two convolutions fewer on either
    side (134,531 and 93,659). ndim: 2 or 3. Sides that are no multiples of `multiple`, 16, of 4 for reduced, are padded.

    Source: section 3 of the paper and `src/networks.py` of voxelmorph, branch legacy; papers.md 6.2. Raises ValueError
    for an unknown variant.
    """

    def __init__(self, variant: str = "VM-2", reduced: bool = False, ndim: int = 3) -> None:
        super().__init__()
        check_ndim(ndim)
        if variant not in TAILS:
            raise ValueError(f"variant must be {' or '.join(TAILS)}, got {variant!r}")
        half, *full = TAILS[variant]
        strided = [16, 32] if reduced else [16, 32, 32, 32]
        self.ndim, self.multiple = ndim, 2 ** len(strided)
        self.encoder = nn.ModuleList(
            LeakyConv(ndim, inputs, outputs, stride=2)
            for inputs, outputs in zip([2, *strided[:-1]], strided, strict=True)
        )
        self.deepest = LeakyConv(ndim, 32, 32)
        self.decoder = nn.ModuleList(LeakyConv(ndim, 32 + skip, 32) for skip in reversed(strided[:-1]))
        self.halfway = LeakyConv(ndim, 32, half)
        self.full = nn.Sequential(
            *(LeakyConv(ndim, inputs, outputs) for inputs, outputs in zip([half + 2, *full[:-1]], full, strict=True))
        )
        self.flow = flow_layer(ndim, full[-1])

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        """Displacement field (B, ndim, *spatial) in voxels, in the type of `moving`, from two images (B, 1, *spatial).

        Raises ValueError where the shapes do not fit.
        """
        levels = [stacked_pair(moving, fixed, self.ndim, self.multiple)]
        for layer in self.encoder:
            levels.append(layer(levels[-1]))
        out = self.deepest(levels.pop())
        for layer in self.decoder:
            out = layer(torch.cat([upsample(out), levels.pop()], 1))
        # Both operands of a concatenation must have one type under autocast too: the images have kept theirs.
        out = upsample(self.halfway(out))
        ddf: Tensor = self.flow(self.full(torch.cat([out, levels.pop().to(out.dtype)], 1)))
        return cropped(ddf.to(moving.dtype), moving)


build = CvprVoxelMorph
