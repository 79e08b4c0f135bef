"""Pages from made-up receipts: what they say, that nothing in them is run or fetched, and the manifest."""

import base64
import csv
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import UndefinedError

from reregister.claims.rows import CLAIMS, KEPT_APART, NUMBERS
from reregister.provenance.files import canonical_json, sha256_file, write_json, write_text
from reregister.provenance.receipt import recipe_id, store
from reregister.report import exhibits, pages, record
from reregister.report.claims import ledger_rows

PROJECT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((PROJECT / "workflow" / "report").iterdir())
VOID = {"meta", "img", "br", "link", "hr", "input"}
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
CONTEXT = """
notebook: ../dirnet/notebooks/dirnet
paper: dirnet
kind: paper
explorer: []
scale: smoke
title: A title
authors: B. D. de Vos
reference: DLMIA 2017
summary: What it says.
strict: false
settings: {}
datasets: {mnist: {title: MNIST digits, licence: CC, citation: LeCun}}
experiments:
  mnist: {title: Digits, section: "4.1", dataset: mnist, methods: {dirnet_bl: {label: DIRNet, note: a note}}}
exhibits:
  fig2: {kind: figure, experiment: mnist, place: Fig. 2, caption: A figure.}
  figS4_pairs: {kind: gallery, experiment: mnist, place: not in the paper, caption: Best and worst. Of all.}
  tab1: {kind: table, experiment: mnist, place: Table 2, caption: A table.}
choices: [{item: lr, paper: not stated, chosen: "0.001", evidence: habit}]
claims:
  numbers:
    - {id: table1, place: Table 1, experiment: scd, quantity: Dice, columns: [{name: Dice}], unit: mm, n: 15,
       definition: heart, values: {A: ["0.62"]}}
  claims:
    - {id: c1, experiment: mnist}
    - {id: c2, experiment: scd}
"""
AXES = {"data": "stand-in", "split": "the paper's rule", "schedule": "5 %", "model": "full", "metric": "same"}
# What `weigh_claims` says of the number and the two claims.
NUMBER = {"order": "0", "id": "table1", "place": "Table 1", "row": "A", "column": "Dice", "published": "0.62", **AXES}
NUMBER |= {"experiment": "scd", "methods": "DIRNet", "scope": "stand-in", "word": "kept apart", "said": "Not beside."}
OURS = {"ours": "0.7123456", "low": "0.7", "high": "0.725"}
APART = {**NUMBER, **OURS, "why": "on the stand-in", "said": "8 cases."}
CLAIM = {"order": "0", "id": "c1", "place": "abstract", "quote": "easy", "test": "NCC", "experiment": "mnist", **AXES}
CLAIM |= {
    "methods": "DIRNet",
    "scope": "stand-in",
    "verdict": "holds",
    "word": "on the stand-in: holds",
    "said": "0.9.",
}
MISSING = {
    **dict.fromkeys(CLAIM, ""),
    "order": "1",
    "id": "c2",
    "place": "abstract",
    "quote": "accurate",
    "test": "Dice",
}
MISSING |= {"experiment": "scd", "verdict": "not attempted", "word": "not attempted", "said": "Scd was not run."}
ENVIRONMENT = {
    "python": "3.11.7",
    "implementation": "CPython",
    "os": "Linux",
    "cpu": {"model": "A processor", "isa": ["avx2"]},
    "packages": {"numpy": "2.0", "torch": "2.13"},
    "packages_outside_prefix": [],
    "torch": {"version": "2.13", "threads": 1, "device": "cpu", "cuda": None, "cudnn": None},
}
IDENTITY = hashlib.sha256(canonical_json(ENVIRONMENT).encode()).hexdigest()
SOURCE = "print('</script>')\n"
CODE = hashlib.sha256(SOURCE.encode()).hexdigest()
PANELS = {"stamp": "synthetic stand-in", "items": [{"method": "dirnet_bl", "label": "</script><b>"}]}
EVIL = "<script>alert(\"x\")</script> & 'quoted'"


