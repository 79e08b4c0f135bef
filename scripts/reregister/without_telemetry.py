"""Import this before OpenVINO, which otherwise sends an event over the network each time it is imported, and keeps an id.

Its own fallback for an installation without that part is taken.
"""

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
