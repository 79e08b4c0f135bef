"""Exported networks: what the runtimes compute is what torch computes, and a file holds the network and nothing else."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from reregister.baselines.batch import register_pairs
from reregister.errors import ReregisterError
from reregister.export import export_onnx
from reregister.models.dirnet import DIRNet
from reregister.models.reduced_voxelmorph import ReducedVoxelMorph
from reregister.runtimes import RUNTIMES, onnx_method
from reregister.transforms import bspline, thin_plate

SHAPE = (1, 32, 64)
VARIANTS = {
    "BL": {},
    "A1": {"pooling": "max"},
    "A2": {"pooling": "strided"},
    "B1": {"order": 2},
    "B1 probe": {"order": 2, "transformer": "bspline_misaligned"},
    "B2": {"transformer": "thin_plate"},
    "C1": {"overlap": True},
    "C2": {"head": "dense", "image_size": SHAPE[1:], "nodes": 64},
}
METADATA = {"recipe_id": "r-1", "architecture": "dirnet"}
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def trained(**params) -> DIRNet:
    """A network as training leaves it: no layer is zero, and its batch statistics are not those it began with."""
    torch.manual_seed(1)
    network = DIRNet(**{"init_last": "glorot", **params})
    threads = torch.get_num_threads()
    # The last bits of the statistics depend on the number of threads, and processes are compared.
    torch.set_num_threads(1)
    with torch.no_grad():
        for _ in range(3):
            network(3 * torch.rand(4, *SHAPE) + 1, 2 * torch.rand(4, *SHAPE))
        torch.set_num_threads(threads)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
                module.weight.uniform_(0.5, 2)
                module.bias.uniform_(-0.5, 0.5)
    return network


def pair(batch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.rand(batch, *SHAPE, generator=generator), torch.rand(batch, *SHAPE, generator=generator)


@pytest.fixture(scope="module")
def export_of(tmp_path_factory):
    """Network and file of a variant, exported once; in training mode, as the rule that trains has it."""

    @cache
    def export(variant: str) -> tuple[DIRNet, Path]:
        network = trained(**VARIANTS[variant]).train()
        path = tmp_path_factory.mktemp("export") / "network.onnx"
        # As in a process that only exports: what the export leaves in the caches is what networks work with afterwards.
        bspline.basis.cache_clear()
        thin_plate._matrix.cache_clear()
        export_onnx(network, path, SHAPE, METADATA)
        return network, path

    return export


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_runtimes_give_the_field_of_torch(variant, export_of):
    network, path = export_of(variant)
    # It was exported as it is in evaluation mode, and left in the mode that it was in.
    assert network.training
    moving, fixed = pair()
    expected = field_of(network, moving, fixed)
    assert expected.std() > 0.05
    images = (moving[0, 0].numpy(), fixed[0, 0].numpy())
    for runtime in RUNTIMES:
        ddf, note = onnx_method(path, runtime, 1)(*images, (1.0, 1.0), settings={})
        assert (ddf.shape, ddf.dtype, note) == ((2, *SHAPE[1:]), np.float32, "")
        np.testing.assert_allclose(ddf, expected[0], rtol=0, atol=1e-4, err_msg=runtime)


@torch.no_grad()
def field_of(network: nn.Module, moving: torch.Tensor, fixed: torch.Tensor) -> np.ndarray:
    field = network.eval()(moving, fixed).numpy()
    network.train()
    return field


@pytest.mark.parametrize("variant", VARIANTS)
def test_any_batch_fits(variant, export_of):
    network, path = export_of(variant)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        moving, fixed = pair(batch)
        (ddf,) = session.run(["ddf"], {"moving": moving.numpy(), "fixed": fixed.numpy()})
        np.testing.assert_allclose(ddf, field_of(network, moving, fixed), rtol=0, atol=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_file_holds_no_path_and_no_trace_of_the_source(variant, export_of):
    path = export_of(variant)[1]
    content = path.read_bytes()
    for word in (
        str(SCRIPTS),
        str(path.parent),
        "dirnet.py",
        "reregister.models",
        'File "',
        "stack_trace",
        "pkg.torch",
    ):
        assert word.encode() not in content, word


def test_the_file_says_what_it_is(export_of):
    graph = onnx.load(export_of("BL")[1])
    assert {entry.key: entry.value for entry in graph.metadata_props} == METADATA
    assert "warped(x) = moving(x + ddf(x))" in graph.doc_string
    faces = {face.name: face.type.tensor_type for face in (*graph.graph.input, *graph.graph.output)}
    assert list(faces) == ["moving", "fixed", "ddf"]
    for name, channels in (("moving", 1), ("fixed", 1), ("ddf", 2)):
        batch, *sides = faces[name].shape.dim
        assert batch.dim_param == "batch"
        assert [side.dim_value for side in sides] == [channels, *SHAPE[1:]]
        assert faces[name].elem_type == onnx.TensorProto.FLOAT


SCRIPT = """
import sys
from tests.unit.test_export import METADATA, SHAPE, VARIANTS, export_onnx, torch, trained
torch.use_deterministic_algorithms(True)
for number, variant in enumerate(("BL", "C2")):
    network = trained(**VARIANTS[variant])
    export_onnx(network, f"{sys.argv[1]}{number}.onnx", SHAPE, dict(reversed(METADATA.items())))
