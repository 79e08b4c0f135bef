"""Similarity terms against numpy, and their weighted sum."""

import numpy as np
import pytest
import torch

from reregister.errors import ReregisterError
from reregister.losses import (
    TERMS,
    Registered,
    build_loss,
    global_ncc,
    ncc_batch_loss,
    ncc_loss,
    normalised_field,
)
from reregister.terms.label_dice import label_reg_dice
from reregister.terms.local_ncc import local_ncc
from reregister.terms.smoothness import bending_compact, bending_wide, grad_l2_central, grad_l2_forward, image_grad_l1

SHAPES = [(5, 1, 12, 9), (3, 2, 6, 7, 8)]


def random_pair(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    first = torch.rand(shape, generator=generator, dtype=torch.float64)
    return first, 0.5 * first + torch.rand(shape, generator=generator, dtype=torch.float64)


def registered(warped, fixed):
    return Registered(warped, fixed, warped, torch.zeros(len(fixed), 2, *fixed.shape[2:], dtype=fixed.dtype))


@pytest.mark.parametrize("shape", SHAPES)
def test_ncc_of_each_sample_equals_numpy(shape):
    first, second = random_pair(shape)
    found = global_ncc(first, second)
    expected = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(first.numpy(), second.numpy(), strict=True)]
    assert found.shape == (shape[0],)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)
    np.testing.assert_allclose(global_ncc(first.float(), second.float()).numpy(), expected, atol=1e-5)


def test_ncc_ignores_brightness_and_contrast():
    first, second = random_pair((4, 1, 10, 10))
    scale = torch.tensor([0.2, 1.0, 3.0, 10.0], dtype=torch.float64).view(4, 1, 1, 1)
    torch.testing.assert_close(global_ncc(scale * first - 2, second), global_ncc(first, second))


def test_ncc_range():
    first, _ = random_pair((4, 1, 10, 10))
    torch.testing.assert_close(global_ncc(first, 2 * first + 1), torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(global_ncc(first, 1 - first), -torch.ones(4, dtype=torch.float64))
    for seed in range(20):
        values = global_ncc(*(t.float() for t in random_pair((6, 1, 7, 7), seed)))
        assert values.abs().max() <= 1 + 1e-6


def test_samples_are_averaged_and_not_pooled():
    # Two pairs of unlike brightness and no similarity within either: taken as one image they look alike.
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(2, 2, 1, 40, 40, generator=generator, dtype=torch.float64)
    brightness = torch.tensor([0.0, 5.0], dtype=torch.float64).view(2, 1, 1, 1)
    warped, fixed = noise + brightness
    pooled = np.corrcoef(warped.numpy().ravel(), fixed.numpy().ravel())[0, 1]
    assert pooled > 0.95
    found = -ncc_loss(registered(warped, fixed))
    each = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(warped.numpy(), fixed.numpy(), strict=True)]
    assert float(found) == pytest.approx(np.mean(each), abs=1e-9)
    assert abs(float(found)) < 0.1


@pytest.mark.parametrize("shape", SHAPES)
def test_ncc_of_a_batch_takes_it_as_one_image(shape):
    warped, fixed = random_pair(shape)
    # Brightness that differs between the pairs counts here, and only here.
    fixed += torch.arange(shape[0], dtype=torch.float64).view(-1, *[1] * (len(shape) - 1))
    found = ncc_batch_loss(registered(warped, fixed))
    assert found.shape == ()
    assert float(found) == pytest.approx(-np.corrcoef(warped.numpy().ravel(), fixed.numpy().ravel())[0, 1], abs=1e-9)
    assert abs(float(found - ncc_loss(registered(warped, fixed)))) > 0.05
    assert build_loss({"ncc_batch": 2.0})(registered(warped, fixed)) == 2 * found


def test_both_readings_of_ncc_agree_on_a_single_pair():
    warped, fixed = random_pair((1, 1, 9, 9))
    pair = registered(warped.requires_grad_(), fixed)
    torch.testing.assert_close(ncc_batch_loss(pair), ncc_loss(pair))
    gradients = [torch.autograd.grad(loss(pair), warped)[0] for loss in (ncc_batch_loss, ncc_loss)]
    torch.testing.assert_close(*gradients)


def test_strong_contrast_does_not_outweigh_a_weak_one():
    # A good pair of high contrast and a bad one of low contrast count the same.
    first, second = random_pair((2, 1, 20, 20))
    warped, fixed = first.clone(), torch.stack([first[0], second[1].flip(-1)])
    warped[0] *= 100
    fixed[0] *= 100
    bad = np.corrcoef(warped[1].numpy().ravel(), fixed[1].numpy().ravel())[0, 1]
    assert float(ncc_loss(registered(warped, fixed))) == pytest.approx(-(1 + bad) / 2, abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, 1.0, 0.3])
