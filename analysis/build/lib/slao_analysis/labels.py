"""How settings are named and sorted, the same in all figures and tables."""

from __future__ import annotations

import re

import pandas as pd

from .results import Results

#: Columns whose names are too long for a label.
SHORT = {"learning_rate": "lr", "lora_rank": "rank", "lambda": "λ"}


def pretty_lambda(text: str) -> str:
    """`1/sqrt(i)` as 1/√i, `i^(-0.3)` as i^−0.3."""
    text = text.replace("1/sqrt(i)", "1/√i")
    return re.sub(r"\^\(-([0-9.]+)\)", r"^−\1", text)


def value_text(column: str, value: object) -> str:
    """A cell of a setting, as labels and tables show it."""
    if column == "lambda":
        return pretty_lambda(str(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _sort_key(value: object) -> tuple[int, float, str]:
    """Absent values first, numbers by size, texts last."""
    text = str(value)
    try:
        number = float(text)
    except ValueError:
        return (0, 0.0, "") if text == "" else (2, 0.0, text)
    return (1, number, "") if number == number else (0, 0.0, "")


def setting_label(results: Results, row: pd.Series) -> str:
    """A setting in a few words: `slao λ=0.5 lr=0.0001`; columns that do not vary are left out."""
    words = [str(row["method"])]
    for column in results.setting_columns:
        value = row[column]
        if column == "method" or value == "" or pd.isna(value):
            continue
        words.append(f"{SHORT.get(column, column.rpartition('.')[2])}={value_text(column, value)}")
    return " ".join(words)


def with_settings(results: Results, frame: pd.DataFrame | None = None) -> pd.DataFrame:
    """The frame (the trials, unless given) with a column `setting`, sorted by setting: methods in the order of
    their names, then the other columns, lambda from small to large and schedules that depend on i last."""
    frame = (results.trials if frame is None else frame).copy()
    frame["setting"] = [setting_label(results, row) for _, row in frame.iterrows()]
    keys = {
        index: [_sort_key(row[column]) for column in results.setting_columns] for index, row in frame.iterrows()
    }
    return frame.loc[sorted(frame.index, key=keys.__getitem__)]


def order_label(row: pd.Series) -> str:
    """The published name of an order, or its tasks from first to last."""
    if row["order_name"]:
        return str(row["order_name"])
    tasks = str(row["order"]).split(",")
    if len(tasks) <= 3:
        return " → ".join(tasks)
    return f"{tasks[0]} → … → {tasks[-1]}"


def slug(text: str) -> str:
    """Text as part of a file name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text.replace("λ", "lambda").replace("√", "sqrt-")).strip("-").lower()
