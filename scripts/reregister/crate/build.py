"""A Workflow Run RO-Crate of one run: Provenance Run Crate 0.5 on RO-Crate 1.1, its root the run folder.

Nothing is copied but the text of the workflow: the crate describes the files where they lie, with the hashes that the
receipts name. See https://w3id.org/ro/wfrun/provenance/0.5.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rocrate.rocrate import ROCrate

from reregister.crate.files import (
    add_code,
    add_datasets,
    add_entity,
    add_environments,
    add_files,
    describe,
    engine_versions,
)
from reregister.crate.history import Content, History
from reregister.crate.jobs import COMPLETED, Actions, Parts, add_actions
from reregister.provenance.files import sha256_file

VERSION = "1.1"
TERMS = "https://w3id.org/ro/terms/workflow-run/context"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
LICENCE = "https://spdx.org/licenses/Apache-2.0"
WORKFLOW_PROFILE = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"


def run_crate(history: History, about: Mapping[str, Any], workflow: Sequence[Path]) -> dict[str, Any]:
    """The crate's metadata, `ro-crate-metadata.json`.

    about: `run`, `scale`, `root` (the run's root hash) and `datasets` (per dataset title, licence, citation).
    workflow: copies of the Snakefile and of its rules in the run folder, the Snakefile first.
    """
    crate = ROCrate(version=VERSION)
    crate.metadata.extra_contexts.append(TERMS)
    agent = add_entity(crate, "#contributors", "Organization", name="The reregister contributors")
    files = add_files(crate, history)
    parts = Parts(files, add_code(crate, history), add_environments(crate, history), agent)
    actions = add_actions(crate, history, parts)
    add_datasets(crate, history, files, about["datasets"])
    main = _add_workflow(crate, history, workflow, actions, agent)
    run = _add_run(crate, history, about, main, parts)
    _add_engine(crate, history, run, actions)
    _fill_root(crate, about, run, actions, agent)
    metadata = crate.metadata.generate()
    return {**metadata, "@graph": [_compact(entity) for entity in metadata["@graph"]]}


def _compact(entity: Mapping[str, Any]) -> dict[str, Any]:
    """RO-Crate 1.1 asks for a single value in the place of a list of one, and an empty list says nothing."""
    single = {key: value[0] if isinstance(value, list) and len(value) == 1 else value for key, value in entity.items()}
    return {key: value for key, value in single.items() if value != []}


def _add_workflow(crate: Any, history: History, copies: Sequence[Path], actions: Actions, agent: Any) -> Any:
    """The Snakefile as the main workflow, its rules beside it."""
    places = {path.relative_to(history.run_folder).as_posix(): path for path in copies}
    contents = {place: Content(sha256_file(path), path.stat().st_size) for place, path in places.items()}
    (main, content), *rules = contents.items()
    commits = sorted({receipt["git"]["commit"] for receipt in history.receipts.values() if receipt["git"]})
    properties = {
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
        **describe(main, content),
        "name": "reregister",
        "description": "The Snakefile when this crate was written; what a job ran is named by its tool.",
        "version": ", ".join(commits) or "not a git checkout",
        "author": agent,
        "license": {"@id": LICENCE},
        "conformsTo": add_entity(crate, WORKFLOW_PROFILE, "CreativeWork", name="Bioschemas ComputationalWorkflow"),
        "hasPart": actions.tools,
        "step": list(actions.steps.values()),
        "mentions": [crate.add_file(dest_path=place, properties=describe(place, c)) for place, c in rules],
    }
    return crate.add_workflow(dest_path=main, properties=properties, main=True, lang="snakemake")


def _times(history: History) -> dict[str, str]:
    runs = [receipt["run"] for receipt in history.receipts.values()]
    return {"startTime": min(run["start"] for run in runs), "endTime": max(run["end"] for run in runs)}


def _add_run(crate: Any, history: History, about: Mapping[str, Any], main: Any, parts: Parts) -> Any:
    """The whole run as one action: from the files that no job wrote to those that no job read."""
    return add_entity(
        crate,
        "#run",
        "CreateAction",
        name=f"run {about['run']}",
        description=f"All jobs of the run, at scale {about['scale']}",
        instrument=main,
        object=[parts.files[name] for name in history.given],
        result=[parts.files[name] for name in history.ends()],
        agent=parts.agent,
        actionStatus=COMPLETED,
        **_times(history),
    )


def _add_engine(crate: Any, history: History, run: Any, actions: Actions) -> None:
    engine = add_entity(
        crate,
        "#snakemake",
        "SoftwareApplication",
        name="Snakemake",
        softwareVersion=engine_versions(history),
        url="https://snakemake.readthedocs.io",
    )
    add_entity(
        crate,
        "#orchestration",
        "OrganizeAction",
        name="orchestration of the jobs",
        instrument=engine,
        object=actions.controls,
        result=run,
        **_times(history),
    )


def _fill_root(crate: Any, about: Mapping[str, Any], run: Any, actions: Actions, agent: Any) -> None:
    root = crate.root_dataset
    root["name"] = f"reregister, run {about['run']}"
    root["description"] = (
        f"Reruns of papers on deformable image registration at scale {about['scale']}, from the data archives to the "
        "report. The licence is that of the workflow and of what it made; each dataset names its own."
    )
    # When the last job ended: the same receipts give the same crate.
    root["datePublished"] = run["endTime"]
    root["identifier"] = f"sha256:{about['root']}"
    root["author"] = root["publisher"] = agent
    root["license"] = add_entity(
        crate,
        LICENCE,
        "CreativeWork",
        name="Apache License 2.0",
        description="A permissive licence that asks for the notice to be kept and grants patents.",
    )
    root["conformsTo"] = [
        add_entity(crate, profile, "CreativeWork", name=name, version=profile.rsplit("/", 1)[1])
        for profile, name in PROFILES.items()
    ]
    root["mentions"] = [run, *actions.jobs]
