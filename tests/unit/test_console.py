"""The console of a run, told by stand-ins of Snakemake's objects; the workflow tests have the real ones."""

import json
import logging
import os
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reregister import console, snakemake_log, snakemake_timers
from reregister.console import Console, clip, pauses
from reregister.progress import SILENT_AFTER_S
from reregister.snakemake_log import Events, calm, is_chatter


class Dag(SimpleNamespace):
    def __len__(self) -> int:
        return 33


def job(number: int, rule: str, log: str | None = None, output: tuple[str, ...] = (), **wildcards: str) -> Any:
    logs = [log or f"results/demo/logs/{rule}_{number}.log"] if log != "" else []
    return SimpleNamespace(
        jobid=number,
        rule=SimpleNamespace(name=rule),
        log=logs,
        output=output,
        wildcards_dict=wildcards,
        is_group=lambda: False,
    )


class Group(list[Any]):
    def is_group(self) -> bool:
        return True


def workflow(*quiet: str, running: Any = (), failed: Any = (), done: int = 5, show_failed_logs: bool = False) -> Any:
    pages = [
        job(100, "build_report", output=("report/dirnet.html", "manifest.json")),
        job(101, "build_index", output=("report/index.html", "root.json")),
    ]
    return SimpleNamespace(
        scheduler=SimpleNamespace(running=list(running), failed=list(failed), finished_jobs=done),
        dag=Dag(jobs=pages),
        output_settings=SimpleNamespace(
            quiet=[SimpleNamespace(name=level) for level in quiet],
            show_failed_logs=show_failed_logs,
        ),
    )


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[logging.LogRecord]]:
    """What goes to Snakemake's logger, in an empty working folder, while the clock stands still."""
    monkeypatch.chdir(tmp_path)
    for module in (console, snakemake_log):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: 7.0))
    # Set first, so that what the console sets is taken back.
    monkeypatch.setenv("REREGISTER_CONSOLE", "")
    monkeypatch.delenv("REREGISTER_CONSOLE")
    caught: list[logging.LogRecord] = []

    class Catch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            caught.append(record)

    handlers, level = list(console.logger.handlers), console.logger.level
    console.logger.handlers = [Catch()]
    console.logger.setLevel(logging.INFO)
    yield caught
    console.logger.handlers = handlers
    console.logger.setLevel(level)


def starts(of: Any) -> None:
    """Snakemake's own event for the start of a job."""
    extra = {"event": "job_info", "jobid": of.jobid, "log": of.log}
    console.logger.info("a rule", extra=extra)


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


def progress(path: str, *done: int, total: int = 100, ago: float = 0.0) -> None:
    entries = [
        {"time": time.time() - ago - 10 * (len(done) - 1 - i), "job": "train_model dirnet", "done": count, "from": 0}
        for i, count in enumerate(done)
    ]
    write(path, "".join(json.dumps({**entry, "total": total, "unit": "steps"}) + "\n" for entry in entries))


def test_status_counts_and_says_how_far_each_running_job_is(records: list[logging.LogRecord]) -> None:
    training, plain, waiting = job(1, "train_model", part="7"), job(2, "plot_figure", exhibit="fig2"), job(3, "run_itk")
    silent, target = job(4, "train_model", part="8"), job(5, "papers", log="")
    voice = Console(workflow("PROGRESS", running=[training, plain, waiting, silent, target], failed=[job(9, "x")]))
    voice.start()
    for each in (training, plain, waiting, silent):
        starts(each)
    progress("results/demo/logs/train_model_1.progress.jsonl", 10, 20)
    progress("results/demo/logs/train_model_4.progress.jsonl", 10, 20, ago=SILENT_AFTER_S + 30)
    write("results/demo/logs/plot_figure_2.log", "begun\n")
    lines = voice.status()
    assert lines[0] == "5 of 33 jobs done, 5 running, 1 failed"
    assert lines[1:3] == [
        "  plot_figure fig2: running for 0 s",
        "  train_model dirnet: 20 of 100 steps, 1 steps/s, 1 min 20 s left",
    ]
    assert lines[3].startswith("  train_model dirnet: 20 of 100 steps, 1 steps/s, 1 min 20 s left (silent for 1 min 3")
    assert lines[4:] == ["  run_itk: waiting to start for 0 s"]


