"""How long it takes to read the images of a pair, for a process of its own: from the archive, and from the store."""

import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reregister.errors import ReregisterError
from reregister.registry import load

# Of a training pair.
IMAGES = 2


def read_archive(
    reader: str, members: Mapping[str, str], sha256: Mapping[str, str], reading: Mapping[str, Any], repeats: int
) -> dict[str, Any]:
    """Milliseconds to decode the two images of a pair from the official archive, through the dataset's reader.

    reader: module of `data/readers`. members, sha256: paths and digests by name, as its `read` takes them. reading: its
    further arguments. repeats: iterations at most. The time of an iteration is shared by the images that it yields; where
    the first yields all images at once, opening the archive counts with it, for there the images are decoded.
    Returns ms, n (iterations) and whole (whether one iteration yielded all). Raises ReregisterError where none is yielded.
    """
    paths = {name: Path(path) for name, path in members.items()}
    start = time.perf_counter()
    with load("data/readers", reader).read(paths, sha256, {}, **reading) as found:
        opened = time.perf_counter()
        times: list[float] = []
        batches = iter(found)
        whole = False
        while len(times) < repeats and not whole:
            begun = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                break
            whole = len(batch[0]) == found.count
            seconds = time.perf_counter() - begun + (opened - start if whole else 0)
            times.append(seconds * IMAGES / len(batch[0]))
    if not times:
        raise ReregisterError(f"the reader {reader} yields no image; check the archive of the dataset")
    return {"ms": 1e3 * statistics.median(times), "n": len(times), "whole": whole}


def read_store(images: str, repeats: int) -> dict[str, Any]:
    """Milliseconds to take the two images of a pair out of the store's mapped array, as the training loop does.

    images: path of images.npy. repeats: pairs at most. No pair is read twice. Returns ms and n (pairs). Raises
    ReregisterError for a store of one image.
    """
    array = np.load(images, mmap_mode="r", allow_pickle=False)
    rows = np.random.default_rng(0).permutation(len(array))[: IMAGES * repeats]
    pairs = [rows[place : place + IMAGES] for place in range(0, len(rows) - 1, IMAGES)]
    if not pairs:
        raise ReregisterError(f"{images} holds {len(array)} images and a pair needs two; prepare the data again")
    times = []
    for pair in pairs:
        start = time.perf_counter()
        np.ascontiguousarray(array[pair])
        times.append(time.perf_counter() - start)
    return {"ms": 1e3 * statistics.median(times), "n": len(times)}


def read_both(archive: Mapping[str, Any] | None, images: str, repeats: int) -> dict[str, Any]:
    """`read_archive` with the arguments of archive (None where it is left out) and then `read_store`."""
    found = None if archive is None else read_archive(**archive, repeats=repeats)
    return {"archive": found, "store": read_store(images, repeats)}