"""


def test_every_process_and_folder_gives_the_same_bytes(tmp_path, export_of):
    # In the other process all differs but torch and the weights: folder, hashes, determinism, what was exported before.
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "4711",
        "PYTHONPATH": os.pathsep.join([str(SCRIPTS), str(SCRIPTS.parent)]),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "other")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    # Nothing of the exporter's own affairs on the console either.
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    for number, variant in enumerate(("BL", "C2")):
        assert (tmp_path / f"other{number}.onnx").read_bytes() == export_of(variant)[1].read_bytes()


class Shift3D(nn.Module):
    """The smallest network for volumes: a convolution of the pair."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv3d(2, 3, 3, padding=1)

    def forward(self, moving, fixed):
        return self.layer(torch.cat([moving, fixed], 1))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_volumes_work_as_well(runtime, tmp_path):
    network = Shift3D()
    export_onnx(network, tmp_path / "volume.onnx", (1, 6, 8, 10), METADATA)
    images = np.random.default_rng(0).random((3, 6, 8, 10), dtype=np.float32)
    method = onnx_method(tmp_path / "volume.onnx", runtime, 1)
    fields, timing = register_pairs(method, images, [0, 1], [1, 2], (1.0, 1.0, 1.0), {})
    with torch.no_grad():
        expected = network(*(torch.from_numpy(images[rows, None]) for rows in ([0, 1], [1, 2]))).numpy()
    # One pair after the other: the field of the first is not overwritten by the second.
    np.testing.assert_allclose(fields, expected, rtol=0, atol=1e-5)
    assert (timing["note"] == "").all()


def test_a_network_that_does_not_take_the_images_is_refused(tmp_path):
    path = tmp_path / "network.onnx"
    with pytest.raises(ReregisterError, match=r"\(1, 32, 33\).*no multiple of the control point spacing 16"):
        export_onnx(DIRNet(), path, (1, 32, 33), METADATA)
    with pytest.raises(ReregisterError, match=r"its ddf is \(1, 3, 6, 8\) and not \(1, 2, 6, 8\)"):
        export_onnx(Flat(), path, (1, 6, 8), METADATA)
    assert list(tmp_path.iterdir()) == []


class Flat(nn.Module):
    """Three channels for an image of two axes."""

    def forward(self, moving, fixed):
        return torch.cat([moving, fixed, fixed], 1)


