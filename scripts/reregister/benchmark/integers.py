"""The label-driven network in 8-bit integers against single precision, by OpenVINO and by torch."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from reregister.baselines.batch import RegisterOne
from reregister.benchmark.process import in_own_process
from reregister.benchmark.rows import Effort, Row, medians
from reregister.compression.int8 import write_int8
from reregister.export import export_onnx
from reregister.inference import network_method
from reregister.models.label_reg_local_net import LabelRegLocalNet
from reregister.runtime import keep_freed_memory
from reregister.runtimes import onnx_method

THREADS = 2


def int8_times(channels: int, side: int, passes: int) -> dict[str, Any]:
    """For a process of its own: LabelRegLocalNet with the batch's statistics on random pairs of side^3.

    Returns milliseconds of a registration by name (int8, openvino, torch) and how far the field of int8 is from torch's,
    as a share of its length.
    """
    torch.set_num_threads(THREADS)
    keep_freed_memory()
    torch.manual_seed(0)
    network = LabelRegLocalNet(channels).eval()
    # Not at zero, or every field would be, and nothing could differ.
    for summand in network.summands:
        assert isinstance(summand, nn.Conv3d)
        nn.init.normal_(summand.weight, 0, 0.05)
    moving, fixed, *calibration = np.random.default_rng(0).random((4, side, side, side), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path, integers = Path(folder, "network.onnx"), Path(folder, "network.xml")
        export_onnx(network, path, (1, side, side, side), {})
        write_int8(path, integers, [(calibration[0], calibration[1])], THREADS)
        methods: dict[str, RegisterOne] = {
            "int8": onnx_method(integers, "openvino", THREADS),
            "openvino": onnx_method(path, "openvino", THREADS),
            "torch": network_method(network, torch.device("cpu")),
        }
        calls = {name: partial(method, moving, fixed, (1, 1, 1), settings={}) for name, method in methods.items()}
        fields = {name: call()[0] for name, call in calls.items()}
        times = medians(calls, passes)
    difference = np.linalg.norm(fields["int8"] - fields["torch"]) / np.linalg.norm(fields["torch"])
    return {"milliseconds": times, "difference": float(difference)}


def int8_rows(effort: Effort) -> list[Row]:
    """int8 against OpenVINO's own single precision, and against torch's."""
    arguments = {"channels": effort.int8_channels, "side": effort.int8_side, "passes": effort.int8_passes}
    measured = in_own_process(int8_times, THREADS, arguments)
    times = measured["milliseconds"]
    references = {"openvino": "OpenVINO in fp32", "torch": "torch in fp32"}
    return [
        Row(
            name=f"int8_vs_{name}_48",
            value=times["int8"],
            unit="ms per pair",
            reference=f"{words}, {times[name]:.3g} ms per pair",
            ratio=times[name] / times["int8"],
            target="none",
            met="reported",
            note=f"LabelRegLocalNet with {effort.int8_channels} channels, untrained, random pair {effort.int8_side}^3, batch "
            f"1, {THREADS} threads; the field of int8 is {measured['difference']:.2f} of its length from torch's",
        )
        for name, words in references.items()
    ]
