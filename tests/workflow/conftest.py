"""Runs of the workflow that several tests look at, each made once."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ..conftest import PROJECT, Workflow, copy_project, made_once

TWINS = ("deep_prior", "label_driven")
__all__ = ["PROJECT", "Workflow", "copy_project"]


@pytest.fixture(scope="session")
def twin(smoke: Workflow, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """Papers of the same run from nothing, in another folder, under another name and with another hash seed.

    Two papers: between them they have every tool, volumes and slices, training, compression and networks in whole numbers.
    """

    def make(folder: Path) -> str:
        return (
            Workflow(folder, smoke.project).snakemake(*TWINS, "--config", "scale=smoke", "run=again", seed="1").stdout
        )

    folder, console = made_once("twin", make, tmp_path_factory)
    return Workflow(folder, smoke.project, console)


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
