"""What a process that a job started saw with a watch of its own, so that it enters the job's record. Standard library only."""

import sys
from dataclasses import dataclass, field
from typing import Any

from reregister.provenance.watch import Watch


@dataclass
class Seen:
    """Files, addresses and programs as `Watch` has them; modules: names of all that were loaded; files: theirs."""

    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    network: list[str] = field(default_factory=list)
    programs: list[list[str]] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def add_to(self, watch: Watch) -> None:
        """Add files, addresses and programs to those that the job's own watch saw."""
        watch.reads.update(self.reads)
        watch.writes.update(self.writes)
        watch.network.update(self.network)
        watch.programs.extend(self.programs)


def seen_here(watch: Watch) -> dict[str, Any]:
    """What this process saw so far, as plain values for `Seen`."""
    return {
        "reads": sorted(watch.reads),
        "writes": sorted(watch.writes),
        "network": sorted(watch.network),
        "programs": watch.programs,
        "modules": sorted({module.split(".")[0] for module in sys.modules}),
        "files": sorted(file for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))),
    }
