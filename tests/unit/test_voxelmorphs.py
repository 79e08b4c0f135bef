"""The two VoxelMorph networks against the parameter counts of the papers, and what they do with sizes and precision."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional

from reregister.errors import ReregisterError
from reregister.layers import Conv3d, padded_size, padding_note, padding_of
from reregister.models.cvpr_voxelmorph import CvprVoxelMorph
from reregister.models.reduced_voxelmorph import PERMUTATIONS, ReducedVoxelMorph
from reregister.weights import build_model, count_parameters, make_card

MULTIPLES = {"default": 16, "maxpool": 32, "reduced": 4, "both": 8}


def pair(size: tuple[int, ...], batch: int = 1, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    moving, fixed = torch.rand(2, batch, 1, *size, generator=torch.Generator().manual_seed(seed))
    return moving, fixed


def with_real_flow(model: nn.Module) -> nn.Module:
    """Displacements of a voxel or so, instead of the 1e-5 of the start."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        model.flow.weight.copy_(torch.randn(model.flow.weight.shape, generator=generator))
    return model


@pytest.mark.parametrize("permutation", PERMUTATIONS)
def test_parameters_of_the_reduced_voxelmorph(permutation):
    shared = ReducedVoxelMorph(permutation)
    assert count_parameters(shared) == 154_649
    unshared = ReducedVoxelMorph(permutation, shared=False)
    assert count_parameters(unshared) == (320_665 if permutation in ("default", "maxpool") else 154_649)


def test_layers_of_the_authors_code():
    model = ReducedVoxelMorph("default")
    counts = {name: count_parameters(part) for name, part in model.named_children()}
    assert counts == {
        "econv1": 880,
        "econv2": 13_856,
        "econv_deep": 27_680,
        "dconv1": 27_680,
        "dconv_deep": 55_328,
        "dconv5": 20_752,
        "dconv6": 6_928,
        "dconv7": 1_299,
        "flow": 246,
    }
    assert {act.negative_slope for act in model.modules() if isinstance(act, nn.LeakyReLU)} == {0.2}
    assert float(model.flow.weight.detach().std()) == pytest.approx(1e-5, rel=0.3)
    assert not model.flow.bias.any()


def test_shared_layers_are_used_at_every_deep_level():
    sizes = []
    model = ReducedVoxelMorph("default")
    model.econv_deep[0].register_forward_hook(lambda module, _, output: sizes.append(tuple(output.shape[2:])))
    model.dconv_deep[0].register_forward_hook(lambda module, _, output: sizes.append(tuple(output.shape[2:])))
    model(*pair((16, 32, 48)))
    assert sizes == [(4, 8, 12), (2, 4, 6), (1, 2, 3), (2, 4, 6), (4, 8, 12), (8, 16, 24)]


@pytest.mark.parametrize(
    ("variant", "reduced", "count"),
    [("VM-2", False, 300_547), ("VM-1", False, 259_675), ("VM-2", True, 134_531), ("VM-1", True, 93_659)],
)
def test_parameters_of_the_first_voxelmorphs(variant, reduced, count):
    model = CvprVoxelMorph(variant, reduced)
    assert count_parameters(model) == count
    assert model.multiple == (4 if reduced else 16)
    side = model.multiple
    assert model(*pair((side, 2 * side, side), batch=2)).shape == (2, 3, side, 2 * side, side)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("upsample", ["features", "field"])
@pytest.mark.parametrize("permutation", PERMUTATIONS)
def test_field_has_the_size_of_the_images(permutation, upsample, ndim):
    model = ReducedVoxelMorph(permutation, upsample=upsample, ndim=ndim)
    assert model.multiple == MULTIPLES[permutation]
    size = (model.multiple, *[2 * model.multiple if model.multiple < 32 else 32] * (ndim - 1))
    ddf = model(*pair(size, batch=2))
    assert ddf.shape == (2, ndim, *size)
    assert 0 < float(ddf.detach().abs().max()) < 1e-2


def test_upsampled_field_is_the_half_size_field_with_twice_the_displacement():
    torch.manual_seed(0)
    model = with_real_flow(ReducedVoxelMorph("both", upsample="field"))
    moving, fixed = pair((16, 16, 16))
    half = []
    model.flow.register_forward_hook(lambda module, _, output: half.append(output))
    ddf = model(moving, fixed)
    # A field that is the same everywhere stays so, at twice the length.
    model.flow.weight.data.zero_()
    model.flow.bias.data.copy_(torch.tensor([0.5, -1.0, 2.0]))
    constant = model(moving, fixed)
    assert half[0].shape == (1, 3, 8, 8, 8)
    assert ddf.shape == (1, 3, 16, 16, 16)
    torch.testing.assert_close(constant, torch.tensor([1.0, -2.0, 4.0]).view(1, 3, 1, 1, 1).expand_as(constant))


def test_upsampled_features_double_no_displacement():
    model = ReducedVoxelMorph("both", upsample="features")
    model.flow.weight.data.zero_()
    model.flow.bias.data.copy_(torch.tensor([0.5, -1.0, 2.0]))
    ddf = model(*pair((8, 8, 8)))
    torch.testing.assert_close(ddf[0, :, 3, 4, 5], torch.tensor([0.5, -1.0, 2.0]))


def test_moving_comes_before_fixed():
    torch.manual_seed(0)
    model = with_real_flow(CvprVoxelMorph(reduced=True))
    moving, fixed = pair((8, 8, 8))
    assert not torch.allclose(model(moving, fixed), model(fixed, moving), atol=1e-3)


