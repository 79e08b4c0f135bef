"""How a notebook shows results: its text, tables, and pictures that are the same each time."""

import io
from collections.abc import Sequence
from typing import Any

import pandas as pd
import seaborn as sns
from IPython.display import HTML, Image, Markdown, display

from reregister.comparison import ALL
from reregister.drawing import FONT_SIZE, GREY, WIDTH, colour, draw_mean, plt, use_style
from reregister.notebook.results import Experiment, Run
from reregister.notebook.words import listed, mean_of, name_of, number
from reregister.report.tables import INTERVAL

SCALES = {
    "smoke": "smoke, which shows that the code runs and nothing more",
    "demo": "demo, a short schedule on small images",
    "full": "full, the paper's own sizes and schedule",
}


def say(*sentences: str) -> None:
    """A paragraph of Markdown."""
    display(Markdown(" ".join(sentences)))


def introduce(run: Run) -> None:
    """At the top: what data and which scale, what is left out, and what the numbers may be compared with."""
    lines = [f"**Paper.** {run.about['title']}.", f"**Scale.** {SCALES[run.about['scale']]}."]
    lines += [f"**Data.** {origin['title']}. {_sentence(origin['what'])}" for origin in run.origins.values()]
    if run.synthetic:
        lines.append(
            "**What the numbers are.** What the code does with synthetic stand-ins; none is to be set beside a published one."
        )
    left_out = [f"{title} ({name})" for name, title in run.about["missing"]]
    for experiment in run.experiments.values():
        left_out += [f"{label} of {experiment.title} ({experiment.name})" for label in experiment.told["missing"]]
    lines.append(
        f"**Numbers.** Means; behind each its {INTERVAL}, resampled over patients or images; gains are paired."
    )
    lines.append(f"**Not part of this run.** {_sentence('; '.join(left_out) or 'nothing of the paper is left out')}")
    display(Markdown("\n\n".join(lines)))


def heading(run: Run, name: str) -> Experiment | None:
    """One experiment under its title; where the run does not have it, says so and gives None."""
    experiment = run.experiment(name)
    if experiment is None:
        say(f"The experiment `{name}` is not part of this run.")
    else:
        labels = "; ".join(experiment.labels.values())
        say(f"### {experiment.title}\n\nMethods: {labels}.")
    return experiment


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def means_table(experiment: Experiment, metrics: Sequence[str], *methods: str, group: str = ALL) -> pd.DataFrame:
    """Methods down, metrics across; each cell a mean with its 95 % interval. Metrics that were not measured are left out."""
    known = experiment.measured(*metrics)
    rows = {
        experiment.labels[method]: {name_of(metric): mean_of(experiment, method, metric, group) for metric in known}
        for method in experiment.present(*methods)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method").reset_index()


def show_table(frame: pd.DataFrame) -> None:
    """A table of a few rows; numbers in few digits."""
    cells = frame.copy()
    for column in cells.select_dtypes("number"):
        cells[column] = [number(value) for value in cells[column]]
    # Headers stand above their cells, which are text with an interval behind the number.
    text = cells.to_html(index=False, border=0, classes="data").replace(' style="text-align: right;"', "")
    display(HTML(text))


def draw_means(experiment: Experiment, metrics: Sequence[str], *methods: str, group: str = ALL) -> None:
    """Means with 95 % intervals: a panel for each metric, a row for each method."""
    known, shown = experiment.measured(*metrics), experiment.present(*methods)
    figure, panels = _panels(len(known), 0.9 + 0.24 * len(shown), left=0.3)
    for panel, metric in zip(panels, known, strict=True):
        for row, method in enumerate(shown):
            found = experiment.value(method, metric, group)
            draw_mean(panel, method, (found.mean, found.low, found.high), (row, float("nan"), float("nan")))
        panel.set(xlabel=name_of(metric), ylim=(len(shown) - 0.5, -0.5), yticks=range(len(shown)))
        panel.set_yticklabels([experiment.labels[m] for m in shown] if panel is panels[0] else [])
        panel.locator_params(axis="x", nbins=4)
    names = listed(name_of(metric) for metric in known)
    _show(figure, experiment, f"{names} by method, mean with {INTERVAL}, {experiment.title}")


def draw_losses(experiment: Experiment, table: pd.DataFrame, columns: Sequence[str]) -> None:
    """A loss by step: the median over seeds, parts and pairs, in a band from the least to the greatest.

    table: of `Experiment.histories` or `traces`. columns: the first of these that has values is shown.
    """
    column = next((name for name in columns if name in table and table[name].notna().any()), None)
    if column is None:
        say("No method of this part of the run has such a loss.")
        return
    kept = table.dropna(subset=[column])
    shown = [method for method in experiment.labels if method in set(kept["method"])]
    figure, panels = _panels(1, 3.0, left=0.1)
    sns.lineplot(
        kept.assign(method=kept["method"].map(experiment.labels)),
        x="step",
        y=column,
        hue="method",
        hue_order=[experiment.labels[method] for method in shown],
        palette={experiment.labels[method]: colour(method) for method in shown},
        estimator="median",
        errorbar=("pi", 100),
        ax=panels[0],
    )
    panels[0].set(ylabel=name_of(column))
    panels[0].legend(title=None, frameon=False)
    _show(figure, experiment, f"{name_of(column)} by step, {experiment.title}")


def draw_groups(experiment: Experiment, metric: str, *methods: str) -> None:
    """Mean of one metric in each group of pairs, with 95 % intervals, methods side by side."""
    shown = experiment.present(*methods)
    figure, panels = _panels(1, 3.0, left=0.1)
    for place, group in enumerate(experiment.groups):
        for step, method in enumerate(shown):
            found = experiment.value(method, metric, group)
            x = place + 0.6 * ((step + 0.5) / len(shown) - 0.5)
            label = experiment.labels[method] if not place else None
            draw_mean(panels[0], method, (x, x, x), (found.mean, found.low, found.high), label)
    panels[0].set(ylabel=name_of(metric), xticks=range(len(experiment.groups)))
    panels[0].set_xticklabels(experiment.groups)
    panels[0].legend(frameon=False)
    _show(figure, experiment, f"{name_of(metric)} by group, mean with {INTERVAL}, {experiment.title}")


def _panels(count: int, height: float, left: float) -> tuple[Any, list[Any]]:
    use_style()
    # Fixed places and no solver: the last digits of what one finds change from process to process.
    figure = plt.figure(figsize=(WIDTH, height))
    panels = figure.subplots(1, count, squeeze=False)[0]
    figure.subplots_adjust(left=left, right=0.98, top=1 - 0.1 / height, bottom=0.65 / height, wspace=0.15)
    return figure, list(panels)


def _show(figure: Any, experiment: Experiment, what: str) -> None:
    stamp = experiment.stamp
    if stamp:
        place = 0.03 / figure.get_figheight()
        figure.text(0.995, place, stamp, ha="right", va="bottom", fontsize=FONT_SIZE - 2, color=GREY)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120, metadata={"Software": None, "Title": what, "Description": stamp})
    plt.close(figure)
    display(Image(content.getvalue(), format="png", alt=f"{what}{f', {stamp}' if stamp else ''}"))
