"""The results table: a row per setting, mean and standard deviation over orders and seeds, in percent."""

from __future__ import annotations

import pandas as pd

from . import labels
from .results import Results

#: column of the table -> metric of /trials, averaged over orders and seeds
METRICS = {"AA": "AA", "BWT": "BWT", "forgetting": "forgetting", "FWT": "FWT", "intransigence": "intransigence"}


def mean_sd(values: pd.Series) -> str:
    """`71.3 ± 0.4` in percent; without a deviation for a single value; – without any."""
    values = 100 * values.dropna()
    if values.empty:
        return "–"
    mean = f"{round(values.mean(), 1) + 0.0:.1f}"  # + 0.0: no -0.0
    return f"{mean} ± {values.std(ddof=1):.1f}" if len(values) > 1 else mean


def summary(results: Results) -> pd.DataFrame:
    """The table as texts: the setting's columns, trials done, the metrics, MOPD over seeds."""
    trials = labels.with_settings(results)
    orders = labels.with_settings(results, results.orders)
    rows = []
    for setting, group in trials.groupby("setting", sort=False):
        first = group.iloc[0]
        row = {}
        for column in results.setting_columns:
            value = first[column]
            empty = value == "" or pd.isna(value)
            row[column] = "–" if empty else labels.value_text(column, value)
        row["trials"] = f"{(group['status'] == 'done').sum()}/{len(group)}"
        row.update({name: mean_sd(group[metric]) for name, metric in METRICS.items()})
        row["MOPD"] = mean_sd(orders.loc[orders["setting"] == setting, "MOPD"])
        rows.append(row)
    return pd.DataFrame(rows)


def markdown(results: Results) -> str:
    """The summary as a Markdown table, under a line that says what it is."""
    table = summary(results)
    lines = [
        f"**{results.name}**: mean ± standard deviation over orders and seeds, in percent (MOPD: over seeds); "
        f"trials done/all. Fingerprint `{results.attributes.get('fingerprint', '')}`.",
        "",
        "| " + " | ".join(map(str, table.columns)) + " |",
        "|" + "|".join("---" if name in results.setting_columns else "---:" for name in table.columns) + "|",
    ]
    lines += ["| " + " | ".join(row) + " |" for row in table.itertuples(index=False, name=None)]
    return "\n".join(lines) + "\n"
