"""IBSR V2.0 as its archive lays it out: 18 subjects, six kinds of volumes each, ids of FreeSurfer (datasets.md section 2)."""

from collections.abc import Mapping, Sequence
from typing import Any

from reregister.data.archive import Archive
from reregister.errors import ReregisterError

#: The kinds that are read. All six are `ana`, `ana_strip`, `ana_brainmask`, `seg_ana`, `segTRI_ana`, `segTRI_fill_ana`.
STRIP, MASK, LABELS = "ana_strip", "ana_brainmask", "seg_ana"
KINDS = (STRIP, MASK, LABELS)

#: Structures of `seg_ana` [ChristianGaser/cat12 templates_MNI152NLin2009cAsym/ibsr.csv].
NAMES: Mapping[int, str] = {
    2: "left cerebral white matter",
    3: "left cerebral cortex",
    4: "left lateral ventricle",
    5: "left inferior lateral ventricle",
    7: "left cerebellum white matter",
    8: "left cerebellum cortex",
    10: "left thalamus",
    11: "left caudate",
    12: "left putamen",
    13: "left pallidum",
    14: "third ventricle",
    15: "fourth ventricle",
    16: "brain stem",
    17: "left hippocampus",
    18: "left amygdala",
    24: "CSF",
    26: "left accumbens",
    28: "left ventral DC",
    41: "right cerebral white matter",
    42: "right cerebral cortex",
    43: "right lateral ventricle",
    44: "right inferior lateral ventricle",
    46: "right cerebellum white matter",
    47: "right cerebellum cortex",
    49: "right thalamus",
    50: "right caudate",
    51: "right putamen",
    52: "right pallidum",
    53: "right hippocampus",
    54: "right amygdala",
    58: "right accumbens",
    60: "right ventral DC",
}
#: Structures that all 18 subjects have [omarocegueda/experiments registration/IBSR18/common_labels.txt].
COMMON = tuple(number for number in NAMES if number != 24)

#: What the original holds: subjects, and the shape of their volumes, canonical axes.
ORIGINAL: Mapping[str, Any] = {"subjects": 18, "shape": (256, 128, 256)}


def find_subjects(archive: Archive) -> dict[str, dict[str, str]]:
    """Members by subject (`IBSR_01`), sorted, and kind; wherever the archive's inner folder lies.

    Raises ReregisterError where there is no subject, a subject lacks one of `KINDS`, or has a file twice.
    """
    found: dict[str, dict[str, str]] = {}
    for kind in KINDS:
        for name, match in archive.find(rf"(IBSR_\d\d)_{kind}\.nii(?:\.gz)?"):
            if kind in (own := found.setdefault(match[1], {})):
                raise ReregisterError(
                    f"{match[1]} has two files of {kind}, {own[kind]} and {name}; one of them must go."
                )
            own[kind] = name
    if not found:
        raise ReregisterError(
            "The IBSR data hold no subject (IBSR_01_ana_strip.nii.gz and its siblings); check that the archive "
            "IBSR_V2.0_nifti_stripped.tgz or its extracted folder is named."
        )
    for subject, own in found.items():
        if lacking := [f"{subject}_{kind}.nii.gz" for kind in KINDS if kind not in own]:
            raise ReregisterError(
                f"{subject} lacks {' and '.join(lacking)}; check that the archive or folder is complete."
            )
    return dict(sorted(found.items()))


def check_counts(subjects: int, shapes: Mapping[str, Sequence[int]], expect: Mapping[str, Any] = ORIGINAL) -> list[str]:
    """Deviations from what the original holds, as clauses. shapes: of the stored volumes by subject."""
    deviations = []
    if "subjects" in expect and subjects != expect["subjects"]:
        deviations.append(f"there are {subjects} subjects, not {expect['subjects']}")
    if "shape" in expect:
        wanted = tuple(expect["shape"])
        odd = [subject for subject, shape in shapes.items() if tuple(shape) != wanted]
        if odd:
            found = f"{tuple(shapes[odd[0]])} in {odd[0]}"
            deviations.append(f"the volumes of {len(odd)} subjects have not shape {wanted} but {found}")
    return deviations
