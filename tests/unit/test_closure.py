"""Which files a job's code is, and what changes their digest."""

import ast
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reregister.provenance import closure

Write = Callable[[str, str], Path]
REAL_SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

SAMPLE = '''
"""What this module is about."""
from __future__ import annotations

import math as m


class Warp(Base, metaclass=Meta):
    """A transformer."""

    order: int = 3

    @property
    def size(self, /, *shape: int, scale=1.5, **rest) -> tuple[int, ...]:
        "One line."
        total = sum(x for x in shape if x is not None)
        with open("a", encoding="utf-8") as file, other():
            lines = [*file]
        return (lambda a, *b, c=None: {**rest, "total": total, 1: -2j})(f"{total!r:>{m.pi}} {self=}", ...)


async def run(jobs):
    try:
        async for job in jobs:
            if (n := await job) not in {1, 2}:
                yield n, b"\\x00\\xff"
            elif n:
                continue
    except (ValueError, OSError) as error:
        raise RuntimeError("no") from error
    else:
        del jobs[1:2, ::3]
    match n:
        case {"a": [1, *_], **rest} | Warp(order=3) if rest:
            assert n, "text" "joined"
        case _:
            return
'''


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a file of a project of its own, which the closure then looks at."""
    scripts = tmp_path.resolve() / "scripts"
    monkeypatch.setattr(closure, "SCRIPTS", scripts)

    def write_file(name: str, text: str) -> Path:
        path = scripts / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


@pytest.fixture
def project(write: Write) -> Path:
    """A script with its library; returns the script."""
    write("reregister/__init__.py", "")
    write("reregister/errors.py", "class Error(Exception): pass\n")
    write("reregister/provenance/__init__.py", "")
    write("reregister/provenance/door.py", "from reregister import secret\n")
    write("reregister/secret.py", "import secret_package\n")
    write("reregister/models/__init__.py", "")
    write("reregister/models/dirnet.py", "import torch\nfrom reregister.transforms import warp\n")
    write("reregister/models/other.py", "import other_package\n")
    write("reregister/transforms/__init__.py", "")
    write("reregister/transforms/warp.py", "def warp():\n    import numpy.linalg\n    import reregister.errors as e\n")
    write("reregister/data.py", "import os.path\n\ndef read():\n    if True:\n        from reregister import tables\n")
    write("reregister/tables.py", "from pandas import DataFrame\nfrom reregister.data import read\n")
    write("reregister/unused.py", "import unused_package\n")
    return write(
        "train_model.py",
        "from reregister.provenance.door import Job, run\n\ndef main(job):\n    from reregister.data import read\n",
    )


def test_imports_at_any_depth_are_followed_also_in_a_circle(project: Path) -> None:
    assert list(closure.closure(project)) == [
        "scripts/reregister/__init__.py",
        "scripts/reregister/data.py",
        "scripts/reregister/tables.py",
        "scripts/train_model.py",
    ]


def test_an_entry_comes_with_what_it_imports(project: Path) -> None:
    plain = closure.closure(project)
    more = closure.closure(project, ["reregister.models.dirnet"])
    assert set(more) - set(plain) == {
        "scripts/reregister/models/dirnet.py",
        "scripts/reregister/transforms/__init__.py",
        "scripts/reregister/transforms/warp.py",
        "scripts/reregister/errors.py",
    }
    assert all(path.is_file() and path == closure.SCRIPTS.parent / name for name, path in more.items())


def test_an_entry_without_a_file_is_an_error(project: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"no module reregister\.models\.absent under scripts/"):
        closure.closure(project, ["reregister.models.absent"])


def test_the_recorder_and_what_only_it_imports_are_left_out(project: Path, write: Write) -> None:
    for line in (
        "import reregister.provenance",
        "from reregister.provenance import door",
        "import reregister.provenance.door",
    ):
        write("train_model.py", line + "\n")
        assert list(closure.closure(project)) == ["scripts/train_model.py"]
    write("train_model.py", "from reregister import provenance\n")
    assert list(closure.closure(project)) == ["scripts/reregister/__init__.py", "scripts/train_model.py"]


def test_a_name_that_only_begins_like_the_package_or_the_recorder_is_neither(project: Path, write: Write) -> None:
    write("reregister/provenance_notes.py", "")
    write("train_model.py", "import reregister_extras\nimport reregister.provenance_notes\n")
    assert list(closure.closure(project)) == ["scripts/reregister/provenance_notes.py", "scripts/train_model.py"]
    assert closure.third_party_imports([project]) == {"reregister_extras"}


def test_third_party_imports_are_neither_ours_nor_the_standard_librarys(project: Path) -> None:
    def of(*entries: str) -> set[str]:
        return closure.third_party_imports(closure.closure(project, entries).values())

    assert of() == {"pandas"}
    assert of("reregister.models.dirnet") == {"pandas", "torch", "numpy"}
    assert of("reregister.models.other") == {"pandas", "other_package"}


def test_an_import_is_found_in_any_block(project: Path, write: Write) -> None:
    text = """
