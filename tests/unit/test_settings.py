"""The checked configuration of a run, from the project's own files and from copies with something wrong in them."""

import datetime
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from reregister.config import SCALES, merge, read_yaml
from reregister.errors import ReregisterError
from reregister.registry import load, names
from reregister.settings import Settings
from reregister.weights import build_model

PROJECT = Path(__file__).resolve().parents[2]
PAPERS = sorted(path.stem for path in (PROJECT / "config" / "papers").glob("*.yaml"))
MNIST = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]


def make(base: Path = PROJECT, **overrides: Any) -> Settings:
    """Settings as Snakemake would make them: the file, and over it what the command line set."""
    config = yaml.safe_load((base / "config" / "config.yaml").read_text(encoding="utf-8"))
    return Settings(base, merge(config, overrides), overrides)


def dirnet(**experiment: Any) -> dict[str, Any]:
    """Values for the experiment mnist of dirnet, to be given on the command line."""
    return {"dirnet": {"experiments": {"mnist": experiment}}}


def taking(paper: str, experiment: str, method: str) -> dict[str, Any]:
    """A network that takes the weights of another."""
    source = {"paper": paper, "experiment": experiment, "method": method}
    return {"label": "Mine", "tool": "network", "weights_of": source}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project's configuration that a test may change."""
    shutil.copytree(PROJECT / "config", tmp_path / "config")
    shutil.copytree(PROJECT / "workflow" / "schemas", tmp_path / "workflow" / "schemas")
    return tmp_path


def edit(path: Path, keys: str, value: Any) -> None:
    """Set one value of a YAML file; `a.b.-c` takes the key c out."""
    content = read_yaml(path)
    *way, last = keys.split(".")
    where: Any = content
    for key in way:
        where = where[key]
    if last.startswith("-"):
        del where[last[1:]]
    else:
        where[last] = value
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")


