"""Jacobian determinants against analytic fields and SimpleITK, and the traps of their summaries."""

import numpy as np
import pytest
import SimpleITK
from scipy.ndimage import gaussian_filter

from reregister.metrics.jacobian import STATISTICS, STENCILS, jacobian_determinant, jacobian_statistics


def linear_field(matrix, shape):
    """u(x) = matrix @ x, (1, ndim, *shape)."""
    return np.tensordot(matrix, np.indices(shape, dtype=float), axes=1)[None]


def noise_field(shape, amplitude, sigma=1.0, margin=4, seed=0):
    """Smooth noise that vanishes within `margin` voxels of the border, (ndim, *shape)."""
    random = np.random.default_rng(seed)
    field = np.stack([gaussian_filter(random.normal(size=shape), sigma) for _ in shape])
    inside = np.zeros(shape)
    inside[tuple(slice(margin, -margin) for _ in shape)] = 1
    return amplitude * field / field.std() * inside


def itk_determinant(field, spacing):
    """SimpleITK's determinants on the tensor axes, of a field (ndim, *shape) in mm."""
    image = SimpleITK.GetImageFromArray(np.moveaxis(field[::-1], 0, -1).astype(float), isVector=True)
    image.SetSpacing([float(s) for s in spacing[::-1]])
    return SimpleITK.GetArrayFromImage(SimpleITK.DisplacementFieldJacobianDeterminant(image, True))


def rotation(angle, axes, ndim):
    matrix = np.eye(ndim)
    i, j = axes
    matrix[[i, j], [i, j]] = np.cos(angle)
    matrix[i, j], matrix[j, i] = -np.sin(angle), np.sin(angle)
    return matrix


@pytest.mark.parametrize("stencil", STENCILS)
def test_analytic_scaling(stencil):
    det = jacobian_determinant(linear_field(np.diag([0.1, -0.2]), (7, 9)), stencil=stencil)
    assert det.shape == (1, 5, 7)
    np.testing.assert_allclose(det, 1.1 * 0.8, atol=1e-12)
    det = jacobian_determinant(linear_field(np.diag([0.1, -0.2, 0.5]), (5, 6, 7)), stencil=stencil)
    assert det.shape == (1, 3, 4, 5)
    np.testing.assert_allclose(det, 1.1 * 0.8 * 1.5, atol=1e-12)


@pytest.mark.parametrize("stencil", STENCILS)
def test_any_linear_map(stencil):
    random = np.random.default_rng(0)
    for ndim in (2, 3):
        matrix = random.normal(size=(ndim, ndim))
        det = jacobian_determinant(linear_field(matrix, (5, 6, 7)[:ndim]), stencil=stencil)
        np.testing.assert_allclose(det, np.linalg.det(np.eye(ndim) + matrix), rtol=1e-9)


@pytest.mark.parametrize("stencil", STENCILS)
def test_rotation_keeps_volume_and_reflection_folds(stencil):
    turn = rotation(0.7, (0, 2), 3) @ rotation(-0.4, (0, 1), 3)
    np.testing.assert_allclose(jacobian_determinant(linear_field(turn - np.eye(3), (5, 6, 7)), stencil=stencil), 1)
    mirror = linear_field(np.diag([-2.0, 0, 0]), (5, 6, 7))[0]
    assert jacobian_statistics(mirror, stencil)["fold_share"] == 1
    assert jacobian_statistics(mirror, stencil)["min_det"] == pytest.approx(-1)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 2.0), (1.0, 1.0, 1.0), (3.0, 1.25, 0.8)])
def test_central_equals_simpleitk_inside(spacing):
    ndim = len(spacing)
    shape = (14, 15, 16)[:ndim]
    voxels = noise_field(shape, amplitude=0.8, margin=1)
    mm = voxels * np.reshape(spacing, (ndim, *[1] * ndim))
    inside = tuple(slice(1, -1) for _ in shape)
    expected = itk_determinant(mm, spacing)[inside]
    assert expected.std() > 0.1
    np.testing.assert_allclose(jacobian_determinant(mm[None], spacing=spacing)[0], expected, atol=1e-10)
    np.testing.assert_allclose(jacobian_determinant(voxels[None])[0], expected, atol=1e-10)


def test_simpleitk_differs_at_the_border_that_is_dropped():
    det = itk_determinant(linear_field(np.diag([-0.2, 0.1]), (7, 9))[0], (1, 1))
    assert det[3, 4] == pytest.approx(0.88)
    assert det[3, 0] == pytest.approx(0.8 * 1.05)


@pytest.mark.parametrize(("shape", "tolerance"), [((64, 64), 1e-12), ((24, 24, 24), 0.01)])
def test_mean_determinant_does_not_see_folds(shape, tolerance):
    found = jacobian_statistics(noise_field(shape, amplitude=0.9))
    assert found["fold_share"] > 0.02
    assert found["min_det"] < -0.2
    assert found["std_det"] > 0.4
    assert found["mean_det"] == pytest.approx(1, abs=tolerance)


