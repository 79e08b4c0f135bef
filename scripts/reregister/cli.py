"""The command `reregister`."""

import argparse
import sys
import time
from pathlib import Path

from reregister.errors import ReregisterError
from reregister.progress import running
from reregister.provenance.compare import compare, text_of
from reregister.provenance.lineage import lineage


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


def register_images(options: argparse.Namespace) -> int:
    """Register a user's own pair and say what was done. Raises ReregisterError as `register_pair`."""
    # Torch and SimpleITK take seconds to load, which no other command should wait for.
    from reregister.pair.register import register_pair, report

    record, paths = register_pair(
        options.model,
        options.moving,
        options.fixed,
        options.out,
        resample=options.resample,
        by_index=options.by_index,
        device=options.device,
        force=options.force,
    )
    print("\n".join(report(record, paths)))
    return 0


def tell_stale(options: argparse.Namespace) -> int:
    """Say what of a run is stale; 1 where something is. Raises ReregisterError as `find_stale`."""
    from reregister.provenance.stale import find_stale, report

    found = find_stale(options.targets, options.config)
    print("\n".join(report(found)))
    return 1 if found.origins else 0


def tell_rebuilt(options: argparse.Namespace) -> int:
    """Make an exhibit again and say how alike it is; 1 where that confirms nothing. Raises ReregisterError as `rebuild`."""
    from reregister.rebuild.exhibit import CONFIRMED, rebuild, report

    tolerance = {key: value for key in ("rtol", "atol") if (value := getattr(options, key)) is not None}
    found = rebuild(options.exhibit, options.config, options.cores, keep=options.keep, **tolerance)
    print("\n".join(report(found, **tolerance)))
    return 0 if found.word in CONFIRMED else 1


def show_lineage(file: Path) -> int:
    """Print what a file of a run was made from. Raises ReregisterError as `lineage`."""
    print("\n".join(lineage(file)))
    return 0


def compare_runs(first: Path, second: Path) -> int:
    """Print what differs between two runs; 1 where it can change a result. Raises ReregisterError as `compare`."""
    found = compare(first, second)
    print("\n".join(text_of(found)))
    return int(found.serious)


def _newest_run() -> Path:
    runs = sorted(Path("results").glob("*/run.json"), key=lambda path: path.stat().st_mtime)
    return runs[-1].parent if runs else Path("results", "demo")


def _seconds(text: str) -> float:
    value = float(text)
    # Written so that "nan" is refused too.
    if not 0.1 <= value <= 86_400:
        raise argparse.ArgumentTypeError("give seconds between 0.1 and 86400")
    return value


def _add_register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    register = commands.add_parser(
        "register",
        help="register a pair of your own images with a trained network",
        description="Register a pair of your own images (NIfTI, DICOM, PNG) with a trained network. Writes field.nii.gz, "
        "a displacement field that SimpleITK and ANTs apply, the warped image as warped.nii.gz or, of PNGs, warped.png, "
        "and register.json, which says what was done.",
    )
    register.add_argument(
        "--model",
        type=Path,
        required=True,
        metavar="WEIGHTS",
        help="a .safetensors file of a run, such as results/demo/dirnet/models/mnist/dirnet_bl/7_seed0.safetensors",
    )
    register.add_argument("moving", type=Path, metavar="MOVING", help="the image to be warped")
    register.add_argument("fixed", type=Path, metavar="FIXED", help="the image that it is brought to")
    register.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the three files are written")
    unlike = register.add_mutually_exclusive_group()
    unlike.add_argument(
        "--resample",
        action="store_true",
        help="bring moving onto the grid of fixed first, by their places in space, where size, spacing or place differ",
    )
    unlike.add_argument(
        "--by-index",
        action="store_true",
        help="where only the places differ, take pixels of like index for the same",
    )
    register.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto")
    register.add_argument("--force", action="store_true", help="write over the files of an earlier call")
    register.set_defaults(command=register_images)


def _add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config", nargs="+", default=[], metavar="KEY=VALUE", help="the same words as after snakemake --config"
    )
    # 1 is an answer of these commands, so an error is another number.
    command.set_defaults(failure=2)


def _add_stale(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    stale = commands.add_parser(
        "stale",
        help="say which results of a run the present configuration and code would make anew, and why",
        description="Compare the receipts of a run with the plan that the present configuration and code give. Exit "
        "status: 0 where nothing is stale, 1 where something is, 2 where that cannot be said.",
    )
    stale.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="papers or files, as for snakemake (default: the papers that were run)",
    )
    _add_config(stale)
    stale.set_defaults(command=tell_stale)


def _add_rebuild(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    rebuild = commands.add_parser(
        "rebuild",
        help="make one exhibit again from the data, and compare job by job",
        description="Run the jobs that one exhibit needs in results/<run>.rebuild and compare them with the run: "
        "bit-identical, numerically equal, statistically equivalent, undecided or different. Exit status: 0 for the "
        "first three, 1 for the others, 2 where it could not be made.",
    )
    rebuild.add_argument("exhibit", metavar="EXHIBIT", help="its name, such as fig2_examples_7, or PAPER/NAME")
    rebuild.add_argument("--cores", default="all", metavar="N", help="as for snakemake (default: all)")
    rebuild.add_argument("--rtol", type=float, help="numbers are equal up to this part of their value (default: 1e-5)")
    rebuild.add_argument("--atol", type=float, help="and up to this difference (default: 1e-6)")
    rebuild.add_argument("--keep", action="store_true", help="keep the rebuild where it is bit-identical, too")
    _add_config(rebuild)
    rebuild.set_defaults(command=tell_rebuilt)


def _add_record(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    path = commands.add_parser(
        "lineage",
        help="show which jobs a figure or another file was made by, back to the archives",
        description="Show the job that made a file of a run, with its params, seed, time and environment, what it read, and "
        "so on to the members of the archives. Whether all of that is still so, `python3 RUN/audit.py` says.",
    )
    path.add_argument("file", type=Path, help="such as results/demo/dirnet/figures/NAME.svg, or a receipt")
    path.set_defaults(command=lambda options: show_lineage(options.file))
    both = commands.add_parser(
        "compare",
        help="say what differs between two runs",
        description="Say what differs between two runs, job by job: params, code, environment and files; and the means "
        "with their intervals. Exit status 1 where any of it can change a result.",
    )
    both.add_argument("first", type=Path, metavar="RUN_A", help="folder of a run, such as results/demo")
    both.add_argument("second", type=Path, metavar="RUN_B")
    both.set_defaults(command=lambda options: compare_runs(options.first, options.second))


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
    _add_register(commands)
    _add_stale(commands)
    _add_rebuild(commands)
    _add_record(commands)
    options = parser.parse_args(arguments)
    try:
        status: int = options.command(options)
    except ReregisterError as error:
        print(f"reregister: {error}", file=sys.stderr)
        return int(getattr(options, "failure", 1))
    return status


if __name__ == "__main__":
    sys.exit(main())
