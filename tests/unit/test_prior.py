"""Pairs fitted by a network of their own: settings, determinism, several at a time, and what a kill leaves."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from reregister.errors import ReregisterError
from reregister.prior.optimise import fit, initialise, seed_of_pair
from reregister.prior.pairs import collect, left_over, plan_pairs
from reregister.prior.settings import PriorSettings, check_tools
from reregister.prior.side_by_side import fit_pairs
from reregister.prior.worker import Setup
from reregister.transforms.warp import warp
from reregister.weights import build_model

CPU = torch.device("cpu")
MODEL = {"name": "skip_net", "params": {"z_channels": 4, "channels": [4, 8], "skip_channels": 2}}
SETTINGS = {"iterations": 12, "trace_every": 5, "lr": 0.01}
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def blob(row, column, size=(32, 32), sigma=5.0):
    places = np.indices(size) - np.array([row, column])[:, None, None]
    return np.exp(-(places**2).sum(0) / (2 * sigma**2)).astype(np.float32)


MOVING, FIXED = blob(14, 16), blob(17, 15)


def fitted(moving=MOVING, fixed=FIXED, model=MODEL, seed=1, **settings):
    return fit(moving, fixed, model, PriorSettings.of({**SETTINGS, **settings}), seed, CPU)


@pytest.mark.parametrize(("z", "least"), [("fixed", 0.2), ("resample", 0.5)])
def test_fitting_brings_the_images_together(z, least):
    found = fitted(z=z, iterations=150, lr=0.003)
    steps, losses, largest = found.trace.T
    assert losses[0] == pytest.approx(np.abs(MOVING - FIXED).mean(), rel=0.3)
    assert losses[-1] < least * losses[0]
    assert steps.tolist() == list(range(0, 151, 5))
    assert found.ddf.shape == (2, 32, 32)
    assert found.ddf.dtype == np.float32
    assert largest[-1] == pytest.approx(np.sqrt((found.ddf.astype(float) ** 2).sum(0)).max(), rel=1e-5)
    # warped(x) = moving(x + ddf(x)): the blob lies 3 rows higher in the moving image.
    assert found.ddf[0, 17, 15] < -1


def test_the_last_row_of_the_trace_is_that_of_the_field():
    found = fitted(z="fixed", trace_every=12)
    ddf, moving = torch.from_numpy(found.ddf)[None], torch.from_numpy(MOVING)[None, None]
    loss = np.abs(warp(moving, ddf)[0, 0].numpy() - FIXED).mean()
    assert found.trace[:, 0].tolist() == [0, 12]
    assert found.trace[-1, 1] == pytest.approx(loss, rel=1e-5)


def test_a_seed_gives_the_same_bits_and_another_one_others():
    first = fitted()
    # Whatever the state of the generators, which are left as they were.
    torch.manual_seed(77)
    state = torch.get_rng_state()
    second = fitted()
    assert torch.equal(torch.get_rng_state(), state)
    assert first.ddf.tobytes() == second.ddf.tobytes()
    assert first.trace.tobytes() == second.trace.tobytes()
    assert fitted(seed=2).ddf.tobytes() != first.ddf.tobytes()


def test_the_seed_of_a_pair_is_its_own():
    seeds = {seed_of_pair(s, m, f) for s in (0, 1) for m, f in (("a", "b"), ("b", "a"), ("a", "c"))}
    assert len(seeds) == 6
    assert seed_of_pair(0, "a", "b") in seeds
    torch.Generator().manual_seed(max(seeds) + 2)


def test_drawing_noise_anew_matters_and_so_does_the_mean_of_many_fields():
    fixed, drawn = fitted(z="fixed"), fitted()
    assert not np.array_equal(fixed.ddf, drawn.ddf)
    many = fitted(final_draws=8)
    assert not np.array_equal(many.ddf, drawn.ddf)
    # Fixed noise leaves nothing to draw.
    assert np.array_equal(fitted(z="fixed", final_draws=8).ddf, fixed.ddf)


@pytest.mark.parametrize("init", ["all", "convolutions", "framework"])
def test_initialisation_draws_what_it_names(init):
    torch.manual_seed(0)
    net = build_model("skip_net", {"channels": [32, 32]})
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    initialise(net, PriorSettings(init=init, init_std=0.02), torch.Generator().manual_seed(0))
    changed = {name for name, p in net.named_parameters() if not torch.equal(p, before[name])}
    weights = {name for name, p in net.named_parameters() if p.ndim == 4}
    assert changed == {"all": set(before), "convolutions": weights, "framework": set()}[init]
    if init != "framework":
        values = torch.cat([p.detach().flatten() for name, p in net.named_parameters() if name in weights])
        assert values.std() == pytest.approx(0.02, rel=0.05)


def test_small_initial_values_start_near_the_identity():
    size = (64, 64)
    pair = {"moving": blob(30, 32, size), "fixed": blob(34, 31, size), "iterations": 1}
    model = {"name": "skip_net", "params": {"channels": [32] * 4}}
    near = fitted(**pair, model=model).trace[0, 2]
    assert near < 1.5
    assert fitted(**pair, model=model, init="framework").trace[0, 2] > 5 * near


def test_units_of_the_output():
    pixel, normalised = (fitted(unit=unit, iterations=1).trace[0, 2] for unit in ("pixel", "normalised"))
    assert normalised == pytest.approx(pixel * 31 / 2, rel=1e-5)


def test_sizes_that_do_not_halve_are_padded_and_cut():
    moving, fixed = blob(10, 12, (27, 30)), blob(12, 11, (27, 30))
    found = fitted(moving, fixed, iterations=80, z="fixed")
    assert found.ddf.shape == (2, 27, 30)
    assert found.trace[-1, 1] < 0.5 * found.trace[0, 1]


def test_a_constant_image_gives_no_displacement_and_says_so():
    for pair in ((np.full_like(MOVING, 0.5), FIXED), (MOVING, np.zeros_like(FIXED))):
        found = fitted(*pair)
        assert not found.ddf.any()
        assert "constant" in found.note
        assert found.trace.shape == (0, 3)


def test_volumes_and_losses_that_are_not_finite_are_refused():
    with pytest.raises(ReregisterError, match="registers 2-D images"):
        fitted(np.zeros((8, 8, 8), np.float32), np.zeros((8, 8, 8), np.float32))
    broken = MOVING.copy()
    broken[3, 3] = np.nan
    with pytest.raises(ReregisterError, match="loss of the prior is not finite at step 0"):
        fitted(broken)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"iteration": 3}, "no setting 'iteration'"),
        ({"iterations": 0}, "iterations is 0: give 1"),
        ({"iterations": 2.5}, "iterations is 2.5"),
        ({"lr": 0}, "lr is 0: give more than 0"),
        ({"z": "drawn"}, "choose resample or fixed"),
        ({"init": "zero"}, "choose all or convolutions or framework"),
        ({"final_draws": True}, "final_draws is True"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_wrong_settings_are_named(wrong, said):
    with pytest.raises(ReregisterError, match=said):
        PriorSettings.of({**SETTINGS, **wrong})


def test_experiments_lack_nothing_that_their_tools_need():
    prior = {"tool": "prior", "model": {}, "settings": {}}
    assert check_tools({"methods": {"a": prior}, "fitting": {}}) is None
    assert check_tools({"methods": {"a": {"tool": "network"}}, "training": {}}) is None
    for experiment, place in (
        ({"methods": {"a": prior}}, ("fitting",)),
        ({"methods": {"a": {"tool": "network"}}, "fitting": {}}, ("training",)),
        ({"methods": {"a": {"tool": "prior", "settings": {}}}, "fitting": {}}, ("methods", "a", "model")),
        ({"methods": {"a": {**prior, "settings": {"z": 1}}}, "fitting": {}}, ("methods", "a", "settings")),
        ({"methods": {"a": {**prior, "settings": {"padding": "zeros"}}}, "fitting": {}}, ("methods", "a", "settings")),
    ):
        problem = check_tools(experiment)
        assert problem is not None
        assert problem[0] == place


IMAGES = np.stack([blob(12 + 2 * n, 16, (16, 16)) for n in range(4)])[:, None]
TABLE = pd.DataFrame(
    {
        "pair_id": ["p0", "p1", "p2"],
        "moving": ["a", "b", "c"],
        "fixed": ["b", "c", "d"],
        "moving_row": [0, 1, 2],
        "fixed_row": [1, 2, 3],
    }
)


def job(folder: Path, threads: int, settings=SETTINGS, table=TABLE, **more):
    """Fields, traces and resumed pairs of one job in a folder."""
    np.save(folder / "images.npy", IMAGES)
    pairs = plan_pairs(table, 0, folder / "checkpoints" / "recipe.safetensors")
    left = left_over(pairs)
    record = fit_pairs(left, Setup(str(folder / "images.npy"), MODEL, settings, "warn"), threads, CPU, **more)
    fields, timing, traces = collect(pairs)
    assert (timing["seconds"] > 0).all()
    assert record == {"mode": "warn", "warned": []}
    return fields, traces, len(pairs) - len(left)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return job(tmp_path_factory.mktemp("alone"), 1)


def test_pairs_side_by_side_have_the_bits_of_pairs_one_by_one(tmp_path, alone):
    told: list[int] = []
    fields, traces, _ = job(tmp_path, 2, report=lambda done, loss: told.append(done))
    assert fields.tobytes() == alone[0].tobytes()
    pd.testing.assert_frame_equal(traces, alone[1])
    assert max(told) == 36
    assert list(traces) == ["pair_id", "step", "loss", "max_displacement"]
    assert traces["pair_id"].unique().tolist() == ["p0", "p1", "p2"]


def test_a_pair_does_not_depend_on_the_others(tmp_path, alone):
    fields, traces, _ = job(tmp_path, 1, table=TABLE.iloc[[2]])
    assert fields[0].tobytes() == alone[0][2].tobytes()
    expected = alone[1][alone[1]["pair_id"] == "p2"].reset_index(drop=True)
    pd.testing.assert_frame_equal(traces, expected)


def test_finished_pairs_are_not_fitted_again(tmp_path, alone):
    job(tmp_path, 1)
    kept = sorted((tmp_path / "checkpoints").iterdir())
    # What the recorder removes once the receipt stands.
    assert all(path.name.endswith("-recipe.safetensors") for path in kept)
    kept[1].unlink()
    before = [kept[0].stat().st_mtime_ns, kept[2].stat().st_mtime_ns]
    fields, traces, resumed = job(tmp_path, 1)
    assert resumed == 2
    assert [kept[0].stat().st_mtime_ns, kept[2].stat().st_mtime_ns] == before
    assert fields.tobytes() == alone[0].tobytes()
    pd.testing.assert_frame_equal(traces, alone[1])


def test_a_kept_pair_that_cannot_be_read_is_named(tmp_path):
    job(tmp_path, 1)
    path = tmp_path / "checkpoints" / "pair00001-recipe.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ReregisterError, match=r"kept pair .*pair00001.* delete it"):
        collect(plan_pairs(TABLE, 0, tmp_path / "checkpoints" / "recipe.safetensors"))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_pair_that_cannot_be_fitted_is_named(tmp_path, threads):
    settings = {**SETTINGS, "lr": 1e38}
    with pytest.raises(ReregisterError, match=r"pair p\d: The field of the prior is not finite at step [12]:"):
        job(tmp_path, threads, settings)


_JOB = """
from pathlib import Path
from tests.unit.test_prior import LONGER, job
job(Path({folder!r}), 2, LONGER)
"""
LONGER = {**SETTINGS, "iterations": 60}


def test_a_killed_job_goes_on_where_it_was(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SCRIPTS), str(SCRIPTS.parent)])}
    kept = tmp_path / "checkpoints"
    with subprocess.Popen([sys.executable, "-c", _JOB.format(folder=str(tmp_path))], env=environment) as process:
        while process.poll() is None and not list(kept.glob("pair*")):
            time.sleep(0.01)
        process.kill()
    finished = len(list(kept.glob("pair*")))
    fields, traces, resumed = job(tmp_path, 1, LONGER)
    # A worker that has finished the pair in hand takes no other.
    assert 1 <= finished <= resumed
    (tmp_path / "whole").mkdir()
    expected = job(tmp_path / "whole", 1, LONGER)
    assert fields.tobytes() == expected[0].tobytes()
    pd.testing.assert_frame_equal(traces, expected[1])


def test_settings_have_the_papers_values():
    settings = PriorSettings()
    assert (settings.iterations, settings.lr, settings.z, settings.z_std) == (2000, 1e-3, "resample", 0.1)
    assert (settings.init, settings.init_std, settings.padding) == ("all", 0.01, "border")
    assert replace(settings, iterations=3) == PriorSettings.of({"iterations": 3})
