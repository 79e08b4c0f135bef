"""The device of a job: which GPU it takes, that no other job takes that one too, and what the record says of it."""

import os
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from reregister.leases import lease
from reregister.runtime import choose_device

# Of the machine and not of a run or a user, so that jobs of all of them are kept apart; nothing in it outlives a reboot.
_MEMORY = Path("/dev/shm")
_DRIVER = Path("/proc/driver/nvidia/version")
# What CUDA_VISIBLE_DEVICES says where it hides every GPU.
_HIDDEN = ("", "-1", "none", "void", "nodevfiles")


def take_device(name: str, warn: Callable[[str], None]) -> tuple[torch.device, dict[str, Any] | None]:
    """The device for `auto`, `cpu` or `cuda`, and of a GPU its name, driver and memory_mib.

    Of the GPUs that the process sees (CUDA_VISIBLE_DEVICES, which Slurm sets for its jobs) it is the first that no other
    process has taken so; where all are taken this waits. warn: told in one sentence where `auto` ends on the CPU though
    the job was given a GPU or the machine has a driver for one. Raises ReregisterError for cuda where there is none.
    """
    device = choose_device(name)
    if device.type == "cpu":
        if name == "auto" and (sentence := unused_gpu(os.environ, driver_version())):
            warn(sentence)
        return device, None
    seen = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    folder = _MEMORY if _MEMORY.is_dir() else Path(tempfile.gettempdir())
    index = lease([str(gpu.uuid) for gpu in seen], folder)
    # Else what names no device, such as the generator's state in a checkpoint, would be of the first one.
    torch.cuda.set_device(index)
    memory = seen[index].total_memory >> 20
    return torch.device("cuda", index), {"name": seen[index].name, "driver": driver_version(), "memory_mib": memory}


def driver_version() -> str | None:
    """Version of NVIDIA's driver on this machine, None where there is none or it does not say."""
    try:
        text = _DRIVER.read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"Kernel Module.*?\s(\d+(?:\.\d+)+)\s", text)
    return found[1] if found else None


def unused_gpu(variables: Mapping[str, str], driver: str | None) -> str | None:
    """Why a job that torch can give no GPU ought to have had one; None where nothing says that there is one.

    variables: of the process's environment. driver: version of NVIDIA's driver, if there is one. A machine without a GPU
    and without a word of one is no reason to warn, and neither is CUDA_VISIBLE_DEVICES where it hides them all.
    """
    visible = variables.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip().lower() in _HIDDEN:
        return None
    if variables.get("SLURM_STEP_GPUS") or variables.get("SLURM_JOB_GPUS"):
        said = "Slurm gave this job a GPU"
    elif visible is not None:
        said = "CUDA_VISIBLE_DEVICES names a GPU"
    elif driver:
        said = f"this machine has NVIDIA's driver {driver}"
    else:
        return None
    built = torch.version.cuda
    why = f"torch, built for CUDA {built}, finds none that it can use" if built else "torch is built without CUDA"
    return f"{said}, but {why}, so the CPU did the work; install a torch that fits the driver, or set device=cpu"
