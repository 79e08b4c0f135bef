"""Make one exhibit of a run again from the data, in a folder of its own, and say job by job how alike the results are."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reregister.errors import ReregisterError
from reregister.provenance.files import write_json
from reregister.provenance.planned import PlannedJob, RunPlan, plan_of, search_path, snakemake_command
from reregister.rebuild.jobs import Comparison, Row, verdict
from reregister.rebuild.sameness import ATOL, EQUAL, EQUIVALENT, IDENTICAL, RTOL

# The words that say that a rebuild confirms the run.
CONFIRMED = (IDENTICAL, EQUAL, EQUIVALENT)
_MARK = "rebuild.json"


@dataclass(frozen=True)
class Rebuilt:
    """A rebuild of an exhibit (`paper/name`): its jobs in the order of the work, its word, and where it lies if kept."""

    exhibit: str
    rows: list[Row]
    word: str
    kept: Path | None


def rebuild(
    exhibit: str,
    words: Sequence[str],
    cores: str = "all",
    rtol: float = RTOL,
    atol: float = ATOL,
    keep: bool = False,
) -> Rebuilt:
    """Run the chain of one exhibit in `results/<run>.rebuild` and compare it with the run, receipt by receipt.

    exhibit: its name, or `paper/name`. words: those after `snakemake --config`. The folder goes where all is
    bit-identical and keep is not asked for. Raises ReregisterError where the run has no such exhibit, the folder is not
    a rebuild's, or a job fails.
    """
    plan = plan_of([], words)
    job = find_exhibit(plan, exhibit)
    if not (plan.run_folder / job.receipt).exists():
        raise ReregisterError(f"{plan.run_folder} has no receipt of {job.exhibit}; run it first, then rebuild it")
    scratch = plan.run_folder.with_name(f"{plan.run_folder.name}.rebuild")
    _clear(scratch)
    write_json(scratch / _MARK, {"exhibit": job.exhibit, "run": plan.run_folder.name})
    own = [*(word for word in words if not word.startswith("run=")), f"run={scratch.name}"]
    options = ("--cores", cores, "--quiet", "rules", "host", "reason")
    command = snakemake_command([f"{scratch}/{job.outputs[0]}"], own, *options)
    # What Snakemake says goes where errors go, so that the table can be sent to a file.
    if subprocess.run(command, env=search_path(), stdout=sys.stderr, check=False).returncode:
        raise ReregisterError(f"{job.exhibit} could not be made again, see above; what was made lies in {scratch}")
    comparison = Comparison(plan.run_folder, scratch, rtol, atol)
    rows = [comparison.row(needed) for needed in plan.needed([job])]
    word = verdict(rows)
    if word == IDENTICAL and not keep:
        shutil.rmtree(scratch)
    return Rebuilt(str(job.exhibit), rows, word, scratch if scratch.exists() else None)


def find_exhibit(plan: RunPlan, exhibit: str) -> PlannedJob:
    """The job that makes an exhibit. Raises ReregisterError where none does, or those of several papers."""
    found = [job for job in plan.jobs if job.exhibit and exhibit in (job.exhibit, job.exhibit.split("/")[1])]
    if len(found) == 1:
        return found[0]
    if found:
        raise ReregisterError(
            f"{exhibit} is an exhibit of several papers; say {' or '.join(str(j.exhibit) for j in found)}"
        )
    names = sorted(job.exhibit for job in plan.jobs if job.exhibit)
    alike = [name for name in names if exhibit.split("/")[0] in name] or names
    raise ReregisterError(f"there is no exhibit {exhibit}; there are {', '.join(alike)}")


def _clear(scratch: Path) -> None:
    """Remove what an earlier rebuild left, and nothing else."""
    if scratch.exists() and not (scratch / _MARK).is_file():
        raise ReregisterError(f"{scratch} is not what a rebuild left; move it away, its name is needed for the rebuild")
    if scratch.exists():
        shutil.rmtree(scratch)


def report(found: Rebuilt, rtol: float = RTOL, atol: float = ATOL) -> list[str]:
    """The rebuild as a table for a terminal, with the exhibit's word last."""
    width = max(len(row.word) for row in found.rows)
    lines = [
        line
        for row in found.rows
        for line in (f"{row.word:{width}}  {row.job.label}", *(f"{'':{width}}    {reason}" for reason in row.why))
    ]
    if EQUAL in (found.word, *(row.word for row in found.rows)):
        lines.append(f"numerically equal: a difference of at most {atol:g} + {rtol:g} of the value")
    kept = f"; the rebuild lies in {found.kept}" if found.kept else ""
    jobs = f"{len(found.rows)} job{'' if len(found.rows) == 1 else 's'} made again"
    return [*lines, f"{found.exhibit}: {found.word} ({jobs}{kept})"]