def refused(base: Path = PROJECT, **overrides: Any) -> str:
    with pytest.raises(ReregisterError) as caught:
        make(base, **overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_defaults_are_filled_in() -> None:
    settings = Settings(PROJECT, {"scale": "demo"})
    assert settings.run == settings.scale == "demo"
    expected: dict[str, Any] = {
        "data": {},
        "device": "auto",
        "seeds": None,
        "determinism": "warn",
        "split": {},
        "accept_terms": [],
    }
    assert expected.items() <= settings.config.items()
    assert settings.config["publishable"] is True
    assert settings.source("mnist") == settings.mode("mnist") == "standin"
    assert settings.own_split("mnist") is None
    assert settings.experiment("dirnet", "mnist")["methods"]["affine"]["note"] == ""
    assert settings.datasets["mnist"]["terms"] is settings.datasets["mnist"]["unpacked"] is None
    assert settings.config["only"] == {}
    method = settings.experiment("dirnet", "mnist")["methods"]["dirnet_bl"]
    assert (method["training"], method["first_seeds"], method["weights_of"]) == ({}, None, None)
    assert settings.experiment("dirnet", "mnist")["label_interpolation"] == "linear"


def test_the_file_of_the_project_is_a_demo_run_on_standins() -> None:
    settings = make()
    assert (settings.run, settings.scale) == ("demo", "demo")
    assert {settings.mode(dataset) for dataset in settings.datasets} == {"standin"}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("paper", PAPERS)
def test_every_paper_is_valid_at_every_scale(paper: str, scale: str) -> None:
    settings = make(scale=scale)
    for name, experiment in settings.papers[paper]["experiments"].items():
        for method in settings.trained(paper, name):
            training = settings.training(paper, name, method)
            if "epochs" in training:
                assert experiment["pairs"]["training"]["name"] in ("each_image_once", "same_subject")
            else:
                assert training["iterations"] % training["validate_every"] == 0
            model = settings.model(paper, name, method)
            assert build_model(model["name"], model["params"])
        assert "identity" in experiment["methods"]
    for exhibit in settings.papers[paper]["exhibits"].values():
        needed = {"figure": ["draw"], "gallery": ["draw", "panels"], "table": ["tabulate"]}[exhibit["kind"]]
        assert all(callable(getattr(load("figures", exhibit["function"]), name)) for name in needed)
    assert {claim["id"] for claim in settings.claims[paper]["claims"]}


@pytest.mark.parametrize("scale", SCALES)
def test_slices_are_planned_on_request(scale: str) -> None:
    assert "slices" not in make(scale=scale).papers["reduced_voxelmorph"]["experiments"]
    settings = make(scale=scale, only={"reduced_voxelmorph": {"slices": []}})
    paper = settings.papers["reduced_voxelmorph"]
    assert list(paper["experiments"]) == ["slices"]
    assert {about["experiment"] for about in paper["exhibits"].values()} == {"slices"}
    networks = settings.trained("reduced_voxelmorph", "slices")
    assert networks == ["default", "maxpool", "reduced", "both"]
    for name in networks:
        training, model = (ask("reduced_voxelmorph", "slices", name) for ask in (settings.training, settings.model))
        assert training["iterations"] % training["validate_every"] == 0
        assert model["params"]["permutation"] == name
        assert vars(build_model(model["name"], model["params"]))["ndim"] == 2


def test_an_anatomy_is_that_of_heads_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {make().anatomy(dataset) for dataset in make().datasets} == {None}
    path = tmp_path / "labels.nii.gz"
    path.touch()
    settings = make(anatomy=str(path))
    assert {name for name in settings.datasets if settings.anatomy(name) == path} == {"ibsr", "oasis", "oasis_2d"}
    assert settings.anatomy("mnist") is None
    monkeypatch.setenv("HOME", str(tmp_path))
    assert make(anatomy="~/labels.nii.gz").anatomy("oasis") == path


def test_an_anatomy_that_is_not_there(tmp_path: Path) -> None:
    for path, what in ((tmp_path / "none.nii.gz", "does not exist"), (tmp_path, "is a folder")):
        text = refused(anatomy=str(path))
        assert text.startswith(
            f"--config: key anatomy is {path}, which {what}; allowed is null or the path of a label map"
        )


def test_a_larger_scale_is_more_work() -> None:
    smoke, demo, full = (make(scale=scale).experiment("dirnet", "mnist") for scale in SCALES)
    iterations = [setup["training"]["iterations"] for setup in (smoke, demo, full)]
    assert iterations == sorted(set(iterations))
    assert smoke["pairs"]["test"]["limit"] < demo["pairs"]["test"]["limit"]
    assert full["pairs"]["test"]["limit"] is None
    sizes = [make(scale=scale).datasets["mnist"]["standin"]["settings"]["n_train"] for scale in SCALES]
    assert sizes == sorted(set(sizes))


def test_full_scale_of_dirnet_is_the_papers_own() -> None:
    # de Vos 2017, section 4.1: batches of 32 pairs, 5,000 iterations, one network for each of the ten digits.
    setup = make(scale="full").experiment("dirnet", "mnist")
    training = setup["training"]
    assert (training["iterations"], training["batch"], training["optimiser"]["lr"]) == (5000, 32, 0.001)
    assert training["parts"] == [str(digit) for digit in range(10)]
    assert training["optimiser"]["name"] == "adam"
    assert training["loss"] == {"ncc": 1.0}
    assert setup["split"] == {"name": "last_of_train", "fraction": "1/6"}
    assert make(scale="full").datasets["mnist"]["standin"]["settings"] == {"n_train": 60000, "n_test": 10000}


def test_one_word_means_all_datasets() -> None:
    settings = make(data="download")
    assert {settings.mode(dataset) for dataset in settings.datasets} == {"download"}
    assert make(data={"mnist": "download"}).mode("mnist") == "download"
    assert make(data="/nowhere").mode("mnist") == "path"


@pytest.mark.parametrize(
    ("run", "folder"),
    [(2026, "2026"), ("2026", "2026"), (1.5, "1.5"), ("off", "off"), ("2026-11-20", "2026-11-20"), ("null", "smoke")],
)
def test_a_run_may_have_any_plain_name(run: Any, folder: str) -> None:
    assert make(scale="smoke", run=run).run == folder


def test_a_date_of_the_config_file_names_a_run() -> None:
    assert Settings(PROJECT, {"scale": "demo", "run": datetime.date(2026, 11, 20)}).run == "2026-11-20"


@pytest.mark.parametrize("run", ["../up", "a/b", ".hidden", "two words", True])
def test_a_run_cannot_leave_its_folder(run: Any) -> None:
    assert refused(run=run).startswith("--config: key run is ")


def test_own_seeds_are_for_networks_only() -> None:
    settings = make(seeds=["3", "5"])
    assert settings.seeds("dirnet", "mnist", "dirnet_bl") == [3, 5]
    assert settings.seeds("dirnet", "mnist", "affine") == settings.seeds("dirnet", "mnist", "identity") == [0]
    assert make(papers=dirnet(seeds=["8"])).seeds("dirnet", "mnist", "dirnet_bl") == [8]


def test_a_probe_runs_with_the_first_seeds_alone() -> None:
    methods = {
        name: {"label": name, "tool": "network", "model": {"name": "dirnet", "params": {}}, "first_seeds": count}
        for name, count in {"one": 1, "two": 2, "nine": 9, "all": None}.items()
    }
    settings = make(papers=dirnet(methods=methods, seeds=["7", "5", "6"]))
    found = {name: settings.seeds("dirnet", "mnist", name) for name in methods}
    assert found == {"one": [7], "two": [7, 5], "nine": [7, 5, 6], "all": [7, 5, 6]}
    assert make(papers=dirnet(methods=methods), seeds=["3", "4"]).seeds("dirnet", "mnist", "one") == [3]


def test_values_of_a_method_replace_those_of_its_experiment() -> None:
    model = {"name": "dirnet", "params": {}}
    own = {"loss": {"ncc_batch": "2"}, "iterations": {"smoke": "10", "demo": "20", "full": "30"}, "validate_every": "5"}
    settings = make(papers=dirnet(methods={"mine": {"label": "x", "tool": "network", "model": model, "training": own}}))
    shared = settings.experiment("dirnet", "mnist")["training"]
    changed = {"iterations": 20, "validate_every": 5, "loss": {"ncc_batch": 2}}
    assert settings.training("dirnet", "mnist", "mine") == {**shared, **changed}
    assert settings.training("dirnet", "mnist", "dirnet_bl") == shared
    assert shared["loss"] == {"ncc": 1.0}


def test_the_losses_of_the_cardiac_networks_are_those_of_their_labels() -> None:
    settings = make()
    losses = {m: settings.training("dirnet", "scd", m)["loss"] for m in settings.trained("dirnet", "scd")}
    # The probe is trained by the batch's NCC alone, not by both.
    assert losses.pop("dirnet_bl_batch") == {"ncc_batch": 1.0}
    assert set(losses) >= {f"dirnet_{name}" for name in ("bl", "a1", "a2", "b1", "b2", "c1", "c2")}
    assert all(loss == {"ncc": 1.0} for loss in losses.values())


def test_full_scale_of_the_cardiac_experiment_is_the_papers_own() -> None:
    # de Vos 2017, section 4.2, and papers.md 8.1.
    settings = make(scale="full")
    iterations = {m: settings.training("dirnet", "scd", m)["iterations"] for m in settings.trained("dirnet", "scd")}
    assert iterations.pop("dirnet_b2") == 30_000
    assert set(iterations.values()) == {10_000}
    setup = settings.experiment("dirnet", "scd")
    assert (setup["training"]["batch"], setup["training"]["parts"]) == (32, ["all"])
    assert setup["pairs"]["training"] == {"name": "ordered_distinct_pairs_within_group"}
    assert setup["pairs"]["test"] == {"name": "between_marks", "marks": ["ED", "ES"], "per_cluster": None}
    assert setup["split"] == {"name": "official"}


def test_weights_of_another_method() -> None:
    methods = {"mine": taking("dirnet", "mnist", "dirnet_bl")}
    settings = make(papers={"dirnet": {"experiments": {"scd": {"methods": methods}}}})
    assert settings.weighted_as("dirnet", "scd", "mine") == ("dirnet", "mnist", "dirnet_bl")
    assert settings.weighted_as("dirnet", "scd", "dirnet_bl") == ("dirnet", "scd", "dirnet_bl")
    assert settings.parts_of("dirnet", "scd", "mine") == [str(digit) for digit in range(10)]
    assert settings.parts_of("dirnet", "scd", "dirnet_bl") == ["all"]
    assert "mine" in settings.methods("dirnet", "scd", "network")
    assert "mine" not in settings.trained("dirnet", "scd")
    assert settings.trained("dirnet", "scd_cycle") == []


def test_methods_by_tool() -> None:
    settings = make()
    assert settings.methods("dirnet", "mnist", "network") == ["dirnet_bl"]
    assert set(settings.methods("dirnet", "mnist", "elastix")) == {"affine", "elastix_bspline"}
    assert len(settings.methods("dirnet", "mnist")) == 5
    assert "ants_syn" in settings.all_methods("ants")


def test_numbers_of_the_command_line_are_numbers() -> None:
    values = {"optimiser": {"lr": "1e-3"}, "batch": "8", "iterations": {"demo": "70"}, "parts": ["0", "7"]}
    training = make(papers=dirnet(training=values)).experiment("dirnet", "mnist")["training"]
    assert training["optimiser"]["lr"] == 0.001
    assert (training["batch"], training["iterations"], training["parts"]) == (8, 70, ["0", "7"])
    assert training["optimiser"]["betas"] == [0.9, 0.999]
    assert (
        make(papers=dirnet(training=values), scale="full").experiment("dirnet", "mnist")["training"]["iterations"]
        == 5000
    )


def test_a_method_can_be_added_on_the_command_line() -> None:
    model = {"name": "dirnet", "params": {"poolings": "3", "kernels": "8", "pad": "zero"}}
    added = {"mine": {"label": "Mine", "tool": "network", "model": model}}
    settings = make(papers=dirnet(methods=added))
    assert settings.methods("dirnet", "mnist", "network") == ["dirnet_bl", "mine"]
    assert settings.experiment("dirnet", "mnist")["methods"]["mine"]["model"]["params"]["poolings"] == 3


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            {"scael": "smoke"},
            "--config: key scael is not known and nothing reads it; allowed here are accept_terms, anatomy",
        ),
        ({"scale": "tiny"}, '--config: key scale is "tiny"; allowed is one of smoke, demo, full'),
        (
            {"seeds": 3},
            "--config: key seeds is 3; allowed is null, for each experiment's own seeds; or a list of integers",
        ),
        ({"publishable": "perhaps"}, '--config: key publishable is "perhaps"; allowed is a value of type boolean'),
        (
            {"papers": {"dirnat": {}}},
            "--config: key papers names dirnat, which is not known; allowed is one of deep_prior, dirnet, label_driv",
        ),
        (
            {"papers": dirnet(training={"batch": "0"})},
            "--config papers.dirnet: key experiments.mnist.training.batch is 0;",
        ),
        (
            {"papers": dirnet(training={"bacth": 8})},
            "--config papers.dirnet: key experiments.mnist.training.bacth is not",
        ),
        (
            {"papers": dirnet(methods={"mine": {"label": "x", "tool": "network"}})},
            '--config papers.dirnet: key experiments.mnist.methods.mine is {"label": "x", "tool": "network"}; allowed is a '
            "model, which tool network needs; or weights_of, another network",
        ),
        (
            {"papers": dirnet(methods={"mine": {"label": "x", "tool": "demons"}})},
            '--config papers.dirnet: key experiments.mnist.methods.mine.tool is "demons"; allowed is one of itk, elastix,',
        ),
        ({"split": {"mnist": {"train": ["a"]}}}, "--config: key split.mnist.test is missing"),
        ({"split": {"scd": {"train": ["a"], "test": ["b"], "tset": []}}}, "--config: key split.scd.tset is not known"),
        (
            {"only": {"dirnat": {"scd": []}}},
            "--config: key only names dirnat, which is not known; allowed is one of deep_prior, dir",
        ),
        (
            {"only": {"dirnet": {"sdc": []}}},
            "--config: key only.dirnet names sdc, which is not known; allowed is one of",
        ),
        (
            {"only": {"dirnet": {"scd": ["c1"]}}},
            "--config: key only.dirnet.scd names c1, which is not known; allowed is",
        ),
        ({"only": {"dirnet": {"scd": ["identity"]}}}, "--config: key only.dirnet leaves nothing to run beside the row"),
        (
            {"only": {"dirnet": {"scd_cycle": []}}},
            "--config: key only.dirnet leaves nothing to run beside the row before",
        ),
        ({"only": {"dirnet": {}}}, "--config: key only.dirnet is {}; allowed is at least 1 key"),
        (
            {"papers": dirnet(methods={"mine": {"label": "x", "tool": "ants", "training": {"parts": ["1"]}}})},
            "--config papers.dirnet: key experiments.mnist.methods.mine.training.parts is not known",
        ),
        (
            {"papers": dirnet(methods={"mine": taking("dirnat", "mnist", "dirnet_bl")})},
            "--config papers.dirnet: key experiments.mnist.methods.mine.weights_of.paper names dirnat, which is not known",
        ),
        (
            {"papers": dirnet(methods={"mine": taking("dirnet", "minst", "dirnet_bl")})},
            "--config papers.dirnet: key experiments.mnist.methods.mine.weights_of.experiment names minst, which is not kn",
        ),
        # Neither a classical tool nor a network that takes its weights itself trains any.
        (
            {"papers": dirnet(methods={"mine": taking("dirnet", "mnist", "ants_syn")})},
            "--config papers.dirnet: key experiments.mnist.methods.mine.weights_of.method names ants_syn, which is not kno",
        ),
        (
            {"papers": dirnet(methods={"mine": taking("dirnet", "scd_cycle", "dirnet_c1")})},
            "--config papers.dirnet: key experiments.mnist.methods.mine.weights_of.method names dirnet_c1, which is not kn",
        ),
    ],
)
def test_what_the_command_line_got_wrong_is_said(overrides: dict[str, Any], sentence: str) -> None:
    assert refused(**overrides).startswith(sentence)


