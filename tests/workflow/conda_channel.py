"""A local conda channel with what runs these tests: this CPython, and packages as pip has installed them here.

It is no conda-forge: names are PyPI's, a package is what its wheel put here, and its dependencies are those of its
metadata. What a solver finds in it says that an environment file can be read and solved with the versions of the lock.
"""

import asyncio
import hashlib
import io
import json
import os
import re
import shutil
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

import zstandard
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SUBDIR = "linux-64"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
# Tests and configuration for compiling against this Python, which no job needs.
_LEFT_OUT = {"__pycache__", "test", "tests", "idlelib", "ensurepip", "site-packages", "dist-packages"}
Files = Mapping[str, Path]


def why_not() -> str | None:
    """Why no channel can be packed on this machine, None where one can."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        return "the channel is packed for Linux on x86-64"
    if "deb_system" in sysconfig.get_scheme_names():
        return "Debian's own Python looks for packages in other folders than any other Python"
    return None


def make_channel(folder: Path, packages: Iterable[str], newest: str) -> None:
    """Pack Python and some installed packages, with all that they depend on, into a channel at `folder`.

    newest: a version in which each of `packages` stands there once more, with nothing in it.
    """
    from rattler.index import index_fs

    (folder / SUBDIR).mkdir(parents=True)
    (folder / "noarch").mkdir()
    pack(folder, "python", python_version(), _python_files(), [])
    for name in packages:
        pack(folder, canonicalize_name(name), newest, {}, [])
    todo = [canonicalize_name(name) for name in packages]
    done: set[str] = set()
    while todo:
        name = todo.pop()
        if name not in done:
            done.add(name)
            needed = _needed(name)
            todo += [canonicalize_name(requirement.name) for requirement in needed]
            depends = [f"python {VERSION}.*", *map(_as_conda, needed)]
            pack(folder, name, metadata.version(name), _package_files(name), depends)
    asyncio.run(index_fs(folder))


def python_version() -> str:
    """Version of this Python."""
    return ".".join(map(str, sys.version_info[:3]))


def pack(folder: Path, name: str, version: str, files: Files, depends: list[str]) -> None:
    """Write one package in the .conda format. files: place in the environment to the file that is put there."""
    stem = f"{name}-{version}-0"
    about = {
        "name": name,
        "version": version,
        "build": "0",
        "build_number": 0,
        "depends": depends,
        "subdir": SUBDIR,
        "arch": "x86_64",
        "platform": "linux",
        "timestamp": 1700000000000,
    }
    paths = [
        {
            "_path": place,
            "path_type": "hardlink",
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "size_in_bytes": file.stat().st_size,
        }
        for place, file in files.items()
    ]
    info = {"index.json": about, "paths.json": {"paths": paths, "paths_version": 1}, "about.json": {}}
    with zipfile.ZipFile(folder / SUBDIR / f"{stem}.conda", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("metadata.json", json.dumps({"conda_pkg_format_version": 2}))
        for part in ("pkg", "info"):
            with (
                archive.open(f"{part}-{stem}.tar.zst", "w", force_zip64=True) as target,
                zstandard.ZstdCompressor(level=1).stream_writer(target, closefd=False) as stream,
                tarfile.open(fileobj=stream, mode="w|") as tar,
            ):
                if part == "pkg":
                    for place, file in files.items():
                        tar.add(file.resolve(), arcname=place, recursive=False)
                else:
                    for place, content in info.items():
                        _add_text(tar, f"info/{place}", json.dumps(content))
                    _add_text(tar, "info/files", "\n".join(files) + "\n")


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(text.encode())
    tar.addfile(member, io.BytesIO(text.encode()))


def _python_files() -> dict[str, Path]:
    """The interpreter, the library that it is linked with where there is one, and the standard library."""
    library = Path(sysconfig.get_path("stdlib"))
    program = Path(os.path.realpath(sys.executable))
    files = {f"bin/{name}": program for name in (f"python{VERSION}", "python3", "python")}
    shared = Path(sysconfig.get_config_var("LIBDIR") or "", sysconfig.get_config_var("INSTSONAME") or "")
    if shared.suffix != ".a" and shared.is_file():
        files[f"lib/{shared.name}"] = shared
    for path in sorted(library.rglob("*")):
        place = path.relative_to(library)
        if path.is_file() and not _LEFT_OUT & set(place.parts) and not place.parts[0].startswith("config-"):
            files[f"lib/python{VERSION}/{place.as_posix()}"] = path
    return files


def _package_files(name: str) -> dict[str, Path]:
    """Files of an installed package below site-packages; scripts, which name this environment's Python, stay behind."""
    package = metadata.distribution(name)
    found = {file: Path(str(package.locate_file(file))) for file in package.files or ()}
    return {
        f"lib/python{VERSION}/site-packages/{file.as_posix()}": path
        for file, path in found.items()
        if file.parts[0] != ".." and not _LEFT_OUT & set(file.parts) and path.is_file()
    }


def _needed(name: str) -> list[Requirement]:
    """What a package requires on this machine, its extras apart."""
    required = map(Requirement, metadata.requires(name) or ())
    return [each for each in required if each.marker is None or each.marker.evaluate({"extra": ""})]


def _as_conda(requirement: Requirement) -> str:
    return f"{canonicalize_name(requirement.name)} {re.sub(' ', '', str(requirement.specifier))}".strip()


def make_command(folder: Path, channel: Path) -> dict[str, str]:
    """A `conda` in `folder` whose conda-forge is the channel; returns the environment variables that put it first."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    script = Path(__file__).with_name("conda_command.py")
    (programs / "conda").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n', encoding="utf-8")
    (programs / "conda").chmod(0o755)
    (programs / "activate").write_text('export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n', encoding="utf-8")
    return {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "STAND_IN_CHANNEL": channel.as_uri(),
        "STAND_IN_PREFIX": str(folder),
    }


def remove(folder: Path) -> None:
    """Remove a channel, so that a test session does not keep hundreds of megabytes."""
    shutil.rmtree(folder, ignore_errors=True)
