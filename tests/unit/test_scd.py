"""The SCD reader on small files of the official layout, and on real cases where they are at hand."""

import csv
import hashlib
import zipfile

import numpy as np
import pandas as pd
import pytest

from reregister.data.label_map_files import write_label_maps
from reregister.data.label_maps import LabelMaps
from reregister.data.marked_pairs import scorable_groups
from reregister.data.readers.scd import ORIGINAL, check_counts, read
from reregister.data.scd.contours import assign_phases, foreign_epicardium
from reregister.data.scd.layout import ROLE_OF, SLICES, numbers_text
from reregister.data.store import SUBJECT_COLUMNS, ImageStore, write_store
from reregister.errors import ReregisterError
from tests.unit.dicom_bytes import dicom_bytes

SHAPE = (32, 40)
ED, ES = 17, 6
FOLDERS = {"SC-HF-I-1": "SCD0000101", "SC-HF-I-5": "SCD0000401", "SC-HF-NI-36": "SCD0002401", "SC-HYP-37": "SCD0003401"}
TABLE = "\ufeffPatientID,OriginalID,Gender,Age,Pathology\n" + "".join(
    f"{folder},{case},Male,53,Heart failure\n" for case, folder in FOLDERS.items()
)


def pixels(number):
    return np.random.default_rng(number).integers(0, 500, SHAPE)


def frames(case, numbers, series=300, **attributes):
    folder = f"{FOLDERS[case]}/CINESAX_{series}"
    return {f"{folder}/IM-0003-{n:04d}.dcm": dicom_bytes(pixels(n), n, **attributes) for n in numbers}


def circle(radius, x=20.0, y=16.0):
    angle = np.arange(60) / 60 * 2 * np.pi
    points = np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)
    return "".join(f"{x:.2f} {y:.2f}\r\n" for x, y in points).encode()


def contours(case, places, ed=ED, es=ES, small=(), x=20.0, epi=True):
    """Cavity of 8 pixels at ED and 5 at ES on each slice, 4 and 5 on those in `small`; wall at ED alone."""
    stem, number = case.rsplit("-", 1)
    folder = f"SCD_ManualContours/{stem}-{int(number):02d}/contours-manual/IRCCI-expert"
    files = {}
    for place in places:
        radius = 4 if place in small else 8
        files[f"{folder}/IM-0001-{place * 20 + ed:04d}-icontour-manual.txt"] = circle(radius)
        files[f"{folder}/IM-0001-{place * 20 + ed:04d}-p1contour-manual.txt"] = b"papillary muscles are not read"
        files[f"{folder}/IM-0001-{place * 20 + es:04d}-icontour-manual.txt"] = circle(5)
        if epi:
            files[f"{folder}/IM-0001-{place * 20 + ed:04d}-ocontour-manual.txt"] = circle(radius + 3, x)
    return files


@pytest.fixture
def official(tmp_path):
    """Two image archives, contours and table, as the official ones: siblings that must not be picked among them."""
    first = frames("SC-HF-I-1", range(1, 61))
    first |= {"SCD0000101/CINELAX_200/IM-0001-0001.dcm": b"long axis", "SCD0000101/Localizers_1/IM-1-0001.dcm": b"-"}
    first |= {f"SCD0000101/CINESAX_301/IM-0004-{n:04d}.dcm": b"another cine" for n in (1, 2)}
    second = {f"SCD_IMAGES_02/{name}": data for name, data in frames("SC-HF-I-5", range(1, 41), 4).items()}
    second["__MACOSX/SCD_IMAGES_02/SCD0000401/CINESAX_4/._IM-0003-0001.dcm"] = b"litter"
    marks = contours("SC-HF-I-1", [0, 1, 2], small=[2]) | contours("SC-HF-I-5", [1], ed=20, es=7)
    return pack(tmp_path, SCD_IMAGES_01=first, SCD_IMAGES_02=second, SCD_ManualContours=marks)


def pack(folder, **archives):
    members = {"scd_patientdata.csv": folder / "scd_patientdata.csv"}
    members["scd_patientdata.csv"].write_text(TABLE, encoding="utf-8")
    for name, files in archives.items():
        members[f"{name}.zip"] = folder / f"{name}.zip"
        with zipfile.ZipFile(members[f"{name}.zip"], "w") as archive:
            for member, data in files.items():
                archive.writestr(member, data)
    return members


