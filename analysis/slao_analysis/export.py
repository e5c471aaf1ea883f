"""The tidy tables as CSV or Parquet files, for other programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from . import labels
from .results import Results, ResultsError


def _trials(results: Results) -> pd.DataFrame:
    return labels.with_settings(results).sort_index()


#: name of the file -> what is in it
FRAMES: dict[str, Callable[[Results], pd.DataFrame]] = {
    "trials": _trials,
    "accuracy": lambda results: results.accuracy,
    "categories": lambda results: results.categories,
    "orders": lambda results: results.orders,
    "steps": lambda results: results.steps,
    "losses": lambda results: results.losses,
}


def write(results: Results, folder: Path, kind: str) -> list[Path]:
    """Writes every table into the folder, which is made: kind is csv or parquet."""
    if kind == "parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise ResultsError("Parquet needs pyarrow: pip install 'slao-analysis[parquet]', or take CSV") from error
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, make in FRAMES.items():
        path = folder / f"{name}.{kind}"
        frame = make(results)
        if kind == "parquet":
            frame.to_parquet(path, index=False)
        else:
            frame.to_csv(path, index=False, lineterminator="\n")
        paths.append(path)
    return paths
