"""The plan of a run: who makes what, what a job needs, and how it is written down and read back."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from reregister.errors import ReregisterError
from reregister.provenance import planned
from reregister.provenance.job import Job
from reregister.provenance.planned import PlannedJob, RunPlan, read_plan, snakemake_command, write_plan


def make(rule: str, inputs: tuple[str, ...], outputs: tuple[str, ...], **wildcards: str) -> PlannedJob:
    receipt = f"receipts/p/{rule}/{list(wildcards.values())[-1]}.json"
    return PlannedJob(rule, wildcards, {}, {name: name for name in inputs}, list(outputs), receipt)


DATA = make("prepare_dataset", ("archive",), ("images",), dataset="d")
MODEL = make("train_model", ("images",), ("weights",), paper="p", method="m")
OTHER = make("train_model", ("images",), ("others",), paper="p", method="o")
FIGURE = make("plot_figure", ("weights",), ("svg",), paper="p", exhibit="fig1")
PAGE = make("build_report", ("svg", FIGURE.receipt, OTHER.receipt), ("page",), paper="p")
PLAN = RunPlan(Path("results/demo"), (DATA, MODEL, OTHER, FIGURE, PAGE))


def test_what_an_exhibit_needs_leaves_out_what_it_does_not_read() -> None:
    assert PLAN.needed([FIGURE]) == [DATA, MODEL, FIGURE]
    assert PLAN.needed([OTHER, MODEL]) == [DATA, MODEL, OTHER]
    # Receipts are files that a page reads.
    assert PLAN.needed([PAGE]) == list(PLAN.jobs)


def test_what_is_made_from_a_job_leaves_out_the_job_and_its_siblings() -> None:
    assert PLAN.made_from([MODEL]) == [FIGURE, PAGE]
    assert PLAN.made_from([OTHER]) == [PAGE]
    assert PLAN.made_from([DATA]) == [MODEL, OTHER, FIGURE, PAGE]
    assert PLAN.made_from([PAGE]) == []


def test_jobs_are_called_by_rule_and_receipt() -> None:
    assert FIGURE.label == "plot_figure p fig1"
    assert (FIGURE.exhibit, MODEL.exhibit) == ("p/fig1", None)


def job_in(folder: str) -> Job:
    run = Path(folder)
    return Job(
        rule="train_model",
        script=Path("scripts/train_model.py"),
        run_folder=run,
        input=SimpleNamespace(images=run / "data" / "images.npy", start=[run / "b.npy", run / "a.npy"]),
        output=SimpleNamespace(
            weights=run / "m.safetensors", receipt=run / "receipts" / "p" / "train_model" / "m.json"
        ),
        params=SimpleNamespace(methods={"z": 1, "a": 2}, env={"file": "envs/torch.yaml"}),
        wildcards={"paper": "p"},
        threads=1,
        log=None,
    )


def test_a_plan_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    write_plan(tmp_path / "plan.json", [job_in("results/demo")])
    plan = read_plan(tmp_path / "plan.json")
    assert plan.run_folder == Path("results/demo")
    (job,) = plan.jobs
    assert job.inputs == {
        "data/images.npy": "results/demo/data/images.npy",
        "b.npy": "results/demo/b.npy",
        "a.npy": "results/demo/a.npy",
    }
    assert (job.outputs, job.receipt) == (["m.safetensors"], "receipts/p/train_model/m.json")
    # Figures show methods in the order of the params.
    assert list(job.params["methods"]) == ["z", "a"]


@pytest.mark.parametrize("folders", [[], ["results/a", "results/b"]])
def test_a_plan_is_of_one_run(folders: list[str], tmp_path: Path) -> None:
    write_plan(tmp_path / "plan.json", [job_in(folder) for folder in folders])
    with pytest.raises(ReregisterError, match="name papers or files of one run"):
        read_plan(tmp_path / "plan.json")


def test_words_and_targets_go_to_snakemake_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = snakemake_command(["dirnet"], ["scale=smoke", "only={a: [b]}"], "--cores", "1")
    assert command[2:4] == ["snakemake", "dirnet"]
    assert command[-5:] == ["--cores", "1", "--config", "scale=smoke", "only={a: [b]}"]
    assert "--config" not in snakemake_command([], [])
    # In its own checkout the command runs, in another it does not: that one's code is not what it would compare with.
    monkeypatch.chdir(planned.PROJECT)
    assert snakemake_command([], [])
    (tmp_path / "Snakefile").write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ReregisterError, match="not the one that this command belongs to"):
        snakemake_command([], [])


def test_a_library_without_its_checkout_cannot_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planned, "PROJECT", tmp_path)
    with pytest.raises(ReregisterError, match="install reregister from a checkout"):
        snakemake_command([], [])
