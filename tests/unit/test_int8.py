"""8-bit arithmetic through OpenVINO: the file, its accuracy, and that convolutions are executed in 8 bits."""

from pathlib import Path

import numpy as np
import openvino
import pytest
import torch
from torch import nn

from reregister.compression.int8 import write_int8
from reregister.errors import ReregisterError
from reregister.export import export_onnx
from reregister.models.label_reg_local_net import LabelRegLocalNet
from reregister.runtimes import onnx_method

SIDE = 16


def images(seed: int, count: int = 2) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return list(generator.random((count, SIDE, SIDE, SIDE), dtype=np.float32))


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[LabelRegLocalNet, Path]:
    """A network with every kind of layer there is, running averages that have settled, and its ONNX."""
    torch.manual_seed(0)
    model = LabelRegLocalNet(channels=4, statistics="running")
    for summand in model.summands:
        nn.init.normal_(summand.weight, 0, 0.05)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm3d):
            norm.momentum = 0.5
    with torch.no_grad():
        for _ in range(6):
            model(*torch.rand(2, 2, 1, SIDE, SIDE, SIDE))
    path = tmp_path_factory.mktemp("int8") / "network.onnx"
    export_onnx(model.eval(), path, (1, SIDE, SIDE, SIDE), {"recipe_id": "recipe"})
    return model, path


@pytest.fixture(scope="module")
def converted(exported, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "network.xml"
    size = write_int8(exported[1], path, [tuple(images(seed)) for seed in range(3)])
    assert size == path.stat().st_size + path.with_suffix(".bin").stat().st_size
    return path


def test_field_is_near_that_of_single_precision(exported, converted):
    model, onnx = exported
    moving, fixed = images(9)
    with torch.no_grad():
        wanted = model(*(torch.from_numpy(image)[None, None] for image in (moving, fixed)))[0].numpy()
    single, _ = onnx_method(onnx, "openvino", 1)(moving, fixed, (1, 1, 1), settings={})
    found, _ = onnx_method(converted, "openvino", 1)(moving, fixed, (1, 1, 1), settings={})
    np.testing.assert_allclose(single, wanted, atol=1e-3)
    assert found.shape == wanted.shape
    difference = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
    assert 1e-5 < difference < 0.15


def test_convolutions_are_executed_in_8_bits(converted):
    compiled = openvino.Core().compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    layers = [node.get_rt_info() for node in compiled.get_runtime_model().get_ordered_ops()]
    kinds = [
        str(info["runtimePrecision"].astype(str))
        for info in layers
        if str(info["layerType"].astype(str)) == "Convolution"
    ]
    assert len(kinds) == 26
    assert sum(kind in ("i8", "u8") for kind in kinds) >= 24


def test_weights_lie_in_8_bits_on_disk(exported, converted):
    parameters = sum(p.numel() for p in exported[0].parameters())
    assert converted.with_suffix(".bin").stat().st_size < 1.3 * parameters


def test_same_network_gives_the_same_bytes(exported, converted, tmp_path):
    write_int8(exported[1], tmp_path / "again.xml", [tuple(images(seed)) for seed in range(3)])
    for suffix in (".xml", ".bin"):
        assert (tmp_path / "again").with_suffix(suffix).read_bytes() == converted.with_suffix(suffix).read_bytes()


def test_what_does_not_fit(exported, tmp_path):
    target = tmp_path / "network.xml"
    pairs = [tuple(images(0))]
    with pytest.raises(ReregisterError, match=r"must end in \.xml"):
        write_int8(exported[1], tmp_path / "network.bin", pairs)
    with pytest.raises(ReregisterError, match="at least one"):
        write_int8(exported[1], target, [])
    with pytest.raises(ReregisterError, match="does not fit the network"):
        write_int8(exported[1], target, [(images(0)[0][:8], images(0)[1][:8])])
    with pytest.raises(ReregisterError, match="does not exist"):
        write_int8(tmp_path / "none.onnx", target, pairs)
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    with pytest.raises(ReregisterError, match="can read"):
        write_int8(tmp_path / "broken.onnx", target, pairs)
    assert not list(tmp_path.glob("network.*"))