@pytest.mark.parametrize("permutation", PERMUTATIONS)
def test_a_size_that_cannot_be_halved_is_padded_with_zeros_at_its_far_ends(permutation):
    multiple = MULTIPLES[permutation]
    size = (multiple, multiple + 1, multiple - 1)
    padded = padded_size(size, multiple)
    assert padded == [multiple, 2 * multiple, multiple]
    torch.manual_seed(0)
    model, images = with_real_flow(ReducedVoxelMorph(permutation)), pair(size)
    ddf = model(*images)
    assert ddf.shape == (1, 3, *size)
    by_hand = [functional.pad(image, (0, 1, 0, multiple - 1, 0, 0)) for image in images]
    torch.testing.assert_close(ddf, model(*by_hand)[..., : size[1], : size[2]])
    # A value beyond the image would have been seen.
    by_hand[0][..., -1] = 1
    assert not torch.allclose(ddf, model(*by_hand)[..., : size[1], : size[2]], atol=1e-4)
    assert padding_of(model, size) == padded
    assert padding_note(model, size) == (
        f"images of {multiple} x {multiple + 1} x {multiple - 1} are padded with zeros at their far ends to {multiple} x "
        f"{2 * multiple} x {multiple}, for the network takes multiples of {multiple}, and the field is cropped to "
        f"{multiple} x {multiple + 1} x {multiple - 1}"
    )


def test_a_size_that_fits_is_left_as_it_is():
    model = CvprVoxelMorph()
    assert padding_of(model, (16, 32, 48)) is None
    assert padding_note(model, (16, 32, 48)) == ""
    assert padding_note(nn.Conv3d(2, 3, 3), (5, 6, 7)) == ""
    card = make_card(model, "cvpr_voxelmorph", {}, "0", "blobs", (1, 16, 16, 32))
    assert "padded_to" not in card
    card = make_card(model, "cvpr_voxelmorph", {}, "0", "blobs", (1, 16, 17, 32))
    assert card["padded_to"] == [16, 32, 32]
    assert card["modules"][-1]["shape"] == [3, 16, 17, 32]


@pytest.mark.parametrize("network", [ReducedVoxelMorph, CvprVoxelMorph])
def test_images_that_are_no_pair(network):
    moving, fixed = pair((16, 16, 16))
    for wrong in (fixed[..., :8], fixed[0], fixed.expand(-1, 2, -1, -1, -1), fixed[:, :, 0]):
        with pytest.raises(ValueError, match="expected two images"):
            network()(moving, wrong)


@pytest.mark.parametrize(
    ("name", "params", "text"),
    [
        ("reduced_voxelmorph", {"permutation": "small"}, "default, maxpool, reduced, both"),
        ("reduced_voxelmorph", {"upsample": "both"}, "features or field"),
        ("reduced_voxelmorph", {"ndim": 4}, "ndim must be 2 or 3"),
        ("cvpr_voxelmorph", {"variant": "VM-3"}, "VM-1 or VM-2"),
    ],
)
def test_words_that_are_not_known(name, params, text):
    with pytest.raises(ReregisterError, match=text):
        build_model(name, params)


def gradients(model: nn.Module, images: tuple[torch.Tensor, torch.Tensor], half: bool) -> dict[str, torch.Tensor]:
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        ddf = model(*images)
    # A target for the field, so that the loss has a gradient of one size at every voxel.
    target = torch.randn(ddf.shape, generator=torch.Generator().manual_seed(2))
    (ddf * target).mean().backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize(
    ("network", "side"),
    [
        # The deepest level has a depth of 2, its strided layer too; pooling takes the default there at 64.
        (CvprVoxelMorph, 32),
        (partial(ReducedVoxelMorph, "default", shared=False), 32),
        (partial(ReducedVoxelMorph, "both"), 16),
        # A depth of 1.
        (partial(ReducedVoxelMorph, "maxpool"), 32),
    ],
    ids=["cvpr", "default", "both", "maxpool"],
)
def test_gradients_in_half_precision_are_those_of_single(network, side):
    torch.manual_seed(0)
    model, images = with_real_flow(network()), pair((side, side, side))
    single, half = gradients(model, images, False), gradients(model, images, True)
    differences = {name: float((half[name] - gradient).norm() / gradient.norm()) for name, gradient in single.items()}
    # Rounding alone makes up to 0.13; without the guard the deepest convolution's weight is off by 0.6 or has no bound.
    assert max(differences.values()) < 0.3, differences


@pytest.mark.parametrize(
    ("kernel", "stride", "size"),
    [(3, 1, (2, 8, 8)), (3, 1, (1, 4, 4)), (3, 2, (4, 1, 4)), (5, 1, (4, 8, 8)), (7, 1, (4, 6, 6)), (7, 1, (8, 2, 8))],
)
@pytest.mark.parametrize("whole", [False, True], ids=["autocast", "bf16 weights"])
def test_a_convolution_on_few_voxels_has_true_gradients(kernel, stride, size, whole):
    torch.manual_seed(0)
    layer = Conv3d(32, 32, kernel, stride, kernel // 2)
    features = torch.randn(1, 32, *size)
    single = layer(features)
    upstream = torch.randn_like(single)
    wanted = torch.autograd.grad(single, layer.weight, upstream)[0]
    if whole:
        layer, features = layer.bfloat16(), features.bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=not whole):
        out = layer(features)
    assert out.dtype == torch.bfloat16
    found = torch.autograd.grad(out, layer.weight, upstream.bfloat16())[0].float()
    assert float((found - wanted).norm() / wanted.norm()) < 0.02


def test_field_is_single_precision_under_autocast():
    model = with_real_flow(CvprVoxelMorph(reduced=True))
    with torch.autocast("cpu", torch.bfloat16):
        assert model(*pair((16, 16, 16))).dtype == torch.float32
