"""A script run through the door, in a process of its own: what is recorded, and what is left when it fails.

The scripts run in a copy of the project, from a driver that hands them what Snakemake would.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
HOME, USER, HOST = "quokkahome", "quokkauser", "quokkahost"

# Stands for Snakemake, on a machine whose names can be searched for.
DRIVER = f"""
import json, os, runpy, socket, sys
from types import SimpleNamespace

uname = os.uname()
os.uname = lambda: os.uname_result((uname.sysname, "{HOST}", *uname[2:]))
socket.gethostname = lambda: "{HOST}"
script, given = sys.argv[1:]
sys.argv = [script]
sys.path.insert(0, os.path.dirname(script))
runpy.run_path(script, {{"snakemake": SimpleNamespace(**json.loads(given))}}, run_name="__main__")
"""

SCRIPT = """
from reregister.provenance.door import Job, run

def main(job: Job) -> None:
{body}

if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
"""

# A job as most are: it reads its input and writes two files by its params.
COUNT = """
    import os
    from reregister.provenance.files import write_text
    text = job.input.text.read_text()
    assert not job.output.receipt.exists()
    write_text(job.output.upper, text.upper() * job.params.times)
    write_text(job.output.order, ",".join(job.params.labels) + f" {os.environ['OMP_NUM_THREADS']} {job.recipe_id}")
    print("from Python")
