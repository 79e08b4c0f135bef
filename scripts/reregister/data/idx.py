"""The IDX format of MNIST: big-endian header (0, 0, type, rank, sizes), then the bytes, all of it gzipped."""

import gzip
import math
import os
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from reregister.errors import ReregisterError
from reregister.provenance.files import atomic_path

UINT8_CODE = 0x08
_BLOCK_BYTES = 1 << 20
_HTML_STARTS = (b"<!doctype", b"<html")


def read_idx(path: str | os.PathLike[str], ndim: int | None = None) -> NDArray[np.uint8]:
    """Decode one gzipped IDX file of unsigned bytes [yann.lecun.com/exdb/mnist, "the IDX file format"].

    ndim: rank that the file must have (1 for labels, magic 2049; 3 for images, magic 2051); None takes any.
    Returns uint8 of the shape in the header. Raises ReregisterError for an HTML page, a file that is not gzip, a
    truncated or damaged one, a wrong magic number, and a header that promises more or fewer bytes than follow; memory
    grows with the bytes that are there, never with those that a header promises.
    """
    try:
        _refuse_other_formats(path)
        with gzip.open(path, "rb") as file:
            shape = _read_header(file, path, ndim)
            content = _read_promised(file, path, shape)
    except FileNotFoundError:
        raise ReregisterError(f"{path} is missing; fetch or make the data set first.") from None
    except EOFError:
        raise ReregisterError(f"{path} ends in the middle of its gzip stream (truncated); fetch it again.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ReregisterError(f"{path} is a damaged gzip file ({error}); fetch it again.") from None
    return np.frombuffer(content, np.uint8).reshape(shape)


def write_idx(path: str | os.PathLike[str], array: NDArray[np.uint8]) -> None:
    """Write `array` (uint8, rank 1 to 255) as gzipped IDX, in one piece and without time stamp or file name.

    The same array gives the same bytes. Raises ValueError for another dtype or a rank that IDX cannot hold.
    """
    if array.dtype != np.uint8 or not 1 <= array.ndim <= 255:
        raise ValueError(f"IDX here holds uint8 of rank 1 to 255, got {array.dtype} of shape {array.shape}")
    header = bytes((0, 0, UINT8_CODE, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    with (
        atomic_path(path) as temporary,
        open(temporary, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as file,
    ):
        file.write(header)
        file.write(np.ascontiguousarray(array).data)


def _refuse_other_formats(path: str | os.PathLike[str]) -> None:
    with open(path, "rb") as file:
        head = file.read(512)
    # Servers answer a wrong address or an expired link with a page under the name of the archive.
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_HTML_STARTS):
        raise ReregisterError(f"{path} is an HTML page, not a gzip file; the server sent a page instead of the data.")
    if not head.startswith(b"\x1f\x8b"):
        raise ReregisterError(f"{path} is not a gzip file (first bytes {head[:4].hex() or 'none'}); fetch it again.")


def _read_header(file: gzip.GzipFile, path: str | os.PathLike[str], ndim: int | None) -> tuple[int, ...]:
    magic = file.read(4)
    rank = magic[3] if len(magic) == 4 else 0
    if magic[:3] != bytes((0, 0, UINT8_CODE)) or rank == 0 or (ndim is not None and rank != ndim):
        wanted = "an IDX magic number of unsigned bytes" if ndim is None else str((UINT8_CODE << 8) + ndim)
        raise ReregisterError(f"{path} has the magic number {int.from_bytes(magic)} where {wanted} is expected.")
    sizes = file.read(4 * rank)
    if len(sizes) < 4 * rank:
        raise ReregisterError(f"{path} ends inside its IDX header; fetch it again.")
    return struct.unpack(f">{rank}I", sizes)


def _read_promised(file: gzip.GzipFile, path: str | os.PathLike[str], shape: tuple[int, ...]) -> bytearray:
    promised = math.prod(shape)
    content = bytearray()
    while len(content) <= promised:
        block = file.read(min(_BLOCK_BYTES, promised + 1 - len(content)))
        if not block:
            break
        content += block
    if len(content) != promised:
        found = "more follow" if len(content) > promised else f"{len(content)} follow"
        raise ReregisterError(f"{path} promises {promised} bytes of shape {shape} but {found}; fetch it again.")
    return content
