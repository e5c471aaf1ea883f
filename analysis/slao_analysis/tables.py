"""The tables: what is in them (`Table`), and how they are written (Markdown, LaTeX, CSV, HTML).

Scores are percent, mean and standard deviation over orders and seeds. In a column the best mean is bold and the second
underlined, among our own results; published numbers stand in columns of their own, marked †.
"""

from __future__ import annotations

import csv
import html
import io
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from . import labels, orders, published
from .results import Results
from .statistics import EXACT_PAIRS, FLIPS, Comparison, p_text, signed

NOTHING = "–"


@dataclass(frozen=True)
class Cell:
    """What a table shows at one place: a text, or a mean with its deviation (fractions) and how many values."""

    text: str = ""
    mean: float = math.nan
    sd: float = math.nan
    n: int = 0

    def plain(self) -> str:
        """`71.3 ± 0.4` in percent; without a deviation for a single value; – without any."""
        if self.text or self.n == 0:
            return self.text or NOTHING
        mean = f"{labels.rounded(self.mean):.1f}"
        return f"{mean} ± {100 * self.sd:.1f}" if self.n > 1 else mean


@dataclass(frozen=True)
class Column:
    """Head of a column. `best` is 1 where the largest mean is best, -1 where the smallest, 0 where none is marked."""

    name: str
    number: bool = True
    best: int = 0


@dataclass
class Table:
    """A table: `name` for files, `title` and `notes` for readers, cells by row."""

    name: str
    title: str
    columns: list[Column]
    rows: list[list[Cell]]
    notes: list[str] = field(default_factory=list)

    def marks(self) -> list[list[str]]:
        """`best` or `second` or nothing for each cell; equal texts are marked alike; a single value is no best."""
        marks = [["" for _ in row] for row in self.rows]
        for k, column in enumerate(self.columns):
            shown = {i: labels.rounded(row[k].mean) for i, row in enumerate(self.rows) if row[k].n and not row[k].text}
            values = sorted(set(shown.values()), reverse=column.best > 0)
            if not column.best or len(values) < 2:
                continue
            for i, value in shown.items():
                marks[i][k] = "best" if value == values[0] else "second" if value == values[1] else ""
        return marks


def cell(values: pd.Series | Sequence[float]) -> Cell:
    """Mean and standard deviation of what is known of the values."""
    known = pd.Series(values, dtype=float).dropna()
    if known.empty:
        return Cell()
    return Cell(mean=float(known.mean()), sd=float(known.std(ddof=1)) if len(known) > 1 else math.nan, n=len(known))


def percent(value: float | None) -> Cell:
    """A published number, which is in percent already."""
    return Cell(text=NOTHING if value is None else f"{value:.1f}")


# --- what is in the tables ---

#: metric -> which way is better
METRICS = {"AA": 1, "BWT": 1, "forgetting": -1, "FWT": 1, "intransigence": -1}


def _setting_cells(results: Results, row: pd.Series) -> list[Cell]:
    return [
        Cell(NOTHING if labels.is_absent(row[column]) else labels.value_text(column, row[column]))
        for column in results.setting_columns
    ]


def _setting_columns(results: Results) -> list[Column]:
    return [Column("method" if c == "method" else labels.column_name(c), number=False) for c in results.setting_columns]


