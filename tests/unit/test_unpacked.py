"""A dataset that lies unpacked, in whole or in part: which files are its own, and of how many cases."""

from pathlib import Path

import pytest

from reregister.config import read_yaml
from reregister.data.unpacked import cases_in, subset_name, unpacked_files

PROJECT = Path(__file__).resolve().parents[2]
DATASETS = read_yaml(PROJECT / "config" / "datasets.yaml")
SCD = DATASETS["scd"]
FILES, UNPACKED = SCD["files"], SCD["unpacked"]
IMAGE = "SCD_IMAGES_01/SCD0000101/CINESAX_300/IM-0003-0001.dcm"
CONTOUR = "SCD_ManualContours/SC-HF-I-01/contours-manual/IRCCI-expert/IM-0001-0048-icontour-manual.txt"
OTHERS = [
    "README.txt",
    "SCD_IMAGES_01/SCD0000101/CINELAX_301/IM-0003-0001.dcm",
    "SCD_IMAGES_01/SCD0000101/CINESAX_300/thumbs.db",
    "SCD_IMAGES_01/SCD101/CINESAX_300/IM-0003-0001.dcm",
    "SCD_ManualContours/SC-HF-I-01/contours-auto/FULL/IM-0001-0048-icontour-auto.txt",
    "scd_patientdata.csv.bak",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "any" / "where"


def fill(folder: Path, *names: str) -> list[Path]:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return sorted(folder / name for name in names)


@pytest.mark.parametrize("below", ["", "deep/er"])
def test_files_of_a_dataset_are_found_and_no_others(folder: Path, below: str) -> None:
    own = [IMAGE, IMAGE.replace("0001.dcm", "0240.dcm"), CONTOUR, CONTOUR.replace("icontour", "ocontour")]
    fill(folder / below, *OTHERS)
    expected = fill(folder / below, *own, "scd_patientdata.csv")
    assert unpacked_files(folder, FILES, UNPACKED) == expected


def test_what_the_folder_itself_is_called_has_no_say(tmp_path: Path) -> None:
    # A case's folder given as the path leaves its files without the case's name.
    case = tmp_path / "SCD0000101" / "CINESAX_300"
    fill(case, "IM-0003-0001.dcm")
    assert unpacked_files(case, FILES, UNPACKED) == []
    assert unpacked_files(tmp_path, FILES, UNPACKED) == [case / "IM-0003-0001.dcm"]


def test_archives_may_lie_beside_unpacked_files(folder: Path) -> None:
    names = [file["name"] for file in FILES]
    expected = fill(folder, IMAGE, names[1], names[-1], "other.zip")
    assert unpacked_files(folder, FILES, UNPACKED) == [path for path in expected if path.name != "other.zip"]


def test_a_table_or_contours_alone_are_no_dataset(folder: Path) -> None:
    fill(folder, CONTOUR, "scd_patientdata.csv", *OTHERS)
    assert unpacked_files(folder, FILES, UNPACKED) == []
    fill(folder, IMAGE)
    assert len(unpacked_files(folder, FILES, UNPACKED)) == 3


def test_cases_are_counted_once_in_archives_and_folders() -> None:
    names = [
        "SCD0000101/CINESAX_300/IM-0003-0001.dcm",
        "SCD0000101/CINESAX_300/IM-0003-0002.dcm",
        Path("x/SCD0000101/CINESAX_301/IM-0003-0002.dcm"),
        Path("/abs/SCD0000201/CINESAX_300/IM-0003-0002.dcm"),
        *OTHERS,
        CONTOUR,
    ]
    assert cases_in(names, UNPACKED) == 2
    assert cases_in([], UNPACKED) == 0
    assert subset_name(names, UNPACKED) == "subset 2/45"


def test_all_cases_are_no_subset() -> None:
    names = [f"SCD{number:07d}/CINESAX_300/IM-0003-0001.dcm" for number in range(45)]
    assert subset_name(names, UNPACKED) is None
    assert subset_name(names[1:], UNPACKED) == "subset 44/45"


def test_real_cases(samples: Path) -> None:
    found = unpacked_files(samples / "scd", FILES, UNPACKED)
    assert subset_name(found, UNPACKED) == "subset 3/45"
    names = [path.name for path in found]
    assert names.count("scd_patientdata.csv") == 1
    everything = {path for path in (samples / "scd").rglob("*") if path.is_file()}
    # Nothing that the reader would want is left out.
    assert {path.suffix for path in everything - set(found)} <= {".md", ".xml", ".json"}


@pytest.mark.parametrize(
    ("dataset", "own", "others", "subset"),
    [
        (
            "ibsr",
            [
                "IBSR_nifti_stripped/IBSR_07/IBSR_07_ana_strip.nii.gz",
                "IBSR_nifti_stripped/IBSR_07/IBSR_07_ana_brainmask.nii.gz",
                "IBSR_07_seg_ana.nii",
                "x/IBSR_18/IBSR_18_seg_ana.nii.gz",
            ],
            ["IBSR_07/IBSR_07_ana.nii.gz", "IBSR_07/IBSR_07_segTRI_ana.nii.gz", "IBSR_7_seg_ana.nii.gz", "README.txt"],
            "subset 2/18",
        ),
        (
            "oasis",
            [
                "subjects.txt",
                "seg35_labels.txt",
                "OASIS_OAS1_0001_MR1/aligned_norm.nii.gz",
                "OASIS_OAS1_0001_MR1/aligned_orig.nii.gz",
                "deep/er/OASIS_OAS1_0457_MR1/aligned_seg35.nii.gz",
            ],
            ["OASIS_OAS1_0001_MR1/norm.nii.gz", "OASIS_OAS1_0001_MR1/slice_norm.nii.gz", "seg4_labels.txt"],
            "subset 2/414",
        ),
        (
            "oasis_2d",
            [
                "subjects.txt",
                "seg24_labels.txt",
                "OASIS_OAS1_0001_MR1/slice_norm.nii.gz",
                "OASIS_OAS1_0001_MR1/slice_orig.nii.gz",
                "deep/er/OASIS_OAS1_0457_MR1/slice_seg24.nii.gz",
            ],
            ["OASIS_OAS1_0001_MR1/aligned_norm.nii.gz", "OASIS_OAS1_0001_MR1/slice_seg4.nii.gz", "seg35_labels.txt"],
            "subset 2/414",
        ),
    ],
)
def test_a_part_of_the_heads(folder: Path, dataset: str, own: list[str], others: list[str], subset: str) -> None:
    files, unpacked = DATASETS[dataset]["files"], DATASETS[dataset]["unpacked"]
    fill(folder, *others)
    assert unpacked_files(folder, files, unpacked) == []
    expected = fill(folder, *own)
    assert unpacked_files(folder, files, unpacked) == expected
    assert subset_name(expected, unpacked) == subset
