"""Decoding of the TIFFs of the LGG segmentation set; what is not whole is refused, never repaired."""

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reregister.errors import ReregisterError

_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    SyntaxError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)
_REPLACED = b"\xef\xbf\xbd"


def decode_image(content: bytes, name: str) -> NDArray[np.uint8]:
    """An RGB TIFF as uint8 (H, W, 3): pre-contrast, FLAIR, post-contrast.

    name: the file's, for messages. Raises ReregisterError for a damaged file and for another kind of image.
    """
    return _decode(content, name, "RGB")


def decode_mask(content: bytes, name: str) -> NDArray[np.uint8]:
    """A grey TIFF of 0 and 255 as uint8 (H, W) of 0 and 1.

    name: the file's, for messages. Raises ReregisterError for a damaged file, another kind of image and other values.
    """
    grey = _decode(content, name, "L")
    values = np.unique(grey)
    if not np.isin(values, (0, 255)).all():
        odd = ", ".join(str(value) for value in values if value not in (0, 255))
        raise ReregisterError(f"{name} is no mask of 0 and 255, it also holds {odd[:60]}; fetch it again.")
    return (grey > 0).astype(np.uint8)


def what_is_wrong(content: bytes) -> str | None:
    """A known defect of copies of the set as a clause, None where the bytes show none.

    - Copies that passed through a text editor or tool: bytes from 0x80 on that are no UTF-8 became U+FFFD, EF BF BD.
    - Clones without Git LFS, and web pages, under the name of the file.
    """
    # Chance makes some bytes of an image valid UTF-8, never all of them.
    if _REPLACED in content and _is_utf8(content):
        return (
            f"its bytes from 0x80 on were replaced by U+FFFD ({content.count(_REPLACED)} times EF BF BD), "
            "as in some copies on GitHub"
        )
    if content.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer, not the file itself"
    if content.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        return "it is an HTML page"
    return None


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _decode(content: bytes, name: str, mode: str) -> NDArray[np.uint8]:
    # First, because a file so damaged may still open and show shifted pixels.
    if defect := what_is_wrong(content):
        raise ReregisterError(f"{name} is damaged, {defect}; fetch the data from another source.")
    try:
        with Image.open(io.BytesIO(content), formats=["TIFF"]) as image:
            found = image.mode
            pixels = np.array(image)
    except _UNREADABLE as error:
        raise ReregisterError(f"{name} is damaged or no TIFF ({error}); fetch or copy it again.") from error
    if found != mode or pixels.dtype != np.uint8:
        raise ReregisterError(f"{name} is a TIFF of mode {found} where {mode}, 8 bits, is needed; fetch it again.")
    return pixels
