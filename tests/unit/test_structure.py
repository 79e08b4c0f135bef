"""The library's own rules: which way imports point, and that what is imported is there."""

import ast
from pathlib import Path

import pytest

from reregister.provenance import closure
from reregister.registry import load, names

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
PACKAGE = SCRIPTS / "reregister"
# What any module may use: the one error, and writing files in one piece.
COMMON = {"reregister.errors", "reregister.provenance.files"}
REGISTRIES = ("models", "figures", "baselines", "data/readers", "data/standins")


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(SCRIPTS).with_suffix("").parts)


MODULES = {dotted(path): path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__init__.py"}
FOLDERS = {dotted(path.parent) for path in PACKAGE.rglob("__init__.py")}


def ours(path: Path) -> set[str]:
    """Modules of ours that a file imports itself, the recorder's included."""
    return {name for name in closure.imported_modules(path) if name in MODULES}


def everything(module: str) -> set[str]:
    """Modules of ours that a module imports at any depth, itself included."""
    found, todo = {module}, [module]
    while todo:
        for name in ours(MODULES[todo.pop()]) - found:
            found.add(name)
            todo.append(name)
    return found


def under(*packages: str) -> list[str]:
    found = [name for name in MODULES if name.split(".")[1] in packages]
    assert found, packages
    return found


def in_packages(modules: set[str], *packages: str) -> set[str]:
    return {name for name in modules if name.split(".")[1] in packages}


def third_party(module: str) -> set[str]:
    return closure.third_party_imports(MODULES[name] for name in everything(module))


@pytest.mark.parametrize("module", under("provenance"))
def test_provenance_imports_nothing_of_ours_but_errors_and_progress(module: str) -> None:
    allowed = {"reregister.errors", "reregister.progress"}
    assert {name for name in everything(module) if not name.startswith("reregister.provenance.")} <= allowed


@pytest.mark.parametrize("module", [name for name in under("provenance") if not name.endswith(".crate")])
def test_the_recorder_needs_the_standard_library_alone(module: str) -> None:
    assert third_party(module) == set()


@pytest.mark.parametrize("module", under("transforms"))
def test_transforms_import_nothing_of_ours(module: str) -> None:
    outside = {name for name in ours(MODULES[module]) if not name.startswith("reregister.transforms.")}
    assert outside <= COMMON


@pytest.mark.parametrize("module", under("metrics"))
def test_metrics_import_transforms_and_nothing_above(module: str) -> None:
    outside = everything(module) - {module} - COMMON
    assert in_packages(outside, "metrics", "transforms") == outside


@pytest.mark.parametrize("module", under("evaluation"))
def test_evaluation_imports_metrics_transforms_and_data(module: str) -> None:
    outside = ours(MODULES[module]) - COMMON
    assert in_packages(outside, "evaluation", "metrics", "transforms", "data") == outside
    below = everything(module)
    assert not in_packages(below, "models", "training", "figures", "report", "baselines", "losses", "inference")


@pytest.mark.parametrize("module", [name for name in MODULES if name.split(".")[1] != "evaluation"])
def test_nothing_of_the_library_imports_evaluation(module: str) -> None:
    assert not in_packages(ours(MODULES[module]), "evaluation")


@pytest.mark.parametrize("module", under("data"))
def test_data_import_no_method_and_no_result(module: str) -> None:
    below = everything(module)
    assert not in_packages(below, "models", "training", "metrics", "evaluation", "figures", "report", "baselines")


@pytest.mark.parametrize("module", under("models"))
def test_models_import_no_data_and_no_training(module: str) -> None:
    assert not in_packages(everything(module), "data", "training", "metrics", "figures", "report", "baselines")


@pytest.mark.parametrize("module", under("training"))
def test_training_imports_no_metrics_and_no_exhibits(module: str) -> None:
    assert not in_packages(everything(module), "metrics", "figures", "report", "baselines")


@pytest.mark.parametrize(
    "module", under("figures", "exhibits", "report", "claims", "statistics", "drawing", "comparison")
)
def test_plotting_and_pages_need_no_torch(module: str) -> None:
    assert not {"torch", "safetensors", "monai"} & third_party(module)
    assert not in_packages(everything(module), "models", "training", "metrics", "transforms", "baselines", "losses")


@pytest.mark.parametrize("module", under("rebuild"))
def test_comparing_a_rebuild_loads_no_torch(module: str) -> None:
    assert not {"torch", "monai"} & third_party(module)


def test_field_conversion_needs_no_torch() -> None:
    assert third_party("reregister.transforms.fields") <= {"numpy", "SimpleITK"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("__init__.py")), ids=dotted)
def test_package_files_are_empty(path: Path) -> None:
    # Code in one would belong to every job that imports anything below it.
    assert path.read_bytes() == b""


def test_every_folder_of_modules_is_a_package() -> None:
    assert {dotted(path.parent) for path in PACKAGE.rglob("*.py")} == FOLDERS


@pytest.mark.parametrize("path", [*sorted(SCRIPTS.glob("*.py")), *MODULES.values()], ids=dotted)
def test_what_is_imported_of_ours_exists_and_is_no_script(path: Path) -> None:
    tree = ast.parse(path.read_bytes())
    scripts = {script.stem for script in SCRIPTS.glob("*.py")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # The closure follows whole names only.
            assert node.level == 0, f"line {node.lineno}: a relative import"
            assert node.module
            modules = [node.module]
            if node.module in FOLDERS:
                modules += [f"{node.module}.{alias.name}" for alias in node.names]
            assert all(alias.name != "*" for alias in node.names), f"line {node.lineno}: import *"
        else:
            continue
        for module in modules:
            assert module.split(".")[0] not in scripts, f"line {node.lineno}: {module} is a script"
            if module.split(".")[0] == "reregister":
                assert module in MODULES or module in FOLDERS, f"line {node.lineno}: {module} has no file"


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.py")), ids=dotted)
def test_a_script_imports_the_library_inside_main(path: Path) -> None:
    # At its top it would be loaded before threads are set and before the watch stands.
    top = [node for node in ast.parse(path.read_bytes()).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert [ast.unparse(node) for node in top] == ["from reregister.provenance.door import Job, run"]


@pytest.mark.parametrize("path", MODULES.values(), ids=dotted)
def test_only_the_registry_imports_by_name(path: Path) -> None:
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Call)}
    dynamic = {
        name for name in calls if name.split(".")[-1] in {"import_module", "__import__", "run_path", "run_module"}
    }
    assert not dynamic or path.name == "registry.py"


@pytest.mark.parametrize("kind", REGISTRIES)
def test_registry_entries_load_by_their_name(kind: str) -> None:
    entries = names(kind)
    assert entries
    for name in entries:
        assert load(kind, name).__name__ == f"reregister.{kind.replace('/', '.')}.{name}"
