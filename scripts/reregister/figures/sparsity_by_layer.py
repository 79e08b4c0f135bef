"""How much of each layer was pruned, and which layers make the displacement."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from reregister.drawing import GREY, Exhibit, Inputs, colour, draw_legend, marker, new_figure
from reregister.errors import ReregisterError
from reregister.exhibits.compressed import ALL, read_layers
from reregister.exhibits.options import options_of


def draw(exhibit: Exhibit, inputs: Inputs) -> tuple[Figure, pd.DataFrame]:
    """Draw from tables of layers: one line per layer, a point for each method, and a dotted line for its whole network.

    Options: marked, how the names of layers begin that stand on a grey band (`summands`, which LocalNet adds up to its
    displacement). Means over seeds and parts. Returns the figure and its numbers: method, layer, marked (`yes` or ''),
    parameters, zeros, share. Raises ReregisterError where no method of the exhibit has a table of layers.
    """
    told = options_of(exhibit, marked="summands")
    layers = read_layers(list(inputs["layers"]))
    methods = [method for method in exhibit.labels if method in set(layers["method"])]
    if not methods:
        raise ReregisterError(f"{exhibit.exhibit} has no layers of its methods; name methods that were compressed")
    numbers = shares_of(layers, methods, told["marked"])
    order = [name for name in dict.fromkeys(numbers["layer"]) if name != ALL]
    figure = new_figure(0.9 + 0.165 * len(order))
    axes = figure.subplots()
    for place, name in enumerate(order):
        if name.startswith(told["marked"]):
            axes.axhspan(place - 0.5, place + 0.5, color="0.92", zorder=0, linewidth=0)
    for method in methods:
        own = numbers[numbers["method"] == method].set_index("layer")["share"]
        look: dict[str, Any] = {"color": colour(method), "marker": marker(method), "markersize": 4.5}
        present = [name for name in order if name in own.index]
        places = [order.index(name) for name in present]
        axes.plot(100 * own[present], places, linestyle="none", markeredgecolor="white", markeredgewidth=0.4, **look)
        axes.axvline(100 * own[ALL], color=colour(method), linestyle=":", linewidth=1)
    axes.set_yticks(range(len(order)), order, fontsize=6.5)
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.set_xlim(-2, 102)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("zeros in the layer, % (dotted: in the whole network)")
    axes.grid(axis="x", alpha=0.3, linewidth=0.5)
    corner: dict[str, Any] = {"xycoords": "axes fraction", "xytext": (0, 3), "textcoords": "offset points"}
    axes.annotate(f"grey: {told['marked']}", (1, 1), **corner, ha="right", va="bottom", color=GREY)
    draw_legend(figure, {method: exhibit.labels[method] for method in methods})
    return figure, numbers


def shares_of(layers: pd.DataFrame, methods: list[str], marked: str) -> pd.DataFrame:
    """Parameters and zeros of each layer and their share, summed over a method's networks, in the order of the layers."""
    layers = layers[layers["method"].isin(methods)]
    sums = layers.groupby(["method", "layer"], sort=False)[["parameters", "zeros"]].sum().reset_index()
    sums = sums.sort_values("method", key=lambda column: column.map(methods.index), kind="stable")
    flags = ["yes" if name.startswith(marked) else "" for name in sums["layer"]]
    sums.insert(2, "marked", flags)
    return sums.assign(share=sums["zeros"] / sums["parameters"]).reset_index(drop=True)
