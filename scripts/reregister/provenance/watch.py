"""What a job really read, wrote and connected to, through Python's audit hooks.

The hooks see Python's own `open` and `socket.connect`; what a C++ library opens by itself and what a child process does
they do not see, unless it keeps a watch of its own (`child.py`). Declared files are hashed in any case.
"""

import contextlib
import os
import re
import site
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reregister.provenance.files import resolver

_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC
# An absolute path inside a word of a command line: after a blank, a quote, `=`, `:`, `,` or an option's letter.
_ABSOLUTE = re.compile(r"""(?:(?<=[\s=:,;'"(])|(?<=file://)|(?<=^-[A-Za-z]))/(?!/)[^\s:,;'"()]+""")


class Watch:
    """Collects opened paths and network addresses from the moment it is started."""

    def __init__(self) -> None:
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self.network: set[str] = set()
        self.programs: list[list[str]] = []
        self.active = False

    def start(self) -> None:
        """Install the hook. An audit hook cannot be removed, only made to do nothing."""
        self.active = True
        sys.addaudithook(self._hook)

    def stop(self) -> None:
        self.active = False

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active:
            return
        if event == "open":
            path, mode, flags = arguments
            if isinstance(path, int) or path is None:
                return
            writes = bool((flags or 0) & _WRITE_FLAGS) or (isinstance(mode, str) and any(c in mode for c in "wax+"))
            # Made absolute now: the job may change its folder later. Where that folder is gone, nothing can be opened.
            with contextlib.suppress(FileNotFoundError):
                (self.writes if writes else self.reads).add(os.path.abspath(os.fsdecode(path)))
        elif event == "socket.connect":
            address = arguments[1]
            if isinstance(address, tuple):
                self.network.add(f"{address[0]}:{address[1]}")
        elif event == "subprocess.Popen":
            argv = arguments[1]
            self.programs.append([os.fsdecode(a) for a in ([argv] if isinstance(argv, (str, bytes)) else argv)])
        elif event == "os.system":
            self.programs.append(["sh", "-c", os.fsdecode(arguments[0])])

    def programs_run(self, base: Path) -> list[list[str]]:
        """Command lines of the programs that were started, with no absolute path in them: see `undeclared`."""
        return [
            [os.path.basename(program), *(_without_folders(word, base) for word in words)]
            for program, *words in self.programs
        ]

    def undeclared(self, declared: Iterable[Path], ignored: Iterable[Path], base: Path) -> tuple[list[str], list[str]]:
        """Paths read and paths written that are neither declared nor the machinery of Python and the system.

        Returned relative to `base` where they lie below it, otherwise as `outside/<file name>`, so that no absolute
        path stands in a receipt.
        """
        real = resolver()
        known = {real(path) for path in declared}
        run, own, machinery = _Roots([real(base)]), _Roots(map(real, ignored)), _Roots(map(real, _machinery()))

        def is_left(path: str, place: str) -> bool:
            # A run folder may itself lie in a temporary folder: inside it only what the job owns is passed over.
            if place in known or own.hold(place) or (machinery.hold(place) and not run.hold(place)):
                return False
            # A temporary file that was moved onto its output or removed is gone by now.
            return os.path.exists(path) and not os.path.isdir(place)

        def left(paths: set[str]) -> list[str]:
            places = {path: real(path) for path in paths}
            return sorted({_relative(place, base) for path, place in places.items() if is_left(path, place)})

        return left(self.reads), left(self.writes)


class _Roots:
    """Files and folders, and whether a path is one of them or lies below one; all as `realpath` gives them."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = frozenset(paths)
        self.folders = tuple(path + os.sep for path in self.paths)

    def hold(self, path: str) -> bool:
        return path in self.paths or path.startswith(self.folders)


def _real(path: str | os.PathLike[str]) -> str:
    return os.path.realpath(os.fspath(path))


def _relative(path: str, base: Path) -> str:
    root = _real(base)
    return os.path.relpath(path, root) if path.startswith(root + os.sep) else f"outside/{os.path.basename(path)}"


def _without_folders(word: str, base: Path) -> str:
    if os.path.isabs(word):
        return _relative(_real(word), base)
    return _ABSOLUTE.sub(lambda match: _relative(_real(match.group()), base), word)


def _machinery() -> list[str]:
    """Folders whose files are the environment's, recorded as package versions and not file by file."""
    paths = {sys.prefix, sys.base_prefix, tempfile.gettempdir()}
    paths.update(("/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/opt", "/var"))
    paths.update(sysconfig.get_paths().values())
    paths.update(site.getsitepackages() if hasattr(site, "getsitepackages") else [])
    # Not Path.home: it raises where a container runs as a user without a home folder.
    home = os.path.expanduser("~")
    paths.update(os.path.join(home, name) for name in (".cache", ".config", ".local", "Library"))
    return sorted(paths)
