"""Exported networks as a method like any other, run by ONNX Runtime or OpenVINO: no torch, no code of the network."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reregister.baselines.batch import RegisterOne
from reregister.errors import ReregisterError

# The names that `export.export_onnx` gives; not taken from there, since that module imports torch.
_INPUTS, _OUTPUT = {"moving", "fixed"}, "ddf"
Infer = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _onnxruntime(path: Path, threads: int) -> tuple[dict[str, Sequence[Any]], Infer]:
    """Shapes of all inputs and outputs by name, and the function of one pair."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Warnings would go to the console of a job, past the log.
    options.log_severity_level = 3
    options.add_free_dimension_override_by_name("batch", 1)
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    faces = {face.name: face.shape for face in (*session.get_inputs(), *session.get_outputs())}

    def infer(moving: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        ddf: np.ndarray = session.run([_OUTPUT], {"moving": moving, "fixed": fixed})[0]
        return ddf

    return faces, infer


def _openvino(path: Path, threads: int) -> tuple[dict[str, Sequence[Any]], Infer]:
    """Shapes of all inputs and outputs by name, and the function of one pair."""
    from reregister.openvino_core import core, openvino

    network = core().read_model(path)
    one = {port.any_name: openvino.PartialShape([1, *list(port.partial_shape)[1:]]) for port in network.inputs}
    # A batch that is known is faster than one that may change.
    network.reshape(one)
    # Single precision said aloud: on processors with bfloat16 OpenVINO takes that by itself. Not pinned: the threads of
    # two jobs side by side would be pinned to the same cores.
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": False,
    }
    request = core().compile_model(network, "CPU", settings).create_infer_request()
    faces: dict[str, Sequence[Any]] = {port.any_name: list(port.shape) for port in (*network.inputs, *network.outputs)}

    def infer(moving: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        # A copy: the array belongs to the request, and its next pass overwrites it.
        ddf: np.ndarray = request.infer({"moving": moving, "fixed": fixed}, share_inputs=True)[_OUTPUT].copy()
        return ddf

    return faces, infer


RUNTIMES = {"onnxruntime": _onnxruntime, "openvino": _openvino}


def _load(path: Path, runtime: str, threads: int) -> tuple[tuple[int, ...], Infer]:
    """Spatial size of the images that the file takes, and the function of one pair."""
    if runtime not in RUNTIMES:
        raise ReregisterError(f"runtime {runtime!r} is not known; choose one of {', '.join(RUNTIMES)}")
    if not path.is_file():
        raise ReregisterError(f"{path} does not exist; give the path of an .onnx file")
    try:
        faces, infer = RUNTIMES[runtime](path, threads)
    except ImportError as error:
        raise ReregisterError(f"{runtime} cannot be imported ({error}); pip install {runtime}") from error
    except Exception as error:
        # Each runtime has errors of its own, of no common type.
        reason = str(error).strip().splitlines()[-1]
        raise ReregisterError(f"{path} is no ONNX network that {runtime} can run: {reason}") from error
    shape = faces.get("fixed", ())
    if set(faces) != {*_INPUTS, _OUTPUT} or len(shape) < 4 or not all(isinstance(side, int) for side in shape[2:]):
        found = ", ".join(sorted(faces))
        raise ReregisterError(f"{path} is no registration network of reregister: its inputs and outputs are {found}")
    return tuple(shape[2:]), infer


def onnx_method(path: str | os.PathLike[str], runtime: str, threads: int) -> RegisterOne:
    """A network written by `export.export_onnx` as a function of one pair of (*spatial) images.

    runtime: `onnxruntime` or `openvino`, on the CPU and in single precision with so many threads. The function returns
    ddf (ndim, *spatial), float32, voxels, pull-back, and an empty note; spacing and settings mean nothing to it. It
    raises ReregisterError, with both sizes, for a pair of another size than the file was exported for.
    Raises ReregisterError where the runtime is unknown or not installed, or the file is missing, no ONNX or the network
    of something else.
    """
    size, infer = _load(Path(path), runtime, threads)

    def register(
        moving: np.ndarray, fixed: np.ndarray, spacing: Sequence[float], *, settings: Mapping[str, Any]
    ) -> tuple[np.ndarray, str]:
        for name, image in (("moving", moving), ("fixed", fixed)):
            if image.shape != size:
                raise ReregisterError(
                    f"{path} registers images of {size} and the {name} image has {image.shape}; resample the pair to "
                    f"{size}, or export the network for {image.shape}"
                )
        moving, fixed = (np.ascontiguousarray(image[np.newaxis, np.newaxis], np.float32) for image in (moving, fixed))
        return infer(moving, fixed)[0], ""

    return register
