"""The command `slao-analysis`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from . import export, report, statistics, style, tables
from .figures import FIGURES, help_of
from .results import Results, ResultsError, load

EXAMPLES = """examples:
  slao-analysis report results/lambda.h5 -o report.html
  slao-analysis all results/lambda.h5 -o figures
  slao-analysis sensitivity results/lambda.h5 results/more-seeds.h5 -o figures
  slao-analysis compare results/lambda.h5 --reference 'SLAO λ=1/√i'
  slao-analysis export results/lambda.h5 -o csv --format csv
"""

Command = Callable[[Results, argparse.Namespace], list[Path]]


def _say(text: str) -> None:
    print(f"slao-analysis: {text}", file=sys.stderr, flush=True)


def write_figures(results: Results, name: str, folder: Path, most: int | None = None) -> list[Path]:
    """Draws the figures called `name` into the folder; PNG and PDF of each."""
    drawings = FIGURES[name].drawings(results)
    paths = [path for drawing in islice(drawings, most) for path in style.save(drawing.draw(), folder, drawing.name)]
    if next(drawings, None):
        _say(f"{name}: the first {most} only; `slao-analysis {name}` draws all, --most N another number")
    elif not paths:
        _say(f"{results.path} has no data for {name}: not drawn")
    return paths


def write_tables(made: Sequence[tables.Table], folder: Path) -> list[Path]:
    """Each table as Markdown, LaTeX and CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for table in made:
        for kind, write in tables.WRITERS.items():
            path = folder / f"{table.name}.{kind}"
            path.write_text(write(table), encoding="utf-8")
            paths.append(path)
    return paths


def write_table(results: Results, folder: Path) -> list[Path]:
    """The summary in table.md, and every table in a file of its own."""
    paths = write_tables(tables.all_tables(results), folder)
    path = folder / "table.md"
    path.write_text(tables.markdown(results), encoding="utf-8")
    return [path, *paths]


def _figure(results: Results, options: argparse.Namespace) -> list[Path]:
    return write_figures(results, options.command, options.output, options.most)


def _all(results: Results, options: argparse.Namespace) -> list[Path]:
    paths = write_table(results, options.output)
    found = statistics.comparisons(results)
    if found:
        paths += write_tables([tables.statistics(found)], options.output)
    most = 24 if options.most is None else options.most
    for name in FIGURES:
        paths += write_figures(results, name, options.output, most)
    return paths


def _table(results: Results, options: argparse.Namespace) -> list[Path]:
    if options.output is None:
        print(tables.markdown(results), end="")
        return []
    return write_table(results, options.output)


def _compare(results: Results, options: argparse.Namespace) -> list[Path]:
    found = statistics.comparisons(results, options.metric or ("AA", "BWT"), options.reference)
    for comparison in found:
        print(comparison.sentence())
    if not found:
        print("One setting only: nothing to compare.")
    return write_tables([tables.statistics(found)], options.output) if options.output and found else []


def _export(results: Results, options: argparse.Namespace) -> list[Path]:
    return export.write(results, options.output, options.format)


def _report(results: Results, options: argparse.Namespace) -> list[Path]:
    started = time.monotonic()

    def progress(text: str) -> None:
        _say(f"{time.monotonic() - started:5.1f} s  {text}")

    most = report.MOST_FIGURES if options.most is None else options.most
    report.write(results, options.output, progress, most, options.reference)
    return [options.output]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="slao-analysis", description="Figures, tables, statistics and a report from results files of slao.",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str, run: Command, needs_output: bool = True, output: str = "FOLDER") -> \
            argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("results", type=Path, nargs="+", metavar="RESULTS.h5")
        command.add_argument("-o", "--output", type=Path, metavar=output, required=needs_output)
        command.set_defaults(run=run)
        return command

    def add_most(command: argparse.ArgumentParser, text: str) -> None:
        command.add_argument("--most", type=int, metavar="N", help=text)

    reference = "the setting that others are compared with, as tables name it; its beginning is enough (default: SLAO " \
        "with 1/sqrt(i))"
    page = add("report", "everything as one self-contained HTML page", _report, output="REPORT.html")
    add_most(page, f"figures of each kind (default {report.MOST_FIGURES})")
    page.add_argument("--reference", help=reference)
    add_most(add("all", "all figures and tables", _all), "figures of each kind (default 24)")
    add("table", "the results tables as Markdown, LaTeX and CSV; without -o the summary on stdout", _table, False)
    compare = add("compare", "whether differences are real: paired comparisons, a sentence each", _compare, False)
    compare.add_argument("--reference", help=reference)
    compare.add_argument("--metric", action="append", choices=[*tables.METRICS, "AA_micro"],
                         help="repeatable (default: AA and BWT)")
    exported = add("export", "the tidy tables as CSV or Parquet", _export)
    exported.add_argument("--format", choices=("csv", "parquet"), default="csv")
    for name in FIGURES:
        add_most(add(name, help_of(name), _figure), "the first N only")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; 2 for a file or folder that cannot be used. Paths written go to stdout."""
    options = _parser().parse_args(arguments)
    try:
        paths = options.run(load(*options.results), options)
    except (ResultsError, OSError) as error:
        _say(str(error))
        return 2
    for path in paths:
        print(path)
    return 0
