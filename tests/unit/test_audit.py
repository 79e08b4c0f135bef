"""The audit of a small run: what is clean stays clean, and what is planted is named with what rests on it."""

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reregister.provenance import audit, files, receipt
from reregister.provenance.audit import Audit, Finding, NoRun, read_record

from .small_run import SmallRun, make_run

SHOWN = ("fig1_loss of alpha", "fig2_net of alpha", "figS1_affine of alpha", "table1_all of alpha")
TIMES = "tableS1_times of alpha"
ALPHA = (*SHOWN, TIMES)
NET = ("fig1_loss of alpha", "fig2_net of alpha", "table1_all of alpha", TIMES)
BETA = ("table1_all of beta",)
Break = Callable[[SmallRun], Any]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    return make_run(tmp_path_factory.mktemp("whole") / "demo")


@pytest.fixture
def run(whole: SmallRun, tmp_path: Path) -> SmallRun:
    """A whole run of its own for each test, to be broken."""
    copy = SmallRun(shutil.copytree(whole.folder, tmp_path / "demo"))
    copy.jobs = whole.jobs
    return copy


def audited(run: SmallRun) -> Audit:
    return audit.audit(run.folder)


def serious(found: Audit) -> list[Finding]:
    return [finding for finding in found.findings if finding.counts]


def kinds(found: Audit) -> set[tuple[str, str]]:
    return {(finding.kind, finding.file) for finding in found.findings}


def not_verified(found: Audit) -> dict[str, str]:
    return {label: word for label, word in found.words.items() if word != "verified"}


def flip(run: SmallRun, name: str) -> None:
    """Change one byte of a file and keep its times."""
    path = run.folder / name
    times, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def remove(run: SmallRun, name: str) -> None:
    (run.folder / name).unlink()


def rerun(run: SmallRun, place: str, changes: dict[str, Any], **parts: Any) -> None:
    """Run one job again, after all others; its outputs are new unless `changes` keeps their texts."""
    old = run.read(place)
    run.changes = {place: changes}
    call, recipe = old["call"], old["recipe"]
    outputs = {key: value for key, value in call["output"].items() if key != "receipt"}
    env = Path(call["params"]["env"]["file"]).stem
    run.job(recipe["rule"], place, call["input"], outputs, recipe["wildcards"], env, **parts)


# Clean runs


def test_a_whole_run_is_clean(run: SmallRun) -> None:
    found = audited(run)
    assert (found.findings, found.status) == ((), 0)
    assert set(found.words) == {*ALPHA, *BETA}
    assert set(found.words.values()) == {"verified"}
    assert found.receipts == len(list((run.folder / "receipts").rglob("*.json"))) - len(
        [*(run.folder / "receipts" / "store").rglob("*.json"), *(run.folder / "receipts").rglob("manifest.json")]
    ) - len([*(run.folder / "receipts").rglob("summary.json"), run.folder / "receipts" / "root.json"])
    assert found.root == json.loads((run.folder / "receipts" / "root.json").read_text())["root"]


def test_one_paper_without_an_index_is_clean(tmp_path: Path) -> None:
    run = SmallRun(tmp_path / "demo")
    run.beta()
    assert audited(run).findings == ()
    run.write_audit()
    run.page("beta", "heads")
    found = audited(run)
    assert (found.findings, found.words) == ((), {BETA[0]: "verified"})
    assert found.root == json.loads((run.folder / "receipts" / "beta" / "manifest.json").read_text())["root"]
    flip(run, "beta/fields/f/syn.npy")
    assert not_verified(audited(run)) == {BETA[0]: "altered"}


