"""Pruning and stored 8- and 4-bit weights."""

import pytest
import torch
from torch import nn

from reregister.compression.bits import pack, quantise, unpack
from reregister.compression.pruning import HeldMasks, apply_masks, masks_of, prunable, prune_globally, sparsity
from reregister.compression.quantiser import quantise_weights, save_quantised
from reregister.errors import ReregisterError
from reregister.models.label_reg_local_net import LabelRegLocalNet
from reregister.weights import load_model, load_tensors, make_card, save_model, save_tensors

PARAMS = {"channels": 4}
SHAPE = (1, 16, 16, 16)


@pytest.fixture
def model() -> LabelRegLocalNet:
    torch.manual_seed(0)
    model = LabelRegLocalNet(**PARAMS)
    for parameter in model.summands.parameters():
        nn.init.normal_(parameter, 0, 0.05)
    return model


def card(model: nn.Module) -> dict:
    return make_card(model, "label_reg_local_net", PARAMS, "recipe", "standin", SHAPE)


def test_counts_of_the_paper():
    model = LabelRegLocalNet()
    assert sum(p.numel() for p in prunable(model).values()) == 18_902_959
    assert sum(p.numel() for p in prunable(model, "all").values()) == 18_906_351
    masks = prune_globally(model, 0.25)
    table = sparsity(model).set_index("layer")
    assert table.loc["all", ["parameters", "zeros"]].tolist() == [18_902_959, 4_725_740]
    assert sum(int((~mask).sum()) for mask in masks.values()) == 4_725_740
    # What never moved from zero goes first.
    summands = table[table.index.str.startswith("summands")]
    assert summands["zeros"].sum() == summands["parameters"].sum() == 80_367
    assert (table["share"] == table["zeros"] / table["parameters"]).all()
    assert round(0.25 * 18_906_351) == 4_726_588


def test_pruning_takes_the_smallest_over_all_layers(model):
    before = {name: parameter.detach().clone() for name, parameter in prunable(model).items()}
    masks = prune_globally(model, 0.4)
    kept = torch.cat([before[name][mask].abs() for name, mask in masks.items()])
    gone = torch.cat([before[name][~mask].abs() for name, mask in masks.items()])
    assert float(gone.max()) <= float(kept.min())
    assert len(gone) == round(0.4 * (len(gone) + len(kept)))
    for name, parameter in prunable(model).items():
        assert torch.equal(parameter, before[name] * masks[name])
    shares = sparsity(model).set_index("layer")["share"]
    assert shares["summands.4.weight"] != pytest.approx(shares["all"], abs=0.01)


def test_pool_with_normalisation(model):
    nn.init.normal_(model.deep.norm.bias, 0, 1e-6)
    assert "deep.norm.bias" not in prune_globally(model, 0.1)
    assert model.deep.norm.bias.any()
    masks = prune_globally(model, 0.2, pool="all")
    assert not masks["deep.norm.bias"].any()
    assert not model.deep.norm.bias.any()
    assert sparsity(model, "all").iloc[-1]["zeros"] == round(0.2 * sum(p.numel() for p in model.parameters()))


def test_masks_hold_while_training_goes_on(model):
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    images = torch.rand(2, 2, *SHAPE, generator=torch.Generator().manual_seed(0))

    def step():
        optimiser.zero_grad()
        (model(*images) - 1).square().mean().backward()
        optimiser.step()

    # Moments from before pruning would move a parameter without any gradient.
    step()
    masks = prune_globally(model, 0.25)
    before = {name: parameter.detach().clone() for name, parameter in prunable(model).items()}
    held = HeldMasks(model, masks, optimiser)
    for _ in range(2):
        step()
    for name, parameter in prunable(model).items():
        assert not parameter[~masks[name]].any()
        assert not torch.equal(parameter, before[name])
    assert all(torch.equal(mask, masks[name]) for name, mask in masks_of(model).items())
    held.release()
    step()
    assert any(bool(parameter[~masks[name]].any()) for name, parameter in prunable(model).items())


def test_settings_of_pruning_that_do_not_fit(model):
    for ratio in (-0.1, 1.0):
        with pytest.raises(ValueError, match="ratio"):
            prune_globally(model, ratio)
    with pytest.raises(ValueError, match="weights or all"):
        prunable(model, "biases")
    with pytest.raises(ValueError, match="fits no parameter"):
        apply_masks(model, {"deep.conv.weight": torch.ones(3, dtype=torch.bool)})


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_quantised_weights_are_off_by_half_a_step_at_most(bits, axis):
    weight = (
        torch.randn(6, 5, 3, 3, 3, generator=torch.Generator().manual_seed(0))
        * torch.logspace(-3, 0, 5)[:, None, None, None]
    )
    found = quantise(weight, bits, axis)
    steps = 2 ** (bits - 1) - 1
    assert found.values.dtype == torch.int8
    assert int(found.values.abs().max()) == steps
    assert found.scale.numel() == (1 if axis is None else weight.shape[axis])
    assert float(((found.weight() - weight).abs() / found.scale).max()) <= 0.5 + 1e-4
    if axis is None:
        assert float(found.scale) == pytest.approx(float(weight.abs().max()) / steps)
        levels = torch.fake_quantize_per_tensor_affine(weight, float(found.scale), 0, -steps, steps)
        torch.testing.assert_close(found.weight(), levels)


