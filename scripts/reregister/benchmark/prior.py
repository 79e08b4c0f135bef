"""The deep prior: time of an iteration, and what two pairs side by side are worth."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from reregister.benchmark.process import in_own_process
from reregister.benchmark.rows import Effort, Row, yes_no
from reregister.prior.optimise import fit
from reregister.prior.settings import PriorSettings
from reregister.runtime import keep_freed_memory

# The slim form (papers.md 1.9), and its target (performance.md, section 5).
SLIM, SIZE, THREADS, TARGET_MS = [16, 32, 64, 128, 128], 256, 2, 80.0


def prior_step(threads: int, steps: int, size: int) -> float:
    """Milliseconds of one iteration with fresh noise on a random pair: the median. For a process of its own."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    moving, fixed = np.random.default_rng(0).random((2, size, size), dtype=np.float32)
    times: list[float] = []
    settings = PriorSettings(iterations=steps + 2, trace_every=1)
    model: dict[str, Any] = {"name": "skip_net", "params": {"channels": SLIM}}
    fit(moving, fixed, model, settings, 0, torch.device("cpu"), lambda step, loss: times.append(time.perf_counter()))
    # The first steps load and allocate, and the last interval is that of the result.
    return 1e3 * statistics.median(np.diff(times)[1:-1])


def prior_rows(effort: Effort) -> list[Row]:
    """One pair on two threads, and two pairs in processes side by side on one thread each, as a job has them."""
    case = {"steps": effort.prior_steps, "size": effort.prior_size}
    together: list[float] = []
    alone: list[float] = []
    for _ in range(effort.processes):
        alone.append(in_own_process(prior_step, THREADS, {"threads": THREADS, **case}))
        with ThreadPoolExecutor(THREADS) as pool:
            jobs = [pool.submit(in_own_process, prior_step, 1, {"threads": 1, **case}) for _ in range(THREADS)]
            together.append(statistics.mean(job.result() for job in jobs) / THREADS)
    step, shared = statistics.median(alone), statistics.median(together)
    note = (
        f"slim skip network, random pair {effort.prior_size}x{effort.prior_size}, noise drawn anew, fp32, "
        f"{effort.processes} process(es) of their own, freed memory kept"
    )
    return [
        Row(
            name="prior_step_256",
            value=step,
            unit="ms",
            reference="the target itself",
            ratio=None,
            target=f"<= {TARGET_MS:g} ms",
            met=yes_no(step <= TARGET_MS),
            note=f"{note}, {THREADS} threads; a time, not a ratio: it depends on the machine",
        ),
        Row(
            name="prior_side_by_side_256",
            value=shared,
            unit="ms per iteration of a pair",
            reference=f"one pair after the other on {THREADS} threads, {step:.3g} ms",
            ratio=step / shared,
            target="none",
            met="reported",
            note=f"{note}, {THREADS} pairs at a time on one thread each",
        ),
    ]