"""


@dataclass(frozen=True)
class Place:
    """A copy of the project, and a run folder with one input."""

    project: Path
    run: Path

    @property
    def receipt(self) -> Path:
        return self.run / "receipts" / "count.json"

    @property
    def log(self) -> Path:
        return self.run / "logs" / "count.log"

    @property
    def outputs(self) -> list[Path]:
        return [self.run / "upper.txt", self.run / "order.txt", self.receipt]

    def read(self) -> dict[str, Any]:
        return dict(json.loads(self.receipt.read_text(encoding="utf-8")))

    def environment(self) -> dict[str, str]:
        scratch, home = self.run.parent / "scratch", self.run.parent / HOME
        scratch.mkdir(exist_ok=True)
        home.mkdir(exist_ok=True)
        names = {"HOME": str(home), "USER": USER, "LOGNAME": USER, "HOSTNAME": HOST, "TMPDIR": str(scratch)}
        # Unbuffered output, where the tests run with it, would hide what a job does to its own.
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
        return {**kept, **names, "PYTHONDONTWRITEBYTECODE": "1"}

    def write_script(self, body: str = COUNT, name: str = "count") -> Path:
        path = self.project / "scripts" / f"{name}.py"
        path.write_text(SCRIPT.format(body=textwrap.indent(textwrap.dedent(body), "    ")), encoding="utf-8")
        return path

    def start(self, script: Path, **changes: Any) -> subprocess.Popen[str]:
        given: dict[str, Any] = {
            "input": {"text": str(self.run / "in.txt"), "pages": [str(self.project / "envs" / "page.txt")]},
            "output": dict(zip(("upper", "order", "receipt"), map(str, self.outputs), strict=True)),
            "params": {
                "times": 2,
                "labels": {"identity": 1, "affine": 2},
                "code": {"digest": "0", "entries": []},
                "env": {"file": "envs/test.yaml", "digest": "0"},
            },
            "wildcards": {"paper": "dirnet"},
            "threads": 3,
            "log": [str(self.log)],
        }
        params = {**given["params"], **changes.pop("params", {})}
        command = [sys.executable, "-c", DRIVER, str(script), json.dumps({**given, **changes, "params": params})]
        return self.popen(command)

    def popen(self, command: list[str]) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=self.run.parent, env=self.environment(), text=True, **pipes)

    def finish(self, process: subprocess.Popen[str]) -> tuple[int, str, str]:
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def job(self, body: str = COUNT, **changes: Any) -> tuple[int, str, str]:
        """Run a script with this body as Snakemake would; returns its status, stdout and stderr."""
        return self.finish(self.start(self.write_script(body), **changes))

    def by_hand(self, *arguments: str | Path, name: str = "count") -> tuple[int, str, str]:
        script = self.project / "scripts" / f"{name}.py"
        return self.finish(self.popen([sys.executable, str(script), *map(str, arguments)]))


def make_place(root: Path, run: str) -> Place:
    project = root / "project"
    if not project.exists():
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(PROJECT / "scripts", project / "scripts", ignore=ignore)
        (project / "envs").mkdir()
        (project / "envs" / "test.yaml").write_text("name: test\n")
        (project / "envs" / "page.txt").write_text("a page\n")
    place = Place(project, root / run)
    place.run.mkdir(parents=True)
    (place.run / "in.txt").write_text("Moving and fixed.\n")
    return place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path, "demo")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def left(place: Place) -> list[str]:
    return [path.name for path in place.outputs if path.exists()]


def test_receipt_holds_what_went_in_and_what_came_out(place: Place) -> None:
    (place.project / "envs" / "test.yaml").write_text("name: this copy's own\n")
    assert place.job() == (0, "", "")
    record = place.read()
    recipe = record["recipe"]
    canonical = json.dumps(recipe, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert record["recipe_id"] == hashlib.sha256(canonical.encode()).hexdigest()
    assert (recipe["rule"], recipe["wildcards"]) == ("count", {"paper": "dirnet"})
    assert recipe["params"] == {"times": 2, "labels": {"identity": 1, "affine": 2}}
    assert recipe["inputs"] == {
        "in.txt": sha256(place.run / "in.txt"),
        "project/envs/page.txt": sha256(place.project / "envs" / "page.txt"),
    }
    # The project is where the library lies, not where the tests or an installed copy do.
    assert recipe["environment_lock"] == sha256(place.project / "envs" / "test.yaml")
    assert list(recipe["code"]) == list(record["code"]) == ["scripts/count.py"]
    outputs = {path.name: {"sha256": sha256(path), "bytes": path.stat().st_size} for path in place.outputs[:2]}
    assert record["outputs"] == outputs
    # Threads are set, and the recipe's id known, before the work begins.
    assert place.outputs[1].read_text() == f"identity,affine 3 {record['recipe_id']}"
    run = record["run"]
    assert (run["threads"], run["device"], run["resumed_from"]) == (3, "cpu", None)
    assert (run["gpu"], run["warnings"]) == (None, [])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", run["start"])
    assert run["end"] >= run["start"]
    for key in ("undeclared_reads", "undeclared_writes", "undeclared_code", "network", "programs"):
        assert record[key] == [], key


def test_receipt_is_the_last_file_that_is_written(place: Place) -> None:
    assert place.job()[0] == 0
    times = {path: path.stat().st_mtime_ns for path in place.run.rglob("*") if path.is_file() and path != place.log}
    assert len(times) >= 6
    assert times[place.receipt] == max(times.values())


def test_store_has_code_and_environment_under_their_hash(place: Place) -> None:
    assert place.job()[0] == 0
    record, store = place.read(), place.run / "receipts" / "store"
    script = place.project / "scripts" / "count.py"
    assert (store / "code" / f"{record['code']['scripts/count.py']}.py").read_bytes() == script.read_bytes()
    environment = store / "environment" / f"{record['environment']}.json"
    assert json.loads(environment.read_text())["variables"]["MKL_NUM_THREADS"] == "3"
    assert all(path.stem == sha256(path) for path in store.rglob("*.*"))


def test_nothing_recorded_names_the_machine_the_user_or_a_folder(place: Place) -> None:
    body = f"""{COUNT}
    import subprocess, sys
    subprocess.run([sys.executable, "-c", "pass", str(job.input.text.resolve()), os.path.expanduser("~/a b")])
    open(os.path.expanduser("~/notes.txt"), "w").close()
    """
    assert place.job(body)[0] == 0
    record = place.read()
    assert record["undeclared_writes"] == ["outside/notes.txt"]
    assert record["programs"][0][3:] == ["in.txt", "outside/a b"]
    words = [HOME, USER, HOST, str(place.run.parent), str(PROJECT), sys.prefix]
    files = [path for path in (place.run / "receipts").rglob("*") if path.is_file()]
    assert len(files) == 3
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert not [word for word in words if word in text], path
        if path.suffix == ".json":
            assert not re.search(r'"/', text), path


def test_recipe_is_the_same_wherever_project_and_run_lie(place: Place, tmp_path: Path) -> None:
    other = make_place(tmp_path / "elsewhere", "again")
    assert place.job()[0] == other.job()[0] == 0
    one, two = place.read(), other.read()
    assert one["recipe"] == two["recipe"]
    assert (one["recipe_id"], one["outputs"], one["call"]) == (two["recipe_id"], two["outputs"], two["call"])


def test_an_error_for_the_user_is_one_sentence_and_leaves_nothing(place: Place) -> None:
    assert place.job()[0] == 0
    assert len(left(place)) == 3
    body = f"""{COUNT}
    from reregister.errors import ReregisterError
    raise ReregisterError("in.txt has no labels; add them")
    """
    assert place.job(body) == (1, "", "count dirnet: in.txt has no labels; add them\n")
    assert left(place) == []
    assert place.log.read_text() == "from Python\nerror: in.txt has no labels; add them\n"


def test_any_other_error_has_its_traceback_in_the_log(place: Place) -> None:
    status, _, err = place.job(COUNT + "    {}['absent']")
    assert (status, left(place)) == (1, [])
    assert all("Traceback" in text and "KeyError: 'absent'" in text for text in (place.log.read_text(), err))


def test_a_missing_input_is_named_before_the_work_begins(place: Place) -> None:
    (place.run / "in.txt").unlink()
    status, _, err = place.job()
    assert (status, left(place)) == (1, [])
    assert (
        err
        == f"count dirnet: the input {place.run / 'in.txt'} is missing; run the rule that makes it, or mend the path\n"
    )
    assert "from Python" not in place.log.read_text()


@pytest.mark.parametrize("change", ["write_text('other')", "unlink()"])
def test_an_input_that_changes_meanwhile_voids_the_job(change: str, place: Place) -> None:
    status, _, err = place.job(f"{COUNT}\n    job.input.text.{change}")
    assert (status, left(place)) == (1, [])
    assert err.startswith("count dirnet: an input changed" if "write" in change else "count dirnet: the input ")
    assert err.count("\n") == 1


def test_an_output_that_was_not_written_is_an_error(place: Place) -> None:
    # Left from an earlier run it must not pass for this run's.
    (place.run / "order.txt").write_text("old")
    status, _, err = place.job("    job.output.upper.write_text('x')")
    assert (status, left(place)) == (1, [])
    assert "count ended without writing its output" in err
    assert "order.txt" in err


def test_termination_leaves_nothing_and_says_so_by_the_status(place: Place) -> None:
    script = place.write_script(f"{COUNT}\n    import time\n    (job.run_folder / 'ready').touch()\n    time.sleep(60)")
    process = place.start(script)
    deadline = time.monotonic() + 60
    while not (place.run / "ready").exists() and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    assert left(place) == ["upper.txt", "order.txt"]
    process.send_signal(signal.SIGTERM)
    assert place.finish(process)[0] == 143
    assert left(place) == []


def test_log_gets_what_libraries_and_programs_write(place: Place) -> None:
    body = f"""{COUNT}
    import subprocess, sys
    os.write(1, b"from C\\n")
    os.write(2, b"error from C\\n")
    subprocess.run([sys.executable, "-c", "print('from a program')"], check=True)
    print("to stderr", file=sys.stderr)
    """
    assert place.job(body) == (0, "", "")
    assert place.log.read_text() == "from Python\nfrom C\nerror from C\nfrom a program\nto stderr\n"
    assert place.job(log=[])[:2] == (0, "from Python\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_log_on_a_full_disk_does_not_hide_the_error(place: Place) -> None:
    body = """
    import sys
    from reregister.errors import ReregisterError
    sys.stdout.write("kept until the line ends")
    raise ReregisterError("the disk is full; make room")
    """
    status, _, err = place.job(body, log=["/dev/full"])
    assert (status, left(place)) == (1, [])
    assert "count dirnet: the disk is full; make room\n" in err
    assert "Traceback" not in err


def test_what_a_job_does_beside_its_declarations_is_recorded(place: Place) -> None:
    (place.run / "other.txt").write_text("x")
    body = f"""{COUNT}
    import importlib
    (job.run_folder / "other.txt").read_text()
    (job.run_folder / "extra.txt").write_text("x")
    job.checkpoint.parent.mkdir(exist_ok=True)
    job.checkpoint.write_text("x")
    job.progress(1, "pairs").report(1)
    importlib.import_module("reregister.registry")
    """
    assert place.job(body)[0] == 0
    record = place.read()
    assert record["undeclared_reads"] == ["other.txt"]
    assert record["undeclared_writes"] == ["extra.txt"]
    assert record["undeclared_code"] == ["reregister/registry.py"]
    # The receipt stands: the checkpoint has done its work.
    assert list((place.run / "checkpoints").iterdir()) == []
    entries = {"code": {"digest": "0", "entries": ["reregister.registry"]}}
    assert place.job(body, params=entries)[0] == 0
    assert place.read()["undeclared_code"] == []
    assert "scripts/reregister/registry.py" in place.read()["recipe"]["code"]


def test_code_is_recorded_as_it_was_when_the_job_began(place: Place) -> None:
    script = place.write_script(f"{COUNT}\n    from pathlib import Path\n    Path(__file__).write_text('VALUE = 1')")
    before = script.read_bytes()
    assert place.finish(place.start(script))[0] == 0
    record = place.read()
    assert script.read_text() == "VALUE = 1"
    assert record["code"] == {"scripts/count.py": hashlib.sha256(before).hexdigest()}
    stored = place.run / "receipts" / "store" / "code" / f"{record['code']['scripts/count.py']}.py"
    assert stored.read_bytes() == before


Change = Callable[[Place, Path], list[str | Path]]


def same_folder(place: Place, root: Path) -> list[str | Path]:
    return [place.receipt]


def moved_run(place: Place, root: Path) -> list[str | Path]:
    target = place.run.rename(root / "moved")
    return [target / "receipts" / "count.json"]


def other_folder(place: Place, root: Path) -> list[str | Path]:
    target = root / "rebuild"
    target.mkdir()
    shutil.copy(place.run / "in.txt", target)
    return [place.receipt, "--into", target]


@pytest.mark.parametrize("change", [same_folder, moved_run, other_folder])
def test_a_receipt_runs_its_job_again_by_hand(change: Change, place: Place, tmp_path: Path) -> None:
    assert place.job()[0] == 0
    before = place.read()
    arguments = change(place, tmp_path)
    again = Place(
        place.project, tmp_path / {"moved_run": "moved", "other_folder": "rebuild"}.get(change.__name__, "demo")
    )
    texts = {path.name: path.read_bytes() for path in again.outputs[:2] if path.exists()}
    assert again.by_hand(*arguments) == (0, "", "")
    after = again.read()
    # Params come in the order that they had, here that of the labels.
    assert again.outputs[1].read_text().startswith("identity,affine 3 ")
    for key in ("recipe", "recipe_id", "outputs", "code", "call", "undeclared_reads", "undeclared_writes"):
        assert after[key] == before[key], key
    assert {path.name: path.read_bytes() for path in again.outputs[:2] if path.name in texts} == texts
    assert again.log.read_text() == "from Python\n"


def test_a_wrong_receipt_by_hand_is_one_sentence(place: Place) -> None:
    assert place.job()[0] == 0
    place.write_script(name="other")
    status, _, err = place.by_hand(place.receipt, name="other")
    assert (status, err) == (1, f"other: {place.receipt} records a job of count; run it with scripts/count.py\n")
    status, _, err = place.by_hand(place.run / "in.txt")
    assert (status, err.count("\n"), len(left(place))) == (1, 1, 3)
    assert err.startswith(f"count: cannot use {place.run / 'in.txt'} (")
