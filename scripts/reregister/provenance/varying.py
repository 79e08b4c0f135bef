"""What may differ between two runs from nothing on one machine, by name. All else has the same bytes.

Standard library only.
"""

import fnmatch
from collections.abc import Iterable

# Kinds of results that hold times, by the name under which an exhibit reads them, and what their files are called.
TIMES = {"timing": "*.timing.csv", "steps": "*/steps/*.csv"}
# What is said of claims about time.
CLAIMS_OF_TIME = ("*/claims/timed_*.csv",)
# The record, what a job says while it runs, and the pages, which show both.
RECORD = ("receipts/*", "*/logs/*", "logs/*", "*/benchmarks/*", "report/*", "SHA256SUMS")


def may_vary(timed: Iterable[str]) -> tuple[str, ...]:
    """Patterns of the files that may differ. timed: names of the exhibits that show times."""
    exhibits = [pattern.format(name) for name in timed for pattern in ("*/tables/{}.csv", "*/figures/{}.*")]
    return (*TIMES.values(), *CLAIMS_OF_TIME, *exhibits, *RECORD)


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a file's name in the run folder is one of those that the patterns mean."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
