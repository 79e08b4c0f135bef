"""Which process has which device: a lock per device, held until the process ends. Standard library only."""

import fcntl
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_PAUSE_S = 0.5
# By name of the device the file whose lock this process holds.
_held: dict[str, int] = {}


def lease(names: Sequence[str], folder: Path) -> int:
    """Place of the first of some devices that no other process holds; this process holds it until it ends.

    names: what tells devices of one machine apart. folder: takes one file per device, whose lock the system takes back
    when the process ends, be it by a kill. Waits where all are held. A process that holds one already is given it again.
    """
    if own := [place for place, name in enumerate(names) if name in _held]:
        return own[0]
    files = [_opened(folder / f"reregister-gpu-{name}.lock") for name in names]
    said = False
    try:
        while True:
            for place, name in enumerate(names):
                with suppress(BlockingIOError):
                    fcntl.flock(files[place], fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _held[name] = files[place]
                    return place
            if not said:
                print(f"waiting for a GPU: other jobs have taken all {len(names)} that this one sees", flush=True)
                said = True
            time.sleep(_PAUSE_S)
    finally:
        for file in set(files) - set(_held.values()):
            os.close(file)


def _opened(path: Path) -> int:
    # For reading: a lock needs no more, and another user's file allows no more. No child inherits it.
    with suppress(FileExistsError):
        file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL)
        os.fchmod(file, 0o644)
        return file
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
