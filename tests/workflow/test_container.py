"""The container: what its recipe names, and that Snakemake runs jobs in its image, by a stand-in for `apptainer`.

No image is built here: that needs apptainer and a registry.
"""

import json
import os
import re
import sys
import tomllib
from pathlib import Path

import pytest

from .conftest import PROJECT, Workflow

RECIPE = PROJECT / "envs" / "container.def"
# Says its version, notes its arguments, and runs the command where it stands: `exec [options] IMAGE SHELL -c COMMAND`.
APPTAINER = """#!{python}
import json, os, sys
if sys.argv[1:] == ["--version"]:
    print("apptainer version 1.3.4")
    sys.exit()
with open({calls!r}, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
os.execvp(sys.argv[-3], sys.argv[-3:])
"""


def sections() -> dict[str, list[str]]:
    """Lines of each section of the recipe, comments apart; "" holds the head."""
    found: dict[str, list[str]] = {"": []}
    name = ""
    for line in RECIPE.read_text(encoding="utf-8").splitlines():
        if line.startswith("%"):
            name = line[1:]
            found[name] = []
        elif line.strip() and not line.strip().startswith("#"):
            found[name].append(line.strip())
    return found


def test_the_image_has_the_python_and_the_versions_of_the_lock() -> None:
    found = sections()
    image = re.fullmatch(r"From: python:(\d+\.\d+)-slim-bookworm", found[""][1])
    assert image
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == f">={image[1]}"
    for environment in (PROJECT / "envs").glob("*.yaml"):
        assert f"python ={image[1]}" in environment.read_text(encoding="utf-8").replace("==", "=")
    # What is installed is the lock itself, and nothing beside it.
    copied = dict(line.split() for line in found["files"])
    assert all((PROJECT / name).is_file() for name in copied)
    installs = [line for line in found["post"] if "pip install" in line]
    assert installs == [f"python -m pip install --no-cache-dir -r {copied['requirements.txt']}"]


def test_jobs_run_in_the_image_that_the_recipe_is_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs, calls = tmp_path / "bin", tmp_path / "calls"
    programs.mkdir()
    program = programs / "apptainer"
    program.write_text(APPTAINER.format(python=sys.executable, calls=str(calls)), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]))
    workflow = Workflow(tmp_path / "run")
    workflow.folder.mkdir()
    workflow.snakemake("results/smoke/audit.py", "--sdm", "apptainer", "--config", "scale=smoke")
    (words,) = map(json.loads, calls.read_text(encoding="utf-8").splitlines())
    assert words[0] == "exec"
    assert os.path.normpath(workflow.folder / words[-4]) == str(RECIPE.with_suffix(".sif"))
    assert "write_audit.py" in words[-1]
    assert (workflow.folder / "results" / "smoke" / "receipts" / "write_audit.json").is_file()
