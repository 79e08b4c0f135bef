"""Tables and origins of data as pages show them."""

from pathlib import Path

import pytest

from reregister.provenance.files import write_text
from reregister.report import origins, tables


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0", "0"),
        ("-12", "-12"),
        ("60000", "60,000"),
        ("12345678901234567890", "12,345,678,901,234,567,890"),
        ("80.0", "80"),
        ("0.123456", "0.1235"),
        ("-0.9999999", "-1"),
        ("-0.0", "0"),
        ("1234.567", "1,235"),
        ("60000.0", "60,000"),
        ("4.516e-08", "4.516e-08"),
        ("1e-05", "1e-05"),
        ("1e+20", "1e+20"),
        ("", "undefined"),
        ("nan", "undefined"),
        # Names that Python would take for numbers.
        ("007", "007"),
        ("inf", "inf"),
        ("1_000", "1_000"),
        ("٣", "٣"),
        (" 1", " 1"),
        ("Affine (elastix)", "Affine (elastix)"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_format_number(text: str, shown: str) -> None:
    assert tables.format_number(text) == shown


def table(folder: Path, text: str) -> dict:
    write_text(folder / "table.csv", text)
    return tables.shown_table(folder / "table.csv")


def test_value_and_interval_share_a_cell_and_the_text_stays(tmp_path: Path) -> None:
    text = "method,ncc,ncc_low,ncc_high,cases\nA,0.98765432,0.9,0.99,8\nB,,,,0\n"
    shown = table(tmp_path, text)
    assert [(c["label"], c["interval"], c["number"]) for c in shown["columns"]] == [
        ("method", "", False),
        ("NCC", "95 % interval", True),
        ("cases", "", True),
    ]
    assert shown["rows"][0][1] == {"text": "0.9877", "interval": "0.9 to 0.99", "sort": "0.98765432"}
    assert shown["rows"][1][1] == {"text": "undefined", "interval": "", "sort": None}
    assert shown["rows"][0][0] == {"text": "A", "interval": "", "sort": None}
    assert shown["csv"] == text


def test_an_end_alone_or_of_another_column_is_a_column(tmp_path: Path) -> None:
    shown = table(tmp_path, "a,a_low,b_low,b_high,seconds_min,of_low,of,of_high\n1,2,3,4,5,6,7,8\n")
    assert [c["label"] for c in shown["columns"]] == ["a", "a low", "b low", "b high", "shortest, s", "of"]
    assert [cell["text"] for cell in shown["rows"][0]] == ["1", "2", "3", "4", "5", "7"]
    assert shown["rows"][0][5]["interval"] == "6 to 8"


def test_half_an_interval_says_which_half(tmp_path: Path) -> None:
    shown = table(tmp_path, "x,x_low,x_high\n1,0.5,\n")
    assert shown["rows"][0][0]["interval"] == "0.5 to undefined"


def test_a_group_is_text_and_is_not_sorted_as_a_number(tmp_path: Path) -> None:
    shown = table(tmp_path, "group,device,n\n007,1e3,1e3\n")
    assert [(cell["text"], cell["sort"]) for cell in shown["rows"][0]] == [
        ("007", None),
        ("1e3", None),
        ("1,000", "1e3"),
    ]


def test_origins_have_a_text(tmp_path: Path) -> None:
    source = tmp_path / "mnist" / "source.csv"
    write_text(source, f"member,bytes,sha256,origin\nx.gz,3,{'a' * 64},synthetic\n")
    assert origins.origin_text("original-verified") == "the original files, verified by their published checksum"
    assert "no checksum is published" in origins.origin_text("original-first-use")
    assert "not the data of the paper" in origins.origin_text("synthetic")
    assert "in the place of the paper's" in origins.origin_text("substitute")
    assert origins.origin_text("subset 16/100") == "16 of the 100 originals"
    for wrong in ("", "subset", "original", "subset 3/x"):
        with pytest.raises(KeyError):
            origins.origin_text(wrong)
    with open(source, "a", encoding="utf-8") as file:
        file.write(f"y.gz,4,{'b' * 64},substitute\n")
    found = origins.data_origin(source)
    assert (found["name"], found["origins"]) == ("mnist", ["substitute", "synthetic"])
    assert found["what"].startswith("substitute: other data in the place of the paper's; synthetic: ")
    assert [file["member"] for file in found["files"]] == ["x.gz", "y.gz"]
