"""What a job reads, writes, starts and connects to, and what its surroundings are.

An audit hook stays for the life of a process, so each case runs in one of its own.
"""

import hashlib
import json
import os
import platform
import pwd
import resource
import shutil
import subprocess
import sys
import textwrap
import types
from pathlib import Path
from typing import Any

import pytest

from reregister.provenance import surroundings, watch

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

FRAME = """
import json, os, sys
from pathlib import Path
from reregister.provenance.watch import Watch

base = Path("run")
watch = Watch()
watch.start()
{body}
watch.stop()
{after}
declared = [base / "in.txt", base / "out.txt"]
reads, writes = watch.undeclared(declared, [base / "checkpoints"], base)
network = sorted(watch.network)
print(json.dumps(dict(reads=reads, writes=writes, network=network, programs=watch.programs_run(base))))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a run folder, a file outside of it, and a folder for temporary files."""
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "scratch").mkdir()
    for name in ("run/in.txt", "run/other.txt", "notes.txt"):
        (tmp_path / name).write_text(name)
    return tmp_path


def watched(place: Path, body: str, after: str = "", **variables: str) -> dict[str, Any]:
    """What the watch reports of `body`, run in `place` with its scratch folder for temporary files."""
    code = FRAME.format(body=textwrap.dedent(body), after=textwrap.dedent(after))
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "TMPDIR": str(place / "scratch"), **variables}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_declared_files_and_the_jobs_own_are_not_named(place: Path) -> None:
    body = """
        open("run/in.txt").close()
        Path("run/out.txt").write_text("x")
        Path("run/checkpoints/a.bin").write_bytes(b"x")
    """
    assert watched(place, body) == {"reads": [], "writes": [], "network": [], "programs": []}


def test_undeclared_files_are_named_relative_to_the_run(place: Path) -> None:
    body = """
        open("run/other.txt").close()
        open(os.fsencode("notes.txt"), "rb").close()
        Path("run/sub").mkdir()
        Path("run/sub/extra.csv").write_text("x")
        with open("run/other.txt", "a"):
            pass
        with open("notes.txt", "r+"):
            pass
        os.close(os.open("run/low.bin", os.O_WRONLY | os.O_CREAT))
    """
    report = watched(place, body)
    assert report["reads"] == ["other.txt", "outside/notes.txt"]
    assert report["writes"] == ["low.bin", "other.txt", "outside/notes.txt", "sub/extra.csv"]


def test_a_declared_file_is_known_by_any_of_its_names(place: Path) -> None:
    (place / "link.txt").symlink_to(place / "run" / "in.txt")
    body = """
        open(Path("run/../run/in.txt").resolve()).close()
        open("link.txt").close()
        os.chdir("run")
        open("in.txt").close()
        os.chdir("..")
    """
    assert watched(place, body)["reads"] == []


def test_a_path_means_what_it_meant_when_it_was_opened(place: Path) -> None:
    body = """
        os.chdir("run")
        open("other.txt").close()
        os.chdir("..")
    """
    assert watched(place, body)["reads"] == ["other.txt"]


def test_files_opened_where_the_folder_is_gone_are_an_ordinary_error(place: Path) -> None:
    body = """
        os.mkdir("gone")
        os.chdir("gone")
        os.rmdir("../gone")
        try:
            open("x.txt")
        except FileNotFoundError as error:
            assert error.filename == "x.txt", error
        os.chdir(Path(os.environ["TMPDIR"]).parent)
    """
    assert watched(place, body)["reads"] == []


def test_packages_and_temporary_files_are_not_named(place: Path) -> None:
    body = """
        import tempfile
        import numpy.testing, yaml
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(b"x")
        open(file.name).close()
        open(os.devnull).close()
    """
    report = watched(place, body)
    assert (report["reads"], report["writes"]) == ([], [])


def test_files_that_were_moved_onto_an_output_or_removed_are_not_named(place: Path) -> None:
    body = """
        from reregister.provenance.files import atomic_path
        with atomic_path("run/out.txt") as temporary:
            temporary.write_text("x")
        Path("run/half.txt").write_text("x")
        os.unlink("run/half.txt")
    """
    report = watched(place, body)
    assert report["writes"] == []
    assert (place / "run" / "out.txt").read_text() == "x"


