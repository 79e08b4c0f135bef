"""A process that fits pairs one after the other, told which through its standard input.

Two pairs side by side on one thread each take less time than one after the other on two threads, and threads of one
process would share torch's. Lines of JSON: in comes first `Setup`, then a pair each; out come steps and what is finished.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from reregister.errors import ReregisterError
from reregister.prior.pairs import Pair, fit_pair
from reregister.prior.settings import PriorSettings
from reregister.runtime import torch_settings


@dataclass(frozen=True)
class Setup:
    """What all pairs of a job have in common.

    images: path of the store's images. model: name and params. start: path of the fields that the pairs start from.
    """

    images: str
    model: Mapping[str, Any]
    settings: Mapping[str, Any]
    determinism: str
    start: str | None = None

    def fields(self) -> np.ndarray | None:
        """The fields that the pairs start from, (P, 2, H, W), voxels, mapped; None where they start from none."""
        return None if self.start is None else np.load(self.start, mmap_mode="r", allow_pickle=False)[0]

    def line(self) -> str:
        """The first line of a worker's input."""
        return json.dumps(asdict(self))


def main() -> None:
    """Fit pairs until the input ends. Where a pair cannot be fitted, say why and end."""
    # What a library prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    parent = os.getppid()

    def answer(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")

    def report(step: int, loss: float) -> None:
        if os.getppid() != parent:
            # The job was killed; whoever takes it up again must not find this process at work.
            os._exit(1)
        answer(step=step, loss=loss)

    setup = Setup(**json.loads(sys.stdin.readline()))
    images = np.load(setup.images, mmap_mode="r", allow_pickle=False)
    settings, cpu, first = PriorSettings.of(setup.settings), torch.device("cpu"), True
    try:
        with torch_settings(1, setup.determinism, cpu) as record:
            for line in sys.stdin:
                pair = Pair(**json.loads(line))
                fit_pair(images, pair, setup.model, settings, cpu, report, first, setup.fields())
                first = False
                answer(finished=True)
        answer(warned=record["warned"])
    except ReregisterError as error:
        answer(error=str(error))


if __name__ == "__main__":
    main()
