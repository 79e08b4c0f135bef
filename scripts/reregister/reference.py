"""config/README.md, made from the configuration's schemas so that it says what they say.

`python -m reregister.reference` prints it, `--write` writes it, `--check` fails where the file says something else.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from reregister.errors import ReregisterError
from reregister.provenance.files import write_text

PROJECT = Path(__file__).resolve().parents[2]
PAGE = "config/README.md"
FOLDER = "workflow/schemas"
# In the order in which a reader meets the files.
SCHEMAS = ("config", "paper", "datasets", "claims")

_TYPES = {"string": "text", "boolean": "true or false", "array": "list", "object": "mapping"}
_LIMITS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "length at least {}",
    "minItems": "entries: at least {}",
    "maxItems": "entries: at most {}",
    "minProperties": "keys: at least {}",
    "pattern": "matches `{}`",
}
_WORDS = {"$schema", "$ref", "$defs", "title", "description", "type", "properties", "required", "additionalProperties"}
_WORDS |= {
    "propertyNames",
    "items",
    "anyOf",
    "enum",
    "const",
    "default",
    "uniqueItems",
    "if",
    "then",
    "oneOf",
    "not",
    *_LIMITS,
}

Schema = Mapping[str, Any]


def page(base: Path) -> str:
    """The whole page as Markdown: `head.md` of the schemas' folder in the project `base`, then a chapter for each schema.

    Raises ReregisterError where a file cannot be read or a schema uses a word that the page would pass over in silence.
    """
    parts = [_read(base / FOLDER / "head.md")]
    for name in SCHEMAS:
        path = base / FOLDER / f"{name}.schema.yaml"
        try:
            schema = yaml.safe_load(_read(path))
        except yaml.YAMLError as error:
            raise ReregisterError(f"{path} is not valid YAML ({error}); mend it there") from error
        _refuse_unknown_words(schema, path.name)
        parts += _chapter(schema)
    return "\n".join(parts).rstrip("\n") + "\n"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReregisterError(f"{path} cannot be read ({error}); restore it, a text file in UTF-8") from error


def _refuse_unknown_words(schema: Schema, file: str) -> None:
    unknown = sorted(set(schema) - _WORDS)
    if unknown:
        raise ReregisterError(f"{file} uses {unknown[0]}, which {PAGE} cannot explain; teach reregister.reference to")
    named = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values(), *schema.get("anyOf", [])]
    nested = [schema.get(word) for word in ("items", "additionalProperties", "propertyNames", "if", "then")]
    for part in [*named, *(part for part in nested if isinstance(part, Mapping))]:
        _refuse_unknown_words(part, file)


def _chapter(schema: Schema) -> list[str]:
    """A file's heading and tables: its own keys first, then each shared part at the places where it stands."""
    lines = [f"## `{schema['title']}`\n", schema["description"], ""]
    lines += [f"The file as a whole: {limits}.\n"] if (limits := _limits(schema, schema)) else []
    places: dict[str, list[str]] = {}
    lines += [*_table(schema, schema, "", places), ""]
    # The list grows while it is walked: a shared part may hold others.
    for name in (queue := list(places)):
        part = schema["$defs"][name]
        found = len(places)
        table = _table(part, schema, places[name][0], places)
        queue += list(places)[found:]
        lines += [f"### Each {name}\n", f"At {' and '.join(f'`{place}`' for place in places[name])}.", ""]
        lines += [part["description"], ""] if "description" in part else []
        lines += [*table, *_condition(part), ""]
    return lines


def _condition(part: Schema) -> list[str]:
    if "if" not in part:
        return ["", f"Either {'; or '.join(way['description'] for way in part['oneOf'])}."] if "oneOf" in part else []
    ((key, value),) = part["if"]["properties"].items()
    ways = (" and ".join(f"`{name}`" for name in way["required"]) for way in part["then"].get("anyOf", [part["then"]]))
    return ["", f"Where `{key}` is `{value['const']}`, {' or '.join(ways)} is required."]