def test_a_paper_that_is_not_finished_is_clean_beside_one_that_is(tmp_path: Path) -> None:
    run = SmallRun(tmp_path / "demo")
    run.alpha()
    run.write_audit()
    run.page("alpha", "digits")
    run.prepare("heads", "data/heads/heads.zip", None)
    for name in ("beta/fields/f/syn.npy", "data/other/images.npy", "beta/logs/run_baseline.log"):
        files.write_text(run.folder / name, "half")
    found = audited(run)
    assert (found.status, not_verified(found)) == (0, {})
    assert kinds(found) == {("unfinished", "beta"), ("unfinished", "data/other")}
    # A file that something was made from is no left-over, and a finished paper has none.
    run.beta_jobs()
    remove(run, "receipts/beta/run_baseline/f/syn.json")
    assert ("record-missing", "beta/fields/f/syn.npy") in kinds(audited(run))
    files.write_text(run.folder / "alpha/fields/e/extra.npy", "half")
    assert ("record-missing", "alpha/fields/e/extra.npy") in kinds(audited(run))


def test_nothing_is_written(run: SmallRun) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    audited(run)
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == before


# Planted errors: what is broken, and the findings and exhibits that it must give


def edit(place: str, *keys: str, value: Any) -> Break:
    def change(content: dict[str, Any]) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return lambda run: run.edit(place, change)


def edit_and_hide(run: SmallRun) -> None:
    """Change a hyper-parameter, and make the recipe_id fit."""

    def change(content: dict[str, Any]) -> None:
        content["recipe"]["params"]["lr"] = 9
        content["recipe_id"] = receipt.recipe_id(content["recipe"])

    run.edit("alpha/train_model/e/net_all_seed0", change)


def forge(run: SmallRun) -> None:
    """Change a field, and the hash of it in its receipt."""
    flip(run, "alpha/fields/e/affine.npy")
    name = "alpha/fields/e/affine.npy"
    run.edit("alpha/run_baseline/e/affine", lambda r: r["outputs"][name].update(sha256=run.sha256(name)))


