"""The command `slao-analysis`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from . import style, tables
from .figures import FIGURES
from .results import Results, ResultsError, load


def write_figures(results: Results, name: str, folder: Path) -> list[Path]:
    """Draws the figures called `name` into the folder; PNG and PDF of each."""
    figures = FIGURES[name](results)
    if not figures:
        print(f"slao-analysis: {results.path} has no data for {name}: not drawn", file=sys.stderr)
    return [path for stem, figure in figures for path in style.save(figure, folder, stem)]


def write_table(results: Results, folder: Path) -> list[Path]:
    """Writes the results table to table.md in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "table.md"
    path.write_text(tables.markdown(results), encoding="utf-8")
    return [path]


def write_all(results: Results, folder: Path) -> list[Path]:
    """Everything that the file has data for."""
    paths = write_table(results, folder)
    for name in FIGURES:
        paths += write_figures(results, name, folder)
    return paths


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="slao-analysis", description=__doc__ and "Figures and tables from a results file of slao.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    helps = {"all": "all figures and the table"}
    helps |= {name: sys.modules[draw.__module__].__doc__.split(":")[0] for name, draw in FIGURES.items()}
    helps["table"] = "the results table as Markdown; on stdout without -o"
    for name, text in helps.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("results", type=Path, metavar="RESULTS.h5")
        command.add_argument("-o", "--output", type=Path, metavar="FOLDER", required=name != "table")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; 2 for a file or folder that cannot be used. Paths written go to stdout."""
    options = _parser().parse_args(arguments)
    try:
        results = load(options.results)
        if options.command == "table" and options.output is None:
            print(tables.markdown(results), end="")
            return 0
        if options.command == "table":
            paths = write_table(results, options.output)
        elif options.command == "all":
            paths = write_all(results, options.output)
        else:
            paths = write_figures(results, options.command, options.output)
    except (ResultsError, OSError) as error:
        print(f"slao-analysis: {error}", file=sys.stderr)
        return 2
    for path in paths:
        print(path)
    return 0