def _table(schema: Schema, root: Schema, place: str, places: dict[str, list[str]]) -> list[str]:
    rows = ["| key | type | allowed | default | what it is |", "|---|---|---|---|---|"]
    for key, part, required in _keys(schema, root, "", place, places):
        default = f"`{json.dumps(part['default'], ensure_ascii=False)}`" if "default" in part else ""
        if required:
            default = f"*required* ({default})" if default else "*required*"
        # Outside of code, <paper> would be taken for HTML.
        description = part.get("description", _followed(part, root).get("description", "")).replace("<", "&lt;")
        cells = [f"`{key}`", _type(part, root), _limits(part, root), default, description]
        rows.append("| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |")
    return rows


def _keys(
    schema: Schema, root: Schema, path: str, place: str, places: dict[str, list[str]]
) -> Iterator[tuple[str, Schema, bool]]:
    """Key, schema and requiredness of every key at any depth; places takes note of the shared parts that are met."""
    for name, part in schema.get("properties", {}).items():
        key = f"{path}.{name}" if path else name
        yield key, part, name in schema.get("required", [])
        yield from _keys(part, root, key, place, places)
        _note(part, root, key, place, places)
    nested = [(schema.get("additionalProperties"), ".<name>"), (schema.get("items"), "[]")]
    for inner, suffix in [*nested, *((option, "") for option in schema.get("anyOf", []))]:
        if isinstance(inner, Mapping):
            key = (path + suffix).lstrip(".")
            yield from _keys(inner, root, key, place, places)
            _note(inner, root, key, place, places)


def _note(part: Schema, root: Schema, key: str, place: str, places: dict[str, list[str]]) -> None:
    if shared := _shared(part, root):
        places.setdefault(shared, []).append(f"{place}.{key}" if place else key)


def _shared(part: Schema, root: Schema) -> str:
    """Name of the mapping with keys of its own that a schema refers to, '' where it refers to none."""
    name: str = part.get("$ref", "").rsplit("/", 1)[-1]
    return name if name and "properties" in root["$defs"][name] else ""


def _followed(part: Schema, root: Schema) -> Schema:
    return root["$defs"][part["$ref"].rsplit("/", 1)[-1]] if "$ref" in part else part


def _type(part: Schema, root: Schema) -> str:
    """A schema's type in words, with a link where it is described on its own."""
    if shared := _shared(part, root):
        return f"[{shared}](#each-{shared})"
    part = _followed(part, root)
    if "anyOf" in part:
        return " or ".join(_type(option, root) for option in part["anyOf"])
    if "enum" in part:
        return "word"
    word = str(part.get("type", "any"))
    inner = part.get("items" if word == "array" else "additionalProperties")
    nested = f" of {_type(inner, root)}" if isinstance(inner, Mapping) else ""
    return _TYPES.get(word, word) + nested


def _limits(part: Schema, root: Schema) -> str:
    """What a value must keep to beside its type, in words; '' where there is nothing."""
    if _shared(part, root):
        return ""
    part = _followed(part, root)
    words = [", ".join(f"`{option}`" for option in part.get("enum", []))]
    words += [form.format(part[word]) for word, form in _LIMITS.items() if word in part]
    words += ["no repetitions"] if part.get("uniqueItems") else []
    words += [f"has `{key}`" for key in part.get("required", []) if key not in part.get("properties", {})]
    words += [text for option in part.get("anyOf", []) if (text := _limits(option, root))]
    for word, what in (("propertyNames", "each key"), ("items", "each"), ("additionalProperties", "each value")):
        inner = part.get(word)
        if isinstance(inner, Mapping) and "properties" not in inner and (text := _limits(inner, root)):
            words.append(f"{what} {text}")
    return "; ".join(filter(None, words))


def main(arguments: list[str] | None = None) -> int:
    """Print, write or check the page; returns the exit status."""
    parser = argparse.ArgumentParser(prog="reregister.reference", description=f"Make {PAGE} from the schemas.")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--write", action="store_true", help=f"write {PAGE}")
    group.add_argument("--check", action="store_true", help=f"fail where {PAGE} does not say what the schemas say")
    options = parser.parse_args(arguments)
    try:
        text = page(PROJECT)
        if options.write:
            write_text(PROJECT / PAGE, text)
        elif not options.check:
            print(text, end="")
        elif _read(PROJECT / PAGE) != text:
            raise ReregisterError(f"{PAGE} does not say what the schemas say; run make docs")
    except ReregisterError as error:
        print(f"reference: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