TRAINING = "alpha/train_model/e/net_all_seed0"
PLANTED: dict[str, tuple[Break, dict[tuple[str, str, str], tuple[str, ...]], str]] = {
    "one byte of an intermediate": (
        lambda run: flip(run, "alpha/fields/e/affine.npy"),
        {("changed", "alpha/fields/e/affine.npy", "run_baseline"): ("figS1_affine of alpha", "table1_all of alpha")},
        "altered",
    ),
    "one byte of a figure": (
        lambda run: flip(run, "alpha/figures/fig1_loss.png"),
        {("changed", "alpha/figures/fig1_loss.png", "plot_figure"): ("fig1_loss of alpha",)},
        "altered",
    ),
    "one byte of a stand-in archive": (
        lambda run: flip(run, "data/digits/standin/digits.gz"),
        {("changed", "data/digits/standin/digits.gz", "make_standin"): ALPHA},
        "altered",
    ),
    "one byte of the archive's table": (
        lambda run: flip(run, "data/heads/source.csv"),
        {("changed", "data/heads/source.csv", "fetch_dataset"): BETA},
        "altered",
    ),
    "one byte of a page": (
        lambda run: flip(run, "report/beta.html"),
        {("changed", "report/beta.html", "build_report"): ()},
        "",
    ),
    "one byte of the checksums": (
        lambda run: flip(run, "SHA256SUMS"),
        {("changed", "SHA256SUMS", "write_checksums"): ()},
        "",
    ),
    "one byte of the audit": (
        lambda run: flip(run, "audit.py"),
        {("changed", "audit.py", "write_audit"): ()},
        "",
    ),
    "a file gone": (
        lambda run: remove(run, "alpha/models/e/net/all_seed0.history.csv"),
        {("missing", "alpha/models/e/net/all_seed0.history.csv", "train_model"): ("fig1_loss of alpha",)},
        "unverifiable",
    ),
    "a receipt gone": (
        lambda run: remove(run, f"receipts/{TRAINING}.json"),
        {
            ("record-missing", f"receipts/{TRAINING}.json", "train_model"): NET,
            ("record-missing", "alpha/models/e/net/all_seed0.safetensors", "register_pairs"): NET[1:],
            ("record-missing", "alpha/models/e/net/all_seed0.history.csv", "plot_figure"): NET[:1],
        },
        "unverifiable",
    ),
    "a file and its receipt gone": (
        lambda run: (remove(run, "data/heads/images.npy"), remove(run, "receipts/data/prepare_dataset/heads.json")),
        {
            ("record-missing", "receipts/data/prepare_dataset/heads.json", "prepare_dataset"): BETA,
            ("record-missing", "data/heads/images.npy", "run_baseline"): BETA,
        },
        "unverifiable",
    ),
    "the receipt of a figure gone": (
        lambda run: remove(run, "receipts/alpha/plot_gallery/figS1_affine.json"),
        {
            ("record-missing", "receipts/alpha/plot_gallery/figS1_affine.json", "plot_gallery"): (
                "figS1_affine of alpha",
            )
        }
        | {
            ("record-missing", f"alpha/figures/figS1_affine.{kind}", ""): ("figS1_affine of alpha",)
            for kind in ("csv", "png", "svg")
        },
        "unverifiable",
    ),
    "a picture made by hand": (
        lambda run: files.write_text(run.folder / "alpha/figures/fig9_mine.png", "drawn"),
        {("record-missing", "alpha/figures/fig9_mine.png", ""): ("fig9_mine of alpha",)},
        "unverifiable",
    ),
    "a picture made by hand beside a figure": (
        lambda run: files.write_text(run.folder / "alpha/figures/fig1_loss.jpg", "drawn"),
        {("record-missing", "alpha/figures/fig1_loss.jpg", ""): ()},
        "",
    ),
    "a file in a folder of its own": (
        lambda run: files.write_text(run.folder / "notes/remarks.txt", "x"),
        {("record-missing", "notes/remarks.txt", ""): ()},
        "",
    ),
    "a param in a receipt": (
        edit(TRAINING, "recipe", "params", "seed", value=7),
        {("record-changed", f"receipts/{TRAINING}.json", "train_model"): NET},
        "altered",
    ),
    "a param in a receipt, its recipe_id made to fit": (
        edit_and_hide,
        {("record-changed", f"receipts/{TRAINING}.json", "train_model"): NET},
        "altered",
    ),
    "what a receipt says beside its recipe": (
        edit("alpha/plot_figure/fig2_net", "run", "wall_s", value=1.0),
        {("record-changed", "receipts/alpha/plot_figure/fig2_net.json", "plot_figure"): ("fig2_net of alpha",)},
        "altered",
    ),
    "a file and its hash in the receipt": (
        forge,
        {
            ("record-changed", "receipts/alpha/run_baseline/e/affine.json", "run_baseline"): (
                "figS1_affine of alpha",
                "table1_all of alpha",
                TIMES,
            )
        },
        "altered",
    ),
    "a receipt that is no JSON": (
        lambda run: files.write_text(run.path("alpha/plot_figure/fig1_loss"), "{"),
        {("record-changed", "receipts/alpha/plot_figure/fig1_loss.json", "plot_figure"): ("fig1_loss of alpha",)}
        | {
            ("record-missing", f"alpha/figures/fig1_loss.{kind}", ""): ("fig1_loss of alpha",)
            for kind in ("csv", "png", "svg")
        },
        "altered",
    ),
    "a manifest": (
        lambda run: files.write_json(
            run.folder / "receipts/beta/manifest.json",
            {"receipts": {}, "root": files.sha256_json({})},
        ),
        {
            ("record-changed", "receipts/beta/manifest.json", "manifest"): (),
        },
        "",
    ),
    "the run's root": (
        lambda run: flip(run, "receipts/root.json"),
        {("record-changed", "receipts/root.json", "root"): ()},
        "",
    ),
    "the record of an environment": (
        lambda run: flip(run, f"receipts/store/environment/{run.read('beta/run_baseline/f/syn')['environment']}.json"),
        {("record-changed", "receipts/store/environment/*", ""): (*SHOWN, *BETA, TIMES)},
        "altered",
    ),
    "a snapshot of code": (
        lambda run: remove(run, f"receipts/store/code/{run.read(TRAINING)['code']['scripts/train_model.py']}.py"),
        {("record-missing", "receipts/store/code/*", "train_model"): NET},
        "unverifiable",
    ),
}


