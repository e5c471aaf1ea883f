"""How settings, orders and tasks are named and sorted, the same in all figures and tables."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from . import published
from .results import Results

#: Columns whose names are too long for a label.
SHORT = {"learning_rate": "lr", "lora_rank": "rank", "lambda": "λ", "model": ""}

#: The same for axes and heads of tables.
LONG = {"learning_rate": "learning rate", "lora_rank": "LoRA rank", "lambda": "λ", "T": "number of tasks T"}


def pretty_lambda(text: str) -> str:
    """`1/sqrt(i)` as 1/√i, `i^(-0.3)` as i^−0.3."""
    text = text.replace("1/sqrt(i)", "1/√i")
    return re.sub(r"\^\(-([0-9.]+)\)", r"^−\1", text)


def value_text(column: str, value: object) -> str:
    """A cell of a setting, as labels and tables show it."""
    if column == "method":
        return published.method_name(str(value))
    if column == "lambda":
        return pretty_lambda(str(value))
    return number_text(value) if isinstance(value, float) else str(value)


def number_text(value: float) -> str:
    """`0.5`, `1e-4`: as short as it gets."""
    text = f"{value:g}"
    if 0 < abs(value) < 1e-3 or "e" in text:
        mantissa, _, exponent = f"{value:.5e}".partition("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return text


def sort_key(value: object) -> tuple[int, float, str]:
    """Absent values first, numbers by size, texts last."""
    text = str(value)
    try:
        number = float(text)
    except ValueError:
        return (0, 0.0, "") if text == "" else (2, 0.0, text)
    return (1, number, "") if number == number else (0, 0.0, "")


def is_absent(value: object) -> bool:
    """Whether a cell of a setting says that the column means nothing there."""
    return value == "" or bool(pd.isna(value))


def column_name(column: str) -> str:
    """A swept key as axes and heads of tables show it."""
    return LONG.get(column, column)


def label_of(row: pd.Series, columns: Sequence[str]) -> str:
    """A setting in a few words: `SLAO λ=0.5 lr=0.0001`, of the columns given."""
    words = [published.method_name(str(row["method"]))]
    for column in columns:
        value = row[column]
        if column == "method" or is_absent(value):
            continue
        name = SHORT.get(column, column.rpartition(".")[2])
        words.append(f"{name}={value_text(column, value)}" if name else value_text(column, value))
    return " ".join(words)


def with_settings(results: Results, frame: pd.DataFrame | None = None, without: Sequence[str] = ()) -> pd.DataFrame:
    """The frame (the trials, unless given) with a column `setting`, sorted by setting: methods in the order of
    their names, then the other columns, lambda from small to large and schedules that depend on i last. Columns
    in `without` do not count."""
    frame = (results.trials if frame is None else frame).copy()
    columns = [column for column in results.setting_columns if column not in without and column in frame]
    if frame.empty:
        return frame.assign(setting=pd.Series(dtype=str))
    distinct = frame[columns].drop_duplicates()
    keys = [[sort_key(value) for value in row] for row in distinct.itertuples(index=False, name=None)]
    distinct = distinct.iloc[sorted(range(len(keys)), key=keys.__getitem__)]
    distinct = distinct.assign(
        setting=[label_of(row, columns) for _, row in distinct.iterrows()], _place=range(len(distinct))
    )
    merged = frame.reset_index().merge(distinct, on=columns, how="left").set_index("index")
    return merged.sort_values("_place", kind="stable").drop(columns="_place")


def order_label(row: pd.Series) -> str:
    """The published name of an order, or its tasks from first to last."""
    if row["order_name"]:
        return str(row["order_name"])
    tasks = str(row["order"]).split(",")
    shown = task_labels(tasks, 15)
    if len(tasks) <= 3 and sum(map(len, shown)) <= 40:
        return " → ".join(shown)
    return f"{shown[0]} → … → {shown[-1]}" if len(tasks) > 1 else shown[0]


def order_names(trials: pd.DataFrame) -> dict[str, str]:
    """order -> its label; orders that would be called the same are numbered."""
    rows = trials.drop_duplicates("order")
    names: dict[str, str] = {}
    for _, row in rows.iterrows():
        name, number = order_label(row), 2
        first = name
        while name in names.values():
            name, number = f"{first} ({number})", number + 1
        names[str(row["order"])] = name
    return names


def task_labels(tasks: Sequence[str], most: int = 14) -> list[str]:
    """Names of tasks that fit: those of SuperNI without their `task` and what comes after the data set; longer ones
    cut in the middle; all distinct."""
    names = []
    for task in tasks:
        name = re.sub(r"^task0*(\d+)_", r"\1 ", task).replace("_", " ") if task.startswith("task") else task
        if len(name) > most:
            name = name[: most - 1].rstrip() + "…" if task.startswith("task") else (
                name[: (most - 1) // 2 + (most - 1) % 2] + "…" + name[-((most - 1) // 2):])
        while name in names:
            name += "'"
        names.append(name)
    return names


def slug(text: str) -> str:
    """Text as part of a file name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text.replace("λ", "lambda").replace("√", "sqrt-")).strip("-").lower()


def named(stem: str, benchmark: object, trials: pd.DataFrame) -> str:
    """The name of a table or figure of one benchmark: it says which where the trials are of several."""
    return f"{stem}-{slug(str(benchmark))}" if trials["benchmark"].nunique() > 1 else stem


def rounded(fraction: float) -> float:
    """Percent with one digit: what is written, and what ranks are told from. No -0.0, and a half is a half whatever
    the last bit of the mean says."""
    return round(round(100 * fraction, 6), 1) + 0.0


def minus(text: str) -> str:
    """A number with the minus sign of typesetters: −1.5."""
    return text.replace("-", "−")


def count(number: int, noun: str) -> str:
    """`1 seed`, `2 seeds`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
