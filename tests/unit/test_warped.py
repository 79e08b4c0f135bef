"""Similarity of what several methods warp, against the warp and the SSIM themselves."""

import numpy as np
import pandas as pd
import pytest
import torch

from reregister.errors import ReregisterError
from reregister.evaluation.warped import similarity_of_warped
from reregister.metrics.intensity import ssim
from reregister.transforms.warp import warp

IMAGES = np.random.default_rng(0).random((3, 1, 13, 14, 15)).astype(np.float32)
PAIRS = pd.DataFrame({"pair_id": ["a", "b"], "moving_row": [2, 0]})


def fields(*steps: float) -> np.ndarray:
    """One field of the same displacement everywhere for each pair, along the first axis."""
    ddf = np.zeros((len(steps), 3, 13, 14, 15), np.float32)
    ddf[:, 0] = np.reshape(steps, (-1, 1, 1, 1))
    return ddf


def test_every_two_methods_are_compared_on_every_pair() -> None:
    done: list[int] = []
    given = {"still": fields(0, 0), "same": fields(0, 0), "moved": fields(1, 0.5)}
    table = similarity_of_warped(IMAGES, PAIRS, given, "zeros", lambda: done.append(1))
    assert len(done) == 2
    assert list(table.columns) == ["pair_id", "first", "second", "ssim"]
    assert table["pair_id"].tolist() == ["a"] * 3 + ["b"] * 3
    assert table[["first", "second"]].head(3).to_numpy().tolist() == [
        ["still", "same"],
        ["still", "moved"],
        ["same", "moved"],
    ]
    cells = table.set_index(["pair_id", "first", "second"])["ssim"]
    assert cells["a", "still", "same"] == pytest.approx(1)
    for pair, row, place in (("a", 2, 0), ("b", 0, 1)):
        moving, ddf = torch.from_numpy(IMAGES[row])[None], torch.from_numpy(given["moved"][place])[None]
        expected = ssim(IMAGES[row][0], warp(moving, ddf, padding="zeros")[0, 0].numpy())
        assert cells[pair, "still", "moved"] == pytest.approx(expected, abs=1e-6)
        assert expected < 0.9


def test_missing_methods_and_fields_are_refused() -> None:
    with pytest.raises(ReregisterError, match="only still is there to compare"):
        similarity_of_warped(IMAGES, PAIRS, {"still": fields(0, 0)}, "zeros")
    with pytest.raises(ReregisterError, match="there are 2 pairs, but 1 fields of moved"):
        similarity_of_warped(IMAGES, PAIRS, {"still": fields(0, 0), "moved": fields(1)}, "zeros")
