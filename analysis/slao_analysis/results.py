"""Results files as pandas frames, checked to be what they should.

    results = load("a.h5", "b.h5")
    results.trials      # a row per trial; scores are fractions
    results.accuracy    # a row per evaluated cell
    results.matrix(id)  # the scores of one trial, by task trained and task evaluated

Several files are one: their tables one below the other, with a column `file`. A trial that several files have counts
once, the one that is most complete. What a file lacks of the optional parts is said in `results.notes`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import h5py
import numpy as np
import pandas as pd

from . import published

T = TypeVar("T")

SCHEMA_VERSION = 1

#: What each table must have; more columns (swept keys, later additions) are welcome.
REQUIRED: dict[str, tuple[str, ...]] = {
    "trials": ("id", "method", "order", "lambda", "seed", "status", "AA", "BWT"),
    "accuracy": ("trial", "after", "task", "score", "examples"),
    "categories": ("trial", "category", "n_tasks", "AA"),
    "orders": ("method", "lambda", "seed", "n_orders", "MOPD", "AOPD"),
    "steps": ("key", "parent", "kind", "task", "started", "seconds", "mpi_rank"),
}

#: Columns that may be absent, with what stands for them.
OPTIONAL: dict[str, dict[str, object]] = {
    "trials": {
        "order_name": "", "learning_rate": np.nan, "lora_rank": 0, "AA_micro": np.nan, "FWT": np.nan,
        "fwt_individual": np.nan, "forgetting": np.nan, "intransigence": np.nan, "train_seconds": np.nan,
        "eval_seconds": np.nan, "train_tokens": 0, "state_bytes": np.nan, "peak_memory_bytes": np.nan,
    },
    "accuracy": {"unanswerable": np.nan},
    "categories": {},
    "orders": {"learning_rate": np.nan, "lora_rank": 0, "AA_mean": np.nan, "AA_sd": np.nan},
    "steps": {"tokens": 0, "host": "", "state_bytes": np.nan, "shared_by": 1},
}

#: Columns that name a trial; the others before `status` are its setting, those from `status` on its outcome.
IDENTITY = ("id", "order", "order_name", "seed")

#: From most to least complete.
STATUSES = ("done", "partial", "failed", "missing")


class ResultsError(Exception):
    """A file that cannot be used, with a message that says why and what to do."""


@dataclass(frozen=True)
class File:
    """One results file: where it is, what its attributes say, and the settings that its trials have."""

    path: Path
    attributes: dict[str, object]
    settings: tuple[str, ...]

    @property
    def spec(self) -> dict[str, object]:
        """The spec that the sweep ran, resolved; empty where it cannot be read."""
        try:
            spec = json.loads(str(self.attributes.get("spec", "")))
        except ValueError:
            return {}
        return spec if isinstance(spec, dict) else {}


@dataclass(frozen=True)
class Results:
    """The tables of one or several results files. Big ones are read when asked for.

    Scores are fractions. Texts are str, absent numbers NaN. Beside the file's columns, `trials` has: file (index in
    `files`), T (number of tasks), benchmark (what is comparable: tasks of one benchmark, in whatever order).
    """

    files: tuple[File, ...]
    trials: pd.DataFrame
    orders: pd.DataFrame
    notes: list[str] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.files[0].path

    @property
    def name(self) -> str:
        return ", ".join(dict.fromkeys(str(file.attributes.get("name", file.path.stem)) for file in self.files))

    @cached_property
    def setting_columns(self) -> list[str]:
        """Columns that make a setting, in the order of the file: all but the order of tasks and the seed.

        Method and lambda always, the others where they take several values.
        """
        columns = list(dict.fromkeys(column for file in self.files for column in file.settings))
        return [
            column for column in columns
            if column in ("method", "lambda") or self.trials[column].replace("", None).nunique() > 1
        ]

    @cached_property
    def accuracy(self) -> pd.DataFrame:
        """/accuracy: a row per evaluated cell of all matrices."""
        return self._by_trial("accuracy")

    @cached_property
    def categories(self) -> pd.DataFrame:
        """/categories: a row per trial and category of its tasks."""
        return self._by_trial("categories")

    @cached_property
    def steps(self) -> pd.DataFrame:
        """/steps: a row per step that ran."""
        return self._table("steps")

    def read_all(self) -> None:
        """Reads the tables that are else read when asked for: `notes` is complete then."""
        for name in ("accuracy", "steps"):
            getattr(self, name)

    def _by_trial(self, name: str) -> pd.DataFrame:
        """A table with a column `trial`: its rows of the trials that count."""
        frame = _rename_trials(self._table(name), self._ids)
        return frame[frame["trial"].isin(set(self.trials["id"]))].reset_index(drop=True)

    def _table(self, name: str) -> pd.DataFrame:
        frames = []
        for index, file in enumerate(self.files):
            frame = _guarded(file.path, lambda opened, path=file.path: _read_table(path, opened, name, self.notes))
            frame["file"] = index
            frames.append(frame)
        known = [frame for frame in frames if len(frame)]
        return pd.concat(known, ignore_index=True) if known else frames[0]

    @cached_property
    def _ids(self) -> dict[tuple[int, str], str]:
        """(file, id in it) -> id here; they differ where files of different sweeps have the same id."""
        return dict(zip(zip(self.trials["file"], self.trials["file_id"]), self.trials["id"]))

    @cached_property
    def _places(self) -> dict[str, tuple[int, str]]:
        return {identifier: place for place, identifier in self._ids.items()}

    def arrays(self, trials: Iterable[str], name: str) -> Iterator[tuple[str, np.ndarray]]:
        """(trial, /trial/ID/NAME) of each trial that has it, in the order given."""
        open_file, handle = -1, None
        try:
            for trial in trials:
                index, file_id = self._place(trial)
                if index != open_file:
                    if handle:
                        handle.close()
                    handle, open_file = _open(self.files[index].path), index
                dataset = handle.get(f"trial/{file_id}/{name}")
                if isinstance(dataset, h5py.Dataset):
                    yield trial, dataset[:]
        except (OSError, RuntimeError) as error:
            raise ResultsError(_damaged(self.files[open_file].path, error)) from error
        finally:
            if handle:
                handle.close()

    def array(self, trial: str, name: str) -> np.ndarray | None:
        """The dataset /trial/ID/NAME; None where the file has none."""
        return next((values for _, values in self.arrays([trial], name)), None)

    def _place(self, trial: str) -> tuple[int, str]:
        if trial not in self._places:
            raise ResultsError(f"{self.path} has no trial {trial}")
        return self._places[trial]

    @cached_property
    def _orders_of_trials(self) -> dict[str, list[str]]:
        return {trial: str(order).split(",") for trial, order in zip(self.trials["id"], self.trials["order"])}

    def tasks(self, trial: str) -> list[str]:
        """The tasks of a trial in the order they are trained in."""
        self._place(trial)
        return self._orders_of_trials[trial]

    @cached_property
    def _cells(self) -> dict[str, np.ndarray]:
        """The matrix of each trial that has any cell: row 0 is the untrained model."""
        cells = self.accuracy
        codes, names = pd.factorize(cells["trial"])
        sort = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(names))) if len(cells) else []
        after, score = cells["after"].to_numpy()[sort], cells["score"].to_numpy(dtype=float)[sort]
        task = cells["task"].to_numpy()[sort]
        matrices, start = {}, 0
        for name, end in zip(names, ends):
            position = {key: i for i, key in enumerate(self._orders_of_trials[name])}
            matrix = np.full((len(position) + 1, len(position)), np.nan)
            rows = after[start:end]
            columns = np.fromiter((position.get(key, -1) for key in task[start:end]), dtype=np.int64, count=end - start)
            known = (columns >= 0) & (rows >= 0) & (rows <= len(position))
            matrix[rows[known], columns[known]] = score[start:end][known]
            matrices[str(name)] = matrix
            start = end
        return matrices

    def matrix(self, trial: str) -> pd.DataFrame:
        """Scores of a trial: a row per number of tasks trained (0: untrained), a column per task, NaN where
        not evaluated."""
        tasks = self.tasks(trial)
        values = self._cells.get(trial)
        if values is None:
            values = np.full((len(tasks) + 1, len(tasks)), np.nan)
        return pd.DataFrame(values, index=range(len(tasks) + 1), columns=tasks)

    def final_scores(self, trial: str) -> np.ndarray:
        """The last score of each task, in the order of training; of methods that train each task alone, that of
        the task itself."""
        scores = self._cells.get(trial)
        if scores is None:
            return np.full(len(self.tasks(trial)), np.nan)
        return np.diag(scores[1:]).copy() if _only_diagonal(scores[1:]) else scores[-1].copy()

    def loss(self, trial: str) -> pd.DataFrame:
        """Losses of a trial, long: position (of the task, from 1), task, step (over the whole sequence, from 1),
        loss. No rows where nothing ran."""
        tasks = self.tasks(trial)
        loss, counts = self.array(trial, "loss"), self.array(trial, "loss_steps")
        if loss is None or counts is None:
            loss, counts = np.array([]), np.zeros(len(tasks), dtype=np.int64)
        if counts.sum() != len(loss):
            raise ResultsError(f"{self.path}: trial {trial}: loss_steps does not fit loss")
        position = np.repeat(np.arange(1, len(counts) + 1), counts)
        names = np.array([*tasks, ""], dtype=object)[:-1]
        return pd.DataFrame({
            "position": position, "task": names[position - 1], "step": np.arange(1, len(loss) + 1), "loss": loss,
        })

    @property
    def losses(self) -> pd.DataFrame:
        """Losses of all trials, with a column `trial`. Large for large sweeps: `loss` reads one."""
        frames = []
        for trial in self.trials["id"]:
            frame = self.loss(trial)
            if len(frame):
                frame.insert(0, "trial", trial)
                frames.append(frame)
        columns = ["trial", "position", "task", "step", "loss"]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def is_diagonal(matrix: pd.DataFrame) -> bool:
    """Whether the matrix is that of a method that trains each task by itself: nothing beside the diagonal."""
    return _only_diagonal(matrix.loc[1:].to_numpy(dtype=float))


def _only_diagonal(scores: np.ndarray) -> bool:
    known = ~np.isnan(scores)
    return len(known) > 1 and bool(np.diag(known).any()) and not known[~np.eye(len(known), dtype=bool)].any()


def load(*paths: str | Path) -> Results:
    """Reads results files. Raises ResultsError for what is not one, is damaged, or is of another schema."""
    if not paths:
        raise ResultsError("no results file given")
    notes: list[str] = []
    files, trials, orders = [], [], []
    for index, path in enumerate(map(Path, paths)):
        file, own_trials, own_orders = _guarded(path, lambda opened, path=path: _read_file(path, opened, notes))
        own_trials["file"] = own_orders["file"] = index
        files.append(file)
        trials.append(own_trials)
        orders.append(own_orders)
    merged = _merge_trials(files, trials, notes)  # which may add a column to the settings of files
    return Results(tuple(files), merged, pd.concat(orders, ignore_index=True), notes)


def _open(path: Path) -> h5py.File:
    """For reading, without a lock: results files appear whole, and locks fail on network file systems."""
    return h5py.File(path, "r", locking=False)


def _guarded(path: Path, read: Callable[[h5py.File], T]) -> T:
    """What `read` makes of the opened file; what goes wrong is a ResultsError that says what to do."""
    if not path.is_file():
        raise ResultsError(f"{path} is not there, or not a file")
    try:
        with _open(path) as file:
            return read(file)
    except (OSError, RuntimeError) as error:
        with path.open("rb") as opened:
            start = opened.read(8)
        if start != b"\x89HDF\r\n\x1a\n":
            raise ResultsError(f"{path} is not an HDF5 file") from error
        raise ResultsError(_damaged(path, error)) from error


def _damaged(path: Path, error: Exception) -> str:
    return f"{path} is damaged or cut off ({error}); `slao collect {path}` writes it again from its store"


def _read_file(path: Path, file: h5py.File, notes: list[str]) -> tuple[File, pd.DataFrame, pd.DataFrame]:
    version = file.attrs.get("schema_version")
    if version is None:
        raise ResultsError(f"{path} is an HDF5 file, but not a results file of slao: no schema_version")
    if np.ndim(version) != 0 or str(version) != str(SCHEMA_VERSION):
        raise ResultsError(
            f"{path} is of schema version {version}, and this slao-analysis reads {SCHEMA_VERSION}: "
            "use the one that came with the slao that wrote the file"
        )
    if not isinstance(file.get("trials"), h5py.Dataset):
        raise ResultsError(f"{path} lacks the table /trials: it was not written by slao")
    attributes = {name: _text(value) for name, value in file.attrs.items()}
    names = list(file["trials"].dtype.names or ())
    trials = _read_table(path, file, "trials", notes)
    before = names[:names.index("status")]
    settings = tuple(name for name in before if name not in IDENTITY)
    opened = File(path, attributes, settings)
    trials["T"] = trials["order"].str.count(",") + 1
    trials["benchmark"] = published.benchmark_names(trials, opened.spec)
    model = str(opened.spec.get("model", ""))
    trials["model"] = Path(model).name
    return opened, trials, _read_table(path, file, "orders", notes)


def _text(value: object) -> object:
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _read_table(path: Path, file: h5py.File, name: str, notes: list[str]) -> pd.DataFrame:
    """A table as a frame; an optional one that is not there has no rows, and a note."""
    dataset = file.get(name)
    if not isinstance(dataset, h5py.Dataset):
        _note(notes, f"{path.name} lacks the table /{name}: what is drawn from it is left out.")
        return pd.DataFrame({column: [] for column in (*REQUIRED[name], *OPTIONAL[name])})
    missing = [column for column in REQUIRED[name] if column not in (dataset.dtype.names or ())]
    if missing:
        raise ResultsError(f"{path}: the table /{name} lacks the column {missing[0]}")
    rows = dataset[:]
    frame = pd.DataFrame({column: _column(dataset, rows, column) for column in rows.dtype.names})
    for column, value in OPTIONAL[name].items():
        if column not in frame:
            frame[column] = value
            _note(notes, f"{path.name}: /{name} lacks the column {column}.")
    return frame


def _column(dataset: h5py.Dataset, rows: np.ndarray, column: str) -> np.ndarray:
    values = rows[column]
    if not h5py.check_string_dtype(dataset.dtype[column]):
        return values
    codes, distinct = pd.factorize(values)  # a text is decoded once, however often it stands there
    return np.array([*(text.decode("utf-8") for text in distinct), ""], dtype=object)[codes]


def _note(notes: list[str], text: str) -> None:
    if text not in notes:
        notes.append(text)


def _merge_trials(files: list[File], frames: list[pd.DataFrame], notes: list[str]) -> pd.DataFrame:
    """The trials of all files; of those that are in several, the most complete. Ids are made unique."""
    trials = pd.concat(frames, ignore_index=True)
    trials["file_id"] = trials["id"]
    for column in dict.fromkeys(column for file in files for column in file.settings):
        if trials[column].dtype == object or pd.api.types.is_string_dtype(trials[column]):
            trials[column] = trials[column].fillna("")
    if len(files) == 1:
        return trials
    rank = trials["status"].map({name: i for i, name in enumerate(STATUSES)}).fillna(len(STATUSES))
    same = ["id", "benchmark", "model"]
    best = rank.groupby([trials[column] for column in same]).transform("min")
    kept = trials[rank == best].drop_duplicates(same)
    if len(kept) < len(trials):
        _note(notes, f"{len(trials) - len(kept)} trials are in several of the files and count once.")
    kept = kept.sort_index().reset_index(drop=True)
    again = kept["id"].duplicated(keep=False)
    kept.loc[again, "id"] = kept["id"][again] + "@" + kept["file"][again].astype(str)
    if kept["model"].nunique() > 1:
        for index, file in enumerate(files):
            files[index] = File(file.path, file.attributes, (*file.settings, "model"))
    return kept


def _rename_trials(frame: pd.DataFrame, ids: dict[tuple[int, str], str]) -> pd.DataFrame:
    if not any(place[1] != identifier for place, identifier in ids.items()) and frame["file"].nunique() <= 1:
        return frame
    frame["trial"] = [ids.get(place, "") for place in zip(frame["file"], frame["trial"])]
    return frame
