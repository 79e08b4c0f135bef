"""Both readings of the paper's pairs, as rules on a table of subjects (papers.md 7.1)."""

import pandas as pd

from reregister.errors import ReregisterError

#: Column whose greatest value picks a case's slice. There is no brain extraction: the largest brain is taken to be
#: where the head is largest.
SLICE_RULES = {"largest_tumour": "tumour_area", "largest_brain": "head_area"}


def adjacent_slices(subjects: pd.DataFrame, slice_rule: str = "largest_tumour") -> pd.DataFrame:
    """In each case the chosen slice k is moving and k+1 fixed, or k-1 where there is no k+1.

    subjects: columns id, cluster (the case), slice and the area, as of the reader; rows in any order.
    slice_rule: key of `SLICE_RULES`; of equal areas the lowest number wins.
    Returns columns moving, fixed (ids) and cluster, cases in sorted order. A case without tumour (where the rule is
    `largest_tumour`), and one without a neighbour of k, has no pair. Raises ReregisterError for another rule.
    """
    known = _numbered(subjects)
    ids = dict(zip(zip(known["cluster"], known["slice"], strict=True), known["id"], strict=True))
    pairs = []
    for case, number, moving in chosen_slices(subjects, slice_rule).itertuples(index=False):
        fixed = ids.get((case, number + 1), ids.get((case, number - 1)))
        if fixed is not None:
            pairs.append((moving, fixed, case))
    return pd.DataFrame(pairs, columns=["moving", "fixed", "cluster"], dtype=str)


def consecutive_cases(subjects: pd.DataFrame, slice_rule: str = "largest_tumour") -> pd.DataFrame:
    """Cases in sorted order: case i is moving and case i+1 fixed, each by its chosen slice.

    Arguments, columns and errors as for `adjacent_slices`; n cases with a slice give n - 1 pairs; cluster is that of
    the moving image.
    """
    chosen = chosen_slices(subjects, slice_rule)
    ids, cases = chosen["id"].tolist(), chosen["cluster"].tolist()
    pairs = list(zip(ids[:-1], ids[1:], cases[:-1], strict=True))
    return pd.DataFrame(pairs, columns=["moving", "fixed", "cluster"], dtype=str)


def chosen_slices(subjects: pd.DataFrame, slice_rule: str = "largest_tumour") -> pd.DataFrame:
    """The slice that stands for each case: columns cluster, slice (number) and id, cases in sorted order.

    Arguments as for `adjacent_slices`; a case whose area is 0 in all slices is left out.
    """
    if slice_rule not in SLICE_RULES:
        raise ReregisterError(f"The slice rule {slice_rule!r} is unknown; allowed are {', '.join(SLICE_RULES)}.")
    known = _numbered(subjects)
    area = known[SLICE_RULES[slice_rule]].astype(int)
    ordered = known.assign(area=area)[area > 0].sort_values(["cluster", "area", "slice"], ascending=[True, False, True])
    return ordered.groupby("cluster", sort=True).head(1)[["cluster", "slice", "id"]].reset_index(drop=True)


def _numbered(subjects: pd.DataFrame) -> pd.DataFrame:
    return subjects.assign(slice=subjects["slice"].astype(int))
