"""The worked example of CONTRIBUTING.md, followed to the letter: its method and its dataset stand in every table."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reregister.config import read_yaml
from reregister.tables import read_frame

from .conftest import PROJECT, Workflow

# What stands before a block says where it goes; its sentence may run over a line's end.
STEP = re.compile(
    r"(?:Write\s+`(?P<written>[^`]+)`|Append to\s+`(?P<appended>[^`]+)`"
    r"|Insert into\s+`(?P<inserted>[^`]+)`,\s+before the line\s+`(?P<line>[^`]+)`):\n\n```(?:python|yaml)\n(?P<block>.*?)^```$",
    re.M | re.S,
)


def worked_example() -> str:
    text = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.split("## A worked example\n")[1].split("\n## ")[0]


def follow(project: Path) -> list[str]:
    """Do in a copy of the project what the example says; returns the files that it wrote."""
    text, written = worked_example(), []
    steps = list(STEP.finditer(text))
    # No block is passed over: all but the command belong to a step.
    assert len(steps) == text.count("```python\n") + text.count("```yaml\n") == 8
    for step in steps:
        path = project / (step["written"] or step["appended"] or step["inserted"])
        if step["written"]:
            assert not path.exists()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step["block"], encoding="utf-8")
            written.append(step["written"])
            continue
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        places = [place for place, line in enumerate(lines) if line.strip() == step["line"]] or [len(lines)]
        assert len(places) == 1
        path.write_text("".join([*lines[: places[0]], step["block"], *lines[places[0] :]]), encoding="utf-8")
    return written


@pytest.fixture
def extended(finished: Workflow) -> Workflow:
    written = follow(finished.project)
    # In the house's form: linted as the project's own files are.
    shutil.copy2(PROJECT / "pyproject.toml", finished.project)
    for command in (["check"], ["format", "--check"]):
        call = [sys.executable, "-m", "ruff", *command, *written]
        done = subprocess.run(call, cwd=finished.project, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stdout
    return finished


def test_the_worked_example_runs_and_stands_in_every_table(extended: Workflow) -> None:
    environment = {**os.environ, "PYTHONPATH": str(extended.project / "scripts")}
    test = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/test_residual_net.py"]
    subprocess.run(test, cwd=extended.project, env=environment, check=True)
    (command,) = re.findall(r"^snakemake .*$", worked_example(), re.M)
    words = shlex.split(command)[3:]
    assert words[0] == "dirnet"
    # The tables of both experiments that show all methods, in place of the page: figures say nothing more of the example.
    exhibits = read_yaml(extended.project / "config" / "papers" / "dirnet.yaml")["exhibits"]
    names = [
        name
        for name, about in exhibits.items()
        if about["kind"] == "table"
        and about["experiment"] in ("scd", "png_pairs")
        and not about.get("methods")
        and "pairs" not in about["reads"]
    ]
    tables = [f"results/smoke/dirnet/tables/{name}.csv" for name in names]
    extended.snakemake(*tables, *words[1:])
    shown = {Path(name).stem: read_frame(extended.folder / name) for name in tables}
    shown = {name: frame for name, frame in shown.items() if "method" in frame}
    assert {"table1_cardiac_accuracy", "tableS9_png_pairs"} <= set(shown)
    for name, frame in shown.items():
        assert "Residual block" in set(frame["method"]), name
    # Beside the methods that were there before, none of which ran again.
    assert {"DIRNet-BL", "SyN (ANTs)"} <= set(shown["table1_cardiac_accuracy"]["method"])
    own = shown["tableS9_png_pairs"]
    assert list(own["method"]) == ["Before registration", "Residual block"]
    # The true field is known, so the row before registration has its own length as its error.
    assert (own["field_error_mean"].astype(float) > 0.1).all()
