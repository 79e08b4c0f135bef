"""Reading, completing and checking configuration, and the schemas themselves."""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonschema import Draft202012Validator

from reregister import losses
from reregister.config import SCALES, fill_defaults, merge, parse_overrides, read_yaml, resolve_scale
from reregister.data import pairing, pools, roles
from reregister.errors import ReregisterError
from reregister.metrics.labels import INTERPOLATIONS
from reregister.registry import load, names
from reregister.training.loop import build_optimiser
from reregister.validation import check, check_known, set_by

PROJECT = Path(__file__).resolve().parents[2]
SCHEMAS = sorted((PROJECT / "workflow" / "schemas").glob("*.yaml"))


def _schema(name: str) -> dict[str, Any]:
    return read_yaml(PROJECT / "workflow" / "schemas" / f"{name}.schema.yaml")


def _write(folder: Path, text: str) -> Path:
    path = folder / "some.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[0, 1]", [0, 1]),
        ("off", False),
        ("yes", True),
        ("null", None),
        ("3", 3),
        ("-0.5", -0.5),
        ("1e-3", 0.001),
        ("1E5", 1e5),
        ("-2.5e+3", -2500.0),
        (".5", 0.5),
        ("'1'", "1"),
        ('"off"', "off"),
        # What YAML 1.1 takes for octal 7, 90 seconds, a date, 1000 and 255.
        ("007", "007"),
        ("1:30", "1:30"),
        ("2026-11-20", "2026-11-20"),
        ("1_000", "1_000"),
        ("0xff", "0xff"),
        ("1.2.3", "1.2.3"),
        ("e5", "e5"),
        ("a text", "a text"),
        ("{a: [1e-3, off], b: {c: x}}", {"a": [0.001, False], "b": {"c": "x"}}),
        ("key: [", "key: ["),
        ("/data/with: colon: twice", "/data/with: colon: twice"),
        (7, 7),
        (None, None),
    ],
)
def test_values_of_the_command_line_mean_what_yaml_says(text: Any, value: Any) -> None:
    assert parse_overrides(text) == value
    assert type(parse_overrides(text)) is type(value)


def test_nested_values_are_parsed_leaf_by_leaf() -> None:
    given = {"a": {"lr": "1e-3", "parts": ["0", "off"]}, "b": "[1, 2]"}
    assert parse_overrides(given) == {"a": {"lr": 0.001, "parts": [0, False]}, "b": [1, 2]}


def test_text_stays_text_where_the_schema_takes_text_only() -> None:
    # Snakemake hands {train: ["7", off]} over without the quotes.
    lists = {"train": ["7", "off"], "validation": ["null"], "test": "12"}
    assert parse_overrides({"split": {"mnist": lists}}, _schema("config")) == {"split": {"mnist": lists}}
    assert parse_overrides({"run": "007", "seeds": ["7"]}, _schema("config")) == {"run": "007", "seeds": [7]}
    assert parse_overrides({"run": "null"}, _schema("config")) == {"run": None}
    training = {"parts": {"full": ["0", "1"]}, "batch": "8", "optimiser": {"lr": {"demo": "1e-2"}}}
    parsed = parse_overrides({"experiments": {"mnist": {"training": training}}}, _schema("paper"))
    assert parsed["experiments"]["mnist"]["training"] == {
        "parts": {"full": ["0", "1"]},
        "batch": 8,
        "optimiser": {"lr": {"demo": 0.01}},
    }


def test_read_yaml_gives_numbers_and_text_like_the_command_line(tmp_path: Path) -> None:
    path = _write(tmp_path, "lr: 1e-3\nid: 007\nday: 2026-11-20\nbase: &b {x: 1, y: 2}\nover: {<<: *b, y: 3}\n")
    expected = {"lr": 0.001, "id": "007", "day": "2026-11-20", "base": {"x": 1, "y": 2}, "over": {"x": 1, "y": 3}}
    assert read_yaml(path) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1,\nb: 2\n", r"some\.yaml, line 3: not valid YAML \("),
        ("a: 1\n\tb: 2\n", r"some\.yaml, line 2: not valid YAML"),
        ("a: \x00", r"some\.yaml: not valid YAML \(unacceptable character"),
        ("a: 1\nb: 2\na: 3\n", r"some\.yaml, line 3: .*the key a stands twice"),
        ("a:\n  lr: 1\n  b: {x: 1}\n  lr: 2\n", r"some\.yaml, line 4: .*the key lr stands twice"),
        ("a: {x: 1, y: {z: 1, z: 1}}\n", r"some\.yaml, line 1: .*the key z stands twice"),
        ("", r"some\.yaml is empty; allowed are keys with values"),
        ("[1, 2]", r"some\.yaml holds \[1, 2\]; allowed are keys with values"),
        ("only text", r'some\.yaml holds "only text"; allowed are keys with values'),
    ],
)
def test_read_yaml_names_file_and_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ReregisterError, match=words) as caught:
        read_yaml(_write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_read_yaml_names_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ReregisterError, match=r"gone\.yaml does not exist; restore it"):
        read_yaml(tmp_path / "gone.yaml")
    with pytest.raises(ReregisterError, match=r"cannot be read .*UTF-8"):
        read_yaml(tmp_path)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("a: Išgum é".encode("utf-16"))
    with pytest.raises(ReregisterError, match=r"latin\.yaml cannot be read .*UTF-8"):
        read_yaml(latin)


