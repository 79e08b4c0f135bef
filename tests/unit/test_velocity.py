"""Velocity fields of the stand-ins against closed forms and general integrators."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from reregister.data.phantoms.velocity import (
    Deformations,
    VelocityFields,
    compose_ddf,
    exp_points,
    jacobian_determinants,
    pixel_grid,
)

SHAPES = {2: (28, 24), 3: (12, 10, 9)}


def _fields(count, ndim, linear=0.1, wave=1.0, modes=3, seed=0):
    rng = np.random.default_rng(seed)
    size = np.array(SHAPES[ndim], dtype=float)
    order = np.sum(np.meshgrid(*[np.arange(1, modes + 1) ** 2] * ndim, indexing="ij"), axis=0)
    sine = rng.uniform(-wave, wave, (count, ndim, *[modes] * ndim)) / order
    return VelocityFields(
        rng.uniform(-linear, linear, (count, ndim, ndim)), sine, size / 2, np.full(ndim, -2.0), size + 4
    )


def _deformations(count, ndim, seed=0):
    translations = np.random.default_rng(seed + 100).uniform(-1.5, 1.5, (count, ndim))
    return Deformations(_fields(count, ndim, seed=seed), translations)


@pytest.mark.parametrize("ndim", [2, 3])
def test_velocity_is_the_written_sum(ndim):
    fields = _fields(2, ndim)
    points = np.random.default_rng(1).uniform(-4, 30, (2, 5, ndim))
    expected = np.einsum("nkl,npl->npk", fields.linear, points - fields.centre)
    for mode in np.ndindex(*fields.sine.shape[2:]):
        phases = np.pi * (np.array(mode) + 1) * (points - fields.origin) / fields.extent
        expected += np.sin(phases).prod(-1)[..., None] * fields.sine[(slice(None), slice(None), *mode)][:, None]
    np.testing.assert_allclose(fields.velocity(points), expected, atol=1e-12)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("sign", [1, -1])
def test_linear_field_is_the_matrix_exponential(ndim, sign):
    fields = _fields(4, ndim, linear=0.3, wave=0)
    points = pixel_grid(SHAPES[ndim]).reshape(-1, ndim)
    result = exp_points(points, fields, sign, steps=16)
    for row in range(4):
        expected = (points - fields.centre) @ expm(sign * fields.linear[row]).T + fields.centre
        np.testing.assert_allclose(result[row], expected, atol=2e-5)


def test_full_field_against_scipy():
    fields = _fields(1, 2, wave=2.0)
    points = np.random.default_rng(2).uniform(0, 24, (6, 2))
    result = exp_points(points, fields)[0]
    for start, end in zip(points, result, strict=True):
        flow = solve_ivp(lambda _, x: fields.velocity(x[None, None])[0, 0], (0, 1), start, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(end, flow.y[:, -1], atol=1e-4)


def test_order_four():
    fields = _fields(5, 2, wave=3.0)
    points = pixel_grid(SHAPES[2]).reshape(-1, 2)
    reference = exp_points(points, fields, steps=64)
    coarse, fine = (np.abs(exp_points(points, fields, steps=steps) - reference).max() for steps in (4, 8))
    assert 10 < coarse / fine < 25


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-4), (np.float32, 2e-4)])
def test_inverse(ndim, dtype, tolerance):
    fields = _fields(6, ndim)
    points = pixel_grid(SHAPES[ndim]).reshape(-1, ndim).astype(dtype)
    there = exp_points(points, fields)
    back = exp_points(there, fields, sign=-1)
    assert there.dtype == back.dtype == dtype
    assert np.abs(there - points).max() > 0.5, "the field moves something"
    np.testing.assert_allclose(back, np.broadcast_to(points, back.shape), atol=tolerance)


def test_blocks_do_not_show(monkeypatch):
    fields = _fields(5, 2)
    points = pixel_grid(SHAPES[2]).reshape(-1, 2)
    expected = exp_points(points, fields)
    monkeypatch.setattr("reregister.data.phantoms.velocity._BLOCK_POINTS", 100)
    np.testing.assert_allclose(exp_points(points, fields), expected, atol=1e-12)
    own = np.stack([points + row for row in range(5)])
    single = np.stack([exp_points(own[row], fields.take([row]))[0] for row in range(5)])
    np.testing.assert_allclose(exp_points(own, fields), single, atol=1e-12)


@pytest.mark.parametrize("ndim", [2, 3])
def test_composition_and_determinant(ndim):
    moving, fixed = _deformations(5, ndim), _deformations(5, ndim, seed=7)
    grid = pixel_grid(SHAPES[ndim])
    ddf = compose_ddf(moving, fixed, grid)
    assert ddf.shape == (5, ndim, *SHAPES[ndim])
    places = grid + np.moveaxis(ddf, 1, -1)
    target = fixed.apply(grid.reshape(-1, ndim))
    error = np.linalg.norm(moving.apply(places.reshape(5, -1, ndim), steps=32) - target, axis=-1)
    assert error.max() < 1e-3
    assert np.abs(ddf).max() > 1
    assert jacobian_determinants(target.reshape(5, *grid.shape)).min() > 0
    assert jacobian_determinants(places).min() > 0


def test_same_deformation_gives_no_displacement():
    moving = _deformations(3, 2)
    assert np.abs(compose_ddf(moving, moving, pixel_grid((8, 9)))).max() < 1e-3


def test_pull_back_direction():
    still = VelocityFields(np.zeros((1, 2, 2)), np.zeros((1, 2, 1, 1)), np.zeros(2), np.zeros(2), np.ones(2))
    moving, fixed = Deformations(still, np.array([[0.0, 0.0]])), Deformations(still, np.array([[1.0, -2.0]]))
    # image(x) = T(x + t): the fixed image at x shows what the moving image has at x + t.
    ddf = compose_ddf(moving, fixed, pixel_grid((4, 5)))
    np.testing.assert_array_equal(ddf[0, 0], np.full((4, 5), 1.0))
    np.testing.assert_array_equal(ddf[0, 1], np.full((4, 5), -2.0))


@pytest.mark.parametrize("ndim", [2, 3])
def test_determinants(ndim):
    grid = pixel_grid((4, 5, 6)[:ndim])
    matrix = np.random.default_rng(3).normal(size=(ndim, ndim))
    result = jacobian_determinants((grid @ matrix.T)[None])
    np.testing.assert_allclose(result, np.full((1, 3, 4, 5)[: ndim + 1], np.linalg.det(matrix)))
    assert jacobian_determinants(np.flip(grid, 0)[None]).max() < 0


def test_refusals():
    fields = _fields(2, 2)
    with pytest.raises(ValueError, match="sign"):
        exp_points(np.zeros((3, 2)), fields, sign=2)
    with pytest.raises(ValueError, match="do not fit"):
        exp_points(np.zeros((3, 3)), fields)
    with pytest.raises(ValueError, match="do not fit"):
        exp_points(np.zeros((3, 4, 2)), fields)
    with pytest.raises(ValueError, match="do not fit"):
        VelocityFields(np.zeros((2, 2, 2)), np.zeros((2, 2, 3)), np.zeros(2), np.zeros(2), np.ones(2))
    with pytest.raises(ValueError, match="positive"):
        VelocityFields(np.zeros((2, 2, 2)), np.zeros((2, 2, 3, 3)), np.zeros(2), np.zeros(2), np.zeros(2))
    with pytest.raises(ValueError, match="no pairs"):
        compose_ddf(_deformations(2, 2), _deformations(3, 2), pixel_grid((3, 3)))
