"""Pages from made-up receipts: what they say, that nothing in them is run or fetched, and the manifest."""

import base64
import csv
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import UndefinedError

from reregister.provenance.files import write_json, write_text
from reregister.report import pages

PROJECT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((PROJECT / "workflow" / "report").iterdir())
VOID = {"meta", "img", "br", "link", "hr", "input"}
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
CONTEXT = """
paper: dirnet
scale: smoke
title: A title
authors: B. D. de Vos
reference: DLMIA 2017
summary: What it says.
datasets: {mnist: {title: MNIST digits, licence: CC, citation: LeCun}}
experiments:
  mnist: {title: Digits, section: "4.1", dataset: mnist, methods: {dirnet_bl: {label: DIRNet, note: a note}}}
exhibits:
  fig2: {kind: figure, experiment: mnist, place: Fig. 2, caption: A figure.}
  tab1: {kind: table, experiment: mnist, place: Table 2, caption: A table.}
choices: [{item: lr, paper: not stated, chosen: "0.001", evidence: habit}]
claims:
  numbers:
    - {id: table1, place: Table 1, experiment: scd, quantity: Dice, unit: mm, n: 15, definition: heart, values: {A: [0.62]}}
  claims:
    - {id: c1, place: abstract, experiment: mnist, quote: easy, test: NCC}
    - {id: c2, place: abstract, experiment: scd, quote: accurate, test: Dice}
"""
EVIL = "<script>alert(\"x\")</script> & 'quoted'"


def receipt(rule: str, start: int = 0, **changes: Any) -> dict[str, Any]:
    """A receipt with what pages read; changes of `params` and `wildcards` go into the recipe, `run` is merged."""
    params, wildcards, run = (changes.pop(key, {}) for key in ("params", "wildcards", "run"))
    made = {
        "recipe": {"rule": rule, "wildcards": wildcards, "params": params},
        "recipe_id": rule[:1] * 64,
        "environment": "e" * 64,
        "git": {"commit": "c" * 40, "dirty": None, "untracked": []},
        "run": {
            "start": f"2026-01-01T00:00:{start:02d}+00:00",
            "wall_s": 1.5,
            "peak_memory_mib": 100,
            "threads": 1,
            "device": "cpu",
            **run,
        },
        "undeclared_reads": [],
        "undeclared_writes": [],
        "undeclared_code": [],
        "network": [],
    }
    return {**made, **changes}


def training(part: str, seed: str) -> dict[str, Any]:
    params = {"model": {"name": "dirnet"}, "schedule": {"batch": 32}, "optimiser": {"lr": 0.001}, "loss": {"ncc": 1.0}}
    wildcards = {"experiment": "mnist", "method": "dirnet_bl", "part": part, "seed": seed}
    return receipt("train_model", 5, params={**params, "determinism": "warn"}, wildcards=wildcards)


def fetched(dataset: str, mode: str, accepted: bool = False) -> dict[str, Any]:
    return receipt("fetch_dataset", 1, params={"mode": mode, "accepted": accepted}, wildcards={"dataset": dataset})


