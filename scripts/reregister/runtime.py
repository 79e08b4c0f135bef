"""Settings of the process that move results or speed: allocator, torch's threads, determinism and device."""

import ctypes
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from reregister.errors import ReregisterError

# glibc's names for the options of mallopt, from malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Tell glibc to keep large freed blocks instead of handing them back to the kernel at every free.

    The page faults of taking them again cost more than the arithmetic: 3.1 times per step for a 256 x 256 DIRNet. Peak
    memory rises 1.3 to 1.8 times. Returns False, and does nothing, where the C library is not glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    options = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 << 20))
    return all(libc.mallopt(name, value) == 1 for name, value in options)


def choose_device(name: str) -> torch.device:
    """The device for `auto`, `cpu`, `cuda` or one GPU such as `cuda:1`. Raises ReregisterError for cuda where there is none."""
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ReregisterError("device is cuda but torch sees no GPU here; set device to auto or cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def choose_precision(name: str, device: torch.device) -> str:
    """fp32 or bf16 for `fp32`, `bf16` or `auto`: bf16 where the device computes in it, single precision elsewhere."""
    if name != "auto":
        return name
    return "bf16" if computes_in_bf16(device) else "fp32"


def computes_in_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for bf16.

    A CPU without them emulates it: a step of a 3-D network then takes some fifty times as long as in single precision
    (45 s in place of 0.8 s on an AMD EPYC with AVX2).
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


@contextmanager
def torch_settings(threads: int, determinism: str, device: torch.device) -> Iterator[dict[str, Any]]:
    """Threads, allocator and determinism for the block; yields the record of them, which the block's end completes.

    determinism: `strict` raises at an operator without a deterministic form (on CUDA that includes the backward pass
    of grid_sample), `warn` lists such operators, `none` leaves torch alone. After the block, threads and determinism
    are what they were before.
    """
    before = torch.get_num_threads(), torch.backends.cudnn.benchmark
    # torch defines this switch in a way that a type checker does not see.
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    # use_deterministic_algorithms does the same and imports the compiler for it, which takes a second.
    mode = torch.get_deterministic_debug_mode()
    torch.set_num_threads(threads)
    keep_freed_memory()
    record: dict[str, Any] = {"mode": determinism, "warned": []}
    operators: set[str] = set()
    try:
        if determinism != "none":
            torch.set_deterministic_debug_mode("warn" if determinism == "warn" else "error")
            # Only code that reads memory it never wrote needs it, and it costs 7 % of a 256 x 256 step.
            memory.fill_uninitialized_memory = False
            if device.type == "cuda":
                torch.backends.cudnn.benchmark = False
                # Read when the first product is computed; without it every product counts as not deterministic.
                os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        with _collect_operators(operators):
            yield record
    finally:
        record["warned"] = sorted(operators)
        torch.set_deterministic_debug_mode(mode)
        memory.fill_uninitialized_memory = filled
        torch.set_num_threads(before[0])
        torch.backends.cudnn.benchmark = before[1]


@contextmanager
def _collect_operators(operators: set[str]) -> Iterator[None]:
    """Put what warns of a missing deterministic form into `operators`; every other warning goes its usual way.

    One line per operator, however long the block: a training run on a GPU warns at every step.
    """
    show = warnings.showwarning

    def sort_out(message: Warning | str, *where: Any, **more: Any) -> None:
        text = str(message)
        if "deterministic" in text:
            operators.add(text.split(" does not have")[0].strip())
        else:
            show(message, *where, **more)

    with warnings.catch_warnings():
        warnings.filterwarnings("default", message="(?s).*deterministic")
        warnings.showwarning = sort_out
        yield
