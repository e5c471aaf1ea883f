"""Training loss over the whole sequence of tasks: a figure per order, a line per distinct training."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import labels, style
from ..results import Results


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Running mean over up to `window` values ending here; never across the start."""
    sums = np.cumsum(np.insert(values, 0, 0.0))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def trainings(results: Results, trials: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The distinct mean loss curves of the trials' settings, by step, with their labels. Settings that differ
    only in how they merge share their training: they are one line."""
    losses = results.losses
    curves: list[tuple[list[pd.Series], pd.DataFrame]] = []
    for _, group in trials.groupby("setting", sort=False):
        own = losses[losses["trial"].isin(group["id"])]
        if own.empty:
            continue
        curve = own.groupby(["step", "position", "task"], sort=True)["loss"].mean().reset_index()
        for members, known in curves:
            if len(known) == len(curve) and np.allclose(known["loss"], curve["loss"], rtol=1e-9):
                members.append(group.iloc[0])
                break
        else:
            curves.append(([group.iloc[0]], curve))
    return [(_label(members), curve) for members, curve in curves]


def _label(members: list[pd.Series]) -> str:
    if len(members) == 1:
        return str(members[0]["setting"])
    methods = list(dict.fromkeys(str(member["method"]) for member in members))
    return f"{', '.join(methods)} ({len(members)} settings)"


def _mark_tasks(axes: Axes, curve: pd.DataFrame) -> None:
    """Borders between tasks, and their names above the axes."""
    spans = curve.groupby("position").agg(task=("task", "first"), first=("step", "min"), last=("step", "max"))
    for span in spans.itertuples():
        axes.axvline(span.last + 0.5, color=style.LIGHT, linewidth=0.6, zorder=0)
        few = len(spans) <= 4
        axes.annotate(span.task, ((span.first + span.last) / 2, 1.0), xycoords=("data", "axes fraction"),
                      xytext=(0, 2), textcoords="offset points", ha="center", va="bottom", fontsize=6,
                      color=style.GREY, rotation=0 if few else 90)


@style.styled
def draw(results: Results) -> list[tuple[str, Figure]]:
    figures = []
    trials = labels.with_settings(results)
    for number, order in enumerate(dict.fromkeys(trials["order"]), 1):
        group = trials[trials["order"] == order]
        curves = trainings(results, group)
        if not curves:
            continue
        longest = max((curve for _, curve in curves), key=len)
        figure = style.new_figure(height=1.9 + 0.13 * ((len(curves) + 1) // 2))
        axes = figure.subplots()
        for index, (label, curve) in enumerate(curves):
            look = style.line_style(index)
            window = max(1, len(curve) // (20 * curve["position"].nunique()))
            means = np.concatenate([
                smooth(part["loss"].to_numpy(), window) for _, part in curve.groupby("position")
            ])
            for position, part in curve.groupby("position"):
                inside = (curve["position"] == position).to_numpy()
                axes.plot(part["step"], means[inside], label=label if position == curve["position"].iloc[0] else None,
                          **look)
        _mark_tasks(axes, longest)
        axes.set_xlabel("optimiser step")
        axes.set_ylabel("loss, nat per token")
        axes.set_xlim(1, longest["step"].max() + 0.5)
        axes.set_ylim(bottom=0)
        figure.legend(loc="outside upper left", ncols=2, handlelength=2.2)
        figures.append((f"loss-order{number}", figure))
    return figures
