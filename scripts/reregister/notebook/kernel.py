"""The process that runs a notebook's cells: IPython's kernel, started behind the recorder's watch.

A job's own watch sees its own process alone. So this one has a watch of its own, and leaves what it saw in a file.
"""

import json
import os
import signal
import sys
from pathlib import Path

from reregister.provenance.child import seen_here
from reregister.provenance.watch import Watch

#: Environment variable with the file in which the kernel leaves what it saw.
SEEN = "REREGISTER_KERNEL_SEEN"


def main() -> None:
    """Run the kernel that the command line describes, until it is told to end, and write down what it saw."""
    watch = Watch()
    watch.start()
    # What notebooks import of the library is named here, so that it belongs to the code of the job that starts this.
    from ipykernel.kernelapp import IPKernelApp

    from reregister.notebook import display, results, words  # noqa: F401

    try:
        IPKernelApp.launch_instance()
    finally:
        # Whoever ends a kernel interrupts it first: not while this is written.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        watch.stop()
        Path(os.environ[SEEN]).write_text(json.dumps(seen_here(watch)), encoding="utf-8")


if __name__ == "__main__":
    # The folder that the cells run in is the run's: nothing is to be imported from there.
    sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() != Path.cwd()]
    main()
