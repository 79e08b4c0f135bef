"""The papers' notebooks: what is committed of them, what they say of a run, and what is kept once they ran."""

import ast
import base64
import json
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from reregister.errors import ReregisterError
from reregister.notebook import display, execute, words
from reregister.notebook.results import Experiment, Run, open_run

PROJECT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((PROJECT / "workflow" / "notebooks").glob("*.ipynb"))
EVERY = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
PAGE = PROJECT / "workflow" / "notebooks" / "page.html.j2"

COMPARISON = """method,group,metric,n,mean,low,high,gain,gain_low,gain_high
identity,all,dice,4,0.5,0.4,0.6,0.0,0.0,0.0
identity,x,dice,4,0.5,0.4,0.6,0.0,0.0,0.0
net,all,dice,4,0.75,0.7,0.8,0.25,0.2,0.3
net,x,dice,4,0.75,0.7,0.8,0.25,0.2,0.3
other,all,dice,4,0.45,0.3,0.6,-0.05,-0.1,0.01
other,x,dice,4,0.45,0.3,0.6,-0.05,-0.1,0.01
worse,all,dice,4,0.25,,,-0.25,,
worse,x,dice,4,0.25,,,-0.25,,
"""
ABOUT: dict[str, Any] = {
    "title": "A paper",
    "scale": "demo",
    "datasets": [["d", "The data"]],
    "experiments": [
        [
            "e",
            {
                "title": "The experiment",
                "dataset": "d",
                "methods": [["identity", "Before"], ["net", "Net"], ["other", "Other"], ["worse", "Worse"]],
                "missing": ["Left out net"],
            },
        ]
    ],
    "missing": [["f", "Another experiment"]],
}


def run_at(folder: Path, origin: str = "synthetic") -> Run:
    """A run with one experiment of four methods, and the receipt of its notebook."""
    files = {
        "data/d/source.csv": f"member,bytes,sha256,origin\na.zip,1,{'0' * 64},{origin}\n",
        "p/metrics/e/comparison.csv": COMPARISON,
        "p/metrics/e/net.csv": "method,seed,pair_id,dice\nnet,0,a,0.7\n",
        "p/models/e/net/all_seed0.history.csv": "method,part,seed,step,train_loss\nnet,all,0,0,\nnet,all,0,5,-0.5\n",
        "p/models/e/net_large/all_seed0.history.csv": "method,part,seed,step,train_loss\nnet_large,all,0,0,0\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    receipt = {"recipe": {"inputs": dict.fromkeys(files, "0"), "params": {"about": ABOUT}}, "recipe_id": "0"}
    place = folder / "receipts" / "p" / "run_notebook.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(receipt), encoding="utf-8")
    return open_run("p", folder)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What a notebook displays, as its cells would keep it."""
    from IPython.core.formatters import DisplayFormatter

    found: list[dict[str, Any]] = []
    monkeypatch.setattr(display, "display", lambda thing: found.append(DisplayFormatter().format(thing)[0]))
    return found


def experiment_of(run: Run) -> Experiment:
    experiment = run.experiment("e")
    assert experiment
    return experiment


def strings(tree: ast.AST) -> list[str]:
    """Text that is typed into the calls of `say`."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "say"]
    parts: list[str] = []
    for call in calls:
        for argument in call.args:
            found = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
            parts += [part.value for part in found if isinstance(part, ast.Constant)]
    return parts


def test_every_paper_has_a_notebook() -> None:
    assert [path.stem for path in NOTEBOOKS] == sorted(p.stem for p in (PROJECT / "config" / "papers").glob("*.yaml"))


@EVERY
def test_a_notebook_is_committed_without_results_and_with_its_parameters(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    values: dict[str, Any] = {}
    exec(tagged[0].source, values)
    assert {name: values[name] for name in ("run_folder", "files", "about")} == dict.fromkeys(
        ("run_folder", "files", "about")
    )
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert f'open_run("{path.stem}", run_folder, files, about)' in code[1].source


@EVERY
def test_a_notebook_types_no_number_into_its_text(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        texts = [cell.source] if cell.cell_type == "markdown" else strings(ast.parse(cell.source))
        assert not [text for text in texts if re.search(r"\d", text)], cell.id


@EVERY
def test_a_notebook_imports_the_modules_that_its_kernel_names(path: Path) -> None:
    # Others would be missing from the code digest of the rule.
    source = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    imports = {node.module for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)}
    assert imports == {f"reregister.notebook.{name}" for name in ("display", "results", "words")}
    assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import)]


