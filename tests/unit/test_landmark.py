"""Vector error against a known field, and the row of metrics of one pair that carries it."""

import numpy as np
import pytest
from scipy.ndimage import center_of_mass
from skimage.metrics import structural_similarity

from reregister.metrics.jacobian import jacobian_statistics
from reregister.metrics.landmark import centroid_distance, field_error
from reregister.metrics.registration import METRICS, evaluate_pair


def random_field(shape, seed=0):
    return np.random.default_rng(seed).normal(size=(len(shape), *shape))


def test_constant_offset_in_mm():
    # 3 voxels of 2 mm and 4 voxels of 0.5 mm: the triangle 6, 2.
    truth = random_field((6, 7))
    found = truth + np.array([3.0, 4.0])[:, None, None]
    result = field_error(found, truth, np.ones((6, 7), bool), (2.0, 0.5))
    assert result == pytest.approx({"mean": np.hypot(6, 2), "p95": np.hypot(6, 2), "n": 42})


def test_mean_and_percentile_over_the_mask_only():
    ddf = np.zeros((3, 5, 5, 5))
    mask = np.zeros((5, 5, 5), bool)
    mask[0] = True
    ddf[2, 0] = np.arange(25).reshape(5, 5)
    ddf[:, 1:] = 1000
    result = field_error(ddf, np.zeros_like(ddf), mask, (9.0, 9.0, 2.0))
    assert result == pytest.approx({"mean": 24.0, "p95": np.percentile(2 * np.arange(25), 95), "n": 25})


@pytest.mark.parametrize("where", ["ddf", "truth", "mask"])
def test_undefined_gives_nan_and_n_zero(where):
    fields = {"ddf": random_field((6, 7)), "truth": random_field((6, 7), 1), "mask": np.ones((6, 7), bool)}
    if where == "mask":
        fields["mask"][:] = False
    else:
        fields[where][0, 2, 2] = np.nan
    result = field_error(**fields, spacing=(1, 1))
    assert np.isnan(result["mean"])
    assert np.isnan(result["p95"])
    assert result["n"] == 0


def test_truth_may_be_undefined_outside_of_the_mask():
    truth, mask = random_field((6, 7)), np.ones((6, 7), bool)
    truth[:, 0], mask[0] = np.nan, False
    result = field_error(np.nan_to_num(truth), truth, mask, (1, 1))
    assert result == {"mean": 0.0, "p95": 0.0, "n": 35}


def test_field_error_names_wrong_shapes():
    with pytest.raises(ValueError, match=r"truth \(2, 7, 6\)"):
        field_error(np.zeros((2, 6, 7)), np.zeros((2, 7, 6)), np.ones((6, 7), bool), (1, 1))
    with pytest.raises(ValueError, match="needs 2 spacings, got 3"):
        field_error(np.zeros((2, 6, 7)), np.zeros((2, 6, 7)), np.ones((6, 7), bool), (1, 1, 1))


def pair(shape=(16, 18)):
    random = np.random.default_rng(3)
    fixed = random.random(shape)
    fixed[:4] = 0.05
    return {
        "moving": random.random(shape),
        "fixed": fixed,
        "warped": np.clip(fixed + 0.1 * random.normal(size=shape), 0, 1),
        "ddf": 0.3 * random_field(shape),
        "spacing": (0.5, 2.0, 1.0)[: len(shape)],
    }


@pytest.mark.parametrize("shape", [(16, 18), (11, 12, 13)])
def test_row_holds_each_declared_metric_of_warped_against_fixed(shape):
    case = pair(shape)
    row = evaluate_pair(**case)
    assert list(row) == list(METRICS)
    assert all(isinstance(value, float) for value in row.values())
    warped, fixed = case["warped"], case["fixed"]
    assert row["mse"] == pytest.approx(np.mean((warped - fixed) ** 2))
    assert row["mae"] == pytest.approx(np.mean(abs(warped - fixed)))
    assert row["ncc"] == pytest.approx(np.corrcoef(warped.ravel(), fixed.ravel())[0, 1])
    windows = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    assert row["ssim"] == pytest.approx(structural_similarity(warped, fixed, data_range=1.0, **windows))
    regularity = jacobian_statistics(case["ddf"])
    assert {name: row[name] for name in regularity if name in row} == {
        name: value for name, value in regularity.items() if name != "sdlogj_l2r"
    }


def test_lengths_are_in_the_unit_of_spacing():
    case = pair() | {"ddf": np.zeros((2, 16, 18))}
    case["ddf"][:, 8, 8] = (-6.0, 2.0)  # 3 mm and 4 mm
    assert evaluate_pair(**case)["max_displacement"] == pytest.approx(5)


def test_field_error_is_taken_over_the_foreground():
    case = pair()
    truth = case["ddf"] + np.array([2.0, 0.0])[:, None, None]
    truth[:, :4] = np.nan  # background of fixed
    row = evaluate_pair(**case, truth=truth)
    assert row["field_error_mean"] == pytest.approx(1.0)
    assert row["field_error_p95"] == pytest.approx(1.0)
    without = evaluate_pair(**case)
    assert np.isnan(without["field_error_mean"])
    assert np.isnan(without["field_error_p95"])
    assert {k: v for k, v in row.items() if "error" not in k} == {k: v for k, v in without.items() if "error" not in k}


def test_diverged_field_gives_nan_throughout():
    case = pair()
    case["ddf"][0, 3, 3] = np.nan
    row = evaluate_pair(**case, truth=np.zeros((2, 16, 18)))
    names = ["min_det", "fold_share", "sdlogj", "mean_det", "std_det", "max_displacement"]
    assert np.isnan([row[name] for name in names]).all()


def test_metrics_say_unit_direction_and_definition():
    for metric in METRICS.values():
        assert metric.unit
        assert metric.direction in {"higher", "lower", "none"}
        assert len(metric.definition) > 20


def test_evaluate_pair_names_wrong_shapes():
    with pytest.raises(ValueError, match=r"moving \(18, 16\)"):
        evaluate_pair(**pair() | {"moving": np.zeros((18, 16))})
    with pytest.raises(ValueError, match=r"ddf \(1, 2, 16, 18\)"):
        evaluate_pair(**pair() | {"ddf": np.zeros((1, 2, 16, 18))})
    with pytest.raises(ValueError, match="need 2 spacings, got 3"):
        evaluate_pair(**pair() | {"spacing": (1, 1, 1)})


@pytest.mark.parametrize("shape", [(14, 20), (12, 13, 14)])
def test_centroids_are_those_of_scipy(shape):
    random = np.random.default_rng(0)
    masks = [random.random(shape) < share for share in (0.2, 0.4)]
    spacing = (1.5, 0.5, 2.0)[: len(shape)]
    apart = np.subtract(*(center_of_mass(mask) for mask in masks))
    found = centroid_distance(*masks, spacing)
    assert found["centroid_distance_px"] == pytest.approx(np.linalg.norm(apart))
    assert found["centroid_distance"] == pytest.approx(np.linalg.norm(apart * spacing))
    empty = centroid_distance(masks[0], np.zeros(shape, bool), spacing)
    assert np.isnan(list(empty.values())).all()
    with pytest.raises(ValueError, match="do not fit"):
        centroid_distance(*masks, spacing[:-1])
    with pytest.raises(ValueError, match="do not fit"):
        centroid_distance(masks[0], masks[1][1:], spacing)
