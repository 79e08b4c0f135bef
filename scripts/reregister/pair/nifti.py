"""What ITK's reader of NIfTI passes over in silence: a file that ends early, and NaN, which it turns into 0."""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

FLOATS = {16: "f4", 64: "f8"}
# Bytes of a NIfTI-1 header; NIfTI-2 is not among what ITK reads.
HEADER = 348
BLOCK = 1 << 24


def fault_of(path: Path) -> str:
    """What is wrong with the pixels of a .nii or .nii.gz file, as a clause; empty where nothing is.

    Found are files that are cut off or damaged, and values of float32 and float64 that are not finite. A header that is
    no NIfTI's is left to the reader. Raises OSError where the file cannot be read.
    """
    with path.open("rb") as start:
        packed = start.read(2) == b"\x1f\x8b"
    with cast(BinaryIO, gzip.open(path) if packed else path.open("rb")) as file:
        try:
            return _fault_in(file)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            return f"is damaged or cut off ({error})"


def _fault_in(file: BinaryIO) -> str:
    header = file.read(HEADER)
    orders = [order for order in "<>" if header[:4] == struct.pack(f"{order}i", HEADER)]
    if len(header) < HEADER or not orders:
        return ""
    lengths = struct.unpack_from(f"{orders[0]}8h", header, 40)
    kind, bits = struct.unpack_from(f"{orders[0]}2h", header, 70)
    size = math.prod(max(length, 1) for length in lengths[1 : 1 + lengths[0]]) * bits // 8
    dtype = np.dtype(orders[0] + FLOATS[kind]) if kind in FLOATS else None
    file.seek(int(struct.unpack_from(f"{orders[0]}f", header, 108)[0]))
    found = 0
    while block := file.read(BLOCK):
        found += len(block)
        # A block is a multiple of 8 bytes but the last, of which bytes behind the pixels are left out.
        if (
            dtype
            and not np.isfinite(np.frombuffer(block[: len(block) // dtype.itemsize * dtype.itemsize], dtype)).all()
        ):
            return "has pixels that are no finite numbers"
    return f"is cut off, it has {found} of {size} bytes of pixels" if found < size else ""