@pytest.mark.parametrize("case", PLANTED)
def test_what_is_planted_is_named_with_exactly_what_rests_on_it(case: str, run: SmallRun) -> None:
    assert audited(run).status == 0
    plant, expected, word = PLANTED[case]
    plant(run)
    found = audited(run)
    told = {}
    for finding in serious(found):
        stored = finding.file.startswith("receipts/store/")
        file = f"{finding.file.rpartition('/')[0]}/*" if stored else finding.file
        told[finding.kind, file, finding.rule] = finding.exhibits
    assert told == expected
    named = {label for labels in expected.values() for label in labels}
    assert not_verified(found) == dict.fromkeys(named, word)
    assert found.status == 1


@pytest.mark.parametrize("value", [None, "x", 3, [], {}, [{}], {"x": None}, "\ud800", float("nan")], ids=repr)
def test_a_damaged_receipt_is_named_whatever_the_damage(value: Any, run: SmallRun) -> None:
    place = "data/prepare_dataset/heads"
    content = run.read(place)
    parts = [(key,) for key in content] + [(p, k) for p in ("recipe", "run", "call", "git") for k in content[p]]
    parts += [("outputs", "data/heads/images.npy"), ("outputs", "data/heads/images.npy", "sha256")]
    for keys in parts:
        damaged = json.loads(json.dumps(content))
        inner = damaged
        for key in keys[:-1]:
            inner = inner[key]
        if inner[keys[-1]] == value:
            continue
        inner[keys[-1]] = value
        run.path(place).write_text(json.dumps(damaged))
        found = audited(run)
        assert ("record-changed", f"receipts/{place}.json") in kinds(found), keys
        assert (found.status, found.words[BETA[0]]) == (1, "altered"), keys
        assert audit.text_of(found)
        assert audit.json_of(found)


@pytest.mark.parametrize("name", ["receipts/root.json", "receipts/beta/manifest.json", "data/heads/source.csv"])
@pytest.mark.parametrize("content", ["", "[]", "3", "{}", '{"receipts": {"a": NaN}, "papers": [], "root": 1}', "\0,\0"])
def test_damaged_summaries_and_tables_are_named(name: str, content: str, run: SmallRun) -> None:
    (run.folder / name).write_text(content)
    found = audited(run)
    assert {file for _, file in kinds(found)} == {name}
    assert (found.status, set(found.words)) == (1, {*ALPHA, *BETA})


# Jobs that were run again


def test_a_model_that_was_trained_again_leaves_what_was_made_of_the_old_one_stale(run: SmallRun) -> None:
    new = {f"alpha/models/e/net/all_seed0.{name}": "new" for name in ("safetensors", "history.csv")}
    rerun(run, TRAINING, {"params": {"seed": 1}, "texts": new})
    found = audited(run)
    told = {(f.kind, f.file, f.rule): f.exhibits for f in serious(found)}
    assert told == {
        ("generation", "alpha/fields/e/net.npy", "register_pairs"): NET[1:],
        ("generation", "alpha/figures/fig1_loss.svg", "plot_figure"): NET[:1],
        ("generation", "report/alpha.html", "build_report"): (),
        ("generation", "SHA256SUMS", "write_checksums"): (),
    }
    assert not_verified(found) == dict.fromkeys(NET, "stale")
    register = next(f for f in serious(found) if f.rule == "register_pairs")
    weights = "alpha/models/e/net/all_seed0.safetensors"
    old, new_sum = run.read("alpha/register_pairs/e/net")["recipe"]["inputs"][weights], run.sha256(weights)
    text = f"{weights} as it was with sha256 {old[:12]}, not {new_sum[:12]} as it is now"
    assert register.what == f"Built from {text}."
    # Registered again from the new one, the fields are no longer stale, and what was made of the old fields is.
    rerun(run, "alpha/register_pairs/e/net", {"texts": {"alpha/fields/e/net.npy": "new"}})
    generations = {f.file for f in serious(audited(run)) if f.kind == "generation"}
    assert {"alpha/metrics/e/net.csv", "alpha/figures/fig1_loss.svg"} <= generations
    assert "alpha/fields/e/net.npy" not in generations


