"""8-bit arithmetic through OpenVINO: the file, its accuracy, and that convolutions are executed in 8 bits."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import openvino
import pandas as pd
import pytest
import torch
from torch import nn

from reregister.compression.calibration import calibration_pairs
from reregister.compression.int8 import prepare, write_int8
from reregister.data.store import ImageStore, write_store
from reregister.errors import ReregisterError
from reregister.export import export_onnx
from reregister.models.label_reg_local_net import LabelRegLocalNet
from reregister.progress import Progress
from reregister.runtimes import RUNTIMES, onnx_method
from reregister.tables import read_frame, write_frame

SIDE = 16
SHAPE = (1, SIDE, SIDE, SIDE)


def images(seed: int, count: int = 2) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return list(generator.random((count, SIDE, SIDE, SIDE), dtype=np.float32))


def exported_as(folder: Path, **params) -> tuple[LabelRegLocalNet, Path]:
    """A network with every kind of layer there is, running averages that have settled, and its ONNX."""
    torch.manual_seed(0)
    model = LabelRegLocalNet(channels=4, momentum=0.5, **params)
    for summand in model.summands:
        nn.init.normal_(summand.weight, 0, 0.05)
    with torch.no_grad():
        for _ in range(6):
            model(*torch.rand(2, 2, *SHAPE))
    export_onnx(model.eval(), folder / "network.onnx", SHAPE, {"recipe_id": "recipe"})
    return model, folder / "network.onnx"


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[LabelRegLocalNet, Path]:
    return exported_as(tmp_path_factory.mktemp("running"), statistics="running")


@pytest.fixture(scope="module")
def exports(exported, tmp_path_factory) -> dict[str, tuple[LabelRegLocalNet, Path]]:
    """By their statistics; the one that takes the batch's has factors too."""
    return {"running": exported, "batch": exported_as(tmp_path_factory.mktemp("batch"), statistics="batch", scale=True)}


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


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    images = np.random.default_rng(0).random((6, *SHAPE), dtype=np.float32)
    ids = [f"s{row}" for row in range(6)]
    subjects = pd.DataFrame({"id": ids, "group": list("aaabbc"), "cluster": ids, "split": "all", "spacing": "1 1 1"})
    write_store(tmp_path / "i.npy", tmp_path / "s.csv", 6, [(images, subjects.assign(source="x", sha256="0"))])
    pool = subjects[["id", "group", "cluster"]].assign(rule="ordered_pairs_within_group", moving="")
    write_frame(tmp_path / "pool.csv", pool)
    pairs = pd.DataFrame({"pair_id": ["p0", "p1"], "moving": ["s0", "s2"], "fixed": ["s1", "s0"], "split": "test"})
    write_frame(tmp_path / "pairs.csv", pairs.assign(group="a", cluster="s0"))
    return ImageStore.open(tmp_path / "i.npy", tmp_path / "s.csv")


def owners(store: ImageStore, pairs) -> list[tuple[str, str]]:
    def owner(image: np.ndarray) -> str:
        return store.subjects["id"][next(row for row in range(6) if np.array_equal(store.images[row, 0], image))]

    return [(owner(moving), owner(fixed)) for moving, fixed in pairs]


def test_calibration_is_drawn_from_the_pool(store, tmp_path):
    found = owners(store, calibration_pairs(store, tmp_path / "pool.csv", 40))
    assert found == owners(store, calibration_pairs(store, tmp_path / "pool.csv", 40))
    # Two different images of one group; c has one alone.
    within = {(m, f) for group in (("s0", "s1", "s2"), ("s3", "s4")) for m in group for f in group if m != f}
    assert set(found) == within
    fixed = read_frame(tmp_path / "pool.csv").iloc[:2].assign(moving=["s5", "s4"], group="same subject")
    write_frame(tmp_path / "fixed.csv", fixed)
    assert set(owners(store, calibration_pairs(store, tmp_path / "fixed.csv", 20))) == {("s5", "s0"), ("s4", "s1")}
    for path, count in ((tmp_path / "pool.csv", 0), (tmp_path / "one.csv", 3)):
        write_frame(tmp_path / "one.csv", read_frame(tmp_path / "pool.csv").iloc[5:])
        with pytest.raises(ReregisterError, match="cannot be drawn from"):
            next(calibration_pairs(store, path, count))


