"""Orthogonality of the starts, interference of A and B, and distance from the base model: task by task, a line per
distinct training."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import labels, style
from ..results import Results
from ..trainings import Training, numbered_orders, of_order
from .cosine import mean_array, nanmean
from .sequence import MOST_LINES

#: dataset -> title of its panel; those of MORE only where they are recorded
PANELS = {
    "orthogonality": r"start: $||A_0A_0^T - I||$",
    "interference_A": r"$||A\,\Delta A^T||$",
    "interference_B": r"$||\Delta B^T B||$",
    "distance": r"distance $||\theta - \theta_0||$",
}
MORE = {"distance_from_start": r"task's own $||\theta - \theta_{start}||$", "linearisation_error": "linearisation error"}


def _draw_line(axes: Axes, values: np.ndarray, look: dict[str, object], label: str) -> None:
    """A line over tasks: the mean over layers and modules, with the middle 80 % of them as a band."""
    at = np.arange(1, len(values) + 1)
    flat = values.reshape(len(values), -1)
    line, = axes.plot(at, nanmean(flat, axis=1), marker="o", markersize=1.8, label=label, **look)
    style.tip(line, label)
    known = ~np.isnan(flat).all(axis=1)
    if flat.shape[1] > 1 and known.any():
        low, high = np.nanquantile(flat[known], [0.1, 0.9], axis=1)
        axes.fill_between(at[known], low, high, color=look["color"], alpha=0.13, linewidth=0)


def _rescale(axes: Axes) -> str:
    """Ticks of very small values in units of a power of ten, which this returns for the title."""
    top = axes.dataLim.y1
    if not 0 < top < 0.01:
        return ""
    power = math.floor(math.log10(top))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value / 10.0**power:.3g}")
    return rf" $\times 10^{{{-power}}}$"


def draw_panels(lines: list[tuple[str, dict[str, np.ndarray]]], offset: int) -> Figure:
    """A panel for each measure against the number of the task."""
    shown = PANELS | {name: title for name, title in MORE.items() if any(name in arrays for _, arrays in lines)}
    rows = math.ceil(len(shown) / 2)
    figure = style.new_figure(height=0.3 + 1.2 * rows + style.plural_height(len(lines)))
    panels = figure.subplots(rows, 2, sharex=True)
    for axes in panels.flat[len(shown):]:
        axes.set_axis_off()
    for axes, (name, title) in zip(panels.flat, shown.items()):
        for index, (label, arrays) in enumerate(lines):
            if name in arrays:
                _draw_line(axes, arrays[name], style.line_style(offset + index), label)
        if not any(name in arrays for _, arrays in lines):
            axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", va="center", color=style.GREY)
            axes.set_yticks([])
        else:
            axes.locator_params(axis="y", nbins=4, min_n_ticks=2)
        axes.set_title(title + _rescale(axes), fontsize=7)
        style.from_zero(axes)
        axes.locator_params(axis="x", nbins=4, min_n_ticks=2)
        axes.grid(axis="y", color=style.LIGHT, linewidth=0.5)
        axes.set_axisbelow(True)
    tasks = max(len(array) for _, arrays in lines for array in arrays.values())
    for axes in panels.flat[len(shown) - 2:len(shown)]:
        axes.tick_params(labelbottom=True)
        axes.set_xlim(0.7, tasks + 0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.supxlabel("task of the sequence", fontsize=7)
    handles = {name: handle for axes in panels.flat for handle, name in zip(*axes.get_legend_handles_labels())}
    style.legend(figure, list(handles.values()), list(handles))
    return figure


def _arrays(results: Results, training: Training) -> dict[str, np.ndarray]:
    found = {name: mean_array(results, training, name) for name in PANELS | MORE}
    return {name: array for name, array in found.items() if array is not None and not np.isnan(array).all()}


def drawings(results: Results) -> Iterator[style.Drawing]:
    for number, name, trials in numbered_orders(results):
        lines = [(t.label, _arrays(results, t)) for t in of_order(results, trials)]
        lines = [(label, arrays) for label, arrays in lines if arrays]
        for start in range(0, len(lines), MOST_LINES):
            chosen = lines[start:start + MOST_LINES]
            suffix = f"-part{start // MOST_LINES + 1}" if len(lines) > MOST_LINES else ""
            yield style.Drawing(
                f"geometry-order{number}{suffix}",
                f"Orthogonality error of the A that each task starts from, interference of A and of B, and distance of the "
                f"evaluated adapter from the base model; mean over layers, modules and seeds, bands: the middle 80 % of "
                f"layers and modules; {name}.",
                lambda chosen=chosen, start=start: draw_panels(chosen, start),
            )
