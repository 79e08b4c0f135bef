"""Runs of the workflow that several tests look at, each made once."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ..conftest import PROJECT, Workflow, copy_project

__all__ = ["PROJECT", "Workflow", "copy_project"]


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
