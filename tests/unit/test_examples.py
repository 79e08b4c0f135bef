"""The best, the median and the worst pair of a method: which they are, and that what is kept of them is theirs."""

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from reregister.metrics.evaluation import evaluate_fields
from reregister.metrics.examples import example_pairs, rank_pairs
from reregister.metrics.intensity import ncc
from reregister.tables import write_arrays

SIDE, PAIRS = 20, 6


def table(values: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"pair_id": [f"p{n}" for n in range(len(values))], "ncc": values})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.1, 0.5, 0.3, 0.9, 0.7], [3, 1, 0]),
        ([0.1, 0.5, 0.3, 0.9], [3, 1, 0]),
        ([0.4, 0.4, 0.4], [0, 1, 2]),
        ([0.2, np.nan, 0.8], [2, 2, 0]),
        ([0.2, 0.8], [1, 1, 0]),
        ([-0.5], [0, 0, 0]),
    ],
)
def test_ranks(values: list[float], expected: list[int]) -> None:
    assert rank_pairs(table(values)) == dict(zip(("best", "median", "worst"), expected, strict=True))


def test_ties_go_by_the_pair_and_not_by_the_row() -> None:
    frame = table([0.4, 0.4, 0.4]).iloc[::-1].reset_index(drop=True)
    ranked = rank_pairs(frame)
    assert [frame["pair_id"][row] for row in ranked.values()] == ["p0", "p1", "p2"]


def test_no_defined_similarity_has_no_ranks() -> None:
    assert rank_pairs(table([np.nan, np.nan])) == {}


@pytest.fixture
def case():
    random = np.random.default_rng(0)
    images = gaussian_filter(random.normal(size=(2 * PAIRS, 1, SIDE, SIDE)), [0, 0, 2, 2]).astype(np.float32)
    images = (images - images.min()) / (images.max() - images.min())
    fields = 12 * gaussian_filter(random.normal(size=(PAIRS, 2, SIDE, SIDE)), [0, 0, 2, 2])
    rows = np.arange(PAIRS)
    pairs = pd.DataFrame({"pair_id": [f"p{n}" for n in rows], "split": "test", "group": ["7", "1"] * (PAIRS // 2)})
    pairs = pairs.assign(moving=[f"m{n}" for n in rows], fixed=[f"f{n}" for n in rows], cluster=[f"m{n}" for n in rows])
    pairs = pairs.assign(moving_row=rows, fixed_row=rows + PAIRS)
    return images, pairs, fields.astype(np.float16), fields + 1


def test_examples_are_the_pairs_of_their_ranks(case) -> None:
    images, pairs, fields, truth = case
    metrics, _ = evaluate_fields(images, pairs, fields, truth, (0.5, 0.5), "mm", "zeros")
    found = example_pairs(images, pairs, fields, metrics, "zeros")
    assert list(found["rank"]) == ["best", "median", "worst"]
    ordered = sorted(metrics["ncc"], reverse=True)
    assert found["ncc_after"].tolist() == [ordered[0], ordered[2], ordered[5]]
    by_id = metrics.set_index("pair_id")
    for place, name in enumerate(found["pair_id"]):
        row = int(name[1:])
        assert (found["moving_id"][place], found["fixed_id"][place]) == (f"m{row}", f"f{row}")
        assert (found["group"][place], found["unit"][place]) == (pairs["group"][row], "mm")
        np.testing.assert_array_equal(found["moving"][place], images[row])
        np.testing.assert_array_equal(found["fixed"][place], images[row + PAIRS])
        np.testing.assert_array_equal(found["ddf"][place], fields[row].astype(np.float32))
        coordinates = np.indices((SIDE, SIDE)) + fields[row].astype(np.float64)
        warped = map_coordinates(images[row, 0].astype(np.float64), coordinates, order=1, mode="grid-constant")
        np.testing.assert_allclose(found["warped"][place, 0], warped, atol=1e-5)
        assert found["ncc_before"][place] == pytest.approx(ncc(images[row, 0], images[row + PAIRS, 0]))
        for key, column in (("fold_share", "fold_share"), ("field_error", "field_error_mean")):
            assert found[key][place] == by_id.loc[name, column]


def test_examples_are_stored_without_pickles_and_with_the_same_bytes(case, tmp_path) -> None:
    images, pairs, fields, _ = case
    none = np.zeros((0, 2, SIDE, SIDE))
    metrics, _ = evaluate_fields(images, pairs, fields, none, (1.0, 1.0), "px", "border")
    for number in (1, 2):
        examples = example_pairs(images, pairs, fields, metrics, "border")
        write_arrays(tmp_path / f"{number}.npz", {"method": "affine", **examples})
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()
    with np.load(tmp_path / "1.npz", allow_pickle=False) as arrays:
        assert str(arrays["method"]) == "affine"
        assert np.isnan(arrays["field_error"]).all()
        assert arrays["warped"].shape == (3, 1, SIDE, SIDE)


def test_without_ranks_there_is_nothing(case) -> None:
    images, pairs, fields, _ = case
    metrics = pairs[["pair_id"]].assign(ncc=np.nan)
    assert example_pairs(images, pairs, fields, metrics, "border") == {}
