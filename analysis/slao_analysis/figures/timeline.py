"""The sweep's timeline: what each rank did when, and how much of the time it worked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from .. import labels, style
from ..results import Results

COLOURS = {"finetune": style.COLOURS[0], "merge": style.COLOURS[2], "evaluate": style.COLOURS[5]}

#: Seconds without any step that count as the sweep having been stopped, and share of the whole below which not.
STOPPED = 300
SHARE = 0.02

#: Bars beyond which they are drawn as a picture: a vector file of all of them would not open.
MOST_VECTORS = 4000


@dataclass(frozen=True)
class Timeline:
    """Steps with start and end in seconds of running time (stops left out), and what they add up to."""

    steps: pd.DataFrame
    stops: list[float]  # running time at which the sweep was stopped and went on later
    ranks: list[int]
    wall: float
    utilisation: float


def timeline(steps: pd.DataFrame) -> Timeline | None:
    """Puts the steps of one file in time; None where they have no times."""
    started = pd.to_datetime(steps["started"], errors="coerce", utc=True, format="ISO8601")
    known = steps[started.notna() & steps["seconds"].notna()].copy()
    if known.empty:
        return None
    known["start"] = (started.dropna().reindex(known.index) - started.min()).dt.total_seconds()
    known["end"] = known["start"] + known["seconds"]
    known = known.sort_values("start", kind="stable")
    busy_until = known["end"].cummax().shift(fill_value=0.0)
    gaps = (known["start"] - busy_until).clip(lower=0)
    longest = known["end"].max()
    stopped = gaps > max(STOPPED, SHARE * longest)
    cut = gaps.where(stopped, 0).cumsum()
    known["start"] -= cut
    known["end"] -= cut
    stops = list(known.loc[stopped, "start"])
    wall = float(known["end"].max())
    ranks = sorted(known["mpi_rank"].unique())
    work = float(known["seconds"].sum())
    return Timeline(known, stops, ranks, wall, min(work / (wall * len(ranks)), 1.0) if wall > 0 else 1.0)


def _duration(seconds: float) -> tuple[float, str]:
    """What to divide by, and the unit's name."""
    return (3600, "h") if seconds > 3 * 3600 else (60, "min") if seconds > 180 else (1, "s")


def draw_timeline(line: Timeline) -> Figure:
    """A row per rank, a bar per step."""
    divide, unit = _duration(line.wall)
    rows = {rank: i for i, rank in enumerate(line.ranks)}
    figure = style.new_figure(height=min(1.2 + 0.22 * len(rows), 5.5))
    axes = figure.subplots()
    thickness = max(min(0.22, 4.4 / len(rows)) * 72 * 0.62, 0.4)
    for kind, colour in COLOURS.items():
        own = line.steps[line.steps["kind"] == kind]
        if own.empty:
            continue
        at = own["mpi_rank"].map(rows).to_numpy()
        ends = np.stack([own["start"], own["end"]], axis=1) / divide
        bars = [[(start, row), (end, row)] for (start, end), row in zip(ends, at)]
        collection = LineCollection(bars, colors=colour, linewidths=thickness, capstyle="butt",
                                    rasterized=len(own) > MOST_VECTORS)
        axes.add_collection(collection)
        axes.plot([], [], color=colour, linewidth=4,
                  label=f"{kind}: {len(own)}, {_text(own['seconds'].sum())}")
    for stop in line.stops:
        axes.axvline(stop / divide, color=style.GREY, linewidth=0.8, linestyle=(0, (2, 2)))
    axes.set_xlim(0, line.wall / divide if line.wall > 0 else 1)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    shown = list(rows)[:: max(1, len(rows) // 12)]
    axes.set_yticks([rows[rank] for rank in shown], [str(rank) for rank in shown])
    axes.set_ylabel("rank")
    axes.set_xlabel(f"running time, {unit}" + (" (dashed: stopped and resumed)" if line.stops else ""))
    figure.legend(loc="outside upper left", ncols=2, handlelength=1, columnspacing=1.5)
    return figure


def _text(seconds: float) -> str:
    divide, unit = _duration(seconds)
    return f"{seconds / divide:.1f} {unit}" if divide > 1 else f"{seconds:.0f} s"


def drawings(results: Results) -> Iterator[style.Drawing]:
    steps = results.steps
    for index, file in enumerate(results.files):
        own = timeline(steps[steps["file"] == index] if "file" in steps else steps)
        if own is None:
            continue
        suffix = f"-{labels.slug(file.path.stem)}" if len(results.files) > 1 else ""
        yield style.Drawing(
            f"timeline{suffix}",
            f"What each rank did when: {labels.count(len(own.ranks), 'rank')}, {_text(own.wall)} of running time, "
            f"of which ranks worked {100 * own.utilisation:.0f} %"
            + (f"; stopped and resumed {labels.count(len(own.stops), 'time')}" if own.stops else "") + ".",
            lambda own=own: draw_timeline(own),
        )
