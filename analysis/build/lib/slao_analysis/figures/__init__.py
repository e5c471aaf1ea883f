"""The figures, one module each with a `draw(results) -> [(name, figure), ...]`; this table is all there is to
adding one. A figure for which a file has no data is not drawn."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure

from ..results import Results
from . import loss, matrix, metrics, sequence

Draw = Callable[[Results], list[tuple[str, Figure]]]

#: name of the sub-command -> what it draws
FIGURES: dict[str, Draw] = {
    "matrix": matrix.draw,
    "metrics": metrics.draw,
    "loss": loss.draw,
    "sequence": sequence.draw,
}
