"""The LGG reader and its pairs on small files of the Kaggle layout, and on the real sample where it is at hand."""

import hashlib
import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from reregister.data.label_map_files import write_label_maps
from reregister.data.label_maps import LabelMaps
from reregister.data.readers.tcga_lgg import ORIGINAL, check_counts, read
from reregister.data.store import SUBJECT_COLUMNS, ImageStore, write_store
from reregister.data.tcga_lgg.cases import LIST_SHA256, SLICES
from reregister.data.tcga_lgg.pairs import adjacent_slices, chosen_slices, consecutive_cases
from reregister.errors import ReregisterError

SHAPE = (20, 24)
ONE, TWO, THREE = "TCGA_CS_4941_19960909", "TCGA_DU_A5TP_19970614", "TCGA_HT_7473_19970826"


def tiff(pixels, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="TIFF", **options)
    return buffer.getvalue()


def pixels(seed, shape=SHAPE, top=200):
    return np.random.default_rng(seed).integers(5, top, (*shape, 3), dtype=np.uint8)


def mask(area, shape=SHAPE):
    flat = np.zeros(shape[0] * shape[1], np.uint8)
    flat[:area] = 255
    return flat.reshape(shape)


def place(case, number, kind=""):
    return f"kaggle_3m/{case}/{case}_{number}{kind}.tif"


def case_files(case, areas, first=1):
    """Image and mask of slices with these tumour areas."""
    files = {}
    for number, area in enumerate(areas, start=first):
        files[place(case, number)] = tiff(pixels(number))
        files[place(case, number, "_mask")] = tiff(mask(area))
    return files