def _settings(trials: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
    return trials.groupby("setting", sort=False)


def summary(results: Results) -> list[Table]:
    """A table per benchmark: a row per setting with all metrics and the sensitivity to the order of tasks."""
    trials = labels.with_settings(results)
    spread = orders.sensitivity(results)
    tables = []
    for benchmark, part in trials.groupby("benchmark", sort=False):
        rows = []
        for setting, group in _settings(part):
            own = spread[(spread["setting"] == setting) & (spread["benchmark"] == benchmark)]
            rows.append([
                *_setting_cells(results, group.iloc[0]),
                Cell(f"{(group['status'] == 'done').sum()}/{len(group)}"),
                *(cell(group[metric]) for metric in METRICS), cell(own["MOPD"]), cell(own["AOPD"]),
            ])
        columns = [*_setting_columns(results), Column("trials"),
                   *(Column(metric, best=best) for metric, best in METRICS.items()),
                   Column("MOPD", best=-1), Column("AOPD", best=-1)]
        tables.append(Table(
            labels.named("summary", benchmark, trials), f"All metrics: {benchmark}", columns,
            rows, ["Mean ± standard deviation over orders and seeds, in percent (MOPD, AOPD: over seeds); trials "
                   "done/all. Best bold, second underlined."],
        ))
    return tables


def _with_published(
    results: Results, name: str, title: str, trials: pd.DataFrame, groups: dict[str, pd.Series],
    metric: str, known: dict[str, dict[str, float]], best: int,
) -> Table:
    """A row per setting; a column per group of trials (a mask each), and beside it what is published for it.
    Methods that only the literature has come last."""
    columns, marked = _setting_columns(results), any(known.values())
    for group in groups:
        columns.append(Column(group, best=best))
        if known[group]:
            columns.append(Column(f"{group} {published.MARK}"))
    rows, seen = [], set()
    for _, own in _settings(trials):
        first = own.iloc[0]
        method = published.method_name(str(first["method"]))
        row = _setting_cells(results, first)
        for group, mask in groups.items():
            row.append(cell(own.loc[mask.reindex(own.index), metric]))
            if known[group]:
                row.append(percent(known[group].get(method) if published.as_published(first) else None))
        seen.add(method)
        rows.append(row)
    others = dict.fromkeys(m for values in known.values() for m in values if m not in seen)
    for method in others:
        row = [Cell(f"{method} {published.MARK}" if c == "method" else NOTHING) for c in results.setting_columns]
        for group in groups:
            row.append(Cell(NOTHING))
            if known[group]:
                row.append(percent(known[group].get(method)))
        rows.append(row)
    notes = ["Mean ± standard deviation over orders and seeds, in percent. Best bold, second underlined, among ours."]
    return Table(name, title, columns, rows, notes + ([published.footnote()] if marked else []))


def benchmarks(results: Results, metric: str) -> Table:
    """Method x benchmark: AA or BWT, with published numbers where there are any."""
    trials = labels.with_settings(results)
    names = list(dict.fromkeys(trials["benchmark"]))
    ran = set(trials["method"].map(published.method_name))
    return _with_published(
        results, {"AA": "accuracy", "BWT": "bwt"}[metric],
        {"AA": "Average accuracy (AA) by benchmark", "BWT": "Backward transfer (BWT) by benchmark"}[metric],
        trials, {name: trials["benchmark"] == name for name in names}, metric,
        {name: published.scores(metric, name, ran) for name in names}, best=1,
    )


#: Orders that still fit beside one another; more are shown by their extremes in the figure of orders.
MOST_ORDERS = 12


def per_order(results: Results) -> list[Table]:
    """AA by order of the tasks, a table per benchmark; nothing where there is only one order."""
    trials = labels.with_settings(results)
    tables = []
    for benchmark, part in trials.groupby("benchmark", sort=False):
        names = labels.order_names(part)
        if len(names) < 2:
            continue
        shown = dict(list(names.items())[:MOST_ORDERS])
        groups = {name: part["order"] == order for order, name in shown.items()}
        known = {name: published.scores_of_order(name, str(benchmark)) for name in groups}
        table = _with_published(
            results, labels.named("orders", benchmark, trials),
            f"AA by order of the tasks: {benchmark}", part, groups, "AA", known, best=1,
        )
        table.notes[0] = table.notes[0].replace("over orders and seeds", "over seeds")
        if len(names) > len(shown):
            table.notes.append(f"The first {len(shown)} of {len(names)} orders.")
        tables.append(table)
    return tables


def per_task(results: Results) -> list[Table]:
    """The final score of each task, a table per benchmark: a row per task, a column per setting."""
    trials = labels.with_settings(results)
    tables = []
    for benchmark, part in trials.groupby("benchmark", sort=False):
        settings = list(dict.fromkeys(part["setting"]))[:MOST_ORDERS]
        tasks = sorted(set(str(part["order"].iloc[0]).split(",")))
        finals: dict[str, pd.DataFrame] = {}
        for setting in settings:
            own = part[part["setting"] == setting]
            finals[setting] = pd.DataFrame(
                [dict(zip(results.tasks(trial), results.final_scores(trial))) for trial in own["id"]], columns=tasks
            )
        rows = [[Cell(task), *(cell(finals[setting][task]) for setting in settings)] for task in tasks]
        notes = ["Mean ± standard deviation over orders and seeds of the score after the last task, in percent."]
        left = part["setting"].nunique() - len(settings)
        if left:
            notes.append(f"The first {len(settings)} settings; {left} more are left out.")
        tables.append(Table(
            labels.named("tasks", benchmark, trials), f"Final score of each task: {benchmark}",
            [Column("task", number=False), *(Column(setting) for setting in settings)], rows, notes,
        ))
    return tables


def by_category(results: Results) -> list[Table]:
    """AA over the tasks of each category, a table per benchmark that has several."""
    trials = labels.with_settings(results)
    scores = results.categories
    tables = []
    for benchmark, part in trials.groupby("benchmark", sort=False):
        own = scores[scores["trial"].isin(part["id"])]
        counts = own.groupby("category")["n_tasks"].max()
        if len(counts) < 2:
            continue
        rows = []
        for _, group in _settings(part):
            of_setting = own[own["trial"].isin(group["id"])]
            rows.append([*_setting_cells(results, group.iloc[0]),
                         *(cell(of_setting.loc[of_setting["category"] == name, "AA"]) for name in counts.index)])
        tables.append(Table(
            labels.named("categories", benchmark, trials), f"AA by category of the tasks: {benchmark}",
            [*_setting_columns(results), *(Column(f"{name} ({labels.count(int(count), 'task')})", best=1)
                                           for name, count in counts.items())], rows,
            ["Mean ± standard deviation over orders and seeds of the mean final score of a category's tasks, in percent. "
             "Best bold, second underlined."],
        ))
    return tables


def ablations(results: Results) -> list[Table]:
    """AA and BWT by each method option that was swept (initialisation, what is merged, ...), with the published
    ablation beside it where the benchmark has one."""
    trials = labels.with_settings(results)
    tables = []
    for column in option_columns(results):
        used = differing_in(results, trials, column)
        option = column.rpartition(".")[2]
        for benchmark, part in used.groupby("benchmark", sort=False):
            known = published.ablation(option, str(benchmark))
            rows = []
            for value, group in sorted(part.groupby(column), key=lambda item: labels.sort_key(item[0])):
                row = [Cell(labels.value_text(column, value)), cell(group["AA"]), cell(group["BWT"])]
                if known:
                    row.append(percent(known.get(published.ablated(option, str(value)))))
                rows.append(row)
            columns = [Column(column, number=False), Column("AA", best=1), Column("BWT", best=1)]
            if known:
                columns.append(Column(f"AA {published.MARK}"))
                shown = {published.ablated(option, row[0].text) for row in rows}
                rows += [[Cell(f"{name} {published.MARK}"), Cell(NOTHING), Cell(NOTHING), percent(value)]
                         for name, value in known.items() if name not in shown]
            others = [c for c in results.setting_columns if c not in ("method", column) and part[c].nunique() > 1]
            notes = ["Mean ± standard deviation over orders and seeds"
                     + (f" and over {', '.join(map(labels.column_name, others))}" if others else "") + ", in percent."]
            tables.append(Table(
                labels.named(f"ablation-{labels.slug(column)}", benchmark, used),
                f"Ablation of {column}: {benchmark}", columns, rows, notes + ([published.footnote()] if known else []),
            ))
    return tables


def option_columns(results: Results) -> list[str]:
    """Columns that are options of a method (`slao.init`) and were swept."""
    methods = set(results.trials["method"])
    return [c for c in results.setting_columns if c.partition(".")[0] in methods and "." in c]


def differing_in(results: Results, trials: pd.DataFrame, column: str) -> pd.DataFrame:
    """Trials (rows of `labels.with_settings`) of settings that differ from some other one in this column alone. Where a
    sweep changes one option at a time, those that change another one would be taken for an effect of this one."""
    used = trials[~trials[column].map(labels.is_absent)]
    others = [other for other in results.setting_columns if other != column]
    return used[used.groupby(["benchmark", *others], dropna=False)[column].transform("nunique") > 1]


def statistics(found: Sequence[Comparison]) -> Table:
    """The comparisons, a row each."""
    several = len({c.benchmark for c in found}) > 1
    columns = [*([Column("benchmark", number=False)] if several else []),
               Column("comparison", number=False), Column("metric", number=False), Column("pairs"),
               Column("difference"), Column("95 % over runs"), Column("95 % over examples"), Column("p (sign flips)"),
               Column("p (Wilcoxon)"), Column("p (Holm)"), Column("d_z"), Column("rank-biserial"),
               Column("smallest shown"), Column("verdict", number=False)]
    rows = []
    for c in found:
        number = [NOTHING if math.isnan(value) else labels.minus(f"{value:.2f}")
                  for value in (c.d_z, c.rank_biserial)]
        rows.append([*([Cell(c.benchmark)] if several else []), *map(Cell, (
            f"{c.first} − {c.second}", c.metric, str(c.pairs), NOTHING if math.isnan(c.mean) else signed(c.mean),
            _interval_text(c.interval), _interval_text(c.example_interval), p_text(c.p), p_text(c.p_wilcoxon),
            p_text(c.p_holm), *number, NOTHING if math.isnan(c.smallest) else f"{100 * c.smallest:.1f}", c.verdict,
        ))])
    notes = ["Differences in points, over pairs of equal order and seed. Intervals by bootstrap. Sign flips: all of "
             f"them up to {EXACT_PAIRS} pairs, else {FLIPS:,} by chance, with a standard error of "
             f"{math.sqrt(0.05 * 0.95 / FLIPS):.3f} at p = 0.05. Holm's correction over the comparisons of a benchmark "
             "and metric. Smallest shown: the difference that a paired t-test on as many pairs of this spread finds in 80 "
             "of 100 repetitions. Pairs that share an order or a seed are not "
             "independent: the interval over runs allows for that, the tests do not."]
    return Table("statistics", "Comparisons", columns, rows, notes)


def _interval_text(interval: tuple[float, float]) -> str:
    if math.isnan(interval[0]):
        return NOTHING
    return f"{signed(interval[0])} to {signed(interval[1])}"


def all_tables(results: Results) -> list[Table]:
    """Every table but that of comparisons, which takes a while."""
    tables = [*summary(results), benchmarks(results, "AA"), benchmarks(results, "BWT"), *per_order(results),
              *by_category(results), *per_task(results), *ablations(results)]
    return [table for table in tables if table.rows]


# --- how tables are written ---


def _markdown_cell(text: str, mark: str) -> str:
    text = text.replace("|", "\\|")
    return {"best": f"**{text}**", "second": f"<u>{text}</u>"}.get(mark, text)


def to_markdown(table: Table) -> str:
    """A pipe table under its title, notes below."""
    lines = [f"**{table.title}**", "", "| " + " | ".join(_markdown_cell(c.name, "") for c in table.columns) + " |",
             "|" + "|".join("---:" if column.number else "---" for column in table.columns) + "|"]
    for row, marks in zip(table.rows, table.marks()):
        lines.append("| " + " | ".join(_markdown_cell(c.plain(), mark) for c, mark in zip(row, marks)) + " |")
    for note in table.notes:
        lines += ["", note]
    return "\n".join(lines) + "\n"


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "–": "--", "−": "$-$", "λ": r"$\lambda$",
    "√": r"$\sqrt{\,}$", "→": r"$\rightarrow$", "…": r"\dots{}", "†": r"\textsuperscript{\textdagger}", "×": r"$\times$",
    "<": "$<$", ">": "$>$",
}


