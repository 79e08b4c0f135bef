"""DICOM frames: pixels and geometry as the header states them, and files that cannot be used."""

import numpy as np
import pytest
import SimpleITK as sitk

from reregister.data.dicom import read_frame, require_alike
from reregister.errors import ReregisterError
from tests.unit.dicom_bytes import dicom_bytes

PIXELS = np.random.default_rng(0).integers(-50, 900, (6, 8))


def test_frame(tmp_path):
    data = dicom_bytes(PIXELS, 27)
    frame = read_frame(data, "f.dcm")
    assert frame.pixels.dtype == np.float32
    np.testing.assert_array_equal(frame.pixels, PIXELS)
    assert frame.spacing == (1.5, 1.25)  # row, column
    assert (frame.slice_distance, frame.slice_distance_from) == (8, "SpacingBetweenSlices")
    assert (frame.instance, frame.phases, frame.position) == (27, 20, (0, 0, 8))
    (tmp_path / "f.dcm").write_bytes(data)
    image = sitk.ReadImage(tmp_path / "f.dcm")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image)[0], frame.pixels)
    assert image.GetSpacing()[:2] == (1.25, 1.5)  # column, row


def test_rescale():
    frame = read_frame(dicom_bytes(PIXELS, RescaleSlope=2, RescaleIntercept=-10), "f.dcm")
    np.testing.assert_array_equal(frame.pixels, PIXELS * 2 - 10)


def test_fallbacks_of_the_slice_distance():
    frame = read_frame(dicom_bytes(PIXELS, SpacingBetweenSlices=None), "f.dcm")
    assert (frame.slice_distance, frame.slice_distance_from) == (6, "SliceThickness")
    bare = {"SpacingBetweenSlices": None, "SliceThickness": "", "InstanceNumber": None, "ImagePositionPatient": None}
    frame = read_frame(dicom_bytes(PIXELS, **bare), "f.dcm")
    assert frame.slice_distance is frame.slice_distance_from is frame.instance is frame.position is None


@pytest.mark.parametrize("spacing", [None, "", [0.0, 1.0]])
def test_missing_pixel_spacing_is_refused(spacing):
    with pytest.raises(ReregisterError, match=r"s/f\.dcm has .*pixel spacing"):
        read_frame(dicom_bytes(PIXELS, PixelSpacing=spacing), "s/f.dcm")


@pytest.mark.parametrize("data", [b"", b"<html>", b"\0" * 200, dicom_bytes(PIXELS)[:200]])
def test_other_files_are_refused(data):
    with pytest.raises(ReregisterError, match=r"f\.dcm"):
        read_frame(data, "f.dcm")


def test_pixels_that_are_no_image():
    with pytest.raises(ReregisterError, match=r"f\.dcm has no pixels"):
        read_frame(dicom_bytes(PIXELS, PixelData=None), "f.dcm")
    with pytest.raises(ReregisterError, match=r"f\.dcm has no pixels"):
        read_frame(dicom_bytes(PIXELS)[:-20], "f.dcm")
    with pytest.raises(ReregisterError, match=r"shape \(2, 6, 8\)"):
        read_frame(dicom_bytes(np.stack([PIXELS, PIXELS]), NumberOfFrames=2), "f.dcm")


def test_frames_of_one_series_are_alike():
    one = read_frame(dicom_bytes(PIXELS), "1.dcm")
    require_alike({"1.dcm": one, "2.dcm": read_frame(dicom_bytes(PIXELS + 1, 2), "2.dcm")})
    with pytest.raises(ReregisterError, match=r"3\.dcm has 6 x 4 pixels but 1\.dcm of the same series 6 x 8"):
        require_alike({"1.dcm": one, "3.dcm": read_frame(dicom_bytes(PIXELS[:, :4]), "3.dcm")})
    with pytest.raises(ReregisterError, match=r"4\.dcm has 1\.5 x 1\.5 mm per pixel but 1\.dcm .* 1\.5 x 1\.25"):
        require_alike({"1.dcm": one, "4.dcm": read_frame(dicom_bytes(PIXELS, spacing=(1.5, 1.5)), "4.dcm")})
