"""Numbers as a paper prints them: `0.79 ± 0.08`, `69,540`, `-.49`, `1hr 11min 22s`."""

import re
from typing import NamedTuple

from reregister.errors import ReregisterError

_NUMBER = r"[-−]?[0-9][0-9,]*(?:\.[0-9]+)?|[-−]?\.[0-9]+"
_FORM = re.compile(rf"({_NUMBER})(?: ± ({_NUMBER}))?")
_TIME = re.compile(r"(?:(\d+) ?hr )?(?:(\d+) ?min)?(?: ?(?:and )?(\d+) ?s)?")


class Printed(NamedTuple):
    """A printed number: its value, the standard deviation beside it or None, and half a unit of its last digit."""

    value: float
    sd: float | None
    rounding: float


def parse(text: str) -> Printed:
    """Read a printed number; a time comes in seconds. Raises ReregisterError for a text that is none."""
    if found := _FORM.fullmatch(text):
        value, sd = (_float(part) if part else None for part in found.groups())
        decimals = len(found[1].partition(".")[2])
        assert value is not None
        return Printed(value, sd, 0.5 * 10.0**-decimals)
    if (found := _TIME.fullmatch(text)) and any(found.groups()):
        hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return Printed(3600.0 * hours + 60 * minutes + seconds, None, 0.5 if found[3] else 30.0)
    raise ReregisterError(f"{text!r} is no printed number; give one as the paper has it, such as 0.79 ± 0.08")


def _float(text: str) -> float:
    return float(text.replace(",", "").replace("−", "-"))
