"""What a deep prior is told beside its network; no torch, since the workflow's planning reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from reregister.errors import ReregisterError

CHOICES = {
    "z": ("resample", "fixed"),
    "init": ("all", "convolutions", "framework"),
    "unit": ("normalised", "pixel"),
    "padding": ("border", "zeros"),
}


@dataclass(frozen=True)
class PriorSettings:
    """What decides a field beside the network and the pair; the defaults are those of papers.md 7.2 and 7.5.

    iterations: steps of Adam with learning rate lr. z: `resample` draws the noise N(0, z_std) anew in every step, as the
    paper has it; `fixed` draws it once. init: `all` parameters from N(0, init_std), batch normalisation included;
    `convolutions`, their weights alone; `framework`, torch's own. unit: of the network's output, `normalised` to -1..1
    over the image (corner to corner) or `pixel`. padding: what lies outside of the moving image. seed: enters that of
    every pair. final_draws: of a resampled z, over how many fields the result is the mean. trace_every: steps between
    rows of the trace.
    """

    iterations: int = 2000
    lr: float = 1e-3
    z: str = "resample"
    z_std: float = 0.1
    init: str = "all"
    init_std: float = 0.01
    unit: str = "normalised"
    padding: str = "border"
    seed: int = 0
    final_draws: int = 1
    trace_every: int = 10

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "PriorSettings":
        """Settings from a config. Raises ReregisterError for an unknown key, an unknown word or a number below its least."""
        known = [field.name for field in fields(cls)]
        if unknown := [key for key in settings if key not in known]:
            raise ReregisterError(f"The prior has no setting {unknown[0]!r}; it has {', '.join(known)}.")
        for field in fields(cls):
            value, kind = settings.get(field.name, field.default), type(field.default)
            if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
                raise ReregisterError(f"prior setting {field.name} is {value!r}: give a value like {field.default!r}.")
        made = cls(**settings)
        for key, allowed in CHOICES.items():
            if getattr(made, key) not in allowed:
                raise ReregisterError(f"prior setting {key} is {getattr(made, key)!r}: choose {' or '.join(allowed)}.")
        for key, least in (("iterations", 1), ("final_draws", 1), ("trace_every", 1), ("seed", 0)):
            if getattr(made, key) < least:
                raise ReregisterError(f"prior setting {key} is {getattr(made, key)}: give {least} or more.")
        for key in ("lr", "z_std", "init_std"):
            if not getattr(made, key) > 0:
                raise ReregisterError(f"prior setting {key} is {getattr(made, key)}: give more than 0.")
        return made


def check_tools(experiment: Mapping[str, Any]) -> tuple[tuple[str, ...], str] | None:
    """The first thing that an experiment lacks for its methods' tools: its place in the experiment, and a clause; or None.

    experiment: as the schema of papers has it. Networks need `training`; priors need a model and settings that they know;
    without networks the experiment needs `fitting` in place of `training`.
    """
    methods = experiment["methods"]
    tools = {method["tool"] for method in methods.values()}
    if "network" in tools and "training" not in experiment:
        return ("training",), "is missing; its networks need it"
    if not {"training", "fitting"} & set(experiment):
        return ("fitting",), "is missing; without networks it stands in place of training"
    for name, method in methods.items():
        if method["tool"] != "prior":
            continue
        if "model" not in method:
            return ("methods", name, "model"), "is missing; tool prior needs a network"
        try:
            if "padding" in method["settings"]:
                raise ReregisterError("padding is that of the experiment: take it out.")
            PriorSettings.of(method["settings"])
        except ReregisterError as error:
            return ("methods", name, "settings"), f"cannot be used: {error}"
    return None
