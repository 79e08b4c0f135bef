"""The B-spline transformer against scipy, tabulated row sums and its own definition."""

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline, NdBSpline

from reregister.transforms.bspline import bspline_ddf

ORDERS = [2, 3]
# Row sums for N = 256, spacing 16: what a constant grid becomes at this many pixels from the edge.
DISTANCES = [0, 4, 8, 15, 16, 24]
ROW_SUMS = {3: [0.523, 0.704, 0.848, 0.975, 0.983, 1.000], 2: [0.531, 0.742, 0.890, 1.000, 1.000, 1.000]}


def knots(size: int, grid: int, order: int) -> np.ndarray:
    """Knots of the uniform B-splines centred on s k + s/2 - 1/2, with `order` more control points beyond each edge."""
    spacing = size / grid
    first = spacing / 2 - 0.5 - order * spacing
    return first + spacing * (np.arange(grid + 2 * order + order + 1) - (order + 1) / 2)


def scipy_ddf(coefficients: np.ndarray, size: tuple[int, ...], order: int, pad: str) -> np.ndarray:
    """The same field from scipy: control points outside the image are 0 or repeat the outermost ones."""
    margin = [(order, order)] * len(size)
    mode = {"zero": "constant", "replicate": "edge"}[pad]
    points = np.stack(np.meshgrid(*[np.arange(n, dtype=float) for n in size], indexing="ij"), -1)
    axes = tuple(knots(n, g, order) for n, g in zip(size, coefficients.shape[2:], strict=True))
    fields = [
        [NdBSpline(axes, np.pad(channel, margin, mode=mode), order, extrapolate=False)(points) for channel in sample]
        for sample in coefficients
    ]
    return np.array(fields)


def constant(size: int, spacing: int, order: int, pad: str = "zero", ndim: int = 2) -> torch.Tensor:
    """Field of a grid of ones."""
    grid = [size // spacing] * ndim
    return bspline_ddf(torch.ones(1, ndim, *grid, dtype=torch.float64), (size,) * ndim, order, pad)[0]


@pytest.mark.parametrize("order", ORDERS)
def test_row_sums_near_the_edge(order):
    middle = constant(256, 16, order)[:, :, 128]
    for channel in middle:
        assert [round(float(channel[d]), 3) for d in DISTANCES] == ROW_SUMS[order]
        # The grid is centred on the image: the far edge is the mirror of the near one.
        torch.testing.assert_close(channel, channel.flip(0))


@pytest.mark.parametrize("order", ORDERS)
def test_row_sums_multiply_over_the_axes(order):
    field = constant(256, 16, order)[0]
    torch.testing.assert_close(field, torch.outer(field[:, 128], field[128]))
    assert field[0, 0] == pytest.approx({3: 0.523, 2: 0.531}[order] ** 2, abs=1e-3)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("size", "spacing"), [(12, 1), (24, 2), (28, 4), (256, 16)])
@pytest.mark.parametrize("ndim", [2, 3])
def test_partition_of_unity_inside(order, size, spacing, ndim):
    if ndim == 3:
        size = min(size, 6 * spacing)
    # The first control point that is missing stands (s + 1)/2 beyond the edge and would reach (order + 1)/2 s from there.
    margin = (order * spacing + 1) // 2
    inside = (slice(None), *[slice(margin, size - margin)] * ndim)
    field = constant(size, spacing, order, ndim=ndim)[inside]
    assert field.numel() > 0
    torch.testing.assert_close(field, torch.ones_like(field))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("size", "spacing"), [(5, 1), (8, 2), (28, 4), (48, 16), (16, 16)])
def test_replicated_border_is_a_partition_of_unity_everywhere(order, size, spacing):
    field = constant(size, spacing, order, pad="replicate")
    torch.testing.assert_close(field, torch.ones_like(field))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("spacing", [1, 2, 4, 16])
