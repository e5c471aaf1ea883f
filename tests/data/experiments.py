"""Plans the committed studies: experiments.py SLAO FOLDER, with SLAO_DATA and SLAO_MODELS in the environment."""

import json
import pathlib
import re
import subprocess
import sys

SLAO, folder = sys.argv[1], pathlib.Path(sys.argv[2])

# Settings per order, at the paper's size (three seeds) and in the small preset (one seed); published orders, or how many.
STUDIES = {
    "table1_standard": (3 * 14, 14, ["O1", "O2", "O3"]),
    "table2_long": (3 * 14, 7, ["O4", "O5", "O6"]),
    "table3_superni": (3 * 14, 7, ["superni-1", "superni-2"]),
    "ablation_init": (3 * 9, 9, ["O1", "O2", "O3"]),
    "ablation_merge": (3 * 6, 6, ["O1", "O2", "O3"]),
    "ablation_lambda": (3 * 23, 23, ["O4", "O5", "O6"]),
    "learning_rate": (3 * 2 * 8 * 3, 2 * 4 * 3, ["O1"]),
    "task_similarity": (3 * 7, 7, 6),
    "order_sensitivity": (3 * (1 + 3), 1 + 3, None),  # all orders: 24 of four tasks
    "asymmetry": (3 * 3 * 2, 3 * 2, ["O4"]),
    "layers": (3 * 7, 7, ["O1", "O2", "O3"]),
    "scaling_rank": (3 * 2 * 6, 2 * 6, ["O1", "O2", "O3"]),
}
# Seconds of one core of a busy machine for an example of about 105 tokens (SuperNI: 200), SmolLM2-135M.
TRAIN_SECONDS, SCORE_SECONDS, TWO_CORES_AN_HOUR = 105 / 114, 105 / 370, 2 * 3600


def plan(name, *settings):
    command = [SLAO, "plan", folder / f"{name}.json", "--json", *[part for s in settings for part in ("--set", s)]]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, (name, settings, done.stderr)
    return json.loads(done.stdout)


def key_paths(tree, before=""):
    for key, value in tree.items():
        yield before + key
        if isinstance(value, dict):
            yield from key_paths(value, f"{before}{key}.")


readme = (folder / "README.md").read_text()
listed = re.findall(r"^\| `(\w+)\.json`", readme, re.M)
assert sorted(listed) == sorted(STUDIES), listed
for name, (full, small, orders) in STUDIES.items():
    text = (folder / f"{name}.json").read_text()
    spec = json.loads(re.sub(r"^//.*\n", "", text, flags=re.M))
    assert spec["name"] == name and list(spec["presets"]) == ["small"], name
    if isinstance(orders, list):
        assert spec["sweep"]["order"] == orders, name
    # The preset makes a study smaller: it has the axes of the study, and the same values but of those that make it large.
    preset = spec["presets"]["small"]
    assert set(preset["sweep"]) <= {*spec["sweep"], "missing_tasks"}, name
    assert set(key_paths(preset)) - {"sweep.missing_tasks"} <= {*key_paths(spec), "model", "train.epochs",
                                                              *(f"benchmark.{split}_samples" for split in
                                                                ("train", "test")),
                                                              "evaluate.when", "evaluate.tasks"}, name
    for settings, per_order in (((), full), (("preset=small",), small)):
        found = plan(name, "sweep.missing_tasks=skip", *settings)
        assert found["name"] == name
        assert found["trials"] == per_order * found["orders"], (name, settings, found)
        if isinstance(orders, int):
            assert found["orders"] == orders, (name, settings, found)
        assert set(found["skipped_tasks"]) <= {"yahoo"}, (name, found)  # one that some copies of the benchmark lack
    scale = 2 if "superni" in name else 1
    shared = found["with_sharing"]
    seconds = scale * (shared["examples_trained"] * TRAIN_SECONDS + shared["examples_scored"] * SCORE_SECONDS)
    assert seconds < TWO_CORES_AN_HOUR, (name, seconds)
    assert shared["examples_trained"] < plan(name, "sweep.missing_tasks=skip")["with_sharing"]["examples_trained"], name
    print(f"{name}: {found['trials']} trials, about {seconds / 120:.0f} minutes on two cores")
assert plan("order_sensitivity", "preset=small")["orders"] == 24
assert plan("methods_real")["trials"] == 27  # every method, corda by both of its components
