"""Tables and figures: the numbers that are shown, and that nothing shown overlaps."""

import csv
import io
import itertools
import re
import shutil

import h5py
import make_results
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from slao_analysis import cli, labels, load, published, style, tables, trainings
from slao_analysis.figures import FIGURES, geometry, loss, matrix, memory, sensitivity
from slao_analysis.figures.timeline import timeline


def test_mean_and_deviation():
    assert tables.cell(pd.Series([0.5, 0.6])).plain() == "55.0 ± 7.1"
    assert tables.cell(pd.Series([0.5, np.nan])).plain() == "50.0"
    assert tables.cell(pd.Series([np.nan])).plain() == "–"
    assert tables.cell(pd.Series([-0.0001])).plain() == "0.0"


def _rows(text):
    return [[c.strip() for c in line.split("|")][1:-1] for line in text.splitlines() if line.startswith("| ")]


def test_summary(gaps):
    results = load(gaps)
    rows = _rows(tables.markdown(results))
    assert rows[0] == ["method", "λ", "trials", "AA", "BWT", "forgetting", "FWT", "intransigence", "MOPD", "AOPD"]
    rows = {tuple(row[:2]): [re.sub(r"\*\*|</?u>", "", c) for c in row[2:]] for row in rows[1:]}
    assert list(rows) == [("Individual", "–"), ("SeqLoRA", "–"), ("SLAO", "0.1"), ("SLAO", "0.5"), ("SLAO", "0.9"),
                          ("SLAO", "1/√i")]
    assert rows["SLAO", "0.9"] == ["0/4", *["–"] * 7]
    assert rows["SeqLoRA", "–"][0] == "2/4"
    chosen = results.trials[(results.trials["method"] == "slao") & (results.trials["lambda"] == "0.1")]
    values = [100 * value for value in chosen["AA"]]
    mean = sum(values) / 4
    deviation = (sum((value - mean) ** 2 for value in values) / 3) ** 0.5
    assert rows["SLAO", "0.1"][:2] == ["4/4", f"{mean:.1f} ± {deviation:.1f}"]


def _table(cells, best=1):
    return tables.Table("t", "A title", [tables.Column("method", number=False), tables.Column("A_A", best=best)],
                        [[tables.Cell(name), cell] for name, cell in cells])


def test_best_and_second():
    cells = [("a", tables.cell([0.5, 0.6])), ("b", tables.cell([0.7])), ("c", tables.cell([0.7001])), ("d", tables.Cell())]
    assert [row[1] for row in _table(cells).marks()] == ["second", "best", "best", ""]
    assert [row[1] for row in _table(cells, best=-1).marks()] == ["best", "second", "second", ""]
    assert [row[1] for row in _table(cells[1:]).marks()] == ["", "", ""]  # all alike: none is best
    assert "| a | <u>55.0 ± 7.1</u> |" in tables.to_markdown(_table(cells))
    latex = tables.to_latex(_table(cells))
    assert r"a & \underline{55.0 $\pm$ 7.1} \\" in latex and r"b & \textbf{70.0} \\" in latex
    assert latex.index(r"\toprule") < latex.index(r"\midrule") < latex.index(r"\bottomrule") and r"A\_A" in latex
    rows = list(csv.reader(io.StringIO(tables.to_csv(_table(cells)))))
    assert rows[:2] == [["method", "A_A", "A_A sd", "A_A n"], ["a", "55.0000", "7.0711", "2"]]
    assert rows[4] == ["d", "", "", "0"]


def test_latex_text():
    assert tables.latex_text("SLAO λ=1/√i & 5 % − -3.0") == r"SLAO $\lambda$=$1/\sqrt{i}$ \& 5 \% $-$ $-$3.0"


def test_published_numbers_stand_beside_ours(everything, two_tasks):
    results = load(everything)
    table = tables.benchmarks(results, "AA")
    name = "Long sequence (15 tasks)"
    assert [c.name for c in table.columns][-2:] == [name, f"{name} †"]
    rows = {row[0].text: row for row in table.rows if row[0].text != "SLAO"}
    assert rows["SeqLoRA"][-1].text == "68.7"
    assert rows["SAPT-LoRA †"][-1].text == "81.9" and rows["SAPT-LoRA †"][-2].text == "–"
    slao = {(row[1].text, row[3].text): row[-1].text for row in table.rows if row[0].text == "SLAO"}
    assert slao.pop(("1/√i", "last-ft")) == "74.8" and len(slao) == 3  # published with its own schedule and start
    assert set(slao.values()) == {"–"}
    assert any("Transcribed by third parties" in note for note in table.notes)
    bwt = tables.benchmarks(results, "BWT")
    assert next(row[-1].text for row in bwt.rows if row[0].text == "SeqLoRA") == "-17.2"
    by_order = tables.per_order(results)[0]
    assert [c.name for c in by_order.columns if c.name.endswith("†")] == ["O4 †"]
    ablation = next(table for table in tables.ablations(results))
    assert {row[0].text: row[-1].text for row in ablation.rows} == {
        "last-ft": "74.8", "random": "59.6", "Last-Merge †": "74.2"}
    assert not any("†" in c.name for c in tables.benchmarks(load(two_tasks), "AA").columns)


