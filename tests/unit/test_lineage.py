"""From a figure back to the archives, and what is said where the way is not as it was."""

import json
import os
from itertools import pairwise
from pathlib import Path

import pytest

from reregister import cli
from reregister.errors import ReregisterError
from reregister.provenance.lineage import lineage, run_folder

from .small_run import SmallRun, make_run

TRAINING = "alpha/train_model/e/net_all_seed0"


@pytest.fixture
def run(tmp_path: Path) -> SmallRun:
    settings = {"optimiser": {"name": "adam", "betas": [0.9, 0.999]}, "skip": False, "seeds": [0, 1], "own_split": None}
    return make_run(tmp_path / "demo", {TRAINING: {"params": settings}})


def depth(line: str) -> int:
    return (len(line) - len(line.lstrip(" "))) // 2


def test_a_figure_leads_to_its_archive(run: SmallRun) -> None:
    lines = lineage(run.folder / "alpha" / "figures" / "fig1_loss.svg")
    short = {name: run.sha256(name)[:12] for name in ("alpha/figures/fig1_loss.svg", "data/digits/images.npy")}
    figure, training = run.read("alpha/plot_figure/fig1_loss"), run.read(TRAINING)
    assert lines[0] == f"alpha/figures/fig1_loss.svg  {short['alpha/figures/fig1_loss.svg']}  (as its receipt says)"
    told = f"(recipe {figure['recipe_id'][:12]}, 8.0 s, seed 0, environment {figure['environment'][:12]})"
    assert lines[1] == f"  plot_figure alpha fig1_loss {told}"
    told = f"(recipe {training['recipe_id'][:12]}, 8.0 s, seed 0, environment {training['environment'][:12]})"
    where = lines.index(f"      train_model alpha e net all 0 {told}")
    params = "optimiser {name adam, betas [0.9, 0.999]}; skip no; seeds [0, 1]; own_split none"
    assert lines[where + 1] == f"        {params}"
    assert f"        data/digits/images.npy  {short['data/digits/images.npy']}" in lines[where:]
    archive = f"archive: digits.gz, sha256 {run.sha256('data/digits/standin/digits.gz')}, synthetic"
    assert [line.strip() for line in lines if "archive:" in line] == [archive]
    # What a job read stands one deeper than the job, and the maker of that one deeper still.
    assert all(depth(after) <= depth(before) + 1 for before, after in pairwise(lines))
    jobs = [line.split()[0] for line in lines if "(recipe " in line]
    assert jobs == ["plot_figure", "train_model", "pair_images", "prepare_dataset", "fetch_dataset", "make_standin"]
    assert [line.strip() for line in lines if line.endswith("see above")] == [
        "make_standin digits: see above",
        "make_standin digits: see above",
        "prepare_dataset digits: see above",
    ]


def test_what_is_no_longer_so_is_said(run: SmallRun) -> None:
    figure, history = (f"alpha/{name}" for name in ("figures/fig1_loss.svg", "models/e/net/all_seed0.history.csv"))
    old = {name: run.sha256(name)[:12] for name in (figure, history)}
    (run.folder / figure).write_text("drawn by hand")
    assert lineage(run.folder / figure)[0].endswith(f"{old[figure]}  (the file is another: {run.sha256(figure)[:12]})")
    (run.folder / figure).unlink()
    assert lineage(run.folder / figure)[0].endswith("(the file is not there)")

    def trained_again(content: dict) -> None:
        content["outputs"][history]["sha256"] = "e" * 64

    run.edit(TRAINING, trained_again)
    line = next(line for line in lineage(run.folder / figure) if history in line)
    assert line.strip() == f"{history}  {old[history]}  (made again since: {'e' * 12})"


def test_members_of_an_archive_elsewhere_are_named_with_their_pin(run: SmallRun) -> None:
    lines = [line.strip() for line in lineage(run.folder / "beta" / "tables" / "table1_all.csv")]
    pin = run.read("data/fetch_dataset/heads")["recipe"]["inputs"]["data/heads/scans/heads.zip"]
    assert f"archive: scans/heads.zip, sha256 {pin}, original-verified" in lines
    assert f"data/heads/scans/heads.zip  {pin[:12]}" in lines
    # The archive of the other paper is no part of it.
    assert not [line for line in lines if "digits" in line]


def test_a_receipt_stands_for_its_job(run: SmallRun) -> None:
    table = lineage(run.folder / "beta" / "tables" / "table1_all.csv")
    assert lineage(run.path("beta/make_table/table1_all")) == [line[2:] for line in table[1:]]


def test_a_file_is_found_by_any_path(run: SmallRun, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Path("beta", "tables", "table1_all.csv")
    expected = lineage(run.folder / table)
    monkeypatch.chdir(run.folder / "beta")
    assert lineage(Path("tables", table.name)) == lineage(Path("..", "alpha", "..", table)) == expected
    assert run_folder(Path("tables")) == Path(os.path.abspath(run.folder))


def test_what_has_no_lineage_is_one_sentence(run: SmallRun, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (run.folder / "alpha" / "figures" / "mine.png").write_text("x")
    with pytest.raises(ReregisterError, match=r"no receipt says how .*mine\.png was made"):
        lineage(run.folder / "alpha" / "figures" / "mine.png")
    assert cli.main(["lineage", str(tmp_path / "x.svg")]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"reregister: {tmp_path / 'x.svg'} lies in no run")


def test_the_command_prints_it(run: SmallRun, capsys: pytest.CaptureFixture) -> None:
    file = run.folder / "alpha" / "tables" / "table1_all.csv"
    before = json.dumps(run.read("alpha/make_table/table1_all"))
    assert cli.main(["lineage", str(file)]) == 0
    assert capsys.readouterr().out.splitlines() == lineage(file)
    assert json.dumps(run.read("alpha/make_table/table1_all")) == before
