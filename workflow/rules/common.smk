# Functions and names that the rules share; no rules here.
import json
from functools import cache

from reregister.console import Console
from reregister.data.download import cache_folder
from reregister.errors import ReregisterError
from reregister.provenance.closure import SCRIPTS, code_digest
from reregister.provenance.files import sha256_file, write_json
from reregister.registry import module_name
from reregister.settings import Settings
from snakemake.exceptions import WorkflowError


def load_settings():
    """The checked configuration, or the one sentence that says what is wrong with it."""
    try:
        settings = Settings(
            Path(workflow.basedir), config, workflow.config_settings.overwrite_config
        )
        refuse_foreign_folder(settings)
        for dataset in used_datasets(settings):
            if settings.mode(dataset) == "path":
                settings.members(dataset)
        return settings
    except ReregisterError as error:
        raise WorkflowError(str(error)) from None


def used_datasets(settings):
    experiments = [
        e for paper in settings.papers.values() for e in paper["experiments"].values()
    ]
    return sorted({experiment["dataset"] for experiment in experiments})


def identity_of_run(settings):
    return {
        "scale": settings.scale,
        "data": {d: settings.mode(d) for d in used_datasets(settings)},
    }


def refuse_foreign_folder(settings):
    """Results of two scales or two data sources never share a folder."""
    path = Path("results", settings.run, "run.json")
    if not path.exists():
        return
    made, asked = json.loads(path.read_text(encoding="utf-8")), identity_of_run(
        settings
    )
    differs = (
        [f"scale {made['scale']}, not {asked['scale']}"]
        if made["scale"] != asked["scale"]
        else []
    )
    for dataset, mode in asked["data"].items():
        if made["data"].get(dataset, mode) != mode:
            differs.append(f"data.{dataset} {made['data'][dataset]}, not {mode}")
    if differs:
        raise ReregisterError(
            f"results/{settings.run} was made with {' and '.join(differs)}; choose another folder with --config run=NAME"
        )


def claim_run_folder():
    path = Path("results", SETTINGS.run, "run.json")
    if not path.exists():
        write_json(path, identity_of_run(SETTINGS))


@cache
def code_of(script, *entries):
    """Param with the digest of a script's import closure and of the registry entries that its params name."""
    modules = [module_name(kind, name) for kind, name in entries]
    return {
        "digest": code_digest(SCRIPTS / f"{script}.py", modules),
        "entries": modules,
    }


@cache
def env_of(name):
    """Param with the digest of a conda environment's file."""
    file = f"envs/{name}.yaml"
    return {"file": file, "digest": sha256_file(Path(workflow.basedir, file))[:16]}


def experiment_of(wildcards):
    return SETTINGS.experiment(wildcards.paper, wildcards.experiment)


def method_of(wildcards):
    return experiment_of(wildcards)["methods"][wildcards.method]


def training_of(wildcards):
    return experiment_of(wildcards)["training"]


def one_of(tool):
    """Constraint that gives a method to the rule of its tool; `-` matches no method where the tool has none."""
    return "|".join(SETTINGS.all_methods(tool)) or "-"


def gpus(wildcards):
    """Jobs that train or run a network ask for one GPU unless the config says cpu."""
    return 0 if SETTINGS.config["device"] == "cpu" else 1


def members_of(wildcards):
    """The archive's files as far as they exist before the run, or another rule makes them."""
    mode = SETTINGS.mode(wildcards.dataset)
    if mode == "standin":
        files = SETTINGS.datasets[wildcards.dataset]["files"]
        return [
            f"results/{SETTINGS.run}/data/{wildcards.dataset}/standin/{file['name']}"
            for file in files
        ]
    return (
        []
        if mode == "download"
        else [str(file) for file in SETTINGS.members(wildcards.dataset)]
    )


def location_of(wildcards):
    """Folder of the archive's files. It says where, not what, and enters no recipe."""
    mode = SETTINGS.mode(wildcards.dataset)
    if mode == "standin":
        return f"results/{SETTINGS.run}/data/{wildcards.dataset}/standin"
    return (
        str(cache_folder())
        if mode == "download"
        else SETTINGS.source(wildcards.dataset)
    )