def test_a_figure_drawn_again_the_same_makes_its_page_old_and_no_exhibit(run: SmallRun) -> None:
    same = {f"alpha/figures/fig1_loss.{k}": (run.folder / f"alpha/figures/fig1_loss.{k}").read_text() for k in ("svg",)}
    rerun(run, "alpha/plot_figure/fig1_loss", {"texts": same})
    found = audited(run)
    assert {(f.kind, f.file) for f in serious(found)} == {
        ("generation", "report/alpha.html"),
        ("generation", "SHA256SUMS"),
    }
    assert not_verified(found) == {}


def test_a_page_that_is_newer_than_the_index_makes_the_index_old(run: SmallRun) -> None:
    run.exhibit("alpha", "plot_figure", "fig7_new", ["alpha/metrics/e/net.csv"])
    unlisted = audited(run)
    assert (unlisted.status, kinds(unlisted)) == (0, {("unlisted", "receipts/alpha/plot_figure/fig7_new.json")})
    assert "fig7_new of alpha" not in unlisted.words
    run.page("alpha", "digits")
    found = audited(run)
    assert found.words["fig7_new of alpha"] == "verified"
    assert {(f.kind, f.file) for f in serious(found)} == {
        ("generation", "report/index.html"),
        ("generation", "SHA256SUMS"),
    }
    run.index("alpha", "beta")
    assert audited(run).findings == ()


def test_a_receipt_under_another_name_is_none(run: SmallRun) -> None:
    shutil.copy(run.path("alpha/plot_figure/fig1_loss"), run.path("alpha/plot_figure/fig8_copy"))
    found = audited(run)
    assert kinds(found) == {("record-changed", "receipts/alpha/plot_figure/fig8_copy.json")}
    assert "was written as receipts/alpha/plot_figure/fig1_loss.json" in found.findings[0].what


def test_of_two_receipts_for_a_file_the_listed_and_then_the_last_counts(run: SmallRun, tmp_path: Path) -> None:
    flip(run, "alpha/figures/fig1_loss.svg")
    run.exhibit("alpha", "plot_gallery", "fig1_loss", ["alpha/models/e/net/all_seed0.history.csv"])
    found = audited(run)
    assert ("changed", "alpha/figures/fig1_loss.svg") in kinds(found)
    assert found.words["fig1_loss of alpha"] == "altered"
    # Without a page there is no list: a rule that was renamed leaves its old receipt behind.
    other = SmallRun(tmp_path / "other")
    other.beta()
    other.exhibit("beta", "plot_figure", "fig1", ["beta/metrics/f/syn.csv"])
    other.changes = {"beta/plot_gallery/fig1": {"texts": {"beta/figures/fig1.svg": "another"}}}
    other.exhibit("beta", "plot_gallery", "fig1", ["beta/metrics/f/syn.csv"])
    assert audited(other).findings == ()


# What the jobs noticed, environments, sources


