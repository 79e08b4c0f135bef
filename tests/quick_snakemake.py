"""Snakemake that looks at the jobs of a cluster each second.

Its Slurm plugin waits for seconds and then 10 s more after each look, which suits jobs of hours. Only the process that
submits is this one: the jobs start Snakemake as ever.
"""

import asyncio
import sys

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor


async def _sleep(self: RemoteExecutor) -> None:
    await asyncio.sleep(1)


RemoteExecutor.sleep = _sleep
main(sys.argv[1:])