def truth_of(wildcards):
    """The truth file of a stand-in; real data have none."""
    dataset = experiment_of(wildcards)["dataset"]
    standin = SETTINGS.mode(dataset) == "standin"
    return (
        [f"results/{SETTINGS.run}/data/{dataset}/standin_truth.npz"] if standin else []
    )


def store_of(wildcards):
    folder = f"results/{SETTINGS.run}/data/{experiment_of(wildcards)['dataset']}"
    return {"images": f"{folder}/images.npy", "subjects": f"{folder}/subjects.csv"}


def weights_of(wildcards):
    """Weights of the networks that make up one method with one seed, in the order of the experiment's parts."""
    folder = f"results/{SETTINGS.run}/{wildcards.paper}/models/{wildcards.experiment}/{wildcards.method}"
    return [
        f"{folder}/{part}_seed{wildcards.seed}.safetensors"
        for part in training_of(wildcards)["parts"]
    ]


def each_method(paper, experiment, methods=None):
    """(method, seed) for the methods of an experiment, or for those that are named."""
    names = methods or SETTINGS.methods(paper, experiment)
    return [
        (name, seed)
        for name in names
        for seed in SETTINGS.seeds(paper, experiment, name)
    ]


def results_of(paper, experiment, kind, methods=None):
    """Files of one kind that an experiment yields for all its methods and seeds, or for those that are named."""
    folder = f"results/{SETTINGS.run}/{paper}"
    if kind == "comparison":
        return [f"{folder}/metrics/{experiment}/comparison.csv"]
    pattern = {
        "metrics": "metrics/{experiment}/{method}_seed{seed}.csv",
        "images": "metrics/{experiment}/{method}_seed{seed}.images.npz",
        "gallery": "metrics/{experiment}/{method}_seed{seed}.gallery.npz",
        "timing": "fields/{experiment}/{method}_seed{seed}.timing.csv",
        "histories": "models/{experiment}/{method}/{part}_seed{seed}.history.csv",
        "cards": "models/{experiment}/{method}/{part}_seed{seed}.card.md",
    }[kind]
    trained = kind in ("histories", "cards")
    setup = SETTINGS.experiment(paper, experiment)
    files = []
    for method, seed in each_method(paper, experiment, methods):
        network = setup["methods"][method]["tool"] == "network"
        parts = setup["training"]["parts"] if trained else [""]
        if network or not trained:
            files += [
                f"{folder}/{pattern}".format(
                    experiment=experiment, method=method, seed=seed, part=part
                )
                for part in parts
            ]
    return files


def exhibit_inputs(wildcards):
    """Named inputs of one figure, gallery or table."""
    exhibit = SETTINGS.papers[wildcards.paper]["exhibits"][wildcards.exhibit]
    return {
        kind: results_of(
            wildcards.paper, exhibit["experiment"], kind, exhibit.get("methods")
        )
        for kind in exhibit["reads"]
    }


def exhibit_params(wildcards):
    """What the drawing function is told: its exhibit, the methods' labels, and where the data come from."""
    exhibit = SETTINGS.papers[wildcards.paper]["exhibits"][wildcards.exhibit]
    setup = SETTINGS.experiment(wildcards.paper, exhibit["experiment"])
    shown = exhibit.get("methods") or list(setup["methods"])
    return {
        "paper": wildcards.paper,
        "exhibit": wildcards.exhibit,
        "function": exhibit["function"],
        # A list, because the order of a mapping does not enter the recipe and that of the rows should.
        "methods": [[name, setup["methods"][name]["label"]] for name in shown],
        "synthetic": SETTINGS.mode(setup["dataset"]) == "standin",
        "scale": SETTINGS.scale,
        "show_images": SETTINGS.may_show(setup["dataset"]),
    }


def exhibit_code(script):
    return lambda wildcards: code_of(
        script,
        (
            "figures",
            SETTINGS.papers[wildcards.paper]["exhibits"][wildcards.exhibit]["function"],
        ),
    )


def exhibits_of(paper, kind):
    exhibits = SETTINGS.papers[paper]["exhibits"]
    return [name for name, exhibit in exhibits.items() if exhibit["kind"] == kind]


def any_exhibit(kind):
    """Constraint that gives an exhibit to the rule of its kind; `-` matches none where no paper has one."""
    return (
        "|".join(sorted({n for p in SETTINGS.papers for n in exhibits_of(p, kind)}))
        or "-"
    )