class Page(HTMLParser):
    """Elements of a page with their attributes, its text, and whether every element that opens is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


class Run:
    """A small run folder with one dataset, one figure, one table and their receipts."""

    def __init__(self, folder: Path, origin: str = "synthetic") -> None:
        self.folder = folder / "smoke"
        row = {"member": "x.gz", "bytes": "3", "sha256": "a" * 64, "origin": origin}
        self.source = self.folder / "data" / "mnist" / "source.csv"
        write_text(self.source, f"{','.join(row)}\n{','.join(row.values())}\n")
        self.figure = self.folder / "dirnet" / "figures" / "fig2.svg"
        self.figure.parent.mkdir(parents=True)
        self.figure.write_bytes(SVG)
        self.table = self.folder / "dirnet" / "tables" / "tab1.csv"
        write_text(self.table, "method,group,cases,ncc,ncc_low\nA & B,007,60000,0.123456,\n")
        self.receipts = {
            "receipts/data/fetch_dataset/mnist.json": fetched("mnist", "standin"),
            "receipts/dirnet/train_model/mnist/dirnet_bl_0_seed0.json": training("0", "0"),
            "receipts/dirnet/plot_figure/fig2.json": receipt("plot_figure", 8),
            "receipts/dirnet/make_table/tab1.json": receipt("make_table", 9),
        }
        self.context: dict[str, Any] = yaml.safe_load(CONTEXT)

    def page(self) -> tuple[str, dict[str, Any]]:
        files = [self.folder / name for name in self.receipts]
        for path, content in zip(files, self.receipts.values(), strict=True):
            write_json(path, content)
        return pages.paper_page(self.folder, self.context, files, [self.source], [self.figure, self.table], TEMPLATES)


def index(**changes: Any) -> str:
    dataset = {"name": "mnist", "origins": ["synthetic"], "what": "made up", "files": []}
    context: dict[str, Any] = {
        "papers": {"dirnet": {"title": "A title", "authors": "de Vos", "reference": "DLMIA"}},
        "run": "smoke",
        "scale": "smoke",
        "root": {"root": "r" * 64, "papers": {"dirnet": "d" * 64}},
        "data": [dataset],
    }
    return pages.render(TEMPLATES, "index.html.j2", **{**context, **changes})


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def both_pages(run: Run) -> list[str]:
    return [run.page()[0], index()]


def test_pages_are_whole_and_name_each_place_once(run: Run) -> None:
    for html in both_pages(run):
        page = Page(html)
        assert page.open == []
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        assert not re.search("{{|{%", html)


def test_nothing_in_a_page_is_fetched_or_run(run: Run) -> None:
    for html in both_pages(run):
        page = Page(html)
        (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
        assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
        assert not {tag for tag, _ in page.elements} & {"script", "link", "iframe", "object", "embed", "base", "form"}
        for tag, attributes in page.elements:
            assert not [name for name in attributes if name.startswith("on")]
            for name in ("src", "href", "srcset", "action", "data", "poster"):
                value = attributes.get(name) or ""
                assert re.fullmatch(r"|#\S+|[a-z]+\.html|data:image/svg\+xml;base64,\S+", value), (tag, name, value)
        styles = "".join(re.findall(r"<style>(.*?)</style>", html, re.S))
        assert "main {" in styles
        assert not re.search(r"url\(|@import|https?:", styles)


def test_every_image_is_in_the_page_and_has_a_text(run: Run) -> None:
    images = Page(run.page()[0]).all("img")
    assert [image["alt"] for image in images] == ["A figure."]
    kind, data = str(images[0]["src"]).split(",")
    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(data) == SVG


def test_text_is_escaped_wherever_it_comes_from(run: Run) -> None:
    context = run.context
    for key in ("title", "authors", "reference", "summary"):
        context[key] = EVIL
    context["exhibits"]["fig2"]["caption"] = EVIL
    context["exhibits"]["tab1"]["place"] = EVIL
    context["datasets"]["mnist"]["licence"] = EVIL
    context["experiments"]["mnist"]["methods"]["dirnet_bl"] = {"label": EVIL, "note": EVIL}
    context["choices"][0]["paper"] = context["claims"]["claims"][0]["quote"] = EVIL
    context["claims"]["numbers"][0]["values"] = {EVIL: [1]}
    params = run.receipts["receipts/dirnet/train_model/mnist/dirnet_bl_0_seed0.json"]["recipe"]["params"]
    params["model"] = {EVIL: EVIL}
    run.receipts["receipts/dirnet/make_table/tab1.json"]["undeclared_reads"] = [EVIL]
    with open(run.table, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["method", EVIL], [EVIL, "1"]])
    for html in (run.page()[0], index(papers={"dirnet": {"title": EVIL, "authors": EVIL, "reference": EVIL}})):
        assert "<script" not in html
        page = Page(html)
        assert "script" not in {tag for tag, _ in page.elements}
        assert page.open == []
        assert EVIL in page.text
    assert [image["alt"] for image in Page(run.page()[0]).all("img")] == [EVIL]


def test_a_name_that_is_not_given_is_an_error(run: Run) -> None:
    with pytest.raises(UndefinedError, match="'scale' is undefined"):
        pages.render(TEMPLATES, "index.html.j2", papers={}, run="smoke", root={"root": "", "papers": {}}, data=[])
    del run.context["summary"]
    with pytest.raises(UndefinedError, match="summary"):
        run.page()


def test_a_page_says_what_was_run(run: Run) -> None:
    html, manifest = run.page()
    text = Page(html).text
    for words in (
        "MNIST digits",
        "synthetic: a synthetic stand-in in the official layout, not the data of the paper",
        "x.gz aaaaaaaaaaaa",
        "1 networks, seeds 0",
        'optimiser {"lr": 0.001}',
        "DIRNet: a note",
        "recipe pppppppppppp",
        "not attempted: the experiment scd is not part of this run",
        "The experiment scd is not part of this run.",
        "nothing: no undeclared file, code or connection",
        manifest["root"],
        "snakemake --cores all dirnet --config run=smoke scale=smoke 'data={mnist: standin}'",
    ):
        assert words in text, words


def test_published_numbers_stand_in_tables_of_their_own(run: Run) -> None:
    html, _ = run.page()
    ours, published = (re.search(rf'id="{name}">.*?</table>', html, re.S) for name in ("tab1", "table1"))
    assert ours
    assert published
    assert "0.62" in published[0]
    assert "0.62" not in ours[0]
    assert "0.1235" not in published[0]


def test_cells_of_a_table(run: Run) -> None:
    html, _ = run.page()
    table = re.search(r'id="tab1">.*?</table>', html, re.S)
    assert table
    assert re.findall(r"<th scope[^>]*>(.*?)</th>", table[0]) == ["method", "group", "cases", "ncc", "ncc low"]
    # A group that looks like a number stays as it is, and an empty cell is said to be one.
    assert re.findall(r"<td>(.*?)</td>", table[0]) == ["A &amp; B", "007", "60,000", "0.1235", "undefined"]


@pytest.mark.parametrize(("origin", "notices"), [("synthetic", 1), ("original-verified", 0), ("subset 5/10", 0)])
def test_stand_ins_are_called_so_and_nothing_else_is(tmp_path: Path, origin: str, notices: int) -> None:
    html, _ = Run(tmp_path, origin).page()
    assert html.count('class="notice"') == notices
    assert html.count("Synthetic stand-in, smoke scale.") == 2 * notices


def test_only_exhibits_of_the_stand_in_are_called_so(run: Run, tmp_path: Path) -> None:
    other = run.folder / "data" / "real" / "source.csv"
    write_text(other, f"member,bytes,sha256,origin\ny,1,{'b' * 64},original-verified\n")
    run.context["datasets"]["real"] = {"title": "Real", "licence": "CC", "citation": "X"}
    run.context["experiments"]["other"] = {"title": "T", "section": "5", "dataset": "real", "methods": {}}
    run.context["exhibits"]["tab1"]["experiment"] = "other"
    run.page()
    files = [run.folder / name for name in run.receipts]
    html, _ = pages.paper_page(run.folder, run.context, files, [run.source, other], [run.figure, run.table], TEMPLATES)
    assert html.count("Synthetic stand-in, smoke scale.") == 1
    assert html.count('class="notice"') == 1
    assert "MNIST digits: the data are a synthetic stand-in" in html


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0", "0"),
        ("-12", "-12"),
        ("60000", "60,000"),
        ("12345678901234567890", "12,345,678,901,234,567,890"),
        ("80.0", "80"),
        ("0.123456", "0.1235"),
        ("-0.9999999", "-1"),
        ("-0.0", "0"),
        ("1234.567", "1,235"),
        ("60000.0", "60,000"),
        ("4.516e-08", "4.516e-08"),
        ("1e-05", "1e-05"),
        ("1e+20", "1e+20"),
        ("", "undefined"),
        ("nan", "undefined"),
        # Names that Python would take for numbers.
        ("007", "007"),
        ("inf", "inf"),
        ("1_000", "1_000"),
        ("٣", "٣"),
        (" 1", " 1"),
        ("Affine (elastix)", "Affine (elastix)"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_format_number(text: str, shown: str) -> None:
    assert pages.format_number(text) == shown


def test_origins_have_a_text(run: Run) -> None:
    assert pages.origin_text("original-verified") == "the original files, verified by their published checksum"
    assert "no checksum is published" in pages.origin_text("original-first-use")
    assert "not the data of the paper" in pages.origin_text("synthetic")
    assert "in the place of the paper's" in pages.origin_text("substitute")
    assert pages.origin_text("subset 16/100") == "16 of the 100 originals"
    for wrong in ("", "subset", "original", "subset 3/x"):
        with pytest.raises(KeyError):
            pages.origin_text(wrong)
    with open(run.source, "a", encoding="utf-8") as file:
        file.write(f"y.gz,4,{'b' * 64},substitute\n")
    found = pages.data_origin(run.source)
    assert (found["name"], found["origins"]) == ("mnist", ["substitute", "synthetic"])
    assert found["what"].startswith("substitute: other data in the place of the paper's; synthetic: ")
    assert [file["member"] for file in found["files"]] == ["x.gz", "y.gz"]


def test_findings_list_what_the_jobs_noticed() -> None:
    assert pages.findings({"a": receipt("make_table"), "b": receipt("plot_figure", git=None)}) == []
    address = ["192.0.2.1:443"]
    noticed = {
        "a": receipt("make_table", undeclared_reads=["x.csv", "y.csv"], undeclared_writes=["z"]),
        "b": receipt("plot_figure", undeclared_code=["reregister/losses.py"], network=address),
        "c": {**fetched("mnist", "download"), "network": address},
        "d": {**fetched("mnist", "standin"), "network": address},
        "e": receipt("make_table", git={"commit": "c", "dirty": "f" * 64, "untracked": ["scripts/new.py"]}),
        "f": receipt("make_table", git={"commit": "c", "dirty": "f" * 64, "untracked": ["scripts/new.py"]}),
    }
    assert pages.findings(noticed) == [
        "a: undeclared reads: x.csv, y.csv",
        "a: undeclared writes: z",
        "b: undeclared code: reregister/losses.py",
        "b: network: 192.0.2.1:443",
        "d: network: 192.0.2.1:443",
        "some jobs ran with uncommitted changes; the receipts keep the patch",
        "files of the project that no commit holds: scripts/new.py",
    ]


def test_the_page_lists_findings(run: Run) -> None:
    run.receipts["receipts/dirnet/make_table/tab1.json"]["undeclared_reads"] = ["outside/secret.csv"]
    text = Page(run.page()[0]).text
    assert "receipts/dirnet/make_table/tab1.json: undeclared reads: outside/secret.csv" in text
    assert "nothing: no undeclared" not in text


def test_work_and_trainings_are_summed_up() -> None:
    jobs = {
        "b": receipt("train_model", 7, run={"wall_s": 2.0, "device": "cuda", "threads": 2}),
        "a": receipt("make_table", 9, run={"peak_memory_mib": 7}),
        "c": receipt("train_model", 3, run={"peak_memory_mib": 300}),
    }
    train, table = pages.work_done(jobs)
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
    (found,) = pages.trainings({str(number): made for number, made in enumerate(runs)})
    assert (found["networks"], found["seeds"], found["params"]["schedule"]) == (2, "9, 10", {"batch": 32})


def test_the_command_gives_the_same_data_again() -> None:
    made = {"a": fetched("mnist", "path"), "b": fetched("acdc", "download", accepted=True), "c": receipt("make_table")}
    assert pages.command("dirnet", "real", "full", made) == (
        "snakemake --cores all dirnet --config run=real scale=full 'data={acdc: download, mnist: FOLDER}' "
        "'accept_terms=[acdc]'"
    )


def test_one_byte_of_one_receipt_changes_the_root(run: Run) -> None:
    _, manifest = run.page()
    files = [run.folder / name for name in run.receipts]
    assert set(manifest["receipts"]) == set(run.receipts)
    assert pages.manifest_of(run.folder, [*reversed(files), files[0]]) == manifest
    for path in files:
        kept = path.read_bytes()
        path.write_bytes(kept.replace(b"cccc", b"cccd", 1))
        changed = pages.manifest_of(run.folder, files)
        name = path.relative_to(run.folder).as_posix()
        assert changed["root"] != manifest["root"]
        assert {key for key in run.receipts if changed["receipts"][key] != manifest["receipts"][key]} == {name}
        path.write_bytes(kept)
    assert pages.manifest_of(run.folder, files[1:])["root"] != manifest["root"]
    assert run.page()[1] == manifest
