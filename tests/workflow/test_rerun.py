"""What runs again after a change, and what does not."""

import os
from pathlib import Path

from .conftest import Workflow

SMOKE = ("papers", "--config", "scale=smoke")


def test_touching_every_file_and_changing_a_comment_reruns_nothing(finished: Workflow) -> None:
    module = finished.project / "scripts" / "reregister" / "transforms" / "bspline.py"
    text = module.read_text(encoding="utf-8")
    module.write_text(
        "# A comment that was not there before.\n" + text.replace("def basis(", "def  basis("), encoding="utf-8"
    )
    for path in finished.project.rglob("*"):
        # Templates are read into the pages: touched, they stay the same by checksum.
        os.utime(path)
    assert "Nothing to be done" in finished.snakemake("-n", *SMOKE).stdout


def test_one_constant_in_the_bspline_reruns_exactly_its_users(finished: Workflow) -> None:
    module = finished.project / "scripts" / "reregister" / "transforms" / "bspline.py"
    text = module.read_text(encoding="utf-8")
    assert "2 / 3" in text
    module.write_text(text.replace("2 / 3", "2 / 3.001", 1), encoding="utf-8")
    planned = finished.planned(*SMOKE)
    # The networks and what is made from their fields; not the data, the baselines or their metrics.
    assert planned == {
        "train_model": 26,
        "export_dirnet_mnist": 1,
        "export_dirnet_scd": 1,
        "register_pairs": 11,
        "evaluate_registration": 11,
        "compare_methods": 3,
        "plot_figure": 9,
        "plot_gallery": 4,
        "make_table": 7,
        "weigh_claims": 1,
        "run_notebook": 1,
        "build_report": 1,
        "build_index": 1,
        "write_checksums": 1,
        "papers": 1,
    }


def test_a_caption_reruns_only_the_page(finished: Workflow) -> None:
    config = finished.project / "config" / "papers" / "dirnet.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(
        text.replace("caption: NCC before and after", "caption: The NCC before and after"), encoding="utf-8"
    )
    assert finished.planned(*SMOKE) == {"build_report": 1, "build_index": 1, "write_checksums": 1, "papers": 1}


def test_an_edit_of_the_audit_reruns_its_copy_and_the_pages(finished: Workflow) -> None:
    module = finished.project / "scripts" / "reregister" / "provenance" / "audit.py"
    # Even of a comment: the copy must be the file that the project has.
    module.write_text(module.read_text(encoding="utf-8") + "# The end.\n", encoding="utf-8")
    papers = len(list((finished.project / "config" / "papers").glob("*.yaml")))
    pages = {"build_report": papers, "build_index": 1, "write_checksums": 1, "papers": 1}
    assert finished.planned(*SMOKE) == {"write_audit": 1, **pages}


def test_one_hyperparameter_reruns_its_networks(finished: Workflow) -> None:
    config = finished.project / "config" / "papers" / "dirnet.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("lr: 0.001,", "lr: 0.002,"), encoding="utf-8")
    planned = finished.planned(*SMOKE)
    assert planned["train_model"] == 26
    assert "run_baseline" not in planned
    assert "pair_images" not in planned


def test_one_paper_alone_plans_no_other_papers_job(finished: Workflow) -> None:
    text = finished.snakemake("-n", "--forceall", "dirnet", "--config", "scale=smoke").stdout
    outputs = [line.split("output:")[1] for line in text.splitlines() if line.strip().startswith("output:")]
    assert outputs
    for output in outputs:
        for path in output.split(","):
            name = Path(path.strip()).relative_to("results/smoke").parts
            # The audit belongs to the run, whatever papers it has.
            if name in (("audit.py",), ("receipts", "write_audit.json")):
                continue
            assert name[0] in ("dirnet", "data") or "dirnet" in name[1] or name[1] in ("dirnet", "data"), path