def test_a_run_inside_the_temporary_folder_is_watched(place: Path) -> None:
    body = """
        open("run/other.txt").close()
        Path("run/extra.txt").write_text("x")
        Path("beside.txt").write_text("x")
    """
    report = watched(place, body, TMPDIR=str(place))
    assert (report["reads"], report["writes"]) == (["other.txt"], ["extra.txt"])


def test_nothing_counts_before_the_start_and_after_the_stop(place: Path) -> None:
    body = "watch.stop()\nopen('run/other.txt').close()\nwatch.active = True"
    after = "open('run/other.txt').close()\nPath('run/late.txt').write_text('x')"
    assert watched(place, body, after) == {"reads": [], "writes": [], "network": [], "programs": []}


def test_connections_are_recorded(place: Path) -> None:
    body = """
        import socket, urllib.request
        server = socket.create_server(("127.0.0.1", 0))
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        pair = socket.socketpair()
        local = socket.socket(socket.AF_UNIX)
        try:
            local.connect("absent.sock")
        except OSError:
            pass
    """
    report = watched(place, body, after='print(port)\nassert watch.network == {f"127.0.0.1:{port}"}')
    assert len(report["network"]) == 1
    assert report["network"][0].startswith("127.0.0.1:")


def test_a_connection_that_fails_is_recorded_too(place: Path) -> None:
    body = """
        import socket
        try:
            socket.socket().connect(("127.0.0.1", 9))
        except OSError:
            pass
    """
    assert watched(place, body)["network"] == ["127.0.0.1:9"]


def test_programs_are_recorded_without_absolute_paths(place: Path) -> None:
    body = """
        import subprocess
        here = os.getcwd()
        true = [sys.executable, "-c", "pass"]
        subprocess.run([*true, "-p", "metric.txt", here + "/run/data/a b.nii"], check=True)
        subprocess.run([*true, f"--in={here}/run/in.txt,{here}/notes.txt", f"-I{here}/run/in.txt"], check=True)
        subprocess.run([*true, "https://example.org/a/b", f"file://{here}/notes.txt", "a/b", "./c", "1/2"], check=True)
        subprocess.run("exit 0", shell=True, check=True)
        os.system(f"cat {here}/run/in.txt '{here}/notes.txt' > /dev/null")
    """
    report = watched(place, body)
    python = os.path.basename(sys.executable)
    assert report["programs"] == [
        [python, "-c", "pass", "-p", "metric.txt", "data/a b.nii"],
        [python, "-c", "pass", "--in=in.txt,outside/notes.txt", "-Iin.txt"],
        [python, "-c", "pass", "https://example.org/a/b", "file://outside/notes.txt", "a/b", "./c", "1/2"],
        ["sh", "-c", "exit 0"],
        ["sh", "-c", "cat in.txt 'outside/notes.txt' > outside/null"],
    ]


def test_a_user_without_a_home_folder_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unknown(user: int) -> None:
        raise KeyError(user)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(RuntimeError):
        Path.home()
    (tmp_path / "a.txt").write_text("x")
    seen = watch.Watch()
    seen.reads.add(str(tmp_path / "a.txt"))
    assert seen.undeclared([], [], tmp_path) == (["a.txt"], [])


def test_environment_holds_what_moves_numbers_and_no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("TORCH_HOME", "/home/someone/torch")
    monkeypatch.setenv("HOSTNAME", "node17")
    found = surroundings.environment()
    assert found["python"] == platform.python_version()
    assert found["variables"]["OMP_NUM_THREADS"] == "3"
    assert not {"TORCH_HOME", "HOSTNAME"} & set(found["variables"])
    assert found["packages"]["pytest"] == pytest.__version__
    assert "reregister" not in found["packages"]
    assert list(found["packages"]) == sorted(found["packages"])
    assert platform.release() in found["os"]
    json.dumps(found, allow_nan=False)


def test_cpu_is_known_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*arguments: Any, **options: Any) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert surroundings.cpu() == {"model": platform.processor() or platform.machine(), "isa": []}


def test_cpu_names_instruction_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "processor\t: 0\nmodel name\t: A CPU @ 2 GHz \nflags\t\t: fpu avx2 fma avx512fp16 sse\n"
    monkeypatch.setattr(Path, "read_text", lambda *arguments, **options: text)
    assert surroundings.cpu() == {"model": "A CPU @ 2 GHz", "isa": ["avx2", "fma"]}


