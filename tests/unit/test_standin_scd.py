"""The SCD stand-in: the official archives as they are laid out, and a motion that is exact."""

import io
import re
import zipfile
from collections import defaultdict

import numpy as np
import pydicom
import pytest
from scipy.ndimage import map_coordinates
from skimage.draw import polygon2mask

from reregister.data.phantoms.cardiac import Beat, contraction, ellipse
from reregister.data.phantoms.cardiac_cases import PICKED, cases
from reregister.data.phantoms.cardiac_draws import BULGING, draw_patient, draw_slices
from reregister.data.phantoms.cardiac_members import contour_files, image_files
from reregister.data.phantoms.cine_files import Series, SeriesWriter, half_pixel_polygon
from reregister.data.phantoms.velocity import jacobian_determinants, pixel_grid
from reregister.data.standins.scd import CONTOUR_ARCHIVE, IMAGE_ARCHIVES, TABLE, truth_ddf, write
from reregister.errors import ReregisterError

NAMES = (*IMAGE_ARCHIVES, CONTOUR_ARCHIVE, TABLE)
SIZE, PHASES = 128, 8
GRID = pixel_grid((SIZE, SIZE))


def _make(folder, size=SIZE, slices=3, phases=PHASES, seed=3):
    members = {name: folder / name for name in NAMES}
    return members, folder / "truth.npz", write(members, folder / "truth.npz", size, slices, phases, seed)


@pytest.fixture(scope="module")
def standin(tmp_path_factory):
    return _make(tmp_path_factory.mktemp("standin"))


@pytest.fixture(scope="module")
def files(standin):
    """Content of every DICOM file by patient, series folder and instance."""
    found = defaultdict(lambda: defaultdict(dict))
    for name in IMAGE_ARCHIVES:
        with zipfile.ZipFile(standin[0][name]) as archive:
            for member in archive.namelist():
                top, patient, series, file = member.split("/")
                assert f"{top}.zip" == name
                found[patient][series][int(re.search(r"-(\d{4})\.dcm$", file)[1])] = archive.read(member)
    return found


@pytest.fixture(scope="module")
def polygons(standin):
    """Contours (x, y) by case, instance and letter."""
    found = defaultdict(lambda: defaultdict(dict))
    pattern = r"SCD_ManualContours/(\S+)/contours-manual/IRCCI-expert/IM-0001-(\d{4})-([iop]\d?)contour-manual\.txt"
    with zipfile.ZipFile(standin[0][CONTOUR_ARCHIVE]) as archive:
        for member in archive.namelist():
            folder, number, letter = re.fullmatch(pattern, member).groups()
            case = re.sub(r"-0(\d)$", r"-\1", folder)
            found[case][int(number)][letter] = np.loadtxt(io.BytesIO(archive.read(member)))
    return found