def test_what_an_older_run_left_is_not_shown(records: list[logging.LogRecord]) -> None:
    path = "results/demo/logs/train_model_1.progress.jsonl"
    progress(path, 60, 70)
    write("results/demo/logs/train_model_1.log", "error: of the older run\n")
    training = job(1, "train_model", part="7")
    voice = Console(workflow("PROGRESS", running=[training]))
    voice.start()
    starts(training)
    assert voice.status()[1:] == ["  train_model 7: waiting to start for 0 s"]
    progress(path, 71, 72, 73)
    assert voice.status()[1].startswith("  train_model dirnet: 73 of 100 steps")


def test_a_log_of_an_older_run_is_not_told_of_a_failed_job(records: list[logging.LogRecord]) -> None:
    failed = job(1, "run_ants", method="syn")
    write(failed.log[0], "error: of the older run\n")
    voice = Console(workflow("PROGRESS", failed=[failed]))
    voice.start()
    starts(failed)
    console.logger.error("x", extra={"event": "job_error", "jobid": 1, "rule_msg": "SLURM-job 7\nran out of memory."})
    voice.fail()
    text = records[-1].getMessage()
    assert "of the older run" not in text
    assert "  error: SLURM-job 7 ran out of memory.\n  log: none written\n" in text


def test_many_jobs_and_long_lines_stay_few_and_short(records: list[logging.LogRecord]) -> None:
    jobs = [job(number, "train_model", part="long" * 40) for number in range(300)]
    lines = Console(workflow(running=[Group(jobs[:200]), *jobs[200:]])).status()
    assert len(lines) == 2 + console.RUNNING_SHOWN
    assert lines[0] == "5 of 33 jobs done, 300 running"
    assert lines[-1] == f"  and {300 - console.RUNNING_SHOWN} more"
    assert max(map(len, lines)) == console.WIDTH
    assert lines[1].endswith("...")


def test_clip() -> None:
    assert [clip("abcdef", width) for width in (6, 5)] == ["abcdef", "ab..."]


