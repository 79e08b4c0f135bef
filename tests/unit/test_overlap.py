"""Dice against MONAI, and its flags."""

import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_dice

from reregister.metrics.overlap import as_masks, dice, emptiness


def square(shape: tuple[int, ...] = (32, 32), start: int = 8, side: int = 10) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[(slice(start, start + side),) * len(shape)] = True
    return mask


@pytest.mark.parametrize("shape", [(40, 31), (12, 18, 15)])
@pytest.mark.parametrize("seed", range(4))
def test_equals_monai(shape, seed):
    first, second = np.random.default_rng(seed).random((2, *shape)) < (0.1 + 0.2 * seed)
    expected = compute_dice(torch.from_numpy(first)[None, None].float(), torch.from_numpy(second)[None, None].float())
    assert dice(first, second) == pytest.approx(float(expected), abs=1e-6)


def test_known_values():
    mask = square()
    assert dice(mask, mask) == 1
    assert dice(mask, np.roll(mask, 3, 1)) == 2 * 70 / 200
    assert dice(mask, np.roll(mask, 10, 0)) == 0
    assert dice(mask.astype(np.uint8), mask.astype(np.float32)) == 1


def test_emptiness_is_flagged():
    mask, empty = square(), np.zeros((32, 32), bool)
    assert emptiness(mask, mask) == {"empty_warped": 0, "empty_fixed": 0}
    assert (dice(empty, mask), emptiness(empty, mask)) == (0, {"empty_warped": 1, "empty_fixed": 0})
    assert (dice(mask, empty), emptiness(mask, empty)) == (0, {"empty_warped": 0, "empty_fixed": 1})
    assert math.isnan(dice(empty, empty))
    assert emptiness(empty, empty) == {"empty_warped": 1, "empty_fixed": 1}


@pytest.mark.parametrize("function", [dice, emptiness, as_masks])
def test_what_is_no_pair_of_masks_is_refused(function):
    with pytest.raises(ValueError, match=r"\(32, 32\) and \(32, 31\)"):
        function(square(), square((32, 31)))
    with pytest.raises(ValueError, match=r"\(32,\)"):
        function(square((32,)), square((32,)))
    with pytest.raises(ValueError, match="values up to 3"):
        function(square(), square().astype(int) * 3)
    with pytest.raises(ValueError, match="0 and 1"):
        function(np.full((4, 4), np.nan), np.zeros((4, 4)))