@pytest.mark.parametrize(
    ("key", "kind", "word"),
    [
        ("undeclared_reads", "undeclared reads", "unverifiable"),
        ("undeclared_writes", "undeclared writes", "verified"),
        ("undeclared_code", "undeclared code", "unverifiable"),
    ],
)
def test_what_a_job_did_not_declare_is_named(key: str, kind: str, word: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, {"alpha/evaluate_registration/e/affine": {key: ["outside/notes.txt"]}})
    found = audited(run)
    exhibits = ("figS1_affine of alpha", "table1_all of alpha")
    assert [(f.kind, f.file, f.rule, f.exhibits) for f in serious(found)] == [
        (kind, "outside/notes.txt", "evaluate_registration", exhibits)
    ]
    assert (found.status, {found.words[label] for label in exhibits}) == (1, {word})


def test_network_is_named_outside_of_a_download(tmp_path: Path) -> None:
    address = {"network": ["192.0.2.1:443"]}
    fetched = {"data/fetch_dataset/heads": address | {"params": {"mode": "download"}}}
    assert audited(make_run(tmp_path / "fetched", fetched)).findings == ()
    for place, exhibits in {"data/fetch_dataset/heads": BETA, TRAINING: NET}.items():
        found = audited(make_run(tmp_path / Path(place).name, {place: address}))
        assert [(f.kind, f.file, f.exhibits) for f in serious(found)] == [
            ("network", f"receipts/{place}.json", exhibits)
        ]


def test_uncommitted_changes_are_a_remark(tmp_path: Path) -> None:
    patch = "b" * 64
    run = make_run(tmp_path, {TRAINING: {"git": {"commit": "c", "dirty": patch, "untracked": ["scripts/new.py"]}}})
    assert [(f.kind, f.file) for f in serious(audited(run))] == [
        ("record-missing", f"receipts/store/patch/{patch}.diff")
    ]
    patch = receipt.store(run.folder, "patch", b"+ x", ".diff")
    run = make_run(
        tmp_path / "b", {TRAINING: {"git": {"commit": "c", "dirty": patch, "untracked": ["scripts/new.py"]}}}
    )
    receipt.store(run.folder, "patch", b"+ x", ".diff")
    found = audited(run)
    assert kinds(found) == {("dirty", f"receipts/{TRAINING}.json"), ("dirty", "scripts/new.py")}
    assert (found.status, not_verified(found)) == (0, {})


@pytest.mark.parametrize(
    ("versions", "exhibits", "text"),
    [
        # One exhibit against the others of its rule.
        (
            {
                "alpha/plot_figure/fig1_loss": {"matplotlib": "3.10"},
                "alpha/plot_figure/fig2_net": {"matplotlib": "3.11"},
            },
            NET[:2],
            "matplotlib 3.10 in receipts/alpha/plot_figure/fig1_loss.json, 3.11 in receipts/alpha/plot_figure/fig2_net",
        ),
        # One job of a chain against the rest of it.
        ({"beta/evaluate_registration/f/syn": {"numpy": "2.3.0"}}, BETA, "numpy 2.3.0 in receipts/beta/evaluate"),
        ({TRAINING: {"torch": "2.12"}, "alpha/register_pairs/e/net": {"torch": "2.13"}}, NET[1:], "torch 2.12 in"),
        # Two papers, two rules: nothing rests on both.
        ({TRAINING: {"scipy": "1.15"}, "beta/run_baseline/f/syn": {"scipy": "1.14"}}, None, ""),
        # A package that one job alone has loaded, and those that compute nothing.
        ({TRAINING: {"torch": "2.13"}}, None, ""),
        ({TRAINING: {"snakemake": "9.28.0"}, "alpha/pair_images/e": {"snakemake-interface-common": "1.0"}}, None, ""),
    ],
)
def test_versions_that_meet_in_a_chain_or_a_rule_are_mixed(
    versions: dict[str, dict[str, str]], exhibits: tuple[str, ...] | None, text: str, tmp_path: Path
) -> None:
    found = audited(make_run(tmp_path, {place: {"versions": packages} for place, packages in versions.items()}))
    mixed = serious(found)
    assert not_verified(found) == {}
    if exhibits is None:
        assert mixed == []
    else:
        assert [(f.kind, f.exhibits) for f in mixed] == [("mixed-environment", exhibits)]
        assert mixed[0].what.startswith(text) or text in mixed[0].what
        assert found.status == 1