def _scored(polygons):
    """Per contoured slice: case, ED instance, ES instance (ED is where the o-contour is)."""
    for case, frames in polygons.items():
        slices = defaultdict(dict)
        for number, letters in frames.items():
            slices[(number - 1) // PHASES]["ed" if "o" in letters else "es"] = number
        for both in slices.values():
            yield case, both["ed"], both["es"]


def _id(case, number):
    return f"{case}_s{(number - 1) // PHASES + 1:02d}_p{(number - 1) % PHASES + 1:02d}"


def _mask(polygon):
    return polygon2mask((SIZE, SIZE), polygon[:, ::-1])


def _dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def _read(content):
    return pydicom.dcmread(io.BytesIO(content))


def test_same_seed_same_bytes(tmp_path):
    first, truth, _ = _make(tmp_path / "a", 32, 1, 4, seed=1)
    again, truth_again, _ = _make(tmp_path / "b", 32, 1, 4, seed=1)
    other, truth_other, _ = _make(tmp_path / "c", 32, 1, 4, seed=2)
    assert all(first[name].read_bytes() == again[name].read_bytes() for name in NAMES)
    assert all(first[name].read_bytes() != other[name].read_bytes() for name in NAMES)
    assert truth.read_bytes() == truth_again.read_bytes() != truth_other.read_bytes()


def test_too_small_leaves_nothing_behind(tmp_path):
    with pytest.raises(ReregisterError, match="phases of at least 4, not 2"):
        _make(tmp_path / "none", 32, 1, 2)
    assert not (tmp_path / "none").exists()


def test_table_of_patients(standin, files):
    lines = standin[0][TABLE].read_text().splitlines()
    rows = [line.split(",") for line in lines[1:]]
    assert lines[0] == "PatientID,OriginalID,Gender,Age,Pathology"
    assert len(rows) == 45
    named = {row[0]: row[1] for row in rows}
    assert named["SCD0000101"] == "SC-HF-I-1"
    assert named["SCD0000201"] == "SC-HF-I-2"
    assert named["SCD0000401"] == "SC-HF-I-5"
    assert named["SCD0004501"] == "SC-N-40"
    assert len({row[4] for row in rows}) == 4
    assert set(named) == set(files)


def test_slices_of_the_original():
    slices = {case.name: case.slices for case in cases()}
    online = [*(f"SC-HF-I-{n}" for n in (9, 10, 11, 12)), *(f"SC-HF-NI-{n}" for n in (12, 13, 14, 15))]
    online += [*(f"SC-HYP-{n}" for n in (9, 10, 11, 12)), *(f"SC-N-{n}" for n in (9, 10, 11))]
    validation = [*(f"SC-HF-I-{n}" for n in (5, 6, 7, 8)), *(f"SC-HF-NI-{n}" for n in (7, 11, 31, 33))]
    validation += [*(f"SC-HYP-{n}" for n in (6, 7, 8, 37)), *(f"SC-N-{n}" for n in (5, 6, 7))]
    assert sum(slices[name] for name in online) == 176
    assert sum(slices[name] for name in validation) == 168
    assert sum(slices.values()) - 176 - 168 == 186


def test_series_and_frames(files):
    for case in cases():
        folders = files[case.patient]
        short = {name for name in folders if name.startswith("CINESAX_")}
        assert {f"CINESAX_{number}" for number in PICKED.get(case.name, ())} <= short
        several = case.name in PICKED
        assert (len(short) > 1) == several
        assert any(name.startswith("CINELAX_") for name in folders)
        assert any(name.startswith("Localizers_") for name in folders)
        picked = sorted(number for one in case.series for number in folders[f"CINESAX_{one}"])
        assert picked == list(range(1, len(picked) + 1)), "counted on through all series, without a gap"
        assert len(picked) % PHASES == (PHASES - 2 if case.name == "SC-HYP-37" else 0)
    assert [len(files["SCD0002401"][f"CINESAX_{n}"]) // PHASES for n in (400, 401, 402)] == [2, 1, 1]


def test_218_images_of_11_slices():
    case = next(case for case in cases() if case.name == "SC-HYP-37")
    rng = np.random.default_rng(0)
    patient = draw_patient(case, 32, 20, rng)
    slices, long_axis = draw_slices(case, patient, case.slices, 32, rng)
    beats = {}
    names = [name for name, _ in image_files(case, patient, slices, long_axis, 32, "0", beats, rng)]
    assert sum(name.startswith("CINESAX_") for name in names) == len(beats) == 218
    numbers = {int(re.search(r"-(\d{4})-", name)[1]) for name, _ in contour_files(case, patient, slices)}
    assert max(numbers) <= 200, "no contour on the incomplete slice"
    assert 16 <= patient.end_diastole + 1 <= 20
    assert 6 <= patient.end_systole + 1 <= 10


def test_dicom_headers(files):
    pixels, uids, steps = set(), set(), set()
    for patient, folders in files.items():
        short = next(name for name in folders if name.startswith("CINESAX_"))
        frames = {number: _read(content) for number, content in folders[short].items() if number <= PHASES + 1}
        for number, frame in frames.items():
            assert frame.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
            assert (frame.PatientID, frame.SeriesDescription, frame.InstanceNumber) == (patient, "", number)
            assert f"CINESAX_{frame.SeriesNumber}" == short
            assert frame.CardiacNumberOfImages == PHASES
            assert frame.SOPInstanceUID == frame.file_meta.MediaStorageSOPInstanceUID
            assert frame.pixel_array.dtype == np.int16
            assert frame.pixel_array.shape == (SIZE, SIZE)
            uids.add(frame.SOPInstanceUID)
        pixels.add(tuple(frames[1].PixelSpacing))
        assert frames[1].ImagePositionPatient == frames[PHASES].ImagePositionPatient
        if PHASES + 1 in frames:
            moved = np.subtract(frames[PHASES + 1].ImagePositionPatient, frames[1].ImagePositionPatient)
            assert np.linalg.norm(moved) == pytest.approx(float(frames[1].SpacingBetweenSlices), rel=1e-3)
            steps.add(float(frames[1].SpacingBetweenSlices))
    assert {round(row * SIZE / 256, 4) for row, _ in pixels} == {1.2891, 1.3672}
    assert all(row == column for row, column in pixels)
    assert steps == {8.0, 10.0}
    assert len(uids) == sum(min(PHASES + 1, len(next(iter(f.values())))) for f in files.values())


def test_a_frame_as_pydicom_writes_it():
    """Filling in the marks gives what the header says, and nothing else has changed."""
    writer = SeriesWriter(Series("SCD0000101", 300, 20, 1.3672, 10.0, "7"), 16)
    image = np.arange(256, dtype=np.int16).reshape(16, 16) - 5
    one, other = _read(writer.frame(image, 1)), _read(writer.frame(image, 1234))
    np.testing.assert_array_equal(other.pixel_array, image)
    changed = {element.keyword for element in one if element != other[element.tag]}
    assert changed == {"SOPInstanceUID", "InstanceNumber", "TriggerTime", "ImagePositionPatient", "SliceLocation"}
    assert (other.InstanceNumber, float(other.TriggerTime)) == (1234, 13 * 37.5)
    assert float(other.SliceLocation) == 610
    with pytest.raises(ValueError, match="none of"):
        writer.frame(image[:8], 1)


def test_contours_as_in_the_original(files, polygons):
    assert len(polygons) == 45
    kinds = set()
    for case, frames in polygons.items():
        phases = {(number - 1) % PHASES for number in frames}
        assert len(phases) == 2, case
        carrying = {(number - 1) % PHASES for number, letters in frames.items() if "o" in letters}
        assert len(carrying) == 1, "epicardium at end-diastole only"
        area = dict.fromkeys(phases, 0)
        for number, letters in frames.items():
            assert ("o" in letters) == ((number - 1) % PHASES in carrying)
            area[(number - 1) % PHASES] += _mask(letters["i"]).sum()
            kinds |= set(letters)
            if "o" in letters:
                inside = _mask(letters["i"])
                assert (inside & _mask(letters["o"])).sum() > 0.99 * inside.sum()
            for points in letters.values():
                steps = np.abs(points - np.roll(points, 1, axis=0))
                assert set(np.unique(steps)) <= {0.0, 0.5}, "half a pixel at most, the step that closes it too"
                assert (steps.max(axis=1) > 0).all(), "no point twice, so the polygon is not closed"
        assert max(area, key=area.get) in carrying, case
        slices = {(number - 1) // PHASES for number in frames}
        patient = next(one for one in cases() if one.name == case)
        count = -(-sum(len(files[patient.patient][f"CINESAX_{n}"]) for n in patient.series) // PHASES)
        assert slices == set(range(1, count - 1)), "neither base nor apex"
    assert kinds == {"i", "o", "p1", "p2"}
    assert 5 < sum("p1" in next(iter(frames.values())) for frames in polygons.values()) < 35


def test_overlap_before_registration(polygons):
    dice = [_dice(_mask(polygons[case][ed]["i"]), _mask(polygons[case][es]["i"])) for case, ed, es in _scored(polygons)]
    assert 0.6 < np.mean(dice) < 0.85
    assert np.quantile(dice, 0.1) > 0.55
    assert np.quantile(dice, 0.9) < 0.9


def test_one_apical_slice_is_larger_at_end_systole():
    case = next(case for case in cases() if case.name == BULGING)
    rng = np.random.default_rng(5)
    patient = draw_patient(case, 256, 20, rng)
    slices, _ = draw_slices(case, patient, case.slices, 256, rng)
    contoured = [cut for cut in slices if cut.contoured]
    assert [cut.ratio > 1 for cut in contoured] == [False] * (len(contoured) - 1) + [True]
    assert sum(cut.heart.inner**2 * (1 - cut.ratio) for cut in contoured) > 0


def test_truth_registers_images_and_contours(standin, files, polygons):
    """End-diastole warped by the true field is end-systole, the other way round too, in grey values and in masks."""
    chosen = list(_scored(polygons))[::4]
    eds, ess = ([_id(case, pair[which]) for case, *pair in chosen] for which in (0, 1))
    patients = {case.name: case for case in cases()}
    before, after, overlaps = [], [], []
    for moving, fixed, first in ((eds, ess, 1), (ess, eds, 2)):
        ddf, exact = truth_ddf(standin[1], moving, fixed, (SIZE, SIZE))
        assert exact.all()
        assert ddf.dtype == np.float32
        for field, row in zip(ddf, chosen, strict=True):
            case = patients[row[0]]
            pictures = []
            for number in (row[first], row[3 - first]):
                content = next(c for s in case.series if (c := files[case.patient][f"CINESAX_{s}"].get(number)))
                pictures.append(_read(content).pixel_array.astype(float))
            places = np.moveaxis(GRID, -1, 0) + field
            warped = map_coordinates(pictures[0], places, order=1, mode="nearest")
            heart = np.linalg.norm(field, axis=0) > 0
            before.append(np.corrcoef(pictures[0][heart], pictures[1][heart])[0, 1])
            after.append(np.corrcoef(warped[heart], pictures[1][heart])[0, 1])
            masks = [_mask(polygons[row[0]][row[k]]["i"]) for k in (first, 3 - first)]
            moved = map_coordinates(masks[0].astype(float), places, order=1) > 0.5
            overlaps.append(_dice(moved, masks[1]))
    assert np.mean(after) > 0.98
    assert min(after) > 0.95
    assert np.mean(before) < 0.96
    assert (1 - np.mean(after)) < (1 - np.mean(before)) / 3
    assert (np.array(after) > np.array(before)).all()
    assert np.mean(overlaps) > 0.97
    assert min(overlaps) > 0.93


def test_pairs_of_unlike_slices_have_no_truth(standin):
    ddf, exact = truth_ddf(
        standin[1], ["SC-N-3_s02_p01"] * 3, ["SC-N-3_s02_p01", "SC-N-3_s03_p01", "SC-N-2_s02_p01"], (SIZE, SIZE)
    )
    assert exact.tolist() == [True, False, False]
    assert np.abs(ddf[0]).max() < 1e-6
    assert np.isnan(ddf[1:]).all()


def test_truth_says_what_is_wrong(standin, tmp_path):
    with pytest.raises(ReregisterError, match="'SC-N-3_s99_p01'"):
        truth_ddf(standin[1], ["SC-N-3_s02_p01"], ["SC-N-3_s99_p01"], (SIZE, SIZE))
    with pytest.raises(ReregisterError, match=r"not \(256, 256\)"):
        truth_ddf(standin[1], [], [], (256, 256))
    (tmp_path / "truth.npz").write_bytes(b"<html>")
    with pytest.raises(ReregisterError, match="cannot be read"):
        truth_ddf(tmp_path / "truth.npz", [], [], (SIZE, SIZE))


BEAT = Beat(np.array([66.3, 60.1]), ellipse(1.06, 0.7), 9.5**2, 13.2**2, 0.5)


def test_psi_and_its_inverse():
    for beat in (BEAT, Beat(BEAT.centre, BEAT.shape, BEAT.inner, BEAT.outer, 1.06)):
        assert np.abs(beat.invert(beat.apply(GRID)) - GRID).max() < 1e-9
        assert np.abs(beat.apply(beat.invert(GRID)) - GRID).max() < 1e-9
    np.testing.assert_allclose(BEAT.apply(BEAT.centre), BEAT.centre)
    far = np.linalg.norm((GRID - BEAT.centre) @ np.linalg.inv(BEAT.shape), axis=-1) >= 1.6 * 13.2
    np.testing.assert_allclose(BEAT.apply(GRID)[far], GRID[far], atol=1e-9)
    assert np.linalg.norm(BEAT.apply(GRID) - GRID, axis=-1).max() == pytest.approx(BEAT.largest_displacement, rel=0.02)


def test_determinants(standin):
    """The determinant in closed form is that of the map; the wall keeps its area, and nothing folds."""
    fine = BEAT.centre + (pixel_grid((401, 401)) - 200) / 8
    measured = jacobian_determinants(8 * BEAT.apply(fine)[np.newaxis])[0]
    middles = fine[:-1, :-1] + 1 / 16
    squares = (((middles - BEAT.centre) @ np.linalg.inv(BEAT.shape)) ** 2).sum(-1)
    np.testing.assert_allclose(measured, BEAT.determinant(squares), atol=0.06)
    assert BEAT.min_determinant == pytest.approx(BEAT.determinant(squares).min(), abs=1e-3)
    wall = (squares > BEAT.inner_now) & (squares < BEAT.outer_now)
    assert wall.sum() > 1000
    np.testing.assert_allclose(BEAT.determinant(squares[wall]), 1, atol=1e-12)
    ends = np.array([BEAT.inner_now, BEAT.outer_now])
    np.testing.assert_allclose(BEAT.to_template_square(ends), [BEAT.inner, BEAT.outer], rtol=1e-12)
    assert BEAT.inner_now == pytest.approx(0.5 * BEAT.inner)
    assert 0.5 < standin[2]["min_determinant"] < 1
    assert 1 < standin[2]["largest_displacement_px"] < 4
    with pytest.raises(ValueError, match="folds"):
        Beat(BEAT.centre, BEAT.shape, BEAT.inner, BEAT.outer, 5.0)


def test_contraction_has_one_beginning_and_one_end():
    for phases, ed, es in ((20, 18, 7), (6, 5, 1), (20, 15, 9)):
        gone = contraction(phases, ed, es)
        assert (np.argmin(gone), np.argmax(gone)) == (ed, es)
        assert (gone[ed], gone[es]) == (0, 1)
        assert ((gone > 0) & (gone < 1)).sum() == phases - 2
    with pytest.raises(ValueError, match="both phase 3"):
        contraction(8, 3, 3)


def test_half_pixel_polygon_refuses_a_coarse_curve():
    with pytest.raises(ValueError, match="longer than half a pixel"):
        half_pixel_polygon(np.array([[0.0, 0.0], [0.0, 3.0], [3.0, 3.0]]))
