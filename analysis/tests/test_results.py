"""Loading: what a good file gives, and what is said about a bad one."""

import math
import shutil

import h5py
import numpy as np
import pytest
import synthetic

from slao_analysis import ResultsError, labels, load


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
    found = synthetic.metrics(a, [0.4, 0.05, 0.1], [0.5, 0.7, 0.8], [4, 4, 6])
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
    assert settings == ["individual", "seqlora", "slao λ=0.1", "slao λ=0.5", "slao λ=0.9", "slao λ=1/√i"]


def test_swept_keys_are_part_of_a_setting(five_tasks, tmp_path):
    path = tmp_path / "swept.h5"
    shutil.copy(five_tasks, path)
    with h5py.File(path, "r+") as file:
        rows, dtype = file["trials"][:], file["trials"].dtype
        wider = np.zeros(len(rows), dtype=[(n, dtype[n]) for n in dtype.names] + [("lora.alpha", float)])
        for name in dtype.names:
            wider[name] = rows[name]
        wider["lora.alpha"] = [math.nan, 16, 32] * 8
        del file["trials"]
        file["trials"] = wider.astype([(n, synthetic.TEXT if dtype[n].kind == "O" else dtype[n]) for n in dtype.names]
                                      + [("lora.alpha", float)])
    results = load(path)
    assert results.setting_columns == ["method", "lambda", "lora.alpha"]
    assert "slao λ=0.5 alpha=32" in set(labels.with_settings(results)["setting"])


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
        del file["orders"]

    with pytest.raises(ResultsError, match="lacks the table /orders"):
        load(_changed(five_tasks, tmp_path, remove))

    def rename(file):
        rows = file["accuracy"][:]
        del file["accuracy"]
        file["accuracy"] = rows[["after", "score", "examples"]].copy()

    with pytest.raises(ResultsError, match="/accuracy lacks the column trial"):
        load(_changed(five_tasks, tmp_path, rename))


def test_losses_that_do_not_fit(five_tasks, tmp_path):
    def shorten(file):
        group = next(iter(file["trial"].values()))
        del group["loss_steps"]
        group["loss_steps"] = [1, 1, 1, 1, 1]

    with pytest.raises(ResultsError, match="loss_steps does not fit loss"):
        load(_changed(five_tasks, tmp_path, shorten)).losses
