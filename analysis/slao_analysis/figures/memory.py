"""Memory against the number of tasks: the state kept for the next task, step by step, and the largest of each trial."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .. import labels, published, style
from ..results import Results

#: bytes -> name of the unit
UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "bytes"))

#: kind of step -> what its state is
KINDS = {"finetune": "fine-tuned", "merge": "with a merged adapter"}


def growth(steps: pd.DataFrame) -> pd.DataFrame:
    """Distinct (kind, depth, bytes) of the steps that keep a state, with the bytes of the parent of the same kind: depth
    is the number of tasks trained."""
    kept = steps[steps["kind"].isin(KINDS) & steps["state_bytes"].notna()]
    depth: dict[str, int] = {}
    size = dict(zip(kept["key"], kept["state_bytes"]))
    kind = dict(zip(steps["key"], steps["kind"]))
    rows = []
    for key, parents, own in zip(steps["key"], steps["parent"], steps["kind"]):  # parents come first
        known = [parent for parent in str(parents).split(",") if parent in depth]
        depth[key] = max((depth[p] for p in known), default=0) + (own == "finetune")
        if own == "merge" and depth[key] == 0:
            depth[key] = 1
        if key not in size:
            continue
        before = [size[p] for p in known if kind[p] == own and p in size]
        rows.append((own, depth[key], size[key], before[0] if before else np.nan))
    return pd.DataFrame(rows, columns=["kind", "depth", "bytes", "before"]).drop_duplicates()


def draw_memory(steps: pd.DataFrame, trials: pd.DataFrame) -> Figure:
    """Left: state after each task of every lineage that was run. Right: state at the end against T, by method."""
    methods = list(dict.fromkeys(trials["method"]))
    top = max(trials["state_bytes"].max(), steps["bytes"].max() if len(steps) else 0)
    unit, unit_name = next((size, name) for size, name in UNITS if top >= size or size == 1)
    figure = style.new_figure(height=1.9 + style.plural_height(len(methods) + 2))
    left, right = figure.subplots(1, 2)
    handles, names = [], []
    for colour, marker, (kind, name) in zip(style.COLOURS[5:], ("o", "s"), KINDS.items()):
        own = steps[steps["kind"] == kind]
        if own.empty:
            continue
        for row in own[own["before"].notna()].itertuples():
            left.plot([row.depth - 1, row.depth], [row.before / unit, row.bytes / unit], color=colour,
                      linewidth=0.8, alpha=0.7, zorder=1)
        line, = left.plot(own["depth"], own["bytes"] / unit, marker, color=colour, markersize=2.5, linestyle="none")
        handles.append(line)
        names.append(f"{name} (left)")
    shift = np.linspace(-0.15, 0.15, len(methods)) if len(methods) > 1 else [0]
    for index, method in enumerate(methods):
        own = trials[(trials["method"] == method) & trials["state_bytes"].notna()]
        points = own.drop_duplicates(["T", "state_bytes"]).sort_values("T")
        if points.empty:
            continue
        line, = right.plot(points["T"] + shift[index], points["state_bytes"] / unit,
                           style.MARKERS[index % len(style.MARKERS)], linestyle="none",
                           color=style.COLOURS[index % len(style.COLOURS)], markersize=3.5)
        style.tip(line, published.method_name(str(method)))
        handles.append(line)
        names.append(published.method_name(str(method)))
    for axes, title in ((left, "tasks trained so far"), (right, "tasks of the sequence, T")):
        axes.set_xlabel(title)
        axes.set_ylabel(f"state kept, {unit_name}")
        style.from_zero(axes)
        low, high = axes.dataLim.intervalx if axes.lines else (0, 1)
        axes.set_xlim(low - max(0.12 * (high - low), 0.5), high + max(0.12 * (high - low), 0.5))
        axes.locator_params(axis="both", nbins=5)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(axis="y", color=style.LIGHT, linewidth=0.5)
        axes.set_axisbelow(True)
        if not axes.lines:
            axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", va="center", color=style.GREY)
            axes.set_xticks([])
            axes.set_yticks([])
    style.legend(figure, handles, names)
    return figure


def drawings(results: Results) -> Iterator[style.Drawing]:
    trials = labels.with_settings(results)
    steps = growth(results.steps)
    if steps.empty and trials["state_bytes"].isna().all():
        return
    yield style.Drawing(
        "memory", "Memory that a method needs from one task to the next (adapters, not the optimiser's state). Left: after "
        "each task of every sequence that was run; right: the largest of each trial.",
        lambda: draw_memory(steps, trials),
    )