def receipts_of(paper):
    """Every receipt of a paper except its page's own, in the order of the work."""
    folder = f"results/{SETTINGS.run}/receipts"
    setups = SETTINGS.papers[paper]["experiments"]
    receipts = []
    for dataset in sorted({setup["dataset"] for setup in setups.values()}):
        standin = SETTINGS.mode(dataset) == "standin"
        steps = [
            *(["make_standin"] if standin else []),
            "fetch_dataset",
            "prepare_dataset",
        ]
        receipts += [f"{folder}/data/{step}/{dataset}.json" for step in steps]
    for experiment, setup in setups.items():
        receipts.append(f"{folder}/{paper}/pair_images/{experiment}.json")
        for method, seed in each_method(paper, experiment):
            tool = setup["methods"][method]["tool"]
            if tool == "network":
                for part in setup["training"]["parts"]:
                    receipts.append(
                        f"{folder}/{paper}/train_model/{experiment}/{method}_{part}_seed{seed}.json"
                    )
            for step in (
                "register_pairs" if tool == "network" else f"run_{tool}",
                "evaluate_registration",
            ):
                receipts.append(
                    f"{folder}/{paper}/{step}/{experiment}/{method}_seed{seed}.json"
                )
        receipts.append(f"{folder}/{paper}/compare_methods/{experiment}.json")
    receipts += [
        f"{folder}/{paper}/plot_figure/{name}.json"
        for name in exhibits_of(paper, "figure")
    ]
    receipts += [
        f"{folder}/{paper}/plot_gallery/{name}.json"
        for name in exhibits_of(paper, "gallery")
    ]
    receipts += [
        f"{folder}/{paper}/make_table/{name}.json"
        for name in exhibits_of(paper, "table")
    ]
    return receipts


def pictures_of(paper, suffix):
    """Files of one kind that lie beside each figure and gallery of a paper."""
    names = [*exhibits_of(paper, "figure"), *exhibits_of(paper, "gallery")]
    return [f"results/{SETTINGS.run}/{paper}/figures/{name}.{suffix}" for name in names]


def sources_of(paper):
    """The source tables of a paper's datasets."""
    datasets = sorted(
        {setup["dataset"] for setup in SETTINGS.papers[paper]["experiments"].values()}
    )
    return [f"results/{SETTINGS.run}/data/{dataset}/source.csv" for dataset in datasets]


def templates():
    """Page templates and styles, relative to the working folder, so that a moved checkout reruns nothing."""
    folder = Path(os.path.relpath(workflow.basedir), "workflow", "report")
    return sorted(str(path) for path in folder.iterdir() if path.is_file())


def report_context(wildcards):
    """What a page says of its paper that no receipt holds: titles, captions, choices and claims."""
    paper = SETTINGS.papers[wildcards.paper]
    experiments = {
        name: {key: setup[key] for key in ("title", "section", "dataset")}
        | {
            "methods": {
                m: {k: v for k, v in s.items() if k in ("label", "note")}
                for m, s in setup["methods"].items()
            }
        }
        for name, setup in paper["experiments"].items()
    }
    datasets = {setup["dataset"] for setup in paper["experiments"].values()}
    about = ("title", "licence", "citation")
    return {
        key: paper[key]
        for key in ("title", "authors", "reference", "summary", "exhibits", "choices")
    } | {
        "paper": wildcards.paper,
        "scale": SETTINGS.scale,
        # What else the command line set: the commands on the page say it again. Lists of ids stay where they are.
        "settings": {
            key: value
            for key, value in workflow.config_settings.overwrite_config.items()
            if key not in ("run", "scale", "data", "accept_terms", "split")
        },
        "experiments": experiments,
        "datasets": {
            name: {key: SETTINGS.datasets[name][key] for key in about}
            for name in sorted(datasets)
        },
        "claims": SETTINGS.claims[wildcards.paper],
    }


SETTINGS = load_settings()
CONSOLE = Console(workflow)


wildcard_constraints:
    paper="|".join(SETTINGS.papers),
    dataset="|".join(SETTINGS.datasets),
    experiment="|".join(
        sorted(
            {
                name
                for paper in SETTINGS.papers.values()
                for name in paper["experiments"]
            }
        )
    ),
    method="[a-z0-9_]+",
    part="[A-Za-z0-9-]+",
    seed=r"\d+",
    exhibit="[A-Za-z0-9_]+",
