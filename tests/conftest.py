"""What all tests share: one smoke run, a second of two papers, the place of real samples, and what must not be skipped."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from reregister.config import read_yaml

from .slurm_node import SlurmNode, why_not
from .slurm_run import SlurmRun

SAMPLES, CLUSTER = "REREGISTER_SAMPLE_DATA", "REREGISTER_CLUSTER"
# A folder for runs that several processes of pytest look at, side by side: `make test` gives one.
SHARED_RUNS = "REREGISTER_SHARED_RUNS"
# What is run twice: each kind of tool, volumes and slices, training and compression.
TWICE = {
    "deep_prior": {"adjacent_slices": ["identity", "itk", "deep_prior", "deep_prior_fixed_z"]},
    "label_driven": {"ibsr": ["identity", "elastix_bspline", "ants_syn", "trained", "pruned"]},
}
PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Workflow:
    """A folder to run the workflow in, the project whose Snakefile is run, and what its first run said."""

    folder: Path
    project: Path = PROJECT
    console: str = ""

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

    def reregister(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the project's own command in the folder; output and errors apart, whatever the status."""
        environment = {**os.environ, "PYTHONPATH": str(self.project / "scripts")}
        command = [sys.executable, "-m", "reregister.cli", *arguments]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)


def copy_project(target: Path) -> Path:
    """A copy of the project's own files that a test may edit, times kept."""
    keep = ("Snakefile", "config", "workflow", "envs", "scripts", "profiles", "slurm")
    target.mkdir()
    for name in keep:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy2(source, target / name)
    return target


def made_once(name: str, make: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a run and what its console said, made by the first process that asks for it while the others wait.

    make: runs the workflow in the folder and returns the console. A run that failed is not made again.
    """
    if SHARED_RUNS not in os.environ:
        folder = tmp_path_factory.mktemp(name)
        return folder, make(folder)
    folder = Path(os.environ[SHARED_RUNS], name)
    console = folder.with_suffix(".console")
    with open(folder.with_suffix(".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            folder.mkdir()
            console.write_text(make(folder), encoding="utf-8")
    if not console.exists():
        pytest.fail(f"the {name} run failed in another process of these tests; its output is there")
    return folder, console.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A finished smoke run of all papers, made from a copy of the project; look at it, do not change it."""

    def make(folder: Path) -> str:
        done = Workflow(folder, copy_project(folder / "project")).snakemake("papers", "--config", "scale=smoke")
        return done.stdout

    folder, console = made_once("smoke", make, tmp_path_factory)
    return Workflow(folder, folder / "project", console)


# Of the protocol what two tools and a network need, flat and in three dimensions, with and without a start.
SIDE_BY_SIDE = {"mnist": ["identity", "dirnet_bl"], "ibsr": ["identity", "affine", "elastix_bspline"]}


@pytest.fixture(scope="session")
def protocol(smoke: Workflow, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A copy of the finished smoke run that went on to `all`, with a part of the common protocol; look at it only."""

    def make(folder: Path) -> str:
        shutil.copytree(smoke.folder, folder, copy_function=shutil.copy2, dirs_exist_ok=True)
        _narrow(folder / "project" / "config" / "protocols" / "common_protocol.yaml")
        return Workflow(folder, folder / "project").snakemake("all", "--config", "scale=smoke").stdout

    folder, console = made_once("protocol", make, tmp_path_factory)
    return Workflow(folder, folder / "project", console)


def _narrow(path: Path) -> None:
    """Leave of the protocol's config `SIDE_BY_SIDE` and the exhibits that still have something to show."""
    config = read_yaml(path)
    config["experiments"] = {name: config["experiments"][name] for name in SIDE_BY_SIDE}
    for name, methods in SIDE_BY_SIDE.items():
        setup = config["experiments"][name]
        setup["methods"] = {method: setup["methods"][method] for method in methods}
    exhibits = {key: about for key, about in config["exhibits"].items() if about["experiment"] in SIDE_BY_SIDE}
    for key, about in list(exhibits.items()):
        if "methods" in about:
            about["methods"] = [method for method in about["methods"] if method in SIDE_BY_SIDE[about["experiment"]]]
            if not about["methods"]:
                del exhibits[key]
    config |= {"exhibits": exhibits, "explorer": [key for key in config["explorer"] if key in exhibits]}
    path.write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), encoding="utf-8")


@pytest.fixture(scope="session")
def slurm() -> Iterator[SlurmNode | None]:
    """A Slurm on this machine; None where it cannot be started, which REREGISTER_CLUSTER=required makes a failure."""
    reason = why_not()
    if reason and os.environ.get(CLUSTER) == "required":
        pytest.fail(f"{CLUSTER} is required, but: {reason}")
    if reason:
        yield None
        return
    with SlurmNode() as node:
        yield node
    # With it there and no controller, every later start of Snakemake on this machine would wait for ten seconds.
    assert not Path("/etc/slurm/slurm.conf").is_symlink()


@pytest.fixture(scope="session")
def twin(smoke: Workflow, slurm: SlurmNode | None, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """Parts of two papers from nothing, in another folder, under another name and with another hash seed.

    Where there is a Slurm they are run on it, from the root of their copy of the project.
    """
    wanted = (*TWICE, "--config", "scale=smoke", "run=again", f"only={json.dumps(TWICE)}")

    def make(folder: Path) -> str:
        if slurm is None:
            return Workflow(folder, smoke.project).snakemake(*wanted, seed="1").stdout
        project = folder / "project"
        shutil.copytree(smoke.project, project)
        # Fewer submissions than by default: each costs two starts of Snakemake, and the machine has two cores.
        run = SlurmRun(slurm, project, *wanted, seed="1", REREGISTER_SLURM_GROUP="24")
        if status := run.wait(2400):
            run.give_up(f"ended with {status}")
        return run.console

    folder, console = made_once("twin", make, tmp_path_factory)
    return (
        Workflow(folder, smoke.project, console)
        if slurm is None
        else Workflow(folder / "project", folder / "project", console)
    )


@pytest.fixture(scope="session")
def samples() -> Path:
    """Folder of real sample data; the test is skipped where the environment does not name one."""
    if SAMPLES not in os.environ:
        pytest.skip(f"{SAMPLES} is not set")
    return Path(os.environ[SAMPLES])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """Where samples are given, a test that is skipped for want of them says that they are incomplete."""
    report = yield
    if report.skipped and SAMPLES in os.environ and SAMPLES in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"{SAMPLES} is set, but: {report.longrepr}"
    return report