@pytest.mark.parametrize("statistics", ["batch", "running"])
def test_both_kinds_of_statistics_are_exported(exports, statistics):
    model, path = exports[statistics]
    moving, fixed = np.random.default_rng(1).random((2, *SHAPE[1:]), dtype=np.float32)
    with torch.no_grad():
        wanted = model(*(torch.from_numpy(image)[None, None] for image in (moving, fixed)))[0].numpy()
    assert np.abs(wanted).max() > 0.1
    for runtime in RUNTIMES:
        found, _ = onnx_method(path, runtime, 1)(moving, fixed, (1, 1, 1), settings={})
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-3, err_msg=runtime)


@pytest.mark.parametrize("precision", ["int8", "f32"])
def test_script_registers_with_openvino_in_a_precision(store, exports, tmp_path, precision):
    bases = [tmp_path / f"all_seed{seed}.xml" for seed in (0, 7)] if precision == "int8" else []
    output = SimpleNamespace(
        fields=tmp_path / "fields.npy",
        timing=tmp_path / "timing.csv",
        sizes=tmp_path / "sizes.csv",
        models=[path.with_suffix(end) for path in bases for end in (".xml", ".bin")],
    )
    files = {name: tmp_path / f"{file}" for name, file in (("images", "i.npy"), ("subjects", "s.csv"))}
    inputs = SimpleNamespace(
        **files,
        pairs=tmp_path / "pairs.csv",
        pool=tmp_path / "pool.csv",
        exports=[exports[s][1] for s in ("running", "batch")],
    )
    settings = {"precision": precision, **({"calibration": 3} if precision == "int8" else {})}
    job = SimpleNamespace(
        input=inputs,
        output=output,
        params=SimpleNamespace(settings=settings, seeds=[0, 7], method="quick"),
        threads=1,
        progress=lambda total, unit: Progress(tmp_path / "p.jsonl", "run_openvino", total, unit),
    )
    importlib.import_module("run_openvino").main(job)
    fields = np.load(output.fields)
    assert (fields.shape, fields.dtype) == ((2, 2, 3, *SHAPE[1:]), np.float32)
    for place, statistics in enumerate(("running", "batch")):
        for row, (moving, fixed) in enumerate(((0, 1), (2, 0))):
            images = (torch.from_numpy(np.array(store.images[image]))[None] for image in (moving, fixed))
            with torch.no_grad():
                wanted = exports[statistics][0](*images)[0].numpy()
            difference = np.linalg.norm(fields[place, row] - wanted) / np.linalg.norm(wanted)
            assert (1e-5 < difference < 0.25) if precision == "int8" else difference < 1e-4
    sizes = pd.read_csv(output.sizes)
    assert sizes[["seed", "precision"]].to_numpy().tolist() == [[0, precision], [7, precision]]
    sources = [[path, path.with_suffix(".bin")] for path in bases] or [[path] for path in inputs.exports]
    assert sizes["bytes"].tolist() == [sum(path.stat().st_size for path in paths) for paths in sources]
    timing = read_frame(output.timing)
    assert timing[["method", "seed", "pair_id"]].to_numpy().tolist() == [
        ["quick", seed, pair] for seed in ("0", "7") for pair in ("p0", "p1")
    ]
    assert all(path.is_file() for path in output.models)


def test_precisions_that_are_not_known(exports, tmp_path):
    exported = exports["running"][1]
    for precision, target in (("bf16", None), ("int8", None), ("f32", tmp_path / "x.xml")):
        with pytest.raises(ReregisterError, match=r"settings\.precision is .* one of int8, f32"):
            prepare(exported, precision, target, [], 1)


def test_openvino_is_imported_without_its_telemetry() -> None:
    # In a process of its own: tests import OpenVINO, too.
    words = (
        "import sys as s, reregister.compression.int8; print('openvino' in s.modules, s.modules['openvino_telemetry'])"
    )
    said = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["True", "None"]


def test_a_signal_after_openvino_reaches_python(tmp_path: Path) -> None:
    # The CPU plugin, once unloaded, leaves a stack for signals that is gone: SIGTERM would be a segmentation fault.
    words = (
        "import gc, os, signal, sys; import numpy as np; from pathlib import Path; "
        "from reregister.runtimes import onnx_method; "
        "method = onnx_method(Path(sys.argv[1]), 'openvino', 1); image = np.zeros((16, 16, 16), np.float32); "
        "method(image, image, (1, 1, 1), settings={}); del method; gc.collect(); "
        "signal.signal(signal.SIGTERM, lambda *_: print('caught')); os.kill(os.getpid(), signal.SIGTERM)"
    )
    exported = tmp_path / "network.onnx"
    export_onnx(LabelRegLocalNet(channels=2).eval(), exported, SHAPE, {"recipe_id": "recipe"})
    done = subprocess.run([sys.executable, "-c", words, str(exported)], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "caught"), done.stderr[-500:]