class Sorted(Flat):
    """What ONNX has no form for: the displacements depend on values read back in Python."""

    def forward(self, moving, fixed):
        return torch.cat([moving, fixed], 1) if float(moving.sum()) > 0 else torch.cat([fixed, moving], 1)


def test_a_network_that_onnx_cannot_express_is_refused(tmp_path):
    with pytest.raises(ReregisterError, match=r"Sorted cannot be written as ONNX: .+"):
        export_onnx(Sorted(), tmp_path / "network.onnx", (1, 6, 8), METADATA)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_takes_no_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReregisterError, match=r"file/network\.onnx cannot be written"):
        export_onnx(Shift3D(), tmp_path / "file" / "network.onnx", (1, 6, 8, 10), METADATA)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_pair_of_another_size_is_refused_with_both_sizes(export_of, runtime):
    method = onnx_method(export_of("BL")[1], runtime, 1)
    right, wrong = np.zeros(SHAPE[1:], np.float32), np.zeros((64, 32), np.float32)
    with pytest.raises(ReregisterError, match=r"images of \(32, 64\) and the fixed image has \(64, 32\)"):
        method(right, wrong, (1.0, 1.0), settings={})
    with pytest.raises(ReregisterError, match=r"the moving image has \(1, 32, 64\)"):
        method(right[None], right, (1.0, 1.0), settings={})


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtime_that_is_not_installed_is_named_with_its_package(export_of, runtime, monkeypatch):
    monkeypatch.setitem(sys.modules, runtime, None)
    monkeypatch.delitem(sys.modules, "reregister.openvino_core", raising=False)
    with pytest.raises(ReregisterError, match=f"{runtime} cannot be imported .*pip install {runtime}$"):
        onnx_method(export_of("BL")[1], runtime, 1)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_file_that_is_no_network_is_refused(runtime, tmp_path):
    path = tmp_path / "network.onnx"
    with pytest.raises(ReregisterError, match=r"network\.onnx does not exist"):
        onnx_method(path, runtime, 1)
    path.write_bytes(b"this is no network")
    with pytest.raises(ReregisterError, match=rf"network\.onnx is no ONNX network that {runtime} can run: \S"):
        onnx_method(path, runtime, 1)
    tensor = onnx.helper.make_tensor_value_info
    parts = [tensor(name, onnx.TensorProto.FLOAT, [1, 1, 4, 4]) for name in ("image", "label")]
    node = onnx.helper.make_node("Identity", ["image"], ["label"])
    graph = onnx.helper.make_graph([node], "other", parts[:1], parts[1:])
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=10), path)
    with pytest.raises(ReregisterError, match=r"no registration network of reregister: .* are image, label"):
        onnx_method(path, runtime, 1)


def test_a_runtime_that_does_not_exist_is_refused_with_those_that_do(tmp_path):
    with pytest.raises(ReregisterError, match="'tensorrt' is not known; choose one of onnxruntime, openvino"):
        onnx_method(tmp_path / "network.onnx", "tensorrt", 1)


def test_padding_to_a_size_that_can_be_halved_is_part_of_the_file(tmp_path):
    torch.manual_seed(0)
    network, size = ReducedVoxelMorph("reduced"), (9, 8, 7)
    nn.init.normal_(network.flow.weight, 0, 0.3)
    export_onnx(network, tmp_path / "network.onnx", (1, *size), METADATA)
    moving, fixed = torch.rand(2, 1, 1, *size, generator=torch.Generator().manual_seed(1))
    expected = field_of(network, moving, fixed)
    assert expected.shape == (1, 3, *size)
    for runtime in RUNTIMES:
        register = onnx_method(tmp_path / "network.onnx", runtime, 1)
        ddf, _ = register(moving[0, 0].numpy(), fixed[0, 0].numpy(), (1.0, 1.0, 1.0), settings={})
        np.testing.assert_allclose(ddf, expected[0], rtol=0, atol=1e-4, err_msg=runtime)
