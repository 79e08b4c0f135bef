"""Pairs to look at: which they are, that what is kept of them is theirs, and the frames of a sequence."""

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from reregister.data.store import ImageStore
from reregister.evaluation.examples import example_pairs, rank_pairs, sequence
from reregister.evaluation.fields import PairData, evaluate_fields
from reregister.metrics.intensity import ncc
from reregister.metrics.labels import warp_labels
from reregister.metrics.overlap import dice
from reregister.tables import write_arrays

from .test_evaluation_fields import maps_of

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


def test_overlap_goes_before_similarity() -> None:
    frame = table([0.1, 0.5, 0.3, 0.9]).assign(dice=[0.9, np.nan, 0.2, 0.7])
    assert rank_pairs(frame) == {"best": 0, "median": 3, "worst": 2}


def test_no_defined_similarity_has_no_ranks() -> None:
    assert rank_pairs(table([np.nan, np.nan])) == {}


def pictures(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(2 * PAIRS, 1, SIDE, SIDE))
    images = gaussian_filter(noise, [0, 0, 2, 2]).astype(np.float32)
    return (images - images.min()) / (images.max() - images.min())


Masks = dict[tuple[str, str], np.ndarray]


def make(
    pairs: pd.DataFrame, truth: np.ndarray, masks: Masks | None = None, scored: list[str] | None = None
) -> PairData:
    store = ImageStore(pictures(0), pd.DataFrame({"spacing": ["0.5 0.5"] * (2 * PAIRS)}))
    return PairData(store, maps_of(masks or {}, (SIDE, SIDE)), pairs, truth, "mm", "zeros", scored=scored)


