"""OpenVINO as this project uses it: without its telemetry, and loaded once for the life of a process."""

import sys
from functools import cache

# It would send an event over the network each time it is imported, and keep an id; its own fallback for an installation
# without that part is taken.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # noqa: E402
from openvino import opset13 as operations  # noqa: E402
from openvino import passes  # noqa: E402

__all__ = ["core", "openvino", "operations", "passes"]


@cache
def core() -> openvino.Core:
    """The one core of this process.

    When the last core goes, the CPU plugin is unloaded and leaves the thread with a stack for signals that is no longer
    there: the next signal, such as SIGTERM, would end the process in a segmentation fault before Python sees it.
    """
    return openvino.Core()
