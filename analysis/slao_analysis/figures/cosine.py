"""Cosine similarity of the fine-tuned A and B between tasks: maps of task by task, and by layer and module."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from .. import labels, style
from ..results import Results
from ..trainings import Training, numbered_orders, of_order
from .loss import MOST_SEEDS

FACTORS = ("A", "B")

#: Tasks whose names fit beside the maps.
MOST_NAMED = 15


def nanmean(values: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """The mean of what is known; NaN where nothing is, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(values, axis=axis)


def mean_array(results: Results, training: Training, name: str) -> np.ndarray | None:
    """The mean over seeds of an array of the training's trials; None where none has it."""
    trials = list(training.trials.values())[:MOST_SEEDS]
    arrays = [values for _, values in results.arrays(trials, name)]
    arrays = [values for values in arrays if values.shape == arrays[0].shape]
    return nanmean(np.stack(arrays), axis=0) if arrays else None


def module_names(results: Results, training: Training, count: int) -> list[str]:
    """Names of the last axis of arrays by layer."""
    names = results.array(next(iter(training.trials.values())), "modules")
    found = [name.decode() if isinstance(name, bytes) else str(name) for name in names] if names is not None else []
    return found if len(found) == count else [f"module {i}" for i in range(count)]


def draw_maps(cosines: dict[str, np.ndarray], tasks: list[str], title: str) -> Figure:
    """Two maps beside each other: A and B, mean over layers and modules."""
    shown = labels.task_labels(tasks)
    small = len(tasks) > 10
    size = 6.5 if not small else 5
    if len(tasks) > MOST_NAMED:  # no room for names: numbers, every fifth
        shown = [str(i) if i == 1 or i % 5 == 0 else "" for i in range(1, len(tasks) + 1)]
    # Squares as large as two maps and the names of tasks leave room for.
    width = max(map(len, shown)) * size / 72 * 0.55
    side = (style.COLUMN - width - 0.7) / 2
    figure = style.new_figure(height=side + width + (0.62 if len(tasks) <= MOST_NAMED else 0.85))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, factor in zip(panels, FACTORS):
        values = nanmean(cosines[factor], axis=(2, 3))
        image = axes.imshow(np.ma.masked_invalid(values), cmap="PuOr", vmin=-1, vmax=1, aspect="equal")
        for spine in axes.spines.values():
            spine.set_visible(False)
        if len(tasks) <= 5:
            for (row, column), value in np.ndenumerate(values):
                axes.text(column, row, "·" if np.isnan(value) else f"{value:.2f}".replace("0.", ".", 1), ha="center",
                          va="center", fontsize=5.5, color="white" if abs(value) > 0.7 else "black")
        axes.set_xticks(range(len(tasks)), shown, rotation=90, fontsize=size)
        axes.set_title(f"fine-tuned {factor}")
        if len(tasks) > MOST_NAMED:
            axes.set_xlabel("task of the sequence")
        axes.tick_params(length=0, pad=1 if small else 2)
    panels[0].set_yticks(range(len(tasks)), shown, fontsize=size)
    bar = figure.colorbar(image, ax=panels, fraction=0.03, pad=0.02, ticks=[-1, 0, 1])
    bar.outline.set_visible(False)
    figure.suptitle(title, x=0.01, ha="left", fontsize=7)
    return figure


def draw_layers(cosines: dict[str, np.ndarray], modules: list[str], title: str) -> Figure:
    """Mean similarity of two different tasks by layer: a line for each factor and module."""
    figure = style.new_figure(height=1.6 + style.plural_height(2 * len(modules)))
    axes = figure.subplots()
    for colour, factor in zip(style.COLOURS, FACTORS):
        values = cosines[factor]
        others = values[~np.eye(len(values), dtype=bool)]
        for k, module in enumerate(modules):
            line, = axes.plot(nanmean(others[:, :, k], axis=0), color=colour, linestyle=style.DASHES[k % 4],
                              marker=style.MARKERS[k % len(style.MARKERS)], markersize=1.8, label=f"{factor}, {module}")
            style.tip(line, f"{factor}, {module}")
    axes.axhline(0, color=style.GREY, linewidth=0.6)
    axes.set_xlabel("layer")
    axes.set_ylabel("mean cosine of two tasks")
    axes.locator_params(axis="x", integer=True)
    axes.set_title(title, fontsize=7)
    style.legend(figure, *axes.get_legend_handles_labels())
    return figure


def drawings(results: Results) -> Iterator[style.Drawing]:
    for number, name, trials in numbered_orders(results):
        for training in of_order(results, trials):
            cosines = {factor: mean_array(results, training, f"cosine_{factor}") for factor in FACTORS}
            fits = all(array is not None and array.ndim == 4 and len(array) > 1 for array in cosines.values())
            if not fits or all(np.isnan(array).all() for array in cosines.values()):
                continue
            tasks = results.tasks(next(iter(training.trials.values())))
            modules = module_names(results, training, cosines["A"].shape[3])
            stem = f"{labels.slug(training.label)}-order{number}"
            title = f"{style.wrapped(training.label, 54)}\n{name}"
            yield style.Drawing(
                f"cosine-{stem}",
                f"Cosine similarity of the fine-tuned A and of the fine-tuned B between tasks, mean over layers, modules "
                f"and seeds; {training.label}, {name}.",
                lambda cosines=cosines, tasks=tasks, title=title: draw_maps(cosines, tasks, title),
            )
            yield style.Drawing(
                f"cosine-layers-{stem}",
                f"The same by layer: mean over all pairs of different tasks; {training.label}, {name}.",
                lambda cosines=cosines, modules=modules, title=title: draw_layers(cosines, modules, title),
            )
