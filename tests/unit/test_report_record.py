"""What receipts say was done: findings, work, trainings, settings, environments and the commands that do it again."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from reregister.errors import ReregisterError
from reregister.provenance.files import canonical_json
from reregister.provenance.receipt import store
from reregister.report import environments, record

from .test_report import ENVIRONMENT, IDENTITY, fetched, paired, receipt, training


def test_findings_list_what_the_jobs_noticed() -> None:
    assert record.findings({"a": receipt("make_table"), "b": receipt("plot_figure", git=None)}) == []
    address = ["192.0.2.1:443"]
    noticed = {
        "a": receipt("make_table", undeclared_reads=["x.csv", "y.csv"], undeclared_writes=["z"]),
        "b": receipt("plot_figure", undeclared_code=["reregister/losses.py"], network=address),
        "c": {**fetched("mnist", "download"), "network": address},
        "d": {**fetched("mnist", "standin"), "network": address},
        "e": receipt("make_table", git={"commit": "c", "dirty": "f" * 64, "untracked": ["scripts/new.py"]}),
        "f": receipt("make_table", git={"commit": "c", "dirty": "f" * 64, "untracked": ["scripts/new.py"]}),
    }
    assert record.findings(noticed) == [
        "a: undeclared reads: x.csv, y.csv",
        "a: undeclared writes: z",
        "b: undeclared code: reregister/losses.py",
        "b: network: 192.0.2.1:443",
        "d: network: 192.0.2.1:443",
        "some jobs ran with uncommitted changes; the receipts keep the patch",
        "files of the project that no commit holds: scripts/new.py",
    ]


def test_a_warning_of_many_jobs_is_one_finding() -> None:
    jobs = {
        name: receipt(rule, run={"warnings": said})
        for name, rule, said in [
            ("a", "train_model", ["no GPU"]),
            ("b", "train_model", ["no GPU", "another"]),
            ("c", "register_pairs", ["no GPU"]),
            ("d", "make_table", []),
        ]
    }
    assert record.findings(jobs) == [
        "warning of train_model (1): another",
        "warning of register_pairs (1), train_model (2): no GPU",
    ]


def test_a_gpu_is_shown_by_its_name() -> None:
    gpu = {"name": "NVIDIA H200", "driver": "570.86.15", "memory_mib": 143771}
    jobs = {
        "a": receipt("train_model", run={"device": "cuda", "gpu": gpu, "precision": "bf16"}),
        "b": receipt("train_model", run={"gpu": None, "precision": "fp32"}),
    }
    (train,) = record.work_done(jobs)
    assert train["devices"] == "NVIDIA H200 (bf16), cpu (fp32)"


def test_work_and_trainings_are_summed_up() -> None:
    jobs = {
        "b": receipt("train_model", 7, run={"wall_s": 2.0, "device": "cuda", "threads": 2}),
        "a": receipt("make_table", 9, run={"peak_memory_mib": 7}),
        "c": receipt("train_model", 3, run={"peak_memory_mib": 300}),
    }
    train, table = record.work_done(jobs)
    assert (train["rule"], train["jobs"], train["wall"], train["longest"], train["memory"]) == (
        "train_model",
        2,
        3.5,
        2.0,
        300,
    )
    assert (train["threads"], train["devices"]) == ("1, 2", "cpu, cuda")
    assert (table["rule"], table["memory"]) == ("make_table", 7)
    runs = [training(part, seed) for part in ("0", "1") for seed in ("10", "9")]
    (found,) = record.trainings({str(number): made for number, made in enumerate(runs)})
    assert (found["networks"], found["seeds"], found["params"]["schedule"]) == (2, "9, 10", {"batch": 32})


def test_the_command_gives_the_same_data_again() -> None:
    made = {"a": fetched("mnist", "path"), "b": fetched("acdc", "download", accepted=True), "c": receipt("make_table")}
    assert record.command("dirnet", "real", "full", made) == (
        "snakemake --cores all dirnet --config run=real scale=full 'data={acdc: download, mnist: FOLDER}' "
        "'accept_terms=[acdc]'"
    )


def test_the_command_says_other_settings_again() -> None:
    made = {"a": fetched("mnist", "standin")}
    settings = {"seeds": [0, 1], "device": "cpu", "papers": {"dirnet": {"title": "It's"}}}
    text = record.command("dirnet", "x", "demo", made, settings)
    assert text.endswith(
        """'data={mnist: standin}' device=cpu 'papers={"dirnet": {"title": "It'\\''s"}}' 'seeds=[0, 1]'"""
    )


