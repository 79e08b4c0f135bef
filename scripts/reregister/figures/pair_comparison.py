"""One and the same pair registered by several methods, side by side with heat maps of what is left: Fig. 4 of de Vos 2017."""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reregister.drawing import NOT_SHOWN, WIDTH, Exhibit, Inputs, new_figure, say
from reregister.errors import ReregisterError
from reregister.exhibits.pixels import heat_uri
from reregister.figures.gallery import FIXED_LINE, OTHER_LINE, cases_of, draw_outlines, item_of, numbers_of


def common_cases(exhibit: Exhibit, inputs: Inputs) -> list[dict[str, Any]]:
    """The common pair as each method registered it. Raises ReregisterError where methods hold different ones."""
    cases = [case for case in cases_of(exhibit, inputs) if case["rank"] == "common"]
    pairs = sorted({str(case["pair_id"]) for case in cases})
    if len(pairs) > 1:
        raise ReregisterError(
            f"{exhibit.exhibit} compares one pair and its methods hold {' and '.join(pairs)}; evaluate them all again"
        )
    return cases


def _differences(cases: list[dict[str, Any]]) -> tuple[list[np.ndarray], float]:
    """Absolute differences from the fixed image, before registration and then by method (H, W), and the largest one."""
    fixed = cases[0]["fixed"][0]
    maps = [np.abs(image - fixed) for image in (cases[0]["moving"][0], *(case["warped"][0] for case in cases))]
    return maps, max(float(np.nanmax(maps)), 1e-6)


def panels(exhibit: Exhibit, inputs: Inputs) -> dict[str, Any]:
    """What a page needs: the panels of a gallery with the common pair alone, and heat maps of differences with it.

    difference_before and difference_after are data URIs, all on the scale from 0 to difference_highest.
    """
    cases = common_cases(exhibit, inputs) if exhibit.show_images else []
    if not cases:
        return {"stamp": exhibit.stamp, "items": []}
    (before, *after), highest = _differences(cases)
    items = []
    for case, left in zip(cases, after, strict=True):
        maps = {"difference_before": before, "difference_after": left}
        heat = {name: heat_uri(found, highest, exhibit.stamp, exhibit.recipe_id) for name, found in maps.items()}
        items.append({**item_of(exhibit, case), **heat, "difference_highest": highest})
    return {"stamp": exhibit.stamp, "items": items}


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw the common pair of the example pairs (npz): fixed, moving, warped by each method, differences below.

    Outlines are those of the fixed image's mask (solid) and of the moving or warped one (dashed). Heat maps have one
    scale. Returns the figure and the numbers of the pair, one row per method; where images may not be shown, the figure
    says so instead. Raises ReregisterError where methods hold different pairs.
    """
    cases = common_cases(exhibit, inputs)
    if not exhibit.show_images or not cases:
        figure = new_figure(1.2)
        say(figure, "no pair has a defined NCC" if exhibit.show_images else NOT_SHOWN)
        return figure, numbers_of(cases)
    maps, highest = _differences(cases)
    first, columns = cases[0], len(cases) + 2
    figure = new_figure(2 * min(WIDTH / columns, 2.6) + 1.1)
    grid = figure.subplots(2, columns, squeeze=False)
    for axes in grid.flat:
        # Images at the top of their boxes, where the layout reckons with the titles.
        axes.set(xticks=[], yticks=[], anchor="N")
        sns.despine(ax=axes, left=True, bottom=True)
    shown = [("fixed", first, "fixed"), ("moving", first, f"before registration\n{_score(first, 'before')}")]
    shown += [("warped", case, f"{case['label']}\n{_score(case, 'after')}") for case in cases]
    for axes, (role, case, title) in zip(grid[0], shown, strict=True):
        axes.imshow(case[role][0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        draw_outlines(axes, case, role)
        axes.set_title(title, pad=4)
    for axes, left in zip(grid[1, 1:], maps, strict=True):
        heat = axes.imshow(left, cmap="rocket", vmin=0, vmax=highest, interpolation="nearest")
    bar = figure.colorbar(heat, ax=grid[1, 1:], location="bottom", aspect=50, pad=0.06)
    bar.set_label("absolute difference from fixed")
    bar.outline.set_linewidth(0)
    _key(grid[1, 0], first)
    return figure, numbers_of(cases)


def _score(case: dict[str, Any], when: str) -> str:
    dice = f", Dice {case[f'dice_{when}']:.3f}" if np.isfinite(case[f"dice_{when}"]) else ""
    return f"NCC {case[f'ncc_{when}']:.3f}{dice}"


def _key(axes: Any, case: dict[str, Any]) -> None:
    """Below the fixed image: which pair it is, and what the outlines mean."""
    text = f"{case['group']}\nfixed: {case['fixed_id']}\nmoving: {case['moving_id']}"
    axes.text(0, 0.98, text, va="top", transform=axes.transAxes, linespacing=1.4, wrap=False, fontsize=7.5)
    if np.any(case["mask_fixed"]):
        # On the grey of the images' dark parts, on which the colours are seen.
        handles = [Line2D([], [], color=FIXED_LINE, label="label, fixed")]
        handles += [Line2D([], [], color=OTHER_LINE, linestyle="--", label="label, moving\nor registered")]
        place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.02, 0), "borderaxespad": 0}
        key = axes.legend(
            handles=handles, **place, facecolor="0.25", labelcolor="white", edgecolor="none", framealpha=1
        )
        key.set_zorder(5)
