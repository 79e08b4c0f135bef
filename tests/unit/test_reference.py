"""The front door: config/README.md says what the schemas say, and what stands beside it in the root fits the project."""

import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from reregister import reference
from reregister.errors import ReregisterError

PROJECT = Path(__file__).resolve().parents[2]
SCHEMAS = sorted((PROJECT / "workflow" / "schemas").glob("*.schema.yaml"))
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "config/README.md", "results/README.md")

SMALL = """
title: config/small.yaml
description: A small one.
type: object
minProperties: 1
required: [mode, parts]
properties:
  mode: {enum: [a, b], default: a, description: What to do with config/<this>.}
  parts:
    type: object
    description: Parts by name.
    required: [first]
    propertyNames: {pattern: "^(a|b)$"}
    additionalProperties: {$ref: "#/$defs/part"}
  limit: {anyOf: [{type: "null"}, {type: integer, minimum: 1}], default: null, description: How many.}
$defs:
  part:
    type: object
    required: [name]
    properties:
      name: {type: string, minLength: 1, description: Its name.}
      sizes: {type: array, minItems: 2, uniqueItems: true, items: {type: number, exclusiveMinimum: 0}, description: Sizes.}
      nodes:
        type: array
        description: Nodes.
        items: {type: object, properties: {root: {type: boolean, default: true, description: Whether.}}}
    if: {properties: {name: {const: x}}}
    then: {required: [sizes]}
"""


