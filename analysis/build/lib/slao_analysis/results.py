"""A results file as pandas frames, checked to be one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

SCHEMA_VERSION = 1

#: What each table must have; more columns (swept keys, later additions) are welcome.
TABLES: dict[str, tuple[str, ...]] = {
    "trials": (
        "id", "method", "order", "order_name", "lambda", "learning_rate", "seed", "lora_rank", "status", "AA",
        "AA_micro", "BWT", "FWT", "fwt_individual", "forgetting", "intransigence", "train_seconds", "eval_seconds",
        "train_tokens", "state_bytes", "peak_memory_bytes",
    ),
    "accuracy": ("trial", "after", "task", "score", "examples"),
    "orders": (
        "method", "lambda", "learning_rate", "seed", "lora_rank", "n_orders", "MOPD", "AOPD", "AA_mean", "AA_sd",
    ),
    "steps": (
        "key", "parent", "kind", "task", "started", "seconds", "tokens", "mpi_rank", "host", "state_bytes",
        "shared_by",
    ),
}

#: Columns of /trials that are results, not settings.
OUTCOMES = TABLES["trials"][TABLES["trials"].index("status"):]


class ResultsError(Exception):
    """A file that cannot be used, with a message that says why and what to do."""


@dataclass(frozen=True)
class Results:
    """The tables of a results file; arrays of single trials are read when asked for.

    Scores are fractions. Texts are str, absent numbers NaN.
    """

    path: Path
    attributes: dict[str, object]
    trials: pd.DataFrame
    accuracy: pd.DataFrame
    orders: pd.DataFrame
    steps: pd.DataFrame

    @property
    def name(self) -> str:
        return str(self.attributes["name"])

    @cached_property
    def setting_columns(self) -> list[str]:
        """Columns that make a setting, in the order of the file: all but the order of tasks and the seed.

        Method and lambda always, the others where they take several values.
        """
        columns = [
            column for column in self.trials.columns
            if column not in OUTCOMES and column not in ("id", "order", "order_name", "seed")
        ]
        return [
            column for column in columns
            if column in ("method", "lambda") or self.trials[column].replace("", None).nunique() > 1
        ]

    def array(self, trial: str, name: str) -> np.ndarray | None:
        """The dataset /trial/ID/NAME; None where the file has none."""
        with h5py.File(self.path) as file:
            group = file[f"trial/{trial}"]
            return group[name][:] if name in group else None

    def tasks(self, trial: str) -> list[str]:
        """The tasks of a trial in the order they are trained in."""
        row = self.trials.loc[self.trials["id"] == trial, "order"]
        if row.empty:
            raise ResultsError(f"{self.path} has no trial {trial}")
        return str(row.iloc[0]).split(",")

    def matrix(self, trial: str) -> pd.DataFrame:
        """Scores of a trial: a row per number of tasks trained (0: untrained), a column per task, NaN where
        not evaluated."""
        tasks = self.tasks(trial)
        cells = self.accuracy[self.accuracy["trial"] == trial]
        matrix = cells.pivot(index="after", columns="task", values="score")
        return matrix.reindex(index=range(len(tasks) + 1), columns=tasks)

    @cached_property
    def losses(self) -> pd.DataFrame:
        """Losses of all trials, long: trial, position (of the task, from 1), task, step (over the whole
        sequence, from 1), loss."""
        frames = []
        with h5py.File(self.path) as file:
            for trial, order in zip(self.trials["id"], self.trials["order"]):
                group = file.get(f"trial/{trial}")
                if group is None or "loss" not in group or "loss_steps" not in group:
                    continue
                loss, counts = group["loss"][:], group["loss_steps"][:]
                if counts.sum() != len(loss):
                    raise ResultsError(f"{self.path}: trial {trial}: loss_steps does not fit loss")
                position = np.repeat(np.arange(1, len(counts) + 1), counts)
                tasks = np.array(order.split(","), dtype=object)
                frames.append(pd.DataFrame({
                    "trial": trial, "position": position, "task": tasks[position - 1],
                    "step": np.arange(1, len(loss) + 1), "loss": loss,
                }))
        columns = ["trial", "position", "task", "step", "loss"]
        frames = [frame for frame in frames if len(frame)]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def load(path: str | Path) -> Results:
    """Reads a results file. Raises ResultsError for what is not one, is damaged, or is of another schema."""
    path = Path(path)
    if not path.is_file():
        raise ResultsError(f"{path} is not there, or not a file")
    try:
        with h5py.File(path) as file:
            _check_schema(path, file)
            tables = {name: _read_table(path, file, name) for name in TABLES}
            return Results(path, dict(file.attrs), **tables)
    except OSError as error:
        if path.read_bytes()[:8] != b"\x89HDF\r\n\x1a\n":
            raise ResultsError(f"{path} is not an HDF5 file") from error
        raise ResultsError(
            f"{path} is damaged or cut off ({error}); `slao collect {path}` writes it again from its store"
        ) from error


def _check_schema(path: Path, file: h5py.File) -> None:
    version = file.attrs.get("schema_version")
    if version is None:
        raise ResultsError(f"{path} is an HDF5 file, but not a results file of slao: no schema_version")
    if int(version) != SCHEMA_VERSION:
        raise ResultsError(
            f"{path} is of schema version {version}, and this slao-analysis reads {SCHEMA_VERSION}: "
            "use the one that came with the slao that wrote the file"
        )
    missing = [name for name in TABLES if not isinstance(file.get(name), h5py.Dataset)]
    if missing:
        raise ResultsError(f"{path} lacks the table /{missing[0]}: it was not written by slao")


def _read_table(path: Path, file: h5py.File, name: str) -> pd.DataFrame:
    rows = file[name][:]
    missing = [column for column in TABLES[name] if column not in (rows.dtype.names or ())]
    if missing:
        raise ResultsError(f"{path}: the table /{name} lacks the column {missing[0]}")
    frame = pd.DataFrame({column: rows[column] for column in rows.dtype.names})
    for column in frame.columns:
        if h5py.check_string_dtype(file[name].dtype[column]):
            frame[column] = [text.decode("utf-8") for text in rows[column]]
    return frame
