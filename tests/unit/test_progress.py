"""Progress lines as jobs write them, as they are read, and the command that shows them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reregister import cli, progress
from reregister.progress import Progress, format_seconds, read_state, running

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", SimpleNamespace(time=clock.time))
    return clock


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]


def write_lines(path: Path, *entries: dict[str, Any], tail: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    common = {"job": "train_model dirnet", "total": 100, "unit": "steps"}
    path.write_text("".join(json.dumps({**common, **entry}) + "\n" for entry in entries) + tail, encoding="utf-8")
    return path


def test_at_most_one_line_a_second_but_the_first_and_the_last_always(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "logs" / "job.progress.jsonl"
    report = Progress(path, "train_model dirnet", 40, "steps").report
    for done in range(41):
        report(done, loss=1 / (done + 1))
        clock.now += 0.125
    assert [line["done"] for line in lines(path)] == [0, 8, 16, 24, 32, 40]
    assert lines(path)[0] == {
        "time": 1_000_000.0,
        "job": "train_model dirnet",
        "done": 0,
        "total": 40,
        "unit": "steps",
        "from": 0,
        "loss": 1.0,
    }


def test_first_and_last_line_stand_though_within_one_second(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "job.progress.jsonl"
    report = Progress(path, "run_itk", 3, "pairs").report
    for done in range(4):
        report(done)
    assert [line["done"] for line in lines(path)] == [0, 3]


def test_units_can_be_counted_one_by_one(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "job.progress.jsonl"
    told = Progress(path, "evaluate_registration", 4, "pairs")
    for _ in range(4):
        clock.now += 2
        told.advance()
    assert [(line["done"], line["from"]) for line in lines(path)] == [(1, 1), (2, 1), (3, 1), (4, 1)]
    state = read_state(path)
    assert state is not None
    assert (state.finished, state.rate) == (True, 0.5)
    # Without a file nothing is written, and nothing fails.
    Progress(None, "evaluate_registration", 4, "pairs").advance()


def test_a_job_that_starts_again_removes_its_old_lines(tmp_path: Path, clock: Clock) -> None:
    path = write_lines(tmp_path / "job.progress.jsonl", {"time": 1.0, "done": 70})
    again = Progress(path, "train_model", 100, "steps")
    assert not path.exists()
    assert read_state(path) is None
    again.report(50)
    clock.now += 10
    again.report(60)
    state = read_state(path, now=clock.now)
    assert state is not None
    # Taken up at 50: the rate counts what this process did.
    assert [line["from"] for line in lines(path)] == [50, 50]
    assert (state.done, state.rate, state.left) == (60, 1.0, 40.0)


def test_without_a_file_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Progress(None, "run_itk", 2, "pairs").report(1)
    assert list(tmp_path.iterdir()) == []


def test_rate_time_left_and_values(tmp_path: Path) -> None:
    entries = [{"time": 100.0, "done": 10}, {"time": 104.0, "done": 20}, {"time": 110.0, "done": 30, "loss": -0.81236}]
    state = read_state(write_lines(tmp_path / "a.progress.jsonl", *entries), now=115.0)
    assert state is not None
    assert (state.rate, state.left, state.silent, state.finished) == (2.0, 35.0, 5.0, False)
    assert state.line() == "train_model dirnet: 30 of 100 steps, 2 steps/s, 35 s left, loss -0.8124"


def test_after_one_line_the_rate_is_unknown(tmp_path: Path) -> None:
    state = read_state(write_lines(tmp_path / "a.progress.jsonl", {"time": 100.0, "done": 0}), now=101.0)
    assert state is not None
    assert (state.rate, state.left) == (None, None)
    assert state.line() == "train_model dirnet: 0 of 100 steps"


def test_thousands_are_set_apart(tmp_path: Path) -> None:
    state = read_state(write_lines(tmp_path / "a.progress.jsonl", {"time": 1.0, "done": 1500, "total": 36000}), now=1.0)
    assert state is not None
    assert state.line() == "train_model dirnet: 1,500 of 36,000 steps"


def test_silence_is_said_after_a_minute_and_not_of_a_finished_job(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.progress.jsonl", {"time": 100.0, "done": 0}, {"time": 110.0, "done": 10})

    def line(now: float) -> str:
        state = read_state(path, now=now)
        assert state is not None
        return state.line()

    assert "silent" not in line(110.0 + progress.SILENT_AFTER_S)
    assert line(110.0 + 200).endswith("(silent for 3 min 20 s)")
    write_lines(path, {"time": 100.0, "done": 0}, {"time": 110.0, "done": 100})
    assert line(110.0 + 200) == "train_model dirnet: 100 of 100 steps, 10 steps/s"


@pytest.mark.parametrize("tail", ['{"time": 120.0, "job": "train_mod', "{", '{"time": 120.0}'[:-1]])
def test_a_half_written_line_is_passed_over(tail: str, tmp_path: Path) -> None:
    entries = [{"time": 100.0, "done": 10}, {"time": 110.0, "done": 30}]
    state = read_state(write_lines(tmp_path / "a.progress.jsonl", *entries, tail=tail), now=110.0)
    assert state is not None
    assert (state.done, state.rate) == (30, 2.0)
    only_half = tmp_path / "half.progress.jsonl"
    only_half.write_text(tail, encoding="utf-8")
    assert read_state(only_half) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (48.4, "48 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599, "59 min 59 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (360_000, "100 h 00 min"),
    ],
)
def test_seconds_in_words(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run with one job at work, one finished, one not begun."""
    run = tmp_path / "results" / "demo"
    logs = run / "dirnet" / "logs"
    write_lines(logs / "train_model" / "b.progress.jsonl", {"time": 1.0, "done": 3}, {"time": 2.0, "done": 5})
    write_lines(logs / "train_model" / "a.progress.jsonl", {"time": 1.0, "done": 100, "job": "finished"})
    write_lines(logs / "c.progress.jsonl")
    write_lines(run / "data" / "mnist" / "logs" / "f.progress.jsonl", {"time": 1.0, "done": 7, "job": "fetch_dataset"})
    (logs / "train_model" / "b.log").write_text("not progress")
    return run


