"""Checks the file that test_results.c writes: every number here is worked out by hand from the records there."""

import sys

import h5py
import numpy
import pandas

path, fingerprint = sys.argv[1:]
nan = numpy.nan
file = h5py.File(path)


def table(name):
    frame = pandas.DataFrame(file[name][:])
    for column in frame.columns:
        if frame[column].dtype == object:
            frame[column] = frame[column].str.decode("utf-8")
    return frame


def near(found, wanted, what):
    numpy.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12, err_msg=what)


def equal(found, wanted, what):
    assert found == wanted, f"{what}: {found!r}, not {wanted!r}"


# --- the file ---
attributes = dict(file.attrs)
equal(attributes.pop("schema_version"), 1, "schema_version")
equal(attributes.pop("ranks"), 2, "ranks")
equal(attributes.pop("threads"), 1, "threads")
assert attributes.pop("numeric_version") >= 3
git_commit, version = attributes.pop("git_commit"), attributes.pop("slao_version")
assert git_commit and version, (git_commit, version)
equal(attributes.pop("git_dirty"), git_commit.endswith("+dirty"), "git_dirty")
equal(attributes, {
    "name": "by-hand", "spec": '{"name": "by-hand"}', "fingerprint": fingerprint, "hosts": "host-a,host-b",
    "started": "2026-01-31T12:00:00Z", "finished": attributes["finished"],
    "mpi": "Open MPI 4.1.4", "blas": "OpenBLAS Haswell", "hdf5": "HDF5 1.10.8", "cpu": "avx2",
}, "attributes")
ran = table("steps")
finished = pandas.to_datetime(ran["started"]) + pandas.to_timedelta(ran["seconds"], unit="s")
equal(attributes["finished"], finished.max().strftime("%Y-%m-%dT%H:%M:%SZ"), "finished")
equal(sorted(file), ["accuracy", "categories", "inputs", "orders", "provenance", "steps", "trial", "trials"], "root")


def check_description(name, item):
    if isinstance(item, h5py.Dataset):
        assert len(item.attrs["description"]) > 10, name
        for text in [item.attrs["description"], item.attrs.get("units", "")]:
            assert isinstance(text, str), name


file.visititems(check_description)

# --- /trials ---
trials = table("trials").set_index("id", drop=False)
equal(list(trials.columns), [
    "id", "method", "order", "order_name", "lambda", "learning_rate", "seed", "lora_rank", "lora.alpha", "slao.init",
    "status", "AA", "AA_micro", "BWT", "FWT", "fwt_individual", "forgetting", "intransigence", "train_seconds",
    "eval_seconds", "train_tokens", "state_bytes", "peak_memory_bytes"], "columns of /trials")
equal(list(trials.index.str[:2]), ["0a", "1b", "2c", "3d", "4e", "5f", "6a"], "ids")
trials.index = trials.index.str[:2]
equal(list(trials["method"]), ["slao"] * 3 + ["seqlora"] + ["individual"] * 2 + ["seqlora"], "method")
equal(list(trials["lambda"]), ["1/sqrt(i)"] * 2 + ["0.5"] + [""] * 4, "lambda")
equal(trials["order"]["0a"], "agnews,amazon,dbpedia", "order")
equal(trials["order"]["1b"], "dbpedia,amazon,agnews", "order")
equal(list(trials["order_name"]), ["O1", "", "O1", "O1", "O1", "", ""], "order_name")
equal(list(trials["seed"]), [3] * 6 + [4], "seed")
equal(list(trials["slao.init"]), ["last-ft"] * 3 + [""] * 4, "slao.init")
near(trials["lora.alpha"], [16, 16, 16, 16, nan, nan, 16], "lora.alpha is a column of numbers")
near(trials["learning_rate"], [1e-4] * 7, "learning_rate")
equal(list(trials["lora_rank"]), [8] * 7, "lora_rank")
equal(list(trials["status"]), ["done", "done", "partial", "failed", "done", "done", "missing"], "status")

metrics = ["AA", "AA_micro", "BWT", "FWT", "fwt_individual", "forgetting", "intransigence"]
first = trials.loc["0a"]
# Matrix .50 .20 .10 / .75 .60 .30 / .25 .70 .90; untrained .1 .05 .02; alone .5 .7 .8; examples 4 4 6.
near(first[metrics].astype(float), [
    1.85 / 3, (4 * 0.25 + 4 * 0.70 + 6 * 0.90) / 14, ((0.25 - 0.5) + (0.7 - 0.6)) / 2,
    ((0.20 - 0.05) + (0.30 - 0.02)) / 2, ((0.5 - 0.5) + (0.6 - 0.7) + (0.9 - 0.8)) / 3,
    ((0.75 - 0.25) + (0.6 - 0.7)) / 2, 0], "metrics of 0a")