def take(folder, files, **options):
    """What is read from an extracted folder with these files."""
    (folder / "scd_patientdata.csv").write_text(TABLE, encoding="utf-8")
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return read({"scd": folder}, {}, {}, **options)


def maps_of(reading):
    """All label maps of a reading, (M, H, W), and their rows."""
    maps, tables = zip(*reading.labels(), strict=True)
    return np.concatenate(maps), pd.concat(tables, ignore_index=True)


SUMS = {"SCD_IMAGES_01.zip": "1" * 64, "SCD_IMAGES_02.zip": "2" * 64}


def test_official_archives(official, tmp_path):
    paths = tmp_path / "images.npy", tmp_path / "subjects.csv"
    with read(official, SUMS, {}) as reading:
        assert (reading.count, reading.shape, reading.slices) == (100, SHAPE, {"SC-HF-I-1": 3, "SC-HF-I-5": 2})
        write_store(*paths, reading.count, reading)
        masks, table = maps_of(reading)
        assert reading.report == []
    store = ImageStore.open(*paths)
    subjects = store.subjects
    assert store.images.shape == (100, 1, *SHAPE)
    assert list(subjects.columns[:7]) == list(SUBJECT_COLUMNS)
    row = subjects.iloc[store.index(["SC-HF-I-1_s02_p06"])[0]].to_dict()
    expected = {"group": "SC-HF-I-1_s02", "cluster": "SC-HF-I-1", "split": "train", "spacing": "1.5 1.25", "mark": "ES"}
    expected |= {"source": "SCD_IMAGES_01.zip", "sha256": "1" * 64, "slice": "2", "phase": "6", "complete": "yes"}
    assert {key: row[key] for key in expected} == expected
    assert float(row["slice_distance"]) == 8
    assert subjects["split"].tolist() == ["train"] * 60 + ["validation"] * 40
    # Percentiles of the whole slice, not of the frame.
    raw = np.stack([pixels(n) for n in range(21, 41)])
    low, high = np.percentile(raw, [1, 99])
    np.testing.assert_allclose(store.images[20:40, 0], np.clip((raw - low) / (high - low), 0, 1), atol=1e-6)
    marked = (
        subjects[subjects["mark"] != ""]
        .groupby("cluster")[["phase", "mark"]]
        .apply(lambda f: set(map(tuple, f.values)))
    )
    assert marked.to_dict() == {"SC-HF-I-1": {("17", "ED"), ("6", "ES")}, "SC-HF-I-5": {("20", "ED"), ("7", "ES")}}
    assert masks.shape == (8, *SHAPE)
    first = {"id": "SC-HF-I-1_s01_p06", "label": "lv_cavity", "unit": "mm", "map": 0, "value": 1}
    assert table.iloc[0].to_dict() == first
    assert masks[1].sum() == pytest.approx(np.pi * 64, rel=0.05)
    groups = scorable_groups(subjects, set(table["id"]))
    assert groups == ["SC-HF-I-1_s01", "SC-HF-I-1_s02", "SC-HF-I-1_s03", "SC-HF-I-5_s02"]


def test_the_extracted_folder_gives_the_same_images(official, tmp_path):
    folder = tmp_path / "extracted"
    for path in official.values():
        if path.suffix == ".zip":
            zipfile.ZipFile(path).extractall(folder)
    (folder / "scd_patientdata.csv").write_text(TABLE, encoding="utf-8")
    with read(official, SUMS, {}) as archives, read({"any": folder}, {}, {}) as files:
        loose = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        with read(loose, dict.fromkeys(loose, "3" * 64), {}) as listed:
            for (one, a), (two, b), (three, c) in zip(archives, files, listed, strict=True):
                np.testing.assert_array_equal(one, two)
                np.testing.assert_array_equal(one, three)
                same = ["id", "group", "spacing", "mark", "phase"]
                assert a[same].equals(b[same])
                assert a[same].equals(c[same])
                content = (folder / b["source"].iloc[3]).read_bytes()
                assert b["sha256"].iloc[3] == hashlib.sha256(content).hexdigest()
                assert set(c["sha256"]) == {"3" * 64}


