"""Training loss over the whole sequence of tasks: a figure per order, a line per distinct training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import labels, style
from ..results import Results
from ..trainings import Training, numbered_orders, of_order
from .sequence import MOST_LINES

#: Seeds that a mean curve is taken over; more change nothing that can be seen.
MOST_SEEDS = 20


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Running mean over up to `window` values ending here; never across the start."""
    sums = np.cumsum(np.insert(values, 0, 0.0))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def mean_curve(results: Results, training: Training) -> pd.DataFrame:
    """The mean over seeds: position, task, step, loss."""
    curves = pd.concat([results.loss(trial) for trial in list(training.trials.values())[:MOST_SEEDS]])
    return curves.groupby(["step", "position", "task"], sort=True)["loss"].mean().reset_index()


def _mark_tasks(axes: Axes, curve: pd.DataFrame) -> None:
    """Borders between tasks, and their names above the axes."""
    spans = curve.groupby("position").agg(task=("task", "first"), first=("step", "min"), last=("step", "max"))
    names = labels.task_labels(list(spans["task"]))
    total = spans["last"].max()
    for name, span in zip(names, spans.itertuples()):
        axes.axvline(span.last + 0.5, color=style.LIGHT, linewidth=0.6, zorder=0)
        flat = len(spans) <= 4
        if not flat and (span.last - span.first + 1) / total < 0.02:
            continue  # too narrow for its name
        axes.annotate(name, ((span.first + span.last) / 2, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 2),
                      textcoords="offset points", ha="center", va="bottom", fontsize=6 if len(spans) <= 20 else 5,
                      color=style.GREY, rotation=0 if flat else 90)


def draw_curves(curves: list[tuple[str, pd.DataFrame]]) -> Figure:
    """The curves, smoothed within each task."""
    longest = max((curve for _, curve in curves), key=len)
    figure = style.new_figure(height=1.9 + style.plural_height(len(curves)) + (0.4 if len(longest) else 0))
    axes = figure.subplots()
    for index, (label, curve) in enumerate(curves):
        window = max(1, len(curve) // (20 * curve["position"].nunique()))
        first = True
        for _, part in curve.groupby("position"):
            axes.plot(part["step"], smooth(part["loss"].to_numpy(), window), label=label if first else None,
                      **style.line_style(index))
            first = False
    _mark_tasks(axes, longest)
    axes.set_xlabel("optimiser step")
    axes.set_ylabel("loss, nat per token")
    axes.set_xlim(0.5, longest["step"].max() + 0.5)
    style.from_zero(axes)
    style.legend(figure, *axes.get_legend_handles_labels())
    return figure


def _parts(results: Results, trainings: list[Training]) -> Iterator[list[Training]]:
    """What shares a figure: trainings of as many steps on each task, no more than can be told apart."""
    trials = [next(iter(training.trials.values())) for training in trainings]
    steps = dict(results.arrays(trials, "loss_steps"))
    alike: dict[tuple[int, ...], list[Training]] = {}
    for training, trial in zip(trainings, trials):
        alike.setdefault(tuple(steps.get(trial, ())), []).append(training)
    for group in alike.values():
        yield from (group[start:start + MOST_LINES] for start in range(0, len(group), MOST_LINES))


def drawings(results: Results) -> Iterator[style.Drawing]:
    for number, name, trials in numbered_orders(results):
        parts = list(_parts(results, of_order(results, trials)))
        for part, chosen in enumerate(parts, 1):
            yield style.Drawing(
                f"loss-order{number}" + (f"-part{part}" if len(parts) > 1 else ""),
                f"Training loss, mean over seeds, running mean within each task; {name}. Settings that differ only in "
                "how they merge share their training.",
                lambda chosen=chosen: draw_curves([(t.label, mean_curve(results, t)) for t in chosen]),
            )
