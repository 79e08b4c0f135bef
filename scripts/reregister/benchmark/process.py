"""Measuring in a process of its own: with another number of threads, or with settings that no process can take back."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reregister.errors import ReregisterError

_SCRIPTS = Path(__file__).resolve().parents[2]
_CODE = (
    "import importlib, json, sys; module, name, arguments = json.load(sys.stdin); "
    "print(json.dumps(getattr(importlib.import_module(module), name)(**arguments)))"
)


def in_own_process(function: Callable[..., Any], threads: int, arguments: Mapping[str, Any]) -> Any:
    """`function(**arguments)` in a new process of this Python, whose libraries take so many threads.

    function: of a module, by its own name. arguments and result: what JSON can hold. Raises ReregisterError where the
    function fails.
    """
    paths = [str(_SCRIPTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
    done = subprocess.run(
        [sys.executable, "-c", _CODE],
        # Arguments come in through stdin: the record keeps command lines, and should keep a short one.
        input=json.dumps([function.__module__, function.__name__, dict(arguments)]),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **dict.fromkeys(variables, str(threads))},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = done.stderr.strip()[-500:]
        raise ReregisterError(f"{function.__name__} of the benchmark failed in a process of its own: {said}")
    return json.loads(done.stdout.splitlines()[-1])
