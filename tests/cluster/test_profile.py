"""Two papers through `snakemake --profile slurm`: where their jobs ran, with what, and what they saw of the GPUs.

That the run has the bytes of the local one is tested with all its files in tests/workflow/test_smoke.py.
"""

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Workflow
from ..slurm_node import SlurmNode

ON_GPU = {"train_model", "run_prior", "register_pairs"}
ON_LOGIN_NODE = {
    *("fetch_dataset", "compress_model", "compare_methods", "weigh_claims", "plot_figure", "plot_gallery"),
    *("make_table", "run_notebook", "write_audit", "build_report"),
}
WARNING = "Slurm gave this job a GPU"


@pytest.fixture(scope="module")
def run(node: SlurmNode, twin: Workflow) -> Path:
    return twin.folder / "results" / "again"


@pytest.fixture(scope="module")
def receipts(run: Path) -> list[dict[str, Any]]:
    files = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((run / "receipts").rglob("*.json"))]
    return [content for content in files if "recipe" in content]


@pytest.fixture(scope="module")
def submitted(node: SlurmNode, receipts: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """What Slurm says of each of its jobs that made something of the run, by its number."""
    numbers = {receipt["run"]["slurm"]["job"] for receipt in receipts if receipt["run"]["slurm"]}
    return {number: job for number, job in node.jobs().items() if number in numbers}


def rule_of(receipt: dict[str, Any]) -> str:
    """The script of a rule: those of datasets and of networks in whole numbers have names of their own."""
    return Path(receipt["call"]["script"]).stem


def test_downloads_figures_tables_and_report_are_made_on_the_login_node(receipts: list[dict[str, Any]]) -> None:
    here = {rule_of(receipt) for receipt in receipts if receipt["run"]["slurm"] is None}
    there = {rule_of(receipt) for receipt in receipts if receipt["run"]["slurm"]}
    assert here == ON_LOGIN_NODE
    assert there >= {*ON_GPU, "make_standin", "prepare_dataset", "pair_images", "run_baseline"}
    assert not here & there


def test_each_job_lands_on_its_partition_with_what_its_rule_asks_for(
    receipts: list[dict[str, Any]], submitted: dict[str, dict[str, str]]
) -> None:
    for receipt in receipts:
        if slurm := receipt["run"]["slurm"]:
            job, gpu = submitted[slurm["job"]], rule_of(receipt) in ON_GPU
            assert job["JobState"] == "COMPLETED"
            assert job["Partition"] == ("gpu" if gpu else "cpu"), job
            assert job.get("TresPerJob") == ("gres:gpu:1" if gpu else None), job
    # The numbers of config/papers at this scale.
    found = {
        (job["Comment"].partition("_wildcards")[0], job["MinMemoryNode"], job["TimeLimit"])
        for job in submitted.values()
    }
    assert ("rule_run_prior", "1200M", "00:30:00") in found
    assert ("rule_train_model", "2000M", "00:30:00") in found
    assert ("rule_make_standin_ibsr", "2000M", "12:00:00") in found


def test_short_jobs_share_submissions_and_ask_for_no_more_than_one_needs(
    receipts: list[dict[str, Any]], submitted: dict[str, dict[str, str]]
) -> None:
    members = Counter(receipt["run"]["slurm"]["job"] for receipt in receipts if receipt["run"]["slurm"])
    sharing = {rule_of(r) for r in receipts if r["run"]["slurm"] and members[r["run"]["slurm"]["job"]] > 1}
    assert sharing == {"prepare_dataset", "pair_images", "register_pairs", "evaluate_registration"}
    assert {job["NumCPUs"] for job in submitted.values()} == {"1"}
    # One member of the group needs 2500 MB, and each may take an hour.
    (together,) = [job for job in submitted.values() if job["Comment"] == "rule_register_register_pairs"]
    assert (members[together["JobId"]], together["MinMemoryNode"], together["TimeLimit"]) == (2, "2500M", "02:00:00")


def test_each_job_with_a_gpu_sees_one_of_its_own_and_the_others_none(
    receipts: list[dict[str, Any]], submitted: dict[str, dict[str, str]]
) -> None:
    seen: dict[str, str] = {}
    for receipt in receipts:
        if slurm := receipt["run"]["slurm"]:
            assert (slurm["devices"] in ("0", "1")) == (rule_of(receipt) in ON_GPU), receipt["run"]
            if slurm["devices"]:
                seen[slurm["job"]] = slurm["devices"]
    assert set(seen.values()) == {"0", "1"}
    for first, second in combinations(seen, 2):
        a, b = submitted[first], submitted[second]
        if a["StartTime"] < b["EndTime"] and b["StartTime"] < a["EndTime"]:
            assert seen[first] != seen[second], (a, b)


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="there is a GPU here")
def test_gpu_that_torch_cannot_see_is_a_warning_in_log_receipt_and_page(
    run: Path, receipts: list[dict[str, Any]]
) -> None:
    for receipt in receipts:
        warned = [text for text in receipt["run"]["warnings"] if text.startswith(WARNING)]
        assert len(warned) == (rule_of(receipt) in ON_GPU), receipt["call"]["log"]
        assert warned == [] or f"warning: {warned[0]}" in (run / receipt["call"]["log"]).read_text(encoding="utf-8")
        assert receipt["run"]["device"] == "cpu"
    for paper, words in (("deep_prior", "run_prior (2)"), ("label_driven", "train_model (1)")):
        page = (run / "report" / f"{paper}.html").read_text(encoding="utf-8")
        assert re.search(rf"warning of [^:]*{re.escape(words)}[^:]*: {WARNING}", page), paper
