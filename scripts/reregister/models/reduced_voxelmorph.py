"""The network of the reduced VoxelMorph paper: a VoxelMorph that is asked how much of it can be left out."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from reregister.layers import LeakyConv, check_ndim, cropped, flow_layer, stacked_pair, upsample

PERMUTATIONS = ("default", "maxpool", "reduced", "both")
UPSAMPLING = ("features", "field")


class ReducedVoxelMorph(nn.Module):
    """U-net of strided convolutions, moving and fixed (B, 1, *spatial) to ddf (B, ndim, *spatial) (papers.md 6.2).

    permutation: `default`; `maxpool`, a max pooling of 2 on the input and all layers at half the size; `reduced`, without
    the levels at 1/8 and 1/16; `both`. shared: one weight for all strided layers from the second on, and one for the
    decoder's layers between the deepest and the last level, as in the authors' code, where every permutation therefore
    has 154,649 parameters; otherwise each layer has its own (320,665 without `reduced`, 154,649 with it). upsample, of
    consequence with max pooling only: `features` doubles what goes into the flow layer (nearest, as the code), `field`
    doubles the flow layer's displacements in size and length (trilinear). ndim: 3, or 2 for the reading of the abstract
    by slices. Sides that are no multiples of `multiple`, 16, of 4 for `reduced`, and twice that with max
    pooling, are padded.

    Source: `unet.py` of SaiV6/Ece685final_voxelmorph, read and not copied. Raises ValueError for an unknown word.
    """

    def __init__(
        self, permutation: str = "default", shared: bool = True, upsample: str = "features", ndim: int = 3
    ) -> None:
        super().__init__()
        check_ndim(ndim)
        if permutation not in PERMUTATIONS:
            raise ValueError(f"permutation must be one of {', '.join(PERMUTATIONS)}, got {permutation!r}")
        if upsample not in UPSAMPLING:
            raise ValueError(f"upsample must be features or field, got {upsample!r}")
        self.ndim, self.upsample = ndim, upsample
        self.maxpool = permutation in ("maxpool", "both")
        # How often the deep levels are there: econvX and dconvX of the authors' code are used so many times.
        self.deep = 1 if permutation in ("reduced", "both") else 3
        self.multiple = 2 ** (1 + self.deep + self.maxpool)
        kept = 1 if shared else self.deep
        self.pool = (nn.MaxPool2d if ndim == 2 else nn.MaxPool3d)(2) if self.maxpool else None
        self.econv1 = LeakyConv(ndim, 2, 16)
        self.econv2 = LeakyConv(ndim, 16, 32, stride=2)
        self.econv_deep = nn.ModuleList(LeakyConv(ndim, 32, 32, stride=2) for _ in range(kept))
        self.dconv1 = LeakyConv(ndim, 32, 32)
        self.dconv_deep = nn.ModuleList(LeakyConv(ndim, 64, 32) for _ in range(kept))
        self.dconv5 = LeakyConv(ndim, 48, 16)
        self.dconv6 = LeakyConv(ndim, 16, 16)
        self.dconv7 = LeakyConv(ndim, 16, 3)
        self.flow = flow_layer(ndim, 3)

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        """Displacement field (B, ndim, *spatial) in voxels, in the type of `moving`, from two images (B, 1, *spatial).

        Raises ValueError where the shapes do not fit.
        """
        pair = stacked_pair(moving, fixed, self.ndim, self.multiple)
        out: Tensor = self._decoded(self._encoded(pair if self.pool is None else self.pool(pair)))
        if self.maxpool and self.upsample == "features":
            out = upsample(out)
        ddf: Tensor = self.flow(out).to(moving.dtype)
        if self.maxpool and self.upsample == "field":
            mode = "bilinear" if self.ndim == 2 else "trilinear"
            # A voxel of the pooled image is two of the image.
            ddf = 2 * functional.interpolate(ddf, scale_factor=2, mode=mode, align_corners=False)
        return cropped(ddf, moving)

    def _encoded(self, features: Tensor) -> list[Tensor]:
        """Features of every level, from the largest to the smallest."""
        levels = [self.econv1(features)]
        levels.append(self.econv2(levels[-1]))
        for place in range(self.deep):
            levels.append(self.econv_deep[place % len(self.econv_deep)](levels[-1]))
        return levels

    def _decoded(self, levels: list[Tensor]) -> Tensor:
        """Three channels at the size of the largest level."""
        out = upsample(self.dconv1(levels.pop()))
        for place in range(self.deep):
            out = torch.cat([out, levels.pop()], 1)
            out = upsample(self.dconv_deep[place % len(self.dconv_deep)](out))
        features: Tensor = self.dconv7(self.dconv6(self.dconv5(torch.cat([out, levels.pop()], 1))))
        return features


build = ReducedVoxelMorph
