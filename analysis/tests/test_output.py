"""Tables and figures: the numbers that are shown, and that nothing shown overlaps."""

import itertools

import numpy as np
import pandas as pd
import pytest
import synthetic
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from slao_analysis import cli, load, tables
from slao_analysis.figures import FIGURES, loss, matrix


def test_mean_and_deviation():
    assert tables.mean_sd(pd.Series([0.5, 0.6])) == "55.0 ± 7.1"
    assert tables.mean_sd(pd.Series([0.5, np.nan])) == "50.0"
    assert tables.mean_sd(pd.Series([np.nan])) == "–"
    assert tables.mean_sd(pd.Series([-0.0001])) == "0.0"


def test_table(gaps):
    results = load(gaps)
    lines = tables.markdown(results).splitlines()
    assert lines[2] == "| method | lambda | trials | AA | BWT | forgetting | FWT | intransigence | MOPD |"
    rows = {tuple(cells[1:3]): cells[3:-1] for cells in ([c.strip() for c in line.split("|")] for line in lines[4:])}
    assert list(rows) == [("individual", "–"), ("seqlora", "–"), ("slao", "0.1"), ("slao", "0.5"), ("slao", "0.9"),
                          ("slao", "1/√i")]
    assert rows["slao", "0.9"] == ["0/4", "–", "–", "–", "–", "–", "–"]
    assert rows["seqlora", "–"][0] == "2/4"
    chosen = results.trials[(results.trials["method"] == "slao") & (results.trials["lambda"] == "0.1")]
    values = [100 * value for value in chosen["AA"]]
    mean = sum(values) / 4
    deviation = (sum((value - mean) ** 2 for value in values) / 3) ** 0.5
    assert rows["slao", "0.1"][:2] == ["4/4", f"{mean:.1f} ± {deviation:.1f}"]


def test_mean_matrix_ignores_what_is_unknown(gaps):
    results = load(gaps)
    trials = results.trials[results.trials["method"] == "seqlora"]
    order = trials["order"].iloc[0]
    group = trials[trials["order"] == order]
    assert sorted(group["status"]) == ["done", "missing"]
    done = group[group["status"] == "done"]["id"].iloc[0]
    np.testing.assert_array_equal(matrix.mean_matrix(results, group).loc[1:], results.matrix(done).loc[1:])


def test_running_mean():
    np.testing.assert_allclose(loss.smooth(np.array([1.0, 2, 3, 4]), 2), [1, 1.5, 2.5, 3.5])
    np.testing.assert_allclose(loss.smooth(np.array([1.0, 2, 3]), 1), [1, 2, 3])
    assert len(loss.smooth(np.array([]), 3)) == 0


def test_settings_that_share_their_training_are_one_line(five_tasks):
    results = load(five_tasks)
    figures = dict(FIGURES["loss"](results))
    assert len(figures) == 2
    names = [text.get_text() for text in figures["loss-order1"].legends[0].get_texts()]
    assert names == ["individual", "seqlora, slao (5 settings)"]


def overlaps(figure):
    """Pairs of texts of a figure that lie over one another, and texts that leave the figure."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    unseen = set()  # labels of ticks beyond the limits exist, but are not drawn
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            unseen |= {tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high}
    boxes = []
    for text in figure.findobj(Text):
        shown = text.get_visible() and text.get_text().strip() and text not in unseen
        if shown and (text.axes is None or text.axes.axison):
            boxes.append((text.get_text(), text.get_window_extent(renderer)))
    page = figure.bbox
    faults = [text for text, box in boxes if box.x0 < page.x0 - 1 or box.x1 > page.x1 + 1]
    for (text, box), (other, second) in itertools.combinations(boxes, 2):
        width = min(box.x1, second.x1) - max(box.x0, second.x0)
        height = min(box.y1, second.y1) - max(box.y0, second.y0)
        if width > 1 and height > 1:
            faults.append((text, other))
    return faults


@pytest.mark.parametrize("tasks", [1, 2, 5, 15])
@pytest.mark.parametrize("name", FIGURES)
def test_no_text_overlaps(tmp_path, name, tasks):
    path = tmp_path / "results.h5"
    synthetic.write(path, n_tasks=tasks, seeds=2, orders=1)
    figures = FIGURES[name](load(path))
    assert figures
    for stem, figure in figures:
        assert figure.get_figwidth() == pytest.approx(3.4)
        assert not overlaps(figure), stem


def test_all(gaps, tmp_path, capsys):
    assert cli.main(["all", str(gaps), "-o", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out.splitlines()
    written = sorted(str(path) for path in (tmp_path / "out").iterdir())
    assert sorted(printed) == written
    for path in (tmp_path / "out").iterdir():
        start = path.read_bytes()[:8]
        kind = {".png": b"\x89PNG\r\n\x1a\n", ".pdf": b"%PDF-1.4"}.get(path.suffix)
        assert kind is None or start == kind
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"table.md", "metrics.png", "loss-order1.pdf", "sequence-order2.png",
            "matrix-slao-lambda-1-sqrt-i-order1.png"} <= names


def test_table_on_stdout(two_tasks, capsys):
    assert cli.main(["table", str(two_tasks)]) == 0
    assert capsys.readouterr().out.startswith("**synthetic-2**: mean ± standard deviation")


def test_bad_files_and_folders(two_tasks, tmp_path, capsys):
    assert cli.main(["all", str(tmp_path / "none.h5"), "-o", str(tmp_path)]) == 2
    assert "none.h5 is not there" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert cli.main(["table", str(two_tasks), "-o", str(tmp_path / "file")]) == 2
    assert "slao-analysis: " in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        cli.main(["matrix", str(two_tasks)])
    assert stopped.value.code == 2
