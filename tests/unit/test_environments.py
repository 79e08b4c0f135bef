"""Each rule's conda environment holds what its script imports, in the versions of requirements.txt."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from reregister.provenance import closure
from reregister.registry import module_name, names

PROJECT = Path(__file__).resolve().parents[2]
# Where the name that is imported is not the package's name, here in conda-forge's spelling.
PACKAGES = {
    "torch": "pytorch",
    "skimage": "scikit-image",
    "SimpleITK": "simpleitk",
    "itk": "itk-elastix",
    "ants": "antspyx",
    "yaml": "pyyaml",
    "PIL": "pillow",
    "IPython": "ipython",
}
# And where PyPI and conda-forge differ.
PYPI = {"pytorch": "torch", "jupyter_client": "jupyter-client"}

# What the benchmark compares with where somebody has installed it, and what no environment can list from conda-forge.
OPTIONAL = {"voxelmorph", "neurite"}


class Rule(NamedTuple):
    """A rule with a script, for each tool once where the tool chooses the environment.

    tool: "" where it does not. env, coded: what it gives to env_of and code_of. kinds: registries that code_of is told.
    """

    name: str
    script: str
    tool: str
    conda: str
    env: str
    coded: str
    kinds: set[str]


def rules() -> list[Rule]:
    """Every rule with a script; one whose tool is a wildcard's stands there for each tool that has an environment."""
    found = []
    for path in sorted((PROJECT / "workflow" / "rules").glob("*.smk")):
        for block in re.split(r"^\s*rule\b", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
            script = re.search(r'script:\s*"\.\./\.\./scripts/(\w+)\.py"', block)
            if not script:
                continue
            conda = re.search(r'conda:\s*(?:"|lambda wildcards: f")\.\./\.\./(envs/[\w{}()]+\.yaml)"', block)
            env = re.search(r'env=(?:env_of\("(\w+)"\)|lambda wildcards: env_of\((tool_of\(wildcards\))\))', block)
            coded = re.search(r'(code_of|code_for|exhibit_code)\(\s*"(\w+)"', block)
            assert conda, block
            assert env, block
            assert coded, block
            kinds = set(re.findall(r'\(\s*"(models|figures|baselines|data/\w+)",', block[coded.start() :]))
            if coded[1] == "exhibit_code":
                kinds.add("figures")
            title = block.split(":", 1)[0].strip() or script[1]
            by_tool = TOOL in conda[1]
            for tool in TOOLS if by_tool else ("",):
                folder = [conda[1].replace(TOOL, tool), f"envs/{tool if env[2] else env[1]}.yaml"]
                found.append(Rule(f"{title} {tool}".strip(), script[1], tool, *folder, coded[2], kinds))
    return found


def tools() -> list[str]:
    """Tools that the rules know, with the memory that they ask for."""
    text = (PROJECT / "workflow" / "rules" / "common.smk").read_text(encoding="utf-8")
    match = re.search(r"^TOOLS = (\{.*?\})$", text, flags=re.M)
    assert match
    return list(ast.literal_eval(match[1]))


TOOL, TOOLS = "{tool_of(wildcards)}", tools()
RULES = rules()
EVERY_RULE = pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
ENVIRONMENTS = sorted((PROJECT / "envs").glob("*.yaml"))


def listed(environment: Path) -> dict[str, str]:
    """Package to version of a conda environment; fails where an entry is not `name ==version`, and Python's `=3.11`."""
    content = yaml.safe_load(environment.read_text(encoding="utf-8"))
    packages = {}
    for entry in content["dependencies"]:
        # For conda `=1.2.3` is any version that begins so.
        match = re.fullmatch(r"(python) =(3\.11)|([a-z0-9_.-]+) ==([0-9][0-9a-z.]*)", entry)
        assert match, f"{environment.name}: {entry}"
        name, version = filter(None, match.groups())
        packages[name] = version
    return packages


def pins(file: str) -> dict[str, str]:
    """Package to version of a requirements file."""
    text = (PROJECT / file).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9_.-]+)==(\S+)", text, flags=re.M))


def kinds_loaded(files: Iterable[Path]) -> set[str]:
    """Registries that files load from: the first argument of their calls of `load`."""
    return {
        node.args[0].value
        for path in files
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "load"
        and isinstance(node.args[0], ast.Constant)
    }


def files_of(rule: Rule) -> list[Path]:
    # A job of one tool loads no other's module.
    entries = [
        module_name(kind, name)
        for kind in sorted(rule.kinds)
        for name in ([rule.tool] if kind == "baselines" and rule.tool else names(kind))
    ]
    return list(closure.closure(PROJECT / "scripts" / f"{rule.script}.py", entries).values())


def test_every_script_belongs_to_a_rule() -> None:
    assert {rule.script for rule in RULES} == {path.stem for path in (PROJECT / "scripts").glob("*.py")}


def test_every_tool_of_the_schema_has_an_environment_of_its_own() -> None:
    schema = yaml.safe_load((PROJECT / "workflow" / "schemas" / "paper.schema.yaml").read_text(encoding="utf-8"))
    assert set(schema["$defs"]["method"]["properties"]["tool"]["enum"]) == {*TOOLS, "network", "prior", "openvino"}
    assert {rule.tool: rule.conda for rule in RULES if rule.tool} == {tool: f"envs/{tool}.yaml" for tool in TOOLS}


def test_every_environment_belongs_to_a_rule() -> None:
    assert {rule.conda for rule in RULES} == {path.relative_to(PROJECT).as_posix() for path in ENVIRONMENTS}


@EVERY_RULE
def test_rule_records_the_environment_and_the_code_that_it_runs_with(rule: Rule) -> None:
    assert rule.env == rule.conda
    assert rule.coded == rule.script


@EVERY_RULE
def test_rule_names_the_registry_entries_that_its_script_loads(rule: Rule) -> None:
    # An entry that is not named is missing from the code digest: editing it would rerun nothing.
    assert kinds_loaded(files_of(rule)) == rule.kinds


@EVERY_RULE
def test_environment_lists_what_the_closure_imports(rule: Rule) -> None:
    imports = closure.third_party_imports(files_of(rule))
    needed = {PACKAGES.get(name, name) for name in imports}
    optional = OPTIONAL if rule.script == "measure_speed" else set()
    assert needed - set(listed(PROJECT / rule.conda)) - optional == set()


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda path: path.stem)
def test_versions_are_those_of_requirements(environment: Path) -> None:
    # What the benchmark compares with is needed by tests too, and by no other rule.
    required = pins("requirements-dev.txt") | pins("requirements.txt")
    packages = listed(environment)
    assert packages.pop("python") == "3.11"
    assert packages == {name: required.get(PYPI.get(name, name)) for name in packages}


def test_tests_run_with_the_versions_of_the_workflow() -> None:
    # Both files are installed in one call; two versions of one package stop it.
    workflow, tests = pins("requirements.txt"), pins("requirements-dev.txt")
    assert {name: tests[name] for name in tests if tests[name] != workflow.get(name, tests[name])} == {}