def test_a_scale_per_channel_is_nearer():
    weight = torch.randn(8, 4, 3, 3, 3) * torch.logspace(-2, 0, 8)[:, None, None, None, None]
    errors = [float((quantise(weight, 4, axis).weight() - weight).square().mean()) for axis in (None, 0)]
    assert errors[1] < 0.5 * errors[0]


def test_zeros_stay_zero_and_no_scale_is_undefined():
    weight = torch.zeros(2, 3)
    assert not quantise(weight).weight().any()
    weight[0] = torch.tensor([0.0, -1.0, 0.5])
    for axis in (None, 0):
        found = quantise(weight, 4, axis).weight()
        assert torch.isfinite(found).all()
        assert not found[1].any()
        assert found[0, 0] == 0


@pytest.mark.parametrize("shape", [(4, 3, 3, 3, 3), (1,), (5,), (0,)])
def test_four_bits_are_packed_two_per_byte(shape):
    values = torch.randint(-8, 8, shape, generator=torch.Generator().manual_seed(0)).to(torch.int8)
    packed = pack(values)
    assert packed.dtype == torch.uint8
    assert packed.numel() == (values.numel() + 1) // 2
    assert torch.equal(unpack(packed, shape), values)


def test_packing_that_does_not_fit():
    with pytest.raises(ValueError, match="-8 to 7"):
        pack(torch.tensor([8], dtype=torch.int8))
    with pytest.raises(ValueError, match="do not hold"):
        unpack(torch.zeros(2, dtype=torch.uint8), (5,))
    for wrong in (lambda: quantise(torch.ones(2), 3), lambda: quantise(torch.tensor([float("nan")]))):
        with pytest.raises(ValueError, match=r"bits must|not finite"):
            wrong()


@pytest.mark.parametrize(("bits", "per_channel"), [(8, False), (8, True), (4, False), (4, True)])
def test_a_saved_network_is_small_and_runs(model, tmp_path, bits, per_channel):
    prune_globally(model, 0.25)
    path = tmp_path / "quantised.safetensors"
    size = save_quantised(path, model, card(model), bits, per_channel)
    full = tmp_path / "full.safetensors"
    save_model(full, tmp_path / "card.md", model, card(model))
    assert size == path.stat().st_size
    weights = sum(p.numel() for p in prunable(model).values() if p.ndim > 1)
    # Header, names, biases and normalisation are what is beyond the weights.
    assert weights * bits / 8 < size < weights * bits / 8 + 80_000
    stored = load_tensors(path)[0]
    assert stored["deep.conv.weight.quantised"].dtype == (torch.int8 if bits == 8 else torch.uint8)
    loaded = load_model(path, "label_reg_local_net", PARAMS)
    for name, parameter in loaded.named_parameters():
        original = dict(model.named_parameters())[name]
        if parameter.ndim > 1:
            found = quantise_weights(model, bits, per_channel)[name]
            assert torch.equal(parameter, found.weight())
            assert not parameter[original == 0].any()
        else:
            assert torch.equal(parameter, original)
    images = torch.rand(2, 2, *SHAPE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted, found = model.eval()(*images), loaded(*images)
    assert not loaded.training
    assert float((found - wanted).norm() / wanted.norm()) < (0.1 if bits == 8 else 0.9)
    assert not torch.equal(found, wanted)
    first = path.read_bytes()
    save_quantised(path, model, card(model), bits, per_channel)
    assert path.read_bytes() == first


def test_files_that_hold_something_else(model, tmp_path):
    path = tmp_path / "quantised.safetensors"
    save_quantised(path, model, card(model))
    with pytest.raises(ReregisterError, match="not of label_reg_local_net"):
        load_model(path, "label_reg_local_net", {"channels": 8})
    tensors, header = load_tensors(path)
    for name in ("deep.conv.weight.quantised", "deep.conv.weight.scale"):
        save_tensors(path, {key: tensor for key, tensor in tensors.items() if key != name}, header)
        with pytest.raises(ReregisterError, match=rf"does not fit label_reg_local_net .*{name}"):
            load_model(path, "label_reg_local_net", PARAMS)
    header["quantisation"]["bits"] = 4
    save_tensors(path, tensors, header)
    with pytest.raises(ReregisterError, match="do not hold"):
        load_model(path, "label_reg_local_net", PARAMS)
