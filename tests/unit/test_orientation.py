"""Where axes lead: as nibabel says it, for straight and oblique affines."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from reregister.data.orientation import axes_of
from reregister.data.store import ImageStore
from reregister.data.volumes import affine_text
from reregister.errors import ReregisterError
from reregister.evaluation.fields import PairData

from .test_evaluation_fields import maps_of

TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def affine_of(axes: str, turn: float = 0.0, seed: int = 0) -> np.ndarray:
    """Voxels to LPS mm of axes that lead to `axes`, turned by some degrees about an axis drawn by the seed."""
    directions = {"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
    about = np.random.default_rng(seed).normal(size=3)
    turned = Rotation.from_rotvec(np.deg2rad(turn) * about / np.linalg.norm(about)).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turned @ np.array([directions[letter] for letter in axes]).T * (0.9, 1.5, 3.0)
    affine[:3, 3] = (12.5, -40, 7)
    return affine


@pytest.mark.parametrize("axes", ["RAS", "LPS", "LIA", "PIR", "SAL"])
@pytest.mark.parametrize("turn", [0, 30])
def test_axes_are_those_that_nibabel_names(axes: str, turn: float) -> None:
    for seed in range(5):
        affine = affine_of(axes, turn, seed)
        assert axes_of(affine_text(affine)) == "".join(nib.aff2axcodes(TO_RAS @ affine)) == axes


@pytest.mark.parametrize("text", ["", "1 2 3", "1 0 0 0 0 1 0 0 0 0 1 x"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ReregisterError, match="is not twelve numbers; prepare the data again"):
        axes_of(text)


@pytest.mark.parametrize("number", ["0", "nan"])
def test_an_axis_needs_a_direction(number: str) -> None:
    with pytest.raises(ReregisterError, match="has an axis without a direction"):
        axes_of(f"1 0 0 0 0 1 0 0 0 0 {number} 0")


def test_a_pair_has_the_axes_of_its_fixed_image() -> None:
    shape = (4, 5, 6)
    texts = [affine_text(affine_of(axes)) for axes in ("RAS", "LIA")]
    subjects = pd.DataFrame({"spacing": ["1 1 1"] * 2, "affine": texts})
    store = ImageStore(np.zeros((2, 1, *shape), np.float32), subjects)
    pairs = pd.DataFrame({"moving_row": [0, 1], "fixed_row": [1, 0]})
    data = PairData(store, maps_of({}, shape), pairs, np.zeros((0, 3, *shape)), "mm", "zeros")
    assert [data.axes(row) for row in (0, 1)] == ["LIA", "RAS"]
    flat = ImageStore(np.zeros((2, 1, 4, 5), np.float32), subjects)
    assert PairData(flat, maps_of({}, (4, 5)), pairs, np.zeros((0, 2, 4, 5)), "mm", "zeros").axes(0) == ""
