"""What a run says of itself, into a file: how far it is, where the report is, and what failed."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from .conftest import Workflow, copy_project

CALM = ("--quiet", "rules", "host", "reason")
COUNT = re.compile(r"after (?:\d+ h )?(?:\d+ min )?\d+ (?:s|min): (\d+) of (\d+) jobs done(?:, (\d+) running)?$")
OURS = re.compile(r"(after .* jobs? done|done: |failed|stopped after)")


def ours(text: str) -> list[str]:
    """Our lines on the console: those that Snakemake never says."""
    return [line for line in text.splitlines() if OURS.match(line)]


def end_of(text: str) -> str:
    return text[text.index("failed after ") :]


def test_run_says_how_far_it_is_and_where_the_report_is(smoke: Workflow) -> None:
    lines = smoke.console.splitlines()
    found = [(number, match) for number, line in enumerate(lines) if (match := COUNT.match(line))]
    done = [int(match[1]) for _, match in found]
    assert done
    assert done == sorted(done)
    total = int(re.search(r"^total +(\d+)$", smoke.console, re.MULTILINE)[1])
    assert {int(match[2]) for _, match in found} == {total}
    # Below each count, the jobs that run.
    assert any(match[3] and re.match(r"  [a-z_]+[^:]*: ", lines[number + 1]) for number, match in found)
    ends = [line for line in lines if line.startswith("done: ")]
    assert len(ends) == 1
    assert re.fullmatch(rf"done: {total} jobs in .*; report: (\S+)", ends[0])
    assert (smoke.folder / ends[0].rpartition(" ")[2]).is_file()
    assert ends[0].endswith("results/smoke/report/index.html")
    assert max(map(len, ours(smoke.console))) <= 120


def test_in_a_file_stand_no_control_characters(smoke: Workflow) -> None:
    assert [c for c in smoke.console if not c.isprintable() and c != "\n"] == []


def test_dry_run_says_nothing_of_progress(fresh: Callable[[], Workflow]) -> None:
    assert ours(fresh().snakemake("-n", "--config", "scale=smoke").stdout) == []


def test_failed_job_is_told_in_one_sentence(smoke: Workflow, fresh: Callable[[], Workflow], tmp_path: Path) -> None:
    archives = tmp_path / "archives"
    shutil.copytree(smoke.folder / "results" / "smoke" / "data" / "mnist" / "standin", archives)
    damaged = archives / "train-images-idx3-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:5000])
    workflow = fresh()
    done = workflow.snakemake("dirnet", *CALM, "--config", "scale=smoke", f"data={{mnist: {archives}}}", check=False)
    assert done.returncode == 1
    end = end_of(done.stdout)
    assert end.startswith("failed after ")
    assert "\nfailed: fetch_dataset (dataset=mnist)\n  error: " in end
    log = "results/smoke/data/mnist/logs/fetch_dataset.log"
    sentence = (workflow.folder / log).read_text(encoding="utf-8").removeprefix("error: ").strip()
    assert done.stdout.count(sentence) == 1
    assert f"\n  log: {log}\n" in end
    assert "run the same command again" in end
    # Snakemake's own account of the jobs is left out.
    assert not re.search(r"jobid|Execute|Select jobs|CalledProcessError|% ?\) done", done.stdout)


def test_end_of_the_log_is_shown_once(tmp_path: Path) -> None:
    workflow = Workflow(tmp_path, copy_project(tmp_path / "project"))
    script = workflow.project / "scripts" / "make_standin.py"
    body = "\n".join(f"    {line}" for line in ("for n in range(20):", "    print('line', n)", "{}['absent']"))
    head = "def main(job: Job) -> None:\n"
    assert head in script.read_text(encoding="utf-8")
    script.write_text(script.read_text(encoding="utf-8").replace(head, f"{head}{body}\n"), encoding="utf-8")
    target = "results/smoke/data/mnist/subjects.csv"
    # Without --quiet, Snakemake's own account of the failure stands above.
    done = workflow.snakemake(target, "--config", "scale=smoke", check=False)
    assert done.returncode == 1
    end = end_of(done.stdout)
    assert end.count("KeyError: 'absent'") == 1
    assert "  error: KeyError: 'absent'\n" in end
    tail = re.findall(r"^    \| (.*)$", end, re.MULTILINE)
    assert len(tail) == 10
    assert tail[0].startswith("line ")
    assert done.stdout.count("line 19\n") == 1
