"""AA and BWT by each swept option of a method (initialisation, what is merged): a figure per option; the published
ablation hollow."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from .. import labels, published, style, tables
from ..results import Results
from .metrics import Published, draw_rows, what_is_shown


def _published_of(column: str, benchmark: str) -> Published:
    option = column.rpartition(".")[2]
    known = published.ablation(option, benchmark)

    def value(group: pd.DataFrame, metric: str) -> float | None:
        return known.get(published.ablated(option, str(group[column].iloc[0]))) if metric == "AA" else None
    return value


def drawings(results: Results) -> Iterator[style.Drawing]:
    trials = labels.with_settings(results)
    for column in tables.option_columns(results):
        used = tables.differing_in(results, trials, column)
        used = used[used["AA"].notna() | used["BWT"].notna()]
        for benchmark, part in used.groupby("benchmark", sort=False):
            groups = sorted(part.groupby(column), key=lambda item: labels.sort_key(item[0]))
            rows = {f"{column.rpartition('.')[2]}={labels.value_text(column, value)}": group for value, group in groups}
            colours = {label: style.COLOURS[i % len(style.COLOURS)] for i, label in enumerate(rows)}
            name = labels.named(f"ablation-{labels.slug(column)}", benchmark, used)
            yield style.Drawing(
                name, f"What {column} changes, all else equal; {benchmark}. Means over whatever else was swept.",
                lambda rows=rows, colours=colours, part=part, known=_published_of(column, str(benchmark)):
                draw_rows(rows, colours, what_is_shown(part), known),
            )
