"""AA and BWT by each swept option of a method (initialisation, what is merged): a figure per option; the published
ablation hollow."""

from __future__ import annotations

import pandas as pd

from .. import labels, published, style, tables
from ..results import Results
from .metrics import Published, draw_rows, what_is_shown


def _published_of(column: str, benchmark: str) -> Published:
    known = published.ablation(column.rpartition(".")[2], benchmark)

    def value(group: pd.DataFrame, metric: str) -> float | None:
        name = str(group[column].iloc[0])
        return known.get(published.INITS.get(name, name)) if metric == "AA" else None
    return value


def drawings(results: Results) -> list[style.Drawing]:
    trials = labels.with_settings(results)
    found = []
    for column in tables.option_columns(results):
        used = trials[~trials[column].map(labels.is_absent)]
        used = used[used["AA"].notna() | used["BWT"].notna()]
        for benchmark, part in used.groupby("benchmark", sort=False):
            groups = sorted(part.groupby(column), key=lambda item: labels.sort_key(item[0]))
            rows = {f"{column.rpartition('.')[2]}={labels.value_text(column, value)}": group for value, group in groups}
            colours = {label: style.COLOURS[i % len(style.COLOURS)] for i, label in enumerate(rows)}
            name = f"ablation-{labels.slug(column)}" + (
                f"-{labels.slug(str(benchmark))}" if used["benchmark"].nunique() > 1 else "")
            found.append(style.Drawing(
                name, f"What {column} changes; {benchmark}. Means over whatever else was swept.",
                lambda rows=rows, colours=colours, part=part, known=_published_of(column, str(benchmark)):
                draw_rows(rows, colours, what_is_shown(part), known),
            ))
    return found
