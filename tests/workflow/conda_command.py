"""A stand-in for the `conda` command: what Snakemake 9.27 asks of it, with py-rattler as the solver and installer.

Every channel but `nodefaults` is the local one that STAND_IN_CHANNEL names. STAND_IN_PREFIX: folder with bin/activate.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import yaml

PLATFORMS = ["linux-64", "noarch"]


async def create(file: Path, prefix: Path) -> None:
    """Solve an environment file and install what was found; raises rattler's error where it cannot be solved."""
    import rattler

    cache = Path(os.environ["STAND_IN_PREFIX"], "cache")
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    channels = {os.environ["STAND_IN_CHANNEL"] for name in content["channels"] if name != "nodefaults"}
    gateway = rattler.Gateway(cache_dir=cache / "index")
    found = await rattler.solve(sorted(channels), content["dependencies"], gateway=gateway, platforms=PLATFORMS)
    await rattler.install(found, target_prefix=prefix, cache_dir=cache / "packages", show_progress=False)
    for record in found:
        print(record.name.normalized, record.version, record.url)


def main(words: list[str]) -> int:
    prefix = os.environ["STAND_IN_PREFIX"]
    if words[0] == "--version":
        print("conda 26.1.0")
    elif words[0] == "info":
        print(json.dumps({"conda_prefix": prefix, "platform": PLATFORMS[0]}))
    elif words[0] == "config":
        print(json.dumps({"get": {"channel_priority": "strict"}}))
    elif words[0] == "clean":
        # Nothing to do: packages are unpacked as they are read, and no archive is kept.
        pass
    elif words[:2] == ["env", "create"]:
        try:
            asyncio.run(create(Path(words[words.index("--file") + 1]), Path(words[words.index("--prefix") + 1])))
        except Exception as error:
            print(f"{type(error).__name__}: {error}")
            return 1
    else:
        print(f"the stand-in has no {words}")
        return 2
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    # Without the interpreter's last steps: threads of py-rattler may still be alive.
    os._exit(status)