@pytest.mark.parametrize("shape", [(32, 32), (16, 16, 16)])
def test_ndv_is_stricter_than_central(shape):
    field = noise_field(shape, amplitude=0.5)
    central, strict = (jacobian_determinant(field[None], stencil=stencil) for stencil in STENCILS)
    # The determinant is linear in the difference along each axis, so the central one is the mean of all combinations.
    assert (strict <= central + 1e-12).all()
    assert ((strict <= 0) & (central > 0)).any()


def test_ndv_is_the_minimum_over_one_sided_differences():
    field = noise_field((8, 9), amplitude=0.7, margin=1)
    strict = jacobian_determinant(field[None], stencil="ndv")[0]
    points = np.indices((8, 9)) + field
    for i, j in np.ndindex(strict.shape):
        here = points[:, i + 1, j + 1]
        dets = [
            np.linalg.det(
                np.stack([di * (points[:, i + 1 + di, j + 1] - here), dj * (points[:, i + 1, j + 1 + dj] - here)])
            )
            for di in (-1, 1)
            for dj in (-1, 1)
        ]
        assert strict[i, j] == pytest.approx(min(dets), abs=1e-12)


def test_only_ndv_sees_a_field_that_alternates():
    alternating = np.zeros((2, 10, 10))
    alternating[0] = 0.6 * (-1) ** np.arange(10)[:, None]
    assert jacobian_statistics(alternating, "central")["fold_share"] == 0
    folded = jacobian_statistics(alternating, "ndv")
    assert folded["fold_share"] == 1
    assert folded["min_det"] == pytest.approx(1 - 1.2)


def test_statistics_of_a_field_with_two_known_determinants():
    # det = 1 + slope along axis 0: 1.5 in one half, 0.5 in the other, and 1 at the ridge between them.
    field = np.zeros((2, 11, 5))
    field[0] = (0.5 * np.minimum(np.arange(11), 10 - np.arange(11)))[:, None]
    det = np.array([1.5] * 4 + [1] + [0.5] * 4)
    found = jacobian_statistics(field)
    assert list(found) == list(STATISTICS)
    assert all(isinstance(value, float) for value in found.values())
    expected = {"min_det": 0.5, "fold_share": 0, "mean_det": 1, "std_det": det.std()}
    expected |= {"sdlogj": np.log(det).std(), "sdlogj_l2r": np.log(det + 3).std()}
    assert found == pytest.approx(expected)


def test_learn2reg_form_hides_folds():
    # Determinants of 1 and of -1: our log is clipped at 1e-9, theirs is that of 4 and of 2.
    field = np.zeros((2, 12, 5))
    field[0] = -2.0 * np.maximum(np.arange(12) - 5.5, 0)[:, None]
    det = jacobian_determinant(field[None])[0]
    found = jacobian_statistics(field)
    assert found["fold_share"] == np.mean(det <= 0) > 0.3
    assert found["sdlogj"] == pytest.approx(np.log(np.clip(det, 1e-9, None)).std())
    assert found["sdlogj"] > 8 > 1 > found["sdlogj_l2r"] > 0


def test_zero_determinant_counts_as_fold():
    collapsed = linear_field(np.diag([-1.0, 0]), (6, 6))[0]
    assert jacobian_statistics(collapsed)["fold_share"] == 1
    assert jacobian_statistics(np.zeros((3, 4, 4, 4))) == {
        "min_det": 1, "fold_share": 0, "sdlogj": 0, "sdlogj_l2r": 0, "mean_det": 1, "std_det": 0,
    }  # fmt: skip


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_diverged_field_is_undefined_not_free_of_folds(value):
    field = np.zeros((2, 8, 8), dtype=np.float32)
    field[1, 0, 0] = value
    assert np.isnan(list(jacobian_statistics(field).values())).all()


def test_half_precision_fields_and_batches():
    fields = np.stack([noise_field((12, 13), 0.6, seed=seed) for seed in range(3)]).astype(np.float16)
    det = jacobian_determinant(fields)
    assert det.shape == (3, 10, 11)
    assert det.dtype == np.float64
    np.testing.assert_array_equal(det[2], jacobian_determinant(fields[2:].astype(float))[0])


def test_errors_name_what_was_received():
    for shape in [(2, 8, 8), (1, 3, 8, 8), (1, 2, 2, 8), (0, 2, 8, 8)]:
        with pytest.raises(ValueError, match="got shape " + str(shape).replace("(", r"\(").replace(")", r"\)")):
            jacobian_determinant(np.zeros(shape))
    with pytest.raises(ValueError, match=r"one field .* got shape \(1, 2, 8, 8\)"):
        jacobian_statistics(np.zeros((1, 2, 8, 8)))
    with pytest.raises(ValueError, match="spacing must be 2 positive"):
        jacobian_determinant(np.zeros((1, 2, 8, 8)), spacing=(1, 1, 1))
    with pytest.raises(ValueError, match="'forward'"):
        jacobian_determinant(np.zeros((1, 2, 8, 8)), stencil="forward")