def take(folder, files, **options):
    """What is read from an extracted folder with these files."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return read({"lgg": folder}, {}, options.pop("expect", {}), **options)


def pack(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return {path.name: path}


def subjects_of(reading):
    return pd.concat([subjects for _, subjects in reading], ignore_index=True)


GOOD = {**case_files(ONE, [0, 30, 50, 50, 0]), **case_files(TWO, [40, 20]), "kaggle_3m/data.csv": b"Patient\n"}


def test_official_archive(tmp_path):
    paths = [tmp_path / name for name in ("images.npy", "subjects.csv", "labels.npy", "labels.csv")]
    with read(pack(tmp_path / "lgg-mri-segmentation.zip", GOOD), {}, {}) as reading:
        batches = list(reading)
        assert [len(images) for images, _ in batches] == [5, 2], "one case at a time"
        write_store(*paths[:2], reading.count, reading)
        write_label_maps(*paths[2:], reading.shape, reading.labels())
        assert reading.report == []
    store, labels = ImageStore.open(*paths[:2]), LabelMaps.open(*paths[2:])
    assert store.images.shape == (7, 1, *SHAPE)
    assert list(store.subjects.columns[:7]) == list(SUBJECT_COLUMNS)
    row = store.subjects.iloc[store.index([f"{TWO}_2"])[0]].to_dict()
    content = GOOD[place(TWO, 2)]
    flair = pixels(2)[..., 1]
    assert row == {
        **{"id": f"{TWO}_2", "group": TWO, "cluster": TWO, "split": "all", "spacing": "1 1", "source": place(TWO, 2)},
        **{"sha256": hashlib.sha256(content).hexdigest(), "slice": "2", "site": "DU", "tumour_area": "20"},
        **{"head_area": str((flair > flair.min() + 0.1 * np.ptp(flair)).sum()), "sequences": "pre flair post"},
        **{"lowest": str(flair.min()), "highest": str(flair.max())},
    }
    np.testing.assert_allclose(store.images[6, 0], (flair - flair.min()) / np.ptp(flair), atol=1e-6)
    assert (store.images.min(axis=(1, 2, 3)) == 0).all()
    assert (store.images.max(axis=(1, 2, 3)) == 1).all()
    assert labels.table["empty"].tolist() == ["yes", "", "", "", "yes", "", ""]
    assert set(labels.table["unit"]) == {"px"}
    np.testing.assert_array_equal(labels.mask(f"{ONE}_2", "tumour"), mask(30) // 255)


def test_raw_intensities_follow_from_the_others(tmp_path):
    with take(tmp_path, GOOD) as reading, read({"lgg": tmp_path}, {}, {}, intensities="raw") as other:
        for (scaled, rows), (raw, _) in zip(reading, other, strict=True):
            low, high = (rows[name].astype(int).to_numpy()[:, None, None, None] for name in ("lowest", "highest"))
            np.testing.assert_allclose((scaled * (high - low) + low) / 255, raw, atol=1e-6)
            assert raw.dtype == scaled.dtype == np.float32
    with pytest.raises(ReregisterError, match="'255' are unknown; allowed are min_max, raw"):
        read({"lgg": tmp_path}, {}, {}, intensities="255")


def test_slices_sort_as_numbers(tmp_path):
    with take(tmp_path, case_files(ONE, [5] * 11)) as reading:
        assert [cut.number for cut in reading.cases[ONE]] == list(range(1, 12))


@pytest.mark.parametrize("strip", ["", "kaggle_3m/"])
def test_the_extracted_files_give_the_same_images(tmp_path, strip):
    archive = pack(tmp_path / "lgg-mri-segmentation.zip", GOOD)
    with read(archive, {}, {}) as one, take(tmp_path / "x", {n.removeprefix(strip): d for n, d in GOOD.items()}) as two:
        loose = {p.relative_to(tmp_path / "x").as_posix(): p for p in (tmp_path / "x").rglob("*") if p.is_file()}
        with read(loose, {}, {}) as three:
            for (a, rows), (b, _), (c, others) in zip(one, two, three, strict=True):
                np.testing.assert_array_equal(a, b)
                np.testing.assert_array_equal(a, c)
                assert rows["sha256"].tolist() == others["sha256"].tolist()


def test_one_of_two_copies_is_taken(tmp_path):
    second = {f"lgg-mri-segmentation/{name}": data for name, data in GOOD.items()}
    with read(pack(tmp_path / "both.zip", GOOD | second), {}, {}) as reading:
        assert reading.count == 7
        assert subjects_of(reading)["source"].str.startswith("kaggle_3m/").all()
        assert reading.report == [
            "lgg-mri-segmentation/kaggle_3m is left out (14 TIFFs), because kaggle_3m (14) is taken"
        ]
    less = {name: data for name, data in GOOD.items() if f"{ONE}_3" not in name}
    with read(pack(tmp_path / "less.zip", less | second), {}, {}) as reading:
        assert subjects_of(reading)["source"].str.startswith("lgg-mri-segmentation/").all(), "the more complete one"
        assert reading.report == [
            "kaggle_3m is left out (12 TIFFs), because lgg-mri-segmentation/kaggle_3m (14) is taken"
        ]


def test_missing_sequences(tmp_path):
    files = dict(GOOD)
    for number in (1, 2):
        copied = pixels(number)
        copied[..., 2] = copied[..., 1]
        files[place(TWO, number)] = tiff(copied)
    alike = np.repeat(pixels(1)[..., 1:2], 3, axis=2)
    files |= {place(THREE, 1): tiff(alike), place(THREE, 1, "_mask"): tiff(mask(3))}
    files[place(ONE, 1)] = tiff(alike)  # one slice alone does not make a sequence missing
    with take(tmp_path, files) as reading:
        found = subjects_of(reading).groupby("cluster")["sequences"].unique().map(list).to_dict()
        assert found == {ONE: ["pre flair post"], TWO: ["pre flair"], THREE: ["flair"]}
        assert reading.report == [
            f"there is one slice alone, and so no adjacent pair, in {THREE}",
            "1 of 3 cases have a copy of FLAIR in place of the pre-contrast image",
            "2 of 3 cases have a copy of FLAIR in place of the post-contrast image",
        ]


def test_case_of_one_slice_constant_grey_and_no_tumour(tmp_path):
    grey = np.full((*SHAPE, 3), 77, np.uint8)
    grey[0, 0] = (1, 77, 2)
    files = GOOD | {place(THREE, 4): tiff(grey), place(THREE, 4, "_mask"): tiff(mask(0))}
    with take(tmp_path, files) as reading:
        batches = list(reading)
        assert (batches[2][0] == 0).all()
        assert reading.report == [
            f"slices are not numbered from 1 on without a gap in {THREE}",
            f"there is one slice alone, and so no adjacent pair, in {THREE}",
            f"{THREE}_4: the FLAIR image is of one grey value, 77",
            f"no slice has a tumour in {THREE}",
        ]
        list(reading)
        assert len(reading.report) == 4, "a second pass reports nothing twice"
    with read({"lgg": tmp_path}, {}, {}, intensities="raw") as reading:
        assert np.unique(list(reading)[2][0]) == np.float32(77) / np.float32(255)


DAMAGED = tiff(pixels(3)).decode("utf-8", "replace").encode()


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        (place(ONE, 3), DAMAGED, r"_3\.tif is damaged, its bytes from 0x80 on were replaced by U\+FFFD \(\d+ times"),
        (place(ONE, 3), tiff(pixels(3))[:700], r"_3\.tif is damaged or no TIFF"),
        (place(ONE, 3), b"", r"_3\.tif is damaged or no TIFF"),
        (place(ONE, 3), b"II*\0" + bytes(600), r"_3\.tif is damaged or no TIFF"),
        (place(ONE, 3), b"<!DOCTYPE html><p>Login", "it is an HTML page"),
        (place(ONE, 3), b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        (place(ONE, 3), tiff(mask(3)), r"_3\.tif is a TIFF of mode L where RGB"),
        (
            place(ONE, 3),
            tiff(pixels(1, (20, 20))),
            r"_3\.tif has 20 x 20 pixels but the first image of the set 20 x 24",
        ),
        (place(ONE, 3, "_mask"), tiff(pixels(3)), r"_3_mask\.tif is a TIFF of mode RGB where L"),
        (place(ONE, 3, "_mask"), tiff(mask(9, (24, 20))), r"_3_mask\.tif has 24 x 20 pixels but its image 20 x 24"),
        (place(ONE, 3, "_mask"), tiff(mask(9) // 255), r"_3_mask\.tif is no mask of 0 and 255, it also holds 1;"),
    ],
)
def test_bad_files(tmp_path, name, data, said):
    with take(tmp_path, GOOD | {name: data}) as reading, pytest.raises(ReregisterError, match=said):
        list(reading)
    if "_mask" in name:
        with read({"lgg": tmp_path}, {}, {}) as reading, pytest.raises(ReregisterError, match=said):
            list(reading.labels())


def test_bad_folders(tmp_path):
    for number, (files, said) in enumerate(
        [
            ({"kaggle_3m/data.csv": b"Patient\n"}, "no case of the LGG set"),
            ({place(ONE, 1): b""}, r"_1\.tif has no mask beside it"),
            ({place(ONE, 1, "_mask"): b""}, r"_1_mask\.tif has no image beside it"),
            (GOOD | {place(ONE, "01"): b""}, r"_01\.tif and .*_1\.tif are both slice 1"),
        ]
    ):
        with pytest.raises(ReregisterError, match=said):
            take(tmp_path / str(number), files)


def sums_of(files):
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items() if name.endswith(".tif")]
    content = "".join(lines).encode()
    return {"kaggle_3m.sha256": content}, hashlib.sha256(content).hexdigest()


def test_list_of_checksums(tmp_path):
    sums, digest = sums_of(GOOD)
    more = case_files(THREE, [7])
    with take(tmp_path, GOOD | sums | more, list_sha256=digest) as reading:
        subjects_of(reading)
        assert reading.report[1:] == [
            f"2 TIFFs are not in kaggle_3m.sha256 and were not checked: {place(THREE, 1)}, {place(THREE, 1, '_mask')}",
            "14 of 16 TIFFs agree with kaggle_3m.sha256",
        ]
    for name, data, said in [
        (place(ONE, 3), tiff(pixels(77)), r"_3\.tif is not the original: its sha256 is [0-9a-f]{64}, not"),
        (place(ONE, 3), DAMAGED, r"_3\.tif is not the original: its bytes from 0x80 on"),
        (place(TWO, 2, "_mask"), tiff(mask(1)), r"_2_mask\.tif is not the original"),
    ]:
        with (
            take(tmp_path, GOOD | {name: data}, list_sha256=digest) as reading,
            pytest.raises(ReregisterError, match=said),
        ):
            list(reading)
    with pytest.raises(ReregisterError, match=rf"not {LIST_SHA256}, so it is not the known list"):
        read({"lgg": tmp_path}, {}, {})
    odd = b"0123  kaggle_3m/a/b.tif\n"
    with pytest.raises(ReregisterError, match=r"Line 1 of kaggle_3m\.sha256 is no checksum"):
        take(tmp_path, {"kaggle_3m.sha256": odd}, list_sha256=hashlib.sha256(odd).hexdigest())
    with pytest.raises(ReregisterError, match="2 lists"):
        take(tmp_path, {"again/kaggle_3m.sha256": odd}, list_sha256=digest)


def test_counts_of_the_original(tmp_path):
    assert len(SLICES) == 110
    assert sum(SLICES.values()) == 3929
    assert list(SLICES) == sorted(SLICES)
    assert check_counts(SLICES, (256, 256)) == []
    assert check_counts(SLICES | {ONE: 22}) == [f"{ONE} has 22 slices, not 23"]
    assert check_counts(SLICES | {"TCGA_XX_0000_20000101": 1}) == [
        "there are cases that the original has not: TCGA_XX_0000_20000101"
    ]
    with pytest.raises(ReregisterError, match=r"images have 20 x 24 pixels, not 256 x 256; there are 2 of 110 cases"):
        take(tmp_path, GOOD, expect=ORIGINAL)
    with take(tmp_path, GOOD) as reading:
        before = reading.deviations()
        list(reading)
        assert reading.deviations() == [*before, "5 slices have a tumour, not 1373"]
    with (
        take(tmp_path, GOOD, expect={"slices": {ONE: 5, TWO: 2}, "tumour_slices": 4}) as reading,
        pytest.raises(ReregisterError, match="5 slices have a tumour, not 4"),
    ):
        list(reading)


def test_pairs(tmp_path):
    files = {
        **case_files(ONE, [0, 30, 50, 50, 0]),  # a tie: the lower number
        **case_files(TWO, [20, 40]),  # the largest is the last slice
        **case_files("TCGA_DU_7013_19860523", [0, 9, 0, 12], first=7),
        **case_files("TCGA_EZ_7264_20010816", [0, 0]),  # no tumour: stands for nothing
        **case_files(THREE, [8]),  # one slice: no neighbour
    }
    with take(tmp_path, files) as reading:
        subjects = subjects_of(reading).sample(frac=1, random_state=1)
    third = "TCGA_DU_7013_19860523"
    adjacent, consecutive = adjacent_slices(subjects), consecutive_cases(subjects)
    assert adjacent.to_numpy().tolist() == [
        [f"{ONE}_3", f"{ONE}_4", ONE],
        [f"{third}_10", f"{third}_9", third],
        [f"{TWO}_2", f"{TWO}_1", TWO],
    ]
    assert consecutive.to_numpy().tolist() == [
        [f"{ONE}_3", f"{third}_10", ONE],
        [f"{third}_10", f"{TWO}_2", third],
        [f"{TWO}_2", f"{THREE}_1", TWO],
    ]
    brain = chosen_slices(subjects, "largest_brain")
    assert len(brain) == 5
    best = subjects.assign(area=subjects["head_area"].astype(int)).groupby("cluster")["area"].max()
    areas = subjects.set_index("id")["head_area"].astype(int)
    assert areas[brain["id"]].tolist() == best.tolist()
    with pytest.raises(ReregisterError, match="'middle' is unknown; allowed are largest_tumour, largest_brain"):
        consecutive_cases(subjects, "middle")
    for rule in (adjacent_slices, consecutive_cases):
        assert list(rule(subjects.iloc[:0]).columns) == ["moving", "fixed", "cluster"]


@pytest.fixture(scope="module")
def real(samples):
    with read({"tcga_lgg": samples / "tcga_lgg"}, {}, {}) as reading:
        batches = list(reading)
        masks = np.concatenate([maps for maps, _ in reading.labels()])
    images = np.concatenate([images[:, 0] for images, _ in batches])
    return reading, images, pd.concat([rows for _, rows in batches], ignore_index=True), masks


def test_real_sample(real, samples):
    reading, images, subjects, masks = real
    assert images.shape == masks.shape == (120, 256, 256)
    assert reading.deviations()[0].startswith("there are 60 of 110 cases")
    assert masks.any(axis=(1, 2)).all()
    assert masks.sum(axis=(1, 2)).tolist() == subjects["tumour_area"].astype(int).tolist()
    assert "3 of 60 cases have a copy of FLAIR in place of the pre-contrast image" in reading.report
    assert "4 of 60 cases have a copy of FLAIR in place of the post-contrast image" in reading.report
    assert not any("grey value" in remark or "left out" in remark for remark in reading.report)
    if (samples / "tcga_lgg" / "kaggle_3m.sha256").exists():
        assert reading.report[-1] == "240 of 240 TIFFs agree with kaggle_3m.sha256"


def test_real_pairs(real):
    _, _, subjects, _ = real
    adjacent, consecutive = adjacent_slices(subjects), consecutive_cases(subjects)
    assert (len(adjacent), len(consecutive)) == (60, 59)
    known = subjects.set_index("id")
    for pairs, apart in ((adjacent, False), (consecutive, True)):
        cases = known.loc[pairs["moving"], "cluster"].to_numpy() != known.loc[pairs["fixed"], "cluster"].to_numpy()
        assert (cases == apart).all()
    areas = known["tumour_area"].astype(int)
    assert (areas[adjacent["moving"]].to_numpy() >= areas[adjacent["fixed"]].to_numpy()).all()
    assert consecutive["moving"].tolist()[1:] == consecutive["fixed"].tolist()[:-1]


def test_damage_to_a_real_image_is_named(samples, tmp_path):
    source = next(samples.joinpath("tcga_lgg").glob("kaggle_3m/*/*_mask.tif"))
    image = source.with_name(source.name.replace("_mask", ""))
    folder = f"kaggle_3m/{source.parent.name}"
    files = {f"{folder}/{source.name}": source.read_bytes()}
    files[f"{folder}/{image.name}"] = image.read_bytes().decode("utf-8", "replace").encode()
    with take(tmp_path, files) as reading, pytest.raises(ReregisterError, match=r"replaced by U\+FFFD"):
        list(reading)
