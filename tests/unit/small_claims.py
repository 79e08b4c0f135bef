"""A made-up run of one experiment, to hold claims against: receipts with a chain, metrics, times, histories."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reregister.claims.records import Records

FULL: dict[str, Any] = {
    "prepare_dataset": {"d": {"mm": 1.5}},
    "pair_images": {"e": {"split": {"name": "official"}, "pairs": {"test": {"count": None}}}},
    "train_model": {
        "e": {
            "net": {
                "model": {"name": "n", "params": {"width": 8}},
                "schedule": {"iterations": 1000, "batch": 4},
                "optimiser": {"lr": 0.1},
                "loss": {"mse": 1.0},
            }
        }
    },
    "compress_model": {},
    "run_prior": {},
    "run_baseline": {"e": {"before": {"settings": {}}, "tool": {"settings": {"iterations": 10, "spacing": 4}}}},
}
LABELS = {"e": {"before": "Before", "tool": "Tool", "net": "Network"}}


def receipt(rule: str, params: Any = None, inputs: Any = (), outputs: Any = (), **wildcards: str) -> dict[str, Any]:
    recipe = {"rule": rule, "wildcards": wildcards, "params": params or {}, "inputs": dict.fromkeys(inputs, "")}
    return {"recipe": recipe, "outputs": {name: {} for name in outputs}, "run": {"wall_s": 60.0}}


class SmallRun:
    """Methods before, tool and net of the experiment e on the dataset d; every part may be changed before `records`."""

    def __init__(self, folder: Path, origin: str = "original-verified") -> None:
        self.folder, self.files = folder, {}
        self.source = self.put("data/d/source.csv", pd.DataFrame({"member": ["x"], "origin": [origin]}))
        self.reading: dict[str, Any] = {"mm": 1.5}
        self.pairing: dict[str, Any] = {"own_split": None, **FULL["pair_images"]["e"]}
        self.training: dict[str, Any] = {**FULL["train_model"]["e"]["net"]}
        self.settings: dict[str, Any] = {**FULL["run_baseline"]["e"]["tool"]["settings"]}

    def put(self, name: str, frame: pd.DataFrame) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_csv(path, index=False)
        return path

    def add(self, kind: str, name: str, frame: pd.DataFrame) -> None:
        self.files.setdefault(kind, []).append(self.put(name, frame))

    def metrics(
        self, method: str, values: Mapping[str, Any], group: Any = "g", seed: Any = 0, cluster: Any = None
    ) -> None:
        """Metrics of a method: one pair for each value, each of a cluster of its own unless said otherwise."""
        n = len(next(iter(values.values())))
        ids = [f"p{place:03d}" for place in range(n)]
        frame = pd.DataFrame({"method": method, "seed": seed, "pair_id": ids, "group": group, **values})
        self.add("metrics", f"metrics/e/{method}.csv", frame.assign(cluster=ids if cluster is None else cluster))

    def history(self, method: str, frame: pd.DataFrame, seed: int = 0) -> None:
        named = frame.assign(method=method, part="all", seed=seed)
        self.add("histories", f"models/e/{method}/all_seed{seed}.history.csv", named)

    def times(self, method: str, seconds: Any) -> None:
        ids = [f"p{place:03d}" for place in range(len(seconds))]
        frame = pd.DataFrame({"pair_id": ids, "method": method, "device": "cpu", "threads": 1, "seconds": seconds})
        self.add("timing", f"fields/e/{method}.timing.csv", frame)

    def records(self, timed: Any = ()) -> Records:
        pair = receipt("pair_images", self.pairing, ["data/d/images.npy"], ["p/pairs/e.csv"], experiment="e")
        jobs = [receipt("prepare_dataset", {"reading": self.reading}, outputs=["data/d/images.npy"], dataset="d"), pair]
        train = receipt(
            "train_model", self.training, ["p/pairs/e.csv"], ["w"], experiment="e", method="net", part="all", seed="0"
        )
        for method, params in (("before", {}), ("tool", self.settings)):
            made = (["p/pairs/e.csv"], [f"f/{method}"])
            jobs.append(receipt("run_baseline", {"settings": params}, *made, experiment="e", method=method))
        jobs += [train, receipt("register_pairs", {}, ["w"], ["f/net"], experiment="e", method="net")]
        for method in LABELS["e"]:
            jobs.append(
                receipt("evaluate_registration", {}, [f"f/{method}"], [f"m/{method}"], experiment="e", method=method)
            )
        return Records(
            dict(zip(map(str, range(len(jobs))), jobs, strict=True)), self.files, [self.source], FULL, timed, LABELS
        )


def spread(mean: float, sd: float, n: int) -> np.ndarray:
    """n values with exactly this mean and standard deviation (ddof 1)."""
    values = np.linspace(-1, 1, n)
    return mean + sd * (values - values.mean()) / values.std(ddof=1)