def test_a_merged_mapping_that_is_merged_again_has_no_key_twice(tmp_path: Path) -> None:
    # The anchor lies deeper than its use, so it is merged into before it is read itself.
    path = _write(tmp_path, "x:\n  y:\n    z: &z\n      <<: {k: 1, m: 2}\n      k: 3\nuse:\n  <<: *z\n  m: 4\n")
    assert read_yaml(path) == {"x": {"y": {"z": {"k": 3, "m": 2}}}, "use": {"k": 3, "m": 4}}


def test_merge_puts_values_over_values_and_changes_neither() -> None:
    base, over = {"a": {"x": 1, "y": {"z": 2}}, "b": [1, 2]}, {"a": {"y": {"w": 3}}, "b": [4], "c": None}
    assert merge(base, over) == {"a": {"x": 1, "y": {"z": 2, "w": 3}}, "b": [4], "c": None}
    assert base == {"a": {"x": 1, "y": {"z": 2}}, "b": [1, 2]}
    assert merge({"a": {"x": 1}}, {"a": "off"}) == {"a": "off"}
    assert merge({"a": "off"}, {"a": {"x": 1}}) == {"a": {"x": 1}}


def test_resolve_scale_at_any_depth() -> None:
    value = {
        "limit": {"smoke": 8, "demo": 60, "full": None},
        "list": [{"smoke": 1, "demo": 2, "full": 3}],
        "whole": {"smoke": {"a": 1}, "demo": {"a": {"smoke": 0, "demo": 7, "full": 0}}, "full": {}},
        "plain": {"full": 5, "other": 6},
    }
    assert resolve_scale(value, "full") == {"limit": None, "list": [3], "whole": {}, "plain": {"full": 5, "other": 6}}
    assert resolve_scale(value, "demo")["whole"] == {"a": 7}
    assert resolve_scale(value, "smoke")["limit"] == 8


@pytest.mark.parametrize("half", [{"smoke": 1}, {"smoke": 1, "demo": 2}, {"smoke": 1, "demo": 2, "ful": 3}])
def test_resolve_scale_refuses_some_of_the_scales(half: dict[str, int]) -> None:
    with pytest.raises(
        ReregisterError, match=r"^x\.yaml: key a\.1\.b has values for smoke.*; allowed are smoke, demo and"
    ):
        resolve_scale({"a": [0, {"b": half}]}, "smoke", "x.yaml")


FILLED = {
    "type": "object",
    "additionalProperties": {"$ref": "#/$defs/entry"},
    "properties": {"top": {"default": {"mode": "b"}, "properties": {"mode": {}, "deep": {"default": 1}}}},
    "$defs": {
        "entry": {"properties": {"note": {"default": ""}, "list": {"items": {"$ref": "#/$defs/item"}}}},
        "item": {"properties": {"n": {"default": [0]}}},
    },
}


def test_fill_defaults_through_references_lists_and_defaults() -> None:
    value = {"one": {"list": [{}, {"n": 2}]}, "two": {"note": "kept"}}
    filled = fill_defaults(value, FILLED)
    assert filled == {
        "one": {"note": "", "list": [{"n": [0]}, {"n": 2}]},
        "two": {"note": "kept"},
        "top": {"mode": "b", "deep": 1},
    }
    assert value == {"one": {"list": [{}, {"n": 2}]}, "two": {"note": "kept"}}
    # A default that one filled value changes is not that of the next.
    filled["one"]["list"][0]["n"].append(1)
    assert fill_defaults(value, FILLED)["one"]["list"][0]["n"] == [0]


