"""The 45 cases of the Sunnybrook Cardiac Data: their ids, slices and cine series (datasets.md section 4)."""

from dataclasses import dataclass

#: Slices of each case by group, in the order of the official table (luchpa's unit tests, see datasets.md 4.3).
_GROUPS: dict[str, tuple[str, dict[int, int]]] = {
    "SC-HF-I": (
        "Heart failure with infarct",
        {1: 12, 2: 13, 4: 10, 5: 11, 6: 11, 7: 8, 8: 12, 9: 14, 10: 13, 11: 12, 12: 12, 40: 11},
    ),
    "SC-HF-NI": (
        "Heart failure without infarct",
        {3: 12, 4: 11, 7: 13, 11: 12, 12: 14, 13: 11, 14: 14, 15: 11, 31: 14, 33: 12, 34: 13, 36: 18},
    ),
    "SC-HYP": (
        "Hypertrophy",
        {1: 9, 3: 8, 6: 10, 7: 12, 8: 12, 9: 12, 10: 9, 11: 14, 12: 9, 37: 11, 38: 12, 40: 16},
    ),
    "SC-N": ("Normal", {2: 9, 3: 20, 5: 8, 6: 10, 7: 12, 9: 10, 10: 12, 11: 9, 40: 12}),
}
#: Cases with several cines, and the SeriesNumber of the short-axis stack to take.
PICKED: dict[str, tuple[int, ...]] = {
    "SC-HF-I-1": (300,),
    "SC-HF-I-2": (300,),
    "SC-HYP-1": (600,),
    "SC-HYP-3": (303,),
    "SC-HYP-38": (400,),
    "SC-HYP-40": (404,),
    "SC-N-40": (1100,),
    "SC-HYP-6": (1000,),
    "SC-HYP-7": (1200,),
    "SC-HYP-8": (1200,),
    "SC-N-6": (303,),
    "SC-HF-NI-14": (303,),
    "SC-N-9": (302,),
    "SC-N-10": (300,),
    "SC-HF-NI-36": (400, 401, 402),
}
#: The one case whose last slice lacks frames: 218 images of 11 slices.
INCOMPLETE = "SC-HYP-37"
MISSING_FRAMES = 2


@dataclass(frozen=True)
class Case:
    """One patient: row of the table from 0, ids, pathology, number of slices, picked series, and one not to be picked."""

    row: int
    name: str
    group: str
    pathology: str
    slices: int
    series: tuple[int, ...]
    decoy: int | None

    @property
    def patient(self) -> str:
        """Folder of the images, `SCD0000101` for `SC-HF-I-1`."""
        return f"SCD{self.row + 1:05d}01"

    @property
    def contour_folder(self) -> str:
        """Folder of the contours, `SC-HF-I-01` for `SC-HF-I-1`."""
        stem, number = self.name.rsplit("-", 1)
        return f"{stem}-{int(number):02d}"


def cases() -> list[Case]:
    """All 45 cases in the order of `scd_patientdata.csv`."""
    found: list[Case] = []
    for group, (pathology, slices) in _GROUPS.items():
        for number, count in slices.items():
            name = f"{group}-{number}"
            series = PICKED.get(name, (4 if len(found) % 2 else 300,))
            # The three series of one case are all picked; the other cases named above have one cine too many.
            decoy = series[0] + 1 if name in PICKED and len(series) == 1 else None
            found.append(Case(len(found), name, group, pathology, count, series, decoy))
    return found
