"""The true fields of frozen pairs: the same array whatever is composed together, and nothing where something is wrong."""

from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from reregister.data import true_fields
from reregister.data.true_fields import write_true_fields
from reregister.errors import ReregisterError

SHAPE = (4, 5, 6)
PAIRS = pd.DataFrame({"moving": list("abcde"), "fixed": list("bcdea")}, index=range(20, 25))
SUBJECTS = pd.DataFrame({"id": list("abcde")})


@pytest.fixture
def asked():
    return []


@pytest.fixture
def standin(asked):
    """Fields filled with a number of the two ids; the pair of c has no exact field, and z is unknown."""

    def truth_ddf(truth_path, moving_ids, fixed_ids, shape, subjects):
        asked.append((truth_path, list(moving_ids), list(subjects["id"])))
        if "z" in moving_ids:
            raise ReregisterError("there is no z")
        values = [np.nan if m == "c" else 10 * ord(m) + ord(f) for m, f in zip(moving_ids, fixed_ids, strict=True)]
        ddf = np.full((len(values), len(shape), *shape), np.array(values).reshape(-1, 1, 1, 1, 1))
        return ddf, ~np.isnan(values)

    module: ModuleType = SimpleNamespace(truth_ddf=truth_ddf)
    return module


@pytest.mark.parametrize(("room", "calls"), [(1, 5), (2 * 3 * 4 * 5 * 6 * 4, 3), (64 << 20, 1)])
def test_written_in_parts(tmp_path, monkeypatch, standin, asked, room, calls):
    monkeypatch.setattr(true_fields, "_BLOCK", room)
    write_true_fields(tmp_path / "truth.npy", standin, tmp_path / "made.npz", PAIRS, SHAPE, SUBJECTS)
    assert len(asked) == calls
    assert [one for _, ids, _ in asked for one in ids] == list("abcde")
    assert {path for path, *_ in asked} == {tmp_path / "made.npz"}
    assert all(ids == list("abcde") for *_, ids in asked)
    expected, _ = standin.truth_ddf(None, PAIRS["moving"], PAIRS["fixed"], SHAPE, SUBJECTS)
    np.save(tmp_path / "whole.npy", expected.astype("<f4"))
    assert (tmp_path / "truth.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    found = np.load(tmp_path / "truth.npy", mmap_mode="r")
    assert np.isnan(found).reshape(5, -1).all(axis=1).tolist() == [False, False, True, False, False]


def test_images_that_are_no_stand_in_have_no_field(tmp_path, standin, asked):
    write_true_fields(tmp_path / "truth.npy", standin, None, PAIRS, SHAPE, SUBJECTS)
    assert np.load(tmp_path / "truth.npy").shape == (0, 3, *SHAPE)
    assert asked == []


def test_nothing_is_left_where_one_pair_fails(tmp_path, monkeypatch, standin):
    monkeypatch.setattr(true_fields, "_BLOCK", 1)
    pairs = PAIRS.assign(moving=["a", "b", "z", "d", "e"])
    with pytest.raises(ReregisterError, match="there is no z"):
        write_true_fields(tmp_path / "truth.npy", standin, tmp_path / "made.npz", pairs, SHAPE, SUBJECTS)
    assert list(tmp_path.iterdir()) == []