def test_constant_image_gives_zero_and_finite_gradients(dtype, value):
    first, second = (t.to(dtype) for t in random_pair((2, 1, 28, 28)))
    constant = torch.full_like(first, value, requires_grad=True)
    other = second.clone().requires_grad_()
    values = global_ncc(constant, other)
    assert values.abs().max() < 1e-3
    values.sum().backward()
    assert torch.isfinite(constant.grad).all()
    assert torch.isfinite(other.grad).all()
    both = global_ncc(constant, constant)
    assert both.abs().max() < 1e-3
    both.sum().backward()
    assert torch.isfinite(constant.grad).all()


def test_analytic_gradients():
    first, second = random_pair((2, 1, 4, 4))
    assert torch.autograd.gradcheck(global_ncc, (first.requires_grad_(), second.requires_grad_()))


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(2, 1, 4, 4\).*\(2, 1, 4, 5\)"):
        global_ncc(torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 5))


def test_loss_compares_warped_with_fixed():
    moving, fixed = random_pair((2, 1, 9, 9))
    warped = moving.flip(-1)
    loss = build_loss({"ncc": 1.0})(Registered(moving, fixed, warped, torch.zeros(2, 2, 9, 9)))
    assert loss.shape == ()
    assert float(loss) == pytest.approx(-float(global_ncc(warped, fixed).mean()))
    assert float(loss) != pytest.approx(-float(global_ncc(moving, fixed).mean()), abs=1e-3)


def test_weights_are_applied(monkeypatch):
    monkeypatch.setitem(TERMS, "size", lambda pair: pair.ddf.square().mean())
    first, second = random_pair((2, 1, 9, 9))
    pair = Registered(first, second, first, torch.full((2, 2, 9, 9), 2.0, dtype=torch.float64))
    ncc = float(ncc_loss(pair))
    assert float(build_loss({"ncc": 1.0})(pair)) == pytest.approx(ncc)
    assert float(build_loss({"ncc": 0.25})(pair)) == pytest.approx(0.25 * ncc)
    assert float(build_loss({"ncc": 0.5, "size": 3.0})(pair)) == pytest.approx(0.5 * ncc + 12)
    assert float(build_loss({"ncc": 0.0, "size": 1.0})(pair)) == pytest.approx(4)


def test_loss_has_gradients_to_the_warped_image():
    first, second = random_pair((2, 1, 9, 9))
    warped = first.clone().requires_grad_()
    build_loss({"ncc": 1.0})(registered(warped, second)).backward()
    # A step against the gradient raises the similarity.
    better = global_ncc(warped.detach() - 10 * warped.grad, second).mean()
    assert better > global_ncc(first, second).mean()


@pytest.mark.parametrize("weights", [{"lncc": 1.0}, {"ncc": 1.0, "lncc": 1.0}])
def test_unknown_term_is_named_with_the_known(weights):
    with pytest.raises(ReregisterError, match=r"lncc.*ncc"):
        build_loss(weights)


def test_a_term_is_needed():
    with pytest.raises(ReregisterError, match="at least one"):
        build_loss({})


def linear_field(shape, matrix):
    """A field (1, ndim, *shape) whose displacement is a matrix times the voxel's place."""
    places = torch.from_numpy(np.indices(shape).astype(np.float64))
    return torch.einsum("kj,j...->k...", torch.tensor(matrix, dtype=torch.float64), places)[None]


def test_mse_and_ssd_equal_numpy():
    warped, fixed = random_pair((3, 1, 12, 9))
    pair = registered(warped, fixed)
    squares = np.square((warped - fixed).numpy())
    assert float(TERMS["mse"](pair)) == pytest.approx(squares.mean(), abs=1e-12)
    assert float(TERMS["ssd"](pair)) == pytest.approx(squares.sum(axis=(1, 2, 3)).mean(), abs=1e-12)
    assert float(TERMS["ssd"](pair) / TERMS["mse"](pair)) == pytest.approx(12 * 9)


