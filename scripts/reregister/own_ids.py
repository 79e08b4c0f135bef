"""The user's own lists of ids, in the configuration or in files beside it."""

from pathlib import Path

from reregister.errors import ReregisterError


def read_ids(value: list[str] | str, key: str, place: str) -> list[str]:
    """Ids of one role: the list itself, or the lines of the text file that `value` is the path of, `~` spelt out.

    key, place: the configuration's key and where it was set. Raises ReregisterError where a file is missing or no text.
    """
    if isinstance(value, list):
        return value
    path = Path(value).expanduser()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = "does not exist" if not path.exists() else f"cannot be read ({error})"
        raise ReregisterError(
            f"{place}: key {key} is {value}, which {why}; allowed is a list of ids, or a text file with one id a line"
        ) from error
    return [line.strip() for line in lines if line.strip()]
