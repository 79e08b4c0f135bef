"""Reading, completing and checking the configuration before any job is planned."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from reregister.errors import ReregisterError

SCALES = ("smoke", "demo", "full")
_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)$")
_FLOAT = re.compile(
    r"[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))$|\.(?:nan|NaN|NAN)$"
)


# Every start of Snakemake reads all papers, a job's own as well: in C that takes a tenth of the time.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):
    """YAML as people mean it: 1e-3 is a number; 007, 1:30 and 2026-11-20 are text; no key stands twice in a mapping.

    YAML 1.1, which PyYAML follows, reads these as text, 7, 90 and a date, and lets the last of two equal keys win.
    """

    def get_single_node(self) -> yaml.Node | None:
        node: yaml.Node | None = super().get_single_node()
        _refuse_equal_keys(node, set())
        return node


def _refuse_equal_keys(node: yaml.Node | None, seen: set[int]) -> None:
    """Raise ConstructorError at a key that stands twice in a mapping. seen: nodes that are looked through already."""
    if not isinstance(node, yaml.CollectionNode) or id(node) in seen:
        return
    # An alias is the node itself, once more.
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_equal_keys(item, seen)
        return
    found: set[str] = set()
    for key, value in node.value:
        _refuse_equal_keys(value, seen)
        if isinstance(key, yaml.ScalarNode) and key.value in found:
            problem = f"the key {key.value} stands twice in one mapping"
            raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
        found |= {key.value} if isinstance(key, yaml.ScalarNode) else set()


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag.removeprefix(_TAG) not in ("int", "float", "timestamp")]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_TAG + "int", _INT, list("+-0123456789"))
_Loader.add_implicit_resolver(_TAG + "float", _FLOAT, list("+-.0123456789"))


def options(schema: Mapping[str, Any], root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A schema without its reference, and the schemas of its anyOf."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
    return [schema, *(option for part in schema.get("anyOf", ()) for option in options(part, root))]


def _part(schemas: Iterable[Mapping[str, Any]], key: str) -> Mapping[str, Any]:
    """The schema of one key of a mapping, {} where none is given."""
    for schema in schemas:
        part = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
        if isinstance(part, Mapping):
            return part
    return {}


def show(value: Any) -> str:
    """A value as an error shows it: text in quotes, 80 characters at most."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def parse_overrides(value: Any, schema: Mapping[str, Any] | None = None, root: Mapping[str, Any] | None = None) -> Any:
    """Values from the command line as YAML means them: Snakemake hands all but single numbers over as text.

    `[0, 1]`, `off` and `1e-3` become a list of numbers, False and 0.001; a mapping is parsed leaf by leaf. Snakemake drops
    the quotes, so text stays text where `schema` takes text and not what YAML makes of it, as in a list of ids.
    """
    schema = schema or {}
    root = root or schema
    choices = options(schema, root)
    if isinstance(value, Mapping):
        scales = set(value) <= set(SCALES)
        return {
            key: parse_overrides(item, schema if scales else _part(choices, key), root) for key, item in value.items()
        }
    if isinstance(value, list):
        items: Mapping[str, Any] = next((option["items"] for option in choices if "items" in option), {})
        return [parse_overrides(item, items, root) for item in value]
    if not isinstance(value, str):
        return value
    try:
        parsed = yaml.load(value, Loader=_Loader)
    except yaml.YAMLError:
        return value
    types = [option["type"] for option in choices if "type" in option]
    fits = any(Draft202012Validator.TYPE_CHECKER.is_type(parsed, name) for name in types)
    return value if "string" in types and not fits else parsed


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file as a mapping, read as `_Loader` says.

    Raises ReregisterError where it is missing, no text, no YAML (with the line), no mapping, or has a key twice.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError as error:
        raise ReregisterError(f"{path} does not exist; restore it, or mend the name that leads to it") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ReregisterError(f"{path} cannot be read ({error}); it must be a text file in UTF-8") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise ReregisterError(f"{path}{line}: not valid YAML ({problem}); mend it there") from error
    if not isinstance(content, dict):
        found = "is empty" if content is None else f"holds {show(content)}"
        raise ReregisterError(f"{path} {found}; allowed are keys with values")
    return content


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over` put over it, mapping by mapping."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merge(result[key], value) if both else value
    return result


def resolve_scale(value: Any, scale: str, file: str = "config", path: Sequence[str] = ()) -> Any:
    """A config in which every mapping with exactly the keys smoke, demo and full is replaced by the scale's own value.

    file and path: how an error calls the place. Raises ReregisterError where a mapping has some of the three keys only.
    """
    if isinstance(value, list):
        return [resolve_scale(item, scale, file, [*path, str(index)]) for index, item in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    own = set(value) & set(SCALES)
    if own == set(value) == set(SCALES):
        return resolve_scale(value[scale], scale, file, path)
    if own and (own == set(value) or len(own) > 1):
        found = ", ".join(map(str, value))
        raise ReregisterError(f"{file}: key {'.'.join(path)} has values for {found}; allowed are smoke, demo and full")
    return {key: resolve_scale(item, scale, file, [*path, str(key)]) for key, item in value.items()}


def fill_defaults(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> Any:
    """A copy of `value` in which keys that are left out have their schema's default, at any depth."""
    root = root or schema
    schema = options(schema, root)[0]
    if isinstance(value, Mapping):
        filled = dict(value)
        for key, part in schema.get("properties", {}).items():
            if key not in filled and "default" in part:
                filled[key] = deepcopy(part["default"])
        return {key: fill_defaults(item, _part([schema], key), root) for key, item in filled.items()}
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        return [fill_defaults(item, schema["items"], root) for item in value]
    return value
