"""Multiplications and levels of networks as their module lists have them, against the numbers of papers.md."""

from typing import Any

import pytest
import torch

from reregister.errors import ReregisterError
from reregister.exhibits.levels import goes_up, layers_of
from reregister.exhibits.macs import count_macs, scaled_macs
from reregister.weights import build_model, make_card

OASIS = (1, 160, 192, 224)


def card_of(name: str, shape: tuple[int, ...] = OASIS, **params: Any) -> dict[str, Any]:
    """A card without weights: on the meta device nothing is computed, at any size."""
    with torch.device("meta"):
        model = build_model(name, params)
    return make_card(model, name, params, "ab" * 32, "nothing", shape)


@pytest.mark.parametrize(
    ("permutation", "gmac"), [("default", 276.4), ("maxpool", 36.0), ("reduced", 272.2), ("both", 35.5)]
)
def test_work_of_the_permutations(permutation: str, gmac: float) -> None:
    for shared in (True, False):
        card = card_of("reduced_voxelmorph", permutation=permutation, shared=shared)
        assert round(count_macs(card["modules"]) / 1e9, 1) == gmac
    small = card_of("reduced_voxelmorph", (1, 32, 64, 96), permutation=permutation)
    assert scaled_macs(small, OASIS[1:]) == pytest.approx(count_macs(card["modules"]))


def test_work_of_a_padded_network_is_that_of_the_padded_size() -> None:
    card = card_of("reduced_voxelmorph", (1, 30, 60, 90), permutation="default")
    assert card["padded_to"] == [32, 64, 96]
    assert scaled_macs(card, OASIS[1:]) == pytest.approx(276.369408e9)


def test_work_of_single_layers() -> None:
    common = {"name": "x", "kernel": [3, 3], "inputs": 4, "outputs": 5, "shape": [5, 6, 8]}
    assert count_macs([common | {"type": "Conv2d"}]) == 9 * 4 * 5 * 6 * 8
    # A transposed convolution of stride 2 reads half of each side.
    assert count_macs([common | {"type": "ConvTranspose2d"}]) == 9 * 4 * 5 * 3 * 4
    dense = {"name": "y", "type": "Linear", "kernel": None, "inputs": 10, "outputs": 7, "shape": [7]}
    pool = {"name": "z", "type": "MaxPool2d", "kernel": [2, 2], "inputs": None, "outputs": None, "shape": [5, 3, 4]}
    whole = {"name": "", "type": "Net", "kernel": None, "inputs": 1, "outputs": 1, "shape": [2, 6, 8]}
    assert count_macs([dense, pool, whole]) == 70
    with pytest.raises(ReregisterError, match=r"x has the kernel \[3\]"):
        count_macs([common | {"type": "Conv2d", "kernel": [3]}])


def test_work_at_another_size_is_refused_where_there_is_none() -> None:
    card = card_of("reduced_voxelmorph")
    with pytest.raises(ReregisterError, match=r"has no counterpart at \[256, 256\]"):
        scaled_macs(card, [256, 256])
    dense = [*card["modules"], {"type": "Linear", "name": "d", "inputs": 1, "outputs": 1, "kernel": None, "shape": [1]}]
    with pytest.raises(ReregisterError, match="no counterpart"):
        scaled_macs(card | {"modules": dense}, [32, 32, 32])


def test_levels_of_shared_layers() -> None:
    card = card_of("reduced_voxelmorph")
    assert goes_up(card)
    layers = layers_of(card).set_index("name")
    deep = layers.loc["econv_deep.0.conv"]
    assert deep["use"].tolist() == [1, 2, 3]
    assert deep["parameters"].tolist() == [27_680, 0, 0]
    assert deep["level"].tolist() == [2, 3, 4]
    assert deep["strided"].all()
    assert layers["parameters"].sum() == card["parameters"] == 154_649
    assert layers.loc["dconv_deep.0.conv", "joined"].tolist() == [32, 32, 32]
    assert layers.loc["dconv5.conv", ["level", "role", "joined"]].tolist() == [0, "up", 16]
    assert layers.loc["dconv1.conv", ["level", "role", "joined"]].tolist() == [4, "up", 0]
    assert layers.loc["flow", ["role", "level", "size"]].tolist() == ["field", 0, "160×192×224"]


def test_levels_with_max_pooling_begin_one_lower() -> None:
    layers = layers_of(card_of("reduced_voxelmorph", permutation="both", shared=False, upsample="field"))
    assert layers["role"].tolist() == ["pool", "down", "down", "down", "up", "up", "up", "up", "up", "field"]
    assert layers["level"].tolist() == [1, 1, 2, 3, 3, 2, 1, 1, 1, 1]
    assert set(layers["use"]) == {1}
    # The same levels where images are padded: their sides are no powers of 2 of what the layers put out.
    padded = layers_of(
        card_of("reduced_voxelmorph", (1, 26, 44, 46), permutation="both", shared=False, upsample="field")
    )
    assert padded["level"].tolist() == layers["level"].tolist()


def test_levels_of_the_local_net() -> None:
    card = card_of("label_reg_local_net")
    layers = layers_of(card)
    assert layers["parameters"].sum() == card["parameters"] == 18_906_351
    counts = layers.groupby(["role", "level"]).size()
    assert counts["down"].to_dict() == {0: 3, 1: 3, 2: 3, 3: 3, 4: 1}
    assert counts["up"].to_dict() == {0: 3, 1: 3, 2: 3, 3: 3}
    assert counts["field"].to_dict() == dict.fromkeys(range(5), 1)
    assert counts["pool"].to_dict() == {1: 1, 2: 1, 3: 1, 4: 1}
    assert not layers["joined"].any()
    assert not layers["strided"].any()


def test_a_network_that_only_goes_down_does_not_go_up() -> None:
    assert not goes_up(card_of("dirnet", (1, 64, 64)))
