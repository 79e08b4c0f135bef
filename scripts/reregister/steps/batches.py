"""One network's training step and registration at one batch, for a process of its own: milliseconds and peak memory."""

import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reregister.layers import padding_of
from reregister.losses import Registered, build_loss
from reregister.runtime import choose_device, torch_settings
from reregister.training.loop import build_optimiser
from reregister.transforms.warp import warp
from reregister.weights import build_model

MB = 1e6


def measure_batch(case: Mapping[str, Any], batch: int, repeats: int, budget_s: float, register: bool) -> dict[str, Any]:
    """Median milliseconds of a training step at a batch, and the peak memory of this process; of random images.

    case: model {name, params}, loss, optimiser, padding, precision, shape (C, *spatial), labels (channels of label maps
    that the loss compares, 0 for none), device, determinism, threads. repeats: calls that count, fewer where they take
    longer than budget_s together; one comes before and does not count. register: measure one registration first.
    Returns libraries_mb (before the network is built), step_ms, step_n and memory_mb, with `register` also register_ms,
    register_n and register_mb, and padded, the size (*spatial) to which the network pads the images, or None.
    """
    device = choose_device(case["device"])
    with torch_settings(case["threads"], case["determinism"], device):
        found: dict[str, Any] = {"libraries_mb": peak_mb(device)}
        torch.manual_seed(0)
        model = build_model(case["model"]["name"], case["model"]["params"]).to(device)
        found["padded"] = padding_of(model, case["shape"][1:])
        moving, fixed = torch.rand(2, batch, *case["shape"], device=device)
        if register:
            call = _registration(model, moving[:1], fixed[:1])
            found["register_ms"], found["register_n"] = median_ms(call, repeats, budget_s, device)
            found["register_mb"] = peak_mb(device)
        step = _step(model, moving, fixed, case)
        found["step_ms"], found["step_n"] = median_ms(step, repeats, budget_s, device)
        found["memory_mb"] = peak_mb(device)
    return found


def _registration(model: nn.Module, moving: Tensor, fixed: Tensor) -> Callable[[], object]:
    @torch.inference_mode()
    def register() -> None:
        # To the end: the field in the memory of the host, as `inference.network_method` gives it.
        model.eval()(moving, fixed).float().cpu()

    return register


def _step(model: nn.Module, moving: Tensor, fixed: Tensor, case: Mapping[str, Any]) -> Callable[[], object]:
    """What the training loop does with a batch: forward, warp, loss, backward, optimiser."""
    loss, optimiser = build_loss(case["loss"]), build_optimiser(model, case["optimiser"])
    labels = case.get("labels", 0)
    half = case["precision"] == "bf16"
    # The work does not depend on what the maps show.
    maps = (torch.rand(2, len(moving), labels, *moving.shape[2:], device=moving.device) > 0.5).float()

    def step() -> None:
        model.train()
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(moving.device.type, torch.bfloat16, enabled=half):
            ddf = model(moving, fixed)
        ddf = ddf.float()
        more: dict[str, Tensor] = {}
        if labels:
            warped = warp(maps[0], ddf, padding=case["padding"])
            more = {"moving_labels": maps[0], "fixed_labels": maps[1], "warped_labels": warped}
        value = loss(Registered(moving, fixed, warp(moving, ddf, padding=case["padding"]), ddf, **more))
        # Read before the backward pass, as the loop does to refuse a loss that is not finite.
        float(value.detach())
        value.backward()
        optimiser.step()

    return step


def median_ms(
    call: Callable[[], object], repeats: int, budget_s: float, device: torch.device | None = None
) -> tuple[float, int]:
    """Median milliseconds of a call and how many were counted: one to `repeats`, no new one after budget_s seconds."""

    def seconds() -> float:
        start = time.perf_counter()
        call()
        if device is not None and device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    seconds()
    times = [seconds()]
    while len(times) < repeats and sum(times) < budget_s:
        times.append(seconds())
    return 1e3 * statistics.median(times), len(times)


def peak_mb(device: torch.device) -> float:
    """Peak memory so far, MB (1e6 bytes): of this process on a CPU, of torch's allocations on a GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MB
    status = Path("/proc/self/status")
    if status.is_file():
        # Not ru_maxrss: Linux hands the peak of the parent on to what it starts.
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:"))
        return float(line.split()[1]) * 1024 / MB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / MB