def test_another_python_is_mixed_too(tmp_path: Path) -> None:
    found = audited(make_run(tmp_path, {"beta/run_baseline/f/syn": {"python": "3.12.1"}}))
    assert [(f.kind, f.exhibits) for f in serious(found)] == [("mixed-environment", BETA)]
    assert "Python 3.11.7 in" in serious(found)[0].what


@pytest.mark.parametrize("rows", ["", "other.zip,9,{sum},original-verified\n", "scans/heads.zip,9,,x\n", "\n,,\n"])
def test_an_archive_that_the_table_does_not_pin_is_named(rows: str, tmp_path: Path) -> None:
    run = SmallRun(tmp_path)
    run.beta(rows.format(sum="a" * 64))
    found = audited(run)
    assert {(f.kind, f.rule) for f in serious(found)} == {("source-unpinned", "fetch_dataset")}
    assert not_verified(found) == {BETA[0]: "unverifiable"}


def test_images_that_were_read_from_another_archive_than_the_pinned_one_are_stale(tmp_path: Path) -> None:
    run = SmallRun(tmp_path)
    run.beta()
    member, place = "data/heads/scans/heads.zip", "data/prepare_dataset/heads"
    read = {"members": [member], "source": "data/heads/source.csv"}
    made = {"images": "data/heads/images.npy", "subjects": "data/heads/subjects.csv"}
    run.job("prepare_dataset", place, read, made, {"dataset": "heads"}, sums={member: "b" * 64})
    found = audited(run)
    assert [(f.kind, f.file, f.exhibits) for f in serious(found)] == [("generation", "data/heads/images.npy", BETA)]
    assert "and data/heads/source.csv pins" in serious(found)[0].what
    # Read without the table at all.
    run.job("prepare_dataset", place, {"members": [member]}, made, {"dataset": "heads"}, sums={member: "b" * 64})
    assert ("source-unpinned", "data/heads/source.csv") in kinds(audited(run))


def test_origins_say_which_files_are_pinned_and_where_they_are(run: SmallRun) -> None:
    digits, heads = audited(run).origins
    assert (digits["dataset"], digits["origins"]) == ("digits", ["synthetic"])
    assert [(m["member"], m["sha256"], m["state"]) for m in digits["members"]] == [
        ("digits.gz", run.sha256("data/digits/standin/digits.gz"), "verified")
    ]
    assert (heads["origins"], [m["state"] for m in heads["members"]]) == (
        ["original-verified"],
        ["pinned, not present"],
    )
    flip(run, "data/digits/standin/digits.gz")
    assert audited(run).origins[0]["members"][0]["state"] == "altered"
    remove(run, "data/digits/standin/digits.gz")
    found = audited(run)
    assert found.origins[0]["members"][0]["state"] == "missing"
    assert [(f.kind, f.exhibits) for f in serious(found)] == [("missing", ALPHA)]


# The file by itself


def call(file: Path, *arguments: str | Path, cwd: Path | None = None) -> tuple[int, str, str]:
    command = ["env", "-i", sys.executable, "-I", str(file), *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_it_needs_the_standard_library_alone() -> None:
    tree = ast.parse(Path(audit.__file__).read_bytes())
    imported = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imported} <= set(sys.stdlib_module_names)
    # It says where it can be read by an older Python.
    ast.parse(Path(audit.__file__).read_bytes(), feature_version=(3, 9))


