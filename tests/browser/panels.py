"""A page with a gallery of random images, made by the library itself, whatever the papers' galleries hold."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.image import imsave

from reregister.report.pages import render

PROJECT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted(path for path in (PROJECT / "workflow" / "report").iterdir() if path.is_file())
STAMP = "synthetic stand-in, smoke scale"
SIZE = 12
PAGE = """{% extends "base.html.j2" %}{% from "exhibit.html.j2" import show %}
{% block title %}A gallery{% endblock %}{% block body %}<main id="content" tabindex="-1"><h1>A gallery</h1><h2>Results</h2>
{{ show(exhibit, {"scale": "smoke", "datasets": {"random": {"title": "Random images"}}}, []) }}</main>{% endblock %}"""


def png_uri(image: np.ndarray) -> str:
    """An image (H, W) in [0, 1] as the address of a PNG."""
    file = io.BytesIO()
    imsave(file, image, cmap="gray", vmin=0, vmax=1, format="png")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def random_panels(seed: int = 0) -> dict[str, Any]:
    """Panels of two methods; the second has no worst pair and knows no true field."""
    random = np.random.default_rng(seed)
    items = []
    for method, ranks in (("first", ("best", "median", "worst")), ("second", ("best", "median"))):
        for rank in ranks:
            images = {name: png_uri(random.random((SIZE, SIZE))) for name in ("moving", "fixed", "warped")}
            lines = [[[x, y] for x in range(SIZE)] for y in range(0, SIZE, 3)]
            ids = {"pair_id": f"{method}-{rank}", "moving_id": f"m-{rank}", "fixed_id": "f-1", "group": "7"}
            numbers = {"ncc_before": 0.5, "ncc_after": random.random(), "fold_share": 0.0123}
            error = {"field_error": None if method == "second" else 0.25, "unit": "px"}
            about = {"method": method, "label": f"Method {method}", "rank": rank, "height": SIZE, "width": SIZE}
            items.append({**about, **ids, **numbers, **error, **images, "grid": lines})
    return {"stamp": STAMP, "items": items}


def write_page(folder: Path, panels: dict[str, Any] | None = None) -> Path:
    """Write the page; its templates are the project's own and one that holds nothing but the gallery."""
    templates = folder / "templates"
    templates.mkdir(parents=True)
    for path in TEMPLATES:
        (templates / path.name).write_bytes(path.read_bytes())
    (templates / "gallery.html.j2").write_text(PAGE, encoding="utf-8")
    exhibit = {
        "kind": "gallery",
        "name": "figS9_gallery",
        "label": "Fig. S9",
        "place": "not in the paper",
        "caption": "Random images.",
        "alt": "Fig. S9: random images.",
        "image": png_uri(np.random.default_rng(1).random((SIZE, SIZE))),
        "numbers": "method,ncc\nfirst,0.5\n",
        "panels": panels if panels is not None else random_panels(),
        "synthetic": True,
        "word": "verified",
        "why": [],
        "dataset": "random",
        "steps": [],
        "code": [],
        "command": "snakemake",
        "rebuild": "reregister rebuild",
    }
    page = folder / "gallery.html"
    page.write_text(render(sorted(templates.iterdir()), "gallery.html.j2", exhibit=exhibit), encoding="utf-8")
    (folder / "panels.json").write_text(json.dumps(exhibit["panels"]), encoding="utf-8")
    return page
