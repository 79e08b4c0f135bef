"""Examples of each group as a network of several protocols registers them: goal, original and reconstruction."""

from typing import Any

import seaborn as sns
from matplotlib.figure import Figure

from reregister.drawing import NOT_SHOWN, Exhibit, Inputs, in_order, new_figure, say
from reregister.exhibits.options import options_of
from reregister.figures.gallery import RANKS, cases_of, numbers_of

ROWS = (("fixed", "goal\n(fixed)"), ("moving", "original\n(moving)"), ("warped", "reconstruction\n(warped)"))
# Pairs that stand in one row at the most; methods with more in all stand below each other.
ACROSS = 9
# Inches: the largest side of an image, what a block of a method has besides its images, room for the names of the rows.
SIDE, WORDS, NAMES = 1.05, 1.0, 1.0


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, Any]:
    """Draw from the example pairs (npz): for each method and group the pairs by rank, images below each other.

    Options: groups, those to show in their order; ranks (best, median and worst where left out). Below each pair its NCC
    before and after registration. Returns the figure and the numbers of the pairs; where images may not be shown, the
    figure says so instead.
    """
    told = options_of(exhibit, groups=[], ranks=[rank for rank in RANKS if rank != "common"])
    cases = [case for case in cases_of(exhibit, inputs) if str(case["rank"]) in told["ranks"]]
    groups = [str(group) for group in told["groups"]] or in_order(str(case["group"]) for case in cases)
    cases = [case for case in cases if str(case["group"]) in groups]
    order = {method: place for place, method in enumerate(exhibit.labels)}
    cases.sort(key=lambda case: (order[case["method"]], groups.index(str(case["group"]))))
    if not exhibit.show_images or not cases:
        figure = new_figure(1.2)
        say(figure, "no pair of these groups has a defined NCC" if exhibit.show_images else NOT_SHOWN)
        return figure, numbers_of(cases)
    blocks = [[case for case in cases if case["method"] == method] for method in exhibit.labels]
    blocks = [block for block in blocks if block]
    beside = sum(map(len, blocks)) <= ACROSS
    columns = sum(map(len, blocks)) if beside else max(map(len, blocks))
    side = min(SIDE, (8.4 - NAMES * (len(blocks) if beside else 1)) / columns)
    height = len(ROWS) * side + WORDS
    figure = new_figure(height if beside else height * len(blocks))
    # One column holds the names of the rows.
    shape: dict[str, Any] = {"nrows": 1, "ncols": len(blocks), "width_ratios": [1 + len(block) for block in blocks]}
    if not beside:
        shape = {"nrows": len(blocks), "ncols": 1}
    parts = figure.subfigures(**shape, squeeze=False).ravel()
    for part, block in zip(parts, blocks, strict=True):
        part.suptitle(block[0]["label"], fontweight="bold", fontsize="medium")
        _block(part, block)
    return figure, numbers_of(cases)


def _block(part: Any, block: list[dict[str, Any]]) -> None:
    """The pairs of one method, one in each column."""
    grid = part.subplots(len(ROWS), len(block), squeeze=False)
    for column, case in enumerate(block):
        for row, (name, _) in enumerate(ROWS):
            axes = grid[row, column]
            axes.imshow(case[name][0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            sns.despine(ax=axes, left=True, bottom=True)
        group = str(case["group"])
        grid[0, column].set_title(f"{'digit ' if group.isdigit() else ''}{group}\n{case['rank']}", pad=3)
        score = f"{case['ncc_before']:.2f} → {case['ncc_after']:.2f}".replace("-", "−")
        grid[-1, column].set_xlabel(f"NCC\n{score}", fontsize=7, labelpad=3)
    for row, (_, words) in enumerate(ROWS):
        grid[row, 0].set_ylabel(words, rotation=0, ha="right", va="center", labelpad=5)
