"""The thin-plate transformer against scipy and what defines a thin-plate spline."""

import numpy as np
import pytest
import torch
from scipy.interpolate import RBFInterpolator

from reregister.transforms import thin_plate
from reregister.transforms.thin_plate import interpolation_matrix, thin_plate_ddf


def places(size: tuple[int, int], grid: tuple[int, int]) -> np.ndarray:
    """Control points (N, 2) in voxels, by the definition s k + s/2 - 1/2."""
    axes = [np.arange(n) * (length / n) + length / n / 2 - 0.5 for length, n in zip(size, grid, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)


def voxels(size: tuple[int, int]) -> np.ndarray:
    return np.stack(np.meshgrid(*[np.arange(float(n)) for n in size], indexing="ij"), -1).reshape(-1, 2)


def random_coefficients(batch: int, grid: tuple[int, int], scale: float = 5.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, 2, *grid, generator=generator, dtype=torch.float64) * scale


@pytest.mark.parametrize(
    ("size", "grid"), [((256, 256), (16, 16)), ((28, 28), (7, 7)), ((48, 32), (6, 8)), ((10, 6), (2, 3))]
)
def test_agrees_with_scipy(size, grid):
    coefficients = random_coefficients(2, grid)
    field = thin_plate_ddf(coefficients.float(), size)
    assert field.shape == (2, 2, *size)
    assert field.dtype == torch.float32
    assert field.is_contiguous()
    for sample, found in zip(coefficients.numpy(), field.numpy(), strict=True):
        values = sample.reshape(2, -1).T
        spline = RBFInterpolator(places(size, grid), values, kernel="thin_plate_spline", degree=1)
        expected = spline(voxels(size)).T.reshape(2, *size)
        assert np.abs(found - expected).max() < 1e-4
        exact = thin_plate_ddf(torch.from_numpy(sample)[None], size)[0].numpy()
        assert np.abs(exact - expected).max() < 1e-8


@pytest.mark.parametrize(("size", "grid"), [((256, 256), (16, 16)), ((40, 24), (5, 6))])
def test_affine_fields_are_reproduced_everywhere(size, grid):
    matrix, offset = np.array([[0.1, -0.3], [0.2, 0.05]]), np.array([3.0, -7.0])
    values = (places(size, grid) @ matrix.T + offset).T.reshape(1, 2, *grid)
    expected = (voxels(size) @ matrix.T + offset).T.reshape(1, 2, *size)
    np.testing.assert_allclose(thin_plate_ddf(torch.from_numpy(values), size), expected, atol=1e-9)
    single = thin_plate_ddf(torch.from_numpy(values).float(), size)
    np.testing.assert_allclose(single, expected, rtol=0, atol=4e-6 * np.abs(expected).max())


@pytest.mark.parametrize("spacing", [1, 3, 5])
def test_interpolates_at_the_control_points(spacing):
    # With an odd spacing they stand on voxels.
    coefficients = random_coefficients(2, (6, 7))
    field = thin_plate_ddf(coefficients, (6 * spacing, 7 * spacing))
    first = (spacing - 1) // 2
    torch.testing.assert_close(field[:, :, first::spacing, first::spacing], coefficients, atol=1e-9, rtol=0)


def test_matrix_at_the_control_points_of_the_paper_is_the_identity():
    controls = torch.from_numpy(places((256, 256), (16, 16)))
    matrix = interpolation_matrix(controls, controls)
    torch.testing.assert_close(matrix, torch.eye(256, dtype=torch.float64), atol=1e-9, rtol=0)
    anywhere = torch.rand(50, 2, generator=torch.Generator().manual_seed(1)) * 400 - 70
    rows = interpolation_matrix(anywhere, controls).sum(1)
    torch.testing.assert_close(rows, torch.ones(50, dtype=torch.float64), atol=1e-9, rtol=0)


def test_no_matter_in_how_many_pieces_the_matrix_is_made(monkeypatch):
    controls, points = torch.from_numpy(places((24, 24), (4, 4))), torch.from_numpy(voxels((24, 24)))
    whole = interpolation_matrix(points, controls)
    monkeypatch.setattr(thin_plate, "_CHUNK", 100)
    torch.testing.assert_close(interpolation_matrix(points, controls), whole, atol=1e-12, rtol=0)


def test_unit_and_origin_of_the_places_have_no_influence():
    generator = torch.Generator().manual_seed(2)
    controls = torch.rand(12, 2, generator=generator, dtype=torch.float64)
    points = torch.rand(30, 2, generator=generator, dtype=torch.float64)
    near = interpolation_matrix(points, controls)
    torch.testing.assert_close(interpolation_matrix(points * 1e4 + 500, controls * 1e4 + 500), near, atol=1e-7, rtol=0)


def test_one_control_point_moves_the_whole_field():
    coefficients = torch.zeros(1, 2, 8, 8)
    coefficients[0, 0, 2, 3] = 1
    field = thin_plate_ddf(coefficients, (64, 64))
    assert (field[0, 0] != 0).float().mean() > 0.99
    assert not field[0, 1].any()


def test_gradient():
    coefficients = random_coefficients(2, (3, 4)).requires_grad_()
    assert torch.autograd.gradcheck(lambda c: thin_plate_ddf(c, (6, 8)), (coefficients,))


def test_a_matrix_made_in_inference_mode_serves_training():
    thin_plate._matrix.cache_clear()
    with torch.inference_mode():
        thin_plate_ddf(torch.ones(1, 2, 4, 4), (16, 16))
    coefficients = torch.ones(1, 2, 4, 4, requires_grad=True)
    thin_plate_ddf(coefficients, (16, 16)).sum().backward()
    assert thin_plate._matrix.cache_info().hits == 1
    assert coefficients.grad is not None
    assert float(coefficients.grad.sum()) == pytest.approx(2 * 16 * 16, rel=1e-4)


@pytest.mark.parametrize(
    ("shape", "size", "named"),
    [
        ((1, 2, 4, 4), (18, 16), "18"),
        ((1, 2, 4, 4), (16, 18), "18"),
        ((1, 2, 1, 4), (16, 16), r"\(1, 4\)"),
        ((1, 2, 4, 4, 4), (16, 16, 16), r"\(1, 2, 4, 4, 4\)"),
        ((1, 3, 4, 4), (16, 16), r"\(1, 3, 4, 4\)"),
        ((1, 2, 4, 4), (16,), r"\(16,\)"),
    ],
)
def test_errors_name_the_sizes(shape, size, named):
    with pytest.raises(ValueError, match=named):
        thin_plate_ddf(torch.zeros(shape), size)


@pytest.mark.parametrize(
    ("controls", "reason"),
    [
        ([[0.0, 0.0], [1.0, 1.0]], "three"),
        ([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0], [3.0, 6.0]], "line"),
        ([[1.0, 1.0]] * 4, "line"),
        ([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]], "coincide"),
    ],
)
def test_control_points_that_determine_no_spline_are_refused(controls, reason):
    with pytest.raises(ValueError, match=reason):
        interpolation_matrix(torch.zeros(1, 2), torch.tensor(controls))
