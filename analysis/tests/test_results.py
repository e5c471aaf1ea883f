"""Loading: what a good file gives, and what is said about a bad one."""

import math
import shutil
import time

import h5py
import make_results
import numpy as np
import pandas as pd
import pytest

from slao_analysis import ResultsError, export, labels, load


def test_tables(five_tasks):
    results = load(five_tasks)
    assert results.name == "synthetic-5"
    assert len(results.trials) == 6 * 2 * 2
    assert set(results.trials["method"]) == {"seqlora", "slao", "individual"}
    assert results.trials["seed"].dtype == np.int64
    assert len(results.orders) == 12
    assert results.setting_columns == ["method", "lambda"]


def test_metrics_of_the_test_data():
    """By hand: see tests/unit/test_metrics.c of slao, which has the same matrix."""
    a = [[0.5, 0.2, 0.1], [0.75, 0.6, 0.3], [0.25, 0.7, 0.9]]
    found = make_results.metrics(a, [0.4, 0.05, 0.1], [0.5, 0.7, 0.8], [4, 4, 6])
    wanted = {"AA": 1.85 / 3, "AA_micro": 9.2 / 14, "BWT": -0.075, "FWT": 0.175, "fwt_individual": 0,
              "forgetting": 0.2, "intransigence": 0}
    assert found == pytest.approx(wanted, abs=1e-12)


def test_matrix_is_that_of_the_trial(five_tasks):
    results = load(five_tasks)
    for trial in results.trials[results.trials["method"] != "individual"].itertuples():
        matrix = results.matrix(trial.id)
        assert list(matrix.columns) == trial.order.split(",")
        assert list(matrix.index) == list(range(6))
        np.testing.assert_array_equal(matrix.loc[1:], results.array(trial.id, "accuracy"))
        np.testing.assert_array_equal(matrix.loc[0], results.array(trial.id, "accuracy_base"))
        assert matrix.loc[5].mean() == pytest.approx(trial.AA, abs=1e-12)


def test_matrix_with_gaps(gaps):
    results = load(gaps)
    missing = results.trials[results.trials["status"] == "missing"].iloc[0]
    assert results.matrix(missing["id"]).isna().all(axis=None)
    alone = results.trials[results.trials["method"] == "individual"].iloc[0]
    assert results.matrix(alone["id"]).loc[1:].notna().to_numpy().tolist() == np.eye(3, dtype=bool).tolist()
    with pytest.raises(ResultsError, match="no trial ffffffffffff"):
        results.matrix("f" * 12)


def test_losses(gaps):
    results = load(gaps)
    losses = results.losses
    done = results.trials[results.trials["status"] == "done"].iloc[0]
    own = losses[losses["trial"] == done["id"]]
    assert own.groupby("position").size().to_dict() == {1: 25, 2: 30, 3: 25}
    assert list(own["step"]) == list(range(1, 81))
    assert list(dict.fromkeys(own["task"])) == done["order"].split(",")
    np.testing.assert_array_equal(own["loss"], results.array(done["id"], "loss"))
    missing = results.trials[results.trials["status"] == "missing"]["id"]
    assert not losses["trial"].isin(missing).any()
    assert results.array(missing.iloc[0], "orthogonality") is None


def test_settings_are_named_and_sorted(five_tasks):
    results = load(five_tasks)
    settings = list(dict.fromkeys(labels.with_settings(results)["setting"]))
    assert settings == ["Individual", "SeqLoRA", "SLAO λ=0.1", "SLAO λ=0.5", "SLAO λ=0.9", "SLAO λ=1/√i"]


def _rewrite_table(file, name, change):
    """Replaces a table by what `change` makes of its rows, as a dict of columns."""
    rows, dtype = file[name][:], file[name].dtype
    columns = change({column: rows[column] for column in dtype.names})
    kinds = [(column, make_results.TEXT if np.asarray(values).dtype.kind == "O" else np.asarray(values).dtype)
             for column, values in columns.items()]
    wider = np.zeros(len(rows), dtype=kinds)
    for column, values in columns.items():
        wider[column] = values
    del file[name]
    file[name] = wider


def test_swept_keys_are_part_of_a_setting(five_tasks, tmp_path):
    def widen(columns):
        new = {}
        for name, values in columns.items():
            if name == "status":
                new["lora.alpha"] = np.array([math.nan, 16, 32] * 8)
            new[name] = values
        return new | {"later_outcome": np.arange(24.0)}

    results = load(_changed(five_tasks, tmp_path, lambda file: _rewrite_table(file, "trials", widen)))
    assert results.setting_columns == ["method", "lambda", "lora.alpha"]
    assert "SLAO λ=0.5 alpha=32" in set(labels.with_settings(results)["setting"])


def test_optional_parts_may_be_absent(five_tasks, tmp_path):
    def strip(file):
        for name in ("orders", "steps", "trial"):
            del file[name]
        _rewrite_table(file, "trials", lambda columns: {k: v for k, v in columns.items() if k != "state_bytes"})

    results = load(_changed(five_tasks, tmp_path, strip))
    assert results.trials["state_bytes"].isna().all()
    assert len(results.steps) == 0 and len(results.losses) == 0
    assert results.notes == [
        "changed.h5: /trials lacks the column state_bytes.",
        "changed.h5 lacks the table /orders: what is drawn from it is left out.",
        "changed.h5 lacks the table /steps: what is drawn from it is left out.",
    ]