@pytest.mark.parametrize("pad", ["zero", "replicate"])
def test_output_has_the_size_asked_for(order, spacing, pad):
    for size in [(32, 48), (16, 32, 16)]:
        grid = [n // spacing for n in size]
        field = bspline_ddf(torch.randn(2, len(size), *grid), size, order, pad)
        assert field.shape == (2, len(size), *size)
        assert field.dtype == torch.float32
        assert field.is_contiguous()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("pad", ["zero", "replicate"])
@pytest.mark.parametrize(("size", "grid"), [((28, 28), (7, 7)), ((24, 40), (3, 20)), ((12, 8, 18), (4, 8, 3))])
def test_equals_scipy_on_the_same_knots(order, pad, size, grid):
    coefficients = np.random.default_rng(0).normal(size=(2, len(size), *grid))
    found = bspline_ddf(torch.from_numpy(coefficients), size, order, pad)
    expected = scipy_ddf(coefficients, size, order, pad)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
    single = bspline_ddf(torch.from_numpy(coefficients).float(), size, order, pad)
    np.testing.assert_allclose(single.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("order", ORDERS)
def test_one_control_point_gives_one_basis_function(order):
    size, grid, spacing, index = 32, 8, 4, 3
    coefficients = torch.zeros(1, 2, grid, grid, dtype=torch.float64)
    coefficients[0, 1, index, 5] = 1
    field = bspline_ddf(coefficients, (size, size), order)[0]

    def element(k: int) -> np.ndarray:
        centre = spacing * k + spacing / 2 - 0.5
        support = centre + spacing * (np.arange(order + 2) - (order + 1) / 2)
        return np.nan_to_num(BSpline.basis_element(support, extrapolate=False)(np.arange(size, dtype=float)))

    assert not field[0].any()
    np.testing.assert_allclose(field[1].numpy(), np.outer(element(index), element(5)), atol=1e-14)


@pytest.mark.parametrize(("order", "pad"), [(2, "zero"), (3, "zero"), (3, "replicate")])
@pytest.mark.parametrize(("size", "grid"), [((6, 8), (3, 2)), ((4, 4, 6), (2, 2, 3))])
def test_analytic_gradients(order, pad, size, grid):
    coefficients = torch.randn(1, len(size), *grid, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(lambda c: bspline_ddf(c, size, order, pad), coefficients.requires_grad_())


def test_gradient_is_the_transpose():
    # <B c, v> = <c, Bt v>, and v = 1 gives the column sums: s^2 for a control point inside, whatever the order.
    coefficients = torch.randn(1, 2, 8, 8, dtype=torch.float64, requires_grad=True)
    bspline_ddf(coefficients, (32, 32)).sum().backward()
    torch.testing.assert_close(coefficients.grad[..., 3, 4], torch.full((1, 2), 16.0, dtype=torch.float64))


def test_training_goes_on_after_use_under_inference_mode():
    # What is cached under inference_mode must still serve a backward pass.
    size = (22, 33)
    with torch.inference_mode():
        bspline_ddf(torch.ones(1, 2, 2, 3), size)
    coefficients = torch.ones(1, 2, 2, 3, requires_grad=True)
    bspline_ddf(coefficients, size).sum().backward()
    assert (coefficients.grad > 0).all()


@pytest.mark.parametrize(
    ("shape", "size", "order", "pad"),
    [
        ((1, 2, 7, 7), (28, 30), 3, "zero"),
        ((1, 2, 7, 7), (28, 28), 4, "zero"),
        ((1, 2, 7, 7), (28, 28), 1, "zero"),
        ((1, 2, 7, 7), (28, 28), 3, "border"),
        ((1, 3, 7, 7), (28, 28), 3, "zero"),
        ((1, 2, 4, 4, 4), (8, 8, 8), 3, "zero"),
        ((1, 2, 7, 7), (28, 28, 28), 3, "zero"),
        ((2, 7, 7), (28, 28), 3, "zero"),
    ],
)
def test_errors(shape, size, order, pad):
    with pytest.raises(ValueError, match=r"multiple|order|pad|do not fit"):
        bspline_ddf(torch.zeros(shape), size, order, pad)