def receipt(rule: str, start: int = 0, **changes: Any) -> dict[str, Any]:
    """A receipt with what pages read; changes of `params` and `wildcards` go into the recipe, `run` is merged."""
    params, wildcards, run, inputs = (changes.pop(key, {}) for key in ("params", "wildcards", "run", "inputs"))
    recipe = {"rule": rule, "wildcards": wildcards, "params": params, "inputs": inputs}
    made = {
        "recipe": recipe,
        "recipe_id": recipe_id(recipe),
        "code": {},
        "environment": IDENTITY,
        "outputs": {},
        "git": {"commit": "c" * 40, "dirty": None, "untracked": []},
        "run": {
            "start": f"2026-01-01T00:00:{start:02d}+00:00",
            "end": f"2026-01-01T01:30:{start:02d}+00:00",
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


def making(rule: str, start: int, folder: Path, *files: str, **changes: Any) -> dict[str, Any]:
    """A job that made files of a run folder; of one that is not there a hash is made up."""
    sums = {file: sha256_file(folder / file) if (folder / file).exists() else "a" * 64 for file in files}
    return receipt(rule, start, outputs={file: {"sha256": s, "bytes": 1} for file, s in sums.items()}, **changes)


def fetched(dataset: str, mode: str, accepted: bool = False) -> dict[str, Any]:
    names = {"params": {"mode": mode, "accepted": accepted}, "wildcards": {"dataset": dataset}}
    outputs = {f"data/{dataset}/source.csv": {"sha256": "5" * 64, "bytes": 1}}
    return receipt("fetch_dataset", 1, inputs={f"data/{dataset}/x.gz": "a" * 64}, outputs=outputs, **names)


def paired(experiment: str) -> dict[str, Any]:
    pairs = {"seed": 1, "validation": {"name": "random_within_group", "per_group": 16}, "test": {"name": "one"}}
    params = {"split": {"name": "last_of_train", "fraction": "1/6"}, "pairs": pairs}
    outputs = {f"dirnet/pairs/{experiment}.csv": {"sha256": "4" * 64, "bytes": 1}}
    made = {"inputs": {"data/mnist/source.csv": "5" * 64}, "outputs": outputs}
    return receipt("pair_images", 2, params=params, wildcards={"experiment": experiment}, **made)


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
        self.sources = [self.source]
        write_text(self.source, f"{','.join(row)}\n{','.join(row.values())}\n")
        figures = self.folder / "dirnet" / "figures"
        figures.mkdir(parents=True)
        for name in ("fig2", "figS4_pairs"):
            (figures / f"{name}.svg").write_bytes(SVG)
            write_text(figures / f"{name}.csv", "step,loss\n1,</script>\n")
        write_text(figures / "figS4_pairs.panels.json", json.dumps(PANELS))
        self.figures = figures
        self.table = self.folder / "dirnet" / "tables" / "tab1.csv"
        write_text(self.table, "method,group,cases,ncc,ncc_low,ncc_high\nA & B,007,60000,0.123456,0.1,0.2\n")
        store(self.folder, "environment", canonical_json(ENVIRONMENT).encode(), ".json")
        store(self.folder, "code", SOURCE.encode(), ".py")
        self.receipts = {
            "receipts/data/fetch_dataset/mnist.json": fetched("mnist", "standin"),
            "receipts/dirnet/pair_images/mnist.json": paired("mnist"),
            "receipts/dirnet/train_model/mnist/dirnet_bl_0_seed0.json": training("0", "0"),
            "receipts/dirnet/plot_figure/fig2.json": making(
                "plot_figure",
                8,
                self.folder,
                "dirnet/figures/fig2.svg",
                "dirnet/figures/fig2.csv",
                inputs={"dirnet/pairs/mnist.csv": "4" * 64},
                code={"scripts/plot_figure.py": CODE},
            ),
            "receipts/dirnet/plot_gallery/figS4_pairs.json": making(
                "plot_gallery", 8, self.folder, "dirnet/figures/figS4_pairs.png", "dirnet/figures/figS4_pairs.svg"
            ),
            "receipts/dirnet/make_table/tab1.json": making("make_table", 9, self.folder, "dirnet/tables/tab1.csv"),
        }
        self.context: dict[str, Any] = yaml.safe_load(CONTEXT)
        self.numbers: list[dict[str, str]] = [dict(NUMBER)]
        self.apart: list[dict[str, str]] = [dict(APART)]
        self.claims: list[dict[str, str]] = [dict(CLAIM), dict(MISSING)]

    def weighed(self) -> list[Path]:
        """The tables of `weigh_claims`, with the columns that it writes; none of them rests on times."""
        folder = self.folder / "dirnet" / "claims"
        folder.mkdir(parents=True, exist_ok=True)
        for name, columns in (("numbers", NUMBERS), ("apart", KEPT_APART), ("claims", CLAIMS)):
            for file, rows in ((name, getattr(self, name)), (f"timed_{name}", [])):
                with open(folder / f"{file}.csv", "w", encoding="utf-8", newline="") as target:
                    writer = csv.DictWriter(target, columns, extrasaction="ignore", lineterminator="\n")
                    writer.writeheader()
                    writer.writerows(rows)
        return sorted(folder.iterdir())

    def page(self) -> pages.PaperPage:
        files = [self.folder / name for name in self.receipts]
        for path, content in zip(files, self.receipts.values(), strict=True):
            write_json(path, content, sort_keys=False)
        return pages.paper_page(self.folder, self.context, files, self.sources, self.files(), self.weighed(), TEMPLATES)

    def files(self) -> exhibits.Files:
        drawings, numbers = (sorted(self.figures.glob(f"*.{suffix}")) for suffix in ("svg", "csv"))
        groups = (drawings, numbers, [self.table], sorted(self.figures.glob("*.panels.json")))
        return exhibits.Files(*(exhibits.by_name(group) for group in groups))


def index(run: Run) -> str:
    summary = run.page().summary
    root = {"root": "r" * 64, "papers": {"dirnet": "d" * 64}}
    context = {
        "known": summary.pop("known"),
        "papers": [summary],
        "run": "smoke",
        "scale": "smoke",
        "root": root,
        "data": summary["data"],
    }
    return pages.render(TEMPLATES, "index.html.j2", **context)


def ledger(run: Run) -> str:
    rows = ledger_rows(["dirnet"], run.weighed())
    return pages.render(TEMPLATES, "ledger.html.j2", rows=rows, run="smoke", scale="smoke")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def both_pages(run: Run) -> list[str]:
    return [run.page().html, index(run), ledger(run)]


def test_pages_are_whole_and_name_each_place_once(run: Run) -> None:
    for html in both_pages(run):
        page = Page(html)
        assert page.open == []
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        assert not re.search("{{|{%", html)


# Within the page, to another page, to code that the run keeps, or what stands in the page.
LINKS = r"|#\S+|[a-z]+\.html(#[a-z0-9_]+)?|\.\./receipts/store/code/[0-9a-f]{64}\.py|data:image/svg\+xml;base64,\S+"
LINKS += r"|\.\./[a-z_]+/notebooks/[a-z_]+\.(html|ipynb)"


def sources(policy: str) -> dict[str, list[str]]:
    return {name: values for name, *values in (part.split() for part in policy.split("; "))}


def test_nothing_in_a_page_is_fetched_and_only_our_own_script_runs(run: Run) -> None:
    for html in both_pages(run):
        page = Page(html)
        (policy,) = [str(m["content"]) for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
        allowed = sources(policy)
        assert allowed["default-src"] == allowed["base-uri"] == allowed["form-action"] == ["'none'"]
        assert allowed["img-src"] == ["data:"]
        for kind, tag in (("style-src", "style"), ("script-src", "script")):
            (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.S)
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert allowed[kind] == [f"'sha256-{digest}'"]
        # The policy stands before everything that it is about.
        assert html.index("Content-Security-Policy") < html.index("<style")
        assert not {tag for tag, _ in page.elements} & {"link", "iframe", "object", "embed", "base", "form"}
        assert {a.get("type") for a in page.all("script")} <= {None, "application/json"}
        for tag, attributes in page.elements:
            assert not [name for name in attributes if name.startswith("on") or name == "style"]
            for name in ("src", "href", "srcset", "action", "data", "poster"):
                value = attributes.get(name) or ""
                assert re.fullmatch(LINKS, value), (tag, name)


def test_styles_and_scripts_load_nothing_and_end_where_they_end() -> None:
    folder = TEMPLATES[0].parent
    for name in (*pages.STYLES, *pages.SCRIPTS):
        text = (folder / name).read_text(encoding="utf-8")
        assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text), name
        assert not re.search(r"fetch\(|XMLHttpRequest|WebSocket|import\(|eval\(|innerHTML|</s|\r", text), name


def test_every_image_is_in_the_page_and_has_a_text(run: Run) -> None:
    images = Page(run.page().html).all("img")
    assert [image["alt"] for image in images] == ["Fig. 2: A figure.", "Fig. S4: Best and worst."]
    kind, data = str(images[0]["src"]).split(",")
    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(data) == SVG


def test_text_is_escaped_wherever_it_comes_from(run: Run) -> None:
    context = run.context
    for key in ("title", "authors", "reference", "summary"):
        context[key] = EVIL
    context["exhibits"]["fig2"]["caption"] = EVIL
    context["exhibits"]["tab1"]["place"] = EVIL
    context["datasets"]["mnist"] |= {"licence": EVIL, "title": EVIL}
    context["experiments"]["mnist"]["methods"]["dirnet_bl"] = {"label": EVIL, "note": EVIL}
    context["choices"][0]["paper"] = run.claims[0]["quote"] = EVIL
    run.numbers[0]["row"] = run.claims[0]["said"] = EVIL
    params = run.receipts["receipts/dirnet/train_model/mnist/dirnet_bl_0_seed0.json"]["recipe"]["params"]
    params["model"] = {EVIL: EVIL}
    run.receipts["receipts/dirnet/make_table/tab1.json"]["undeclared_reads"] = [EVIL]
    with open(run.table, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["method", EVIL], [EVIL, "1"]])
    for html in both_pages(run):
        page = Page(html)
        assert "<script>alert" not in html
        # Our own script, and data that no browser runs.
        assert sum(a.get("type") is None for a in page.all("script")) == 1
        assert page.open == []
        assert EVIL in page.text
    assert Page(run.page().html).all("img")[0]["alt"] == f"Fig. 2: {EVIL}"


def test_data_in_a_page_come_out_as_they_went_in(run: Run) -> None:
    html = run.page().html
    data = re.findall(r'<script type="application/json" class="(\w+)"[^>]*>(.*?)</script>', html, re.S)
    assert [kind for kind, _ in data] == ["csv", "panels", "csv", "csv", "csv", "csv", "known"]
    values = [json.loads(text) for _, text in data]
    assert values[0] == (run.figures / "fig2.csv").read_text(encoding="utf-8")
    assert values[1] == PANELS
    assert values[3] == run.table.read_text(encoding="utf-8")
    assert not any("<" in text for _, text in data)


def test_a_name_that_is_not_given_is_an_error(run: Run) -> None:
    with pytest.raises(UndefinedError, match="'scale' is undefined"):
        pages.render(TEMPLATES, "index.html.j2", papers=[], run="smoke", root={"root": "", "papers": {}}, data=[])
    del run.context["summary"]
    with pytest.raises(UndefinedError, match="summary"):
        run.page()


def test_an_exhibit_without_a_receipt_is_an_error(run: Run) -> None:
    run.receipts["receipts/dirnet/plot_figure/fig2.json"]["outputs"] = {}
    with pytest.raises(KeyError, match=r"no receipt records dirnet/figures/fig2\.svg"):
        run.page()


def test_a_page_says_what_was_run(run: Run) -> None:
    html, manifest, _ = run.page()
    text = " ".join(Page(html).text.split())
    for words in (
        "MNIST digits",
        "synthetic: a synthetic stand-in in the official layout, not the data of the paper",
        f"x.gz {'a' * 64}",
        "Split last_of_train, fraction 1/6. Validation pairs random_within_group, per group 16. Test pairs one.",
        "1 network, seed 0. Model: dirnet. Schedule: batch 32. Optimiser: lr 0.001. Loss: ncc 1.0. Determinism: warn. a note",
        "plot_figure",
        "reregister rebuild dirnet/fig2 --config run=smoke scale=smoke 'data={mnist: standin}'",
        "3 verified",
        "rerun in part 1 of the paper's 2 experiments; not attempted: scd",
        "Scd was not run.",
        "nothing: no undeclared file, code or connection",
        "CPython 3.11.7",
        "A processor (avx2)",
        "numpy 2.0",
        manifest["root"],
        "snakemake --cores all dirnet --config run=smoke scale=smoke 'data={mnist: standin}'",
        "--force results/smoke/dirnet/figures/fig2.svg --config run=smoke",
        "--force results/smoke/dirnet/figures/figS4_pairs.svg --config run=smoke",
        "--force results/smoke/dirnet/tables/tab1.csv --config run=smoke",
    ):
        assert words in text, words


def test_an_own_split_is_said_in_the_place_of_the_papers_rule(run: Run) -> None:
    pairing = run.receipts["receipts/dirnet/pair_images/mnist.json"]
    pairing["recipe"]["params"]["own_split"] = {"train": ["a", "b"], "test": ["c"]}
    text = " ".join(Page(run.page().html).text.split())
    assert "Split by own lists in place of the paper's: train 2, test 1. Validation pairs" in text
    assert "Split last_of_train" not in text


def test_the_anatomy_of_a_real_label_map_is_said(run: Run) -> None:
    words = "with the anatomy of a real label map"
    making = receipt("make_standin", call={"input": {"anatomy": []}})
    run.receipts["receipts/data/make_standin/mnist.json"] = making
    assert words not in run.page().html
    making["call"]["input"]["anatomy"] = ["data/mnist/labels_01.nii.gz"]
    making["recipe"]["inputs"] = {"data/mnist/labels_01.nii.gz": "e" * 64}
    text = " ".join(Page(run.page().html).text.split())
    assert f"the data are a synthetic stand-in in the official layout, {words}. Every" in text
    assert f"{words}, labels_01.nii.gz, but grey values and deformations made up. Licence" in text
    assert f"labels_01.nii.gz, the label map of the anatomy {'e' * 64}" in text
    assert f"{words}, labels_01.nii.gz" in " ".join(Page(index(run)).text.split())


def test_claims_stand_apart_by_whether_they_were_attempted(run: Run) -> None:
    text = " ".join(Page(run.page().html).text.split())
    here, elsewhere = text.index("Weighed “"), text.index("Not attempted “")
    assert here < text.index("“easy”") < elsewhere < text.index("“accurate”")
    assert "On the stand-in: holds. 0.9. Abstract. Decided by: NCC. Data: stand-in. Split: the paper's rule." in text
    assert "Not attempted. Scd was not run." in text


def test_every_link_within_a_page_leads_somewhere(run: Run) -> None:
    page = Page(run.page().html)
    places = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    inside = [str(a["href"])[1:] for a in page.all("a") if str(a["href"]).startswith("#")]
    assert len(inside) > 8
    assert set(inside) <= places
    names = ("aria-describedby", "aria-labelledby")
    described = [str(a[name]) for _, a in page.elements for name in names if name in a]
    assert set(described) <= places


def test_a_page_leads_to_the_notebook_where_the_paper_has_one(run: Run) -> None:
    addresses = {str(a["href"]) for a in Page(run.page().html).all("a")}
    assert {"../dirnet/notebooks/dirnet.html", "../dirnet/notebooks/dirnet.ipynb"} <= addresses
    run.context["notebook"] = None
    assert "notebooks" not in run.page().html


def test_published_numbers_stand_in_tables_of_their_own(run: Run) -> None:
    html = run.page().html
    names = ("tab1-table", "table1-table", "table1-apart-table")
    shown = [re.search(rf'id="{name}".*?</table>', html, re.S) for name in names]
    ours, published, apart = (found[0] if found else "" for found in shown)
    assert "0.62" in published
    assert "0.62" not in ours + apart
    assert "0.7123" in apart
    assert "0.7123" not in ours + published
    # Nor in the ledger.
    assert "0.7123" not in ledger(run)
    assert "On the stand-in." in html


def test_where_the_axes_allow_it_ours_stands_beside_a_printed_number(run: Run) -> None:
    run.numbers[0] |= {**OURS, "data": "original", "scope": "full", "word": "equivalent", "said": "Within the margin."}
    run.apart = []
    table = re.search(r'id="table1-table".*?</table>', run.page().html, re.S)
    assert table
    cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", table[0])
    row = [re.sub(r"<[^>]+>", "", cell) for cell in cells[len(cells) // 2 :]]
    axes = ["original", "the paper&#39;s rule", "5 %", "full", "same"]
    assert row == ["A", "Dice", "0.62", "0.7123 (0.7 to 0.725)", "Equivalent. Within the margin.", *axes]
    assert "ours 0.7123 (0.7 to 0.725)" in ledger(run)


def test_the_ledger_has_one_row_for_each_number_and_claim(run: Run) -> None:
    page = Page(ledger(run))
    rows = [a for a in page.all("tr") if "data-paper" in a]
    assert [(row["data-paper"], row["data-word"], row["data-scope"]) for row in rows] == [
        ("dirnet", "kept apart", "stand-in"),
        ("dirnet", "holds", "stand-in"),
        ("dirnet", "not attempted", "no result"),
    ]
    text = " ".join(page.text.split())
    for words in (
        "0.62 (A, Dice)",
        "“easy”",
        "mnist: DIRNet",
        "Schedule: 5 %. Model: full",
        "On the stand-in: holds. 0.9.",
        "Scd was not run.",
    ):
        assert words in text, words
    assert {a["href"] for a in page.all("a")} >= {"dirnet.html#table1", "dirnet.html#c1", "index.html"}


def test_rows_of_times_come_back_to_their_places(run: Run) -> None:
    folder = run.weighed()[0].parent
    late = {**CLAIM, "order": "2", "id": "c3", "quote": "last"}
    early = {**CLAIM, "order": "0", "id": "c0", "quote": "first"}
    for name, rows in (("claims", [late]), ("timed_claims", [early])):
        with open(folder / f"{name}.csv", "w", encoding="utf-8", newline="") as target:
            writer = csv.DictWriter(target, CLAIMS, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
    found = [row["what"] for row in ledger_rows(["dirnet"], sorted(folder.iterdir()))]
    assert found == ["0.62 (A, Dice)", "“first”", "“last”"]


def test_cells_of_a_table(run: Run) -> None:
    table = re.search(r'id="tab1".*?</table>', run.page().html, re.S)
    assert table
    text = re.sub(r"<[^>]+>", "", table[0][table[0].index("<thead") :])
    assert text.split("\n")[0] == "methodgroupcasesNCC (95 % interval)"
    # A group that looks like a number stays as it is; the interval stands with its value.
    assert text.strip().split("\n")[2] == "A &amp; B00760,0000.1235 (0.1 to 0.2)"
    assert 'data-sort="0.123456"' in table[0]


def test_the_index_says_of_each_paper_how_far_it_is(run: Run) -> None:
    run.receipts["receipts/dirnet/make_table/tab1.json"]["undeclared_reads"] = ["x"]
    text = " ".join(Page(index(run)).text.split())
    for words in (
        "A title",
        "rerun in part 1 of the paper's 2 experiments; not attempted: scd; 1 remark of the jobs",
        "MNIST digits synthetic",
        "2 figures, 1 table",
        "6 jobs, 9 s in all, the last at 2026-01-01 01:30 UTC",
        "1 environment record",
        run.page().manifest["root"],
        "r" * 64,
    ):
        assert words in text, words


def test_a_paper_that_was_rerun_whole_says_so(run: Run) -> None:
    run.context["claims"] = {"numbers": [], "claims": run.context["claims"]["claims"][:1]}
    run.numbers, run.apart, run.claims = [], [], run.claims[:1]
    html, _, summary = run.page()
    assert summary["state"] == {"word": "rerun", "done": 1, "all": 1, "missing": []}
    assert 'id="printed"' not in html
    assert "not attempted" not in html


@pytest.mark.parametrize(("origin", "notices"), [("synthetic", 1), ("original-verified", 0), ("subset 5/10", 0)])
def test_stand_ins_are_called_so_and_nothing_else_is(tmp_path: Path, origin: str, notices: int) -> None:
    html = Run(tmp_path, origin).page().html
    # A part of the cases has a notice of its own.
    part = origin.startswith("subset")
    assert ("they are no reproduction of the paper's numbers" in html) == part
    assert html.count('class="notice"') == notices + part
    assert html.count("Made from a synthetic stand-in, smoke scale.") == 3 * notices
    # At the head, and at the end of each exhibit's chain.
    assert html.count('class="badge warn"') == 4 * notices


def test_only_exhibits_of_the_stand_in_are_called_so(run: Run) -> None:
    other = run.folder / "data" / "real" / "source.csv"
    write_text(other, f"member,bytes,sha256,origin\ny,1,{'b' * 64},original-verified\n")
    run.context["datasets"]["real"] = {"title": "Real", "licence": "CC", "citation": "X"}
    run.context["experiments"]["other"] = {"title": "T", "section": "5", "dataset": "real", "methods": {}}
    run.context["exhibits"]["tab1"]["experiment"] = "other"
    run.sources.append(other)
    html = run.page().html
    assert html.count("Made from a synthetic stand-in, smoke scale.") == 2
    assert html.count('class="notice"') == 1
    assert "MNIST digits: the data are a synthetic stand-in" in html


def test_labels_and_texts_of_pictures() -> None:
    for name, label in (
        ("fig2_mnist_curves", "Fig. 2"),
        ("figS1_fold", "Fig. S1"),
        ("fig3b_x", "Fig. 3b"),
        ("tableS1_methods", "Table S1"),
        ("fig2", "Fig. 2"),
        ("figure_of_all", "figure_of_all"),
        ("curves", "curves"),
    ):
        assert exhibits.label_of(name) == label
    assert (
        exhibits.alternative_text("fig1_x", {"caption": "DIRNet, 3.5 layers. More."}) == "Fig. 1: DIRNet, 3.5 layers."
    )


def test_the_page_lists_findings(run: Run) -> None:
    run.receipts["receipts/dirnet/make_table/tab1.json"]["undeclared_reads"] = ["outside/secret.csv"]
    text = Page(run.page().html).text
    assert "receipts/dirnet/make_table/tab1.json: undeclared reads: outside/secret.csv" in text
    assert "nothing: no undeclared" not in text


def test_one_byte_of_one_receipt_changes_the_root(run: Run) -> None:
    manifest = run.page().manifest
    files = [run.folder / name for name in run.receipts]
    assert set(manifest["receipts"]) == set(run.receipts)
    assert record.manifest_of(run.folder, [*reversed(files), files[0]]) == manifest
    for path in files:
        kept = path.read_bytes()
        path.write_bytes(kept.replace(b"cccc", b"cccd", 1))
        changed = record.manifest_of(run.folder, files)
        name = path.relative_to(run.folder).as_posix()
        assert changed["root"] != manifest["root"]
        assert {key for key in run.receipts if changed["receipts"][key] != manifest["receipts"][key]} == {name}
        path.write_bytes(kept)
    assert record.manifest_of(run.folder, files[1:])["root"] != manifest["root"]
    assert run.page().manifest == manifest