try:
    import in_try
except OSError:
    import in_except
else:
    import in_else
finally:
    import in_finally
with f() as g:
    import in_with
while x:
    import in_while
for x in y:
    import in_for
class A:
    async def b(self):
        match c:
            case [1]:
                if d: import in_case
"""
    found = closure.imported_modules(write("blocks.py", text))
    places = ("try", "except", "else", "finally", "with", "while", "for", "case")
    assert found == {f"in_{place}" for place in places}


def test_an_edit_is_seen_by_the_process_that_made_it(project: Path, write: Write) -> None:
    before = closure.code_digest(project)
    data = write("reregister/data.py", "VALUE = 1\n")
    first, names = closure.syntax_hash(data), closure.imported_modules(data)
    write("reregister/data.py", "import scipy\nVALUE = 2\n")
    assert closure.syntax_hash(data) != first
    assert closure.imported_modules(data) == names | {"scipy"}
    assert closure.third_party_imports(closure.closure(project).values()) == {"scipy"}
    assert closure.code_digest(project) != before
    write("reregister/data.py", "VALUE = 1\n")
    assert closure.syntax_hash(data) == first


@pytest.mark.parametrize(
    "text",
    [
        "# a remark\ndef f(a, b):\n    return a + 'x'  # why\n",
        'def f(a, b):\n    """Says what it does."""\n    return a + "x"\n',
        '"""Module."""\n\n\ndef f(\n    a,\n    b,\n):\n\n    return (\n        a\n        + \'x\'\n    )\n',
        "def f(a, b):\r\n\treturn a + 'x'\r\n",
    ],
    ids=["comment", "docstring", "layout", "line ends and tabs"],
)
def test_cosmetic_changes_leave_hash_and_digest_alone(text: str, write: Write, project: Path) -> None:
    write("reregister/data.py", "def f(a, b):\n    return a + 'x'\n")
    digest, hashes = closure.code_digest(project), closure.code_hashes(closure.closure(project))
    (closure.SCRIPTS / "reregister/data.py").write_bytes(text.encode())
    assert closure.code_hashes(closure.closure(project)) == hashes
    assert closure.code_digest(project) == digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x = 1", 'x = "1"'),
        ("x = 1", "x = 1.0"),
        ("x = True", "x = 1"),
        ("x = 0.1", "x = 0.2"),
        ("x = 'a'", "x = b'a'"),
        ("x = None", "x = 'None'"),
        ("x = f('a')", "x = f('b')"),
        ("x = a - b", "x = b - a"),
        ("x = a < b", "x = a <= b"),
        ("def f(): return", "def f(): return None"),
        ("def f(a, b=1): pass", "def f(a, *, b=1): pass"),
        ("x = [a, b]", "x = (a, b)"),
        ("x = {**a, b: c}", "x = {b: c, **a}"),
        ("import a", "import b"),
        ("from a import b", "from a import c as b"),
        ("x: int = 1", "(x): int = 1"),
        ("f(x)\ng(x)", "g(x)\nf(x)"),
        ("x = f'{a}'", "x = f'{a!r}'"),
        ("x = 0.0", "x = -0.0"),
    ],
)
def test_real_changes_change_hash_and_digest(old: str, new: str, project: Path, write: Write) -> None:
    data = write("reregister/data.py", old + "\n")
    before = closure.syntax_hash(data), closure.code_digest(project)
    write("reregister/data.py", new + "\n")
    after = closure.syntax_hash(data), closure.code_digest(project)
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_digest_covers_entries_names_and_every_file(project: Path, write: Write) -> None:
    plain, entry = closure.code_digest(project), closure.code_digest(project, ["reregister.models.dirnet"])
    assert plain != entry
    assert len(plain) == 16
    write("reregister/transforms/warp.py", "def warp(): return 1\n")
    assert closure.code_digest(project) == plain
    assert closure.code_digest(project, ["reregister.models.dirnet"]) != entry
    # The same text under another name is another script.
    copy = write("train_again.py", project.read_text(encoding="utf-8"))
    assert closure.code_digest(copy) != plain


def test_hash_is_the_same_in_every_version_of_python(write: Write) -> None:
    # Taken with 3.11, 3.12 and 3.13: a digest that differs between them would rerun everything after an upgrade.
    path = write("sample.py", SAMPLE)
    assert closure.syntax_hash(path) == "022ddde3141c7adf2d253dcef04caf43d7a4c76fbf7faeaaf94de1a446e1e48d"


def test_a_field_that_a_newer_python_adds_and_leaves_empty_does_not_count(write: Write) -> None:
    tree = ast.parse("def f(a):\n    return a\n")
    plain = closure._canonical(tree)
    newer = type("FunctionDef", (ast.FunctionDef,), {"_fields": (*ast.FunctionDef._fields, "new_empty", "new_none")})
    old = tree.body[0]
    body = newer(**dict(ast.iter_fields(old)), new_empty=[], new_none=None)
    assert closure._canonical(ast.Module(body=[body], type_ignores=[])) == plain
    body.new_empty = [ast.Name(id="T")]
    assert closure._canonical(ast.Module(body=[body], type_ignores=[])) != plain


def test_undeclared_code_names_loaded_modules_outside_the_closure() -> None:
    import reregister.errors
    import reregister.metrics.landmark

    module = Path(reregister.metrics.landmark.__file__).resolve()
    assert "reregister/metrics/landmark.py" in closure.undeclared_code([])
    assert "reregister/metrics/landmark.py" not in closure.undeclared_code([module])
    names = closure.undeclared_code([])
    assert not [name for name in names if name.startswith("reregister/provenance/") or name.endswith("__init__.py")]
    # Loaded, but the recorder itself needs it.
    assert "reregister.errors" in sys.modules
    assert "reregister/errors.py" not in names


def test_the_real_project_is_the_one_beside_the_tests() -> None:
    assert closure.SCRIPTS == REAL_SCRIPTS
    train = closure.closure(REAL_SCRIPTS / "train_model.py", ["reregister.models.dirnet"])
    assert {"scripts/reregister/models/dirnet.py", "scripts/reregister/transforms/bspline.py"} <= set(train)
    assert not [name for name in train if "/provenance/" in name]


def test_a_job_of_one_tool_or_network_is_no_code_of_another() -> None:
    baseline = closure.closure(REAL_SCRIPTS / "run_baseline.py", ["reregister.baselines.elastix"])
    assert {"scripts/reregister/baselines/elastix.py", "scripts/reregister/baselines/batch.py"} <= set(baseline)
    assert not {"scripts/reregister/baselines/ants.py", "scripts/reregister/baselines/itk.py"} & set(baseline)
    assert "torch" not in closure.third_party_imports(baseline.values())
    register = closure.closure(REAL_SCRIPTS / "register_pairs.py", ["reregister.models.dirnet"])
    assert {"itk", "ants"}.isdisjoint(closure.third_party_imports(register.values()))


def test_rules_of_pairing_are_code_of_the_pairs_and_evaluation_of_the_metrics_alone() -> None:
    pairing, evaluation = "scripts/reregister/data/marked_pairs.py", "scripts/reregister/evaluation/fields.py"
    assert pairing in closure.closure(REAL_SCRIPTS / "pair_images.py")
    assert evaluation in closure.closure(REAL_SCRIPTS / "evaluate_registration.py")
    for script in ("prepare_dataset", "register_pairs", "run_baseline", "compare_methods"):
        found = closure.closure(REAL_SCRIPTS / f"{script}.py")
        assert not {pairing, evaluation} & set(found), script