def test_an_archive_without_recorded_sum(official):
    with read(official, {}, {}) as reading, pytest.raises(ReregisterError, match=r"No sha256 .* SCD_IMAGES_01\.zip"):
        list(reading)


def test_missing_frames_are_reported_by_case_and_frame(tmp_path):
    case = "SC-HYP-37"
    numbers = [n for n in range(1, 59) if n not in (3, 26)]  # a series that stops short, with two holes
    files = frames(case, numbers) | contours(case, [0, 1, 2])
    files |= {name.replace("0057", "0060"): data for name, data in contours(case, [2]).items() if "0057" in name}
    with take(tmp_path, files) as reading:
        stored = [identity for _, subjects in reading for identity in subjects["id"]]
        assert len(stored) == reading.count
        assert reading.report == [
            "SC-HYP-37: o-contours are in the phases 17, 20, so end-diastole is phase 17 by area",
            "SC-HYP-37: i-contours beside end-diastole 17 and end-systole 6 in the phases 20",
            "SC-HYP-37: its series has 56 images, no multiple of 20",
            "SC-HYP-37: slice 1 lacks the frames 3; of it the contoured frames 6, 17 are kept",
            "SC-HYP-37: slice 2 lacks the frames 26; of it the contoured frames 37 are kept",
            "SC-HYP-37: slice 3 lacks the frames 59-60; of it the contoured frames 46, 57 are kept",
            "SC-HYP-37: the contoured frames 26, 60 have no image",
        ]
        _, table = maps_of(reading)
    assert stored == [f"{case}_{end}" for end in ("s01_p06", "s01_p17", "s02_p17", "s03_p06", "s03_p17")]
    assert table["id"].tolist() == stored


def test_series_of_218_images_keeps_its_complete_slices(tmp_path):
    with take(tmp_path, frames("SC-HYP-37", range(1, 219)) | contours("SC-HYP-37", [4])) as reading:
        assert reading.slices == {"SC-HYP-37": 11}  # as the challenge counts them
        assert reading.count == 200
        assert reading.report[0] == "SC-HYP-37: its series has 218 images, no multiple of 20"
        assert reading.report[1] == "SC-HYP-37: slice 11 lacks the frames 219-220; it is left out"
        assert not check_counts(reading.slices, SHAPE, {"slices": {"validation": {"SC-HYP-37": (11,)}}})


def test_case_without_contours(tmp_path):
    with take(tmp_path, frames("SC-HF-I-1", range(1, 21))) as reading:
        (_, subjects) = next(iter(reading))
        assert list(reading.labels()) == []
        assert set(subjects["mark"]) == {""}
        assert reading.report == ["SC-HF-I-1: i-contours in 0 phase(s), so end-diastole and end-systole are unknown"]


def test_foreign_epicardium_is_dropped(tmp_path):
    files = frames("SC-HF-I-1", range(1, 41)) | frames("SC-HF-I-5", range(1, 41), 4)
    files |= contours("SC-HF-I-1", [0, 1]) | contours("SC-HF-I-5", [0, 1], x=27.0)
    with take(tmp_path, files) as reading:
        own, foreign = (case.contours for case in reading.cases)
        assert set(own.epi) == {17, 37}
        assert foreign.epi == {}
        assert (foreign.ed, foreign.es) == (ED - 1, ES - 1)
        assert len(reading.report) == 2
        assert "SC-HF-I-5: its o-contours are dropped as those of another case, only" in reading.report[0]
        assert reading.report[1] == "SC-HF-I-5: o-contours are missing, so end-diastole is phase 17 by area"


def test_epicardium_of_other_frames_is_foreign():
    square = np.array([[1.0, 1], [9, 1], [9, 9], [1, 9]])
    assert foreign_epicardium({1: square}, {1: square * 1.2 - 1}) is None
    assert foreign_epicardium({1: square}, {}) is None
    assert foreign_epicardium({1: square}, {3: square}) == "no frame with an o-contour has an i-contour"


