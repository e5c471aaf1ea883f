"""One page that holds everything: what was run and shared, what can be said, all tables and figures.

The page needs no network and no scripts. Figures are SVG inside it, in the page's own colours, light or dark, and show
what lies under the pointer.
"""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from . import cautions, labels, statistics, style, tables
from .figures import FIGURES, help_of
from .figures.timeline import timeline
from .results import Results

#: Figures of each kind, rows of a table that are open from the start, comparisons: what a page can bear.
MOST_FIGURES = 4
OPEN_ROWS = 40
MOST_COMPARISONS = 60
MOST_ORDERS = 12

#: colour in a figure -> variable of the style sheet
COLOURS = {style.INK: "ink", style.GREY: "grey", style.LIGHT: "light", style.PAPER: "paper",
           **{colour.lower(): f"c{i}" for i, colour in enumerate(style.COLOURS) if colour != style.INK}}

Progress = Callable[[str], None]


# --- figures as parts of the page ---


def svg_of(figure: Figure, prefix: str, label: str) -> str:
    """The figure as an SVG element: ids made unique, colours taken from the page, tips as titles."""
    stream = io.StringIO()
    with plt.rc_context(style.RC):
        figure.savefig(stream, format="svg", metadata={"Date": None}, facecolor="none")
    text = stream.getvalue()
    text = text[text.index("<svg"):]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="tip\d+\|([^"]*)">', r"<g><title>\1</title>", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r'"data:[^"]*"', lambda m: re.sub(r"\s", "", m[0]), text)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{prefix}{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}", text)
    for colour, name in COLOURS.items():
        text = text.replace(colour, f"var(--{name})")
    width = figure.get_figwidth() * 96
    box = re.search(r'viewBox="([^"]+)"', text)
    head = (f'<svg class="figure" role="img" aria-label="{html.escape(label)}" style="max-width:{1.45 * width:.0f}px" '
            f'viewBox="{box[1] if box else "0 0 1 1"}">')
    text = head + text[text.index(">") + 1:]
    return re.sub(r"\n\s*", "\n", text)


# --- what was planned and shared ---


@dataclass(frozen=True)
class Sharing:
    """Steps of one kind: how many ran, how many there would have been had no trial shared any, seconds likewise."""

    kind: str
    ran: int
    alone: int
    seconds: float
    seconds_alone: float


def sharing(steps: pd.DataFrame) -> list[Sharing]:
    """A row per kind of step, and one of all."""
    rows = []
    kinds = [kind for kind in ("finetune", "merge", "evaluate") if (steps["kind"] == kind).any()]
    kinds += [kind for kind in dict.fromkeys(steps["kind"]) if kind not in kinds]
    for kind in [*kinds, "all"]:
        own = steps if kind == "all" else steps[steps["kind"] == kind]
        times = own["shared_by"].clip(lower=1)
        rows.append(Sharing(kind, len(own), int(times.sum()), float(own["seconds"].sum()),
                            float((own["seconds"] * times).sum())))
    return rows


def _sharing_table(results: Results) -> tables.Table:
    rows = [[tables.Cell(text) for text in (
        share.kind, str(share.ran), str(share.alone), duration(share.seconds), duration(share.seconds_alone),
        f"{share.seconds_alone / share.seconds:.1f} ×" if share.seconds > 0 else tables.NOTHING)]
        for share in sharing(results.steps)]
    columns = [tables.Column(name, number=i > 0) for i, name in enumerate(
        ("step", "ran", "without sharing", "time", "time without sharing", "saved"))]
    return tables.Table("sharing", "Steps that ran, and that would have without sharing", columns, rows,
                        ["A step is shared by all trials whose result it is part of; time is that of ranks, added up."])


def duration(seconds: float) -> str:
    """`1 h 12 min`, `3 min 5 s`, `4.2 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


# --- sections ---


def _list(items: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(item)}</li>" for item in items) + "</ul>\n"


def _plan(results: Results) -> str:
    trials = results.trials
    parts = [labels.count(len(trials), "trial"),
             labels.count(trials.groupby(results.setting_columns, dropna=False).ngroups, "setting"),
             labels.count(trials["order"].nunique(), "order"), labels.count(trials["seed"].nunique(), "seed")]
    status = ", ".join(f"{count} {name}" for name, count in trials["status"].value_counts().items())
    text = f"<p>{', '.join(parts)}: {html.escape(status)}.</p>\n"
    swept = [f"{labels.column_name(c)}: " + ", ".join(
        labels.value_text(c, v) for v in sorted(trials[c].drop_duplicates(), key=labels.sort_key)
        if not labels.is_absent(v)) for c in results.setting_columns]
    text += _list([*swept, *(f"{name}: {order.replace(',', ' → ')}" for order, name in
                             list(labels.order_names(trials).items())[:MOST_ORDERS])])
    left = trials["order"].nunique() - MOST_ORDERS
    if left > 0:
        text += f"<p>… and {labels.count(left, 'more order')}.</p>\n"
    if len(results.steps):
        text += tables.to_html(_sharing_table(results))
        for index, file in enumerate(results.files):
            line = timeline(results.steps[results.steps["file"] == index])
            if line:
                text += (f"<p>{html.escape(file.path.name)}: {labels.count(len(line.ranks), 'rank')}, "
                         f"{duration(line.wall)} of running time, of which ranks worked {100 * line.utilisation:.0f} %."
                         "</p>\n")
    return text


def _findings(found: list[statistics.Comparison], total: int) -> str:
    if not found:
        return "<p>One setting only: nothing to compare.</p>\n"
    text = _list([c.sentence() for c in found])
    if total > MOST_COMPARISONS:
        text += (f"<p>The first {MOST_COMPARISONS} of {total} comparisons for each metric, and corrected as such; "
                 "<code>slao-analysis compare</code> makes all.</p>\n")
    return text + _table(tables.statistics(found))


def _table(table: tables.Table) -> str:
    body = tables.to_html(table)
    if len(table.rows) <= OPEN_ROWS:
        return body
    return f"<details><summary>{html.escape(table.title)}: {len(table.rows)} rows</summary>\n{body}</details>\n"


def _figures(results: Results, progress: Progress, most: int) -> str:
    text, number = "", 0
    for name, module in FIGURES.items():
        drawings, drawn = module.drawings(results), ""
        for drawing in islice(drawings, most):
            progress(f"figure {drawing.name}")
            number += 1
            drawn += (f"<figure>{svg_of(drawing.draw(), f'f{number}-', drawing.caption)}"
                      f"<figcaption>{html.escape(drawing.caption)}</figcaption></figure>\n")
        more = next(drawings, None) is not None
        if drawn:
            text += (f'<h3 id="figure-{name}">{html.escape(help_of(name))}</h3>\n<div class="figures">\n{drawn}</div>\n')
        elif not more:
            text += f'<p class="note">No {name} figure: the file has no data for it.</p>\n'
        if more:
            text += (f'<p class="note">There are more of this kind: <code>slao-analysis {name} '
                     f"{html.escape(' '.join(file.path.name for file in results.files))} -o FOLDER</code></p>\n")
    return text


def _provenance(results: Results) -> str:
    text = ""
    for file in results.files:
        rows = [("file", str(file.path.name)), *((key, str(value)) for key, value in sorted(file.attributes.items())
                                                 if key != "spec")]
        body = "".join(f'<tr><th scope="row">{html.escape(key)}</th><td>{html.escape(value) or "–"}</td></tr>'
                       for key, value in rows)
        text += f'<div class="wide" tabindex="0"><table class="plain"><tbody>{body}</tbody></table></div>\n'
        spec = file.spec
        if spec:
            shown = html.escape(json.dumps(spec, indent=1, ensure_ascii=False))
            text += f"<details><summary>The spec that ran</summary><pre>{shown}</pre></details>\n"
    return text


DEFINITIONS = (
    "a[j][i] is the score on task i after training the j-th task; T tasks.",
    "AA = mean over tasks of a[T][i]: the average accuracy at the end.",
    "BWT = mean over i < T of a[T][i] − a[i][i]: what later tasks changed, negative where they made it forget.",
    "Forgetting = mean over i < T of max over l ≥ i of a[l][i] − a[T][i].",
    "FWT = mean over i ≥ 2 of a[i−1][i] − b[i], b the untrained model.",
    "Intransigence = mean over tasks of the score alone − a[i][i].",
    "MOPD and AOPD: largest and mean, over tasks, of best − worst final score over orders.",
)


def page(results: Results, progress: Progress = lambda text: None, most: int = MOST_FIGURES,
         reference: str | None = None) -> str:
    """The report as HTML."""
    progress("comparisons")
    found = statistics.comparisons(results, reference=reference, most=MOST_COMPARISONS)
    total = statistics.number_of_comparisons(results, reference)
    progress("warnings")
    said = cautions.cautions(results, found)
    progress("tables")
    shown = tables.all_tables(results)
    trials = results.trials
    done = int((trials["status"] == "done").sum())
    sections = (
        ("warnings", "Before believing it", _list(said) if said else "<p>Nothing to warn of.</p>\n"),
        ("findings", "What can be said", _findings(found, total)),
        ("plan", "What was planned, run and shared", _plan(results)),
        ("tables", "Tables", "".join(map(_table, shown))),
        ("figures", "Figures", _figures(results, progress, most)),
        ("provenance", "Where it is from", _provenance(results)),
        ("definitions", "What the numbers mean", _list(DEFINITIONS)),
    )
    title = html.escape(f"{results.name}: results")
    finished = max((str(file.attributes.get("finished", "")) for file in results.files), default="")
    links = "".join(f'<a href="#{name}">{heading}</a>' for name, heading, _ in sections)
    body = "".join(f'<section id="{name}">\n<h2>{heading}</h2>\n{text}</section>\n' for name, heading, text in sections)
    sheet = resources.files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    models = ", ".join(dict.fromkeys(name for name in trials["model"] if name))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<style>\n{sheet}</style>\n</head>\n<body>\n<header>\n'
        f"<h1>{html.escape(results.name)}</h1>\n<p>{done} of {labels.count(len(trials), 'trial')} done"
        + (f" · {html.escape(models)}" if models else "")
        + f" · {html.escape(', '.join(dict.fromkeys(trials['benchmark'])))}"
        + (f" · finished {html.escape(finished)}" if finished else "")
        + f"</p>\n<nav>{links}</nav>\n</header>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def write(results: Results, path: Path, progress: Progress = lambda text: None, most: int = MOST_FIGURES,
          reference: str | None = None) -> None:
    """Writes the report; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(results, progress, most, reference), encoding="utf-8")
