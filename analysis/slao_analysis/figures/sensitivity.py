"""AA and BWT against lambda, learning rate, rank, T or any other swept number: a figure for each that was swept; the
mean over orders and seeds with its 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import labels, statistics, style
from ..results import Results
from .metrics import PANELS
from .sequence import MOST_LINES

#: An axis whose largest value is so many times its smallest is logarithmic.
LOGARITHMIC = 8

#: Names of values (schedules) that fit beside the numbers in half a column, and places that numbers get where more do.
MOST_BESIDE = 2
MANY = 9

RESAMPLES = 2000


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return math.nan


def swept(results: Results) -> list[str]:
    """Columns with at least two numbers among their values, T included."""
    columns = [c for c in results.setting_columns if c != "method"] + ["T"]
    return [c for c in columns if results.trials[c].map(_number).nunique() > 1]


def _summary(group: pd.DataFrame, metric: str) -> tuple[float, float, float]:
    known = group.dropna(subset=[metric])
    values = 100 * known[metric].to_numpy(dtype=float)
    if not len(values):
        return math.nan, math.nan, math.nan
    low, high = statistics.run_interval(values, known["order"], known["seed"], resamples=RESAMPLES)
    return float(values.mean()), low, high


def _draw_line(axes: Axes, group: pd.DataFrame, x: str, metric: str, look: dict[str, object], label: str) -> None:
    """Numbers as a line with its band; what has no number (SeqLoRA has no lambda) as a level across the panel."""
    numbers = group[x].map(_number)
    points = [(value, *_summary(part, metric)) for value, part in group.groupby(numbers)]
    if points:
        at, mean, low, high = map(np.array, zip(*points))
        line, = axes.plot(at, mean, marker="o", markersize=2.5, label=label, **look)
        style.tip(line, label)
        # Where a band cannot be known, three runs being the fewest, its end is the mean: no band.
        axes.fill_between(at, np.where(np.isnan(low), mean, low), np.where(np.isnan(high), mean, high),
                          color=look["color"], alpha=0.15, linewidth=0)
    elif group[x].map(labels.is_absent).all():
        mean, low, high = _summary(group, metric)
        axes.axhline(mean, label=label, linewidth=0.9, **look)
        if not math.isnan(low):
            axes.axhspan(low, high, color=look["color"], alpha=0.1, linewidth=0)


def _schedules(x: str, lines: list[tuple[str, pd.DataFrame]]) -> list[str]:
    """The values that are no numbers (1/sqrt(i)), sorted."""
    return sorted({str(value) for _, group in lines for value in group[x]
                   if not labels.is_absent(value) and math.isnan(_number(value))}, key=labels.sort_key)


def _draw_schedules(axes: Axes, lines: list[tuple[str, pd.DataFrame]], x: str, metric: str, offset: int,
                    places: list[tuple[float, str]], width: float) -> None:
    """Values that are no numbers at their places, right of those that are."""
    for index, (label, group) in enumerate(lines):
        look = style.line_style(offset + index)
        for at, name in places:
            part = group[group[x].astype(str) == name]
            if part.empty:
                continue
            mean, low, high = _summary(part, metric)
            shift = width * 0.25 * (index - (len(lines) - 1) / 2) / max(len(lines) - 1, 1)
            error = None if math.isnan(low) else [[max(mean - low, 0)], [max(high - mean, 0)]]
            numbers = group[x].map(_number).notna().any()
            axes.errorbar(at + shift, mean, yerr=error, fmt="s", markersize=3, color=look["color"], capsize=1.5,
                          elinewidth=0.8, label=None if numbers else label)


def draw_against(x: str, lines: list[tuple[str, pd.DataFrame]], offset: int) -> Figure:
    """Two panels, AA and BWT against x, a line for each group of trials; one above the other where x has more names than
    fit beside its numbers."""
    numbers = np.array(sorted({value for _, group in lines for value in group[x].map(_number).dropna()}))
    names = _schedules(x, lines)
    logarithmic = numbers.min() > 0 and numbers.max() / numbers.min() >= LOGARITHMIC and x != "lambda" and not names
    many = len(names) > MOST_BESIDE
    width = (numbers.max() - numbers.min()) / (MANY if many else 3)
    places = [(numbers.max() + width * (i + 1), name) for i, name in enumerate(names)]
    longest = max(map(len, names), default=0)
    figure = style.new_figure(height=(2.6 + 0.05 * longest if many else 1.9) + style.plural_height(len(lines)))
    panels = figure.subplots(2, 1, sharex=True) if many else figure.subplots(1, 2)
    for axes, (metric, title) in zip(panels, PANELS):
        for index, (label, group) in enumerate(lines):
            _draw_line(axes, group, x, metric, style.line_style(offset + index), label)
        _draw_schedules(axes, lines, x, metric, offset, places, width)
        if logarithmic:
            axes.set_xscale("log")
        _set_ticks(axes, numbers, places, many)
        axes.set_ylabel(title)
        axes.locator_params(axis="y", nbins=5)
        axes.grid(axis="y", color=style.LIGHT, linewidth=0.5)
        axes.set_axisbelow(True)
    for axes in panels[-1:] if many else panels:
        axes.set_xlabel(labels.column_name(x))
    panels[1].axhline(0, color=style.GREY, linewidth=0.6, zorder=0)
    handles, shown = panels[0].get_legend_handles_labels()
    first = dict(zip(reversed(shown), reversed(handles)))
    style.legend(figure, [first[label] for label in dict.fromkeys(shown)], list(dict.fromkeys(shown)))
    return figure


def _set_ticks(axes: Axes, numbers: np.ndarray, places: list[tuple[float, str]], many: bool) -> None:
    """Ticks at values that were run, as many as fit, and at schedules."""
    scale = math.log10 if axes.get_xscale() == "log" else float
    ends = [scale(numbers.min()), scale(places[-1][0] if places else numbers.max())]
    gap = (ends[1] - ends[0]) / (MANY + len(places) if many else 5)
    chosen: list[float] = []
    for value in numbers:
        if not chosen or scale(value) - scale(chosen[-1]) >= 0.999 * gap:
            chosen.append(value)
    shown = [labels.number_text(value) for value in chosen]
    axes.set_xticks([*chosen, *(at for at, _ in places)], [*shown, *(labels.pretty_lambda(name) for _, name in places)],
                    rotation=90 if many else 45 if max(map(len, shown)) > 4 else 0)
    axes.minorticks_off()


def drawings(results: Results) -> Iterator[style.Drawing]:
    for x in swept(results):
        trials = labels.with_settings(results, without=[x])
        trials = trials[trials["AA"].notna() | trials["BWT"].notna()]
        parts = [("", trials)] if x == "T" else list(trials.groupby("benchmark", sort=False))
        for benchmark, part in parts:
            if part[x].map(_number).nunique() < 2:
                continue
            lines = [(str(setting), group) for setting, group in part.groupby("setting", sort=False)
                     if group[x].nunique() > 1 or group[x].map(labels.is_absent).all()]
            for start in range(0, len(lines), MOST_LINES):
                chosen = lines[start:start + MOST_LINES]
                if not any(group[x].map(_number).notna().any() for _, group in chosen):
                    continue
                name = f"sensitivity-{labels.slug(x)}" + (
                    f"-{labels.slug(str(benchmark))}" if len(parts) > 1 else "") + (
                    f"-part{start // MOST_LINES + 1}" if len(lines) > MOST_LINES else "")
                yield style.Drawing(
                    name, f"Average accuracy and backward transfer against {labels.column_name(x)}: mean over orders "
                    "and seeds; bands: 95 % by bootstrap, from three runs on. Level lines: settings for which it means "
                    "nothing." + (f" {benchmark}." if benchmark else ""),
                    lambda x=x, chosen=chosen, start=start: draw_against(x, chosen, start),
                )
