"""Where the files of the LGG segmentation set lie: one `kaggle_3m`, its cases, their slices, the list of checksums."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from reregister.data.archive import Archive
from reregister.errors import ReregisterError

LIST = "kaggle_3m.sha256"
_FILE = r"(?P<case>TCGA_(?P<site>[A-Z0-9]{2})_[A-Z0-9]{4}_\d{8})/(?P=case)_(?P<number>\d+)(?P<mask>_mask)?\.tif"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](?:\./)?kaggle_3m/(\S+/\S+)")


@dataclass(frozen=True)
class Slice:
    """One slice of a case: its number, and the members that are its image and its mask."""

    number: int
    image: str
    mask: str

    @property
    def id(self) -> str:
        """Name of the image file without its ending: TCGA_CS_4941_19960909_12."""
        return self.image.rpartition("/")[2].removesuffix(".tif")


def find_cases(archive: Archive) -> tuple[dict[str, list[Slice]], list[str]]:
    """Slices by case, cases in sorted order and slices by number, and what is to be reported of the choice.

    Files count by their place, `<case>/<case>_<number>[_mask].tif`, below whatever folder. Where several folders hold
    such cases, as in zips with a second kaggle_3m below lgg-mri-segmentation/, the one with the most files is taken
    whole and the others are left out; of equal ones that with the shortest path.
    Raises ReregisterError where there is no case, an image has no mask, a mask no image, or two files one number.
    """
    roots: dict[str, list[tuple[str, re.Match[str]]]] = {}
    for name, match in archive.find(_FILE):
        roots.setdefault(name[: match.start("case")], []).append((name, match))
    if not roots:
        raise ReregisterError(
            "The data hold no case of the LGG set (kaggle_3m/TCGA_.../TCGA_..._1.tif); "
            "name lgg-mri-segmentation.zip or the extracted folder kaggle_3m."
        )
    best = min(roots, key=lambda root: (-len(roots[root]), len(root), root))
    notes = [
        f"{_named(root)} is left out ({len(found)} TIFFs), because {_named(best)} ({len(roots[best])}) is taken"
        for root, found in sorted(roots.items())
        if root != best
    ]
    images: dict[str, dict[int, str]] = {}
    masks: dict[str, dict[int, str]] = {}
    for name, match in roots[best]:
        _place((masks if match["mask"] else images).setdefault(match["case"], {}), int(match["number"]), name)
    _require_pairs(images, masks, "mask")
    _require_pairs(masks, images, "image")
    cases = {case: [Slice(n, images[case][n], masks[case][n]) for n in sorted(images[case])] for case in sorted(images)}
    return cases, notes


def read_sums(archive: Archive, list_sha256: str) -> dict[str, str] | None:
    """sha256 by `<case>/<file>` of the list of checksums, None where the data come without one.

    Raises ReregisterError where there are several lists, the list is not the one with `list_sha256`, or a line of it
    is none of checksums.
    """
    found = [name for name, _ in archive.find(re.escape(LIST))]
    if not found:
        return None
    if len(found) > 1:
        raise ReregisterError(f"The data hold {len(found)} lists {LIST} ({', '.join(found)}); leave one.")
    content = archive.read(found[0])
    if (digest := hashlib.sha256(content).hexdigest()) != list_sha256:
        raise ReregisterError(
            f"{found[0]} has sha256 {digest}, not {list_sha256}, so it is not the known list; fetch or remove it."
        )
    lines = [_LINE.fullmatch(line) for line in content.decode("utf-8", "replace").splitlines()]
    if None in lines:
        raise ReregisterError(f"Line {lines.index(None) + 1} of {found[0]} is no checksum; fetch the list again.")
    return {match[2]: match[1] for match in lines if match}


def in_list(name: str) -> str:
    """What a member is called in the list of checksums: `<case>/<file>`."""
    return "/".join(name.split("/")[-2:])


def gaps(cases: Mapping[str, list[Slice]]) -> dict[str, list[int]]:
    """Numbers by case for the cases whose slices are not numbered from 1 on without a gap."""
    numbers = {case: [cut.number for cut in slices] for case, slices in cases.items()}
    return {case: found for case, found in numbers.items() if found != list(range(1, len(found) + 1))}


def _named(root: str) -> str:
    return root.rstrip("/") or "the top folder"


def _place(numbers: dict[int, str], number: int, name: str) -> None:
    if number in numbers:
        raise ReregisterError(f"{numbers[number]} and {name} are both slice {number}; one of the two must go.")
    numbers[number] = name


def _require_pairs(ones: Mapping[str, Mapping[int, str]], others: Mapping[str, Mapping[int, str]], wanted: str) -> None:
    for case, numbers in ones.items():
        for number, name in numbers.items():
            if number not in others.get(case, {}):
                raise ReregisterError(f"{name} has no {wanted} beside it; fetch or extract the data again.")