def test_a_read_only_copy_elsewhere_is_audited_by_the_file_in_it(run: SmallRun, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "copy"
    shutil.copytree(run.folder, copy)
    shutil.rmtree(run.folder)
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = sorted(copy.rglob("*"))
    status, out, err = call(copy / "audit.py", cwd=tmp_path)
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == "6 exhibits: 6 verified; 0 findings, 0 remarks"
    assert "data heads: original-verified; 1 file pinned, not present" in out
    assert sorted(copy.rglob("*")) == before
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=copy, check=True)
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    flip(SmallRun(copy), "beta/metrics/f/syn.csv")
    status, out, err = call(copy / "audit.py", cwd=tmp_path)
    assert (status, err) == (1, "")
    lines = out.splitlines()
    where = lines.index("changed: beta/metrics/f/syn.csv (evaluate_registration)")
    assert lines[where + 2] == "  exhibits: table1_all of beta"
    assert "table1_all of beta      altered" in lines
    assert lines[-1] == "6 exhibits: 5 verified, 1 altered; 1 finding, 0 remarks"


def test_machines_get_json_and_hurried_people_the_findings_alone(run: SmallRun) -> None:
    assert call(run.folder / "audit.py", "--quiet") == (0, "", "")
    flip(run, "alpha/figures/fig1_loss.png")
    status, out, _ = call(run.folder / "audit.py", "--quiet", run.folder)
    assert (status, out) == (1, "changed: alpha/figures/fig1_loss.png (plot_figure)\n")
    status, out, _ = call(run.folder / "audit.py", "--json")
    told = json.loads(out)
    assert (status, told["status"], told["run"]) == (1, 1, "demo")
    assert [(f["kind"], f["exhibits"]) for f in told["findings"]] == [("changed", ["fig1_loss of alpha"])]
    assert told["words"]["fig1_loss of alpha"] == "altered"
    assert {(e["paper"], e["name"], e["word"]) for e in told["exhibits"] if e["name"] == "fig1_loss"} == {
        ("alpha", "fig1_loss", "altered")
    }


def test_a_folder_that_is_no_run_is_said_to_be_none(run: SmallRun, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "absent"):
        status, out, err = call(run.folder / "audit.py", tmp_path / folder)
        assert (status, out) == (2, "")
        assert err.startswith(f"audit: {tmp_path / folder} is no run")
        with pytest.raises(NoRun):
            audit.audit(tmp_path / folder)
    shutil.rmtree(run.folder / "receipts")
    found = audited(run)
    assert found.status == 1
    assert set(found.words.values()) == {"unverifiable"}


# The record, for others


def test_upstream_lists_each_job_before_those_that_it_rests_on(run: SmallRun) -> None:
    record = read_record(run.folder)
    jobs = audit.upstream(record, "alpha/tables/table1_all.csv")
    assert jobs[0] == "receipts/alpha/make_table/table1_all.json"
    assert len(jobs) == len(set(jobs)) == 11
    place = {name: number for number, name in enumerate(jobs)}
    for name in jobs:
        for file in record.receipts[name]["recipe"]["inputs"]:
            assert place[name] < place[record.producers[file]]
    assert audit.upstream(record, "alpha/absent.csv") == []
    assert set(jobs) > set(audit.upstream(record, "alpha/metrics/e/affine.csv"))


def test_exhibits_are_those_of_the_pages(run: SmallRun) -> None:
    found = audit.exhibits(read_record(run.folder))
    assert [exhibit.label for exhibit in found] == [*ALPHA, *BETA]
    assert found[0].files == tuple(f"alpha/figures/fig1_loss.{kind}" for kind in ("svg", "png", "csv"))
    assert (found[2].rule, found[3].receipt) == ("plot_gallery", "receipts/alpha/make_table/table1_all.json")


def test_it_hashes_as_the_recorder_does(tmp_path: Path) -> None:
    value = {"b": [1, 2.5, None, True, 1e-08], "a": {"ö": "é"}}
    assert audit.sha256_json(value) == files.sha256_json(value)
    (tmp_path / "x").write_bytes(bytes(range(256)) * 9000)
    assert audit.sha256_file(tmp_path / "x") == files.sha256_file(tmp_path / "x")