def test_torch_is_described_where_it_was_loaded_and_only_there() -> None:
    code = (
        "from reregister.provenance.surroundings import torch_state as s; assert s() is None\n"
        "import torch; torch.set_num_threads(1); import json\n"
        "print(json.dumps([s(), torch.__version__]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    state, version = json.loads(done.stdout)
    assert (state["version"], state["threads"]) == (version, 1)


def test_a_package_from_elsewhere_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "PyYAML" not in surroundings.packages()[1]
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    versions, outside = surroundings.packages()
    assert "pytest" in outside
    assert set(outside) <= set(versions)


def test_packages_are_those_that_the_standard_library_finds() -> None:
    # Single files, packages with and without top_level.txt, and a name that several distributions share.
    code = """
import json, sys
from importlib import metadata
import itk, pandas, skimage, snakemake, typing_extensions, yaml
from reregister.provenance.surroundings import packages
versions, outside = packages()
modules = metadata.packages_distributions()
loaded = {name.split(".")[0] for name in list(sys.modules)}
names = {name for module in loaded for name in modules.get(module, [])} - {"reregister"}
print(json.dumps([versions, outside, {name: metadata.version(name) for name in names}]))
"""
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    versions, outside, expected = json.loads(done.stdout.splitlines()[-1])
    assert (versions, outside) == (expected, [])
    assert {"typing_extensions", "PyYAML", "itk-elastix", "itk-core", "pandas", "scikit-image"} <= set(versions)


def write_distribution(folder: Path, name: str, version: str, **files: str) -> None:
    about = folder / f"{name}-{version}.dist-info"
    about.mkdir(parents=True)
    headers = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (about / "METADATA").write_text(f"{headers}Summary: Version: 9\n\nName: none\nVersion: 0\n")
    for file, text in files.items():
        (about / file.replace("top_level", "top_level.txt")).write_text(text)


def test_modules_are_read_from_either_list_and_the_first_copy_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    listed = (
        'alpha/__init__.py,sha256=a,1\n"alpha/b,c.py",sha256=b,2\nalpha.so,,\nsolo.py,sha256=c,3\n../bin/beta.py,,\n'
    )
    write_distribution(tmp_path / "one", "Alpha", "1.0", RECORD=listed)
    write_distribution(tmp_path / "one", "beta", "2.0", RECORD="gamma/x.py,,\n", top_level="beta\n_beta\n")
    write_distribution(tmp_path / "one", "empty", "3.0")
    write_distribution(tmp_path / "two", "Alpha", "0.9", RECORD="alpha/__init__.py,,\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "one"), str(tmp_path / "two")])
    for module in ("alpha.sub", "gamma"):
        monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
    assert surroundings.packages() == ({"Alpha": "1.0"}, [])
    for module in ("_beta", "solo"):
        monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
        sys.modules[module].__file__ = str(tmp_path / f"{module}.py")
    assert surroundings.packages() == ({"Alpha": "1.0", "beta": "2.0"}, ["Alpha", "beta"])


def test_peak_memory_is_in_mebibytes() -> None:
    peak = surroundings.peak_memory_mib()
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    assert 0 <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit - peak <= 1
    assert peak > 5


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not there")
def test_git_state_of_a_checkout(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    for path in (tmp_path / "private.txt", inner / "code.py"):
        path.write_text("one\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD").strip()
    assert surroundings.git_state(inner) == ({"commit": commit, "dirty": None, "untracked": []}, b"")

    (inner / "new.py").write_text("x = 1\n")
    (inner / "result.npy").write_text("x")
    # A change beside the project, in a larger checkout that holds it, is not the project's.
    (tmp_path / "private.txt").write_text("secret\n")
    assert surroundings.git_state(inner) == ({"commit": commit, "dirty": None, "untracked": ["new.py"]}, b"")

    (inner / "code.py").write_text("two\n")
    state, patch = surroundings.git_state(inner)
    assert state == {"commit": commit, "dirty": hashlib.sha256(patch).hexdigest(), "untracked": ["new.py"]}
    assert b"+two" in patch
    assert b"secret" not in patch
    # The patch gives the change back on a clean checkout.
    (inner / "code.py").write_text("one\n")
    subprocess.run(["git", "apply", "--directory=inner", "-"], cwd=tmp_path, input=patch, check=True)
    assert (inner / "code.py").read_text() == "two\n"


def test_git_state_outside_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert surroundings.git_state(tmp_path) == (None, b"")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert surroundings.git_state(SCRIPTS) == (None, b"")