def read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def parsed(name: str) -> Any:
    return yaml.safe_load(read(name))


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one schema."""
    folder = tmp_path / "workflow" / "schemas"
    folder.mkdir(parents=True)
    (folder / "small.schema.yaml").write_text(SMALL, encoding="utf-8")
    (folder / "head.md").write_text("# Configuration\n", encoding="utf-8")
    monkeypatch.setattr(reference, "SCHEMAS", ("small",))
    monkeypatch.setattr(reference, "PROJECT", tmp_path)
    return tmp_path


def test_the_page_says_what_the_schemas_say() -> None:
    assert read("config/README.md") == reference.page(PROJECT), "run make docs"


def test_every_schema_has_a_chapter() -> None:
    assert {path.name for path in SCHEMAS} == {f"{name}.schema.yaml" for name in reference.SCHEMAS}


def keys_named(node: Any) -> list[str]:
    """Names of all properties of a schema at any depth, conditions left out."""
    if isinstance(node, list):
        return [key for part in node for key in keys_named(part)]
    if not isinstance(node, Mapping):
        return []
    inner = [key for word, part in node.items() if word not in ("if", "then") for key in keys_named(part)]
    # A key of a config may itself be called `properties`; no schema of ours has one.
    return inner + list(node.get("properties", {}))


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
def test_every_key_of_a_schema_has_one_row(path: Path) -> None:
    schema = yaml.safe_load(path.read_text(encoding="utf-8"))
    chapter = reference.page(PROJECT).split(f"## `{schema['title']}`\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \|", chapter, flags=re.M)
    assert sorted(row.rsplit(".", 1)[-1] for row in rows) == sorted(
        key.rsplit(".", 1)[-1] for key in keys_named(schema)
    )


def test_rows_of_a_small_schema(small: Path) -> None:
    lines = reference.page(small).splitlines()
    assert lines[0] == "# Configuration"
    assert "The file as a whole: keys: at least 1." in lines
    assert [line for line in lines if line.startswith("| `")] == [
        '| `mode` | word | `a`, `b` | *required* (`"a"`) | What to do with config/&lt;this>. |',
        "| `parts` | mapping of [part](#each-part) | has `first`; each key matches `^(a\\|b)$` | *required* | Parts by name. |",
        "| `limit` | null or integer | at least 1 | `null` | How many. |",
        "| `name` | text | length at least 1 | *required* | Its name. |",
        "| `sizes` | list of number | entries: at least 2; no repetitions; each more than 0 |  | Sizes. |",
        "| `nodes` | list of mapping |  |  | Nodes. |",
        "| `nodes[].root` | true or false |  | `true` | Whether. |",
    ]
    place = lines.index("### Each part")
    assert lines[place + 2] == "At `parts.<name>`."
    assert lines[-1] == "Where `name` is `x`, `sizes` is required."


def test_keys_of_an_alternative_and_a_choice_of_keys(small: Path) -> None:
    path = small / "workflow/schemas/small.schema.yaml"
    option = "{type: object, required: [of], properties: {of: {type: string, description: Of what.}}}"
    text = SMALL.replace("{type: integer, minimum: 1}", option)
    path.write_text(
        text.replace("then: {required: [sizes]}", "then: {anyOf: [{required: [sizes]}, {required: [nodes, x]}]}")
    )
    lines = reference.page(small).splitlines()
    place = lines.index("| `limit` | null or mapping |  | `null` | How many. |")
    assert lines[place + 1] == "| `limit.of` | text |  | *required* | Of what. |"
    assert lines[-1] == "Where `name` is `x`, `sizes` or `nodes` and `x` is required."


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("exclusiveMinimum", "multipleOf", "multipleOf"),
        # In a flow mapping a comma ends the text: the rest becomes a key of its own.
        ("description: Whether.", "description: Whether, or not.", "or not."),
    ],
)
def test_a_word_that_it_cannot_explain_stops_it(small: Path, old: str, new: str, word: str) -> None:
    path = small / "workflow/schemas/small.schema.yaml"
    path.write_text(SMALL.replace(old, new), encoding="utf-8")
    with pytest.raises(ReregisterError, match=re.escape(f"small.schema.yaml uses {word}, which")):
        reference.page(small)


def test_print_write_and_check(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reference.main(["--check"]) == 1
    assert "cannot be read" in capsys.readouterr().err
    assert reference.main([]) == 0
    assert capsys.readouterr().out == reference.page(small)
    assert reference.main(["--write"]) == 0
    assert (small / "config" / "README.md").read_text(encoding="utf-8") == reference.page(small)
    assert reference.main(["--check"]) == 0
    (small / "workflow/schemas/small.schema.yaml").write_text(SMALL.replace("How many", "How few"), encoding="utf-8")
    assert reference.main(["--check"]) == 1
    assert "run make docs" in capsys.readouterr().err


def test_a_required_key_stands_in_the_config_at_its_default() -> None:
    schema = parsed("workflow/schemas/config.schema.yaml")
    for key in schema["required"]:
        assert parsed("config/config.yaml")[key] == schema["properties"][key]["default"]


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    text = read(name)
    anchors = {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.*)$", text, re.M)}
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    for link in (link for link in links if not link.startswith("https://")):
        path, _, anchor = link.partition("#")
        assert not path or (PROJECT / name).parent.joinpath(path).is_file(), link
        assert path or anchor in anchors, link


def commands(name: str) -> str:
    """The code of a page: blocks and spans."""
    text = read(name)
    blocks = re.findall(r"^```.*?^```", text, flags=re.M | re.S)
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))])


@pytest.mark.parametrize("name", PAGES)
def test_commands_name_what_there_is(name: str) -> None:
    code = commands(name)
    targets = set(re.findall(r"^(\w+):", read("Makefile"), flags=re.M))
    assert set(re.findall(r"^(?:\w+=\S+ )?make (\w+)", code, flags=re.M)) <= targets
    known = set(parsed("workflow/schemas/config.schema.yaml")["properties"])
    settings = re.findall(r"--config ((?:'[^']*'|[^\s'])+(?: (?:'[^']*'|\w+=\S+))*)", code)
    assert {key for words in settings for key in re.findall(r"(?:^|\s)'?(\w+)=", words)} <= known
    papers = {path.stem for kind in ("papers", "protocols") for path in (PROJECT / "config" / kind).glob("*.yaml")}
    rules = set(re.findall(r"^rule (\w+):", read("Snakefile"), flags=re.M))
    assert set(re.findall(r"snakemake --cores all (\w+)", code)) <= papers | rules


def test_readme_shows_the_two_commands_and_every_paper() -> None:
    text = read("README.md")
    assert "--config run=real scale=full data=download" in commands("README.md")
    assert {"make report", "make test"} <= {line.split(" #")[0].strip() for line in text.splitlines()}
    rows = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    for path in (PROJECT / "config" / "papers").glob("*.yaml"):
        assert f"`snakemake --cores all {path.stem} " in rows


def test_citation_has_the_project_and_the_five_papers() -> None:
    citation = parsed("CITATION.cff")
    project = tomllib.loads(read("pyproject.toml"))["project"]
    assert citation["cff-version"] == "1.2.0"
    assert (citation["title"], citation["version"]) == (project["name"], project["version"])
    assert citation["license"] == project["license"]
    assert citation["authors"] == project["authors"]
    papers = {}
    for entry in citation["references"]:
        assert entry["authors"]
        assert entry["type"] in {"article", "conference-paper", "unpublished"}
        for author in entry["authors"]:
            assert set(author) - {"name-particle"} in ({"name"}, {"given-names", "family-names"})
        papers[re.match(r"Target (\w+)\.", entry["notes"])[1]] = entry  # type: ignore[index]
    assert set(papers) == {"dirnet", "mnist_voxelmorph", "label_driven", "reduced_voxelmorph", "deep_prior"}
    for path in (PROJECT / "config" / "papers").glob("*.yaml"):
        paper = parsed(f"config/papers/{path.name}")
        assert papers[path.stem]["title"].lower() == paper["title"].lower()
        for author in papers[path.stem]["authors"]:
            assert author.get("family-names", author.get("name")) in paper["authors"]


def test_hooks_run_the_pinned_linters_of_make_lint() -> None:
    (repository,) = parsed(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    pinned = re.findall(r"^([A-Za-z0-9_.-]+)==", read("requirements-dev.txt"), flags=re.M)
    lint = read("Makefile").split("\nlint:")[1].split("\n\n")[0]
    for hook in repository["hooks"]:
        folder, name = hook["entry"].split()[0].rsplit("/", 1)
        assert (folder, hook["language"]) == (".venv/bin", "system")
        assert name in {*pinned, "python"}
        assert f"$(BIN)/{' '.join(hook['entry'].split()[:2]).rsplit('/', 1)[1]}" in lint
        assert Path(sys.executable).with_name(name).exists()


def test_the_catalog_entry_promises_what_there_is() -> None:
    usage = parsed(".snakemake-workflow-catalog.yml")["usage"]
    rules = "\n".join(path.read_text(encoding="utf-8") for path in (PROJECT / "workflow" / "rules").glob("*.smk"))
    assert usage["software-stack-deployment"]["conda"] == ("conda:" in rules)
    assert usage["software-stack-deployment"]["singularity"] == ("container:" in rules)
    assert usage["report"] == bool(re.search(r"\breport\(", rules))
    assert (PROJECT / "config" / "README.md").is_file()


def test_the_changelog_has_a_place_for_what_is_new() -> None:
    headings = re.findall(r"^## (.*)$", read("CHANGELOG.md"), flags=re.M)
    assert headings[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d{2}-\d{2}", heading) for heading in headings[1:])
