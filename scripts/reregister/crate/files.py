"""Files, environments and datasets of a run as entities of its crate."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from rocrate.model.contextentity import ContextEntity

from reregister.crate.history import Content, History
from reregister.report.environments import read_environment
from reregister.report.origins import origin_text

# Not from the system's table, which differs between machines. The files without a suffix are text.
FORMATS = {
    "": "text/plain",
    ".csv": "text/csv",
    ".gz": "application/gzip",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".py": "text/x-python",
    ".smk": "text/plain",
    ".svg": "image/svg+xml",
    ".tar": "application/x-tar",
    ".zip": "application/zip",
}
STORE = "receipts/store"


def add_entity(crate: Any, identifier: str, kind: str | list[str], **properties: Any) -> Any:
    """A contextual entity, which is no part of the crate's files; the one that is there already, where there is one."""
    known = crate.get(identifier)
    return known or crate.add(ContextEntity(crate, identifier, properties={"@type": kind, **properties}))


def describe(name: str, content: Content) -> dict[str, Any]:
    """What is said of each file: name, sha256, size and format."""
    about: dict[str, Any] = {"name": name, "sha256": content.sha256}
    if content.bytes is not None:
        about["contentSize"] = str(content.bytes)
    about["encodingFormat"] = FORMATS.get(PurePosixPath(name).suffix, "application/octet-stream")
    return about


def add_files(crate: Any, history: History) -> dict[str, Any]:
    """Every file that a job wrote or read, by its name in the receipts.

    A file that no job wrote need not lie in the run folder: it becomes a contextual entity, which promises no bytes.
    """
    files = {name: crate.add_file(dest_path=name, properties=describe(name, c)) for name, c in history.made.items()}
    for name, content in history.given.items():
        files[name] = add_entity(crate, f"#{name}", "File", **describe(name, content))
    return files


def add_code(crate: Any, history: History) -> dict[str, Any]:
    """Scripts and modules as they were when jobs ran them, by their sha256, from the run's store."""
    code = {}
    for receipt in history.receipts.values():
        for name, sha256 in receipt["code"].items():
            if sha256 not in code:
                place = f"{STORE}/code/{sha256}.py"
                content = Content(sha256, (history.run_folder / place).stat().st_size)
                code[sha256] = crate.add_file(dest_path=place, properties=describe(name, content))
    return code


def add_environments(crate: Any, history: History) -> dict[str, Any]:
    """The records of the environments that jobs ran in, by their id: system, processor, and each package that was loaded.

    Raises ReregisterError where one is missing or has another hash.
    """
    environments = {}
    for identity in sorted({receipt["environment"] for receipt in history.receipts.values()}):
        record = read_environment(history.run_folder, identity)
        packages = [
            add_entity(crate, f"#package/{name}/{version}", "SoftwareApplication", name=name, softwareVersion=version)
            for name, version in record["packages"].items()
        ]
        place = f"{STORE}/environment/{identity}.json"
        content = Content(identity, (history.run_folder / place).stat().st_size)
        about = {
            "@type": ["File", "SoftwareApplication"],
            "name": f"{record['implementation']} {record['python']} with {len(packages)} packages",
            "softwareVersion": record["python"],
            "operatingSystem": record["os"],
            "processorRequirements": " ".join([record["cpu"]["model"], *record["cpu"]["isa"]]),
            "softwareRequirements": packages,
        }
        environments[identity] = crate.add_file(dest_path=place, properties={**describe(place, content), **about})
    return environments


def engine_versions(history: History) -> str:
    """Versions of Snakemake that the environments of the jobs name."""
    identities = {receipt["environment"] for receipt in history.receipts.values()}
    packages = [read_environment(history.run_folder, identity)["packages"] for identity in sorted(identities)]
    return ", ".join(sorted({found["snakemake"] for found in packages if "snakemake" in found})) or "not recorded"


def add_datasets(
    crate: Any, history: History, files: Mapping[str, Any], about: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Each dataset with its licence and its files, and the origin class of each file of its archive.

    about: per dataset `title`, `licence` and `citation`.
    """
    datasets = {}
    for name, archives in history.archives.items():
        for archive in archives:
            words = origin_text(archive.origin)
            files[archive.name]["additionalProperty"] = add_entity(
                crate,
                f"#origin/{archive.origin.replace(' ', '-')}",
                "PropertyValue",
                name="origin",
                value=archive.origin,
                description=words,
            )
        own = [archive.name for archive in archives]
        own += [file for file in history.made if file.startswith(f"data/{name}/") and file not in own]
        properties = {
            "name": about[name]["title"],
            "license": about[name]["licence"],
            "citation": about[name]["citation"],
            "description": history.origins[name],
            "hasPart": [files[file] for file in own],
        }
        datasets[name] = crate.add_dataset(dest_path=f"data/{name}", properties=properties)
    return datasets
