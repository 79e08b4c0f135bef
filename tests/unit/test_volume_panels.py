"""Volumes for a page and for the sheet: each array in its place, once, and none where it may not be or is too large."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot as plt

from reregister.drawing import Exhibit
from reregister.errors import ReregisterError
from reregister.exhibits.planes import cut
from reregister.figures import volumes
from reregister.provenance.files import write_json
from reregister.tables import write_arrays

from .test_figures import PROJECT
from .test_packed_volumes import reoriented, unpack

METHODS = {"trained": "Trained", "ants_syn": "SyN"}
# Axes lead to posterior, inferior, right: no plane is one of the stored array as it stands. 210 voxels, each of its own grey.
AXES, SHAPE, SPACING = "PIR", (6, 7, 5), (1.0, 2.0, 1.5)
LABELS = ["stem", "ventricle"]
OTHER_PROCESS = """
import json, sys
from pathlib import Path
from reregister.drawing import Exhibit
from reregister.figures import volumes
from reregister.provenance.files import write_json

about, paths, target = Exhibit(**json.loads(sys.argv[1])), json.loads(sys.argv[2]), Path(sys.argv[3])
write_json(target, volumes.panels(about, {"gallery": [Path(path) for path in paths]}))
"""


def planted(method: str) -> dict[str, Any]:
    """Example pairs of which every voxel of an image has a grey value of its own; the second method's are turned round."""
    greys = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE) / 255
    turn = 1 if method == "trained" else -1
    images = {"moving": greys[::-1], "fixed": greys, "warped": greys[:, ::-1][::turn]}
    mask = np.zeros(SHAPE, np.uint8)
    mask[1:3, 2:4, 1:3], mask[3:5, 2:4, 1:3] = 1, 2
    masks = {"fixed": mask, "moving": np.roll(mask, 1, 1), "warped": np.roll(mask, turn, 2)}
    ddf = np.zeros((3, *SHAPE), np.float32)
    # Voxels along the stored axes: back, down and to the right.
    ddf[0], ddf[1], ddf[2] = 0.5, turn * -1.25, 0.1 * np.arange(SHAPE[2])
    ranks = ["best", "median", "worst", "common"]
    texts = {"rank": ranks, "pair_id": ["p-1", "p-2", "p-3", "p-2"], "moving_id": ["m"] * 4, "fixed_id": ["f"] * 4}
    texts |= {"group": ["all"] * 4, "unit": ["mm"] * 4, "axes": [AXES] * 4, "label_names": [LABELS] * 4}
    numbers = {"ncc_before": 0.5, "ncc_after": 0.9, "dice_before": 0.4, "dice_after": 0.7, "fold_share": 0.01}
    arrays = {name: np.full(4, value) for name, value in (numbers | {"field_error": np.nan}).items()}
    arrays |= {"spacing": np.tile(SPACING, (4, 1)), "ddf": np.repeat(ddf[None], 4, 0)}
    arrays |= {role: np.repeat(image[None, None], 4, 0) for role, image in images.items()}
    arrays |= {f"mask_{role}": np.repeat(own[None], 4, 0) for role, own in masks.items()}
    # The worst pair is another one.
    arrays["moving"][2] = 0.5 * arrays["moving"][2]
    return {"method": method, **texts, **arrays}


def exhibit(**changes: Any) -> Exhibit:
    made = Exhibit("label_driven", "figS9_volumes", "volumes", list(METHODS.items()), True, "smoke", True, "ab" * 32)
    return replace(made, **changes)


