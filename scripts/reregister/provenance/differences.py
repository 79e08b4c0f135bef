"""Where two values that JSON can hold differ, in words: `optimiser.lr: 0.3 -> 0.4`. Standard library only."""

from collections.abc import Sequence
from typing import Any

from reregister.provenance.files import canonical_json

_WIDTH, _BEFORE = 80, 20
_ABSENT = object()


def differences(old: Any, new: Any, path: Sequence[str] = ()) -> list[str]:
    """One line for each place where two values differ: its dotted path, old -> new; the order of keys does not count.

    Mappings are compared key by key, lists of mappings of one length entry by entry, all else as a whole. 1, 1.0 and
    true are three values.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [
            line
            for key in keys
            for line in differences(old.get(key, _ABSENT), new.get(key, _ABSENT), [*path, str(key)])
        ]
    if _mappings(old) and _mappings(new) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [line for index, (a, b) in pairs for line in differences(a, b, [*path, str(index)])]
    before, after = _text(old), _text(new)
    return [] if before == after else [f"{'.'.join(path)}: {' -> '.join(_clipped(before, after))}"]


def _mappings(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _text(value: Any) -> str:
    return "not set" if value is _ABSENT else canonical_json(value)


def _clipped(before: str, after: str) -> tuple[str, str]:
    """Two texts, of which long ones begin a little before the first place where they differ."""
    same = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
    start = max(0, same - _BEFORE) if max(len(before), len(after)) > _WIDTH else 0

    def clip(text: str) -> str:
        shown = text[start : start + _WIDTH]
        return ("..." if start else "") + shown + ("..." if start + _WIDTH < len(text) else "")

    return clip(before), clip(after)
