"""What the workflow refuses before any job, and what a job leaves behind when it fails."""

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import PROJECT, Workflow

Fresh = Callable[[], Workflow]
_EVERY_SLICE = "papers={dirnet: {experiments: {scd: {pairs: {test: {per_cluster: null}}}}}}"


def refused(workflow: Workflow, *arguments: str) -> str:
    """The output of a call that must fail before any job."""
    done = workflow.snakemake(*arguments, check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    assert not (workflow.folder / "results").exists() or not list((workflow.folder / "results").rglob("*.csv"))
    return done.stdout


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("scael=smoke", ["--config", "scael", "not known", "allowed", "scale"]),
        ("scale=tiny", ["--config", "scale", "tiny", "smoke, demo, full"]),
        ("seeds=3", ["--config", "seeds", "3", "a list of integers"]),
        ("device=gpu", ["--config", "device", "gpu", "auto, cpu, cuda"]),
        ("publishable=perhaps", ["--config", "publishable", "perhaps", "boolean"]),
        ("data={mnits: standin}", ["data", "mnits", "mnist"]),
        ("data={mnist: nowhere}", ["data.mnist", "nowhere", "does not exist"]),
        ("only={dirnet: {scd: [dirnet_d9]}}", ["--config", "only.dirnet.scd", "dirnet_d9", "dirnet_c1"]),
        ("data={scd: .}", ["data.scd", "SCD_IMAGES_01.zip"]),
        ("anatomy=nowhere.nii.gz", ["--config", "anatomy", "nowhere.nii.gz", "does not exist", "label map"]),
        ("papers={dirnet: {experiments: {mnist: {training: {batch: 0}}}}}", ["training.batch", "0", "at least 1"]),
    ],
)
def test_wrong_config_is_named_before_any_job(fresh: Fresh, setting: str, words: list[str]) -> None:
    text = refused(fresh(), "-n", "--config", setting)
    for word in words:
        assert word in text


def test_folder_of_another_scale_is_refused(smoke: Workflow) -> None:
    done = smoke.snakemake("-n", "--config", "scale=demo", "run=smoke", check=False)
    assert done.returncode != 0
    assert "made with scale smoke, not demo" in done.stdout


def test_folder_of_other_data_is_refused(smoke: Workflow) -> None:
    done = smoke.snakemake("-n", "--config", "scale=smoke", "data=download", check=False)
    assert done.returncode != 0
    assert "data.mnist standin, not download" in done.stdout


def test_dry_run_from_another_folder(fresh: Fresh) -> None:
    planned = fresh().planned("papers", "--config", "scale=smoke")
    assert planned["train_model"] == 45
    assert planned["make_standin_mnist"] == 1


@pytest.fixture
def archives(smoke: Workflow, tmp_path: Path) -> Path:
    """The stand-in's four files, to be damaged and given by path."""
    folder = tmp_path / "archives"
    shutil.copytree(smoke.folder / "results" / "smoke" / "data" / "mnist" / "standin", folder)
    return folder


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def _html(path: Path) -> None:
    path.write_text("<!DOCTYPE html><html><body>Please log in</body></html>", encoding="utf-8")


def _other(path: Path) -> None:
    path.write_bytes(gzip.compress(b"not the file that the checksum was taken of"))


@pytest.mark.parametrize(("damage", "words"), [(_truncated, ["bytes"]), (_html, ["HTML"]), (_other, ["bytes"])])
def test_wrong_archive_stops_at_the_first_rule(
    fresh: Fresh, archives: Path, damage: Callable[[Path], None], words: list[str]
) -> None:
    damage(archives / "train-images-idx3-ubyte.gz")
    workflow = fresh()
    config = ("scale=smoke", f"data={{mnist: {archives}}}", "only={dirnet: {mnist: []}}")
    done = workflow.snakemake("dirnet", "--config", *config, check=False)
    assert done.returncode != 0
    for word in ["train-images-idx3-ubyte.gz", *words]:
        assert word in done.stdout
    results = workflow.folder / "results" / "smoke"
    assert not list(results.rglob("source.csv"))
    # The copy of the audit rests on no data.
    receipts = {path.name for path in (results / "receipts").rglob("*.json") if "store" not in path.parts}
    assert receipts <= {"write_audit.json"}
    assert "rule prepare_dataset" not in done.stdout


def test_real_archive_by_path_is_original_verified(fresh: Fresh, samples: Path) -> None:
    workflow = fresh()
    target = "results/smoke/data/mnist/subjects.csv"
    workflow.snakemake(target, "--config", "scale=smoke", f"data={{mnist: {samples / 'mnist'}}}")
    source = (workflow.folder / "results/smoke/data/mnist/source.csv").read_text(encoding="utf-8")
    assert source.count("original-verified") == 4
    assert len((workflow.folder / target).read_text(encoding="utf-8").splitlines()) == 70_001


def test_a_part_of_the_real_cases_is_taken_unpacked(fresh: Fresh, samples: Path) -> None:
    workflow = fresh()
    split = "split={scd: {train: [SC-HF-I-1], test: [SC-HF-I-5, SC-HF-I-2]}}"
    pairs = "results/smoke/dirnet/pairs/scd.csv"
    only = "only={dirnet: {scd: [dirnet_c1]}}"
    workflow.snakemake(pairs, "--config", "scale=smoke", f"data={{scd: {samples / 'scd'}}}", split, only, _EVERY_SLICE)
    source = (workflow.folder / "results/smoke/data/scd/source.csv").read_text(encoding="utf-8").splitlines()
    assert all(line.endswith("subset 3/45") for line in source[1:])
    log = (workflow.folder / "results/smoke/dirnet/logs/pair_images/scd.log").read_text(encoding="utf-8")
    assert "training: 4560 ordered pairs of 240 images in 12 groups" in log
    rows = (workflow.folder / pairs).read_text(encoding="utf-8").splitlines()[1:]
    assert len(rows) == 36
    assert {row.split(",")[5] for row in rows} == {"SC-HF-I-2", "SC-HF-I-5"}


def test_a_part_of_a_paper_plans_nothing_else(fresh: Fresh) -> None:
    only = "only={dirnet: {scd: [elastix_bspline, dirnet_c1], scd_cycle: []}}"
    planned = fresh().planned("dirnet", "--config", "scale=smoke", "seeds=[0]", only)
    assert planned["train_model"] == 1
    assert planned["run_baseline"] == 3
    assert "make_standin_mnist" not in planned


def test_profile_holds_only_keys_that_cannot_override_another(fresh: Fresh) -> None:
    import yaml

    keys = set(yaml.safe_load((PROJECT / "profiles" / "default" / "config.yaml").read_text(encoding="utf-8")))
    assert keys <= {
        "cores",
        "scheduler",
        "max-jobs-per-timespan",
        "rerun-triggers",
        "rerun-incomplete",
        "show-failed-logs",
        "max-checksum-file-size",
    }
