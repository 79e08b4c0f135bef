"""The network of the deep prior: parameters, sizes, and that its doubling is torch's, gradient included."""

import pytest
import torch
from torch.nn import functional

from reregister.models.skip_net import SkipNet, _Doubled
from reregister.weights import count_parameters

SMALL = {"z_channels": 5, "channels": [4, 6, 3], "skip_channels": 2}


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ({}, 2_217_702),
        ({"channels": [128] * 4}, 1_752_018),
        ({"channels": [128] * 3}, 1_286_334),
        ({"skip_channels": 128}, 3_002_498),
        ({"channels": [16, 32, 64, 128, 128]}, 1_041_798),
    ],
)
def test_parameters(arguments, count):
    assert count_parameters(SkipNet(**arguments)) == count


def test_noise_of_any_batch_gives_a_field_of_its_size_in_any_memory_order():
    torch.manual_seed(0)
    net, z = SkipNet(**SMALL), torch.randn(2, 5, 32, 64)
    field = net(z)
    assert field.shape == (2, 2, 32, 64)
    torch.testing.assert_close(net(z.contiguous(memory_format=torch.channels_last)), field)
    # Every pass is normalised by itself, so evaluation mode changes nothing.
    torch.testing.assert_close(net.eval()(z), field)
    assert not list(net.buffers())


def test_the_last_layer_is_linear():
    torch.manual_seed(0)
    net, z = SkipNet(**SMALL), torch.randn(1, 5, 32, 32)
    with torch.no_grad():
        before = net(z)
        net.last.weight *= 1000
        net.last.bias.zero_()
        assert net(z).abs().max() > 100 * before.abs().max()


def test_every_parameter_has_a_gradient():
    torch.manual_seed(0)
    net = SkipNet(**SMALL)
    net(torch.randn(1, 5, 32, 32)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    weights = [p for p in net.parameters() if p.ndim == 4]
    assert all(p.grad.abs().max() > 0 for p in weights)


@pytest.mark.parametrize(
    ("size", "padded"), [((32, 32), (32, 32)), ((33, 40), (40, 40)), ((5, 64), (32, 64)), ((28, 28), (32, 32))]
)
def test_sizes_that_do_not_halve_are_refused_with_the_one_that_does(size, padded):
    net = SkipNet(**SMALL)
    assert net.padded_size(size) == padded
    z = torch.zeros(1, 5, *size)
    if size == padded:
        net(z)
        return
    with pytest.raises(ValueError, match=rf"noise of {size[0]} x {size[1]} cannot be .* {padded[0]} x {padded[1]}"):
        net(z)


def test_other_noise_and_wrong_numbers_are_refused():
    with pytest.raises(ValueError, match=r"expected noise \(B, 5, H, W\), got \(1, 4, 32, 32\)"):
        SkipNet(**SMALL)(torch.zeros(1, 4, 32, 32))
    for wrong in ({"channels": []}, {"channels": [4, 0]}, {"skip_channels": 0}, {"z_channels": 0}):
        with pytest.raises(ValueError, match="from 1 on"):
            SkipNet(**wrong)


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_doubling_is_that_of_torch(order):
    torch.manual_seed(0)
    features = torch.randn(2, 3, 5, 4, dtype=torch.float64).contiguous(memory_format=order).requires_grad_()
    towards = torch.randn(2, 3, 10, 8, dtype=torch.float64)
    expected = functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
    (gradient,) = torch.autograd.grad((expected * towards).sum(), features)
    doubled = _Doubled.apply(features)
    torch.testing.assert_close(doubled, expected)
    (own,) = torch.autograd.grad((doubled * towards).sum(), features)
    torch.testing.assert_close(own, gradient)
    assert torch.autograd.gradcheck(_Doubled.apply, features.detach().requires_grad_())
