"""The 110 cases of the LGG segmentation set and how many slices each has (datasets.md section 5)."""

from collections.abc import Mapping, Sequence
from typing import Any

#: By site: `id_date:slices`, counted in the list of checksums.
_SLICES = {
    "CS": """
        4941_19960909:23 4942_19970222:20 4943_20000902:20 4944_20010208:20 5393_19990606:20
        5395_19981004:20 5396_20010302:24 5397_20010315:22 6186_20000601:25 6188_20010812:24
        6290_20000917:20 6665_20010817:24 6666_20011109:26 6667_20011105:20 6668_20011025:28
        6669_20020102:22
    """,
    "DU": """
        5849_19950405:38 5851_19950428:40 5852_19950709:36 5853_19950823:36 5854_19951104:36
        5855_19951217:26 5871_19941206:36 5872_19950223:71 5874_19950510:38 6399_19830416:53
        6400_19830518:57 6401_19831001:51 6404_19850629:53 6405_19851005:60 6407_19860514:58
        6408_19860521:56 7008_19830723:52 7010_19860307:58 7013_19860523:49 7014_19860618:60
        7018_19911220:36 7019_19940908:38 7294_19890104:34 7298_19910324:32 7299_19910417:36
        7300_19910814:36 7301_19911112:35 7302_19911203:36 7304_19930325:36 7306_19930512:42
        7309_19960831:40 8162_19961029:37 8163_19961119:37 8164_19970111:37 8165_19970205:36
        8166_19970322:36 8167_19970402:37 8168_19970503:36 A5TP_19970614:38 A5TR_19970726:38
        A5TS_19970726:35 A5TT_19980318:56 A5TU_19980312:23 A5TW_19980228:31 A5TY_19970709:36
    """,
    "EZ": """
        7264_20010816:24
    """,
    "FG": """
        5962_20000626:51 5964_20010511:26 6688_20020215:36 6689_20020326:48 6690_20020226:60
        6691_20020405:48 6692_20020606:26 7634_20000128:27 7637_20000922:51 7643_20021104:48
        8189_20030516:60 A4MT_20020212:50 A4MU_20030903:36 A60K_20040224:73
    """,
    "HT": """
        7473_19970826:32 7475_19970918:32 7602_19951103:20 7605_19950916:32 7608_19940304:28
        7616_19940813:30 7680_19970202:21 7684_19950816:25 7686_19950629:20 7690_19960312:24
        7692_19960724:20 7693_19950520:21 7694_19950404:21 7855_19951020:21 7856_19950831:32
        7860_19960513:22 7874_19950902:20 7877_19980917:30 7879_19981009:28 7881_19981015:80
        7882_19970125:32 7884_19980913:20 8018_19970411:20 8105_19980826:32 8106_19970727:22
        8107_19980708:20 8111_19980330:22 8113_19930809:21 8114_19981030:22 8563_19981209:23
        A5RC_19990831:32 A616_19991226:28 A61A_20000127:88 A61B_19991127:88
    """,
}

#: Slices of every case, `TCGA_<site>_<id>_<date>`, in sorted order.
SLICES: Mapping[str, int] = {
    f"TCGA_{site}_{case}": int(count)
    for site, rows in _SLICES.items()
    for case, count in (row.split(":") for row in rows.split())
}
#: Slices in which the mask is not empty, in all cases together.
TUMOUR_SLICES = 1373
#: sha256 of the list `kaggle_3m.sha256`, which has one line for each of the 7,858 TIFFs.
LIST_SHA256 = "6d8a44981e5a38f5df6fd75ba252b530608ded8c875204a83532d09e27463dfd"

#: What the original holds.
ORIGINAL: Mapping[str, Any] = {"shape": (256, 256), "slices": SLICES, "tumour_slices": TUMOUR_SLICES}


def check_counts(
    slices: Mapping[str, int], shape: Sequence[int] | None = None, expect: Mapping[str, Any] = ORIGINAL
) -> list[str]:
    """Deviations from the original's cases, their slices and the image size, as clauses.

    slices: slices by case; shape: (H, W), None leaves it unchecked; expect: keys `shape` and `slices` as in `ORIGINAL`,
    each optional. An empty list means none. What to make of them is the caller's.
    """
    deviations = []
    if shape is not None and "shape" in expect and tuple(shape) != tuple(expect["shape"]):
        deviations.append(f"images have {_times(shape)} pixels, not {_times(expect['shape'])}")
    if "slices" not in expect:
        return deviations
    wanted = expect["slices"]
    if absent := [case for case in wanted if case not in slices]:
        present = f"{len(wanted) - len(absent)} of {len(wanted)} cases"
        deviations.append(f"there are {present}, without {listing(absent)}")
    if foreign := [case for case in slices if case not in wanted]:
        deviations.append(f"there are cases that the original has not: {listing(foreign)}")
    if unlike := [case for case in slices if case in wanted and slices[case] != wanted[case]]:
        first = f"{unlike[0]} has {slices[unlike[0]]} slices, not {wanted[unlike[0]]}"
        deviations.append(first + (f"; {len(unlike)} cases differ so" if len(unlike) > 1 else ""))
    return deviations


def listing(names: Sequence[str], most: int = 3) -> str:
    """The first names of a list and how many more there are, at least one name."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _times(shape: Sequence[int]) -> str:
    return " x ".join(str(size) for size in shape)