# No last row: what needs it is unknown; FWT needs only what came before the last task.
near(trials.loc["2c"][metrics].astype(float), [nan, nan, nan, ((0.20 - 0.05) + (0.25 - 0.02)) / 2, nan, nan, nan],
     "metrics of 2c")
near(trials.loc["4e"][metrics].astype(float), [2 / 3, (2 + 2.8 + 4.8) / 14, nan, nan, nan, nan, nan], "metrics of 4e")
near(trials.loc["6a"][metrics].astype(float), [nan] * 7, "metrics of 6a")
# Three fine-tunings of 10 s and two merges of 1 s; nine evaluations of 2 s. References count in none.
equal((first.train_seconds, first.eval_seconds, first.train_tokens, first.state_bytes), (32, 18, 3000, 4096), "costs")
assert 1e9 <= first.peak_memory_bytes < 1e9 + 200, first.peak_memory_bytes
equal(trials["train_seconds"]["6a"], 0, "a trial that did not run")
assert numpy.isnan(trials["state_bytes"]["6a"]) and numpy.isnan(trials["peak_memory_bytes"]["6a"])

# --- /accuracy ---
accuracy = table("accuracy")
equal(list(accuracy.columns), ["trial", "after", "task", "score", "examples", "token_exact", "unanswerable"],
      "columns of /accuracy")
assert accuracy["score"].notna().all()
# slao: 9 cells + 3 untrained, twice, and 6 + 3 once; seqlora 3; individual 3, twice.
equal(accuracy.groupby(accuracy["trial"].str[:2]).size().to_dict(),
      {"0a": 12, "1b": 12, "2c": 9, "3d": 3, "4e": 3, "5f": 3}, "cells")
cell = accuracy[(accuracy["trial"] == "0a0000000000") & (accuracy["after"] == 3) & (accuracy["task"] == "dbpedia")]
equal(cell[["score", "examples", "token_exact"]].values.tolist(), [[0.9, 6, 0.45]], "last cell")
base = accuracy[(accuracy["trial"] == "1b0000000000") & (accuracy["after"] == 0)]
equal(dict(zip(base["task"], base["score"])), {"dbpedia": 0.02, "amazon": 0.05, "agnews": 0.1}, "untrained")

equal(accuracy.groupby("task")["unanswerable"].unique().map(list).to_dict(), {"agnews": [0], "amazon": [1], "dbpedia": [0]},
      "examples without an answer")

# --- /categories ---
categories = table("categories").set_index(["trial", "category"])
equal(list(categories.columns), ["n_tasks", "examples", *metrics], "columns of /categories")
equal(len(categories), 2 * len(trials), "two categories each")


def by_category(name, category):
    """The metrics of a trial over the tasks of one category, from its matrix."""
    group = file[f"trial/{name}"]
    tasks = [task.decode() for task in group["tasks"][:]]
    a, b, alone = (group[key][:] for key in ("accuracy", "accuracy_base", "accuracy_individual"))
    examples = {"agnews": 4, "amazon": 4, "dbpedia": 6}
    last = len(tasks) - 1
    of = [i for i, task in enumerate(tasks) if {"agnews": "TC", "dbpedia": "TC", "amazon": "SC"}[task] == category]
    n = numpy.array([examples[tasks[i]] for i in of])
    before = [i for i in of if i < last]
    bwt = [a[last, i] - a[i, i] for i in before]
    forgotten = [a[i:last, i].max() - a[last, i] for i in before]
    forward = [a[i - 1, i] - b[i] for i in of if i > 0]
    gained = numpy.mean([a[i, i] - alone[i] for i in of])
    return [a[last, of].mean(), (n * a[last, of]).sum() / n.sum(), *(numpy.mean(x) if x else nan for x in (bwt, forward)),
            gained, numpy.mean(forgotten) if forgotten else nan, -gained]


for name in ("0a0000000000", "1b0000000000", "2c0000000000"):
    for category, n_tasks in (("SC", 1), ("TC", 2)):
        row = categories.loc[(name, category)]
        equal(row.n_tasks, n_tasks, f"tasks of {category}")
        near(row[metrics].astype(float), by_category(name, category), f"metrics of {name}, {category}")
