"""The subjects, labels and tables of the stand-in of neurite-OASIS."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from reregister.errors import ReregisterError

_SUBJECTS = 414
#: Structures of one side, by FreeSurfer's ids of the left and the right, in the order of seg35.
_SIDED = {
    "Cerebral-White-Matter": (2, 41),
    "Cerebral-Cortex": (3, 42),
    "Lateral-Ventricle": (4, 43),
    "Inf-Lat-Ventricle": (5, 44),
    "Cerebellum-White-Matter": (7, 46),
    "Cerebellum-Cortex": (8, 47),
    "Thalamus": (10, 49),
    "Caudate": (11, 50),
    "Putamen": (12, 51),
    "Pallidum": (13, 52),
    "Hippocampus": (17, 53),
    "Amygdala": (18, 54),
    "Accumbens-area": (26, 58),
    "VentralDC": (28, 60),
    "vessel": (30, 62),
    "choroid-plexus": (31, 63),
}
_MIDDLE = {"3rd-Ventricle": 14, "4th-Ventricle": 15, "Brain-Stem": 16}
#: What the coarser labels of the slices leave out.
_NOT_IN_24 = (
    "Inf-Lat-Ventricle",
    "vessel",
    "choroid-plexus",
    "Accumbens-area",
    "Cerebellum-White-Matter",
    "4th-Ventricle",
)
_TISSUES = ("Cortex", "Subcortical-Gray-Matter", "White-Matter", "CSF")
_WHITE, _FLUID = ("White-Matter", "Brain-Stem"), ("Ventricle", "choroid-plexus")


def subject_names(count: int) -> list[str]:
    """`count` of 414 subjects, whose numbers run from 1 to 457 with gaps, evenly spread.

    Raises ReregisterError for fewer than 2 and for more than there are.
    """
    if not 2 <= count <= _SUBJECTS:
        raise ReregisterError(f"The OASIS stand-in needs from 2 to {_SUBJECTS} subjects, not {count}.")
    numbers = np.rint(np.linspace(1, 457, _SUBJECTS)).astype(int)
    chosen = numbers[np.rint(np.linspace(0, len(numbers) - 1, count)).astype(int)]
    return [f"OASIS_OAS1_{number:04d}_MR1" for number in chosen]


def structures() -> dict[str, int]:
    """FreeSurfer's ids by name, in the order of seg35: the left side, the middle after the pallidum, the right side."""
    left = {f"Left-{name}": ids[0] for name, ids in _SIDED.items()}
    right = {f"Right-{name}": ids[1] for name, ids in _SIDED.items()}
    first = list(left)[: list(left).index("Left-Pallidum") + 1]
    rest = [name for name in left if name not in first]
    return {name: left[name] for name in first} | _MIDDLE | {name: left[name] for name in rest} | right


def label_names() -> dict[str, list[str]]:
    """Names of the labels 1 ... n of each segmentation."""
    fine = list(structures())
    return {
        "seg35": fine,
        "seg24": [name for name in fine if not name.endswith(_NOT_IN_24)],
        "seg4": list(_TISSUES),
    }


def label_lookups() -> Mapping[str, NDArray[np.uint8]]:
    """Tables of 256 entries from FreeSurfer's ids to the labels of each segmentation, 0 where it has none."""
    names, ids = label_names(), structures()
    lookups = {kind: np.zeros(256, np.uint8) for kind in names}
    for name, number in ids.items():
        for kind in ("seg35", "seg24"):
            if name in names[kind]:
                lookups[kind][number] = names[kind].index(name) + 1
        lookups["seg4"][number] = _tissue(name)
    return lookups


def _tissue(name: str) -> int:
    if name.endswith("Cortex"):
        return 1
    if name.endswith(_WHITE):
        return 3
    return 4 if name.endswith(_FLUID) else 2


def table_text(names: list[str]) -> str:
    """A colour table as FreeSurfer's: id, name, red, green, blue, alpha; 0 is the background."""
    rows = [f"{0:<4d}{'Unknown':<36s}{0:>4d}{0:>4d}{0:>4d}{0:>4d}\n"]
    for number, name in enumerate(names, start=1):
        red, green, blue = (number * step % 206 + 50 for step in (67, 131, 29))
        rows.append(f"{number:<4d}{name:<36s}{red:>4d}{green:>4d}{blue:>4d}{0:>4d}\n")
    return "".join(rows)
