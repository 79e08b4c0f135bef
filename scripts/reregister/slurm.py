"""What Slurm says of jobs: why it ended one, and which an earlier run left in its queue. Standard library only."""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from reregister.errors import ReregisterError

_TAIL_BYTES = 1 << 16
# As slurmstepd, srun and the kernel word it (Slurm 20 to 24), the first that is found counts: of a step over its memory it is
# also said that it was cancelled.
_ENDS = (
    (r"exceeded .*memory limit|oom[-_ ]kill|out[ _]of[ _]memory", "over its memory (mem_mb)"),
    (r"DUE TO TIME LIMIT", "over its time (runtime)"),
    (r"DUE TO NODE FAILURE|NODE_FAIL", "because its node failed"),
    (r"DUE TO PREEMPTION", "to make room for another"),
    (r"CANCELLED AT", "because it was cancelled (scancel)"),
)


def why_ended(logs: Iterable[str]) -> str:
    """Why Slurm ended a job, by the log of its node: `Slurm ended job 12 over its time (runtime)`.

    logs: of all files that Snakemake names of the job, that log is the one in a folder `slurm_logs`. "" where there is none,
    it cannot be read, or the job ended by itself.
    """
    for log in map(Path, logs):
        if "slurm_logs" in log.parts:
            text = _end_of(log)
            found = next((words for form, words in _ENDS if re.search(form, text, re.IGNORECASE)), None)
            if found:
                return f"Slurm ended job {log.stem} {found}"
    return ""


def refuse_left_over(folder: Path) -> None:
    """Raise ReregisterError where jobs that an earlier run started in a folder are still in Slurm's queue.

    A run that was killed leaves them there, and one more beside them would write the same files at the same time. Where
    Slurm cannot be asked, nothing is refused: submitting will say so.
    """
    jobs = _left_over(folder.resolve())
    if jobs:
        raise ReregisterError(
            f"an earlier run in this folder left jobs in Slurm's queue; wait for their end, or cancel them and run the same "
            f"command again, and what they have trained is kept: scancel {' '.join(jobs)}"
        )


def _left_over(folder: Path) -> list[str]:
    # Snakemake's plugin gives each job a comment `rule_...`, and the folder of the run as its own.
    command = ["squeue", "--me", "--noheader", "--format=%i|%k|%Z"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    found = [line.strip().split("|", 2) for line in done.stdout.splitlines() if line.count("|") >= 2]
    return [job for job, comment, where in found if comment.startswith("rule_") and Path(where).resolve() == folder]


def _end_of(log: Path) -> str:
    try:
        with open(log, "rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
