"""The figures, one module each: its first line is the help of its sub-command, `drawings(results)` what it can draw,
one after the other: what comes later is read when it is asked for.
This table is all there is to adding one. A figure for which a file has no data is not drawn."""

from __future__ import annotations

from types import ModuleType

from . import (ablation, cosine, geometry, loss, matrix, memory, metrics, orders, regime, sensitivity, sequence, timeline)

#: name of the sub-command -> module, in the order of the report
FIGURES: dict[str, ModuleType] = {
    "metrics": metrics,
    "sensitivity": sensitivity,
    "orders": orders,
    "ablation": ablation,
    "matrix": matrix,
    "sequence": sequence,
    "loss": loss,
    "cosine": cosine,
    "geometry": geometry,
    "regime": regime,
    "memory": memory,
    "timeline": timeline,
}


def help_of(name: str) -> str:
    """The first sentence of a figure's module."""
    return (FIGURES[name].__doc__ or "").split(":")[0].strip()
