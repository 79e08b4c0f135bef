"""Small volumes and folders of them for the tests of the readers of heads."""

import gzip

import nibabel as nib
import numpy as np


def nifti(values, affine, **header):
    """Bytes of a .nii.gz; header: fields to overwrite, be they sensible or not."""
    content = bytearray(nib.Nifti1Image(values, affine).to_bytes())
    raw = nib.Nifti1Header(bytes(content[:348]), check=False)
    for key, value in header.items():
        raw[key] = value
    content[:348] = raw.binaryblock
    return gzip.compress(bytes(content), mtime=0)


def put(folder, name, content):
    """Write a file below a folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def ball(shape, centre, radius, spacing):
    """Where voxels lie within a distance (mm) of a voxel."""
    places = np.moveaxis(np.indices(shape), 0, -1)
    return np.linalg.norm((places - centre) * spacing, axis=-1) <= radius