def test_the_introduction_says_data_scale_and_what_is_left_out(tmp_path: Path, shown: list[dict[str, Any]]) -> None:
    display.introduce(run_at(tmp_path))
    text = shown[0]["text/markdown"]
    assert "demo, a short schedule" in text
    assert "synthetic stand-in" in text
    assert "none is to be set beside a published one" in text
    assert "Another experiment (f); Left out net of The experiment (e)" in text
    display.introduce(run_at(tmp_path, "original-verified"))
    text = shown[1]["text/markdown"]
    assert "verified by their published checksum" in text
    assert "stand-in" not in text
    assert "published one" not in text


def test_an_experiment_that_is_not_there_is_said(tmp_path: Path, shown: list[dict[str, Any]]) -> None:
    run = run_at(tmp_path)
    assert display.heading(run, "f") is None
    assert shown[0]["text/markdown"] == "The experiment `f` is not part of this run."
    assert display.heading(run, "e") == run.experiment("e")


def test_words_of_means_and_gains_come_from_the_comparison(tmp_path: Path) -> None:
    e = experiment_of(run_at(tmp_path))
    assert words.mean_of(e, "net", "dice") == "0.75 (0.7 to 0.8)"
    assert words.mean_of(e, "worse", "dice") == "0.25"
    assert words.gain_of(e, "net", "dice") == "0.25 (0.2 to 0.3) more than before registration"
    assert words.gain_of(e, "other", "dice") == "no clear difference to before registration: -0.05 (-0.1 to 0.01)"
    assert words.gain_of(e, "worse", "dice").startswith("0.25 less than before registration, with too few cases")
    assert e.order("dice") == ["net", "identity", "other", "worse"]
    assert e.order("dice", "net", "worse", "gone", highest=False) == ["worse", "net"]
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"]) == "a, b and c"


def test_tables_leave_out_metrics_and_methods_that_are_not_there(tmp_path: Path, shown: list[dict[str, Any]]) -> None:
    e = experiment_of(run_at(tmp_path))
    frame = display.means_table(e, ["dice", "hd95"], "net", "gone")
    assert frame.to_dict("list") == {"method": ["Net"], "Dice": ["0.75 (0.7 to 0.8)"]}
    display.show_table(pd.DataFrame({"name": ["<b>"], "value": [0.123456]}))
    assert "&lt;b&gt;" in shown[0]["text/html"]
    assert "0.1235" in shown[0]["text/html"]