def test_phases_are_decided_by_case():
    square = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    # Phase 3 is larger in all on two of three slices and in total; the wall says the same.
    endo = {3: 9 * square, 23: 8 * square, 43: 2 * square, 11: 5 * square, 31: 5 * square, 51: 4 * square}
    assert assign_phases(endo, {3: square, 23: square}) == (2, 10, [])
    ed, es, remarks = assign_phases(endo, {11: square})
    assert (ed, es) == (10, 2)
    assert remarks == ["the cavity is larger in phase 3 than at end-diastole, phase 11, of the o-contours"]
    assert assign_phases(endo, {})[:2] == (2, 10)
    # A stray contour of a third phase takes no part, however large.
    ed, es, remarks = assign_phases(endo | {60: 90 * square}, {3: square})
    assert (ed, es, len(remarks)) == (2, 10, 1)
    assert assign_phases({3: square, 23: square}, {3: square})[:2] == (None, None)


def test_series_that_is_not_named(tmp_path):
    files = frames("SC-HF-I-5", range(1, 21), 4) | frames("SC-HF-I-5", range(1, 41), 7)
    with pytest.raises(ReregisterError, match="SC-HF-I-5 has the series CINESAX_4, CINESAX_7 and none"):
        take(tmp_path, files)
    with take(tmp_path, {}, series={"SC-HF-I-5": (7,)}) as reading:
        assert reading.slices == {"SC-HF-I-5": 2}


@pytest.mark.parametrize("anew", [True, False])
def test_three_series_make_one_stack(tmp_path, anew):
    files = {}
    for k, series in enumerate((400, 401, 402)):
        numbers = range(1, 21) if anew else range(20 * k + 1, 20 * k + 21)
        files |= frames("SC-HF-NI-36", numbers, series)
    with take(tmp_path, files) as reading:
        names = [set(subjects["source"].str.split("/").str[1]) for _, subjects in reading]
        assert names == [{"CINESAX_400"}, {"CINESAX_401"}, {"CINESAX_402"}]
        assert reading.report[0] == "SC-HF-NI-36: 3 series make one stack of 60 frames"
        assert len(reading.report) == 2  # and that there are no contours


def test_table_of_series_against_directory_names(tmp_path):
    with take(tmp_path, frames("SC-HF-I-1", range(1, 21), 299)) as reading:
        assert reading.report[0] == "SC-HF-I-1: CINESAX_300 of the table of series is not there"
        assert reading.count == 20


def test_contour_that_leaves_the_image_and_empty_mask(tmp_path):
    files = frames("SC-HF-I-1", range(1, 21)) | contours("SC-HF-I-1", [0], epi=False)
    folder = "SCD_ManualContours/SC-HF-I-01/contours-manual/IRCCI-expert"
    files[f"{folder}/IM-0001-0017-icontour-manual.txt"] = circle(8, x=36)
    files[f"{folder}/IM-0001-0006-icontour-manual.txt"] = b"3.1 3.1\n3.3 3.1\n3.3 3.3\n"
    with take(tmp_path, files) as reading:
        write_label_maps(tmp_path / "l.npy", tmp_path / "l.csv", reading.shape, reading.labels())
        assert reading.report[-2:] == [
            "SC-HF-I-1_s01_p06: the contour encloses no pixel, the mask is empty",
            "SC-HF-I-1_s01_p17: 21 points of the contour leave the image, cut off there",
        ]
    store = LabelMaps.open(tmp_path / "l.npy", tmp_path / "l.csv")
    assert store.is_empty("SC-HF-I-1_s01_p06", "lv_cavity")
    assert store.mask("SC-HF-I-1_s01_p17", "lv_cavity")[:, -1].any()


def test_bad_files(tmp_path):
    name = "SCD0000101/CINESAX_300/IM-0003-0007.dcm"
    good = frames("SC-HF-I-1", range(1, 21))
    for data, said in [
        (dicom_bytes(pixels(7), 7, PixelSpacing=None), "0007.dcm has no pixel spacing"),
        (dicom_bytes(pixels(7), 7, spacing=(2, 2)), "0007.dcm has 2.0 x 2.0 mm per pixel but .*0001.dcm"),
        (dicom_bytes(pixels(7)[:8], 7), "0007.dcm has 8 x 40 pixels but .*0001.dcm .* 32 x 40"),
        (b"<html>", "0007.dcm is no DICOM"),
    ]:
        with take(tmp_path, good | {name: data}) as reading, pytest.raises(ReregisterError, match=said):
            list(reading)
    second = "SCD0000101/CINESAX_300/IM-0009-0007.dcm"
    with pytest.raises(ReregisterError, match=r"IM-0003-0007\.dcm and .*IM-0009-0007\.dcm are both frame 7"):
        take(tmp_path, {second: b""})


