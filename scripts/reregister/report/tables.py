"""Tables as a page shows them: numbers in few digits, a value with its interval in one cell, names for people."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Columns that are text even where they look like a number.
TEXT = ("group", "method", "device", "reference", "metric", "role", "note", "claim", "quantity", "unit", "said")
# Headers for people. What is not listed is shown with blanks for underscores.
LABELS = {
    "ncc": "NCC",
    "ncc_before": "NCC before",
    "ncc_gain": "NCC gain",
    "mse": "mean squared error",
    "mae": "mean absolute error",
    "ssim": "SSIM",
    "ssim_sd": "SD of SSIM",
    "ssim_gain": "SSIM gain",
    "ssim_raw": "SSIM, raw intensities / 255",
    "ssim_raw_sd": "SD of SSIM, raw intensities / 255",
    "ssim_foreground": "SSIM of the foreground",
    "ssim_foreground_sd": "SD of SSIM of the foreground",
    "field_error_mean": "mean field error",
    "dice": "Dice",
    "dice_gain": "Dice gain",
    "dice_sd": "SD of Dice",
    "fold_share": "folded share",
    "min_det": "smallest det J",
    "mean_det": "mean det J",
    "mean_det_sd": "SD of mean det J over the pairs",
    "std_det": "SD of det J within the image",
    "max_displacement": "largest displacement",
    "field_sd": "SD of the displacement within the image",
    "smoothness": "smoothness term",
    "uncovered": "share of the target not covered",
    "lr": "learning rate",
    "validation_loss": "validation loss at the end",
    "validation_rank": "place by validation loss",
    "test_rank": "place by the test pairs",
    "sdlogj": "SD of log det J",
    "empty_labels": "cases with an empty label",
    "tre_mm": "TRE, mm",
    "tre_voxels": "TRE, voxels",
    "dice_all_labels": "Dice, all labels",
    "folds_percent": "folds, %",
    "left_out": "cases left out",
    "dice_minus_trained": "Dice minus that of the trained network",
    "mean_displacement": "mean displacement",
    "zeros_percent": "weights that are 0, %",
    "zeros_marked_percent": "weights of the summands that are 0, %",
    "dice_change": "change in Dice",
    "times_faster": "times faster",
    "times_smaller": "times smaller",
    "field_error_p95": "95th percentile of the field error",
    "gmac": "GMAC at this size",
    "gmac_full": "GMAC at the paper's size",
    "step_ms": "step, ms",
    "sample_ms": "computing one pair, ms",
    "read_archive_ms": "reading one pair from the archive, ms",
    "read_store_ms": "reading one pair from the store, ms",
    "register_ms": "registration, ms",
    "memory_1_mb": "peak memory at batch 1, MB",
    "memory_mb": "peak memory at its batch, MB",
    "largest_batch": "largest batch that fits",
    "loss_equal_samples": "loss at equal samples",
    "equal_samples": "samples",
    "loss_equal_steps": "loss at equal updates",
    "equal_steps": "updates",
    "loss_equal_seconds": "loss at equal seconds",
    "equal_seconds": "seconds of steps",
    "loss_last": "last loss",
    "loss_last_epoch": "mean loss of the last epoch",
    "loss_minimum": "least loss",
    "undefined": "cases without distances",
    "unordered": "pairs, either way counted once",
    "difference": "method minus reference",
    "p_wilcoxon": "p, Wilcoxon by pair",
    "p_wilcoxon_holm": "p, Wilcoxon by pair, Holm",
    "p_t": "p, t test by pair",
    "p_t_holm": "p, t test by pair, Holm",
    "p_wilcoxon_patients": "p, Wilcoxon by patient",
    "p_wilcoxon_patients_holm": "p, Wilcoxon by patient, Holm",
    "p_t_patients": "p, t test by patient",
    "p_t_patients_holm": "p, t test by patient, Holm",
    "smallest_p": "smallest p of Wilcoxon by patient",
    "seconds_median": "median, s",
    "seconds_min": "shortest, s",
    "seconds_max": "longest, s",
    "seconds": "seconds for one pair",
    "parameters": "trainable parameters",
}
LABELS |= {
    f"{name}_{unit}{end}": f"{before}{label}, {unit}"
    for name, label in (
        ("hd95", "HD95 (95SD)"),
        ("hd95_pooled", "HD95 pooled"),
        ("asd", "MAD (ASD)"),
        ("field_error_mean", LABELS["field_error_mean"]),
        ("field_error_p95", LABELS["field_error_p95"]),
    )
    for unit in ("mm", "px")
    for end, before in (("", ""), ("_sd", "SD of "))
}
# Beside a measure, in the tables of protocols.
LABELS |= {
    f"{name}{end}": label + after
    for name, label in list(LABELS.items())
    for end, after in (("_worst", ", worst 30 %"), ("_seed_range", ", range of the seeds"))
    if name.startswith(("ncc", "dice", "field_error_mean")) and name.count("_") < 4
}
INTERVAL = "95 % interval"
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?")


def format_number(text: str) -> str:
    """A number in a table: integers with thousands separators, decimals with four significant digits or to the unit.

    An empty cell is a number that is undefined; what is no number, such as 007, stays as it is.
    """
    if _INTEGER.fullmatch(text):
        return f"{int(text):,}"
    if not _DECIMAL.fullmatch(text):
        return text if text not in ("", "nan") else "undefined"
    value = float(text)
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value or 0.0:.4g}"


def read_table(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a CSV file."""
    with open(path, encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    return header, rows


def shown_table(path: Path) -> dict[str, Any]:
    """A CSV file as columns and rows to show, and its own text for the reader to copy.

    Three columns X, X_low and X_high become one: the value, and its interval as `low to high`. A cell has its `text`,
    its `interval` ("" where there is none) and the full number to sort by (None for text).
    """
    header, rows = read_table(path)
    places = columns_of(header)
    return {
        "columns": [
            {
                "label": LABELS.get(header[place], header[place].replace("_", " ")),
                "interval": INTERVAL if ends else "",
                "number": header[place] not in TEXT,
            }
            for place, ends in places
        ],
        "rows": [[_cell(row, place, ends, header[place] in TEXT) for place, ends in places] for row in rows],
        "csv": path.read_text(encoding="utf-8"),
    }


def columns_of(header: Sequence[str]) -> list[tuple[int, tuple[int, int] | None]]:
    """Place of each column to show, with the places of its interval's ends where it has one."""
    where = {name: place for place, name in enumerate(header)}
    ends = {name: (where[f"{name}_low"], where[f"{name}_high"]) for name in header if _has_interval(name, where)}
    hidden = {place for pair in ends.values() for place in pair}
    return [(place, ends.get(name)) for place, name in enumerate(header) if place not in hidden]


def _has_interval(name: str, names: Any) -> bool:
    return f"{name}_low" in names and f"{name}_high" in names


def _cell(row: Sequence[str], place: int, ends: tuple[int, int] | None, text: bool) -> dict[str, str | None]:
    value = row[place]
    low, high = (format_number(row[end]) for end in ends) if ends else ("", "")
    return {
        "text": value if text else format_number(value),
        "interval": f"{low} to {high}" if ends and {low, high} != {"undefined"} else "",
        "sort": value if not text and _DECIMAL.fullmatch(value) else None,
    }
