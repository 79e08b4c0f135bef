"""Trained networks as ONNX: one file that registers without torch and without this project; `runtimes` runs it."""

import copy
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import onnx

# torch's exporter imports onnxscript by itself: named here so that every environment that exports lists it.
import onnxscript  # noqa: F401
import torch
from onnx import numpy_helper
from torch import nn

from reregister.errors import ReregisterError
from reregister.provenance.files import atomic_path

# The version that torch's exporter writes without a conversion afterwards.
OPSET = 18
INPUTS, OUTPUT = ("moving", "fixed"), "ddf"
MEANING = (
    "Deformable registration of moving (B, 1, *spatial) to fixed (B, 1, *spatial), float32: ddf (B, ndim, *spatial) in "
    "voxels of the fixed image, channel k along spatial axis k, with warped(x) = moving(x + ddf(x))."
)
_REMARKS = ("doc_string", "metadata_props")
_REGISTRATION_LOG = "torch.onnx._internal.exporter._registration"


def export_onnx(
    model: nn.Module, path: str | os.PathLike[str], shape: Sequence[int], metadata: Mapping[str, str]
) -> None:
    """Write a registration network, as it is in evaluation mode, as one ONNX file: `write_onnx` of its `trace`."""
    write_onnx(trace(model, shape), model, path, metadata)


def trace(model: nn.Module, shape: Sequence[int]) -> onnx.ModelProto:
    """The computation of a network in evaluation mode, which all networks of its architecture and arguments share.

    shape: (1, *spatial) of the images, as in `weights.make_card`. The graph takes images of this size alone, since its
    spline's matrices are part of it (a thin-plate spline's takes 4 bytes for each pixel and control point: 64 MiB for
    256 x 256 and 16 x 16); the batch may have any size. Inputs moving and fixed (B, 1, *spatial), output ddf (B, ndim,
    *spatial), all float32, ddf in voxels. The network itself is left alone. Raises ReregisterError where it does not take
    such images or cannot be expressed in ONNX.
    """
    network = copy.deepcopy(model).cpu().float().eval()
    _check_forward(network, shape)
    graph = _exported(network, shape)
    _clear_remarks(graph)
    graph.producer_version = torch.__version__.partition("+")[0]
    graph.doc_string = MEANING
    return graph


def write_onnx(
    graph: onnx.ModelProto, model: nn.Module, path: str | os.PathLike[str], metadata: Mapping[str, str]
) -> None:
    """Write a graph of `trace` with the weights of a network of the same architecture and arguments.

    metadata: texts that the file carries, such as recipe_id and architecture. The same weights give the same bytes
    wherever they are exported with the same torch and onnxscript: what the exporter notes of source files and stack
    traces is left out. Raises ReregisterError where the network's weights are not those that the graph takes, or the
    file cannot be written.
    """
    places = {tensor.name: tensor for tensor in graph.graph.initializer}
    # Averages that a network does not compute with, as where it normalises by the batch, are not in its graph.
    unused = {name for name, _ in model.named_buffers() if name not in places}
    weights = {
        name: tensor for name, tensor in model.state_dict().items() if tensor.is_floating_point() and name not in unused
    }
    strange = [n for n, tensor in weights.items() if n not in places or list(places[n].dims) != list(tensor.shape)]
    if strange:
        raise ReregisterError(
            f"{type(model).__name__} is not the network that was traced: its weights {strange[0]} differ"
        )
    for name, tensor in weights.items():
        places[name].CopyFrom(numpy_helper.from_array(tensor.detach().cpu().float().numpy(), name))
    onnx.helper.set_model_props(graph, dict(sorted(metadata.items())))
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(graph.SerializeToString(deterministic=True))
            onnx.checker.check_model(temporary, full_check=True)
    except OSError as error:
        raise ReregisterError(f"{path} cannot be written ({error}); make room in its folder or mend it") from error


def _check_forward(network: nn.Module, shape: Sequence[int]) -> None:
    """One real pass before the export.

    It fills the caches of the splines' matrices too. The exporter's own pass has tensors without values: it would leave
    those in the caches, and later passes of any network would fail on them.
    """
    name, wanted = type(network).__name__, (1, len(shape) - 1, *shape[1:])
    try:
        with torch.no_grad():
            found = tuple(network(torch.zeros(1, *shape), torch.zeros(1, *shape)).shape)
    except (ValueError, RuntimeError) as error:
        raise ReregisterError(f"{name} cannot be exported for images of {tuple(shape)}: {error}") from error
    if found != wanted:
        raise ReregisterError(f"{name} cannot be exported: for {tuple(shape)} its ddf is {found} and not {wanted}")


def _exported(network: nn.Module, shape: Sequence[int]) -> onnx.ModelProto:
    # A batch of two: one of 1 would be taken for a size that never changes.
    pair = (torch.zeros(2, *shape), torch.zeros(2, *shape))
    batch = torch.export.Dim("batch")
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                network,
                pair,
                input_names=INPUTS,
                output_names=[OUTPUT],
                opset_version=OPSET,
                dynamic_shapes=({0: batch}, {0: batch}),
                dynamo=True,
                # Folded into each other, weights could not be told apart; the runtimes fold them when they load.
                optimize=False,
                external_data=False,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error).strip().splitlines()[0]
        raise ReregisterError(f"{type(network).__name__} cannot be written as ONNX: {reason}") from error
    assert program is not None
    graph: onnx.ModelProto = program.model_proto
    return graph


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's words on its own affairs: deprecated internals, operators of packages not installed."""
    log = logging.getLogger(_REGISTRATION_LOG)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _clear_remarks(message: Any) -> None:
    """Take every text that is no part of the computation out of a protobuf message and all that is in it."""
    for field, value in message.ListFields():
        if field.name in _REMARKS:
            message.ClearField(field.name)
        elif hasattr(value, "ListFields"):
            _clear_remarks(value)
        elif field.message_type is not None:
            for part in value:
                _clear_remarks(part)