@pytest.mark.parametrize("key", ["data", "split", "accept_terms"])
def test_an_unknown_dataset_is_named(key: str) -> None:
    lists = {"train": ["a"], "validation": ["b"], "test": ["c"]}
    value = {"data": {"mnits": "standin"}, "split": {"mnits": lists}, "accept_terms": ["mnits"]}[key]
    known = ", ".join(make().datasets)
    assert (
        refused(PROJECT, **{key: value})
        == f"--config: key {key} names mnits, which is not known; allowed is one of {known}"
    )


def test_what_config_yaml_got_wrong_is_said(project: Path) -> None:
    file = project / "config" / "config.yaml"
    edit(file, "papers", {"dirnet": {"title": 7}})
    assert refused(project).startswith(
        "config/config.yaml papers.dirnet: key title is 7; allowed is a value of type string"
    )
    edit(file, "papers", {"dirnat": {}})
    assert refused(project).startswith("config/config.yaml: key papers names dirnat")
    edit(file, "device", "gpu")
    assert refused(project).startswith('config/config.yaml: key device is "gpu"; allowed is one of auto, cpu, cuda')


@pytest.mark.parametrize("name", ["config.yaml", "datasets.yaml", "papers/dirnet.yaml", "claims/dirnet.yaml"])
def test_equal_keys_of_a_file_are_refused(project: Path, name: str) -> None:
    file = project / "config" / name
    text = file.read_text(encoding="utf-8")
    key = next(iter(read_yaml(file)))
    file.write_text(f"{text.rstrip()}\n{key}: again\n", encoding="utf-8")
    line = len(text.rstrip().splitlines()) + 1
    assert f"config/{name}, line {line}: not valid YAML (the key {key} stands twice" in refused(project)


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        ("dataset", "mnits", ["experiments.mnist.dataset names mnits", *make().datasets]),
        ("methods.dirnet_bl.model.name", "dirnit", [".dirnet_bl.model.name names dirnit", *names("models")]),
        ("methods.-identity", None, ["experiments.mnist.methods.identity is missing"]),
        (
            "training.batch",
            {"smoke": 8, "demo": 32},
            ["training.batch has values for demo, smoke; allowed are smoke, demo"],
        ),
        ("training.parts", ["0", "a_b"], ['training.parts.1 is "a_b"', "text that matches"]),
        ("split.name", "first_of_train", ['split.name is "first_of_train"', "last_of_train"]),
        ("pairs.test.limti", 8, ["pairs.test.limti is not known", "limit, mark, marks, name"]),
        ("training.loss", {"mes": 1}, ["training.loss.mes has a name that cannot stand there", "ncc"]),
        ("seeds", [0, 0], ["experiments.mnist.seeds is [0, 0]", "without repetitions"]),
    ],
)
def test_what_an_experiment_got_wrong_is_said(project: Path, keys: str, value: Any, words: list[str]) -> None:
    edit(project / "config" / "papers" / "dirnet.yaml", f"experiments.mnist.{keys}", value)
    said = refused(project)
    for word in ["config/papers/dirnet.yaml: key ", *words]:
        assert word in said


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("function", "tabel", ["function names tabel, which is not known", *names("figures")]),
        (
            "experiment",
            "digits",
            ["experiment names digits, which is not known", *make().papers["dirnet"]["experiments"]],
        ),
        ("methods", ["dirnet"], ["methods names dirnet, which is not known", *make().methods("dirnet", "mnist")]),
        ("kind", "film", ['kind is "film"; allowed is one of figure, gallery, table']),
        (
            "reads",
            ["fields"],
            ['reads.0 is "fields"; allowed is one of cards, histories, images, gallery, metrics, labels, comparison'],
        ),
    ],
)
def test_what_an_exhibit_got_wrong_is_said(project: Path, key: str, value: Any, words: list[str]) -> None:
    edit(project / "config" / "papers" / "dirnet.yaml", f"exhibits.tableS1_mnist_methods.{key}", value)
    said = refused(project)
    for word in ["config/papers/dirnet.yaml: key exhibits.tableS1_mnist_methods.", *words]:
        assert word in said


