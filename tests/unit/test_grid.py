"""One entry of the config that stands for a network of each combination of values."""

import pytest

from reregister.grid import expand_grids, with_cells

TRAINING = {"optimiser": {"name": "adam", "lr": 0.5, "weight_decay": 0.1}, "loss": {"mse": 1.0}, "batch": 4}


def entry(grid=None, training=None, label="Grid"):
    model = {"name": "mnist_voxelmorph", "params": {"filters": 4}}
    return {
        "label": label,
        "tool": "network",
        "model": model,
        "training": training or {},
        "grid": grid,
        "first_seeds": 1,
    }


def experiment(**methods):
    return {"training": TRAINING, "dataset": "mnist", "methods": {"identity": entry(), **methods, "last": entry()}}


GRID = {"optimiser.lr": [0.1, 0.001], "loss.grad_l2_forward_normalised": [0.01, 1, 1e-5]}


def test_a_grid_stands_for_its_cells_in_its_place():
    found = expand_grids(experiment(grid=entry(GRID)))
    assert list(found["methods"]) == [
        "identity",
        "grid_lr0p1_lambda0p01",
        "grid_lr0p1_lambda1",
        "grid_lr0p1_lambda1em05",
        "grid_lr0p001_lambda0p01",
        "grid_lr0p001_lambda1",
        "grid_lr0p001_lambda1em05",
        "last",
    ]
    cell = found["methods"]["grid_lr0p001_lambda1"]
    assert cell["label"] == "Grid, lr 0.001, λ 1"
    assert cell["cell"] == {"optimiser.lr": 0.001, "loss.grad_l2_forward_normalised": 1}
    assert cell["grid"] is None
    assert (cell["tool"], cell["model"], cell["first_seeds"]) == ("network", entry()["model"], 1)
    assert cell["training"] == {
        "optimiser": {"name": "adam", "lr": 0.001, "weight_decay": 0.1},
        "loss": {"mse": 1.0, "grad_l2_forward_normalised": 1},
    }
    assert found["training"] is TRAINING
    assert TRAINING["optimiser"]["lr"] == 0.5
    assert "grad_l2_forward_normalised" not in TRAINING["loss"]


def test_the_methods_own_training_comes_before_the_experiments():
    own = {"optimiser": {"name": "adam", "lr": 9.0, "eps": 1e-3}, "epochs": 3}
    found = expand_grids(experiment(search=entry({"optimiser.weight_decay": [0, 0.1]}, own, "")))
    assert list(found["methods"])[1:3] == ["search_decay0", "search_decay0p1"]
    cell = found["methods"]["search_decay0p1"]
    assert cell["training"] == {"optimiser": {"name": "adam", "lr": 9.0, "eps": 1e-3, "weight_decay": 0.1}, "epochs": 3}
    assert cell["label"] == "weight decay 0.1"


def test_nothing_to_expand():
    before = experiment(other=entry())
    assert expand_grids(before) == before


def test_the_name_of_a_grid_means_all_its_cells():
    methods = expand_grids(experiment(grid=entry(GRID)))["methods"]
    cells = [name for name in methods if name.startswith("grid_")]
    assert with_cells(["identity", "grid"], methods) == ["identity", *cells]
    assert with_cells(["grid_lr0p1_lambda1", "nothing"], methods) == ["grid_lr0p1_lambda1", "nothing"]
    assert with_cells([], methods) == []


@pytest.mark.parametrize("number", [0.1, 1, 0.01, 1e-7, 12.5])
def test_names_can_stand_in_file_names(number):
    methods = expand_grids(experiment(grid=entry({"optimiser.lr": [number]})))["methods"]
    (name,) = [name for name in methods if name.startswith("grid_")]
    assert name.replace("_", "").isalnum()
    assert name.islower()
