"""What all tests share: where the real samples lie, and the rule that a skip of theirs is a failure where they are given."""

import os
from pathlib import Path

import pytest

SAMPLES = "REREGISTER_SAMPLE_DATA"


@pytest.fixture(scope="session")
def samples() -> Path:
    """Folder of real sample data; the test is skipped where the environment does not name one."""
    if SAMPLES not in os.environ:
        pytest.skip(f"{SAMPLES} is not set")
    return Path(os.environ[SAMPLES])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """Where samples are given, a test that is skipped for want of them says that they are incomplete."""
    report = yield
    if report.skipped and SAMPLES in os.environ and SAMPLES in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"{SAMPLES} is set, but: {report.longrepr}"
    return report
