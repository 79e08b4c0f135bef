"""`snakemake --report` on a finished run: each exhibit and notebook under its paper, with its caption, without a network."""

import html
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from reregister.config import read_yaml
from reregister.report.exhibits import label_of

from .conftest import PROJECT, Workflow

CONFIG = ("papers", "--config", "scale=smoke")
PAPERS = {path.stem: read_yaml(path) for path in sorted((PROJECT / "config" / "papers").glob("*.yaml"))}


def expected() -> dict[str, tuple[str, dict[str, Any]]]:
    """File of each exhibit of the run to its name and what the config says of it."""
    found = {}
    for paper, entry in PAPERS.items():
        for name, about in entry["exhibits"].items():
            if not entry["experiments"][about["experiment"]].get("on_request"):
                place = f"tables/{name}.csv" if about["kind"] == "table" else f"figures/{name}.svg"
                found[f"{paper}/{place}"] = (name, about)
    return found


def shown(page: str) -> dict[str, dict[str, Any]]:
    """What a report shows, by the file's name in the run."""
    (text,) = re.findall(r"var results = (\{.*?\});?\s*$", page, re.M)
    return {name.removeprefix("results/smoke/"): about for name, about in json.loads(text).items()}


def words(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())


@pytest.fixture(scope="module", params=["html", "zip"])
def page(request: pytest.FixtureRequest, smoke: Workflow, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / f"report.{request.param}"
    smoke.snakemake("--report", str(path), *CONFIG)
    if request.param == "html":
        return path.read_text(encoding="utf-8")
    with zipfile.ZipFile(path) as archive:
        drawn = {Path(name).name for name in archive.namelist() if name.endswith(".svg")}
        assert drawn == {Path(name).name for name in expected() if name.endswith(".svg")}
        return archive.read("report/report.html").decode()


def test_every_exhibit_is_there_with_place_caption_and_stand_in(page: str) -> None:
    found, exhibits = shown(page), expected()
    notebooks = {f"{paper}/notebooks/{paper}.html" for paper in PAPERS}
    assert set(found) == {*exhibits, *notebooks}
    assert all(found[name]["labels"]["exhibit"] == "Notebook" for name in notebooks)
    for place, (name, about) in exhibits.items():
        said = words(found[place]["caption"])
        assert words(f"{about['place']}: {about['caption']}") in said, name
        assert "Made from a synthetic stand-in, smoke scale" in said
        assert found[place]["labels"] == {"exhibit": label_of(name), "name": name, "place": about["place"]}


def test_a_report_fetches_nothing(page: str) -> None:
    assert not re.findall(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=[\"'](?:https?:)?//", page)
