"""The command `reregister`."""

import argparse
import sys
import time
from pathlib import Path

from reregister.errors import ReregisterError
from reregister.progress import running


def show_progress(run_folder: Path, every: float | None = None) -> int:
    """Print one line for each unfinished job of a run; again `every` so many seconds until interrupted, where given.

    Raises ReregisterError where the folder is no run's.
    """
    if not run_folder.is_dir():
        raise ReregisterError(f"there is no folder {run_folder}; give the folder of a run, such as results/demo")
    told: list[str] = []
    while True:
        lines = [state.line() for state in running(run_folder)] or [f"no job of {run_folder} is running"]
        if lines != told:
            print("\n".join(lines), flush=True)
        if every is None:
            return 0
        told = lines
        try:
            time.sleep(every)
        except KeyboardInterrupt:
            return 0


def _newest_run() -> Path:
    runs = sorted(Path("results").glob("*/run.json"), key=lambda path: path.stat().st_mtime)
    return runs[-1].parent if runs else Path("results", "demo")


def _seconds(text: str) -> float:
    value = float(text)
    # Written so that "nan" is refused too.
    if not 0.1 <= value <= 86_400:
        raise argparse.ArgumentTypeError("give seconds between 0.1 and 86400")
    return value


def main(arguments: list[str] | None = None) -> int:
    """Entry point of the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="reregister", description="Look at and work with runs of reregister.")
    commands = parser.add_subparsers(required=True, metavar="command")
    progress = commands.add_parser("progress", help="show running jobs with their rate and the time left")
    progress.add_argument(
        "run_folder", type=Path, nargs="?", help="folder of the run (default: the newest in results/)"
    )
    progress.add_argument(
        "--watch", type=_seconds, nargs="?", const=5.0, metavar="SECONDS", help="show it again, every 5 s if not said"
    )
    progress.set_defaults(command=lambda options: show_progress(options.run_folder or _newest_run(), options.watch))
    options = parser.parse_args(arguments)
    try:
        status: int = options.command(options)
    except ReregisterError as error:
        print(f"reregister: {error}", file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
