# Functions and names that the rules share; no rules here. Which files there are is the plan's business.
import re
from functools import cache

from reregister.console import Console
from reregister.errors import ReregisterError
from reregister.full_scale import full_scale
from reregister.plan import Plan
from reregister.provenance.closure import SCRIPTS, code_digest
from reregister.provenance.files import sha256_file
from reregister.registry import module_name
from reregister.settings import Settings
from reregister.slurm import refuse_left_over

# Memory of a job of each classical tool, MB.
TOOLS = {"elastix": 3000, "ants": 2000, "itk": 1500}
# What is said of a paper's numbers and claims, each as a table and as another of what rests on times.
WEIGHED_TABLES = ("numbers", "apart", "claims")
# What of a training's settings decides its steps.
SCHEDULE = (
    "iterations",
    "validate_every",
    "epochs",
    "stop",
    "log_every",
    "batch",
    "padding",
    "precision",
    "labels",
    "augmentation",
)


def load_plan():
    """The run's files under the checked configuration, or the one sentence that says what is wrong with it."""
    try:
        plan = Plan(Settings(Path(workflow.basedir), config, workflow.config_settings.overwrite_config))
        plan.refuse_foreign_folder()
        for dataset in plan.datasets():
            plan.members(dataset)
        return plan
    except ReregisterError as error:
        # Not a WorkflowError: Snakemake would put the lines of this file around the sentence.
        sys.exit(f"error: {error}")


def refuse_second_run():
    """End the run, with one sentence, where an earlier one in this folder still has jobs on the cluster."""
    if workflow.executor_plugin.name == "slurm":
        try:
            refuse_left_over(Path.cwd())
        except ReregisterError as error:
            sys.exit(f"error: {error}")


@cache
def code_of(script, *entries):
    """Param with the digest of a script's import closure and of the registry entries that its params name."""
    modules = [module_name(kind, name) for kind, name in entries]
    return {"digest": code_digest(SCRIPTS / f"{script}.py", modules), "entries": modules}


def code_for(script, *entries):
    """`code_of`, taken when a job is planned: where a job starts Snakemake of its own, nothing but its own code is read."""
    return lambda wildcards: code_of(script, *entries)


@cache
def env_of(name):
    """Param with the digest of a conda environment's file."""
    file = f"envs/{name}.yaml"
    return {"file": file, "digest": sha256_file(Path(workflow.basedir, file))[:16]}


def experiment_of(wildcards):
    return SETTINGS.experiment(wildcards.paper, wildcards.experiment)


def dataset_of(wildcards):
    return experiment_of(wildcards)["dataset"]


def reader_of(wildcards):
    """The module that reads a dataset, and that which makes its stand-in, have one name."""
    return SETTINGS.datasets[getattr(wildcards, "dataset", None) or dataset_of(wildcards)]["reader"]


def method_of(wildcards):
    return experiment_of(wildcards)["methods"][wildcards.method]


def tool_of(wildcards):
    return method_of(wildcards)["tool"]


def network_of(wildcards):
    """The network of a method, or of the method whose weights it takes."""
    return SETTINGS.model(wildcards.paper, wildcards.experiment, wildcards.method)


def training_of(wildcards):
    return SETTINGS.training(wildcards.paper, wildcards.experiment, wildcards.method)


def fitting_of(wildcards):
    return SETTINGS.fitting(wildcards.paper, wildcards.experiment)


def store_of(wildcards):
    return PLAN.store(dataset_of(wildcards))


def labels_of(wildcards):
    return PLAN.labels(dataset_of(wildcards))


def trained_labels(wildcards):
    """Label maps, for a training whose loss compares them."""
    return labels_of(wildcards) if training_of(wildcards)["labels"] else {}


def taken_weights(wildcards):
    return PLAN.taken_weights(**wildcards)


def start_of(wildcards):
    return PLAN.start(**wildcards)


def memory_of(wildcards):
    """Memory of a job that registers or measures an experiment's pairs, MB."""
    return max(TOOLS.get(tool_of(wildcards), 0), experiment_of(wildcards)["jobs"]["mem_mb"])