def test_several_files_are_one(folder, tmp_path):
    more = make_results.write(tmp_path / "more.h5", n_tasks=2, seeds=3)
    fewer = make_results.write(tmp_path / "fewer.h5", n_tasks=2, seeds=2)
    other = make_results.write(tmp_path / "other.h5", n_tasks=2, seeds=2, model="models/Llama")
    both = load(fewer, more)
    assert len(both.trials) == 36 and both.trials["id"].is_unique
    assert both.notes == ["24 trials are in several of the files and count once."]
    assert len(both.accuracy) == len(load(more).accuracy)
    pd.testing.assert_frame_equal(both.matrix(both.trials["id"].iloc[-1]), load(more).matrix(both.trials["id"].iloc[-1]))
    models = load(fewer, other)
    assert len(models.trials) == 48 and models.trials["id"].is_unique
    assert models.setting_columns == ["method", "lambda", "model"]
    again = models.trials[models.trials["model"] == "Llama"].iloc[0]
    np.testing.assert_array_equal(models.matrix(again["id"]), load(other).matrix(again["file_id"]))
    assert models.array(again["id"], "accuracy").shape == (2, 2)


def test_benchmarks_are_what_has_the_same_tasks(two_tasks, everything, tmp_path):
    assert set(load(everything).trials["benchmark"]) == {"Long sequence (15 tasks)"}
    assert set(load(two_tasks).trials["benchmark"]) == {"CL_Benchmark (2 tasks)"}
    four = make_results.write(tmp_path / "four.h5", n_tasks=4, seeds=1)
    assert set(load(four).trials["benchmark"]) == {"Standard CL (4 tasks)"}
    assert set(load(two_tasks, everything).trials["T"]) == {2, 15}


def test_export(two_tasks, tmp_path):
    results = load(two_tasks)
    names = [path.name for path in export.write(results, tmp_path / "csv", "csv")]
    assert names == ["trials.csv", "accuracy.csv", "categories.csv", "orders.csv", "steps.csv", "losses.csv"]
    again = pd.read_csv(tmp_path / "csv" / "trials.csv", keep_default_na=True)
    np.testing.assert_allclose(again["AA"], results.trials["AA"], rtol=0, atol=1e-15)
    assert len(pd.read_csv(tmp_path / "csv" / "losses.csv")) == len(results.losses) > 0


def test_export_parquet(two_tasks, tmp_path):
    results = load(two_tasks)
    export.write(results, tmp_path, "parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "accuracy.parquet"), results.accuracy)


def test_many_trials_load_fast(tmp_path):
    path = make_results.write(
        tmp_path / "many.h5", n_tasks=5, seeds=25, orders=5, methods=("slao",), schedules=("0.5",), arrays=False,
        learning_rates=tuple(1e-4 * k for k in range(1, 9)), ranks=(4, 8, 16, 32, 64))
    started = time.process_time()
    results = load(path)
    results.matrix(results.trials["id"].iloc[0])
    assert len(results.trials) == 5000
    assert time.process_time() - started < 3


@pytest.mark.parametrize("keep", [0.5, 0.98])
def test_truncated_file(five_tasks, tmp_path, keep):
    path = tmp_path / "cut.h5"
    data = five_tasks.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(ResultsError, match="cut.h5 is damaged or cut off"):
        load(path)


def test_foreign_files(tmp_path):
    with pytest.raises(ResultsError, match="none.h5 is not there"):
        load(tmp_path / "none.h5")
    text = tmp_path / "text.h5"
    text.write_text("hello")
    with pytest.raises(ResultsError, match="text.h5 is not an HDF5 file"):
        load(text)
    empty = tmp_path / "empty.h5"
    empty.touch()
    with pytest.raises(ResultsError, match="empty.h5 is not an HDF5 file"):
        load(empty)
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["x"] = 1
    with pytest.raises(ResultsError, match="no schema_version"):
        load(other)


def _changed(source, tmp_path, change):
    path = tmp_path / "changed.h5"
    shutil.copy(source, path)
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def test_other_schema(five_tasks, tmp_path):
    path = _changed(five_tasks, tmp_path, lambda file: file.attrs.modify("schema_version", 2))
    with pytest.raises(ResultsError, match="schema version 2, and this slao-analysis reads 1"):
        load(path)


def test_missing_table_and_column(five_tasks, tmp_path):
    def remove(file):
        del file["trials"]

    with pytest.raises(ResultsError, match="lacks the table /trials"):
        load(_changed(five_tasks, tmp_path, remove))

    def rename(file):
        rows = file["accuracy"][:]
        del file["accuracy"]
        file["accuracy"] = rows[["after", "score", "examples"]].copy()

    with pytest.raises(ResultsError, match="/accuracy lacks the column trial"):
        load(_changed(five_tasks, tmp_path, rename)).accuracy  # big tables are read when asked for


def test_losses_that_do_not_fit(five_tasks, tmp_path):
    def shorten(file):
        group = next(iter(file["trial"].values()))
        del group["loss_steps"]
        group["loss_steps"] = [1, 1, 1, 1, 1]

    with pytest.raises(ResultsError, match="loss_steps does not fit loss"):
        load(_changed(five_tasks, tmp_path, shorten)).losses