def test_every_published_number_is_in_percent():
    numbers = published.numbers()
    values = [value for key in ("AA", "AA_by_order", "BWT", "ablation_init", "ablation_merge")
              for methods in numbers[key].values() for value in methods.values()]
    assert len(values) > 80 and all(-100 < value < 100 for value in values)


def test_mean_matrix_ignores_what_is_unknown(gaps):
    results = load(gaps)
    trials = results.trials[results.trials["method"] == "seqlora"]
    group = trials[trials["order"] == trials["order"].iloc[1]]
    assert "done" in set(group["status"]) and len(set(group["status"])) == 2
    done = group[group["status"] == "done"]["id"].iloc[0]
    np.testing.assert_array_equal(matrix.mean_matrix(results, group).loc[1:], results.matrix(done).loc[1:])


def test_running_mean():
    np.testing.assert_allclose(loss.smooth(np.array([1.0, 2, 3, 4]), 2), [1, 1.5, 2.5, 3.5])
    np.testing.assert_allclose(loss.smooth(np.array([1.0, 2, 3]), 1), [1, 2, 3])
    assert len(loss.smooth(np.array([]), 3)) == 0


def test_settings_that_share_their_training_are_one_line(five_tasks):
    results = load(five_tasks)
    _, _, trials = trainings.numbered_orders(results)[0]
    assert [t.label for t in trainings.of_order(results, trials)] == ["Individual", "SeqLoRA, SLAO (5 settings)"]


def test_timeline_of_known_steps():
    """Two ranks, 10 s each, then a stop of an hour, then 10 s of one rank: 30 s of work in 20 s on two ranks."""
    steps = pd.DataFrame({
        "kind": "finetune", "seconds": 10.0, "mpi_rank": [0, 1, 0],
        "started": ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z", "2026-01-31T13:00:00Z"],
    })
    line = timeline(steps)
    assert (line.wall, line.stops, line.ranks) == (20, [10], [0, 1])
    assert line.utilisation == pytest.approx(0.75)
    assert timeline(steps.assign(started="")) is None


def test_memory_of_known_steps():
    steps = pd.DataFrame({
        "key": ["a", "b", "c", "d"], "parent": ["", "a", "a,b", "b"], "kind": ["finetune", "finetune", "merge", "evaluate"],
        "state_bytes": [10.0, 20.0, 30.0, np.nan],
    })
    assert memory.growth(steps).fillna(-1).values.tolist() == [
        ["finetune", 1, 10, -1], ["finetune", 2, 20, 10], ["merge", 2, 30, -1]]


def test_what_was_swept(everything, two_tasks):
    assert sensitivity.swept(load(everything)) == ["learning_rate"]
    assert sensitivity.swept(load(two_tasks)) == ["lambda"]
    assert sensitivity.swept(load(two_tasks, everything)) == ["lambda", "learning_rate", "T"]


ONE_AT_A_TIME = {
    "n_tasks": 4, "seeds": 2, "orders": 2, "methods": ("slao", "frea-mb"), "schedules": ("1/sqrt(i)",), "arrays": False,
    "options": tuple({"slao.init": "last-ft", "slao.qr_sign": "positive", "slao.row_scale": 1.0, **change} for change in (
        {}, {"slao.init": "random"}, {"slao.init": "function-preserving"}, {"slao.qr_sign": "lapack"},
        {"slao.row_scale": 0.57735})),
}
MANY_SCHEDULES = {
    "n_tasks": 2, "seeds": 2, "orders": 2, "arrays": False, "schedules": (
        "1/sqrt(i)", "1/i", "i^(-0.25)", *(f"0.{k}" for k in range(1, 10)), "1", "cosine", "cosine(layer)", "gradient",
        "gradient(layer)", "norm", "norm(layer)", "opcm", "opcm(layer)", "validation"),
}


