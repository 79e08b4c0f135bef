"""The door through which every script runs: from Snakemake, or by hand with `python scripts/<rule>.py <receipt.json>`.

It hashes what goes in, starts the script's `main(job)`, hashes what came out and writes the receipt last. A job that
fails leaves neither output nor receipt. Scripts import the library inside `main`, so that threads are set and the
watch stands before the first heavy import.
"""

import io
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reregister.errors import ReregisterError
from reregister.provenance import closure, receipt, surroundings
from reregister.provenance.files import canonical_json, sha256_file, write_json
from reregister.provenance.job import Job, flat, from_command_line, from_snakemake, name_of
from reregister.provenance.watch import Watch

__all__ = ["Job", "run"]

PROJECT = closure.SCRIPTS.parent


def _hash_inputs(job: Job) -> dict[str, str]:
    hashes = {}
    for path in flat(job.input):
        if not path.is_file():
            raise ReregisterError(f"the input {path} is missing; run the rule that makes it, or mend the path")
        hashes[name_of(job, path)] = sha256_file(path)
    return dict(sorted(hashes.items()))


def _set_threads(threads: int) -> None:
    # torch, ITK and BLAS read these once, when they are loaded. Two jobs of two threads each on two cores run 3 to 14
    # times slower per step than two jobs of one.
    for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR"):
        os.environ[f"{name}_NUM_THREADS"] = str(threads)
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(threads)


@contextmanager
def _output_to(log: Path | None) -> Iterator[None]:
    """Send stdout and stderr of this process, C++ libraries included, to the job's log."""
    if log is None:
        yield
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush(), sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    with open(log, "w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        if isinstance(sys.stdout, io.TextIOWrapper):
            # Else what is printed reaches the log late, after errors and after what C++ libraries say.
            sys.stdout.reconfigure(line_buffering=True)
        try:
            yield
        finally:
            # On a full disk the log cannot be written: that must not hide the error that the disk caused.
            with suppress(OSError):
                sys.stdout.flush(), sys.stderr.flush()
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)


def _terminated(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)


def run(main: Callable[[Job], None], snakemake: Any, script: str) -> None:
    """Run `main(job)` and record it. Exits with 1 where it fails, after removing every declared output."""
    signal.signal(signal.SIGTERM, _terminated)
    path = Path(script).resolve()
    try:
        job = from_snakemake(snakemake, path) if snakemake is not None else from_command_line(path)
    except ReregisterError as error:
        sys.exit(f"{path.stem}: {error}")
    _set_threads(job.threads)
    watch = Watch()
    watch.start()
    # The console of the run tells errors at its end, out of the log: said here too, they would be there twice.
    told, logged = job.log is not None and "REREGISTER_CONSOLE" in os.environ, False
    try:
        with _output_to(job.log):
            try:
                _run_recorded(main, job, watch)
            except BaseException as error:
                for output in flat(job.output):
                    output.unlink(missing_ok=True)
                with suppress(OSError):
                    if isinstance(error, ReregisterError):
                        print(f"error: {error}", file=sys.stderr)
                    else:
                        traceback.print_exc()
                    logged = True
                raise
        # The receipt stands: the checkpoint has done its work, and so has what a kill left of a half-written one.
        for checkpoint in job.checkpoint.parent.glob(f"*{job.checkpoint.name}"):
            checkpoint.unlink(missing_ok=True)
    except ReregisterError as error:
        sys.exit(1 if told and logged else f"{job.label}: {error}")
    except (Exception, KeyboardInterrupt) as error:
        if told and logged:
            sys.exit(130 if isinstance(error, KeyboardInterrupt) else 1)
        raise


@dataclass(frozen=True)
class _Start:
    """What is known before the work begins."""

    time: datetime
    clock: float
    files: dict[str, Path]
    sources: dict[str, bytes]
    inputs: dict[str, str]
    recipe: dict[str, Any]