def test_a_notebook_reads_its_inputs_alone(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    e = experiment_of(run)
    assert list(e.metrics("net")["dice"]) == [0.7]
    # By the method's whole name: net_large is another one.
    assert set(e.histories("net")["method"]) == {"net"}
    assert e.traces().empty
    with pytest.raises(ReregisterError, match=r"other\.csv is no input of the notebook of p"):
        e.metrics("other")
    with pytest.raises(ReregisterError, match="no hd95 of net in the group all"):
        e.value("net", "hd95")


def test_pictures_are_the_same_bytes_and_carry_stamp_and_words(tmp_path: Path, shown: list[dict[str, Any]]) -> None:
    e = experiment_of(run_at(tmp_path))
    for _ in range(2):
        display.draw_means(e, ["dice"])
        display.draw_groups(e, "dice")
        display.draw_losses(e, e.histories("net"), ["validation_loss", "train_loss"])
    assert shown[:3] == shown[3:]
    for one in shown:
        content = one["image/png"]
        png = content if isinstance(content, bytes) else base64.b64decode(content)
        assert b"synthetic stand-in, demo scale" in png
        assert b"Software" not in png
    display.draw_losses(e, e.histories("net"), ["validation_loss"])
    assert shown[-1]["text/markdown"] == "No method of this part of the run has such a loss."


def test_by_hand_the_newest_run_is_found_and_a_missing_one_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reregister.notebook.results.RESULTS", tmp_path / "none")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with pytest.raises(ReregisterError, match=r"no finished run of p under .*snakemake --cores all p"):
        open_run("p")
    with pytest.raises(
        ReregisterError, match=r"elsewhere holds no finished run of p, it lacks receipts/p/run_notebook"
    ):
        open_run("p", "elsewhere")
    run_at(tmp_path / "results" / "mine")
    found = open_run("p")
    assert found.folder == tmp_path / "results" / "mine"
    assert found.about == ABOUT
    # What the job is told goes before what lies there.
    assert open_run("p", ".", ["a.csv"], {"x": 1}) == Run("p", Path("."), frozenset({"a.csv"}), {"x": 1})


def executed() -> Any:
    """A notebook as papermill leaves it."""
    injected = new_code_cell(
        "run_folder = '.'", metadata={"tags": ["injected-parameters"], "papermill": {"duration": 1}}
    )
    outputs = [
        new_output("stream", name="stderr", text="/home/someone/x.py:1: a warning"),
        new_output("display_data", {"text/html": "<table><tr><td>1</td></tr></table>"}),
        new_output("display_data", {"image/png": "aGVsbG8="}, metadata={"image/png": {"alt": "a picture"}}),
    ]
    shows = new_code_cell("show()", outputs=outputs, metadata={"execution": {"iopub.execute_input": "2026-01-01"}})
    shows["id"] = "shows"
    text = new_markdown_cell("# Title\n\n[a way](other.html) and $x^2$")
    text["id"] = "text"
    metadata = {"papermill": {"start_time": "now"}, "language_info": {"name": "python", "version": "3.11.7"}}
    return new_notebook(cells=[text, injected, shows], metadata=metadata)


def test_what_differs_between_runs_is_not_kept() -> None:
    first, second = (execute.write(execute.settled(executed(), {"run_folder": ".", "files": ["a"]})) for _ in range(2))
    assert first == second
    for word in ("papermill", "2026", "3.11.7", "warning", "/home"):
        assert word not in first
    kept = nbformat.reads(first, as_version=4)
    nbformat.validate(kept)
    assert kept.cells[1].source == "run_folder = '.'\nfiles = ['a']"
    assert kept.cells[1].id == "injected-parameters"
    assert len(kept.cells[2].outputs) == 2


def test_a_page_asks_for_nothing_and_shows_no_parameters() -> None:
    notebook = execute.settled(executed(), {"run_folder": "."})
    text = execute.as_page(notebook, PAGE, "A <title>", [("The page", "../page.html")])
    assert text == execute.as_page(notebook, PAGE, "A <title>", [("The page", "../page.html")])
    assert "<script" not in text
    assert "<link" not in text
    assert "@import" not in text
    sources = re.findall(r'src="([^"]+)"', text)
    assert sources
    assert all(source.startswith("data:") for source in sources)
    assert 'alt="a picture"' in text
    assert "<title>A &lt;title&gt;</title>" in text
    assert '<a href="../page.html">The page</a>' in text
    assert "run_folder" not in text
    assert "<td>1</td>" in text


def test_a_cell_runs_watched_in_this_python_and_a_failing_one_fails(tmp_path: Path) -> None:
    from papermill.exceptions import PapermillExecutionError

    (tmp_path / "read.txt").write_text("here", encoding="utf-8")
    parameters = new_code_cell("name = None", metadata={"tags": ["parameters"]})
    reads = new_code_cell("import sys\nprint(open(name).read(), sys.executable, sys.path[:2])")
    path = tmp_path / "n.ipynb"
    kernelspec = {"name": "gone", "language": "python", "display_name": "A kernel that nobody has"}
    nbformat.write(new_notebook(cells=[parameters, reads], metadata={"kernelspec": kernelspec}), path)
    done, seen = execute.execute(path, tmp_path, {"name": "read.txt"})
    said = done.cells[-1].outputs[0].text
    assert said.startswith(f"here {sys.executable} ")
    assert str(tmp_path / "read.txt") in seen.reads
    assert not [file for file in seen.reads if "/.ipython/" in file or "/.jupyter/" in file]
    assert ["reregister", "notebook", "display"][0] in seen.modules
    assert {"pandas", "seaborn"} <= set(seen.modules)
    nbformat.write(new_notebook(cells=[new_code_cell("raise ValueError('broken')")]), path)
    with pytest.raises(PapermillExecutionError, match="broken"):
        execute.execute(path, tmp_path, {})
