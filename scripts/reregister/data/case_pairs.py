"""The two readings of the deep prior's pairs as rules of pairing: within each case, and from case to case (papers.md 7.1)."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from reregister.data.pair_rules import Drawn, PairRule
from reregister.data.tcga_lgg import pairs as readings
from reregister.errors import ReregisterError

_NEEDED = ("slice", *readings.SLICE_RULES.values())


def _rule(name: str, pair: Callable[[pd.DataFrame, str], pd.DataFrame]) -> PairRule:
    def rows(subjects: pd.DataFrame, roles: pd.Series, rule: Mapping[str, Any], seed: int, labelled: set[str]) -> Drawn:
        if missing := [column for column in _NEEDED if column not in subjects]:
            raise ReregisterError(
                f"The pairing rule {rule['name']} needs images with the column {missing[0]}, which this dataset has not."
            )
        members = subjects[roles == rule["split"]]
        table = pair(members, rule.get("slice", "largest_tumour"))
        places = pd.Series(np.arange(len(subjects)), subjects["id"])
        if len(table):
            yield name, places[table["moving"]].to_numpy(), places[table["fixed"]].to_numpy()

    return rows


#: {slice}: within each case, its chosen slice and the next one; there is one pair a case.
adjacent_slices = _rule("adjacent slices", readings.adjacent_slices)
#: {slice}: from each case to the next in the order of their names, each by its chosen slice.
consecutive_cases = _rule("consecutive cases", readings.consecutive_cases)
