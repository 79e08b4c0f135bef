"""Metrics of all pairs and labels against the metrics taken directly, and the mean images of each group."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import gaussian_filter, map_coordinates

from reregister.data.label_maps import LabelMaps
from reregister.data.store import ImageStore
from reregister.errors import ReregisterError
from reregister.evaluation.fields import MEANS, ROOTS, PairData, choose_labels, evaluate_fields
from reregister.metrics.intensity import mae, mse, ncc, ssim
from reregister.metrics.labels import LABEL_METRICS, evaluate_labels
from reregister.metrics.registration import METRICS, evaluate_pair
from reregister.tables import write_arrays, write_frame
from reregister.transforms.warp import warp

SIDE = 20
CASE = ["pair_id", "moving", "fixed", "group", "cluster"]


def smooth(shape: tuple[int, ...], seed: int, sigma: float = 2.0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=shape)
    return gaussian_filter(noise, [0] * (len(shape) - 2) + [sigma, sigma]).astype(np.float32)


@pytest.fixture
def images():
    found = smooth((8, 1, SIDE, SIDE), 0)
    return (found - found.min()) / (found.max() - found.min())


@pytest.fixture
def pairs():
    moving, fixed = [0, 3, 5, 2, 1], [4, 4, 6, 4, 7]
    return pd.DataFrame(
        {
            "pair_id": [f"p{n}" for n in range(5)],
            "moving": [f"m{n}" for n in moving],
            "fixed": [f"f{n}" for n in fixed],
            "split": "test",
            "group": ["7", "1", "7", "1", "1"],
            "cluster": [f"m{n}" for n in moving],
            "moving_row": moving,
            "fixed_row": fixed,
        }
    )


@pytest.fixture
def fields():
    return 12 * smooth((5, 2, SIDE, SIDE), 1)


NO_TRUTH = np.zeros((0, 2, SIDE, SIDE), np.float32)


NO_LABELS = {}


def data_of(images, pairs, truth=NO_TRUTH, spacing=(1.0, 1.0), unit="px", padding="border", masks=NO_LABELS, **more):
    """What fields are measured on; spacing: one for all images or a row for each; masks: by (image id, label)."""
    spacings = np.broadcast_to(spacing, (len(images), images.ndim - 2))
    store = ImageStore(images, pd.DataFrame({"spacing": [" ".join(map(repr, row)) for row in spacings.tolist()]}))
    return PairData(store, maps_of(masks, images.shape[2:], unit), pairs, truth, unit, padding, **more)


def maps_of(masks, spatial, unit="px", values=None):
    """Masks by (image id, label) as maps; values: of a label in the map of an image, by default in order of the names."""
    ids, names = (list(dict.fromkeys(key[place] for key in masks)) for place in (0, 1))
    maps, rows = np.zeros((len(ids), *spatial), np.uint8), []
    for (identity, name), mask in masks.items():
        value = (values or {}).get((identity, name), names.index(name) + 1)
        maps[ids.index(identity)][mask > 0] = value
        count = int((mask > 0).sum())
        rows.append((ids.index(identity), identity, name, value, unit, count, "" if count else "yes"))
    columns = ["row", "id", "label", "value", "unit", "voxels", "empty"]
    return LabelMaps(maps, pd.DataFrame(rows, columns=columns).astype(str))


def evaluate(images, pairs, fields, truth=NO_TRUTH, **more):
    found = evaluate_fields(data_of(images, pairs, truth, **more), fields)
    return found.metrics, found.means


def test_zero_field_gives_the_metrics_of_the_images_themselves(images, pairs):
    table, _ = evaluate(images, pairs, np.zeros((5, 2, SIDE, SIDE)))
    for row, pair in zip(table.to_dict("records"), pairs.to_dict("records"), strict=True):
        moving, fixed = images[pair["moving_row"], 0], images[pair["fixed_row"], 0]
        for name, metric in {"ncc": ncc, "mse": mse, "mae": mae, "ssim": ssim}.items():
            assert row[name] == pytest.approx(metric(moving, fixed), abs=1e-5), name
        for name, value in {"min_det": 1, "mean_det": 1, "fold_share": 0, "sdlogj": 0, "max_displacement": 0}.items():
            assert row[name] == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize(("padding", "mode"), [("border", "nearest"), ("zeros", "grid-constant")])
def test_metrics_are_those_of_the_warped_image(images, pairs, fields, padding, mode):
    table, _ = evaluate(images, pairs, fields, spacing=(0.5, 2.0), unit="mm", padding=padding)
    assert np.abs(fields).max() > 3
    for row, pair, field in zip(table.to_dict("records"), pairs.to_dict("records"), fields, strict=True):
        moving, fixed = images[pair["moving_row"], 0], images[pair["fixed_row"], 0]
        coordinates = np.indices((SIDE, SIDE)) + field.astype(np.float64)
        warped = map_coordinates(moving.astype(np.float64), coordinates, order=1, mode=mode)
        expected = evaluate_pair(moving, fixed, warped, field, (0.5, 2.0))
        for name in METRICS:
            assert row[name] == pytest.approx(expected[name], abs=1e-4, nan_ok=True), name
        longest = np.hypot(0.5 * field[0], 2.0 * field[1]).max()
        assert row["max_displacement"] == pytest.approx(longest, rel=1e-6)


def test_lengths_are_in_the_spacing_of_the_fixed_image(images, pairs):
    spacing = [[0.5 + row, 2.0] for row in range(len(images))]
    shift = np.zeros((5, 2, SIDE, SIDE), np.float32)
    shift[:, 0] = 2
    table, _ = evaluate(images, pairs, shift, spacing=spacing, unit="mm")
    assert table["max_displacement"].tolist() == [2 * (0.5 + row) for row in pairs["fixed_row"]]
    assert table["spacing"].tolist() == [f"{0.5 + row:g} 2" for row in pairs["fixed_row"]]


def test_each_finished_pair_is_told(images, pairs, fields):
    told = []
    evaluate_fields(data_of(images, pairs), fields, lambda: told.append(None))
    assert len(told) == len(pairs)


def test_table_says_which_case_a_row_is(images, pairs, fields):
    table, _ = evaluate(images, pairs, fields, spacing=(1.25, 0.5), unit="mm")
    assert list(table.columns) == [*CASE, "unit", "spacing", *METRICS]
    pd.testing.assert_frame_equal(table[CASE], pairs[CASE])
    assert (table["unit"] == "mm").all()
    assert (table["spacing"] == "1.25 0.5").all()


def test_without_a_truth_the_field_error_is_undefined(images, pairs, fields):
    table, _ = evaluate(images, pairs, fields)
    assert table[["field_error_mean", "field_error_p95"]].isna().all(axis=None)
    assert table.drop(columns=["field_error_mean", "field_error_p95"]).notna().all(axis=None)


def test_pair_without_a_truth_has_an_undefined_error_and_the_others_theirs(images, pairs, fields):
    truth = fields.copy()
    truth[:, 0] += 3
    truth[:, 1] -= 4
    truth[2] = np.nan
    truth[3, 0, 0, 0] = np.nan
    table, _ = evaluate(images, pairs, fields, truth, spacing=(2.0, 2.0), unit="mm")
    expected = [10, 10, np.nan, np.nan, 10]
    np.testing.assert_allclose(table["field_error_mean"], expected, rtol=1e-5)
    np.testing.assert_allclose(table["field_error_p95"], expected, rtol=1e-5)
    without, _ = evaluate(images, pairs, fields, spacing=(2.0, 2.0), unit="mm")
    others = [name for name in METRICS if not name.startswith("field_error")]
    pd.testing.assert_frame_equal(table[others], without[others])


def test_mean_images_of_each_group(images, pairs, fields):
    _, means = evaluate(images, pairs, fields)
    assert list(means) == [f"{group}.{name}" for group in ("1", "7") for name in ("moving", "fixed", "warped")]
    for group in ("1", "7"):
        rows = np.flatnonzero(pairs["group"] == group)
        moving, fixed = (images[pairs[name].to_numpy()[rows]] for name in ("moving_row", "fixed_row"))
        warped = warp(torch.from_numpy(moving), torch.from_numpy(fields[rows])).numpy()
        for name, stack in {"moving": moving, "fixed": fixed, "warped": warped}.items():
            assert means[f"{group}.{name}"].shape == (1, SIDE, SIDE)
            assert means[f"{group}.{name}"].dtype == np.float32
            np.testing.assert_allclose(means[f"{group}.{name}"], stack.mean(0), atol=1e-6)


def test_files_have_the_same_bytes_twice(images, pairs, fields, tmp_path):
    for number in (1, 2):
        table, means = evaluate(images, pairs, fields, fields + 1)
        write_frame(tmp_path / f"{number}.csv", table)
        write_arrays(tmp_path / f"{number}.npz", means)
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()
    assert len((tmp_path / "1.csv").read_text().splitlines()) == 6


def test_mapped_half_precision_fields_give_the_same_rows(images, pairs, fields, tmp_path):
    half = fields.astype(np.float16)
    np.save(tmp_path / "fields.npy", half)
    np.save(tmp_path / "images.npy", images)
    mapped = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("images", "fields")]
    found, _ = evaluate(mapped[0], pairs, mapped[1])
    expected, _ = evaluate(images, pairs, half.astype(np.float32))
    pd.testing.assert_frame_equal(found, expected)


def test_volumes(pairs):
    volumes = np.random.default_rng(0).random((8, 1, 12, 13, 14), dtype=np.float32)
    field = np.zeros((5, 3, 12, 13, 14), np.float32)
    field[:, 2] = 1
    none = np.zeros((0, 3, 12, 13, 14))
    table, means = evaluate(volumes, pairs, field, none, spacing=(1.0, 1.0, 3.0), unit="mm")
    assert (table["max_displacement"] == 3).all()
    assert (table["spacing"] == "1 1 3").all()
    shifted = volumes[pairs["moving_row"][0], 0][..., [*range(1, 14), 13]]
    assert table["mse"][0] == pytest.approx(mse(shifted, volumes[4, 0]), abs=1e-5)
    assert means["7.warped"].shape == (1, 12, 13, 14)


@pytest.mark.parametrize(("fields", "truth"), [(4, 0), (6, 0), (5, 4), (5, 6)])
def test_numbers_of_fields_must_fit(images, pairs, fields, truth):
    arrays = [np.zeros((n, 2, SIDE, SIDE), np.float32) for n in (fields, truth)]
    with pytest.raises(ValueError, match=f"5 pairs, but {fields} fields and {truth} true fields"):
        evaluate(images, pairs, *arrays)


def disc(row, column, radius=5):
    return (np.hypot(*(np.indices((SIDE, SIDE)) - np.reshape([row, column], (2, 1, 1)))) <= radius).astype(np.uint8)


@pytest.fixture
def masks(pairs):
    """A cavity on every image and a wall around it on some; the cavity of f6 is empty, and f7 has a wall alone."""
    ids = dict.fromkeys([*pairs["moving"], *pairs["fixed"]])
    found = {(name, "cavity"): disc(9, 8 + place % 4, 4) for place, name in enumerate(ids)}
    found["f6", "cavity"] = np.zeros((SIDE, SIDE), np.uint8)
    del found["f7", "cavity"]
    walls = ["m0", "f4", "m3", "f7", "m1"]
    places = [list(ids).index(name) % 4 for name in walls]
    around = {(n, "wall"): disc(9, 8 + p, 7) - disc(9, 8 + p, 4) for n, p in zip(walls, places, strict=True)}
    return found | around


@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_labels_are_measured_as_they_are_alone(images, pairs, fields, masks, interpolation, padding):
    more = {"padding": padding, "interpolation": interpolation}
    data = data_of(images, pairs, spacing=(1.5, 0.5), unit="mm", masks=masks, **more)
    found = evaluate_fields(data, fields)
    table = found.by_label
    cases = [(f"p{n}", name) for n in range(4) for name in ("cavity", "wall")]
    # No image of p2 has a wall.
    cases.remove(("p2", "wall"))
    cases += [("p4", "cavity"), ("p4", "wall")]
    assert [tuple(row) for row in table[["pair_id", "label"]].to_numpy()] == cases
    assert list(table.columns) == [*CASE, "unit", "spacing", "label", "scored", "interpolation", *LABEL_METRICS]
    by_id = pairs.set_index("pair_id")
    # f6 has an empty cavity, m2 no wall, f7 no cavity.
    absent = {("p2", "cavity"): (0, 1), ("p3", "wall"): (1, 0), ("p4", "cavity"): (0, 1)}
    for row in table.to_dict("records"):
        if flags := absent.get((row["pair_id"], row["label"])):
            assert (row["empty_warped"], row["empty_fixed"]) == flags
            assert all(np.isnan(row[name]) for name in LABEL_METRICS if not name.startswith("empty"))
            assert (row["interpolation"], row["scored"]) == (interpolation, "yes")
            continue
        pair = by_id.loc[row["pair_id"]]
        both = [masks[pair[side], row["label"]] for side in ("moving", "fixed")]
        (expected,) = evaluate_labels(*both, fields[int(row["pair_id"][1])], (1.5, 0.5), [1], **more)
        assert {name: row[name] for name in CASE[1:]} == pair[CASE[1:]].to_dict()
        assert (row["unit"], row["spacing"], row["interpolation"]) == ("mm", "1.5 0.5", interpolation)
        for name in LABEL_METRICS:
            assert row[name] == pytest.approx(expected[name], nan_ok=True), name
    assert found.metrics["pair_id"].tolist() == pairs["pair_id"].tolist()


def test_a_pair_has_the_mean_over_its_labels_and_counts_the_empty_ones(images, pairs, masks):
    found = evaluate_fields(data_of(images, pairs, masks=masks), np.zeros((5, 2, SIDE, SIDE), np.float32))
    by_pair, table = found.by_label.groupby("pair_id"), found.metrics.set_index("pair_id")
    for name in MEANS:
        values = by_pair[name].apply(lambda own: np.nanmean(own) if own.notna().any() else np.nan)
        pd.testing.assert_series_equal(table[name], values, check_names=False)
    # A different value for both labels, so that the mean is neither's.
    first = found.by_label[found.by_label["pair_id"] == "p0"]["dice"]
    assert first.nunique() == 2
    for name, of in ROOTS.items():
        roots = by_pair[of].apply(lambda own: np.sqrt((own**2).mean()))
        pd.testing.assert_series_equal(table[name], roots, check_names=False)
    assert table.loc["p0", "tre"] > 0
    # The empty mask is flagged, and so is one that is not there: nothing of it is defined, whatever the field.
    assert table["empty_labels"].tolist() == [0, 0, 1, 1, 1]
    assert table.loc["p2", [*MEANS, *ROOTS]].isna().all()
    moving, fixed = masks["m0", "cavity"], masks["f4", "cavity"]
    assert found.by_label["dice"][0] == pytest.approx(2 * (moving & fixed).sum() / (moving.sum() + fixed.sum()))


def test_a_pair_whose_images_share_no_label_has_no_overlap(images, pairs, masks):
    del masks["f7", "wall"]
    found = evaluate_fields(data_of(images, pairs, masks=masks), np.zeros((5, 2, SIDE, SIDE), np.float32))
    last = found.metrics.iloc[4]
    last_rows = found.by_label[found.by_label["pair_id"] == "p4"]
    assert last_rows[["label", "empty_warped", "empty_fixed"]].to_numpy().tolist() == [["cavity", 0, 1], ["wall", 0, 1]]
    assert last[[*MEANS, *ROOTS]].isna().all()
    assert last["empty_labels"] == 2
    assert np.isfinite(last["ncc"])


def test_scored_labels_alone_make_the_means_of_a_pair(images, pairs, masks, fields):
    every = evaluate_fields(data_of(images, pairs, masks=masks), fields)
    found = evaluate_fields(data_of(images, pairs, masks=masks, scored=["wall"]), fields)
    drop = lambda table: table.drop(columns="scored")  # noqa: E731
    pd.testing.assert_frame_equal(drop(found.by_label), drop(every.by_label))
    assert set(found.by_label[["label", "scored"]].itertuples(index=False, name=None)) == {
        ("cavity", ""),
        ("wall", "yes"),
    }
    walls = found.by_label[found.by_label["label"] == "wall"].set_index("pair_id")
    table = found.metrics.set_index("pair_id")
    for name, of in {**dict(zip(MEANS, MEANS, strict=True)), **ROOTS}.items():
        pd.testing.assert_series_equal(table[name].drop("p2"), walls[of], check_names=False)
    # No image of p2 has a wall: nothing is known and nothing is flagged.
    assert table.loc["p2", [*MEANS, *ROOTS, "empty_labels"]].isna().all()
    assert not np.allclose(table["dice"].iloc[:2], every.metrics["dice"].iloc[:2])


def test_which_labels_are_measured_and_scored(images, masks):
    labels = maps_of(masks, images.shape[2:])
    assert choose_labels(labels, True) == (labels, ["cavity", "wall"])
    assert choose_labels(labels, ["wall"]) == (labels, ["wall"])
    none, scored = choose_labels(labels, False)
    assert (none.names, scored) == ([], [])
    with pytest.raises(ReregisterError, match="names walls, which is no label of the data; they have cavity, wall"):
        choose_labels(labels, ["cavity", "walls"])


def test_a_label_with_other_values_in_each_map(images, pairs, masks, fields):
    values = {("m0", "cavity"): 7, ("m0", "wall"): 1, ("f4", "wall"): 9, ("m3", "cavity"): 2, ("m3", "wall"): 3}
    data = data_of(images, pairs, masks=masks)
    other = replace(data, labels=maps_of(masks, images.shape[2:], values=values))
    expected, found = (evaluate_fields(own, fields).by_label for own in (data, other))
    pd.testing.assert_frame_equal(found, expected)


def test_images_of_one_subject_share_a_map(images, pairs, masks, fields):
    data = data_of(images, pairs, masks=masks)
    own = data.labels.table[data.labels.table["id"] == "f4"]
    twin = LabelMaps(data.labels.maps, pd.concat([data.labels.table, own.assign(id="twin")], ignore_index=True))
    renamed = replace(data, labels=twin, pairs=pairs.assign(fixed=pairs["fixed"].replace("f4", "twin")))
    expected, found = (evaluate_fields(with_map, fields).by_label for with_map in (data, renamed))
    pd.testing.assert_frame_equal(found.drop(columns="fixed"), expected.drop(columns="fixed"))


def test_without_labels_there_are_no_columns_of_them(images, pairs, fields):
    found = evaluate_fields(data_of(images, pairs), fields)
    assert not set(found.metrics.columns) & {*MEANS, *ROOTS, "empty_labels"}
    assert found.by_label.empty
    columns = [*CASE, "unit", "spacing", "label", "scored", "interpolation", *LABEL_METRICS]
    assert list(found.by_label.columns) == columns


def test_a_known_shift_brings_the_mask_where_it_belongs(images, pairs):
    one = pairs.iloc[:1]
    field = np.zeros((1, 2, SIDE, SIDE), np.float32)
    # Pull-back: what lies 3 columns further on in the moving image comes here.
    field[:, 1] = 3
    masks = {("m0", "cavity"): disc(9, 12), ("f4", "cavity"): disc(9, 9)}
    found = evaluate_fields(data_of(images, one, masks=masks), field)
    assert found.metrics[[*MEANS, *ROOTS, "empty_labels"]].iloc[0].tolist() == [1, 0, 0, 0, 0, 0, 0]
    before = evaluate_fields(data_of(images, one, masks=masks, spacing=(1.0, 0.25)), 0 * field)
    assert before.metrics["dice"][0] < 0.8
    assert before.metrics["hd95"][0] == pytest.approx(0.75)
    assert before.metrics[["tre", "tre_px"]].iloc[0].tolist() == pytest.approx([0.75, 3])


def test_the_ssim_of_the_grey_values_that_were_read(images, pairs, fields):
    data = data_of(images, pairs)
    assert "ssim_raw" not in evaluate_fields(data, fields).metrics
    grey = np.round(images[:, 0] * np.linspace(60, 250, len(images))[:, None, None]) + 5
    low, high = grey.min(axis=(1, 2)), grey.max(axis=(1, 2))
    scaled = ((grey - low[:, None, None]) / (high - low)[:, None, None]).astype(np.float32)[:, None]
    data = data_of(scaled, pairs)
    columns = {"lowest": [f"{v:g}" for v in low], "highest": [f"{v:g}" for v in high]}
    with_grey = replace(data, store=ImageStore(scaled, data.store.subjects.assign(**columns)))
    found = evaluate_fields(with_grey, fields).metrics
    for row, pair, field in zip(found.itertuples(), pairs.itertuples(), fields, strict=True):
        moving = (grey[pair.moving_row] / 255).astype(np.float32)[None]
        warped = data.warped(moving, field)[0]
        assert row.ssim_raw == pytest.approx(ssim(warped, grey[pair.fixed_row] / 255), abs=1e-5)
        assert row.ssim_raw != pytest.approx(row.ssim, abs=1e-3)