def test_what_datasets_and_claims_got_wrong_is_said(project: Path) -> None:
    edit(project / "config" / "datasets.yaml", "mnist.reader", "minst")
    known = ", ".join(names("data/readers"))
    assert refused(project) == (
        f"config/datasets.yaml: key mnist.reader names minst, which is not known; allowed is one of {known}"
    )
    edit(project / "config" / "datasets.yaml", "mnist.reader", "mnist")
    (project / "config" / "claims" / "dirnet.yaml").unlink()
    assert "dirnet.yaml does not exist" in refused(project)


def test_the_users_own_files(tmp_path: Path) -> None:
    for name in MNIST:
        (tmp_path / name).write_bytes(b"")
    assert {path.name for path in make(data={"mnist": str(tmp_path)}).members("mnist")} == set(MNIST)
    (tmp_path / MNIST[1]).unlink()
    (tmp_path / MNIST[1]).mkdir()
    with pytest.raises(ReregisterError, match=rf"^--config: key data\.mnist is .*, which has no {MNIST[1]}; put the"):
        make(data=str(tmp_path)).members("mnist")


def test_a_dataset_that_may_be_taken_unpacked(tmp_path: Path) -> None:
    entry = make().datasets["scd"]
    archives = [file["name"] for file in entry["files"]]
    image = tmp_path / "SCD_IMAGES_01" / "SCD0000101" / "CINESAX_300" / "IM-0003-0001.dcm"
    image.parent.mkdir(parents=True)
    image.touch()
    (tmp_path / "notes.txt").touch()
    settings = make(data={"scd": str(tmp_path)})
    assert settings.members("scd") == [image]
    (tmp_path / archives[1]).touch()
    assert settings.members("scd") == [image, tmp_path / archives[1]]
    # With all its archives it is those alone.
    for name in archives:
        (tmp_path / name).touch()
    assert [path.name for path in settings.members("scd")] == archives
    with pytest.raises(
        ReregisterError, match=r"key data\.mnist is .*, which has no train-images-idx3-ubyte\.gz, train"
    ):
        make(data=str(tmp_path)).members("mnist")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ReregisterError, match=rf"key data\.scd is .*, which has no {archives[0]}, "):
        make(data={"scd": str(empty)}).members("scd")