CHECKED = {
    "type": "object",
    "additionalProperties": False,
    "required": ["batch"],
    "properties": {
        "batch": {"type": "integer", "minimum": 1, "description": "Pairs per step."},
        "lr": {"type": "number", "exclusiveMinimum": 0},
        "device": {"enum": ["auto", "cpu"]},
        "name": {"type": "string", "pattern": "^[a-z]+$"},
        "seeds": {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "integer"}},
        "limit": {"anyOf": [{"type": "null", "description": "null"}, {"type": "integer", "description": "an integer"}]},
        "deep": {
            "type": "object",
            "propertyNames": {"pattern": "^[a-z]+$"},
            "additionalProperties": {"required": ["x"], "additionalProperties": False, "properties": {"x": {}}},
        },
    },
}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"bacth": 3}, "key bacth is not known and nothing reads it; allowed here are batch, deep, device, limit, lr"),
        ({"batch": 0}, "key batch is 0; allowed is at least 1"),
        ({"batch": "8"}, 'key batch is "8"; allowed is a value of type integer'),
        ({"batch": 8.0}, "key batch is 8.0; allowed is a value of type integer"),
        ({"batch": True}, "key batch is true; allowed is a value of type integer"),
        ({"lr": 0}, "key lr is 0; allowed is more than 0"),
        ({"lr": float("nan")}, "key lr is NaN; allowed is a value of type number"),
        ({"device": "gpu"}, 'key device is "gpu"; allowed is one of auto, cpu'),
        ({"name": "Išgum"}, 'key name is "Išgum"; allowed is text that matches "^[a-z]+$"'),
        ({"seeds": []}, "key seeds is []; allowed is a list of at least 1"),
        ({"seeds": [1, 1]}, "key seeds is [1, 1]; allowed is a list without repetitions"),
        ({"seeds": [1, "x"]}, 'key seeds.1 is "x"; allowed is a value of type integer'),
        ({"limit": "all"}, 'key limit is "all"; allowed is null; or an integer'),
        (
            {"deep": {"A": {"x": 1}}},
            'key deep.A has a name that cannot stand there; allowed is text that matches "^[a-z',
        ),
        ({"deep": {"a": {"x": 1, 2: 3}}}, "key deep.a.2 is not known and nothing reads it; allowed here are x"),
        ({"deep": {"a": {}}}, "key deep.a.x is missing; allowed is a value"),
        ({"device": "g" * 200}, 'key device is "' + "g" * 76 + "...; allowed is one of auto, cpu"),
    ],
)
def test_check_names_place_key_found_and_allowed(change: dict[str, Any], sentence: str) -> None:
    value = {"batch": 4, **change}
    with pytest.raises(ReregisterError) as of_file:
        check(value, CHECKED, "config/some.yaml")
    assert str(of_file.value).startswith(f"config/some.yaml: {sentence}")
    with pytest.raises(ReregisterError) as of_command_line:
        check(value, CHECKED, "config/some.yaml", change)
    assert str(of_command_line.value).startswith(f"--config: {sentence}")
    check({"batch": 4}, CHECKED, "config/some.yaml", change)


def test_a_missing_key_is_explained() -> None:
    with pytest.raises(ReregisterError) as caught:
        check({}, CHECKED, "f.yaml", {"lr": 1})
    assert str(caught.value) == "f.yaml: key batch is missing; allowed is a value of type integer (Pairs per step)"


def test_a_misspelt_key_is_named_before_the_key_that_it_leaves_missing() -> None:
    with pytest.raises(ReregisterError, match="key bacth is not known"):
        check({"bacth": 4}, CHECKED, "f.yaml")


def test_the_place_is_that_of_the_very_key() -> None:
    value = {"batch": 4, "deep": {"mine": {"x": 1}, "theirs": {"y": 1}}}
    with pytest.raises(ReregisterError, match=r"^f\.yaml: key deep\.theirs\.y is not known"):
        check(value, CHECKED, "f.yaml", {"deep": {"mine": {"x": 1}}})
    with pytest.raises(ReregisterError, match=r"^--config papers\.p: key deep\.theirs\.y is not known"):
        check(value, CHECKED, "f.yaml", {"deep": {"theirs": {"y": 1}}}, "--config papers.p")
    with pytest.raises(
        ReregisterError, match=r"^f\.yaml: key deep\.theirs names z, which is not known; allowed is one of"
    ):
        check_known("z", ["a", "b"], ["deep", "theirs"], "f.yaml", {"deep": {"mine": "z"}})
    with pytest.raises(ReregisterError, match=r"^--config: key deep\.theirs names z"):
        check_known("z", ["a", "b"], ["deep", "theirs"], "f.yaml", {"deep": {"theirs": "z"}})
    assert set_by({"n": {"smoke": {}, "full": {}}}, ["n", "batch"])
    assert set_by({"data": "download"}, ["data", "mnist"])
    assert not set_by({"data": {"acdc": "x"}}, ["data", "mnist"])
    assert not set_by({"data": "x"}, [])


