"""`snakemake --sdm conda` from end to end, with a real solver on a local channel, not conda-forge.

What it shows: the environment files can be read, solved in the versions of the lock, built and activated, and hold what
their scripts import. What it does not: that conda-forge has these names and builds.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ..unit.test_environments import listed
from .conda_channel import make_channel, make_command, python_version, remove, why_not
from .conftest import PROJECT, Workflow

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
RULES = {"write_audit": "report", "make_standin": "data", "fetch_dataset": "data"}
TARGETS = ("results/smoke/audit.py", "results/smoke/data/mnist/source.csv")


@pytest.fixture(scope="module")
def conda(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Environment variables with which `conda` is the stand-in on a channel of what the environments list."""
    folder = tmp_path_factory.mktemp("conda")
    wanted = {name for env in set(RULES.values()) for name in listed(PROJECT / "envs" / f"{env}.yaml")} - {"python"}
    # Newer than any pin: a solver that was not held to them would take it.
    make_channel(folder / "channel", wanted, newest="9999.0")
    yield make_command(folder / "front", folder / "channel")
    remove(folder)


@pytest.fixture(scope="module")
def run(conda: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Workflow, str]:
    workflow = Workflow(tmp_path_factory.mktemp("run"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in conda.items():
            patch.setenv(name, value)
        done = workflow.snakemake(*TARGETS, "--sdm", "conda", "--config", "scale=smoke")
    return workflow, done.stdout


def receipt_of(run: Path, rule: str) -> dict[str, Any]:
    (path,) = (run / "receipts").rglob(f"{rule}.json" if rule == "write_audit" else f"{rule}/mnist.json")
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


@pytest.mark.parametrize(("rule", "env"), RULES.items())
def test_a_rule_ran_in_an_environment_of_its_own(run: tuple[Workflow, str], rule: str, env: str) -> None:
    folder = run[0].folder / "results" / "smoke"
    identity = receipt_of(folder, rule)["environment"]
    found = json.loads((folder / "receipts" / "store" / "environment" / f"{identity}.json").read_text("utf-8"))
    pins = listed(PROJECT / "envs" / f"{env}.yaml")
    loaded = {name.lower(): version for name, version in found["packages"].items() if name.lower() in pins}
    assert loaded == {name: pins[name] for name in loaded}
    # What Snakemake itself brings along is taken from where it runs, and nothing that the environment lists.
    assert not {name.lower() for name in found["packages_outside_prefix"]} & set(pins)
    assert found["python"] == python_version()
    # A stand-in is computed; a download and the copy of the audit need Python alone.
    assert ("numpy" in loaded) == (rule == "make_standin")


def test_each_environment_was_built_once_from_its_file(run: tuple[Workflow, str]) -> None:
    workflow, said = run
    for env in set(RULES.values()):
        assert said.count(f"envs/{env}.yaml created") == 1, said
    assert "pin file" not in said
    built = {path.stem for path in (workflow.folder / ".snakemake" / "conda").glob("*.env_setup_done")}
    assert len(built) == len(set(RULES.values()))
    for name in built:
        python = workflow.folder / ".snakemake" / "conda" / name / "bin" / "python"
        code = "import sys, os; print(os.path.realpath(sys.prefix))"
        there = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        assert there == os.path.realpath(python.parents[1])


def create(conda: dict[str, str], folder: Path, *dependencies: str) -> subprocess.CompletedProcess[str]:
    file = folder / "environment.yaml"
    file.write_text(json.dumps({"channels": ["conda-forge", "nodefaults"], "dependencies": dependencies}))
    command = [str(Path(conda["STAND_IN_PREFIX"], "bin", "conda")), "env", "create", "--quiet", "--file", str(file)]
    command += ["--prefix", str(folder / "prefix")]
    return subprocess.run(command, env={**os.environ, **conda}, capture_output=True, text=True, check=False)


def test_a_version_that_the_channel_does_not_have_is_refused(conda: dict[str, str], tmp_path: Path) -> None:
    done = create(conda, tmp_path, "python =3.11", "jinja2 ==9.9.9")
    assert done.returncode == 1
    assert "jinja2" in done.stdout
    assert not (tmp_path / "prefix" / "bin").exists()