def test_the_command_asks_for_the_label_map_of_an_anatomy() -> None:
    plain = receipt("make_standin", call={"input": {"anatomy": []}})
    made = {"a": fetched("oasis", "standin"), "b": plain}
    assert "anatomy" not in record.command("dirnet", "x", "demo", made)
    made["b"] = receipt("make_standin", call={"input": {"anatomy": ["data/oasis/labels.nii.gz"]}})
    assert record.command("dirnet", "x", "demo", made).endswith("'data={oasis: standin}' anatomy=LABEL_MAP")


def test_settings_and_pairs_are_read_from_receipts() -> None:
    names = {"experiment": "mnist", "method": "affine"}
    settings = {"transform": "affine", "image_pyramid": [2, 1]}
    made = {
        "a": receipt("run_baseline", params={"tool": "elastix", "settings": settings}, wildcards=names),
        "b": paired("mnist"),
    }
    assert record.baselines(made) == [{"experiment": "mnist", "method": "affine", "settings": settings}]
    assert list(record.pairings(made)) == ["mnist"]
    assert record.pairings(made)["mnist"]["split"]["name"] == "last_of_train"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"name": "adam", "lr": 0.001, "betas": [0.9, 0.999]}, "adam, lr 0.001, betas (0.9, 0.999)"),
        ({"name": "dirnet", "params": {"init_last": "zero"}}, "dirnet, init last zero"),
        ({"a": None, "b": True, "c": False, "d": 1, "e": 0}, "a none, b yes, c no, d 1, e 0"),
        ("word", "word"),
    ],
)
def test_parameters_in_words(value: Any, words: str) -> None:
    assert record.in_words(value) == words


def test_span_reaches_from_the_first_start_to_the_last_end() -> None:
    late = receipt("make_table", 5, run={"end": "2026-01-02T03:04:05+00:00", "wall_s": 10.0})
    assert record.span({"a": late, "b": receipt("plot_figure", 1)}) == {
        "jobs": 2,
        "wall": 11.5,
        "start": "2026-01-01 00:00",
        "end": "2026-01-02 03:04",
    }


def kept(folder: Path, **changes: Any) -> str:
    return store(folder, "environment", canonical_json({**ENVIRONMENT, **changes}).encode(), ".json")


def test_environments_are_put_together_and_a_second_version_is_mixed(tmp_path: Path) -> None:
    cuda = {"version": "2.13", "threads": 1, "device": "H200", "cuda": "13.0", "cudnn": 9}
    packages = {"numpy": "2.1", "SimpleITK": "2.5"}
    other = kept(tmp_path, packages=packages, torch=cuda, packages_outside_prefix=["numpy"])
    assert kept(tmp_path) == IDENTITY
    found = environments.environments_of(
        tmp_path,
        {"a": receipt("train_model", environment=other), "b": receipt("run_itk"), "c": receipt("make_table")},
    )
    assert found["packages"] == [("numpy", ["2.0", "2.1"]), ("SimpleITK", ["2.5"]), ("torch", ["2.13"])]
    assert (found["mixed"], found["outside"]) == (["numpy"], ["numpy"])
    assert found["devices"] == ["H200, CUDA 13.0, cuDNN 9", "cpu"]
    assert {e["id"]: e["rules"] for e in found["each"]} == {other: ["train_model"], IDENTITY: ["make_table", "run_itk"]}
    alone = environments.environments_of(tmp_path, {"b": receipt("run_itk")})
    assert (alone["mixed"], alone["outside"]) == ([], [])


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_bytes(path.read_bytes() + b" ")])
def test_an_altered_environment_is_refused(tmp_path: Path, change: Any) -> None:
    identity = kept(tmp_path)
    assert environments.read_environment(tmp_path, identity) == ENVIRONMENT
    change(tmp_path / "receipts" / "store" / "environment" / f"{identity}.json")
    with pytest.raises(ReregisterError, match=f"{identity}.json is missing or altered"):
        environments.read_environment(tmp_path, identity)


def test_the_identity_is_the_hash_of_the_record() -> None:
    assert hashlib.sha256(canonical_json(ENVIRONMENT).encode()).hexdigest() == IDENTITY