@pytest.fixture(scope="module")
def one_at_a_time(tmp_path_factory):
    return load(make_results.write(tmp_path_factory.mktemp("options") / "results.h5", **ONE_AT_A_TIME))


def test_ablations_compare_what_differs_in_one_option_alone(one_at_a_time):
    found = {table.name: table for table in tables.ablations(one_at_a_time)}
    assert set(found) == {"ablation-slao.init", "ablation-slao.qr-sign", "ablation-slao.row-scale"}
    trials = one_at_a_time.trials.set_index(["slao.init", "slao.qr_sign", "slao.row_scale"])["AA"].sort_index()
    lapack, positive = (row[1] for row in found["ablation-slao.qr-sign"].rows)
    assert (lapack.n, positive.n) == (4, 4)
    assert positive.mean == pytest.approx(trials["last-ft", "positive", 1.0].mean())
    assert lapack.mean == pytest.approx(trials["last-ft", "lapack", 1.0].mean())
    assert [row[0].text for row in found["ablation-slao.init"].rows] == [
        "function-preserving", "last-ft", "random", "Last-Merge †"]


def test_published_numbers_are_those_of_the_published_setting(one_at_a_time):
    table = tables.benchmarks(one_at_a_time, "AA")
    ours = {tuple(cell.text for cell in row[:5]): row[-1].text for row in table.rows if "†" not in row[0].text}
    assert ours.pop(("FREA-MB", "–", "–", "–", "–")) == "78.7"  # known from the published ablation only
    assert ours.pop(("SLAO", "1/√i", "last-ft", "positive", "1")) == "80.4"
    assert set(ours.values()) == {"–"} and len(ours) == 4


def test_categories(five_tasks):
    results = load(five_tasks)
    table, = tables.by_category(results)
    assert [c.name for c in table.columns][2:] == ["QA (2 tasks)", "TC (3 tasks)"]
    slao = next(row for row in table.rows if row[1].text == "0.5")
    trials = results.trials[results.trials["lambda"] == "0.5"]
    wanted = [np.mean([score for task, score in zip(results.tasks(trial), results.final_scores(trial))
                       if make_results.NAMES.index(task) % 2]) for trial in trials["id"]]
    assert slao[2].mean == pytest.approx(np.mean(wanted)) and slao[2].n == len(trials)


def overlaps(figure):
    """Pairs of texts of a figure that lie over one another, and texts that leave the figure."""
    canvas = FigureCanvasAgg(figure)
    with plt.rc_context(style.RC):
        canvas.draw()
    renderer = canvas.get_renderer()
    unseen = set()  # labels of ticks beyond the limits exist, but are not drawn
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            unseen |= {tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high}
            unseen |= {tick.label2 for tick in axis.get_major_ticks()}
    boxes = []
    for text in figure.findobj(Text):
        shown = text.get_visible() and text.get_text().strip() and text not in unseen
        if shown and (text.axes is None or text.axes.axison):
            boxes.append((text.get_text(), text.get_window_extent(renderer)))
    page = figure.bbox
    faults = [text for text, box in boxes
              if box.x0 < page.x0 - 1 or box.x1 > page.x1 + 1 or box.y0 < page.y0 - 1 or box.y1 > page.y1 + 1]
    for (text, box), (other, second) in itertools.combinations(boxes, 2):
        width = min(box.x1, second.x1) - max(box.x0, second.x0)
        height = min(box.y1, second.y1) - max(box.y0, second.y0)
        if width > 1 and height > 1:
            faults.append((text, other))
    return faults


