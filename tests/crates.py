"""Crates held against roc-validator without a network, for the tests of the library and of the workflow.

The validator resolves the two contexts that a crate names through its cache of HTTP answers, and with `offline` through
nothing else. The contexts are not at hand where there is no network, so the cache is filled with excerpts of them,
written here: the terms that a crate of ours uses, and what each stands for. A test holds them to exactly those terms.
"""

import io
import json
import socket
from pathlib import Path
from typing import Any
from unittest.mock import patch

import requests
import urllib3
from requests.adapters import BaseAdapter
from requests_cache import CachedSession
from rocrate_validator import services
from rocrate_validator.models import Severity, ValidationSettings

PROFILE = "provenance-run-crate-0.5"
METADATA = "ro-crate-metadata.json"
# Terms of RO-Crate 1.1 that schema.org has under the same name.
SCHEMA_ORG = """
    ComputerLanguage ControlAction CreateAction CreativeWork Dataset HowTo HowToStep Organization OrganizeAction
    PropertyValue SoftwareApplication SoftwareSourceCode about actionStatus additionalProperty additionalType agent author
    citation contentSize datePublished description encodingFormat endTime exampleOfWork hasPart identifier instrument
    license mainEntity mentions name object operatingSystem processorRequirements programmingLanguage publisher result
    softwareRequirements softwareVersion startTime step subjectOf url value version workExample
"""
CONTEXTS = {
    "https://w3id.org/ro/crate/1.1/context": {
        **{term: f"http://schema.org/{term}" for term in SCHEMA_ORG.split()},
        "File": "http://schema.org/MediaObject",
        "conformsTo": "http://purl.org/dc/terms/conformsTo",
        "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
        "FormalParameter": "https://bioschemas.org/FormalParameter",
        "input": "https://bioschemas.org/ComputationalWorkflow#input",
        "output": "https://bioschemas.org/ComputationalWorkflow#output",
    },
    "https://w3id.org/ro/terms/workflow-run/context": {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"},
}


class Excerpts(BaseAdapter):
    """Answers each request for a context with our excerpt of it."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        content = json.dumps({"@context": CONTEXTS[str(request.url)]}).encode()
        response = requests.Response()
        response.status_code, response.url, response.request = 200, str(request.url), request
        response.headers["Content-Type"] = "application/ld+json"
        response.raw = urllib3.HTTPResponse(io.BytesIO(content), response.headers, 200, preload_content=False)
        return response

    def close(self) -> None:
        pass


def filled_cache(folder: Path) -> Path:
    """A cache as the validator keeps one, with the two contexts in it."""
    cache = folder / "http_cache"
    with CachedSession(str(cache), backend="sqlite", expire_after=-1) as session:
        session.mount("https://", Excerpts())
        for address in CONTEXTS:
            session.get(address)
    return cache


def read_crate(run: Path) -> dict[str, dict[str, Any]]:
    """Entities of a run's crate by their @id; fails where one is there twice."""
    graph = json.loads((run / METADATA).read_text(encoding="utf-8"))["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    assert len(entities) == len(graph)
    return entities


def violations(run: Path, cache: Path) -> list[tuple[str, str]]:
    """What is REQUIRED of a Provenance Run Crate and does not hold: entities and messages. Fails on any connection."""
    settings = ValidationSettings(
        rocrate_uri=run,
        profile_identifier=PROFILE,
        requirement_severity=Severity.REQUIRED,
        offline=True,
        cache_path=cache,
    )
    with patch.object(socket.socket, "connect") as connect:
        result = services.validate(settings)
    assert not connect.called
    found = [(str(issue.violatingEntity), str(issue.message)) for issue in result.get_issues()]
    assert result.passed() == (not found)
    return found


def remove_instrument(run: Path) -> str:
    """Take the instrument from the first job of a run's crate; returns the job's @id."""
    path = run / METADATA
    crate = json.loads(path.read_text(encoding="utf-8"))
    job = next(entity for entity in crate["@graph"] if entity["@id"].startswith("#job/"))
    del job["instrument"]
    path.write_text(json.dumps(crate), encoding="utf-8")
    return str(job["@id"])


def check_crate(run: Path, folder: Path) -> None:
    """A run's crate is valid, and no longer when one job has lost its instrument; nothing else is found then.

    The crate is changed. folder: where the cache may lie.
    """
    cache = filled_cache(folder)
    assert violations(run, cache) == []
    job = remove_instrument(run)
    found = violations(run, cache)
    assert [entity for entity, message in found if "MUST have an instrument" in message] == [f"./{job}"]
    # Where no other job ran the same tool, the tool is missed as an instrument as well.
    assert all("instrument" in message for _, message in found)
