"""Runs of the workflow that several tests look at, each made once."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Workflow:
    """A folder to run the workflow in, and the project whose Snakefile is run."""

    folder: Path
    project: Path = PROJECT

    def snakemake(self, *arguments: str, check: bool = True, seed: str = "0") -> subprocess.CompletedProcess[str]:
        """Run snakemake in the folder; output and errors together. Fails the test where check and the status is not 0."""
        command = [sys.executable, "-m", "snakemake", "-s", str(self.project / "Snakefile"), "--cores", "2", *arguments]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if check and done.returncode:
            pytest.fail(f"snakemake {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-6000:]}")
        return done

    def planned(self, *arguments: str) -> dict[str, int]:
        """Jobs that a dry run would start, by rule."""
        text = self.snakemake("-n", *arguments).stdout
        lines = text.split("Job stats:")[-1].splitlines() if "Job stats:" in text else []
        counts = {}
        for line in lines:
            words = line.split()
            if len(words) == 2 and words[1].isdigit() and words[0] != "total":
                counts[words[0]] = int(words[1])
        return counts


def copy_project(target: Path) -> Path:
    """A copy of the project's own files that a test may edit, times kept."""
    keep = ("Snakefile", "config", "workflow", "envs", "scripts", "profiles")
    target.mkdir()
    for name in keep:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy2(source, target / name)
    return target


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A finished smoke run of all papers, made from a copy of the project; look at it, do not change it."""
    folder = tmp_path_factory.mktemp("smoke")
    workflow = Workflow(folder, copy_project(folder / "project"))
    workflow.snakemake("papers", "--config", "scale=smoke")
    return workflow


@pytest.fixture(scope="session")
def twin(smoke: Workflow, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The same run from nothing, in another folder, under another name and with another hash seed."""
    workflow = Workflow(tmp_path_factory.mktemp("twin"), smoke.project)
    workflow.snakemake("papers", "--config", "scale=smoke", "run=again", seed="1")
    return workflow


@pytest.fixture
def finished(smoke: Workflow, tmp_path: Path) -> Workflow:
    """A copy of the finished smoke run and its project, times kept, that a test may change."""
    shutil.copytree(smoke.folder, tmp_path / "run", copy_function=shutil.copy2)
    return Workflow(tmp_path / "run", tmp_path / "run" / "project")


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Workflow]:
    """Makes empty folders to run the project in."""
    made: list[Path] = []

    def make() -> Workflow:
        made.append(tmp_path / f"fresh{len(made)}")
        made[-1].mkdir()
        return Workflow(made[-1])

    return make