def latex_text(text: str) -> str:
    """Text with everything escaped that means something to LaTeX; 1/√i as a formula."""
    parts = text.split("1/√i")
    escaped = ["".join(_LATEX.get(character, character) for character in part) for part in parts]
    return r"$1/\sqrt{i}$".join(re.sub(r"(?<![\w.])-(?=\d)", "$-$", part) for part in escaped)


def to_latex(table: Table) -> str:
    """A booktabs table: needs \\usepackage{booktabs}."""
    kinds = "".join("r" if column.number else "l" for column in table.columns)
    lines = ["% needs \\usepackage{booktabs}", r"\begin{table}[t]", r"\centering\small",
             rf"\caption{{{latex_text(table.title)}. {' '.join(latex_text(note) for note in table.notes)}}}",
             rf"\label{{tab:{table.name}}}", rf"\begin{{tabular}}{{@{{}}{kinds}@{{}}}}", r"\toprule",
             " & ".join(latex_text(column.name) for column in table.columns) + r" \\", r"\midrule"]
    for row, marks in zip(table.rows, table.marks()):
        texts = [
            {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}"}.get(mark, text)
            for text, mark in zip((latex_text(c.plain()) for c in row), marks)
        ]
        lines.append(" & ".join(texts) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def to_csv(table: Table) -> str:
    """Numbers as numbers: a column of means in percent, one of deviations, one of counts for each metric."""
    wide = [any(row[k].n and not row[k].text for row in table.rows) for k in range(len(table.columns))]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    head: list[str] = []
    for column, is_wide in zip(table.columns, wide):
        head += [column.name, f"{column.name} sd", f"{column.name} n"] if is_wide else [column.name]
    writer.writerow(head)
    for row in table.rows:
        texts: list[str] = []
        for c, is_wide in zip(row, wide):
            if not is_wide:
                texts.append("" if c.plain() == NOTHING else c.plain())
            else:
                texts += [_csv_number(100 * c.mean), _csv_number(100 * c.sd), str(c.n)]
        writer.writerow(texts)
    return stream.getvalue()


def _csv_number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.4f}"


