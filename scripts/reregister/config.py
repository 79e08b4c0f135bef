"""Reading, completing and checking the configuration before any job is planned."""

from collections.abc import Mapping
from copy import deepcopy
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from reregister.errors import ReregisterError

SCALES = ("smoke", "demo", "full")


def parse_overrides(value: Any) -> Any:
    """Values from the command line as YAML means them: Snakemake hands lists and booleans over as text.

    `[0, 1]`, `off` and `1e-3` become a list of numbers, False and 0.001; a mapping is parsed leaf by leaf.
    """
    if isinstance(value, Mapping):
        return {key: parse_overrides(item) for key, item in value.items()}
    if isinstance(value, list):
        return [parse_overrides(item) for item in value]
    if not isinstance(value, str):
        return value
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        return value


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file as a mapping. Raises ReregisterError where it is missing, no YAML or no mapping."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ReregisterError(f"{path} does not exist; restore it, or mend the name that leads to it") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise ReregisterError(f"{path}{line}: not valid YAML ({getattr(error, 'problem', error)})") from error
    if not isinstance(content, dict):
        raise ReregisterError(f"{path} holds {type(content).__name__}, expected keys with values")
    return content


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over` put over it, mapping by mapping."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merge(result[key], value) if both else value
    return result


def resolve_scale(value: Any, scale: str) -> Any:
    """A config in which every mapping with exactly the keys smoke, demo and full is replaced by the scale's own value."""
    if isinstance(value, Mapping):
        if set(value) == set(SCALES):
            return resolve_scale(value[scale], scale)
        return {key: resolve_scale(item, scale) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve_scale(item, scale) for item in value]
    return value


def fraction(text: str | float) -> Fraction:
    """`1/6` or 0.2 as a fraction."""
    return Fraction(str(text))


def fill_defaults(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> Any:
    """A copy of `value` in which keys that are left out have their schema's default, at any depth."""
    root = root or schema
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
    if isinstance(value, Mapping):
        filled = dict(value)
        properties = schema.get("properties", {})
        for key, part in properties.items():
            if key not in filled and "default" in part:
                filled[key] = deepcopy(part["default"])
        others = schema.get("additionalProperties")
        for key, item in filled.items():
            part = properties.get(key, others if isinstance(others, Mapping) else {})
            filled[key] = fill_defaults(item, part, root)
        return filled
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        return [fill_defaults(item, schema["items"], root) for item in value]
    return value


def _show(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=200).strip().removesuffix("...").strip()
    return text if len(text) <= 80 else text[:77] + "..."


def _allowed(error: Any) -> str:
    """What the schema would have taken, in words."""
    rule, value = error.validator, error.validator_value
    if rule == "enum":
        return "one of " + ", ".join(_show(v) for v in value)
    if rule == "type":
        return "a value of type " + (value if isinstance(value, str) else " or ".join(value))
    if rule in ("anyOf", "oneOf"):
        parts = [p.get("description") or p.get("type") or _show(p.get("enum", p.get("const"))) for p in value]
        return "; or ".join(str(p).rstrip(".") for p in parts)
    words = {
        "minimum": "at least",
        "maximum": "at most",
        "exclusiveMinimum": "more than",
        "minItems": "a list at least as long as",
        "pattern": "text that matches",
        "minLength": "text at least as long as",
    }
    return f"{words.get(rule, rule)} {_show(value)}"


def _sentence(error: Any, file: str) -> str:
    path = [str(part) for part in error.absolute_path]
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(known))
        keys = ", ".join(".".join([*path, key]) for key in unknown)
        return f"{file}: key {keys} is not known and nothing reads it; allowed here are {', '.join(known)}"
    if error.validator == "required":
        missing = sorted(set(error.validator_value) - set(error.instance))
        return f"{file}: key {'.'.join([*path, missing[0]])} is missing"
    key = ".".join(path) or "(the whole file)"
    return f"{file}: key {key} is {_show(error.instance)}; allowed is {_allowed(error)}"


def check(value: Any, schema: Mapping[str, Any], file: str, overrides: Mapping[str, Any] | None = None) -> None:
    """Raise ReregisterError for the first thing in `value` that the schema forbids.

    The sentence names the file (or `--config`, for a key that the command line set), the key, what was found and what is
    allowed.
    """
    errors = sorted(Draft202012Validator(schema).iter_errors(value), key=lambda e: [str(p) for p in e.absolute_path])
    if not errors:
        return
    error = errors[0]
    path = [str(part) for part in error.absolute_path]
    if error.validator == "additionalProperties":
        path += sorted(set(error.instance) - set(error.schema.get("properties", {})))[:1]
    where: Any = overrides or {}
    for part in path[:1]:
        where = where.get(part) if isinstance(where, Mapping) else None
    raise ReregisterError(_sentence(error, "--config" if path and where is not None else file))