def test_only_unfinished_jobs_are_running(run_folder: Path) -> None:
    assert [(state.job, state.done) for state in running(run_folder)] == [
        ("fetch_dataset", 7),
        ("train_model dirnet", 5),
    ]


def test_a_file_that_vanishes_is_a_job_that_starts_again(run_folder: Path) -> None:
    # A link to nothing stands for a file that is removed between listing and reading.
    (run_folder / "dirnet" / "logs" / "gone.progress.jsonl").symlink_to(run_folder / "nowhere")
    assert len(running(run_folder)) == 2


def test_command_shows_running_jobs(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["progress", str(run_folder)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 2
    assert out[0].startswith("fetch_dataset: 7 of 100 steps (silent for ")
    assert out[1].startswith("train_model dirnet: 5 of 100 steps, 2 steps/s, 48 s left (silent for ")


def test_watching_shows_what_changed_until_interrupted(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fetched = run_folder / "data" / "mnist" / "logs" / "f.progress.jsonl"
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            for path in run_folder.rglob("*.progress.jsonl"):
                path.unlink()
        if len(waits) == 4:
            raise KeyboardInterrupt

    fetched.unlink()
    monkeypatch.setattr(cli, "time", SimpleNamespace(sleep=sleep))
    # The silence of a job grows with the clock; what is shown here does not.
    monkeypatch.setattr(progress, "time", SimpleNamespace(time=lambda: 3.0))
    assert cli.main(["progress", str(run_folder), "--watch", "0.5"]) == 0
    assert waits == [0.5] * 4
    assert capsys.readouterr().out.splitlines() == [
        "train_model dirnet: 5 of 100 steps, 2 steps/s, 48 s left",
        f"no job of {run_folder} is running",
    ]


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "often"])
def test_watching_needs_a_sensible_pause(seconds: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["progress", str(tmp_path), f"--watch={seconds}"])
    assert stopped.value.code == 2
    assert "--watch" in capsys.readouterr().err


def test_command_says_that_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["progress", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"no job of {tmp_path} is running\n"


def test_command_names_a_missing_folder_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["progress", str(tmp_path / "absent")]) == 1
    caught = capsys.readouterr()
    assert caught.out == ""
    assert caught.err.startswith(f"reregister: there is no folder {tmp_path / 'absent'}; give the folder of a run")
    assert caught.err.count("\n") == 1


def test_command_takes_the_newest_run(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(run_folder.parents[1])
    other = run_folder.parent / "other"
    other.mkdir()
    for folder, time in ((run_folder, 2_000_000), (other, 1_000_000)):
        (folder / "run.json").write_text("{}")
        os.utime(folder / "run.json", (time, time))
    assert cli.main(["progress"]) == 0
    assert "fetch_dataset: 7" in capsys.readouterr().out
    os.utime(other / "run.json", (3_000_000, 3_000_000))
    assert cli.main(["progress"]) == 0
    assert capsys.readouterr().out == f"no job of {Path('results', 'other')} is running\n"


def test_command_runs_as_a_module_and_asks_for_a_command(tmp_path: Path) -> None:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "reregister.cli", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    missing = call("progress", "absent")
    assert missing.returncode == 1
    assert missing.stderr == ("reregister: there is no folder absent; give the folder of a run, such as results/demo\n")
    # In a folder without any run, the default is named.
    assert "results/demo" in call("progress").stderr
    nothing = call()
    assert nothing.returncode == 2
    assert "usage: reregister" in nothing.stderr
