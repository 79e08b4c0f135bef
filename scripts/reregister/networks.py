"""Whose weights a method has: networks that are trained, trained further, compressed, or taken from elsewhere."""

from collections.abc import Iterator, Mapping
from typing import Any

#: Paper, experiment and method.
Place = tuple[str, str, str]
#: Of what a method's weights come, by its keys; without any of them they are trained from the start.
WAYS = ("weights_of", "start_from", "compress")
#: Tools whose fields others may start from: they have one seed.
CLASSICAL = ("itk", "elastix", "ants")
OPENVINO = {"of": str, "precision": str, "calibration": int}


def sources(paper: str, experiment: str, about: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Place]]:
    """Of which methods a method takes weights or a network: the key that says so, and where the other stands.

    about: the method, as the schema of papers has it.
    """
    openvino = about["settings"].get("of") if about["tool"] == "openvino" else None
    compress = about["compress"] or {}
    for key, source in (
        (("weights_of",), about["weights_of"]),
        (("start_from",), about["start_from"]),
        (("compress", "of"), compress.get("of")),
        (("settings", "of"), openvino),
    ):
        if isinstance(source, str):
            yield key, (paper, experiment, source)
        elif source:
            yield key, (source["paper"], source["experiment"], source["method"])


def source_of(papers: Mapping[str, Any], place: Place) -> Place | None:
    """The method that another takes its weights or its network of, None where it has its own from the start."""
    paper, experiment, method = place
    about = papers[paper]["experiments"][experiment]["methods"][method]
    return next((source for _, source in sources(paper, experiment, about)), None)


def model_of(papers: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Name and params of a method's network: its own, or that of the method that it takes its weights of."""
    paper, experiment, method = place
    about = papers[paper]["experiments"][experiment]["methods"][method]
    if "model" in about:
        model: dict[str, Any] = about["model"]
        return model
    source = source_of(papers, place)
    assert source is not None
    return model_of(papers, source)


def problem_of(about: Mapping[str, Any]) -> tuple[tuple[str, ...], str] | None:
    """What is wrong with how a method says where its network comes from: its key in the method, and a clause; or None."""
    ways = [way for way in WAYS if about[way]]
    if ways and about["tool"] != "network":
        return (ways[0],), f"is for the tool network, and the tool is {about['tool']}"
    if len(ways) > 1:
        return (ways[1],), f"cannot stand beside {ways[0]}: a network has its weights in one way"
    if about["hold_zeros"] and not about["start_from"]:
        return ("hold_zeros",), "needs start_from, whose zeros are held"
    if about.get("start") and about["tool"] == "openvino":
        return ("start",), "is not for the tool openvino, which runs networks on the images as they are"
    if about["tool"] == "openvino":
        given = about["settings"]
        if set(given) != set(OPENVINO) or any(not isinstance(given[key], kind) for key, kind in OPENVINO.items()):
            return ("settings",), "must have of (a method), precision (f32 or int8) and calibration (a number of pairs)"
        if given["precision"] not in ("f32", "int8") or given["calibration"] < 1:
            return ("settings",), "must have precision f32 or int8, and calibration from 1 on"
    return None


def starts(experiment: Mapping[str, Any]) -> list[str]:
    """Methods of an experiment whose fields others may start from: of a classical tool, from the images as they are."""
    return [
        name for name, about in experiment["methods"].items() if about["tool"] in CLASSICAL and not about.get("start")
    ]


def circular(papers: Mapping[str, Any], place: Place) -> bool:
    """Whether a method's weights come, by way of others, of the method itself."""
    seen: list[Place] = []
    where: Place | None = place
    while where:
        if where in seen:
            return True
        seen.append(where)
        where = source_of(papers, where)
    return False
