"""What sets all methods side by side: samples and starts, ranks and worst cases, the table, and what the page lets choose."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from reregister.config import SCALES, read_yaml
from reregister.data.pools import pairs_in_pool, training_pool
from reregister.drawing import Exhibit
from reregister.errors import ReregisterError
from reregister.exhibits.ranks import rank_shares
from reregister.figures import fold_against_similarity, protocol_table, rank_stability
from reregister.methods import by_steps
from reregister.plan import Plan
from reregister.provenance.files import write_text
from reregister.report.explorer import better_of, explorer_of
from reregister.settings import Settings
from reregister.tables import write_frame

PROJECT = Path(__file__).resolve().parents[2]
PROTOCOL = "common_protocol"
DRAWN, TABLES = ("rank_stability",), ("protocol_table",)


def made(**over: Any) -> Settings:
    return Settings(PROJECT, read_yaml(PROJECT / "config" / "config.yaml"), {"scale": "smoke", **over})


def cases(method: str, scores: dict[str, list[float]], seed: int = 0, name: str = "ncc") -> pd.DataFrame:
    """One row per case; scores by cluster."""
    rows = [(method, seed, f"{c}{n}", c, value) for c, values in scores.items() for n, value in enumerate(values)]
    return pd.DataFrame(rows, columns=["method", "seed", "pair_id", "cluster", name])


# Samples, and where pairs start.


@pytest.mark.parametrize(("samples", "batch", "steps"), [(100, 10, 10), (100, 32, 4), (5, 8, 1)])
def test_samples_are_steps_that_show_them_all(samples: int, batch: int, steps: int) -> None:
    found = by_steps({"samples": samples, "batch": batch, "validations": 4, "lr": 1})
    assert found == {"iterations": steps, "validate_every": max(steps // 4, 1), "batch": batch, "lr": 1}


@pytest.mark.parametrize("scale", SCALES)
def test_every_network_of_a_dataset_is_shown_as_many_pairs(scale: str) -> None:
    settings = made(scale=scale)
    seeds = set()
    for experiment, setup in settings.papers[PROTOCOL]["experiments"].items():
        for method in settings.trained(PROTOCOL, experiment):
            training = settings.training(PROTOCOL, experiment, method)
            shown = training["iterations"] * training["batch"]
            assert 0 <= shown - setup["training"]["samples"] < training["batch"]
            seeds.add(len(settings.seeds(PROTOCOL, experiment, method)))
    assert scale != "full" or seeds == {3}


def test_every_method_is_run_on_every_dataset_of_its_dimension() -> None:
    experiments = made().papers[PROTOCOL]["experiments"]
    classical = ["identity", "affine", "elastix_bspline", "ants_syn"]
    flat = [*classical, "mnist_voxelmorph", "dirnet_bl", "dirnet_c1", "deep_prior"]
    heads = [*classical, "label_driven", "reduced_voxelmorph_default", "reduced_voxelmorph_both"]
    assert {name: list(setup["methods"]) for name, setup in experiments.items()} == {
        **dict.fromkeys(("mnist", "scd", "tcga_adjacent", "tcga_consecutive"), flat),
        **dict.fromkeys(("ibsr", "oasis"), heads),
    }
    # One affine registration for all that deform, where patients or subjects differ and are not aligned.
    for name, setup in experiments.items():
        starts = {method: about["start"] for method, about in setup["methods"].items()}
        expected = "affine" if name in ("tcga_consecutive", "ibsr") else None
        assert starts == {m: None if m in ("identity", "affine") else expected for m in starts}


def test_a_start_comes_with_the_method_that_starts_there() -> None:
    settings = made(only={PROTOCOL: {"ibsr": ["label_driven"]}})
    assert list(settings.experiment(PROTOCOL, "ibsr")["methods"]) == ["identity", "affine", "label_driven"]
    plan = Plan(settings)
    assert plan.start(PROTOCOL, "ibsr", "label_driven") == [f"results/smoke/{PROTOCOL}/fields/ibsr/affine.npy"]
    assert plan.start(PROTOCOL, "ibsr", "affine") == []
    assert settings.papers[PROTOCOL]["explorer"] == ["common_ibsr_table"]


@pytest.mark.parametrize("start", ["nothing", "deep_prior", "dirnet_bl", "elastix_bspline"])
def test_a_start_is_a_classical_method_of_the_experiment_without_one(start: str) -> None:
    own = {PROTOCOL: {"experiments": {"tcga_consecutive": {"methods": {"ants_syn": {"start": start}}}}}}
    with pytest.raises(ReregisterError, match=rf"ants_syn.start names {start}.* allowed is one of identity, affine$"):
        made(papers=own)


def test_samples_do_not_stand_beside_iterations() -> None:
    own = {PROTOCOL: {"experiments": {"mnist": {"training": {"iterations": 10, "validate_every": 5}}}}}
    with pytest.raises(ReregisterError, match="samples alone, for a training by pairs shown"):
        made(papers=own)


# What the run holds.


def test_papers_are_the_papers_and_all_has_the_protocols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = Plan(made())
    papers = sorted(path.stem for path in (PROJECT / "config" / "papers").glob("*.yaml"))
    for targets in ((), ("papers",), ("dirnet",)):
        assert plan.listed(targets) == papers
    for targets in (("all",), (PROTOCOL,), ("papers", PROTOCOL)):
        assert plan.listed(targets) == [*papers, PROTOCOL]
    # What was run before belongs to the run, whatever is asked for now.
    write_text(Path(plan.folder, "receipts", PROTOCOL, "manifest.json"), "{}")
    assert plan.listed(("papers",)) == [*papers, PROTOCOL]


def test_networks_of_a_protocol_are_not_exported() -> None:
    plan = Plan(made())
    assert plan.network_experiments(PROTOCOL) == []
    assert plan.network_experiments("dirnet")
    assert not [name for name in plan.receipts(PROTOCOL) if "export_models" in name]


# Training pairs like the test pairs of two readings.


@pytest.fixture
def slices() -> pd.DataFrame:
    """Four cases of three slices, the largest tumour in the middle one; the last case is of another role."""
    rows = [(f"c{c}_{s}", f"c{c}", f"c{c}", str(s), str(9 if s == 1 else 4)) for c in range(4) for s in range(3)]
    return pd.DataFrame(rows, columns=["id", "group", "cluster", "slice", "tumour_area"]).assign(head_area="9")


def test_pools_of_slices_hold_what_the_test_pairs_are_made_of(slices: pd.DataFrame) -> None:
    roles = pd.Series("train", slices.index).where(slices["cluster"] != "c3", "test")
    adjacent = training_pool(slices, roles, {"name": "adjacent_slices"})
    assert adjacent["id"].tolist() == ["c0_1", "c0_2", "c1_1", "c1_2", "c2_1", "c2_2"]
    assert adjacent["group"].tolist() == adjacent["cluster"].tolist()
    assert pairs_in_pool(adjacent) == 6
    cases = training_pool(slices, roles, {"name": "consecutive_cases"})
    assert cases["id"].tolist() == ["c0_1", "c1_1", "c2_1"]
    assert set(cases["group"]) == {"cases"}
    assert pairs_in_pool(cases) == 6


def test_a_pool_without_two_cases_is_refused(slices: pd.DataFrame) -> None:
    roles = pd.Series("test", slices.index).where(slices["cluster"] != "c0", "train")
    with pytest.raises(ReregisterError, match="nothing can be trained"):
        training_pool(slices, roles, {"name": "consecutive_cases"})


# Ranks.


def test_a_method_that_is_better_in_every_cluster_is_always_first() -> None:
    frame = pd.concat([cases("a", {"x": [0.1], "y": [0.5]}), cases("b", {"x": [0.2], "y": [0.6]})])
    found = rank_shares(frame, "ncc", higher=True)
    assert found.methods == ["b", "a"]
    assert found.shares.tolist() == [[1, 0], [0, 1]]
    assert (found.low.tolist(), found.high.tolist()) == ([1, 2], [1, 2])
    # Of an error the other way round.
    assert rank_shares(frame, "ncc", higher=False).methods == ["a", "b"]


def test_shares_are_those_of_the_resamples_of_two_clusters() -> None:
    # b wins where x is drawn twice, one time in four; a else, and where both are drawn by the mean.
    frame = pd.concat([cases("a", {"x": [0.0], "y": [0.9]}), cases("b", {"x": [0.1], "y": [0.0]})])
    found = rank_shares(frame, "ncc", higher=True, n=20000)
    assert found.methods == ["a", "b"]
    assert found.shares[0] == pytest.approx([0.75, 0.25], abs=0.01)
    assert found.shares.sum(axis=1) == pytest.approx([1, 1])


def test_seeds_are_resampled_too() -> None:
    # Over its seeds a is as often far better as far worse: 3 of 4 draws of two seeds have a good one.
    good, bad = cases("a", {"x": [0.9], "y": [0.9]}, 0), cases("a", {"x": [0.0], "y": [0.0]}, 1)
    frame = pd.concat([good, bad, cases("b", {"x": [0.3], "y": [0.3]})])
    found = rank_shares(frame, "ncc", higher=True, n=20000)
    assert dict(zip(found.methods, found.shares[:, 0], strict=True)) == pytest.approx({"a": 0.75, "b": 0.25}, abs=0.01)


def test_clusters_count_by_their_cases_and_methods_of_one_mean_share_the_better_rank() -> None:
    frame = pd.concat([cases("a", {"x": [0.0] * 9, "y": [1.0]}), cases("b", {"x": [0.0] * 9, "y": [1.0]})])
    found = rank_shares(frame, "ncc", higher=True)
    assert found.means == pytest.approx([0.1, 0.1])
    assert found.shares[:, 0].tolist() == [1, 1]


def test_undefined_scores_are_left_out_and_a_method_without_any_is_refused() -> None:
    frame = pd.concat([cases("a", {"x": [0.5, np.nan], "y": [0.5]}), cases("b", {"x": [0.4], "y": [0.4]})])
    assert rank_shares(frame, "ncc", higher=True).shares.tolist() == [[1, 0], [0, 1]]
    with pytest.raises(ValueError, match="undefined for c"):
        rank_shares(pd.concat([frame, cases("c", {"x": [np.nan]})]), "ncc", higher=True)


# The table of a dataset.


@pytest.mark.parametrize(
    ("higher", "values", "worst"),
    [
        (True, range(10), 1.0),
        (False, range(10), 8.0),
        (True, range(11), 1.5),
        (True, [3.0], 3.0),
        (False, [np.nan, 2, 4], 4),
    ],
)
def test_the_worst_cases_are_those_on_the_bad_side(higher: bool, values: Any, worst: float) -> None:
    assert protocol_table.worst_mean(pd.Series(values, dtype=float), higher) == worst


def test_without_a_case_nothing_is_the_worst() -> None:
    assert np.isnan(protocol_table.worst_mean(pd.Series([np.nan]), True))


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, list[Path]]:
    """Metrics and times of the row before, an affine method, and a network of two seeds that starts from it."""
    found: dict[str, list[Path]] = {"metrics": [], "timing": [], "cards": []}
    for method, seed, gain in (("identity", 0, 0.0), ("affine", 0, 0.1), ("dirnet_bl", 0, 0.2), ("dirnet_bl", 1, 0.3)):
        clusters = {"x": [0.5 + gain, 0.6 + gain], "y": [0.4 + gain]}
        frame = cases(method, clusters, seed).assign(group="all", moving="m", fixed="f", unit="mm", spacing="1 1")
        folds = 0.0 if method == "identity" else 0.01
        frame = frame.assign(mse=0.1, hd95=5.0, fold_share=folds, sdlogj=0.1, min_det=0.5, field_error_mean=np.nan)
        found["metrics"].append(tmp_path / f"{method}_{seed}.csv")
        write_frame(found["metrics"][-1], frame)
        timing = frame[["pair_id", "group", "method", "seed"]].assign(
            device="cpu", threads=1, seconds=0.1 + gain, note=""
        )
        timing = timing.assign(start="affine") if method == "dirnet_bl" else timing
        found["timing"].append(tmp_path / f"{method}_{seed}.timing.csv")
        write_frame(found["timing"][-1], timing)
    found["cards"].append(tmp_path / "dirnet_bl" / "all_seed0.card.md")
    write_text(found["cards"][0], "---\nparameters: 7938\nmodules: []\n---\n")
    return found


def exhibit(**options: Any) -> Exhibit:
    labels = [("dirnet_bl", "DIRNet"), ("identity", "Before"), ("affine", "Affine")]
    return Exhibit(PROTOCOL, "common_test", "protocol_table", labels, True, "smoke", True, "ab" * 32, options)


def test_the_table_has_all_that_is_known_of_each_method(inputs: dict[str, list[Path]]) -> None:
    table = protocol_table.tabulate(exhibit(), inputs).set_index("method")
    assert list(table.index) == ["Before", "DIRNet", "Affine"]
    network = table.loc["DIRNet"]
    assert (network["pairs"], network["clusters"], network["seeds"], network["parameters"]) == (3, 2, 2, 7938)
    assert network["ncc"] == pytest.approx(0.75)
    assert network["ncc_low"] < 0.75 < network["ncc_high"]
    assert network["ncc_seed_range"] == pytest.approx(0.1)
    # The worst third of three pairs, over both seeds; what it starts from is in its time.
    assert network["ncc_worst"] == pytest.approx(0.65)
    assert network["seconds"] == pytest.approx(0.35 + 0.2)
    assert table.loc["Affine", "seconds"] == pytest.approx(0.2)
    assert np.isnan(table.loc["Affine", "ncc_seed_range"])
    assert table.loc["Before", "fold_share"] == 0
    # Lengths have their unit, and what no method has no column.
    assert {"hd95_mm", "hd95_mm_low"} <= set(table)
    assert not [name for name in table if name.startswith(("field_error", "dice", "asd"))]


def test_ranks_are_drawn_with_their_shares(inputs: dict[str, list[Path]]) -> None:
    figure, numbers = rank_stability.draw(exhibit(), inputs)
    first = numbers[numbers["rank"] == 1].set_index("method")["share"]
    assert first.to_dict() == {"DIRNet": 1.0, "Affine": 0.0, "Before": 0.0}
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["DIRNet", "Affine", "Before"]
    assert {text.get_text() for text in figure.axes[0].texts} == {"100 %"}
    plt.close(figure)
    with pytest.raises(ReregisterError, match="goes by sdlogj"):
        rank_stability.draw(exhibit(scores=["sdlogj"]), inputs)


def test_all_groups_stand_in_one_panel_by_the_first_score_there_is(inputs: dict[str, list[Path]]) -> None:
    figure, numbers = fold_against_similarity.draw(exhibit(scores=["dice", "ncc"], together=True), inputs)
    assert set(numbers["metric"]) == {"ncc", "fold_share"}
    assert set(numbers["group"]) == {"all"}
    assert [axes.get_title() for axes in figure.axes] == [""]
    plt.close(figure)


# What the page lets choose.


def test_the_page_is_given_the_numbers_of_its_tables_in_full(tmp_path: Path) -> None:
    write_text(
        tmp_path / "t.csv",
        "method,pairs,ncc,ncc_low,ncc_high,ncc_seed_range,min_det,seconds,device,parameters\n"
        "A,8,0.98765432,0.9,0.99,,0.5,0.001,cpu,\nB,8,,,,,-0.5,0.2,cpu,\n",
    )
    context = {
        "scale": "smoke",
        "datasets": {"mnist": {"title": "MNIST"}},
        "experiments": {"digits": {"title": "Digits", "dataset": "mnist"}},
    }
    shown = {"name": "t", "label": "Table 1", "experiment": "digits", "synthetic": True}
    (found,) = explorer_of(["t"], {"t": tmp_path / "t.csv"}, [shown], context)
    assert (found["id"], found["name"], found["said"]) == ("t", "Digits", "MNIST, synthetic stand-in, smoke scale")
    # Without counts, text, and columns that nobody has.
    assert [(c["key"], c["better"], bool(c["interval"]), c["log"]) for c in found["columns"]] == [
        ("ncc", "higher", True, False),
        ("min_det", "higher", False, False),
        ("seconds", "lower", False, True),
    ]
    assert found["rows"][0] == {"method": "A", "values": [[0.98765432, 0.9, 0.99], [0.5], [0.001]]}
    assert found["rows"][1]["values"][0] == [None, None, None]


def test_every_measure_of_the_protocols_tables_says_which_way_is_better(inputs: dict[str, list[Path]]) -> None:
    counts = {"method", "pairs", "clusters", "seeds", "device"}
    columns = [c for c in protocol_table.tabulate(exhibit(), inputs) if not c.endswith(("_low", "_high"))]
    assert {column for column in columns if better_of(column) is None} == counts
    assert better_of("ncc_worst") == "higher"
    assert better_of("hd95_mm_worst") == better_of("dice_seed_range") == "lower"