def test_a_path_that_is_no_folder(tmp_path: Path, project: Path) -> None:
    with pytest.raises(
        ReregisterError, match=r"^--config: key data\.mnist is .*gone, which does not exist; allowed are"
    ):
        make(data={"mnist": str(tmp_path / "gone")}).members("mnist")
    file = tmp_path / "file.zip"
    file.touch()
    with pytest.raises(
        ReregisterError, match=r"is a file, give the folder it lies in; .* holds train-images-idx3-ubyte.gz,"
    ):
        make(data={"mnist": str(file)}).members("mnist")
    edit(project / "config" / "config.yaml", "data", {"mnist": "some/where"})
    with pytest.raises(ReregisterError, match=r"^config/config\.yaml: key data\.mnist is some/where, which does not"):
        make(project).members("mnist")


def test_home_is_spelt_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of/someone")
    assert make(data={"mnist": "~/mnist"}).source("mnist") == "/home/of/someone/mnist"
    assert make(data={"mnist": "./a/../b"}).source("mnist") == "./a/../b"


def test_own_split_from_lists_and_files(tmp_path: Path) -> None:
    file = tmp_path / "train.txt"
    file.write_text("train-00001\n\n  train-00002  \r\n007", encoding="utf-8")
    lists = {"train": str(file), "validation": ["3"], "test": ["off", "test-00001"]}
    split = make(split={"mnist": lists}).own_split("mnist")
    assert split == {
        "train": ["train-00001", "train-00002", "007"],
        "validation": ["3"],
        "test": ["off", "test-00001"],
    }
    assert make(split={"scd": {"train": ["SC-HF-I-1"], "test": ["SC-HF-I-5"]}}).own_split("scd") == {
        "train": ["SC-HF-I-1"],
        "test": ["SC-HF-I-5"],
    }
    with pytest.raises(
        ReregisterError, match=r"^--config: key split\.mnist\.test is .*gone\.txt, which does not exist; all"
    ):
        make(split={"mnist": {**lists, "test": str(tmp_path / "gone.txt")}}).own_split("mnist")
    with pytest.raises(ReregisterError, match=r"key split\.mnist\.test is .*, which cannot be read"):
        make(split={"mnist": {**lists, "test": str(tmp_path)}}).own_split("mnist")


