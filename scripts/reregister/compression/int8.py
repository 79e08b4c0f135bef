"""A network in 8-bit integer arithmetic: an exported ONNX network with quantisers put in, for OpenVINO's CPU kernels.

This is int8 that is truly faster, unlike weights that are stored in 8 bits and computed with in single precision.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from reregister.errors import ReregisterError
from reregister.openvino_core import core, openvino, operations, passes
from reregister.provenance.files import atomic_path

PRECISIONS = ("int8", "f32")
CONVOLUTIONS = {"Convolution": 0, "ConvolutionBackpropData": 1}
# Values of int8 that are used: symmetric for weights, all of them for what goes into a convolution.
STEPS, LEVELS = 127, 256
Pair = tuple[np.ndarray, np.ndarray]


def write_int8(
    onnx_path: str | os.PathLike[str], path: str | os.PathLike[str], calibration: Iterable[Pair], threads: int = 1
) -> int:
    """Write a network of `export.export_onnx` as OpenVINO's .xml and .bin with 8-bit convolutions.

    path: ends in .xml; the weights, int8 with a scale per output channel, lie beside it in .bin. calibration: pairs
    (moving, fixed) of training images (*spatial) of the size that the network was exported for; the range of what goes
    into each convolution is what they reach, so what lies beyond is clipped. All else, and the sums that give the
    displacement, stay in single precision. The file takes batches of one and is run by
    `runtimes.onnx_method(path, "openvino", threads)`. Returns the bytes of both files.
    Raises ReregisterError where the network cannot be read, path does not end in .xml or there is no pair.
    """
    target = Path(path)
    if target.suffix != ".xml":
        raise ReregisterError(f"{target} must end in .xml, since OpenVINO writes its network so; rename it")
    network = _read(Path(onnx_path))
    sources = _convolution_inputs(network)
    ranges = _ranges(network, sources, calibration, threads)
    quantised = {_key(source): _quantised_input(source, *ranges[_key(source)]) for source in sources}
    for node in _convolutions(network):
        node.input(0).replace_source_output(quantised[_key(node.input_value(0))].output(0))
        node.input(1).replace_source_output(_quantised_weight(node).output(0))
    network.validate_nodes_and_infer_types()
    # OpenVINO counts nodes over the life of the process; the same network is to give the same bytes.
    for number, node in enumerate(network.get_ordered_ops()):
        if node.get_type_name() not in ("Parameter", "Result"):
            node.set_friendly_name(f"{node.get_type_name()}_{number}")
    return _save(network, target)


def prepare(
    exported: Path, precision: str, target: Path | None, calibration: Iterable[Pair], threads: int
) -> tuple[Path, int]:
    """The network file that is to be run in a precision, and its bytes, of its weights too.

    precision: `f32`, the .onnx as it was exported, or `int8`, which `write_int8` writes to target. Raises ReregisterError
    for another word, int8 without a target, and as `write_int8`.
    """
    if precision not in PRECISIONS or (precision == "int8") != (target is not None):
        raise ReregisterError(
            f"settings.precision is {precision!r} with {'a' if target else 'no'} file to write the network to; give one of "
            f"{', '.join(PRECISIONS)}, int8 with such a file"
        )
    if target is None:
        return exported, exported.stat().st_size
    return target, write_int8(exported, target, calibration, threads)


def _read(path: Path) -> openvino.Model:
    """The network with a batch of one and its constants computed."""
    if not path.is_file():
        raise ReregisterError(f"{path} does not exist; give the path of an .onnx file")
    try:
        network = core().read_model(path)
    except RuntimeError as error:
        raise ReregisterError(f"{path} is no network that OpenVINO can read; export it again") from error
    network.reshape(
        {port.any_name: openvino.PartialShape([1, *list(port.partial_shape)[1:]]) for port in network.inputs}
    )
    # Shapes are known now; what asks a weight for its shape would keep it in the file beside its int8 form.
    manager = passes.Manager()
    manager.register_pass(passes.ConstantFolding())
    manager.run_passes(network)
    return network


def _convolutions(network: openvino.Model) -> list[openvino.Node]:
    return [node for node in network.get_ordered_ops() if node.get_type_name() in CONVOLUTIONS]


def _key(source: openvino.Output) -> tuple[str, int]:
    return source.get_node().get_name(), source.get_index()


def _convolution_inputs(network: openvino.Model) -> list[openvino.Output]:
    """What goes into convolutions, each once though several may take it."""
    return list({_key(node.input_value(0)): node.input_value(0) for node in _convolutions(network)}.values())


def _ranges(
    network: openvino.Model, sources: Sequence[openvino.Output], calibration: Iterable[Pair], threads: int
) -> dict[tuple[str, int], tuple[float, float]]:
    """Least and greatest value of each source over all pairs. The graph reduces them, so no large output is kept."""
    axes = [operations.constant(np.arange(len(source.get_partial_shape())), np.int64) for source in sources]
    outputs = []
    for source, axis in zip(sources, axes, strict=True):
        outputs += [operations.reduce_min(source, axis).output(0), operations.reduce_max(source, axis).output(0)]
    probe = openvino.Model(outputs, network.get_parameters(), "ranges")
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "ENABLE_CPU_PINNING": False}
    request = core().compile_model(probe, "CPU", settings).create_infer_request()
    found = []
    for moving, fixed in calibration:
        images = {
            name: np.ascontiguousarray(image[None, None], np.float32)
            for name, image in (("moving", moving), ("fixed", fixed))
        }
        try:
            request.infer(images)
        except RuntimeError as error:
            wanted = {port.any_name: tuple(port.partial_shape.to_shape())[2:] for port in network.inputs}
            raise ReregisterError(
                f"a pair of calibration, {np.shape(moving)} and {np.shape(fixed)}, does not fit the network, which takes "
                f"{wanted['moving']}; resample it"
            ) from error
        found.append([float(request.get_output_tensor(index).data) for index in range(len(outputs))])
    if not found:
        raise ReregisterError("no pair was given to calibrate the 8-bit network on; give at least one")
    values = np.array(found)
    least, greatest = values[:, 0::2].min(0), values[:, 1::2].max(0)
    return {_key(source): (float(least[i]), float(greatest[i])) for i, source in enumerate(sources)}


def _quantised_input(source: openvino.Output, least: float, greatest: float) -> openvino.Node:
    """A quantiser of 256 levels: from 0 where nothing is negative (after ReLU), else about 0."""
    if least >= 0:
        low, high = 0.0, greatest
    else:
        high = max(-least, greatest)
        low = -high * (STEPS + 1) / STEPS
    # A layer that puts out nothing but zeros has a range of no width.
    bounds = [np.float32(low), np.float32(high if high > low else 1.0)]
    constants = [
        operations.constant(np.full([1] * len(source.get_partial_shape()), bound)) for bound in (*bounds, *bounds)
    ]
    return operations.fake_quantize(source, *constants, levels=LEVELS)


def _quantised_weight(node: openvino.Node) -> openvino.Node:
    """int8 weights and a scale for each output channel, as OpenVINO stores compressed weights."""
    constant = node.input_value(1).get_node()
    if constant.get_type_name() != "Constant":
        raise ReregisterError(f"convolution {node.get_friendly_name()} has weights that are computed; export it again")
    weight = constant.get_data()
    outputs = CONVOLUTIONS[node.get_type_name()]
    others = tuple(axis for axis in range(weight.ndim) if axis != outputs)
    scale = np.abs(weight).max(others, keepdims=True) / STEPS
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    values = np.clip(np.rint(weight / scale), -STEPS, STEPS).astype(np.int8)
    return operations.multiply(operations.convert(operations.constant(values), np.float32), operations.constant(scale))


def _save(network: openvino.Model, target: Path) -> int:
    """Write both files, the weights first: a reader that finds the .xml finds them."""
    with TemporaryDirectory() as folder:
        made = Path(folder) / target.name
        openvino.save_model(network, made, compress_to_fp16=False)
        try:
            for suffix in (".bin", ".xml"):
                with atomic_path(target.with_suffix(suffix)) as temporary:
                    temporary.write_bytes(made.with_suffix(suffix).read_bytes())
        except OSError as error:
            raise ReregisterError(
                f"{target} cannot be written ({error}); make room in its folder or mend it"
            ) from error
    return sum(target.with_suffix(suffix).stat().st_size for suffix in (".xml", ".bin"))
