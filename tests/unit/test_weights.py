"""Weights on disk: the same bytes each time, nothing but safetensors of ours, nothing half-written."""

import hashlib
import io
import json
import os
import pickle
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import save_file

from reregister import weights
from reregister.card import read_card
from reregister.errors import ReregisterError
from reregister.models.dirnet import DIRNet
from reregister.weights import build_model, list_modules, load_model, load_tensors, make_card, save_model, save_tensors

PARAMS = {"poolings": 2, "kernels": 4}
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def trained(params: dict = PARAMS) -> DIRNet:
    """A network with weights, statistics and counters that are not those of a fresh one."""
    torch.manual_seed(0)
    model = build_model("dirnet", params)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    model(*torch.rand(2, 3, 1, 28, 28))
    return model


def saved(folder: Path, params: dict = PARAMS) -> Path:
    model = trained(params)
    card = make_card(model, "dirnet", params, "0" * 64, "dirnet, mnist, part 7, seed 0", (1, 28, 28))
    save_model(folder / "model.safetensors", folder / "model.md", model, card)
    return folder / "model.safetensors"


def test_round_trip_gives_the_same_network(tmp_path):
    model = trained()
    found = load_model(saved(tmp_path), "dirnet", PARAMS)
    assert not found.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, found.state_dict()[name]), name
    pair = torch.rand(2, 2, 1, 28, 28)
    torch.testing.assert_close(found(*pair), model.eval()(*pair), rtol=0, atol=0)
    assert found(*pair).abs().max() > 0


def test_card_is_in_the_header_and_beside_the_weights(tmp_path):
    _, header = load_tensors(saved(tmp_path))
    assert header["architecture"] == "dirnet"
    assert header["params"] == PARAMS
    assert header["parameters"] == sum(p.numel() for p in trained().parameters())
    assert "BatchNorm2d" in header["layers"]
    text = (tmp_path / "model.md").read_text(encoding="utf-8")
    assert text.startswith('---\narchitecture: "dirnet"\n')
    assert f"parameters: {header['parameters']}\n" in text
    assert header["layers"] in text


def test_module_list_is_what_a_forward_pass_meets():
    model = trained({"poolings": 2, "kernels": 16})
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modules = list_modules(model.train(), (1, 28, 28))
    # The statistics of batch normalisation, the mode and the hooks are as they were.
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
    convolutions = [m for m in modules if m["type"] == "Conv2d"]
    form = [(m["kernel"][0], m["inputs"], m["outputs"], m["shape"]) for m in convolutions]
    small = [(kernel, 16, 16, [16, 7, 7]) for kernel in (3, 3, 1, 1)]
    first = [(3, 2, 16, [16, 28, 28]), (3, 16, 16, [16, 14, 14])]
    # Layers, sizes and parameters of the paper's network for digits (section 4.1).
    assert form == [*first, *small, (1, 16, 2, [2, 7, 7])]
    pools = [(m["kernel"], m["shape"]) for m in modules if m["type"] == "AvgPool2d"]
    assert pools == [([2, 2], [16, 14, 14]), ([2, 2], [16, 7, 7])]
    whole = {"name": "", "type": "DIRNet", "kernel": None, "inputs": None, "outputs": None}
    assert modules[-1] == {**whole, "parameters": 7938, "shape": [2, 28, 28]}
    assert sum(m["parameters"] for m in modules[:-1]) == 7938
    names = dict(model.named_modules())
    assert all(m["type"] == type(names[m["name"]]).__name__ for m in modules)


def test_card_beside_the_weights_is_read_back(tmp_path):
    _, header = load_tensors(saved(tmp_path))
    card = read_card(tmp_path / "model.md")
    assert card["license"] == "apache-2.0"
    assert {key: card[key] for key in card if key != "license"} == {k: v for k, v in header.items() if k != "layers"}
    # It is YAML as well, the form of model cards elsewhere.
    head = (tmp_path / "model.md").read_text(encoding="utf-8").split("---\n")[1]
    assert yaml.safe_load(head) == card


@pytest.mark.parametrize("text", ["", "# a title\n", "---\na: {\n---\n", "---\na: 1\n---\n", "---\nmodules: []\n"])
def test_what_is_no_card_is_refused(tmp_path, text):
    path = tmp_path / "card.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ReregisterError, match=r"card\.md .*train the network again"):
        read_card(path)
    with pytest.raises(ReregisterError, match="cannot be read as a model card"):
        read_card(tmp_path / "none.md")


SAVE_TWICE = """
import sys
from pathlib import Path
import torch
from reregister.weights import build_model, make_card, save_model
torch.manual_seed(0)
model = build_model("dirnet", {"poolings": 2, "kernels": 4})
card = make_card(model, "dirnet", {"kernels": 4, "poolings": 2}, "0" * 64, "part 7", (1, 28, 28))
for name in sys.argv[1:]:
    save_model(Path(name), Path(name).with_suffix(".md"), model, card)
"""


def test_bytes_are_the_same_in_two_processes(tmp_path):
    digests = set()
    for number in (1, 2):
        names = [str(tmp_path / f"{number}{letter}.safetensors") for letter in "ab"]
        environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "PYTHONHASHSEED": str(number)}
        subprocess.run([sys.executable, "-c", SAVE_TWICE, *names], check=True, env=environment)
        digests |= {hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in names}
    assert len(digests) == 1
    assert len({path.read_bytes() for path in tmp_path.glob("*.md")}) == 1


