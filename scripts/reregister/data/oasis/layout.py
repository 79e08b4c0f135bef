"""neurite-OASIS v1.0 as its archives lay it out: a list of subjects, label tables, a folder each (datasets.md section 3)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reregister.data.archive import Archive
from reregister.errors import ReregisterError

SUBJECTS = "subjects.txt"


@dataclass(frozen=True)
class Form:
    """One of the two forms in which the data are published.

    archive: its official name. images: file stems by the kind that is asked for. labels: file stem of the label maps;
    table: of their names. original: what the original holds: subjects, labels, and the shape of an image.
    """

    archive: str
    images: Mapping[str, str]
    labels: str
    table: str
    original: Mapping[str, Any]

    @property
    def ndim(self) -> int:
        """Number of axes of an image."""
        return len(self.original["shape"])


VOLUMES = Form(
    archive="neurite-oasis.v1.0.tar",
    images={"norm": "aligned_norm", "orig": "aligned_orig"},
    labels="aligned_seg35",
    table="seg35_labels.txt",
    original={"subjects": 414, "labels": 35, "shape": (160, 192, 224)},
)
#: One coronal slice of each aligned volume; the archive of volumes holds the same files.
SLICES = Form(
    archive="neurite-oasis.2d.v1.0.tar",
    images={"norm": "slice_norm", "orig": "slice_orig"},
    labels="slice_seg24",
    table="seg24_labels.txt",
    original={"subjects": 414, "labels": 24, "shape": (160, 192)},
)

_TABLE_ROW = re.compile(r"\s*(\d+)[\s,]+([^\s,]+)(?:[\s,].*)?")


def find_subjects(archive: Archive, form: Form, kinds: Sequence[str]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Members by subject, in the order of subjects.txt, and file stem; and what is to be said of the list.

    kinds: of the form's images. A subject of the list of which there is no file is reported, and so is one that is not listed.
    Raises ReregisterError where subjects.txt is missing or lists none that is there, and a subject lacks a file.
    """
    listed, top = _listed(archive)
    stems = (*(form.images[kind] for kind in kinds), form.labels)
    found: dict[str, dict[str, str]] = {}
    pattern = re.compile(rf"{re.escape(top)}([^/]+)/({'|'.join(stems)})\.nii(?:\.gz)?")
    for name in archive.names:
        if match := pattern.fullmatch(name):
            found.setdefault(match[1], {})[match[2]] = name
    report = []
    if absent := [subject for subject in listed if subject not in found]:
        report.append(f"{len(absent)} of the {len(listed)} subjects of {SUBJECTS} are not there: {_some(absent)}")
    if unlisted := sorted(found.keys() - set(listed)):
        report.append(f"{len(unlisted)} subjects are not in {SUBJECTS} and are left out: {_some(unlisted)}")
    subjects = {subject: found[subject] for subject in listed if subject in found}
    if not subjects:
        raise ReregisterError(
            f"The OASIS data hold no subject of {SUBJECTS}; check that {form.archive} or its extracted folder is named."
        )
    for subject, own in subjects.items():
        if lacking := [f"{stem}.nii.gz" for stem in stems if stem not in own]:
            raise ReregisterError(
                f"{subject} lacks {' and '.join(lacking)}; check that the archive or folder is complete."
            )
    return subjects, report


def _listed(archive: Archive) -> tuple[list[str], str]:
    """Subjects of subjects.txt, sorted, and the folder that holds it, with a slash where it is not the top."""
    name = _table(archive, SUBJECTS)
    lines = [line.strip().rstrip("/") for line in _text(archive, name).splitlines()]
    listed = sorted({line for line in lines if line})
    return listed, name.removesuffix(SUBJECTS)


def read_labels(archive: Archive, form: Form) -> dict[int, str]:
    """Names of the labels by id, of the form's table: lines of id, name and colour; id 0 is the background.

    Raises ReregisterError for a missing table, a line that is none, no label, ids above 255 and an id or name twice.
    """
    name = _table(archive, form.table)
    labels: dict[int, str] = {}
    for number, line in enumerate(_text(archive, name).splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _TABLE_ROW.fullmatch(line)
        if match is None or int(match[1]) > 255:
            raise ReregisterError(
                f"Line {number} of {name} is {line.strip()!r}; an id up to 255, a name and a colour are needed."
            )
        if int(match[1]) in labels or match[2] in labels.values():
            raise ReregisterError(f"Line {number} of {name} repeats an id or a name: {line.strip()!r}; correct it.")
        if int(match[1]) > 0:
            labels[int(match[1])] = match[2]
    if not labels:
        raise ReregisterError(f"{name} has no label; fetch it again.")
    return labels


def _table(archive: Archive, name: str) -> str:
    found = [member for member, _ in archive.find(re.escape(name))]
    if not found:
        raise ReregisterError(f"The OASIS data lack {name}; check that the archive or folder is complete.")
    return min(found, key=lambda member: (member.count("/"), member))


def _text(archive: Archive, name: str) -> str:
    try:
        return archive.read(name).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReregisterError(f"{name} is no text file ({error}); fetch it again.") from error


def check_counts(subjects: int, labels: int, shape: Sequence[int], expect: Mapping[str, Any]) -> list[str]:
    """Deviations from what is expected, as clauses. shape: of the stored images. expect: keys as in `Form.original`."""
    deviations = []
    for name, count in (("subjects", subjects), ("labels", labels)):
        if name in expect and count != expect[name]:
            deviations.append(f"there are {count} {name}, not {expect[name]}")
    if "shape" in expect and tuple(shape) != tuple(expect["shape"]):
        deviations.append(f"images have shape {tuple(shape)}, not {tuple(expect['shape'])}")
    return deviations


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
