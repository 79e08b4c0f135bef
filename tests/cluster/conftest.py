"""The Slurm that these tests need: without it they are skipped, and with REREGISTER_CLUSTER=required they fail."""

import pytest

from ..slurm_node import SlurmNode, why_not


@pytest.fixture(scope="session")
def node(slurm: SlurmNode | None) -> SlurmNode:
    """The running Slurm; the test is skipped where there is none."""
    if slurm is None:
        pytest.skip(why_not())
    return slurm