def write_planted(folder: Path) -> dict[str, list[Path]]:
    folder = folder / "label_driven" / "metrics" / "ibsr"
    folder.mkdir(parents=True)
    for method in METHODS:
        write_arrays(folder / f"{method}.gallery.npz", planted(method))
    # In any order, and with a method that has no pair.
    write_arrays(folder / "identity.gallery.npz", {"method": "identity"})
    return {"gallery": sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    return write_planted(tmp_path_factory.mktemp("results"))


def test_every_array_stands_in_its_place_turned_for_the_page(inputs: Any) -> None:
    page = volumes.panels(exhibit(), inputs)
    assert (page["kind"], page["stamp"], page["absent"]) == ("volumes", "synthetic stand-in, smoke scale", "")
    assert [(item["method"], item["rank"]) for item in page["items"]] == [
        (method, rank) for method in METHODS for rank in ("common", "worst")
    ]
    assert [label["name"] for label in page["labels"]] == LABELS
    for item in page["items"]:
        own = planted(item["method"])
        row = own["rank"].index(item["rank"])
        # Down, back and left; the stored axes lead back, down and right.
        assert (item["size"], item["spacing"], item["axes"]) == ([7, 6, 5], [2.0, 1.0, 1.5], AXES)
        for role in ("moving", "fixed", "warped"):
            expected = reoriented(np.rint(255 * own[role][row, 0]).astype(int), AXES)
            np.testing.assert_array_equal(unpack(page["arrays"][item[role]]).reshape(7, 6, 5), expected)
            expected = reoriented(own[f"mask_{role}"][row], AXES)
            np.testing.assert_array_equal(unpack(page["arrays"][item[f"mask_{role}"]]).reshape(7, 6, 5), expected)
        steps = unpack(page["arrays"][item["ddf"]], "<u2")
        field = np.cumsum(steps, dtype=np.uint16).view(np.int16).reshape(3, 7, 6, 5) / 100
        down, back, right = (reoriented(own["ddf"][row, axis], AXES) for axis in (1, 0, 2))
        np.testing.assert_allclose(field, [down, back, -right], atol=0.005)
        assert (item["label"], item["unit"], item["fixed_id"]) == (METHODS[item["method"]], "mm", "f")
        assert (item["dice_before"], item["dice_after"], item["field_error"]) == (0.4, 0.7, None)


def test_an_array_is_kept_once(inputs: Any) -> None:
    page = volumes.panels(exhibit(), inputs)
    assert len(set(page["arrays"])) == len(page["arrays"])
    first, worst, other, _ = page["items"]
    assert first["fixed"] == worst["fixed"] == other["fixed"]
    assert first["moving"] == other["moving"] != worst["moving"]
    assert first["ddf"] == worst["ddf"] != other["ddf"]
    assert first["warped"] != other["warped"]
    # Two moving images, fixed, two warped, four masks (moving, fixed, two warped), two fields.
    assert len(page["arrays"]) == 11


def test_the_option_names_the_pairs_and_the_axes_that_the_store_does_not_know(inputs: Any, tmp_path: Path) -> None:
    page = volumes.panels(exhibit(options={"ranks": ["median"], "axes": "RAS"}), inputs)
    assert [item["rank"] for item in page["items"]] == ["median"] * 2
    assert page["items"][0]["axes"] == AXES
    write_arrays(tmp_path / "trained.npz", planted("trained") | {"axes": [""] * 4})
    for axes in ("LPS", "RAS"):
        page = volumes.panels(exhibit(options={"axes": axes}), {"gallery": [tmp_path / "trained.npz"]})
        assert page["items"][0]["axes"] == axes
        assert page["items"][0]["size"] == [5, 7, 6]
    with pytest.raises(ReregisterError, match="figS9_volumes: axes are named by where they lead, such as RAS, not up"):
        volumes.panels(exhibit(options={"axes": "up"}), {"gallery": [tmp_path / "trained.npz"]})
    with pytest.raises(ReregisterError, match="has the option plane, which volumes does not take"):
        volumes.panels(exhibit(options={"plane": "axial"}), inputs)


def test_another_process_writes_the_same_panels(inputs: Any, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(PROJECT / "scripts")}
    paths = json.dumps([str(path) for path in inputs["gallery"]])
    command = [sys.executable, "-c", OTHER_PROCESS, json.dumps(asdict(exhibit())), paths, str(tmp_path / "there.json")]
    subprocess.run(command, env=environment, check=True)
    write_json(tmp_path / "here.json", volumes.panels(exhibit(), inputs))
    assert (tmp_path / "here.json").read_bytes() == (tmp_path / "there.json").read_bytes()


def test_images_that_may_not_be_shown_are_on_no_page(inputs: Any) -> None:
    page = volumes.panels(exhibit(show_images=False), inputs)
    assert page["absent"].startswith("not shown: the terms of the data set do not allow")
    assert not any(page[key] for key in ("items", "arrays", "labels", "files"))
    figure, numbers = volumes.draw(exhibit(show_images=False), inputs)
    assert "not shown: the terms" in figure.texts[0].get_text()
    assert not figure.axes
    assert len(numbers) == 2
    plt.close(figure)


def test_what_is_too_large_for_a_page_is_named_and_left_where_it_lies(
    inputs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two pairs of two methods, 210 voxels each.
    size = 2 * 2 * 210 * volumes.BYTES_OF_VOXEL
    monkeypatch.setattr(volumes, "LARGEST", size)
    assert volumes.panels(exhibit(), inputs)["items"]
    monkeypatch.setattr(volumes, "LARGEST", size - 1)
    page = volumes.panels(exhibit(), inputs)
    assert page["absent"].startswith("not in this page: pairs of 6 x 7 x 5 voxels")
    assert not page["items"]
    assert not page["arrays"]
    places = [f"label_driven/metrics/ibsr/{method}.gallery.npz" for method in METHODS]
    assert page["files"] == [
        {"label": label, "place": place} for label, place in zip(METHODS.values(), places, strict=True)
    ]


def test_brains_of_the_papers_size_are_too_large_and_those_of_the_demo_are_not() -> None:
    def size(*shape: int) -> int:
        return 3 * 2 * int(np.prod(shape)) * volumes.BYTES_OF_VOXEL

    assert size(48, 64, 56) < volumes.LARGEST < size(160, 192, 224)


def test_the_sheet_shows_the_middle_slices_of_the_common_pair(inputs: Any) -> None:
    figure, numbers = volumes.draw(exhibit(), inputs)
    assert numbers["pair_id"].tolist() == ["p-2"] * 2
    grid = np.array(figure.axes).reshape(3, 4)
    assert [axes.get_title() for axes in grid[0]] == ["moving", "fixed", "Trained", "SyN"]
    assert [axes.get_ylabel() for axes in grid[:, 0]] == ["axial", "coronal", "sagittal"]
    own = {method: planted(method) for method in METHODS}
    for row, plane, aspect in zip(grid, ("axial", "coronal", "sagittal"), (1 / 1.5, 2 / 1.5, 2.0), strict=True):
        for axes, (method, role) in zip(
            row,
            [("trained", "moving"), ("trained", "fixed"), ("trained", "warped"), ("ants_syn", "warped")],
            strict=True,
        ):
            expected = cut(own[method][role][3, 0], plane, axes=AXES)
            np.testing.assert_array_equal(axes.images[0].get_array(), expected)
            assert axes.get_aspect() == pytest.approx(aspect)
    # Of the fixed image its own outlines, elsewhere both.
    assert len(grid[0, 1].lines) < len(grid[0, 0].lines)
    plt.close(figure)


def test_pairs_that_cannot_be_shown(inputs: Any, tmp_path: Path) -> None:
    write_arrays(tmp_path / "none.npz", {"method": "trained"})
    figure, numbers = volumes.draw(exhibit(), {"gallery": [tmp_path / "none.npz"]})
    assert "no pair has a defined score" in figure.texts[0].get_text()
    assert numbers.empty
    plt.close(figure)
    assert volumes.panels(exhibit(), {"gallery": [tmp_path / "none.npz"]})["items"] == []
    write_arrays(tmp_path / "other.npz", planted("trained") | {"pair_id": ["p-9"] * 4})
    with pytest.raises(ReregisterError, match="compares one pair and its methods hold p-2 and p-9; evaluate them all"):
        volumes.draw(exhibit(), {"gallery": [tmp_path / "other.npz", *inputs["gallery"]]})
    own = planted("trained")
    flat = {name: own[name][..., 0] for name in ("moving", "fixed", "warped")}
    write_arrays(tmp_path / "flat.npz", own | flat)
    for make in (volumes.draw, volumes.panels):
        with pytest.raises(ReregisterError, match="shows volumes and its images are flat; take gallery for them"):
            make(exhibit(), {"gallery": [tmp_path / "flat.npz"]})
    write_arrays(tmp_path / "odd.npz", own | {"axes": ["RRR"] * 4})
    with pytest.raises(ReregisterError, match="figS9_volumes: axes are named by where they lead"):
        volumes.draw(exhibit(), {"gallery": [tmp_path / "odd.npz"]})