def _properties(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Path, schema and requiredness of every property that a schema names, at any depth."""
    if isinstance(schema, Mapping):
        for key, part in schema.get("properties", {}).items():
            yield ".".join([*path, key]), part, key in schema.get("required", [])
            yield from _properties(part, (*path, key))
        for word, part in schema.items():
            if word not in ("properties", "if", "then"):
                yield from _properties(part, (*path, str(word)))
    elif isinstance(schema, list):
        for part in schema:
            yield from _properties(part, path)


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
def test_every_key_has_a_description_and_a_valid_default(path: Path) -> None:
    schema = read_yaml(path)
    Draft202012Validator.check_schema(schema)
    found = list(_properties(schema))
    assert found
    for key, part, _ in found:
        target = schema["$defs"][part["$ref"].rsplit("/", 1)[-1]] if "$ref" in part else part
        assert target.get("description", "").strip(), f"{path.name}: {key} has no description"
        if "default" in part:
            Draft202012Validator({**part, "$defs": schema.get("$defs", {})}).validate(part["default"])


def test_every_optional_key_of_the_config_has_a_default() -> None:
    optional = {key: part for key, part, required in _properties(_schema("config")) if not required}
    assert set(optional) >= {"run", "data", "seeds", "device", "publishable", "accept_terms", "split", "papers"}
    # A role that an own split does not name has no image.
    roles_left_out = {"split.additionalProperties.validation"}
    assert {key for key, part in optional.items() if "default" not in part} == roles_left_out


def _words_of_sources(folders: tuple[str, ...]) -> set[str]:
    """Attributes and string literals that are one word, in scripts, rules and templates; comments left out."""
    words: set[str] = set()
    for path in (path for folder in folders for path in (PROJECT / folder).rglob("*")):
        if path.suffix == ".py" and path.stem not in ("config", "validation"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                words |= {node.attr} if isinstance(node, ast.Attribute) else set()
                words |= {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()
        elif path.suffix in (".smk", ".j2"):
            text = re.sub(r"#.*|\{#.*?#\}", "", path.read_text(encoding="utf-8"))
            words |= set(re.findall(r"""["'](\w+)["']""", text)) | set(re.findall(r"\.(\w+)", text))
    return words


@pytest.mark.parametrize(
    ("schema", "folders"),
    [
        ("config", ("scripts", "workflow")),
        ("datasets", ("scripts", "workflow")),
        ("paper", ("scripts", "workflow")),
        # What the paper prints and claims is weighed against a run, and shown.
        ("claims", ("scripts/reregister/claims", "scripts/reregister/report", "workflow/report")),
    ],
)
def test_each_key_is_read_by_something(schema: str, folders: tuple[str, ...]) -> None:
    words = _words_of_sources(folders)
    assert "no_such_key" not in words
    # The optimiser's settings go to torch by their own names.
    words |= set(inspect.signature(torch.optim.Adam).parameters)
    assert sorted({key.rsplit(".", 1)[-1] for key, *_ in _properties(_schema(schema))} - words) == []


def test_names_in_the_schema_are_those_of_the_code() -> None:
    definitions = _schema("paper")["$defs"]
    split = definitions["experiment"]["properties"]["split"]["properties"]["name"]["enum"]
    assert sorted(split) == sorted(roles._RULES)
    assert sorted(definitions["pairing"]["properties"]["name"]["enum"]) == sorted(
        [*pairing._PAIRINGS, pairing.NO_PAIRS]
    )
    pool = definitions["experiment"]["properties"]["pairs"]["properties"]["training"]["properties"]["name"]
    assert sorted(pool["enum"]) == sorted([*pools.POOLS, pairing.NO_PAIRS])
    assert set(_schema("config")["properties"]["split"]["additionalProperties"]["properties"]) == set(roles.ROLES)
    assert definitions["experiment"]["properties"]["label_interpolation"]["enum"] == list(INTERPOLATIONS)
    assert sorted(definitions["loss"]["propertyNames"]["enum"]) == sorted(losses.TERMS)
    optimiser = definitions["optimiser"]
    for name in optimiser["properties"]["name"]["enum"]:
        build_optimiser(torch.nn.Linear(1, 1), fill_defaults({"name": name, "lr": 0.1}, optimiser))
    tools = set(definitions["method"]["properties"]["tool"]["enum"]) - {"network", "prior", "openvino"}
    assert tools == {name for name in names("baselines") if hasattr(load("baselines", name), "register")}
    assert tuple(_schema("config")["properties"]["scale"]["enum"]) == SCALES


def test_what_a_method_may_train_otherwise_has_the_form_of_its_experiment() -> None:
    definitions = _schema("paper")["$defs"]
    own, shared = definitions["method"]["properties"]["training"]["properties"], definitions["training"]["properties"]
    assert set(own) <= set(shared)
    # What a method leaves out is its experiment's, so nothing has a default of its own.
    bare = [
        {key: {**part, "description": "", "default": None} for key, part in parts.items() if key in own}
        for parts in (own, shared)
    ]
    assert bare[0] == bare[1]