near(categories.loc[("0a0000000000", "TC")][metrics].astype(float), [
    (0.25 + 0.90) / 2, (4 * 0.25 + 6 * 0.90) / 10, 0.25 - 0.5, 0.30 - 0.02, ((0.5 - 0.5) + (0.9 - 0.8)) / 2, 0.75 - 0.25,
    -((0.5 - 0.5) + (0.9 - 0.8)) / 2], "metrics of 0a, TC")

# --- /orders ---
orders = table("orders").set_index(["method", "lambda", "seed"])
equal(list(orders.columns), ["learning_rate", "lora_rank", "lora.alpha", "slao.init", "n_orders", "n_orders_planned",
                             "n_tasks", "MOPD", "AOPD", "AA_mean", "AA_sd"], "columns of /orders")
equal(len(orders), 5, "settings")
# Final: agnews .25 .35, amazon .70 .65, dbpedia .90 .70.
slao = orders.loc[("slao", "1/sqrt(i)", 3)]
equal((slao.n_orders, slao.n_orders_planned, slao.n_tasks), (2, 2, 3), "orders of slao")
near([slao.MOPD, slao.AOPD, slao.AA_mean, slao.AA_sd], [0.2, 0.35 / 3, 3.55 / 6, 0.05 / 2**0.5], "slao over orders")
alone = orders.loc[("individual", "", 3)]
near([alone.MOPD, alone.AOPD, alone.AA_mean, alone.AA_sd], [0, 0, 2 / 3, 0], "individual over orders")
for setting in [("slao", "0.5", 3), ("seqlora", "", 3), ("seqlora", "", 4)]:
    row = orders.loc[setting]
    equal((row.n_orders, row.n_orders_planned), (0, 1), setting)
    near([row.MOPD, row.AOPD, row.AA_mean, row.AA_sd], [nan] * 4, setting)

# --- /steps ---
steps = table("steps").set_index("key")
equal(list(steps.columns), ["parent", "kind", "task", "started", "seconds", "tokens", "mpi_rank", "host", "state_bytes",
                            "shared_by", "seed", "provenance"], "columns of /steps")
assert steps.index.is_unique and steps.index.str.fullmatch("[0-9a-f]{32}").all()
# Fine-tunes: agnews, agnews+amazon, all three; the same backwards; amazon alone.
equal(steps["kind"].value_counts().to_dict(), {"finetune": 7, "merge": 6, "evaluate": 25}, "kinds")
for key, step in steps.iterrows():
    parents = step.parent.split(",") if step.parent else []
    assert all(list(steps.index).index(parent) < list(steps.index).index(key) for parent in parents), key
    equal(len(parents) == 2, step.kind == "merge", "a merge has two parents")
assert set(steps["mpi_rank"].astype(str) + steps["host"]) == {"0host-a", "1host-b"}
assert numpy.isnan(steps["state_bytes"][steps["kind"] == "evaluate"]).all()

# --- /provenance, /inputs ---
equal(set(steps["seed"][steps["kind"] == "evaluate"]), {-1}, "an evaluation draws nothing")
equal(set(steps["seed"][steps["kind"] != "evaluate"]), {3}, "seed")
origins = table("provenance")
equal(list(origins.columns), ["version", "commit", "numeric_version", "mpi", "blas", "hdf5", "cpu", "machine", "threads",
                              "host", "steps"], "columns of /provenance")
rows = [(row.commit, row.numeric_version, row.machine, row.threads, row.host) for row in origins.itertuples()]
commit = "0123456789ab+dirty"
equal(rows, [("", -1, "", -1, "host-a"), (commit, 3, "kernel Zen", 2, "host-b"), (commit, 3, "kernel Haswell", 2, "host-a")],
      "provenance; the first record tells little")
equal(list(origins["steps"]), list(steps.groupby("provenance").size()), "steps of each provenance")
for row, host in zip(steps["provenance"], steps["host"]):
    equal(origins["host"][row], host, "host of the provenance")
inputs = table("inputs").set_index("input")
equal(list(inputs.columns), ["task", "hash", "examples"], "columns of /inputs")
equal((inputs["hash"]["model"], inputs["hash"]["tokenizer"]), (f"{1:016x}{2:016x}", f"{3:016x}{4:016x}"), "hashes")

