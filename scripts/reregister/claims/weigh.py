"""All rows of a paper as tables, those that rest on times apart."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reregister.claims.records import Records
from reregister.claims.rows import CLAIMS, KEPT_APART, NUMBERS, Row, claim_rows, number_rows

_COUNTS = ("order", "cases", "clusters")


def weigh_paper(records: Records, claims: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Tables of a paper's claims file: numbers, apart and claims, and with `timed_` before them those of times.

    numbers: one row for each printed number, with ours where it may stand beside it. apart: ours where it may not, without
    the published number. claims: one row for each claim. `order` is the place in the claims file.
    """
    rows: dict[str, list[Row]] = {
        f"{timed}{name}": [] for timed in ("", "timed_") for name in ("numbers", "apart", "claims")
    }
    for number, apart, timed in number_rows(records, claims["numbers"]):
        before = "timed_" if timed else ""
        rows[f"{before}numbers"].append(number)
        rows[f"{before}apart"] += [apart] if apart else []
    for claim, timed in claim_rows(records, claims["claims"]):
        rows["timed_claims" if timed else "claims"].append(claim)
    columns = {"numbers": NUMBERS, "apart": KEPT_APART, "claims": CLAIMS}
    return {name: _frame(own, columns[name.removeprefix("timed_")]) for name, own in rows.items()}


def _frame(rows: list[Row], columns: tuple[str, ...]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(columns))
    return frame.astype({name: "Int64" for name in _COUNTS if name in columns})
