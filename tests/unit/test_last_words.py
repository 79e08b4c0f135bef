"""The end of a job's log: the error it names, told apart from the lines before it."""

from pathlib import Path

import pytest

from reregister.last_words import LOG_LINES, last_words

TRACEBACK = [
    "Traceback (most recent call last):",
    '  File "loop.py", line 3, in run',
    "    step()",
    "    ^^^^^^",
]


def log(folder: Path, *lines: str) -> Path:
    path = folder / "job.log"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_the_sentence_for_the_user_is_taken_out_of_the_lines(tmp_path: Path) -> None:
    assert last_words(log(tmp_path, "one", "", "two", "error: no labels; add them")) == (
        "no labels; add them",
        ["one", "two"],
    )


def test_the_exception_under_the_last_traceback(tmp_path: Path) -> None:
    lines = ["begun", *TRACEBACK, "KeyError: 'first'", "During handling of it:", *TRACEBACK, "ValueError: bad", "more"]
    error, tail = last_words(log(tmp_path, *lines), count=100)
    assert error == "ValueError: bad"
    assert tail == [line for line in lines if line != "ValueError: bad"]


@pytest.mark.parametrize("last", ["error: of the door", "RuntimeError: of Python"])
def test_the_later_of_both_kinds_counts(last: str, tmp_path: Path) -> None:
    door, python = ["error: of the door"], [*TRACEBACK, "RuntimeError: of Python"]
    lines = [*python, *door] if last.startswith("error") else [*door, *python]
    assert last_words(log(tmp_path, *lines))[0] == last.removeprefix("error: ")


def test_only_the_last_lines_are_kept(tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(50)]
    assert last_words(log(tmp_path, *lines, "error: full")) == ("full", lines[-LOG_LINES:])
    assert last_words(log(tmp_path, *lines)) == ("", lines[-LOG_LINES:])


def test_control_characters_and_states_of_a_bar(tmp_path: Path) -> None:
    path = tmp_path / "job.log"
    path.write_bytes(b"\x1b[31mred\x1b[0m\n 10%\r 20%\r\nbell\x07\x00\ta\n\xff\xfe\nerror: \x1b[1mbold\x1b[0m\n")
    error, tail = last_words(path)
    assert (error, tail[:4]) == ("bold", ["red", " 10%", " 20%", "bell    a"])
    assert all(line.isprintable() for line in tail)


def test_of_a_long_log_the_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "job.log"
    path.write_text("error: of long ago\n" + "x" * 70_000 + "\nlast\n", encoding="utf-8")
    error, tail = last_words(path)
    assert (error, tail[-1]) == ("", "last")


def test_no_log_says_nothing(tmp_path: Path) -> None:
    assert last_words(tmp_path / "absent.log") == ("", [])
    assert last_words(log(tmp_path)) == ("", [])
