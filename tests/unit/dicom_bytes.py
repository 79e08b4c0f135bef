"""Small DICOM files for tests, made as SCD's are: one int16 MR image, explicit little endian, no series description."""

import io

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage


def dicom_bytes(pixels, number=1, spacing=(1.5, 1.25), **attributes):
    """A file with int16 pixels (H, W); further attributes by keyword, None removes one."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    values = {
        "SOPClassUID": MRImageStorage,
        "SOPInstanceUID": f"1.2.3.{number}",
        "Modality": "MR",
        "SeriesDescription": "",
        "InstanceNumber": number,
        "CardiacNumberOfImages": 20,
        "ImagePositionPatient": [0.0, 0.0, 8.0 * ((number - 1) // 20)],
        "PixelSpacing": list(spacing),
        "SpacingBetweenSlices": 8.0,
        "SliceThickness": 6.0,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
        "Rows": pixels.shape[-2],
        "Columns": pixels.shape[-1],
        "PixelData": np.asarray(pixels, "<i2").tobytes(),
    }
    for name, value in {**values, **attributes}.items():
        if value is not None:
            setattr(data, name, value)
    stream = io.BytesIO()
    data.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
