"""Weights files of compressed networks: what is written, what the card says, and the script that makes them."""

import importlib
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from torch import nn

from reregister.card import read_card
from reregister.compression.bits import quantise
from reregister.compression.compress import compress, layer_table
from reregister.compression.pruning import masks_of, prunable
from reregister.errors import ReregisterError
from reregister.models.label_reg_local_net import LabelRegLocalNet
from reregister.weights import load_model, load_tensors, make_card, save_model

NAME, PARAMS = "label_reg_local_net", {"channels": 4, "momentum": 0.5}
SHAPE = (1, 16, 16, 16)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model, path = LabelRegLocalNet(**PARAMS), tmp_path / "trained.safetensors"
    for parameter in model.summands.parameters():
        nn.init.normal_(parameter, 0, 0.05)
    save_model(path, tmp_path / "trained.card.md", model, make_card(model, NAME, PARAMS, "first", "standin", SHAPE))
    return path


def made(weights: Path, name: str, settings: dict, recipe: str = "second") -> tuple[Path, pd.DataFrame]:
    path = weights.with_name(f"{name}.safetensors")
    return path, compress(weights, NAME, PARAMS, settings, recipe, path, path.with_suffix(".card.md"))


def test_pruned_file(weights):
    path, table = made(weights, "pruned", {"prune": {"ratio": 0.25, "pool": "weights"}})
    model = load_model(path, NAME, PARAMS)
    pool = prunable(model)
    assert table["layer"].tolist() == [*pool, "all"]
    last = table.iloc[-1]
    assert last["parameters"] == sum(parameter.numel() for parameter in pool.values())
    assert last["zeros"] == round(0.25 * last["parameters"]) == sum(int((p == 0).sum()) for p in pool.values())
    assert last["bytes"] == path.stat().st_size
    assert (table["share"] == table["zeros"] / table["parameters"]).all()
    assert (table["bytes"][:-1] == 4 * table["parameters"][:-1]).all()
    original = dict(load_model(weights, NAME, PARAMS).named_parameters())
    for name, mask in masks_of(model).items():
        assert torch.equal(pool[name], original[name] * mask)
    assert load_tensors(path)[1]["compression"] == [{"way": "prune", "ratio": 0.25, "pool": "weights", "of": "first"}]
    card = read_card(path.with_suffix(".card.md"))
    assert (card["recipe_id"], card["trained_on"]) == ("second", "standin")
    assert "Compressed (prune: pool weights, ratio 0.25) from the weights of recipe first." in (
        path.with_suffix(".card.md").read_text()
    )


@pytest.mark.parametrize(("bits", "per_channel"), [(8, False), (8, True), (4, False), (4, True)])
def test_quantised_file_is_used_as_any_other(weights, bits, per_channel):
    pruned, _ = made(weights, "pruned", {"prune": {"ratio": 0.25, "pool": "all"}})
    path, table = made(pruned, "small", {"quantise": {"bits": bits, "per_channel": per_channel}}, "third")
    model, source = load_model(path, NAME, PARAMS), dict(load_model(pruned, NAME, PARAMS).named_parameters())
    table = table.set_index("layer")
    for name, parameter in prunable(model, "all").items():
        axis = 1 if ".d.conv" in name else 0
        found = (
            quantise(source[name], bits, axis if per_channel else None).weight() if parameter.ndim > 1 else source[name]
        )
        assert torch.equal(parameter, found), name
        assert table.loc[name, "zeros"] == int((found == 0).sum()) >= int((source[name] == 0).sum())
        stored = parameter.numel() * bits // 8 + 4 * (found.shape[axis] if per_channel else 1)
        assert table.loc[name, "bytes"] == (stored if parameter.ndim > 1 else 4 * parameter.numel())
    assert table.loc["all", "bytes"] == path.stat().st_size < weights.stat().st_size / (2.5 if bits == 8 else 3.5)
    ways = [step["way"] for step in read_card(path.with_suffix(".card.md"))["compression"]]
    assert ways == ["prune", "quantise"]
    images = torch.rand(2, 1, *SHAPE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.isfinite(model(*images)).all()
    # Pruned once more it is single precision again, and says so.
    again, _ = made(path, "again", {"prune": {"ratio": 0.5, "pool": "weights"}})
    assert "quantisation" not in load_tensors(again)[1]
    assert layer_table(again, NAME, PARAMS).iloc[-1]["bytes"] > 2 * path.stat().st_size


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "compress names nothing; give one of prune, quantise"),
        ({"prune": {"ratio": 0.1}, "quantise": {"bits": 8}}, "prune and quantise; give one"),
        ({"prune": {"ratio": 1.5}}, r"compress\.prune of label_reg_local_net: ratio must lie in"),
        ({"prune": {"share": 0.5}}, r"compress\.prune"),
        ({"quantise": {"bits": 2}}, "bits must be 8 or 4"),
    ],
)
def test_settings_that_do_not_go(weights, settings, words):
    before = sorted(weights.parent.iterdir())
    with pytest.raises(ReregisterError, match=words):
        made(weights, "none", settings)
    assert sorted(weights.parent.iterdir()) == before


def test_script_writes_weights_card_and_layers(weights, tmp_path):
    output = SimpleNamespace(
        weights=tmp_path / "q.safetensors", card=tmp_path / "q.card.md", layers=tmp_path / "q.layers.csv"
    )
    params = SimpleNamespace(
        model={"name": NAME, "params": PARAMS}, compress={"quantise": {"bits": 8, "per_channel": True}}
    )
    job = SimpleNamespace(input=SimpleNamespace(weights=[weights]), output=output, params=params, recipe_id="r")
    importlib.import_module("compress_model").main(job)
    table = pd.read_csv(output.layers)
    assert list(table.columns) == ["layer", "parameters", "zeros", "share", "bytes"]
    assert table.iloc[-1][["layer", "bytes"]].tolist() == ["all", output.weights.stat().st_size]
    assert read_card(output.card)["recipe_id"] == "r"
