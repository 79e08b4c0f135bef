"""The profiles: the one that is always loaded sets nothing that Slurm's sets, and Slurm's is complete without an edit."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yte

from reregister.config import read_yaml

PROJECT = Path(__file__).resolve().parents[2]
SLURM = PROJECT / "slurm" / "profile.yaml"
VARIABLES = ("ACCOUNT", "PARTITION", "GPU_PARTITION", "GROUP")


def profile(monkeypatch: pytest.MonkeyPatch, path: str = "", **given: str) -> dict[str, Any]:
    """Slurm's profile as Snakemake reads it with these variables, and with the programs of one folder alone."""
    for name in VARIABLES:
        monkeypatch.delenv(f"REREGISTER_SLURM_{name}", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(f"REREGISTER_SLURM_{name}", value)
    monkeypatch.setenv("PATH", path)
    content: dict[str, Any] = yte.process_yaml(SLURM.read_text(encoding="utf-8"), require_use_yte=True)
    return content


@pytest.fixture
def conda(tmp_path: Path) -> str:
    """A folder with a program named conda."""
    (tmp_path / "conda").touch(mode=0o755)
    return str(tmp_path)


def test_default_profile_sets_no_key_that_slurms_sets(monkeypatch: pytest.MonkeyPatch, conda: str) -> None:
    # It is loaded beside every other profile, and its keys win whole.
    default = read_yaml(PROJECT / "profiles" / "default" / "config.yaml")
    slurm = profile(monkeypatch, conda, ACCOUNT="a", PARTITION="p")
    assert {"executor", "default-resources", "set-resources", "software-deployment-method"} <= set(slurm)
    assert not set(default) & set(slurm)


def test_without_variables_the_cluster_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    found = profile(monkeypatch)
    assert "default-resources" not in found
    assert found["set-resources"]["train_model"] == {"slurm_partition": "gpu"}
    assert found["group-components"] == {"register": 8, "evaluate": 8}


def test_variables_name_account_partitions_and_size_of_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    found = profile(monkeypatch, ACCOUNT="lab", PARTITION="long", GPU_PARTITION="a100", GROUP="1")
    assert found["default-resources"] == {"slurm_account": "lab", "slurm_partition": "long"}
    assert {rule.get("slurm_partition") for rule in found["set-resources"].values()} == {"a100", None}
    assert found["group-components"] == {"register": 1, "evaluate": 1}


def test_conda_is_used_where_it_is(monkeypatch: pytest.MonkeyPatch, conda: str) -> None:
    assert profile(monkeypatch, conda)["software-deployment-method"] == "conda"
    assert "software-deployment-method" not in profile(monkeypatch, os.devnull)


def test_rules_that_ask_for_a_gpu_are_those_with_its_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in (PROJECT / "workflow" / "rules").glob("*.smk"))
    rules = re.split(r"^rule (\w+):$", text, flags=re.MULTILINE)[1:]
    asking = {name for name, body in zip(rules[::2], rules[1::2], strict=True) if re.search(r"\bgpu=", body)}
    rules = profile(monkeypatch)["set-resources"]
    assert asking == {name for name, resources in rules.items() if "slurm_partition" in resources}


def test_members_of_groups_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    found = profile(monkeypatch)
    assert {name for name, resources in found["set-resources"].items() if resources.get("turn") == 1} == set(
        found["groups"]
    )
    assert found["resources"] == {"gpu": 1, "turn": 1}
    # Of the whole run they would let one GPU job run at a time.
    assert found["set-resource-scopes"] == dict.fromkeys(found["resources"], "local")


def test_every_key_has_its_reason_above(monkeypatch: pytest.MonkeyPatch) -> None:
    for file in (SLURM, PROJECT / "profiles" / "default" / "config.yaml"):
        lines = file.read_text(encoding="utf-8").splitlines()
        keys = [n for n, line in enumerate(lines) if re.match(r"\w", line) and not line.startswith("__")]
        without = [lines[n] for n in keys if not lines[n - 1].startswith("#")]
        assert without == [], file