def test_images_are_shown_where_terms_allow_it(project: Path) -> None:
    edit(project / "config" / "datasets.yaml", "mnist.show_images", True)
    assert make(project, data="download").may_show("mnist")
    edit(project / "config" / "datasets.yaml", "mnist.show_images", False)
    assert make(project).may_show("mnist")
    assert not make(project, data="download").may_show("mnist")
    assert not make(project, data=str(project)).may_show("mnist")
    assert make(project, data="download", publishable="off").may_show("mnist")


def test_the_config_given_is_left_as_it_was() -> None:
    config = read_yaml(PROJECT / "config" / "config.yaml")
    before, overrides = dict(config), {"seeds": ["1"], "papers": dirnet(seeds=["1"])}
    Settings(PROJECT, config, overrides)
    assert (config, overrides) == (before, {"seeds": ["1"], "papers": dirnet(seeds=["1"])})


def searched(project: Path, grid: Any, **exhibit: Any) -> None:
    """Put a grid of DIRNets into the experiment mnist of a copy of the project."""
    path = project / "config" / "papers" / "dirnet.yaml"
    model = {"name": "dirnet", "params": {"poolings": 2, "kernels": 4}}
    method = {"label": "", "tool": "network", "model": model, "grid": grid}
    edit(path, "experiments.mnist.methods.grid", method)
    for key, value in exhibit.items():
        edit(path, f"exhibits.tableS3_mnist_times.{key}", value)