@pytest.fixture
def case():
    random = np.random.default_rng(1)
    fields = 12 * gaussian_filter(random.normal(size=(PAIRS, 2, SIDE, SIDE)), [0, 0, 2, 2])
    rows = np.arange(PAIRS)
    pairs = pd.DataFrame({"pair_id": [f"p{n}" for n in rows], "split": "test", "group": ["7", "1"] * (PAIRS // 2)})
    pairs = pairs.assign(moving=[f"m{n}" for n in rows], fixed=[f"f{n}" for n in rows], cluster=[f"m{n}" for n in rows])
    pairs = pairs.assign(moving_row=rows, fixed_row=rows + PAIRS)
    return pairs, fields.astype(np.float16)


def masks_of(pairs: pd.DataFrame) -> Masks:
    """A disc on every image, at places that make the overlap of each pair another, and a ring around it."""
    inside = np.indices((SIDE, SIDE)) - 9.5
    names = [(name, 0) for name in pairs["moving"]] + [(name, n) for n, name in enumerate(pairs["fixed"], 1)]
    away = {name: np.hypot(inside[0], inside[1] - shift / 2) for name, shift in names}
    cavities = {(name, "cavity"): far <= 6 for name, far in away.items()}
    return cavities | {(name, "wall"): (far > 6) & (far <= 8) for name, far in away.items()}


def test_examples_are_the_pairs_of_their_ranks(case) -> None:
    pairs, fields = case
    data = make(pairs, fields + 1)
    images = data.store.images
    metrics = evaluate_fields(data, fields).metrics
    found = example_pairs(data, fields, metrics)
    assert list(found["rank"]) == ["best", "median", "worst", "common"]
    ordered = sorted(metrics["ncc"], reverse=True)
    assert found["ncc_after"].tolist()[:3] == [ordered[0], ordered[2], ordered[5]]
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
    np.testing.assert_array_equal(found["spacing"], np.full((4, 2), 0.5))
    # A store without affines does not say where axes lead.
    assert found["axes"].tolist() == [""] * 4
    assert found["label_names"].shape == (4, 0)
    # Without labels: no overlap, and masks of zeros in the images' size.
    assert np.isnan(found["dice_before"]).all()
    assert np.isnan(found["dice_after"]).all()
    for side in ("moving", "fixed", "warped"):
        assert found[f"mask_{side}"].shape == (4, SIDE, SIDE)
        assert found[f"mask_{side}"].dtype == np.uint8
        assert not found[f"mask_{side}"].any()


def test_the_common_pair_is_the_median_one_before_registration_whoever_registers(case) -> None:
    pairs, fields = case
    for masks in (None, masks_of(pairs)):
        data = make(pairs, fields + 1, masks)
        shown = []
        for own in (fields, -fields[::-1], 0 * fields):
            found = example_pairs(data, own, evaluate_fields(data, own).metrics)
            shown.append(found["pair_id"][list(found["rank"]).index("common")])
        before = evaluate_fields(data, 0 * fields).metrics
        score = "dice" if masks else "ncc"
        assert set(shown) == {before.sort_values(score, ascending=False)["pair_id"].iloc[2]}


def test_the_common_pair_has_labels_where_some_pairs_have(case) -> None:
    pairs, fields = case
    # p0 to p2 have none; the overlaps of the others fall from p3 to p5.
    masks = {key: mask for key, mask in masks_of(pairs).items() if key[0][1:] in "345"}
    data = make(pairs, fields + 1, masks)
    found = example_pairs(data, fields, evaluate_fields(data, fields).metrics)
    assert dict(zip(found["rank"], found["pair_id"], strict=True))["common"] == "p4"


@pytest.mark.parametrize("scored", [["cavity"], ["wall", "cavity"]])
def test_examples_of_labels_go_by_overlap_and_show_the_scored_labels(case, scored) -> None:
    pairs, fields = case
    masks = masks_of(pairs)
    data = make(pairs, fields + 1, masks, scored)
    evaluation = evaluate_fields(data, fields)
    found = example_pairs(data, fields, evaluation.metrics)
    ranked = dict(zip(found["rank"], found["pair_id"], strict=True))
    by_id = evaluation.metrics.set_index("pair_id")["dice"]
    assert (ranked["best"], ranked["worst"]) == (by_id.idxmax(), by_id.idxmin())
    for place, name in enumerate(found["pair_id"]):
        row = int(name[1:])
        before, after = [], []
        for number, label in enumerate(scored, 1):
            moving, fixed = masks[f"m{row}", label], masks[f"f{row}", label]
            np.testing.assert_array_equal(found["mask_moving"][place] == number, moving)
            np.testing.assert_array_equal(found["mask_fixed"][place] == number, fixed)
            warped = warp_labels(moving, fields[row].astype(np.float32), [1], "linear", "zeros")[0]
            # At a tie two labels may share a pixel, which the later one of a map takes.
            assert np.mean((found["mask_warped"][place] == number) != warped) < 0.01
            before.append(dice(moving, fixed))
            after.append(dice(warped, fixed))
        assert found["mask_moving"][place].max() == len(scored)
        assert found["dice_before"][place] == pytest.approx(np.mean(before))
        assert found["dice_after"][place] == by_id[name] == pytest.approx(np.mean(after))
    assert found["mask_moving"].dtype == found["mask_warped"].dtype == np.uint8
    assert found["label_names"].tolist() == [scored] * 4


def test_a_pair_without_a_common_label_has_no_overlap_to_show(case) -> None:
    pairs, fields = case
    masks = masks_of(pairs)
    for name in ("cavity", "wall"):
        del masks["f0", name]
        masks["m1", name] = np.zeros((SIDE, SIDE))
    data = make(pairs.iloc[:2], np.zeros((0, 2, SIDE, SIDE)), masks)
    metrics = evaluate_fields(data, fields[:2]).metrics
    assert metrics["dice"].isna().all()
    found = example_pairs(data, fields, metrics.drop(columns="dice"))
    assert len(found["rank"]) == 4
    assert np.isnan(found["dice_before"]).all()
    assert np.isnan(found["dice_after"]).all()
    assert not found["mask_warped"].any()


def test_examples_are_stored_without_pickles_and_with_the_same_bytes(case, tmp_path) -> None:
    pairs, fields = case
    data = make(pairs, np.zeros((0, 2, SIDE, SIDE)), masks_of(pairs))
    metrics = evaluate_fields(data, fields).metrics
    for number in (1, 2):
        examples = example_pairs(data, fields, metrics)
        write_arrays(tmp_path / f"{number}.npz", {"method": "affine", **examples})
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()
    with np.load(tmp_path / "1.npz", allow_pickle=False) as arrays:
        assert str(arrays["method"]) == "affine"
        assert np.isnan(arrays["field_error"]).all()
        assert arrays["warped"].shape == (4, 1, SIDE, SIDE)


def test_without_ranks_there_is_nothing(case) -> None:
    pairs, fields = case
    metrics = pairs[["pair_id"]].assign(ncc=np.nan)
    assert example_pairs(make(pairs, fields), fields, metrics) == {}


def test_a_sequence_is_all_frames_on_one_fixed_image(case) -> None:
    pairs, fields = case
    one = pairs.assign(fixed="f2", fixed_row=2 + PAIRS, group="slice")
    masks = {("m3", "cavity"): masks_of(pairs)["m3", "cavity"]}
    data = make(one, np.zeros((0, 2, SIDE, SIDE)), masks)
    images = data.store.images
    found = sequence(data, fields)
    assert found["ids"].tolist() == [f"m{n}" for n in range(PAIRS)]
    assert (found["group"], found["unit"]) == ("slice", "mm")
    np.testing.assert_array_equal(found["moving"], images[:PAIRS])
    np.testing.assert_array_equal(found["fixed"], images[2 + PAIRS])
    np.testing.assert_array_equal(found["ddf"], fields.astype(np.float32))
    for row in range(PAIRS):
        coordinates = np.indices((SIDE, SIDE)) + fields[row].astype(np.float64)
        warped = map_coordinates(images[row, 0].astype(np.float64), coordinates, order=1, mode="grid-constant")
        np.testing.assert_allclose(found["warped"][row, 0], warped, atol=1e-5)
        assert found["ncc_before"][row] == pytest.approx(ncc(images[row, 0], images[2 + PAIRS, 0]))
        assert found["ncc_after"][row] == pytest.approx(ncc(warped, images[2 + PAIRS, 0]), abs=1e-5)
        np.testing.assert_array_equal(found["mask_moving"][row], masks["m3", "cavity"] * (row == 3))
    with pytest.raises(ValueError, match="have one fixed image"):
        sequence(make(pairs, fields), fields)