#: tasks -> a small and a full sweep; more than a few seconds each, so the middle is left to those who ask (-m "")
SWEEPS = [
    pytest.param({"n_tasks": 2, "seeds": 1, "orders": 1, "methods": ("slao",), "schedules": ("1/sqrt(i)",)}, id="2-tasks-1"),
    pytest.param({"n_tasks": 30, "seeds": 2, "orders": 5, "missing": True}, id="30-tasks-50"),
    pytest.param({"n_tasks": 5, "seeds": 2, "orders": 3, "options": make_results.INITS, "learning_rates": (1e-4, 1e-3)},
                 id="5-tasks-120", marks=pytest.mark.slow),
    pytest.param({"n_tasks": 15, "seeds": 2, "orders": 5}, id="15-tasks-50", marks=pytest.mark.slow),
    pytest.param({"n_tasks": 1, "seeds": 1, "orders": 1}, id="1-task", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module", params=SWEEPS)
def sweep(request, tmp_path_factory):
    return load(make_results.write(tmp_path_factory.mktemp("sweep") / "results.h5", layers=2, **request.param))


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_overlaps(sweep, name):
    one_of_a_kind = {}
    for drawing in FIGURES[name].drawings(sweep):
        one_of_a_kind.setdefault(tuple(word in drawing.name for word in ("-layers", "-tasks")), drawing)
    for drawing in one_of_a_kind.values():
        figure = drawing.draw()
        assert figure.get_figwidth() == pytest.approx(style.COLUMN) and figure.get_figheight() <= style.PAGE
        assert drawing.caption
        assert not overlaps(figure), drawing.name


@pytest.mark.parametrize("shape", [ONE_AT_A_TIME, MANY_SCHEDULES], ids=["one-at-a-time", "many-schedules"])
def test_long_and_many_names_fit(shape, tmp_path):
    results = load(make_results.write(tmp_path / "results.h5", **shape))
    for name in ("metrics", "sensitivity", "orders", "ablation"):
        for drawing in FIGURES[name].drawings(results):
            figure = drawing.draw()
            assert not overlaps(figure), drawing.name
            assert all(axes.get_position().width > 0.2 for axes in figure.axes if axes.get_label() != "<colorbar>")


def test_figures_read_what_they_are_asked_for(five_tasks, monkeypatch):
    """The first figure of a kind reads nothing of other orders: a report of thousands of trials stays quick."""
    results = load(five_tasks)
    first = set(trainings.numbered_orders(results)[0][2]["id"])
    read, arrays = set(), type(results).arrays

    def watched(self, trials, name):
        trials = list(trials)
        read.update(trials)
        return arrays(self, trials, name)

    monkeypatch.setattr(type(results), "arrays", watched)
    for name in ("loss", "cosine", "geometry"):
        next(FIGURES[name].drawings(results)).draw()
    assert read and read <= first


def test_trainings_of_other_lengths_have_a_loss_figure_of_their_own(five_tasks, tmp_path):
    path = tmp_path / "more.h5"
    shutil.copy(five_tasks, path)
    with h5py.File(path, "r+") as file:
        for row in file["trials"][:]:
            if row["method"] == b"seqlora":
                group = file[f"trial/{row['id'].decode()}"]
                loss, steps = np.repeat(group["loss"][:], 2), 2 * group["loss_steps"][:]
                del group["loss"], group["loss_steps"]
                group["loss"], group["loss_steps"] = loss, steps
    first = [d for d in FIGURES["loss"].drawings(load(path)) if d.name.startswith("loss-order1")]
    assert [drawing.name for drawing in first] == ["loss-order1-part1", "loss-order1-part2"]
    shown = [[text.get_text() for text in drawing.draw().legends[0].get_texts()] for drawing in first]
    assert sorted(any("SeqLoRA" in name for name in names) for names in shown) == [False, True]


def test_geometry_of_longer_trainings(five_tasks, tmp_path):
    """Distance of each task's own training, and the error of its linearisation: panels where they are recorded."""
    path = tmp_path / "more.h5"
    shutil.copy(five_tasks, path)
    with h5py.File(path, "r+") as file:
        for group in file["trial"].values():
            group["linearisation_error"] = np.linspace(0.1, 0.5, 5)
    titles = [axes.get_title("left") for axes in next(FIGURES["geometry"].drawings(load(path))).draw().axes]
    assert len(next(FIGURES["geometry"].drawings(load(five_tasks))).draw().axes) == 4
    assert titles[4:] == ["linearisation error", ""]


def test_regime_of_small_steps(five_tasks, tmp_path):
    """A line for each setting: medians at each learning rate, of what is known."""
    assert list(FIGURES["regime"].drawings(load(five_tasks))) == []  # nothing recorded, one learning rate
    path = make_results.write(tmp_path / "rates.h5", n_tasks=3, seeds=2, orders=1, methods=("seqlora", "slao"),
                              schedules=("0.5",), learning_rates=(1e-5, 1e-4, 1e-3))
    assert list(FIGURES["regime"].drawings(load(path))) == []
    with h5py.File(path, "r+") as file:
        for row in file["trials"][:]:
            group = file[f"trial/{row['id'].decode()}"]
            group["linearisation_error"] = np.array([np.nan, 50, 70]) * row["learning_rate"] * (1 + row["seed"])
            group["distance_from_start"] = np.array([1, 2, 3]) * row["learning_rate"]
    (drawing,) = FIGURES["regime"].drawings(load(path))
    figure = drawing.draw()
    error, distance = figure.axes
    for line in error.get_lines():
        assert line.get_xdata() == pytest.approx([1e-5, 1e-4, 1e-3])
        assert line.get_ydata() == pytest.approx(85 * np.array([1e-5, 1e-4, 1e-3]))  # of 50, 70, 100, 140
    assert [line.get_ydata()[2] for line in distance.get_lines()] == pytest.approx([2e-3, 2e-3])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["SeqLoRA", "SLAO λ=0.5"]
    assert not overlaps(figure)


@pytest.mark.parametrize("name, columns", [("SLAO", 2), ("SeqLoRA lr=0.001 epochs=10", 1)])
def test_legends_stay_inside(name, columns):
    figure = style.new_figure(2)
    lines = [figure.subplots().plot([1, 2], [1, 2])[0]] * 7
    style.legend(figure, lines, [f"{name} {number}" for number in range(7)])
    figure.canvas.draw()
    (legend,) = figure.legends
    assert legend._ncols == columns
    box = legend.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1


def test_an_axis_from_zero_shows_the_highest_value():
    axes = style.new_figure(2).subplots()
    axes.plot([1, 2, 3], [1.89, 1.9, 1.88])
    style.from_zero(axes)
    assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > 1.95


def test_what_each_figure_shows(everything):
    """Structure: how many lines, cells and marks, and at which values."""
    results = load(everything)
    trials = labels.with_settings(results)
    drawn = {name: next(FIGURES[name].drawings(results)).draw() for name in ("metrics", "ablation", "matrix", "memory")}
    settings = trials["setting"].nunique()
    ticks = [text.get_text() for text in drawn["metrics"].axes[0].get_yticklabels()]
    assert len(ticks) == settings
    means = [bar.lines[0].get_xdata()[0] for bar in drawn["metrics"].axes[0].containers]
    known = trials.dropna(subset=["AA"])
    np.testing.assert_allclose(means, 100 * known.groupby("setting", sort=False)["AA"].mean())
    assert [t.get_text() for t in drawn["ablation"].axes[0].get_yticklabels()] == ["init=last-ft", "init=random"]
    image = drawn["matrix"].axes[0].images[0].get_array()
    first = trials[trials["order"] == trials["order"].iloc[0]]
    first = first[first["setting"] == first["setting"].iloc[0]]
    np.testing.assert_allclose(image.filled(np.nan), matrix.mean_matrix(results, first).to_numpy())
    grown = sorted(y for line in drawn["memory"].axes[0].lines if line.get_marker() == "o" for y in line.get_ydata())
    assert grown[-1] == pytest.approx(15 * make_results.PAIR_BYTES / 1e3)


def test_all(two_tasks, tmp_path, capsys):
    assert cli.main(["all", str(two_tasks), "-o", str(tmp_path / "out"), "--most", "1"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert sorted(printed) == sorted(str(path) for path in (tmp_path / "out").iterdir())
    for path in (tmp_path / "out").iterdir():
        start = path.read_bytes()[:8]
        kind = {".png": b"\x89PNG\r\n\x1a\n", ".pdf": b"%PDF-1.4"}.get(path.suffix)
        assert kind is None or start == kind
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"table.md", "summary.tex", "accuracy.csv", "bwt.md", "orders.md", "tasks.csv", "statistics.md", "metrics.png",
            "loss-order1.pdf", "sequence-order1.png", "matrix-individual-order1.png", "timeline.pdf"} <= names


def test_table_and_sentences_on_stdout(two_tasks, capsys):
    assert cli.main(["table", str(two_tasks)]) == 0
    assert capsys.readouterr().out.startswith("**synthetic-2**, fingerprint `fff")
    assert cli.main(["compare", str(two_tasks), "--metric", "AA", "--reference", "SLAO λ=1/√i"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and all(line.startswith("SLAO λ=1/√i − ") for line in lines)


def test_bad_files_and_folders(two_tasks, tmp_path, capsys):
    assert cli.main(["all", str(tmp_path / "none.h5"), "-o", str(tmp_path)]) == 2
    assert "none.h5 is not there" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert cli.main(["table", str(two_tasks), "-o", str(tmp_path / "file")]) == 2
    assert "slao-analysis: " in capsys.readouterr().err
    assert cli.main(["compare", str(two_tasks), "--reference", "nothing"]) == 2
    assert "no setting is called 'nothing'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        cli.main(["matrix", str(two_tasks)])
    assert stopped.value.code == 2


def test_geometry_says_what_was_not_recorded():
    figure = geometry.draw_panels([("slao", {"distance": np.linspace(0, 1, 6).reshape(3, 2)})], 0)
    figure.canvas.draw()
    assert sum("not recorded" in text.get_text() for axes in figure.axes for text in axes.texts) == 3