def test_bytes_do_not_depend_on_the_order_of_the_header_or_on_strides(tmp_path):
    tensors = {"a": torch.randn(3, 4), "b": torch.randn(5)}
    header = {key: number for number, key in enumerate("zyxwvu")}
    save_tensors(tmp_path / "1", tensors, header)
    save_tensors(tmp_path / "2", {"b": tensors["b"], "a": tensors["a"].T.contiguous().T}, dict(sorted(header.items())))
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    # safetensors writes the keys of its metadata in no fixed order, so there may be but one.
    with safe_open(tmp_path / "1", framework="pt") as file:
        assert list(file.metadata()) == ["reregister"]


class Bomb:
    """What an attacker would put into a pickle: opening it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def write_pickle(path: Path, bomb: Bomb, form: str) -> None:
    if form == "plain":
        path.write_bytes(pickle.dumps({"weight": bomb}))
    else:
        torch.save({"weight": bomb}, path, _use_new_zipfile_serialization=form == "zip")


@pytest.mark.parametrize("form", ["zip", "legacy", "plain"])
def test_pickle_is_refused_and_never_executed(tmp_path, form):
    path, sign = tmp_path / "model.safetensors", tmp_path / "executed"
    write_pickle(path, Bomb(sign), form)
    with pytest.raises(ReregisterError, match="is a pickle, which could run any code"):
        load_model(path, "dirnet", PARAMS)
    assert not sign.exists()
    # The payload is a live one.
    content = io.BytesIO(path.read_bytes())
    pickle.load(content) if form == "plain" else torch.load(content, weights_only=False)
    assert sign.exists()


def test_other_params_are_refused_with_both_named(tmp_path):
    path = saved(tmp_path)
    with pytest.raises(ReregisterError) as caught:
        load_model(path, "dirnet", {"poolings": 4, "kernels": 4})
    assert "{'kernels': 4, 'poolings': 2}" in str(caught.value)
    assert "{'poolings': 4, 'kernels': 4}" in str(caught.value)
    assert str(path) in str(caught.value)


def test_other_architecture_is_refused_with_both_named(tmp_path):
    path = tmp_path / "model.safetensors"
    save_tensors(path, trained().state_dict(), {"architecture": "skipnet", "params": PARAMS})
    with pytest.raises(ReregisterError, match=r"holds weights of skipnet .* not of dirnet"):
        load_model(path, "dirnet", PARAMS)


def test_weights_that_do_not_fit_their_card(tmp_path):
    path = tmp_path / "model.safetensors"
    card = {"architecture": "dirnet", "params": PARAMS}
    save_tensors(path, trained({**PARAMS, "kernels": 5}).state_dict(), card)
    with pytest.raises(ReregisterError, match=r"does not fit dirnet .*size mismatch") as caught:
        load_model(path, "dirnet", PARAMS)
    assert "\n" not in str(caught.value)
    incomplete = {name: t for name, t in trained().state_dict().items() if "running_mean" not in name}
    save_tensors(path, incomplete, card)
    with pytest.raises(ReregisterError, match="does not fit"):
        load_model(path, "dirnet", PARAMS)


@pytest.mark.parametrize("length", [0, 3, 8, 100, -1])
def test_truncated_file(tmp_path, length):
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ReregisterError, match="is no safetensors file"):
        load_tensors(path)


def test_random_bytes(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(torch.randint(256, (5000,), generator=torch.Generator().manual_seed(0)).byte().numpy().tobytes())
    with pytest.raises(ReregisterError, match="is no safetensors file"):
        load_tensors(path)


@pytest.mark.parametrize("header", ["{broken", "[1]", "3"])
def test_damaged_header_of_ours(tmp_path, header):
    save_file({"a": torch.zeros(3)}, tmp_path / "a.safetensors", metadata={"reregister": header})
    with pytest.raises(ReregisterError, match=r"no safetensors file|no reregister header"):
        load_tensors(tmp_path / "a.safetensors")


def test_safetensors_of_somebody_else(tmp_path):
    for number, metadata in enumerate([None, {"format": "pt"}]):
        path = tmp_path / f"{number}.safetensors"
        save_file({"a": torch.zeros(3)}, path, metadata=metadata)
        with pytest.raises(ReregisterError, match="has no reregister header"):
            load_tensors(path)


def test_missing_file(tmp_path):
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(ReregisterError, match="does not exist"):
            load_model(path, "dirnet", PARAMS)


def test_file_that_may_not_be_read(tmp_path, monkeypatch):
    def forbidden(path: Path, framework: str) -> None:
        raise PermissionError(13, "Permission denied")

    path = saved(tmp_path)
    monkeypatch.setattr(weights, "safe_open", forbidden)
    monkeypatch.setattr(Path, "read_bytes", forbidden)
    with pytest.raises(ReregisterError, match=r"model\.safetensors cannot be read .*Permission denied"):
        load_tensors(path)


def test_full_disk_leaves_what_was_there(tmp_path):
    path = saved(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(ReregisterError, match="cannot be written") as caught:
            save_tensors(path, trained().state_dict(), {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_full_disk_at_the_last_moment(tmp_path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReregisterError, match="No space left on device"):
        save_tensors(tmp_path / "model.safetensors", {"a": torch.zeros(3)}, {})
    assert list(tmp_path.iterdir()) == []


def test_header_must_be_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        save_tensors(tmp_path / "model.safetensors", {"a": torch.zeros(3)}, {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_scalars_and_integers_keep_their_form(tmp_path):
    tensors = {"count": torch.tensor(7), "state": torch.arange(5, dtype=torch.uint8), "step": torch.tensor(3.0)}
    save_tensors(tmp_path / "a", tensors, {"numbers": [0.1, 1e-300]})
    found, header = load_tensors(tmp_path / "a")
    assert {n: (t.dtype, t.shape) for n, t in found.items()} == {n: (t.dtype, t.shape) for n, t in tensors.items()}
    assert found["count"] == 7
    assert header == json.loads('{"numbers": [0.1, 1e-300]}')
