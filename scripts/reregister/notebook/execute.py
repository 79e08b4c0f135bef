"""Running a notebook with its parameters, and what is kept of it: the same bytes each time, and a page without a network."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from pprint import pformat
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reregister.notebook import kernel
from reregister.provenance.child import Seen

SCRIPTS = Path(__file__).resolve().parents[2]
#: Tag that papermill gives to the cell of parameters that it adds; a page does not show it.
INJECTED = "injected-parameters"


def execute(notebook: Path, folder: Path, parameters: Mapping[str, Any]) -> tuple[Any, Seen]:
    """Run a notebook's cells in `folder` by papermill, in a process with this environment's Python.

    Settings of the user's own Jupyter and IPython are not read: they would be undeclared inputs. Returns the notebook
    without what differs from run to run, see `settled`, and what its process saw. Raises PapermillExecutionError for a
    cell that fails.
    """
    import nbformat
    import papermill

    with tempfile.TemporaryDirectory(prefix="notebook") as scratch, _surroundings(Path(scratch)):
        seen = Path(scratch, "seen.json")
        os.environ[kernel.SEEN] = str(seen)
        done = papermill.execute_notebook(
            notebook,
            None,
            dict(parameters),
            kernel_name="python3",
            language="python",
            cwd=folder,
            progress_bar=False,
            kernel_manager_class=_manager(Path(scratch, "socket")),
        )
        told = Seen(**json.loads(seen.read_text(encoding="utf-8")))
    for name, text in _warnings(done):
        print(f"{name}: {text}", file=sys.stderr)
    done = settled(done, parameters)
    nbformat.validate(done)
    return done, told


def settled(notebook: Any, parameters: Mapping[str, Any]) -> Any:
    """A notebook without times, ids drawn at random, the version of its kernel, and what was said on stderr."""
    language = notebook.metadata.get("language_info", {})
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {key: language[key] for key in ("file_extension", "mimetype", "name") if key in language},
    }
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = {"tags": tags} if tags else {}
        if INJECTED in tags:
            cell["id"] = INJECTED
            # Papermill lays this cell out by black where that happens to be installed.
            cell["source"] = "\n".join(f"{name} = {pformat(value, 2, 116)}" for name, value in parameters.items())
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def write(notebook: Any) -> str:
    """A notebook as text, keys in order."""
    import nbformat

    return f"{nbformat.writes(notebook)}\n"


def as_page(notebook: Any, template: Path, title: str, links: Sequence[tuple[str, str]]) -> str:
    """A notebook as one HTML file that asks for nothing: pictures and style stand in it, and it has no script.

    template: the page around it, title: its title. links: words and address of each way from it.
    """
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    config = Config()
    config.HTMLExporter.exclude_input_prompt = config.HTMLExporter.exclude_output_prompt = True
    config.TagRemovePreprocessor.enabled = True
    config.TagRemovePreprocessor.remove_cell_tags = {INJECTED, "parameters"}
    config.HTMLExporter.exclude_anchor_links = True
    body, _ = HTMLExporter(config=config, template_name="basic").from_notebook_node(notebook)
    pages = Environment(loader=FileSystemLoader(template.parent), autoescape=True, undefined=StrictUndefined)
    return pages.get_template(template.name).render(body=body, title=title, links=links)


def _warnings(notebook: Any) -> Iterator[tuple[str, str]]:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                yield cell["id"], output["text"]


def _manager(sockets: Path) -> type[Any]:
    """Manager of a kernel of this very Python, behind the recorder's watch, whatever kernels the user has installed.

    sockets: what the names of its sockets begin with. They are files: on a machine of many users a port is open to all.
    """
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    class OwnKernel(AsyncKernelManager):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings, transport="ipc", ip=str(sockets))

        @property
        def kernel_spec(self) -> KernelSpec:
            argv = [sys.executable, "-m", kernel.__name__, "-f", "{connection_file}"]
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

    return OwnKernel


@contextmanager
def _surroundings(scratch: Path) -> Iterator[None]:
    """Settings of Jupyter and IPython in an empty folder, and the library on the kernel's path; undone at the end."""
    kept = dict(os.environ)
    folders = {name: str(scratch / name.lower()) for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")}
    path = os.pathsep.join([str(SCRIPTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    os.environ.update(folders, JUPYTER_RUNTIME_DIR=str(scratch), JUPYTER_NO_CONFIG="1", PYTHONPATH=path)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
