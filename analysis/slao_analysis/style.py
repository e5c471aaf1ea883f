"""One look for all figures: sized for one column of a paper, readable when printed, safe for the colour-blind."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.artist import Artist  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

#: Inches: one column of a two-column page, and the height of a page.
COLUMN = 3.4
PAGE = 9.0

#: Okabe and Ito's palette without its yellow, which is too pale for lines.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#111111")
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

#: What is not data. The report gives these colours their counterparts in dark mode, so each has one use.
INK = "#111111"
GREY = "#6b6b6b"
LIGHT = "#d9d9d9"
PAPER = "#fffffe"

#: Perceptually even, and even in grey.
SCORES = "cividis"

RC = {
    "figure.dpi": 100,
    "figure.facecolor": PAPER,
    "savefig.dpi": 300,
    "savefig.facecolor": PAPER,
    "axes.facecolor": "none",
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
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "axes.titlelocation": "left",
    "pdf.fonttype": 42,
    "svg.hashsalt": "slao",
    **{key: INK for key in ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")},
}


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn: its file's name, what a reader should know, and what draws it."""

    name: str
    caption: str
    make: Callable[[], Figure]

    def draw(self) -> Figure:
        """The figure, in the common look."""
        with plt.rc_context(RC):
            return self.make()


def line_style(index: int) -> dict[str, object]:
    """Colour and dash of the index-th of several lines: 28 that differ."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index // len(COLOURS) % len(DASHES)]}


def new_figure(height: float, width: float = COLUMN) -> Figure:
    """An empty figure, one column wide unless told, and no higher than a page."""
    return Figure(figsize=(width, min(height, PAGE)), layout="constrained")


def plural_height(lines: int) -> float:
    """Inches of a figure's legend with so many lines in two columns."""
    return 0.13 * ((lines + 1) // 2)


def wrapped(text: str, width: int) -> str:
    """The text in lines of about so many characters, broken between words."""
    return "\n".join(textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False))


def row_height(names: Sequence[str]) -> float:
    """Inches of a row that is called by one of these names, which may have several lines."""
    return 0.07 + 0.105 * (1 + max((name.count("\n") for name in names), default=0))


def from_zero(axes: Axes) -> None:
    """The vertical axis begins at 0, and leaves room above the highest value."""
    if axes.has_data():
        axes.update_datalim([(axes.dataLim.x0, 0)])
        axes.autoscale_view(scalex=False)
    axes.set_ylim(bottom=0)


def legend(figure: Figure, handles: list[Artist], names: list[str]) -> None:
    """The legend above the figure, in two columns where they fit."""
    for columns in (2, 1):
        made = figure.legend(handles, [wrapped(name, 56) for name in names], loc="outside upper left", handlelength=2.4,
                             ncols=columns)
        if columns == 1 or made.get_window_extent().width <= figure.bbox.width:
            return
        made.remove()


_tips = itertools.count()


def tip(artist: Artist, text: str) -> None:
    """What a pointer over the artist shows in the report (an SVG title); nothing in print."""
    artist.set_gid(f"tip{next(_tips)}|{text}")


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Writes NAME.png and NAME.pdf into the folder, which is made, and returns their paths."""
    paths = [folder / f"{name}.{kind}" for kind in ("png", "pdf")]
    with plt.rc_context(RC):
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Without its date, the same figure is the same file.
            figure.savefig(path, metadata={"CreationDate": None} if path.suffix == ".pdf" else None)
    return paths