def time_of(wildcards):
    return experiment_of(wildcards)["jobs"]["runtime"]


def growing(value):
    """Memory or time that grows with each attempt, so that a job which a cluster ended for want of it can end well.

    value: a number, or a function of the wildcards. Without retries there is one attempt.
    """
    return lambda wildcards, attempt: attempt * (value(wildcards) if callable(value) else value)


def one_of(names):
    """Constraint that gives a wildcard to the rule that makes it; `-` matches nothing where there is none."""
    return "|".join(sorted(set(names))) or "-"


def any_exhibit(kind):
    """Constraint that gives an exhibit to the rule of its kind."""
    return one_of(name for paper in SETTINGS.papers for name in PLAN.exhibits(paper, kind))


def exhibit_inputs(wildcards):
    return PLAN.exhibit_inputs(wildcards.paper, wildcards.exhibit)


def exhibit_params(wildcards):
    return PLAN.exhibit_params(wildcards.paper, wildcards.exhibit)


def exhibit_code(script):
    return lambda wildcards: code_of(script, ("figures", PLAN.exhibit(wildcards.paper, wildcards.exhibit)["function"]))


def claims_of(paper):
    """Tables of what is said of a paper's numbers and claims; a protocol prints and claims nothing."""
    if paper in SETTINGS.protocols:
        return []
    names = [*WEIGHED_TABLES, *(f"timed_{name}" for name in WEIGHED_TABLES)]
    return [f"{PLAN.folder}/{paper}/claims/{name}.csv" for name in names]


def notebook_inputs(wildcards):
    return PLAN.notebook_inputs(wildcards.paper)


def gpus(wildcards):
    """Jobs that train or run a network ask for one GPU unless the config says cpu."""
    return 0 if SETTINGS.config["device"] == "cpu" else 1


def shown(path, labels, caption="exhibit"):
    """An output that `snakemake --report` shows, under its paper; labels: a function of the wildcards.

    Snakemake stops the plan of a run, too, at a file that is to be shown and not there yet: for a plan it is as any other.
    """
    if PLANNING:
        return path
    return report(path, caption=f"../report/captions/{caption}.rst", category="{paper}", labels=labels)


def exhibit_labels(wildcards):
    """What the list of `snakemake --report` says of a figure or table."""
    return PLAN.exhibit_labels(wildcards.paper, wildcards.exhibit)


def notebook_labels(wildcards):
    return {"exhibit": "Notebook", "name": wildcards.paper, "place": "not in the paper"}


def project_file(name):
    """A file of the project, relative to the working folder, so that a moved checkout reruns nothing."""
    return str(Path(os.path.relpath(workflow.basedir), name))


def listed():
    """Papers and protocols that the index, the checksums and the crate hold."""
    return PLAN.listed(workflow.dag_settings.targets)


def templates():
    """Page templates and styles."""
    folder = Path(project_file("workflow/report"))
    return sorted(str(path) for path in folder.iterdir() if path.is_file())


PLAN = load_plan()
SETTINGS = PLAN.settings
CONSOLE = Console(workflow)
PLANNING = re.search(r"--reporter[ =]plan\b", " ".join(sys.argv)) is not None
# Captions decide no result, so they are no params: the templates of `snakemake --report` find them here.
config["captions"] = PLAN.captions()
# The Snakefile and what it includes, relative to the project.
WORKFLOW_FILES = [
    "Snakefile",
    *(f"workflow/rules/{path.name}" for path in sorted(Path(workflow.basedir, "workflow", "rules").glob("*.smk"))),
]


wildcard_constraints:
    paper=one_of(SETTINGS.papers),
    dataset=one_of(SETTINGS.datasets),
    experiment=one_of(name for paper in SETTINGS.papers.values() for name in paper["experiments"]),
    method="[a-z0-9_]+",
    part="[A-Za-z0-9-]+",
    seed=r"\d+",
    exhibit="[A-Za-z0-9_]+",
