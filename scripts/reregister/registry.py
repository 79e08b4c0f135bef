"""Finding a network, a reader, a baseline or an exhibit by the name that a config file gives it.

A name is the module's own: `load("models", "dirnet")` imports `reregister.models.dirnet` and nothing else. So a new
method is one new file, no list needs an entry, and editing one network leaves the code digest of the others alone.
"""

import importlib
from pathlib import Path
from types import ModuleType

from reregister.errors import ReregisterError

_HERE = Path(__file__).resolve().parent


def names(kind: str) -> list[str]:
    """Names that a registry knows: the modules in the folder `kind`, such as `models` or `data/standins`."""
    return sorted(path.stem for path in (_HERE / kind).glob("*.py") if path.stem != "__init__")


def module_name(kind: str, name: str) -> str:
    """Dotted name of a registry entry. Raises ReregisterError with the known names where there is none such."""
    if name not in names(kind):
        raise ReregisterError(f"{kind} has no entry named {name!r}; it has {', '.join(names(kind)) or 'none'}")
    return ".".join(["reregister", *kind.split("/"), name])


def load(kind: str, name: str) -> ModuleType:
    """Import a registry entry."""
    return importlib.import_module(module_name(kind, name))
