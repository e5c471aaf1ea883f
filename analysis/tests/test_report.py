"""The report: one valid page that needs nothing else, and says what a reader should know."""

import re
import shutil
from html.parser import HTMLParser

import h5py
import html5lib
import make_results
import pandas as pd
import pytest

from slao_analysis import cautions, cli, load, report, statistics

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Checker(HTMLParser):
    """Every element closed where it should be, every id once, every reference to something there."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.references, self.faults, self.text = [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in ("href", "src", "xlink:href"):
                self.references.append(value)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}>")

    def handle_data(self, data):
        self.text.append(data)


def check(page):
    checker = Checker()
    checker.feed(page)
    assert not checker.open and not checker.faults
    assert len(checker.ids) == len(set(checker.ids))
    inside = [reference for reference in checker.references if not reference.startswith("data:image/png;base64,")]
    assert all(reference.startswith("#") and reference[1:] in checker.ids for reference in inside)
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page) and "<script" not in page and "@import" not in page
    assert all(target in checker.ids for target in re.findall(r"url\(#([^)]+)\)", page))
    return " ".join(checker.text)


@pytest.fixture(scope="module")
def page(everything, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "new" / "report.html"
    assert cli.main(["report", str(everything), "-o", str(path), "--most", "1"]) == 0
    return path.read_text(encoding="utf-8")


def test_page_is_whole(page):
    text = check(page)
    for word in ("What can be said", "Transcribed by third parties", "fingerprint", "The spec that ran", "without sharing",
                 "SLAO λ=1/√i", "MOPD", "did not run"):
        assert word in text
    assert page.count("<figure>") >= 9 and "<title>" in page
    assert "prefers-color-scheme: dark" in page and "@media print" in page and "width=device-width" in page


def test_page_is_valid_html(page):
    html5lib.HTMLParser(strict=True).parse(page)


def test_figures_take_the_colours_of_the_page(page):
    svg = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert "var(--ink)" in svg and "#111111" not in svg
    assert "<title>published: 74.8</title>" in svg


def test_one_trial_and_hostile_names(one_trial, tmp_path):
    path = tmp_path / "odd.h5"
    shutil.copy(one_trial, path)
    with h5py.File(path, "r+") as file:
        file.attrs["name"] = '<b>"odd" & more</b>'
        del file["steps"], file["orders"], file["trial"]
    text = check(report.page(load(path), most=1))
    assert '<b>"odd" & more</b>' in text and "One setting only" in text
    assert "odd.h5 lacks the table /steps" in text and "A single seed" in text


def test_warnings(gaps, one_trial, everything):
    results = load(gaps)
    said = " ".join(cautions.cautions(results, statistics.comparisons(results, ("AA",))))
    assert "of 24 trials did not run (SeqLoRA, SLAO λ=0.9)" in said and "1 of 24 trials failed (SeqLoRA)" in said
    assert "fewer than 6 pairs" in said and "A single seed" not in said
    one = " ".join(cautions.cautions(load(one_trial), []))
    assert "A single seed" in one and "a single order" in one
    assert "MNLI: 3 of 200 test examples with a label that is no label of the task" in " ".join(
        cautions.cautions(load(everything), []))


def test_files_of_before_unanswerable_labels_were_counted(two_tasks, tmp_path):
    path = tmp_path / "old.h5"
    shutil.copy(two_tasks, path)
    with h5py.File(path, "r+") as file:
        rows = file["accuracy"][:]
        del file["accuracy"]
        file["accuracy"] = rows[["trial", "after", "task", "score", "examples"]].copy()
    said = " ".join(cautions.cautions(load(path), []))
    assert "old.h5: /accuracy lacks the column unanswerable." in said and "no label of the task" not in said


def test_tasks_that_an_order_lacks(tmp_path):
    path = make_results.write(tmp_path / "short.h5", n_tasks=14, seeds=1, orders=1, methods=("seqlora",), arrays=False)
    with h5py.File(path, "r+") as file:
        rows = file["trials"][:]
        rows["order_name"] = "O4"
        file["trials"][:] = rows
    said = " ".join(cautions.cautions(load(path), []))
    assert "Tasks are missing: Long sequence (14 of 15 tasks)" in said


def test_sharing():
    steps = pd.DataFrame({"kind": ["finetune", "finetune", "merge"], "seconds": [10.0, 20.0, 1.0], "shared_by": [4, 1, 1]})
    rows = {share.kind: share for share in report.sharing(steps)}
    assert (rows["finetune"].ran, rows["finetune"].alone) == (2, 5)
    assert (rows["all"].seconds, rows["all"].seconds_alone) == (31, 61)


def test_durations():
    assert [report.duration(s) for s in (4.24, 65, 3725)] == ["4.2 s", "1 min 5 s", "1 h 2 min"]
