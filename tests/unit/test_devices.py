"""The device of a job: the GPU that it takes and no other job does, and what it says where it takes none."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from reregister import devices, leases
from reregister.devices import driver_version, take_device, unused_gpu
from reregister.errors import ReregisterError
from reregister.leases import lease
from reregister.runtime import choose_device

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
HOLDER = """
import sys
from pathlib import Path
from reregister.leases import lease
print("took", lease(sys.argv[2:], Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""
OLD_DRIVER = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\nGCC version: 12.2.0\n"
)
OPEN_DRIVER = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build  (dvs-builder@U16)  Tue Jan 14\n"
)


@contextmanager
def holder(folder: Path, *names: str) -> Iterator[subprocess.Popen[str]]:
    """A process that takes one of some devices and keeps it until it is killed or left."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), *names],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_processes_never_share_a_device_and_the_next_waits_until_one_dies(tmp_path: Path) -> None:
    names = ("a", "b")
    with holder(tmp_path, *names) as first, holder(tmp_path, *names) as second:
        taken = {first: line(first), second: line(second)}
        assert sorted(taken.values()) == ["took 0", "took 1"]
        with holder(tmp_path, *names) as third:
            assert line(third) == "waiting for a GPU: other jobs have taken all 2 that this one sees"
            second.send_signal(signal.SIGKILL)
            assert line(third) == taken[second]
            assert first.poll() is None


def test_devices_are_told_apart_by_what_they_are_and_not_by_their_number(tmp_path: Path) -> None:
    # As with CUDA_VISIBLE_DEVICES=1 in one shell and 0,1 in another.
    with holder(tmp_path, "b") as first:
        assert line(first) == "took 0"
        with holder(tmp_path, "b", "a") as second:
            assert line(second) == "took 1"


def test_a_child_does_not_keep_the_device_of_its_parent(tmp_path: Path) -> None:
    code = HOLDER.replace(
        "sys.stdin.read()",
        'import subprocess; child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])\n'
        "print(child.pid, flush=True); sys.stdin.read()",
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), "a"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
    )
    assert line(process) == "took 0"
    child = int(line(process))
    try:
        process.kill()
        process.wait()
        os.kill(child, 0)
        with holder(tmp_path, "a") as other:
            assert line(other) == "took 0"
    finally:
        os.kill(child, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """What this process holds, nothing at first, let go of at the end."""
    monkeypatch.setattr(leases, "_held", {})
    yield leases._held
    for file in leases._held.values():
        os.close(file)


def test_a_process_is_given_again_what_it_holds(tmp_path: Path, held: dict[str, int]) -> None:
    with holder(tmp_path, "a", "b") as other:
        assert line(other) == "took 0"
        assert [lease(["a", "b"], tmp_path) for _ in range(2)] == [1, 1]
    assert list(held) == ["b"]
    # Nothing is left open of those that it did not take.
    assert lease(["b", "c"], tmp_path) == 0


def test_a_lock_of_another_user_is_a_file_to_read_and_no_link_is_followed(tmp_path: Path, held: dict[str, int]) -> None:
    assert lease(["a"], tmp_path) == 0
    assert (tmp_path / "reregister-gpu-a.lock").stat().st_mode & 0o777 == 0o644
    (tmp_path / "precious").write_text("x")
    (tmp_path / "reregister-gpu-z.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match=r"reregister-gpu-z\.lock"):
        lease(["z"], tmp_path)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, held: dict[str, int]) -> list[int]:
    """Two GPUs as torch would tell of them; returns the list of those that were made the current one."""
    current: list[int] = []
    seen = [SimpleNamespace(uuid=name, name=f"GPU {name}", total_memory=24 << 30) for name in "ab"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(seen))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: seen[index])
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr(devices, "_MEMORY", tmp_path)
    monkeypatch.setattr(devices, "_DRIVER", tmp_path / "version")
    (tmp_path / "version").write_text(OLD_DRIVER)
    return current


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_the_gpu_that_is_taken_is_the_current_one_and_described(name: str, two_gpus: list[int], tmp_path: Path) -> None:
    with holder(tmp_path, "a") as other:
        assert line(other) == "took 0"
        device, gpu = take_device(name, pytest.fail)
    assert device == torch.device("cuda", 1)
    assert two_gpus == [1]
    assert gpu == {"name": "GPU b", "driver": "535.104.05", "memory_mib": 24 * 1024}


def test_cpu_takes_no_gpu(two_gpus: list[int]) -> None:
    assert take_device("cpu", pytest.fail) == (torch.device("cpu"), None)
    assert (two_gpus, leases._held) == ([], {})


def test_one_gpu_can_be_named_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [str(choose_device(name)) for name in ("auto", "cuda", "cuda:1")] == ["cuda", "cuda", "cuda:1"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    with pytest.raises(ReregisterError, match="device is cuda but torch sees no GPU"):
        choose_device("cuda:1")


@pytest.mark.parametrize(
    ("variables", "driver", "said"),
    [
        ({}, None, None),
        ({}, "535.104.05", "this machine has NVIDIA's driver 535.104.05"),
        ({"CUDA_VISIBLE_DEVICES": "0"}, None, "CUDA_VISIBLE_DEVICES names a GPU"),
        ({"CUDA_VISIBLE_DEVICES": "0", "SLURM_JOB_GPUS": "3"}, None, "Slurm gave this job a GPU"),
        ({"SLURM_STEP_GPUS": "3"}, None, "Slurm gave this job a GPU"),
        # A job of Slurm without a GPU, and those who hide it.
        ({"SLURM_JOB_ID": "7", "SLURM_JOB_GPUS": ""}, None, None),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles", "SLURM_JOB_ID": "7"}, "535.104.05", None),
        ({"CUDA_VISIBLE_DEVICES": ""}, "535.104.05", None),
        ({"CUDA_VISIBLE_DEVICES": "-1", "SLURM_JOB_GPUS": "3"}, "535.104.05", None),
    ],
)
def test_a_gpu_that_is_not_used_is_said_where_one_was_meant(
    variables: dict[str, str], driver: str | None, said: str | None
) -> None:
    found = unused_gpu(variables, driver)
    assert (found or "").split(", but ")[0] == (said or "")
    if found:
        assert "the CPU did the work" in found


@pytest.mark.parametrize(
    ("built", "why"), [(None, "is built without CUDA"), ("12.8", "built for CUDA 12.8, finds none that it can use")]
)
def test_why_torch_cannot_use_it(monkeypatch: pytest.MonkeyPatch, built: str | None, why: str) -> None:
    monkeypatch.setattr(torch.version, "cuda", built)
    assert why in str(unused_gpu({"CUDA_VISIBLE_DEVICES": "0"}, None))


@pytest.mark.parametrize(("name", "count"), [("auto", 1), ("cpu", 0)])
def test_auto_warns_and_cpu_does_not(monkeypatch: pytest.MonkeyPatch, name: str, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    told: list[str] = []
    assert take_device(name, told.append) == (torch.device("cpu"), None)
    assert len(told) == count


@pytest.mark.parametrize(
    ("text", "version"), [(OLD_DRIVER, "535.104.05"), (OPEN_DRIVER, "570.86.15"), ("NVRM\n", None), (None, None)]
)
def test_version_of_the_driver(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, version: str | None
) -> None:
    path = tmp_path / "version"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(devices, "_DRIVER", path)
    assert driver_version() == version