def test_a_run_tells_until_it_ends(records: list[logging.LogRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "pauses", lambda elapsed: iter([0.01] * 10_000))
    flow = workflow(done=5)
    voice = Console(flow)
    voice.start()
    deadline = time.monotonic() + 20
    while not records and time.monotonic() < deadline:
        time.sleep(0.01)
    flow.scheduler.finished_jobs = 6
    while len(records) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    voice.succeed()
    told = len(records)
    time.sleep(0.1)
    texts = [record.getMessage() for record in records]
    # Said when it changed, and not again.
    assert texts[:2] == ["after 0 s: 5 of 33 jobs done", "after 0 s: 6 of 33 jobs done"]
    assert texts[2:] == ["done: 6 jobs in 0 s; report: report/index.html"]
    assert told == len(records)


def test_an_exception_is_one_line(records: list[logging.LogRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "pauses", lambda elapsed: iter([0.0] * 3))
    flow = workflow()
    del flow.scheduler
    voice = Console(flow)
    voice.start()
    voice._thread.join(timeout=20)
    voice.succeed()
    voice.fail()
    assert [record.levelname for record in records] == ["WARNING"] * 3
    assert all("AttributeError" in r.getMessage() and "\n" not in r.getMessage() for r in records)


@pytest.mark.parametrize("quiet", ["PROGRESS", "ALL"])
@pytest.mark.parametrize("end", ["succeed", "fail"])
def test_timers_of_the_scheduler_are_thinned_out_on_the_way_and_gone_at_the_end(
    end: str, quiet: str, records: list[logging.LogRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    for module in (console, snakemake_timers):
        monkeypatch.setattr(module, "cancel_timers", lambda keep=0: kept.append(keep))
    voice = Console(workflow(quiet))
    voice.start()
    for number in range(3):
        starts(job(number, "train_model"))
    getattr(voice, end)()
    assert kept == [1, 1, 1, 0]


@pytest.mark.parametrize("level", ["PROGRESS", "ALL"])
def test_quiet_tells_nothing_on_the_way(level: str, records: list[logging.LogRecord]) -> None:
    voice = Console(workflow(level))
    voice.start()
    assert not voice._thread.is_alive()
    # Where the end is hidden too, a job must say itself why it fails.
    assert ("REREGISTER_CONSOLE" in os.environ) == (level != "ALL")
    voice.succeed()
    assert len(records) == 1


@pytest.mark.parametrize(
    ("rules", "page"),
    [
        (["build_report", "build_index"], "; report: report/index.html"),
        (["build_report"], "; report: report/dirnet.html"),
        ([], ""),
    ],
)
def test_the_report_is_named_if_it_was_asked_for(rules: list[str], page: str, records: list[logging.LogRecord]) -> None:
    flow = workflow(done=1)
    flow.dag.jobs = [each for each in flow.dag.jobs if each.rule.name in rules]
    Console(flow).succeed()
    assert records[0].getMessage() == f"done: 1 job in 0 s{page}"


def test_each_failed_job_has_its_error_and_the_end_of_its_log_once(records: list[logging.LogRecord]) -> None:
    first, second = job(1, "fetch_dataset", dataset="mnist"), job(2, "run_ants", paper="dirnet", method="syn")
    voice = Console(workflow("PROGRESS", failed=[second, first]))
    voice.start()
    for each in (first, second):
        starts(each)
    write(first.log[0], "".join(f"line {n}\n" for n in range(20)) + "error: no such archive; fetch it\n")
    voice.fail()
    assert records[-1].levelname == "ERROR"
    assert records[-1].getMessage().splitlines() == [
        "failed after 0 s: 5 of 33 jobs done, 2 failed",
        "failed: fetch_dataset (dataset=mnist)",
        "  error: no such archive; fetch it",
        "  log: results/demo/logs/fetch_dataset_1.log",
        *[f"    | line {n}" for n in range(10, 20)],
        "failed: run_ants (paper=dirnet, method=syn)",
        "  error: no error in its log: see above, else it was killed",
        "  log: none written",
        "Put that right and run the same command again: finished jobs are kept, and a training goes on from its last"
        " checkpoint.",
    ]


@pytest.mark.parametrize(("quiet", "shown"), [((), False), (("RULES",), True)])
def test_logs_that_snakemake_shows_whole_are_not_shown_again(
    quiet: tuple[str, ...], shown: bool, records: list[logging.LogRecord]
) -> None:
    failed = job(1, "fetch_dataset")
    write(failed.log[0], "before\nerror: broken\n")
    Console(workflow(*quiet, failed=[failed], show_failed_logs=True)).fail()
    assert ("| before" in records[-1].getMessage()) == shown
    assert "error: broken" in records[-1].getMessage()


def test_a_stopped_run_says_how_to_go_on(records: list[logging.LogRecord]) -> None:
    Console(workflow(running=[job(1, "train_model")])).fail()
    assert records[-1].getMessage() == (
        "stopped after 0 s: 5 of 33 jobs done\n"
        "To go on, run the same command again: finished jobs are kept, and a training goes on from its last checkpoint."
    )


def test_pauses_grow_to_15_seconds_and_in_a_long_run_to_60() -> None:
    assert list(islice(pauses(lambda: 100.0), 7)) == [2.0, 3.0, 4.5, 6.75, 10.125, 15.0, 15.0]
    assert list(islice(pauses(lambda: 1200.0), 10))[-1] == 30.0
    assert list(islice(pauses(lambda: 1e6), 2000))[-1] == 60.0


def record(text: str, level: int = logging.INFO, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("snakemake.logging", level, "", 0, text, None, None)
    vars(made).update(extra)
    return made


SCRIPT = "RuleException:\nCalledProcessError in file x\nCommand 'python x' returned non-zero exit status {}."


@pytest.mark.parametrize(
    ("made", "chatter"),
    [
        (record("Select jobs to execute..."), True),
        (record("Execute 3 jobs...", event="job_started"), True),
        (record("Finished jobid: 3", event="job_finished"), True),
        (record(SCRIPT.format(1), logging.ERROR, event="error"), True),
        (record(SCRIPT.format(137), logging.ERROR, event="error"), False),
        (record("MissingOutputException", logging.ERROR, event="error"), False),
        (record("Trying to restart job 3."), False),
        (record("done: 3 jobs"), False),
    ],
)
def test_what_can_be_done_without(made: logging.LogRecord, chatter: bool) -> None:
    assert is_chatter(made) == chatter


def test_calm_is_for_the_console_and_not_for_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    screen, file = logging.StreamHandler(), logging.FileHandler(tmp_path / "log")
    calm([screen, file, Events()])
    for handler in (screen, file):
        handler.handle(record("Select jobs to execute..."))
        handler.handle(record("news"))
    file.close()
    assert (tmp_path / "log").read_text() == "Select jobs to execute...\nnews\n"
    assert capsys.readouterr().err == "news\n"