# --- /trial/ID ---
group = file["trial/0a0000000000"]
equal([name.decode() for name in group["tasks"][:]], ["agnews", "amazon", "dbpedia"], "tasks")
equal([name.decode() for name in group["modules"][:]], ["q_proj", "v_proj"], "modules")
near(group["accuracy"][:], [[0.50, 0.20, 0.10], [0.75, 0.60, 0.30], [0.25, 0.70, 0.90]], "accuracy")
near(group["accuracy_base"][:], [0.1, 0.05, 0.02], "accuracy_base")
near(group["accuracy_individual"][:], [0.5, 0.7, 0.8], "accuracy_individual")
near(file["trial/2c0000000000/accuracy"][2], [nan] * 3, "a row that did not run")
near(file["trial/4e0000000000/accuracy"][:], [[0.5, nan, nan], [nan, 0.7, nan], [nan, nan, 0.8]], "individual")
near(file["trial/3d0000000000/accuracy_base"][:], [nan] * 3, "no references asked for")
equal([row.tolist() for row in group["example_scores"][:]], [[1, 0, 1, 0], [1, 0, 1, 0], [1, 0, 1, 0, 1, 0]],
      "example_scores")
equal([len(row) for row in file["trial/2c0000000000/example_scores"][:]], [0, 0, 0], "no final evaluation")
equal([len(row) for row in file["trial/5f0000000000/example_scores"][:]], [6, 4, 4], "each task by itself")
equal(group["loss_steps"][:].tolist(), [4, 5, 6], "loss_steps")
loss = group["loss"][:]
equal(len(loss), 15, "losses")
near(loss[:4] - loss[0], [0, 3 / 2 - 3, 3 / 3 - 3, 3 / 4 - 3], "loss of the first task")
near(loss[4:9] - loss[4], [0, -1.5, -2, -2.25, -2.4], "loss of the second task")
equal(len(file["trial/6a0000000000/loss"]), 0, "no losses")
near(group["lambda"][:], [1, 2**-0.5, 3**-0.5], "lambda")
near(file["trial/2c0000000000/lambda"][:], [1, 0.5, 0.5], "lambda")
near(file["trial/3d0000000000/lambda"][:], [nan] * 3, "nothing merged")
near(group["distance"][:], [nan, 3, 4.5], "distance")
near(group["distance_from_start"][:], [nan, 1, 1.5], "distance_from_start")
near(group["linearisation_error"][:], [nan, 0.2, 0.3], "linearisation_error")
near(group["loss_change"][:], [nan] * 3, "loss_change, not measured")
by_layer = numpy.array([[0, 10], [1, 11]])
for name, factor in [("orthogonality", 1), ("interference_A", 2), ("interference_B", 4)]:
    near(group[name][:], [numpy.full((2, 2), nan), 0.5 * factor + by_layer, 0.75 * factor + by_layer], name)
for name in ["orthogonality", "interference_A", "interference_B", "gradient_A", "gradient_B", "lambda_by_layer"]:
    near(file[f"trial/6a0000000000/{name}"][:], numpy.full((3, 2, 2), nan), f"{name} of a trial that did not run")
for name in ["cosine_A", "cosine_B"]:
    near(file[f"trial/6a0000000000/{name}"][:], numpy.full((3, 3, 2, 2), nan), f"{name} of a trial that did not run")
near(group["extra_loss"][:], [0] * 15, "extra_loss of a method that adds none")
for trial in file["trial"]:
    equal(set(file["trial"][trial]), set(group), f"datasets of {trial}, which is {trials['status'][trial[:2]]}")
# The third adapter is gone; the second A is at cosine 1/sqrt(1 + i^2) to the first at site i, from 1.
cosine = group["cosine_A"][:]
equal(cosine.shape, (3, 3, 2, 2), "cosine_A")
sites = numpy.array([[1, 2], [3, 4]])
near(cosine[0, 1], 1 / numpy.sqrt(1 + sites**2), "cosine_A of two tasks")
near(cosine[1, 0], cosine[0, 1], "cosine_A is symmetric")
near(cosine[1, 1], numpy.ones((2, 2)), "cosine_A of a task with itself")
near(cosine[2], numpy.full((3, 2, 2), nan), "cosine_A of an adapter that is gone")
near(group["cosine_B"][0], numpy.full((3, 2, 2), nan), "cosine_B of a B that is 0")
near(group["cosine_B"][1, 1], numpy.ones((2, 2)), "cosine_B of a task with itself")
for trial in ["2c0000000000", "3d0000000000"]:
    for name in ["cosine_A", "loss", "extra_loss", "loss_steps", "orthogonality", "gradient_B", "distance_from_start"]:
        assert file[f"trial/{trial}/{name}"] == group[name], "trials that share their training share the arrays"
assert file["trial/1b0000000000/cosine_A"] != group["cosine_A"]
assert file["trial/2c0000000000/lambda"] != group["lambda"]

equal(group["loss"].attrs["units"], "nat per token", "units")
print("results file: all as expected")