def test_a_grid_is_expanded_before_anything_else_sees_it(project: Path) -> None:
    searched(project, {"optimiser.lr": {"smoke": [0.1], "demo": [0.1, 1e-3], "full": [0.1, 0.01, 1e-3]}})
    names = ["grid_lr0p1", "grid_lr0p001"]
    settings = make(project)
    found = settings.methods("dirnet", "mnist")
    # The copy of the project is written with its keys in order, identity behind the grid.
    assert found[-3:] == [*names, "identity"]
    assert "grid" not in found
    assert settings.trained("dirnet", "mnist") == ["dirnet_bl", *names]
    own = settings.training("dirnet", "mnist", "grid_lr0p001")
    assert own["optimiser"] == {**settings.training("dirnet", "mnist", "dirnet_bl")["optimiser"], "lr": 0.001}
    assert settings.experiment("dirnet", "mnist")["methods"]["grid_lr0p1"]["label"] == "lr 0.1"
    assert [len(make(project, scale=scale).methods("dirnet", "mnist")) - len(found) for scale in SCALES] == [-1, 0, 1]
    size = make(project, papers=dirnet(methods={"grid": {"grid": {"optimiser.lr": "[1, 2, 3, 4]"}}}))
    assert size.methods("dirnet", "mnist")[-2] == "grid_lr4"
    off = make(project, papers=dirnet(methods={"grid": {"grid": "null"}}))
    assert set(found) - set(off.methods("dirnet", "mnist")) == set(names)


