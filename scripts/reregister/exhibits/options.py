"""Options of an exhibit, which each module of the figures reads for itself."""

from typing import Any

from reregister.drawing import Exhibit
from reregister.errors import ReregisterError


def options_of(exhibit: Exhibit, **defaults: Any) -> dict[str, Any]:
    """The exhibit's options, with defaults for those left out.

    Raises ReregisterError for an option that is not among the defaults: nothing would read it.
    """
    for name in exhibit.options:
        if name not in defaults:
            raise ReregisterError(
                f"{exhibit.exhibit} has the option {name}, which {exhibit.function} does not take; "
                f"allowed is one of {', '.join(defaults)}"
            )
    return defaults | dict(exhibit.options)
