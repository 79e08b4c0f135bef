"""Files of the Sunnybrook layout, written so that the same content gives the same bytes: DICOM, contours, zip."""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

Floats = NDArray[np.floating[Any]]

_ZIP_TIME = (2009, 9, 20, 0, 0, 0)
_STUDY_DATE = "20090920"
_BEAT_MS = 750
#: Rows of the image plane in the patient: columns and rows of a slice run along these (LPS).
_ALONG_ROW, _ALONG_COLUMN = (-0.104592, 0.346381, -0.932245), (-0.733192, -0.660188, -0.163037)
_FIRST_POSITION = np.array([160.0, 35.0, 145.0])


@dataclass(frozen=True)
class Series:
    """What the frames of one DICOM series share.

    patient: folder name, also PatientID. number: SeriesNumber. phases: frames per slice. pixel, spacing: millimetres in
    the plane and between slices. seed: text that, with the ids above, gives the UIDs.
    """

    patient: str
    number: int
    phases: int
    pixel: float
    spacing: float
    seed: str


class SeriesWriter:
    """Encodes the frames of one series of square images, int16, `size` pixels along each side.

    pydicom writes one file with marks in place of what differs between frames; each frame then fills in the marks,
    which is a hundred times as fast as writing its header anew.
    """

    def __init__(self, series: Series, size: int) -> None:
        self.series, self.shape = series, (size, size)
        header = self._header()
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = _UID_MARK
        header.InstanceNumber, header.TriggerTime = _INSTANCE_MARK, _TIME_MARK
        header.ImagePositionPatient, header.SliceLocation = list(_POSITION_MARKS), _DEPTH_MARK
        header.PixelData = bytes(2 * size * size)
        buffer = io.BytesIO()
        header.save_as(buffer, enforce_file_format=True)
        self._head = buffer.getvalue()[: -2 * size * size]

    def frame(self, image: NDArray[np.int16], instance: int) -> bytes:
        """One DICOM file: image int16 (size, size); instance: InstanceNumber from 1, which says slice and phase.

        Raises ValueError for an image of another shape or type.
        """
        if image.shape != self.shape or image.dtype != np.int16:
            raise ValueError(f"a frame of {image.shape} {image.dtype} is none of {self.shape} int16")
        series = self.series
        index, phase = divmod(instance - 1, series.phases)
        depth = index * series.spacing
        place = _FIRST_POSITION + depth * np.cross(_ALONG_ROW, _ALONG_COLUMN)
        values = {
            _UID_MARK: _uid(series.seed, series.patient, series.number, instance),
            _INSTANCE_MARK: str(instance),
            _TIME_MARK: f"{phase * _BEAT_MS / series.phases:.6g}",
            _DEPTH_MARK: f"{depth:.6g}",
            **{mark: f"{value:.6g}" for mark, value in zip(_POSITION_MARKS, place, strict=True)},
        }
        head = self._head
        for mark, value in values.items():
            # Numbers are padded with spaces, which DICOM allows; UIDs are all of one length.
            head = head.replace(mark.encode(), value.ljust(len(mark)).encode())
        return head + image.astype("<i2").tobytes()

    def _header(self) -> Dataset:
        series, header, meta = self.series, Dataset(), FileMetaDataset()
        meta.MediaStorageSOPClassUID = MRImageStorage
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        # Named here, because pydicom would write its own version into the file.
        meta.ImplementationClassUID = _uid("reregister")
        meta.ImplementationVersionName = "REREGISTER"
        header.file_meta = meta
        header.SpecificCharacterSet = "ISO_IR 100"
        header.ImageType = ["ORIGINAL", "PRIMARY", "CARDIAC", "NONE"]
        header.SOPClassUID = MRImageStorage
        header.StudyDate = header.SeriesDate = _STUDY_DATE
        header.StudyTime = header.SeriesTime = "120000"
        header.Modality = "MR"
        # In the open: nobody may take these frames for a patient's.
        header.Manufacturer = "reregister stand-in"
        # Empty in every original file, so that no reader may select by it.
        header.StudyDescription = header.SeriesDescription = ""
        header.PatientName = header.PatientID = series.patient
        header.SliceThickness = header.SpacingBetweenSlices = f"{series.spacing:g}"
        header.NominalInterval, header.CardiacNumberOfImages = _BEAT_MS, series.phases
        header.StudyInstanceUID = _uid(series.seed, series.patient)
        header.SeriesInstanceUID = _uid(series.seed, series.patient, series.number)
        header.FrameOfReferenceUID = _uid(series.seed, series.patient, "frame of reference")
        header.SeriesNumber = series.number
        header.ImageOrientationPatient = [*_ALONG_ROW, *_ALONG_COLUMN]
        header.Rows, header.Columns = self.shape
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.PixelSpacing = [f"{series.pixel:.7g}"] * 2
        header.BitsAllocated = header.BitsStored = 16
        header.HighBit, header.PixelRepresentation = 15, 1
        header.WindowCenter, header.WindowWidth = 440, 880
        return header


def half_pixel_polygon(points: Floats) -> Floats:
    """A curve as the official contours draw it: from (P, 2) row and column to (Q, 2) x and y in steps of half a pixel.

    The points must lie closer than half a pixel to their neighbours, the last to the first too. The polygon is closed
    and does not repeat its first point; of a curve smaller than a step nothing may be left. Raises ValueError for a
    step that is too long.
    """
    rounded = np.rint(2 * points[:, ::-1]) / 2
    kept = rounded[np.any(rounded != np.roll(rounded, 1, axis=0), axis=1)]
    if (np.abs(kept - np.roll(kept, 1, axis=0)) > 0.5).any():
        raise ValueError("a contour has a step longer than half a pixel; sample it more densely")
    return kept


def contour_text(polygon: Floats) -> bytes:
    """A contour file: one `x y` per line, two decimals."""
    return "".join(f"{x:.2f} {y:.2f}\n" for x, y in polygon).encode("ascii")


def add_member(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Append a member with a fixed time and fixed attributes; the order is that of the calls."""
    info = zipfile.ZipInfo(name, _ZIP_TIME)
    info.create_system, info.external_attr = 3, 0o644 << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    # Noise hardly compresses: a higher level takes three times as long for a few per cent.
    archive.writestr(info, content, compresslevel=1)


def _uid(*parts: object) -> UID:
    """A UID of the form 2.25.<number>, free for anyone, from the parts; all are of one length."""
    digest = hashlib.sha256("\n".join(map(str, parts)).encode()).digest()
    return UID(f"2.25.{10**37 + int.from_bytes(digest[:15], 'big')}")


#: Marks of a header, each as long as what may take its place, and none part of another or of anything else in it.
_UID_MARK = _uid("mark")
_INSTANCE_MARK, _TIME_MARK, _DEPTH_MARK = "-2000000009", "-10000008.765432", "-20000008.765432"
_POSITION_MARKS = ("-30000008.765432", "-40000008.765432", "-50000008.765432")
