"""What the jobs of a paper would be told at the paper's own scale, for the axes of the claims ledger."""

from typing import Any

from reregister.methods import Methods
from reregister.settings import Settings

# What of a training decides its weights, besides the network: as the receipts of `train_model` have it.
SCHEDULE = ("batch", "iterations", "epochs", "stop", "labels", "augmentation", "padding")
#: Rules that fit, and those of data and pairs, whose receipts are held to the paper's own scale.
RULES = ("prepare_dataset", "pair_images", "train_model", "compress_model", "run_prior", "run_baseline")


class _Papers(dict[str, Any]):
    """Papers at the scale full, each read when it is asked for."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings

    def __missing__(self, paper: str) -> Any:
        return self.setdefault(paper, self.settings.at_full_scale(paper))


class _Full(Methods):
    """The methods of papers at the scale full, without what the command line sets over them."""

    def __init__(self, settings: Settings) -> None:
        self.config = settings.config
        self.papers = _Papers(settings)


def full_scale(settings: Settings, paper: str) -> dict[str, Any]:
    """Params by rule of `RULES`: of prepare_dataset by dataset, of pair_images by experiment, of the others by experiment
    and method; for what this run has of the paper.

    A param that receipts have and this lacks decides no result. A method that the scale full lacks, such as a cell of a
    grid, is left out.
    """
    full = _Full(settings)
    found: dict[str, Any] = {rule: {} for rule in RULES}
    for experiment, setup in settings.papers[paper]["experiments"].items():
        own = full.experiment(paper, experiment)
        found["prepare_dataset"][setup["dataset"]] = settings.reading_at_full_scale(setup["dataset"])
        found["pair_images"][experiment] = {key: own[key] for key in ("split", "pairs")}
        for method in setup["methods"]:
            about = own["methods"].get(method)
            if about and about["tool"] != "openvino" and not about["weights_of"]:
                rule, params = _params(full, paper, experiment, method)
                found[rule].setdefault(experiment, {})[method] = params
    return found


def _params(full: Methods, paper: str, experiment: str, method: str) -> tuple[str, dict[str, Any]]:
    about = full.experiment(paper, experiment)["methods"][method]
    if about["tool"] == "prior":
        return "run_prior", {"model": about["model"], "settings": about["settings"]}
    if about["tool"] != "network":
        return "run_baseline", {"settings": about["settings"]}
    model = full.model(paper, experiment, method)
    if about["compress"]:
        return "compress_model", {
            "model": model,
            "compress": {key: value for key, value in about["compress"].items() if key != "of"},
        }
    training = full.training(paper, experiment, method)
    schedule = {key: training[key] for key in SCHEDULE if training.get(key) is not None}
    return "train_model", {
        "model": model,
        "schedule": schedule,
        **{key: training[key] for key in ("optimiser", "loss")},
    }