def test_cases_of_unlike_size_are_not_stored_together(tmp_path):
    other = {name: dicom_bytes(np.ones((8, 8)), 1) for name in frames("SC-HF-I-5", [1], 4)}
    files = frames("SC-HF-I-1", range(1, 21)) | contours("SC-HF-I-5", [0], 1, 2) | other
    paths = tmp_path / "images.npy", tmp_path / "subjects.csv"
    with take(tmp_path, files) as reading, pytest.raises(ReregisterError, match="SC-HF-I-5_s01_p01"):
        write_store(*paths, reading.count, reading)
    assert not any(path.exists() for path in paths)


def test_headers_that_contradict_the_names(tmp_path):
    files = frames("SC-HF-I-1", range(1, 21))
    name = "SCD0000101/CINESAX_300/IM-0003-0009.dcm"
    odd = {"ImagePositionPatient": [0.0, 0.0, 3.0], "CardiacNumberOfImages": 25, "SpacingBetweenSlices": None}
    with take(tmp_path, files | {name: dicom_bytes(pixels(9), 30, **odd)}) as reading:
        list(reading)
        list(reading)  # a second pass reports nothing twice
        assert [remark.split(": ")[1][:30] for remark in reading.report[1:]] == [
            "slice 1 has frames at differen",
            "InstanceNumber differs from th",
            "the headers state another numb",
            "no SpacingBetweenSlices, the s",
        ]


def test_tables_of_cases(tmp_path, official):
    for table, said in [
        ("a,b\n1,2\n", "no rows with PatientID"),
        ("PatientID,OriginalID\nSCD0000101,SC-HF-I-1\nSCD0000201,SC-HF-I-1\n", "names a case twice"),
    ]:
        official["scd_patientdata.csv"].write_text(table)
        with pytest.raises(ReregisterError, match=said):
            read(official, SUMS, {})
    official["scd_patientdata.csv"].write_text("PatientID,OriginalID\nSCD0000101,SC-XX-1\nSCD0000401,SC-HF-I-5\n")
    with read(official, SUMS, {}) as reading:
        assert reading.report == ["SC-XX-1 is in no group of the 2009 challenge and is left out"]
    official["scd_patientdata.csv"].write_text("PatientID,OriginalID\nSCD0004501,SC-N-40\n")
    with pytest.raises(ReregisterError, match="no usable short-axis series"):
        read(official, SUMS, {})
    del official["scd_patientdata.csv"]
    with pytest.raises(ReregisterError, match=r"0 files scd_patientdata\.csv"):
        read(official, SUMS, {})


def test_split_of_the_challenge(official):
    assert {role: len(cases) for role, cases in SLICES.items()} == {"train": 15, "validation": 15, "test": 15}
    sums = {role: (sum(map(min, cases.values())), sum(map(max, cases.values()))) for role, cases in SLICES.items()}
    assert sums == {"train": (186, 187), "validation": (168, 168), "test": (176, 176)}
    complete = {case: max(count) for cases in SLICES.values() for case, count in cases.items()}
    assert check_counts(complete, (256, 256)) == []
    assert check_counts(complete | {"SC-N-3": 19}, (256, 256)) == ["SC-N-3 (train) has 19 slices, not 20"]
    assert check_counts(complete | {"SC-HYP-3": 8}, (256, 255)) == ["images have 256 x 255 pixels, not 256 x 256"]
    with pytest.raises(
        ReregisterError, match=r"32 x 40 pixels.*SC-HF-I-1 \(train\) has 3 slices, not 12.*test has 0 of 15"
    ):
        read(official, SUMS, ORIGINAL)


def test_numbers_text():
    assert numbers_text([5, 1, 2, 3, 9, 8]) == "1-3, 5, 8-9"
    assert numbers_text([]) == ""