def _begin(job: Job) -> _Start:
    start, clock = datetime.now(UTC), time.perf_counter()
    for output in flat(job.output):
        output.parent.mkdir(parents=True, exist_ok=True)
        output.unlink(missing_ok=True)
    files = closure.closure(job.script, job.params.code["entries"])
    inputs = _hash_inputs(job)
    # Kept now: what an editor does to a file while the job runs is not what the job ran.
    sources = {name: path.read_bytes() for name, path in files.items()}
    lock = sha256_file(PROJECT / job.params.env["file"])
    code = closure.code_hashes(files)
    recipe = receipt.build_recipe(job.rule, job.wildcards, vars(job.params), code, inputs, lock)
    job.recipe_id = receipt.recipe_id(recipe)
    return _Start(start, clock, files, sources, inputs, recipe)


def _run_recorded(main: Callable[[Job], None], job: Job, watch: Watch) -> None:
    start = _begin(job)
    main(job)
    watch.stop()
    job.seen.add_to(watch)
    if _hash_inputs(job) != start.inputs:
        raise ReregisterError("an input changed while the job ran; run it again")
    outputs = {}
    for output in flat(job.output):
        if output == job.output.receipt:
            continue
        if not output.is_file():
            raise RuntimeError(f"{job.rule} ended without writing its output {output}")
        outputs[name_of(job, output)] = {"sha256": sha256_file(output), "bytes": output.stat().st_size}
    # Params keep their order: a run by hand reads them from here, and figures show methods in it.
    write_json(job.output.receipt, _record(job, start, outputs, watch), sort_keys=False)


def _store(job: Job, sources: dict[str, bytes]) -> tuple[str, dict[str, str], dict[str, Any] | None]:
    """Keep environment, code and uncommitted changes by hash; returns their ids."""
    environment = canonical_json(surroundings.environment(job.seen.modules)).encode()
    environment_id = receipt.store(job.run_folder, "environment", environment, ".json")
    code = {name: receipt.store(job.run_folder, "code", source, ".py") for name, source in sources.items()}
    git, patch = surroundings.git_state(PROJECT)
    if patch:
        receipt.store(job.run_folder, "patch", patch, ".diff")
    return environment_id, code, git


def _undeclared(job: Job, watch: Watch) -> tuple[list[str], list[str]]:
    own = [job.run_folder / "checkpoints", job.run_folder / "receipts" / "store", *job.own_files()]
    project = [closure.SCRIPTS, PROJECT / ".snakemake", Path(".snakemake"), PROJECT / job.params.env["file"]]
    where = [job.location] if job.location else []
    return watch.undeclared([*flat(job.input), *flat(job.output)], [*own, *project, *where], job.run_folder)


def _record(job: Job, start: _Start, outputs: dict[str, Any], watch: Watch) -> dict[str, Any]:
    environment_id, code, git = _store(job, start.sources)
    reads, writes = _undeclared(job, watch)
    return {
        "recipe": start.recipe,
        "recipe_id": job.recipe_id,
        "outputs": outputs,
        "code": code,
        "undeclared_code": closure.undeclared_code(start.files.values(), job.seen.files),
        "environment": environment_id,
        "git": git,
        "run": {
            "start": start.time.isoformat(timespec="seconds"),
            "end": datetime.now(UTC).isoformat(timespec="seconds"),
            "wall_s": round(time.perf_counter() - start.clock, 3),
            "peak_memory_mib": surroundings.peak_memory_mib(),
            "threads": job.threads,
            "device": job.device,
            "gpu": job.gpu,
            "warnings": job.warnings,
            "precision": job.precision,
            "resumed_from": job.resumed_from,
            "slurm": surroundings.slurm_job(),
        },
        "determinism": job.determinism,
        "undeclared_reads": reads,
        "undeclared_writes": writes,
        "network": sorted(watch.network),
        "programs": watch.programs_run(job.run_folder),
        "call": job.call(),
    }
