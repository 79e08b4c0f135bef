"""Which results of a run the present configuration and code would make anew, and why. Standard library only.

Receipts are compared with the plan, not files with their receipts: that nothing was altered since is the audit's part.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reregister.errors import ReregisterError
from reregister.provenance.planned import PlannedJob, plan_of
from reregister.provenance.recorded import Recorded


@dataclass(frozen=True)
class Staleness:
    """What `find_stale` found.

    origins: jobs that are stale by themselves, by label, and why. downstream: jobs that are made again because of those.
    exhibits: of both. cosmetic: code file to the number of jobs that ran it with other comments or layout.
    checked: number of jobs looked at. left_out: papers of which the run has no receipt.
    """

    run_folder: Path
    origins: dict[str, list[str]]
    downstream: list[PlannedJob]
    exhibits: list[str]
    cosmetic: dict[str, int]
    checked: int
    left_out: list[str]


def find_stale(targets: Sequence[str], words: Sequence[str]) -> Staleness:
    """Compare a run with the plan of some targets; without any, of all papers of which the run has a receipt.

    words: those after `snakemake --config`. Raises ReregisterError where there is no plan or no run.
    """
    plan = plan_of(targets, words)
    run = Recorded(plan)
    if not run.receipts:
        raise ReregisterError(f"{plan.run_folder} holds no receipt of this plan; name another run, --config run=NAME")
    jobs, left_out = (list(plan.jobs), []) if targets else _of_papers_run(run)
    reasons = {job.receipt: found for job in jobs if (found := run.reasons(job))}
    origins = [job for job in jobs if job.receipt in reasons]
    kept = {job.receipt for job in jobs}
    downstream = [job for job in plan.made_from(origins) if job.receipt in kept]
    again = {job.receipt for job in (*origins, *downstream)}
    return Staleness(
        run_folder=plan.run_folder,
        origins={job.label: reasons[job.receipt] for job in origins},
        downstream=downstream,
        exhibits=[job.exhibit for job in jobs if job.exhibit and job.receipt in again],
        cosmetic=dict(Counter(name for job in jobs for name in run.cosmetic(job))),
        checked=len(jobs),
        left_out=left_out,
    )


def _of_papers_run(run: Recorded) -> tuple[list[PlannedJob], list[str]]:
    """The jobs of the papers of which there is a receipt, and the other papers; the index only where all were run."""
    papers = {job.wildcards["paper"] for job in run.plan.jobs if "paper" in job.wildcards}
    done = {paper for paper in papers if any(name.startswith(f"receipts/{paper}/") for name in run.receipts)}
    if papers == done:
        return list(run.plan.jobs), []
    wanted = [job for job in run.plan.jobs if any(job.receipt.startswith(f"receipts/{paper}/") for paper in done)]
    return run.plan.needed(wanted), sorted(papers - done)


def report(found: Staleness) -> list[str]:
    """The findings for a terminal: one block for each stale job, then what is made again with them."""
    lines = [line for label, reasons in found.origins.items() for line in (f"stale: {label}", *_indented(reasons))]
    if found.downstream:
        rules = Counter(job.rule for job in found.downstream)
        lines += [f"made again because of that: {count_of(len(found.downstream), 'job')}"]
        lines += _indented(f"{rule} {count}" for rule, count in rules.items())
    if found.exhibits:
        lines += ["exhibits that are made again:", *_indented(found.exhibits)]
    lines += [f"cosmetic: {name} (run by {count_of(count, 'job')})" for name, count in sorted(found.cosmetic.items())]
    if found.left_out:
        lines.append(f"not looked at, for want of any receipt: {', '.join(found.left_out)}")
    several = f"{count_of(len(found.origins), 'job')} {'is' if len(found.origins) == 1 else 'are'} stale"
    verdict = several if found.origins else "nothing is stale"
    return [*lines, f"{found.run_folder}: {verdict}; {count_of(found.checked, 'job')} compared with the plan"]


def count_of(number: int, noun: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]