def to_html(table: Table) -> str:
    """A table element with a caption; columns of numbers have the class n."""
    heads = "".join(
        f'<th scope="col"{_class(column)}>{html.escape(column.name)}</th>' for column in table.columns
    )
    lines = ['<div class="wide" tabindex="0"><table>', f"<caption><span>{html.escape(table.title)}</span></caption>",
             f"<thead><tr>{heads}</tr></thead>", "<tbody>"]
    for row, marks in zip(table.rows, table.marks()):
        cells = []
        for column, c, mark in zip(table.columns, row, marks):
            text = html.escape(labels.minus(c.plain()) if column.number else c.plain())
            text = {"best": f"<b>{text}</b>", "second": f"<u>{text}</u>"}.get(mark, text)
            title = f' title="{html.escape(labels.count(c.n, "trial"))}"' if c.n else ""
            cells.append(f"<td{_class(column)}{title}>{text}</td>")
        lines.append("<tr>" + "".join(cells) + "</tr>")
    lines += ["</tbody></table></div>", *(f'<p class="note">{html.escape(note)}</p>' for note in table.notes)]
    return "\n".join(lines) + "\n"


def _class(column: Column) -> str:
    return ' class="n"' if column.number else ""


#: ending of a file -> what writes it
WRITERS: dict[str, Callable[[Table], str]] = {"md": to_markdown, "tex": to_latex, "csv": to_csv}


def markdown(results: Results) -> str:
    """The summary as Markdown, under a line that says of what."""
    fingerprints = ", ".join(f"`{file.attributes.get('fingerprint', '')}`" for file in results.files)
    head = f"**{results.name}**, fingerprint {fingerprints}\n\n"
    return head + "\n".join(to_markdown(table) for table in summary(results))