def test_grad_l2_forward_of_the_specification():
    # papers.md 1.4: 0.0625 for u_0 = 0.5 x_0 in 2-D.
    assert float(grad_l2_forward(linear_field((12, 9), [[0.5, 0], [0, 0]]))) == pytest.approx(0.0625)
    # Mean over the components of a field, too: in 3-D the same is a third of a third of 0.25.
    matrix = [[0.5, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert float(grad_l2_forward(linear_field((6, 7, 8), matrix))) == pytest.approx(0.25 / 9)
    assert not grad_l2_forward(torch.full((2, 2, 8, 8), 3.0)).any()


@pytest.mark.parametrize("shape", [(2, 2, 7, 9), (1, 3, 5, 6, 7)])
def test_grad_l2_forward_equals_numpy(shape):
    field = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = np.mean([np.square(np.diff(field.numpy(), axis=axis)).mean() for axis in range(2, field.ndim)])
    assert float(grad_l2_forward(field).mean()) == pytest.approx(expected, rel=1e-12)


def test_smoothness_is_that_of_the_normalised_field():
    ddf = linear_field((28, 15), [[0.5, 0], [0.2, 0.3]])
    # u_norm = 2 u / (N - 1) with the side along which the component points.
    rows, columns = 2 / 27, 2 / 14
    squares = [(0.5 * rows) ** 2, (0.2 * columns) ** 2, (0.3 * columns) ** 2]
    pair = Registered(torch.zeros(1), torch.zeros(1), torch.zeros(1), ddf)
    found = float(TERMS["grad_l2_forward_normalised"](pair))
    assert found == pytest.approx(((squares[0] + squares[1]) / 2 + squares[2] / 2) / 2)
    # A field of half the image is 1 at the far end.
    far = normalised_field(torch.full((1, 2, 28, 15), 13.5))
    assert far[0, 0, 0, 0] == 1
    assert float(far[0, 1, 0, 0]) == pytest.approx(13.5 / 7)


def test_terms_apart_and_together():
    warped, fixed = random_pair((2, 1, 8, 8))
    pair = registered(warped, fixed)
    pair = Registered(warped, fixed, warped, linear_field((8, 8), [[0.5, 0], [0, 0]]).expand(2, -1, -1, -1))
    loss = build_loss({"mse": 2.0, "grad_l2_forward_normalised": 0.1})
    terms = loss.terms(pair)
    assert list(terms) == ["grad_l2_forward_normalised", "mse"]
    assert float(terms["mse"]) == pytest.approx(float((warped - fixed).square().mean()))
    assert float(loss(pair)) == pytest.approx(2 * float(terms["mse"]) + 0.1 * 0.0625 * (2 / 7) ** 2)
    assert float(loss.total(terms)) == float(loss(pair))


def volumes(batch=2, labels=3, side=10, seed=0):
    """A registered batch with labels: boxes that differ in size and place."""
    generator = torch.Generator().manual_seed(seed)
    moving, fixed, warped = torch.rand(3, batch, 1, side, side, side, generator=generator)
    ddf = torch.randn(batch, 3, side, side, side, generator=generator)
    masks = torch.zeros(3, batch, labels, side, side, side)
    for place in np.ndindex(3, batch, labels):
        low = torch.randint(0, 5, (3,), generator=generator)
        masks[(*place, *(slice(int(start), int(start) + 4) for start in low))] = 1
    return Registered(moving, fixed, warped, ddf, masks[0], masks[1], 0.9 * masks[2])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("local_ncc", lambda pair: -local_ncc(pair.warped, pair.fixed, 9)),
        ("image_grad_l1", lambda pair: image_grad_l1(pair.warped)),
        ("image_grad_l2", lambda pair: grad_l2_forward(pair.warped)),
        ("grad_l2_forward", lambda pair: grad_l2_forward(pair.ddf)),
        ("grad_l2_central", lambda pair: grad_l2_central(pair.ddf)),
        ("bending_wide", lambda pair: bending_wide(pair.ddf)),
        ("bending_compact", lambda pair: bending_compact(pair.ddf)),
        ("label_dice", lambda pair: label_reg_dice(pair.warped_labels, pair.fixed_labels)),
    ],
)
def test_terms_of_volumes_by_their_names(name, expected):
    pair = volumes()
    assert float(build_loss({name: 2.0})(pair)) == pytest.approx(2 * float(expected(pair).mean()), rel=1e-6)


def test_dice_is_averaged_over_the_labels_that_both_images_have():
    pair = volumes(batch=3)
    pair.moving_labels[0, 1] = 0
    pair.fixed_labels[0, 2] = 0
    pair.fixed_labels[1, 0] = 0
    values = label_reg_dice(pair.warped_labels, pair.fixed_labels)
    expected = (values[0, 0] + values[1, 1:].mean() + values[2].mean()) / 3
    assert float(TERMS["label_dice"](pair)) == pytest.approx(float(expected), rel=1e-6)
    # A warped label that has left the image is not absent: it is as bad as can be.
    pair.warped_labels[2, 0] = 0
    assert float(TERMS["label_dice"](pair)) > float(expected) + 0.01
    pair.moving_labels[:] = 0
    assert float(TERMS["label_dice"](pair)) == 0


def test_an_absent_label_moves_nothing():
    pair = volumes(batch=1, labels=2)
    pair.moving_labels[0, 1] = 0
    warped = pair.warped_labels.requires_grad_()
    TERMS["label_dice"](pair).backward()
    assert warped.grad[0, 0].any()
    assert not warped.grad[0, 1].any()


def test_dice_of_labels_needs_labels():
    warped, fixed = random_pair((1, 1, 6, 6, 6))
    with pytest.raises(ReregisterError, match=r"label_dice needs labels; give training\.labels"):
        build_loss({"label_dice": 1.0, "mse": 1.0})(registered(warped, fixed))
