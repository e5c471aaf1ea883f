"""One look for all figures: sized for one column of a paper, readable when printed, safe for the colour-blind."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

T = TypeVar("T")

#: Inches: one column of a two-column page.
COLUMN = 3.4

#: Okabe and Ito's palette without its yellow, which is too pale for lines.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
GREY = "#6b6b6b"
LIGHT = "#d9d9d9"

#: Perceptually even, and even in grey.
SCORES = "cividis"

RC = {
    "figure.dpi": 100,
    "savefig.dpi": 300,
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "axes.titlelocation": "left",
    "pdf.fonttype": 42,
}


def line_style(index: int) -> dict[str, object]:
    """Colour and dash of the index-th of several lines: 28 that differ."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index // len(COLOURS) % len(DASHES)]}


def styled(draw: Callable[..., T]) -> Callable[..., T]:
    """Decorates a function that draws: everything it makes has the common look."""

    @functools.wraps(draw)
    def inner(*arguments, **options):
        with plt.rc_context(RC):
            return draw(*arguments, **options)

    return inner


def new_figure(height: float, width: float = COLUMN) -> Figure:
    """An empty figure, one column wide unless told."""
    return Figure(figsize=(width, height), layout="constrained")


@styled
def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Writes NAME.png and NAME.pdf into the folder, which is made, and returns their paths."""
    paths = [folder / f"{name}.{kind}" for kind in ("png", "pdf")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without its date, the same figure is the same file.
        figure.savefig(path, metadata={"CreationDate": None} if path.suffix == ".pdf" else None)
    return paths
