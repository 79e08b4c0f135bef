"""Holding a configuration to its schema; the first thing wrong is said in one sentence with its place."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from reregister.config import SCALES, options, show
from reregister.errors import ReregisterError

# JSON Schema takes 3.0 for an integer and NaN for a number above 0; neither may reach a job.
_TYPES = Draft202012Validator.TYPE_CHECKER.redefine_many(
    {
        "integer": lambda _, value: isinstance(value, int) and not isinstance(value, bool),
        "number": lambda _, value: type(value) in (int, float) and math.isfinite(value),
    }
)
_Validator = extend(Draft202012Validator, type_checker=_TYPES)

_WORDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "minItems": "a list of at least {}",
    "maxItems": "a list of at most {}",
    "uniqueItems": "a list without repetitions",
    "minProperties": "at least {} key",
    "pattern": "text that matches {}",
    "minLength": "text of at least {} character",
}


def set_by(overrides: Mapping[str, Any], path: Sequence[Any]) -> bool:
    """Whether `overrides` hold the value at `path`, or put there the list, scalar or scales that it lies in."""
    where: Any = overrides
    for part in path:
        if not isinstance(where, Mapping) or (where and set(where) <= set(SCALES)):
            return True
        if part not in where:
            return False
        where = where[part]
    return bool(path)


def check(
    value: Any,
    schema: Mapping[str, Any],
    file: str,
    overrides: Mapping[str, Any] | None = None,
    place: str = "--config",
) -> None:
    """Raise ReregisterError for the first thing in `value` that the schema forbids.

    The sentence names the file (or `place`, for what `overrides` set), the key, what was found and what is allowed.
    """

    def order(error: Any) -> tuple[list[str], bool]:
        # Of a misspelt key and the key that it leaves missing, the misspelt one.
        return [str(part) for part in error.absolute_path], error.validator != "additionalProperties"

    errors = sorted(_Validator(schema).iter_errors(value), key=order)
    if errors:
        error = errors[0]
        raise ReregisterError(f"{place if _overridden(error, overrides or {}) else file}: {_complaint(error, schema)}")


def check_known(
    found: str,
    known: Iterable[str],
    path: Sequence[str],
    file: str,
    overrides: Mapping[str, Any] | None = None,
    place: str = "--config",
) -> None:
    """Raise ReregisterError, in the form of `check`, where the name `found` at `path` is not one of `known`."""
    if found not in (names := list(known)):
        where = place if set_by(overrides or {}, [*path, found]) else file
        key, allowed = ".".join(path), ", ".join(names) or "none"
        raise ReregisterError(f"{where}: key {key} names {found}, which is not known; allowed is one of {allowed}")


def _culprit(error: Any) -> list[Any]:
    """The path of the key that an error is about; for a wrong or missing key that key's own."""
    path = list(error.absolute_path)
    if error.validator == "additionalProperties":
        return [*path, next(key for key in error.instance if key not in error.schema.get("properties", {}))]
    if error.validator == "required":
        return [*path, next(key for key in error.validator_value if key not in error.instance)]
    return [*path, error.instance] if "propertyNames" in error.absolute_schema_path else path


def _overridden(error: Any, overrides: Mapping[str, Any]) -> bool:
    path = _culprit(error)
    if error.validator == "required":
        # A key is missing where the overrides made the whole mapping, not where they added to one of the file.
        return set_by(overrides, path[:-1]) and all(set_by(overrides, [*path[:-1], key]) for key in error.instance)
    return set_by(overrides, path)


def _complaint(error: Any, root: Mapping[str, Any]) -> str:
    path = _culprit(error)
    key = "key " + ".".join(map(str, path)) if path else "the whole file"
    if error.validator == "additionalProperties":
        known = ", ".join(sorted(error.schema.get("properties", {})))
        return f"{key} is not known and nothing reads it; allowed here are {known}"
    if error.validator == "required":
        part = error.schema.get("properties", {}).get(path[-1], {})
        return f"{key} is missing; allowed is {_takes(options(part, root)[0])}"
    allowed = _allowed(error.validator, error.validator_value)
    if "propertyNames" in error.absolute_schema_path:
        return f"{key} has a name that cannot stand there; allowed is {allowed}"
    return f"{key} is {show(error.instance)}; allowed is {allowed}"


def _takes(part: Mapping[str, Any]) -> str:
    """What a key's schema takes, in words."""
    rule = next((rule for rule in ("enum", "type", "anyOf") if rule in part), None)
    text = _allowed(rule, part[rule]) if rule else "a value"
    return f"{text} ({part['description'].rstrip('.')})" if "description" in part else text


def _allowed(rule: str, value: Any) -> str:
    """What one rule of a schema would have taken, in words."""
    if rule == "enum":
        return "one of " + ", ".join(str(option) for option in value)
    if rule == "type":
        return "a value of type " + (value if isinstance(value, str) else " or ".join(value))
    if rule in ("anyOf", "oneOf"):
        return "; or ".join(str(part.get("description", part.get("type"))).rstrip(".") for part in value)
    return _WORDS[rule].format(show(value)) if rule in _WORDS else f"{rule} {show(value)}"
