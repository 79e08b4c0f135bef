"""The machine, the packages and the commit that a job ran with. Standard library only."""

import contextlib
import hashlib
import os
import platform
import re
import resource
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from reregister.provenance.files import resolver

# Not which of several GPUs a job was given: that is another for each, and moves no number.
_VARIABLES = re.compile(r"^(OMP|MKL|OPENBLAS|KMP|ITK|CUDA(?!_VISIBLE)|CUBLAS|TORCH|PYTHONHASHSEED|NUMEXPR|MALLOC)")
# The top-level name of a Python file in a list of a distribution's files; paths are quoted where they hold a comma.
_PYTHON_FILE = re.compile(r"""^"?([^/,"\n]+?)(?:/[^,"\n]*)?\.py(?:"?,.*)?$""", re.M)
_FIELD = re.compile(r"^(Name|Version):[ \t]*(.*?)[ \t]*$", re.M)
_ISA = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile", "asimd", "sve")


def cpu() -> dict[str, Any]:
    """Model name and the instruction sets that decide which kernels a library picks."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {"model": platform.processor() or platform.machine(), "isa": []}
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.M)
    words = set(flags.group(1).split()) if flags else set()
    return {"model": model.group(1).strip() if model else platform.machine(), "isa": [i for i in _ISA if i in words]}


def operating_system() -> str:
    """Name and kernel without the machine's own name."""
    name = platform.system()
    with contextlib.suppress(OSError):
        name = platform.freedesktop_os_release().get("PRETTY_NAME", name)
    return f"{name}, {platform.system()} {platform.release()}, {platform.machine()}"


def _modules_of(distribution: metadata.Distribution) -> set[str]:
    """Top-level modules of a distribution, as `metadata.packages_distributions` finds them but without its objects."""
    declared = (distribution.read_text("top_level.txt") or "").split()
    files = "" if declared else distribution.read_text("RECORD") or distribution.read_text("SOURCES.txt") or ""
    return {*declared, *_PYTHON_FILE.findall(files)}


def _name_and_version(distribution: metadata.Distribution) -> tuple[str, str]:
    # `distribution.metadata` parses the whole description each time that it is asked.
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or distribution.read_text("") or ""
    fields = dict(reversed(_FIELD.findall(text.partition("\n\n")[0])))
    return fields["Name"], fields["Version"]


def packages(others: Iterable[str] = ()) -> tuple[dict[str, str], list[str]]:
    """Versions of the distributions whose modules are loaded now, and those found outside this environment's prefix.

    others: top-level modules that were loaded in processes which the job started, in the same environment.

    A package missing from a rule's environment may be taken silently from the one that runs Snakemake; the second list
    shows it.
    """
    loaded = {module.split(".")[0] for module in list(sys.modules)} | set(others)
    versions: dict[str, str] = {}
    outside: set[str] = set()
    real, prefix = resolver(), os.path.join(os.path.realpath(sys.prefix), "")
    for distribution in metadata.distributions():
        modules = _modules_of(distribution) & loaded
        if not modules:
            continue
        name, version = _name_and_version(distribution)
        if name == "reregister":
            continue
        # Of two copies on the search path the first is the one that is imported.
        versions.setdefault(name, version)
        files = [getattr(sys.modules.get(module), "__file__", None) for module in modules]
        if any(file and not real(file).startswith(prefix) for file in files):
            outside.add(name)
    return dict(sorted(versions.items())), sorted(outside)


def torch_state() -> dict[str, Any] | None:
    """Threads and device as torch has them, or None where torch was not loaded."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    cuda = torch.cuda.is_available()
    return {
        "version": torch.__version__,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if cuda else None,
    }


def environment(others: Iterable[str] = ()) -> dict[str, Any]:
    """Everything about the surroundings that can move a number, without host name, user name or path.

    others: as for `packages`.
    """
    versions, outside = packages(others)
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "os": operating_system(),
        "cpu": cpu(),
        "packages": versions,
        "packages_outside_prefix": outside,
        "torch": torch_state(),
        "variables": {k: v for k, v in sorted(os.environ.items()) if _VARIABLES.match(k) and os.sep not in v},
    }


def slurm_job() -> dict[str, Any] | None:
    """Number of the Slurm job that this process runs in and the GPUs that it may see, or None outside of Slurm.

    devices: as CUDA counts them, "0" or "0,1"; None where Slurm assigned none.
    """
    job = os.environ.get("SLURM_JOB_ID")
    return {"job": job, "devices": os.environ.get("CUDA_VISIBLE_DEVICES") or None} if job else None


def git_state(root: Path) -> tuple[dict[str, Any] | None, bytes]:
    """Commit and id of the uncommitted changes of the checkout at `root`, and those changes as a patch.

    Of a checkout that `root` is only a folder of, the changes below `root`. None and b"" where `root` is not in a git
    checkout or git is not there, as in an archive of the sources.
    """

    def git(*arguments: str) -> bytes:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, check=True, capture_output=True, timeout=30).stdout

    try:
        commit = git("rev-parse", "HEAD").decode().strip()
        patch = git("diff", "HEAD", "--no-color", "--no-ext-diff", "--relative", "--", ".")
        untracked = git("ls-files", "--others", "--exclude-standard").decode().split("\n")
    except (OSError, subprocess.SubprocessError):
        return None, b""
    return {
        "commit": commit,
        "dirty": hashlib.sha256(patch).hexdigest() if patch else None,
        "untracked": sorted(name for name in untracked if name.endswith((".py", ".smk", ".yaml"))),
    }, patch


def peak_memory_mib() -> int:
    """Largest resident size of this process so far, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1 << 20 if sys.platform == "darwin" else 1 << 10)