@pytest.fixture(scope="module")
def real(samples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scd")
    paths = [folder / name for name in ("images.npy", "subjects.csv", "labels.npy", "labels.csv")]
    with read({"scd": samples / "scd"}, {}, {}) as reading:
        write_store(*paths[:2], reading.count, reading)
        write_label_maps(*paths[2:], reading.shape, reading.labels())
    return reading, ImageStore.open(*paths[:2]), LabelMaps.open(*paths[2:])


def test_real_cases(real, samples):
    reading, store, labels = real
    with open(samples / "scd" / "scd_patientdata.csv", encoding="utf-8-sig", newline="") as file:
        assert [row["OriginalID"] in ROLE_OF for row in csv.DictReader(file)] == [True] * 45
    found = {case.name: case for case in reading.cases}
    assert {name: case.role for name, case in found.items()} == {name: ROLE_OF[name] for name in found}
    phases = {name: (case.contours.ed + 1, case.contours.es + 1) for name, case in found.items()}
    assert phases == {"SC-HF-I-1": (19, 8), "SC-HF-I-2": (20, 7), "SC-HF-I-5": (20, 7)}
    expect = {"shape": (256, 256), "slices": {"train": {"SC-HF-I-1": (12,)}, "validation": {"SC-HF-I-5": (11,)}}}
    assert check_counts(reading.slices, store.images.shape[2:], expect) == []
    slices = {name: sorted({(n - 1) // 20 + 1 for n in case.contours.endo}) for name, case in found.items()}
    assert slices == {"SC-HF-I-1": [*range(3, 12)], "SC-HF-I-2": [*range(3, 12)], "SC-HF-I-5": [*range(2, 11)]}
    assert all(set(case.contours.epi) <= set(case.contours.endo) and case.contours.epi for case in found.values())
    spacing = store.subjects.groupby("cluster")["spacing"].unique().map(list).to_dict()
    assert spacing == {
        "SC-HF-I-1": ["1.367188 1.367188"],
        "SC-HF-I-2": ["1.367188 1.367188"],
        "SC-HF-I-5": ["1.3672 1.3672"],
    }
    assert store.subjects.groupby("cluster")["slice_distance"].unique().map(list).to_dict() == {
        "SC-HF-I-1": ["10.0"],
        "SC-HF-I-2": ["10.0"],
        "SC-HF-I-5": ["8.0"],
    }
    assert labels.maps.shape == (54, 256, 256)
    assert not any(labels.table["empty"])


def test_incomplete_real_case(real):
    reading, store, _ = real
    part = store.subjects[store.subjects["cluster"] == "SC-HF-I-2"]
    assert len(part) == 18
    assert set(part["complete"]) == {"no"}
    assert set(part["mark"]) == {"ED", "ES"}
    assert all(remark.startswith("SC-HF-I-2: ") for remark in reading.report)
    assert (
        "SC-HF-I-2: slice 3 lacks the frames 41-46, 48-59; of it the contoured frames 47, 60 are kept" in reading.report
    )


def test_ordered_training_pairs_of_real_cases(real):
    subjects = real[1].subjects
    sizes = subjects[subjects["complete"] == "yes"].groupby(["cluster", "group"]).size()
    assert (sizes * (sizes - 1)).groupby("cluster").sum().to_dict() == {"SC-HF-I-1": 4560, "SC-HF-I-5": 4180}


def test_overlap_of_real_cavities_before_registration(real):
    _, store, labels = real
    subjects = store.subjects.set_index(["group", "mark"])["id"]
    groups = scorable_groups(store.subjects, labels.ids("lv_cavity"))
    assert len(groups) == 27
    pairs = [[labels.mask(subjects[group, mark], "lv_cavity") for mark in ("ED", "ES")] for group in groups]
    dice = np.array([2 * (one & two).sum() / (one.sum() + two.sum()) for one, two in pairs])
    assert dice.mean() == pytest.approx(0.817, abs=5e-4)
    assert dice.reshape(3, 9).mean(axis=1) == pytest.approx([0.839, 0.830, 0.783], abs=1e-3)


def test_epicardium_of_another_real_case_is_foreign(real):
    one, two = (case.contours for case in real[0].cases if case.name != "SC-HF-I-1")
    assert foreign_epicardium(two.endo, two.epi) is None
    assert "of the endocardium lies within them" in foreign_epicardium(two.endo, one.epi)
    assert foreign_epicardium(two.endo, real[0].cases[0].contours.epi) == "no frame with an o-contour has an i-contour"