def test_an_exhibit_and_a_part_may_name_a_grid(project: Path) -> None:
    searched(project, {"optimiser.lr": [0.1, 0.01]}, methods=["dirnet_bl", "grid"])
    exhibits = make(project).papers["dirnet"]["exhibits"]
    assert exhibits["tableS3_mnist_times"]["methods"] == ["dirnet_bl", "grid_lr0p1", "grid_lr0p01"]
    part = make(project, only={"dirnet": {"mnist": ["grid"]}})
    assert sorted(part.methods("dirnet", "mnist")) == ["grid_lr0p01", "grid_lr0p1", "identity"]
    one = make(project, only={"dirnet": {"mnist": ["grid_lr0p01"]}})
    assert sorted(one.methods("dirnet", "mnist")) == ["grid_lr0p01", "identity"]


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ({"optimiser.lr": [0]}, "experiments.mnist.methods.grid.grid"),
        ({"optimiser.lr": []}, "experiments.mnist.methods.grid.grid"),
        ({"optimiser.speed": [1]}, "experiments.mnist.methods.grid.grid"),
        ({}, "experiments.mnist.methods.grid.grid"),
    ],
)
def test_a_grid_of_wrong_values(project: Path, grid: Any, words: str) -> None:
    searched(project, grid)
    assert words in refused(project)


def test_a_training_goes_by_steps_or_by_epochs(project: Path) -> None:
    path = project / "config" / "papers" / "dirnet.yaml"
    edit(path, "experiments.mnist.training.epochs", 5)
    assert "iterations and validate_every, for a training by steps; or epochs alone" in refused(project)
    edit(path, "experiments.mnist.training.-iterations", None)
    assert "epochs alone, for a training by epochs" in refused(project)
    edit(path, "experiments.mnist.training.-validate_every", None)
    training = make(project).training("dirnet", "mnist", "dirnet_bl")
    assert training["epochs"] == 5
    assert "iterations" not in training
    assert (training["stop"], training["log_every"], training["precision"]) == (None, None, "fp32")
    edit(path, "experiments.mnist.training.precision", "fp16")
    assert "allowed is one of fp32, bf16, auto" in refused(project)
