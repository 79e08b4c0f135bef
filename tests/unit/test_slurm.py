"""What Slurm says of jobs: the reason in a node's log, and jobs of an earlier run in its queue."""

import logging
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reregister import console, slurm
from reregister.console import Console
from reregister.errors import ReregisterError

from .test_console import Group, job, records, workflow, write

__all__ = ["records"]
MEMORY = (
    "slurmstepd: error: Step 12.0 exceeded memory limit (734003200 > 629145600), being killed\n"
    "slurmstepd: error: *** STEP 12.0 ON node1 CANCELLED AT 2026-01-01T00:00:00 ***\n"
)
LOG = ".snakemake/slurm_logs/rule_train_model/dirnet_0/12.log"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (MEMORY, "over its memory (mem_mb)"),
        ("slurmstepd: error: Detected 1 oom-kill event(s) in StepId=12.0.", "over its memory (mem_mb)"),
        ("*** JOB 12 ON node1 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***", "over its time (runtime)"),
        ("*** JOB 12 ON node1 CANCELLED AT 2026-01-01T00:00:00 ***", "because it was cancelled (scancel)"),
        ("*** JOB 12 ON node1 CANCELLED AT 2026-01-01T00:00:00 DUE TO NODE FAILURE ***", "because its node failed"),
        ("*** JOB 12 ON node1 CANCELLED AT 2026-01-01T00:00:00 DUE TO PREEMPTION ***", "to make room for another"),
    ],
)
def test_reason_is_read_from_the_log_of_the_node(text: str, reason: str, tmp_path: Path) -> None:
    log = tmp_path / LOG
    write(str(log), f"Building DAG of jobs...\n{text}\n")
    assert slurm.why_ended([str(tmp_path / "train.log"), str(log)]) == f"Slurm ended job 12 {reason}"


def test_job_that_ended_by_itself_has_no_reason(tmp_path: Path) -> None:
    log = tmp_path / LOG
    write(str(log), "CalledProcessError in file train.smk\nsrun: error: node1: task 0: Exited with exit code 1\n")
    assert slurm.why_ended([str(log)]) == ""
    assert slurm.why_ended([str(tmp_path / "slurm_logs" / "absent.log")]) == ""
    # A job's own log may say anything.
    write(str(tmp_path / "train.log"), MEMORY)
    assert slurm.why_ended([str(tmp_path / "train.log")]) == ""


def queue(monkeypatch: pytest.MonkeyPatch, lines: str) -> None:
    monkeypatch.setattr(slurm.subprocess, "run", lambda *given, **more: SimpleNamespace(stdout=lines))


def test_jobs_that_an_earlier_run_left_in_this_folder_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    queue(
        monkeypatch, f"7|rule_train_model|{tmp_path}\n8|rule_x|{tmp_path}/link\n9|rule_x|/other\n3|(null)|{tmp_path}\n"
    )
    with pytest.raises(ReregisterError, match=r"scancel 7 8$"):
        slurm.refuse_left_over(tmp_path)
    queue(monkeypatch, f"9|rule_x|/other\n3|(null)|{tmp_path}\n")
    slurm.refuse_left_over(tmp_path)


@pytest.mark.parametrize("error", [FileNotFoundError(), subprocess.TimeoutExpired("squeue", 30)])
def test_nothing_is_refused_where_slurm_cannot_be_asked(
    error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*given: Any, **more: Any) -> None:
        raise error

    monkeypatch.setattr(slurm.subprocess, "run", fail)
    slurm.refuse_left_over(tmp_path)


def fails(event: str, **fields: Any) -> None:
    """Snakemake's own event for a job or group that failed."""
    console.logger.error("x", extra={"event": event, **fields})


def said(records: list[logging.LogRecord]) -> str:
    return "\n".join(str(record.msg) for record in records)


def test_reason_is_told_at_once_and_at_the_end(records: list[logging.LogRecord]) -> None:
    failed = job(1, "train_model", part="7")
    voice = Console(workflow("PROGRESS", failed=[failed]))
    voice.start()
    write(failed.log[0], "Traceback (most recent call last):\n  x\nSystemExit: 143\n")
    write(LOG, MEMORY)
    fails("job_error", jobid=1, rule_msg="SLURM-job '12' failed", rule_name="train_model", log=[*failed.log, LOG])
    assert "train_model: Slurm ended job 12 over its memory (mem_mb)" in said(records)
    voice.fail()
    assert "\n  error: Slurm ended job 12 over its memory (mem_mb)\n" in said(records)
    assert "error: SystemExit" not in said(records)


def test_later_attempt_that_fails_by_itself_has_its_own_error(records: list[logging.LogRecord]) -> None:
    failed = job(1, "train_model", part="7")
    voice = Console(workflow("PROGRESS", failed=[failed]))
    voice.start()
    write(LOG, MEMORY)
    for logs in ([LOG], []):
        fails("job_error", jobid=1, rule_msg="SLURM-job failed", rule_name="train_model", log=logs)
    write(failed.log[0], "error: the loss is nan\n")
    voice.fail()
    assert "\n  error: the loss is nan\n" in said(records)


def test_of_a_group_the_jobs_are_told_whose_logs_name_an_error(records: list[logging.LogRecord]) -> None:
    bad, good = job(1, "evaluate_registration", method="a"), job(2, "evaluate_registration", method="b")
    group = Group([bad, good])
    voice = Console(workflow("PROGRESS", failed=[group]))
    voice.start()
    fails("group_error", job_error_info=[{"jobid": 1}, {"jobid": 2}], aux_logs=[LOG], groupid="evaluate")
    write(bad.log[0], "error: no labels\n")
    write(good.log[0], "done\n")
    voice.fail()
    assert "failed: evaluate_registration (method=a)\n  error: no labels" in said(records)
    assert "(method=b)" not in said(records)


def test_group_that_slurm_ended_is_told_with_all_its_jobs(records: list[logging.LogRecord]) -> None:
    group = Group([job(1, "evaluate_registration", method="a"), job(2, "evaluate_registration", method="b")])
    voice = Console(workflow("PROGRESS", failed=[group]))
    voice.start()
    write(LOG, MEMORY)
    fails("group_error", job_error_info=[{"jobid": 1}, {"jobid": 2}], aux_logs=[LOG], groupid="evaluate")
    for number in (1, 2):
        fails("job_error", jobid=number, rule_msg=None, rule_name="evaluate_registration", log=[])
    voice.fail()
    assert said(records).count("\n  error: Slurm ended job 12 over its memory (mem_mb)") == 2
