"""Which of the project's files a script's result depends on, and a digest of them that ignores comments and layout.

A job's code is its script, every module of `reregister` that the script imports (at any depth, inside functions too),
and the registry entries that its params name. `reregister.provenance` is left out: the recorder describes results and
does not make them, so mending it must not retrain a network; `RECORD_VERSION` in the recipe stands for what does change
a record.
"""

import ast
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from reregister.provenance.files import resolver, sha256_json

SCRIPTS = Path(__file__).resolve().parents[2]
PACKAGE = "reregister"
RECORDER = f"{PACKAGE}.provenance"


def module_path(module: str) -> Path | None:
    """The file of a module of ours (`reregister.a.b`), or None where there is no such file."""
    base = SCRIPTS.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


# What is kept is keyed by content: a process that outlives an edit must not take a file's old tree for its new one.
@cache
def _parse(name: str, source: bytes) -> ast.Module:
    return ast.parse(source, filename=name)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    # An import is a statement: expressions, which are most of a tree, hold none.
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.stmt, ast.excepthandler, ast.match_case)):
            yield child
            yield from _statements(child)


@cache
def _imports_of(name: str, source: bytes) -> frozenset[str]:
    names: set[str] = set()
    for node in _statements(_parse(name, source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def imported_modules(path: Path) -> frozenset[str]:
    """Dotted names that a file imports anywhere in it, ours and others' (the project has no relative imports)."""
    return _imports_of(path.name, path.read_bytes())


def closure(script: Path, entries: Iterable[str] = ()) -> dict[str, Path]:
    """Files that `script` runs: name relative to the project (`scripts/...`) to path, sorted by name.

    entries: modules that a registry loads by name for this job, dotted, such as `reregister.models.dirnet`.
    Raises ModuleNotFoundError for an entry that has no file.
    """
    found = {script.resolve()}
    todo = [script.resolve()]
    for entry in entries:
        path = module_path(entry)
        if path is None:
            raise ModuleNotFoundError(f"no module {entry} under {SCRIPTS.name}/")
        found.add(path)
        todo.append(path)
    while todo:
        for name in imported_modules(todo.pop()):
            if name.split(".")[0] != PACKAGE or name == RECORDER or name.startswith(RECORDER + "."):
                continue
            path = module_path(name)
            if path is not None and path not in found:
                found.add(path)
                todo.append(path)
    root = SCRIPTS.parent
    return {path.relative_to(root).as_posix(): path for path in sorted(found)}


def third_party_imports(files: Iterable[Path]) -> set[str]:
    """Top-level names that files import and that are neither ours nor the standard library's."""
    tops = {name.split(".")[0] for path in files for name in imported_modules(path)}
    return tops - set(sys.stdlib_module_names) - {PACKAGE}


def undeclared_code(files: Iterable[Path], others: Iterable[str] = ()) -> list[str]:
    """Modules of ours that this process has loaded though `files` do not hold them: registry entries that no rule named.

    others: files of modules that were loaded in processes which the job started.
    """
    package, real = SCRIPTS / PACKAGE, resolver()
    here = [file for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))]
    loaded = {real(file) for file in [*here, *others]}
    ours = {Path(path) for path in loaded if path.startswith(f"{package}{os.sep}")}
    # progress.py and errors.py are the recorder's own helpers as well.
    known = {*files, package / "progress.py", package / "errors.py"}
    left = {path for path in ours - known if path.name != "__init__.py"}
    recorder = package / "provenance"
    return sorted(path.relative_to(SCRIPTS).as_posix() for path in left if not path.is_relative_to(recorder))


def _is_docstring(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _canonical(node: Any) -> Any:
    # Not ast.dump: its text differs between Python versions (3.13 leaves out empty lists), this form does not.
    if isinstance(node, list):
        return [_canonical(item) for item in node if not _is_docstring(item)]
    if not isinstance(node, ast.AST):
        return node
    if isinstance(node, ast.Constant):
        return [type(node.value).__name__, repr(node.value)]
    if isinstance(node, ast.JoinedStr):
        # Python 3.12 puts empty strings beside nested fields, 3.11 and 3.13 do not.
        parts = [part for part in node.values if not (isinstance(part, ast.Constant) and part.value == "")]
        return {"JoinedStr": {"values": [_canonical(part) for part in parts]}}
    fields = {}
    for name in node._fields:
        value = _canonical(getattr(node, name, None))
        if value is not None and value != []:
            fields[name] = value
    return {type(node).__name__: fields}


@cache
def _syntax_hash_of(name: str, source: bytes) -> str:
    return sha256_json(_canonical(_parse(name, source)))


def syntax_hash(path: Path) -> str:
    """sha256 of a file's syntax tree: the same after a change of comments, docstrings or layout, else another."""
    return _syntax_hash_of(path.name, path.read_bytes())


def code_hashes(files: dict[str, Path]) -> dict[str, str]:
    """Syntax-tree hash for each file of a closure."""
    return {name: syntax_hash(path) for name, path in files.items()}


def code_digest(script: Path, entries: Iterable[str] = ()) -> str:
    """One digest (16 hex digits) of a script's closure, for Snakemake to compare between runs."""
    text = sha256_json(code_hashes(closure(script, entries)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
