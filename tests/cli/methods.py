"""Checks every method over three small tasks, written from the formulas: methods.py SLAO FOLDER, which holds model/.

A sweep leaves its adapters in a store; where a task starts is computed here from the adapter of the task before, what
training makes of that by `slao probe` (which is compared with PyTorch elsewhere), merges and lambdas by numpy in fp64.
Each task is trained by optimiser steps on all its examples, so that their order does not matter."""

import json
import pathlib
import re
import subprocess
import sys

import h5py
import numpy
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

SLAO, folder = sys.argv[1], pathlib.Path(sys.argv[2])
RANK, ALPHA, RATE, TRAIN = 3, 6.0, 1e-2, 6
TASKS = ["stones", "rivers", "clouds"]
LABELS = ["yes", "no"]
faults = []


def check(what, difference, tolerance):
    if not difference <= tolerance:
        faults.append(f"{what}: {difference:.3g} is over {tolerance:g}")


def demand(what, holds):
    if not holds:
        faults.append(what)


# --- the benchmark ---

def write_benchmark(name, sentences):
    root = folder / name
    for task in TASKS:
        place = root / "TC" / task
        place.mkdir(parents=True)
        (place / "labels.json").write_text(json.dumps(LABELS))
        rows = [{"sentence": sentence, "label": LABELS[i % 2]} for i, sentence in enumerate(sentences(task))]
        (place / "train.json").write_text(json.dumps(rows))
        (place / "test.json").write_text(json.dumps([{"sentence": f"the {task} at night", "label": "no"},
                                                     {"sentence": f"a boat on the {task}", "label": "yes"}]))
    (root / "instruction_config.json").write_text(json.dumps(
        {"TC": [{"instruction_type": "zero-shot", "instruction": "what is the answer?\n"}]}))
    return root


words = ["water", "mill", "harbour", "note", "boat", "answer"]
write_benchmark("data", lambda task: [f"the {task} and the {words[i]}, {i}" for i in range(TRAIN)])
write_benchmark("alike", lambda task: [f"the {task} all alike"] * 4)
# Of "alike" all examples but the label are the same: one label too.
for task in TASKS:
    path = folder / "alike" / "TC" / task / "train.json"
    path.write_text(json.dumps([{**row, "label": "yes"} for row in json.loads(path.read_text())]))

tokenizer = Tokenizer.from_file(str(folder / "model" / "tokenizer.json"))


def sequences(benchmark, task):
    found = []
    for row in json.loads((folder / benchmark / "TC" / task / "train.json").read_text()):
        prompt = (f"Task:TC\nDataset:{task}\nwhat is the answer?\nOption: {', '.join(LABELS)} \n{row['sentence']}\n"
                  "Answer:")
        head = tokenizer.encode(prompt, add_special_tokens=False).ids
        answer = tokenizer.encode(" " + row["label"], add_special_tokens=False).ids
        found.append({"ids": head + answer + [0], "answer_start": len(head)})
    return found


# --- adapters ---

class Adapter:
    """A and B by the name of the module, and the scale of each."""

    def __init__(self, a, b, scale=None):
        self.a, self.b = a, b
        self.scale = scale or {name: ALPHA / RANK for name in a}

    def delta(self):
        return {name: self.scale[name] * self.b[name].astype(float) @ self.a[name].astype(float) for name in self.a}

    def size(self):
        return 4 * sum(x.size for part in (self.a, self.b) for x in part.values())


def pattern(table, name, otherwise):
    for key, value in (table or {}).items():
        if re.match(rf"(.*\.)?({key})$", name):
            return value
    return otherwise


def load(path):
    config = json.loads((path / "adapter_config.json").read_text())
    tensors = load_file(path / "adapter_model.safetensors")
    names = [key[len("base_model.model."):-len(".lora_A.weight")] for key in tensors if "lora_A" in key]
    get = {factor: {name: tensors[f"base_model.model.{name}.lora_{factor}.weight"] for name in names} for factor in "AB"}
    scale = {}
    for name in names:
        rank = pattern(config.get("rank_pattern"), name, config["r"])
        scale[name] = pattern(config.get("alpha_pattern"), name, config["lora_alpha"]) / rank
        assert get["A"][name].shape[0] == rank, (name, rank)
    return Adapter(get["A"], get["B"], scale)


def save(adapter, path):
    path.mkdir(parents=True, exist_ok=True)
    (path / "adapter_config.json").write_text(json.dumps(
        {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "lora_dropout": 0.0, "bias": "none",
         "target_modules": ["q_proj", "v_proj"]}))
    tensors = {}
    for name in adapter.a:
        for factor, part in (("A", adapter.a), ("B", adapter.b)):
            tensors[f"base_model.model.{name}.lora_{factor}.weight"] = numpy.ascontiguousarray(part[name], numpy.float32)
    save_file(tensors, path / "adapter_model.safetensors")


def relative(ours, theirs):
    """Of two dictionaries of arrays: the distance over the length of the second."""
    far = sum(float(numpy.sum((ours[name].astype(float) - theirs[name].astype(float)) ** 2)) for name in theirs)
    long = sum(float(numpy.sum(theirs[name].astype(float) ** 2)) for name in theirs)
    return (far / long) ** 0.5 if long else far ** 0.5


# --- sweeps, and the trainings to compare with ---

def run(*arguments):
    done = subprocess.run([SLAO, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{arguments}: exit {done.returncode}\n{done.stderr}")


(folder / "spec.json").write_text(json.dumps({
    "name": "methods", "model": "model", "benchmark": {"format": "cl_benchmark", "path": "data"},
    "lora": {"rank": RANK, "alpha": ALPHA},
    "train": {"epochs": 2, "batch_size": 3 * TRAIN, "clip_norm": 0},
    "evaluate": {"max_new_tokens": 4},
    "sweep": {"method": ["slao"], "order": [TASKS], "learning_rate": [RATE]}}))


class Trial:
    """What a sweep of one method left: fine-tuned adapters and merged ones by task, and the facts of the trial."""

    count = 0

    def __init__(self, method, schedule="1/sqrt(i)", *settings):
        Trial.count += 1
        output = folder / f"{Trial.count}.h5"
        self.method = method
        assigned = [f"sweep.method=[{json.dumps(method)}]", f"sweep.lambda=[{json.dumps(schedule)}]", *settings]
        run("sweep", folder / "spec.json", "-o", output, "--store", folder / "store", "--progress", "none",
            *[part for setting in assigned for part in ("--set", setting)])
        with h5py.File(output) as f:
            steps = f["steps"][:]
            trials = f["trials"][:]
            assert len(trials) == 1 and trials["status"][0] == b"done", (method, trials)
            self.row = trials[0]
            group = f["trial"][trials["id"][0].decode()]
            self.facts = {name: group[name][()] for name in group if name not in ("example_scores",)}
        self.steps = [dict(zip(steps.dtype.names, row)) for row in steps]
        self.keys = {kind: {} for kind in ("finetune", "merge")}
        for step in self.steps:
            if step["kind"].decode() in self.keys:
                self.keys[step["kind"].decode()][step["task"].decode()] = step["key"].decode()

    def adapter(self, key):
        return load(folder / "store" / "adapters" / key)

    def finetuned(self, task):
        return self.adapter(self.keys["finetune"][task])

    def merged(self, task):
        return self.adapter(self.keys["merge"][task])

    def evaluated(self):
        """The keys of the adapters of each evaluation on the last task."""
        return [step["parent"].decode().split(",") for step in self.steps
                if step["kind"] == b"evaluate" and step["task"].decode() == TASKS[-1]]


def probe(adapter, examples, steps, model="model"):
    save(adapter, folder / "probe")
    (folder / "tokens.json").write_text(json.dumps({"sequences": examples}))
    run("probe", "--model", folder / model, "--adapter", folder / "probe", "--tokens", folder / "tokens.json",
        "-o", folder / "probe.safetensors", "--steps", steps, "--lr", RATE)
    return load_file(folder / "probe.safetensors")


def trained(start, examples, steps=2, model="model"):
    out = probe(start, examples, steps, model)
    return Adapter(*[{name: out[f"param.{name}.lora_{factor}.weight"] for name in start.a} for factor in "AB"])


def compare_pair(what, ours, theirs, tolerance):
    check(f"{what}, A", relative(ours.a, theirs.a), tolerance)
    check(f"{what}, B", relative(ours.b, theirs.b), tolerance)


# --- starts ---

def orthonormal(a, lapack=False):
    q, r = numpy.linalg.qr(a.T.astype(float))
    signs = numpy.ones(len(r)) if lapack else numpy.where(numpy.diag(r) < 0, -1.0, 1.0)
    return (q * signs).T, signs[:, None] * r


def from_basis(pair, scale=1.0, lapack=False, preserve=False):
    a, b = {}, {}
    for name in pair.a:
        q, r = orthonormal(pair.a[name], lapack)
        a[name] = scale * q
        b[name] = pair.b[name].astype(float) @ r.T / scale if preserve else pair.b[name]
    return Adapter(a, b)


def untrained(method):
    """Where tasks start, of rules that draw at random: nothing moves at this rate."""
    trial = Trial(method, "1/sqrt(i)", "sweep.learning_rate=[1e-30]")
    return {task: trial.finetuned(task) for task in TASKS}


FINAL = EXACT = 1e-5  # relative, by the length of all tensors together
fresh = untrained("individual")
anew = untrained({"name": "slao", "init": "random"})
basis = untrained({"name": "slao", "init": "random-orthonormal"})
for task in TASKS:
    for name, a in fresh[task].a.items():
        demand("fresh starts are the same for all tasks", numpy.array_equal(a, fresh[TASKS[0]].a[name]))
        demand("fresh starts are within the Kaiming bound", numpy.abs(a).max() <= a.shape[1] ** -0.5)
    check("fresh B is zero", max(numpy.abs(b).max() for b in fresh[task].b.values()), 1e-29)
for task in TASKS[1:]:
    a = anew[task].a
    demand("random starts are drawn anew", all(not numpy.array_equal(a[n], fresh[task].a[n]) for n in a))
    demand("random starts are within the Kaiming bound", all(numpy.abs(x).max() <= x.shape[1] ** -0.5 for x in a.values()))
    for name, x in basis[task].a.items():
        check("random-orthonormal rows", numpy.abs(x @ x.T - numpy.eye(RANK)).max(), EXACT)


def start_of(init, trial, j, scale=1.0, lapack=False):
    last = trial.finetuned(TASKS[j - 1])
    if init == "random":
        return Adapter(anew[TASKS[j]].a, fresh[TASKS[0]].b)
    if init == "zero":
        return Adapter({name: numpy.zeros_like(a) for name, a in last.a.items()}, last.b)
    if init == "previous":
        return last
    if init == "random-orthonormal":
        return Adapter({name: scale * a for name, a in basis[TASKS[j]].a.items()}, last.b)
    if init == "last-merge":
        last = trial.merged(TASKS[j - 1]) if j > 1 else last
    return from_basis(last, scale, lapack, init == "function-preserving")


# --- merges ---

def asymmetric(trial, lambdas, factors=lambda name: "B"):
    """What SLAO's rule makes of the fine-tuned adapters, by task; lambdas[j] a number, or one by name of module."""
    pairs = [trial.finetuned(task) for task in TASKS]
    made = [Adapter(*({n: x.astype(float) for n, x in part.items()} for part in (pairs[0].a, pairs[0].b)))]
    for j in range(1, 3):
        a, b = {}, {}
        for name in pairs[0].a:
            weight = lambdas[j][name] if isinstance(lambdas[j], dict) else lambdas[j]
            which = factors(name)
            old_a, old_b = made[-1].a[name], made[-1].b[name]
            new_a, new_b = pairs[j].a[name].astype(float), pairs[j].b[name].astype(float)
            a[name] = new_a if which == "B" else old_a + weight * (new_a - old_a)
            b[name] = new_b if which == "A" else old_b + weight * (new_b - old_b)
        made.append(Adapter(a, b))
    return made


def norm_of(change):
    return sum(float(numpy.sum(x ** 2)) for x in change.values()) ** 0.5


def check_merged(what, trial, made):
    for j in range(1, 3):
        compare_pair(f"{what}, merged after {TASKS[j]}", trial.merged(TASKS[j]), made[j], EXACT)


def check_deltas(what, trial, made):
    for task, delta in zip(TASKS, made):
        if task in trial.keys["merge"]:
            check(f"{what}, merged after {task}", relative(trial.merged(task).delta(), delta), EXACT)


PAIR = fresh[TASKS[0]].size()


def check_state(what, trial, pairs):
    demand(f"{what} keeps {trial.facts['state_bytes'] / PAIR} pairs, not {pairs}",
           numpy.array_equal(trial.facts["state_bytes"], numpy.array(pairs) * float(PAIR)))


ROOTS = [1, 2 ** -0.5, 3 ** -0.5]

# --- SLAO and its options ---

plain = Trial("slao")
first = trained(fresh[TASKS[0]], sequences("data", TASKS[0]))
compare_pair("the first task", plain.finetuned(TASKS[0]), first, FINAL)
check_state("slao", plain, [1, 2, 2])
check("lambda", numpy.abs(plain.facts["lambda"] - ROOTS).max(), 1e-15)
demand("slao evaluates the merged adapters",
       plain.evaluated() == [[plain.keys["finetune"][TASKS[0]]], *[[plain.keys["merge"][t]] for t in TASKS[1:]]])
for options in ({}, {"init": "random"}, {"init": "zero"}, {"init": "last-merge"}, {"init": "previous"},
                {"init": "random-orthonormal"}, {"init": "function-preserving"}, {"qr_sign": "lapack"},
                {"row_scale": 0.5773502691896258}, {"init": "function-preserving", "row_scale": 0.5}):
    trial = Trial({"name": "slao", **options})
    check_merged(f"slao {options}", trial, asymmetric(trial, ROOTS))
    for j in range(1, 3):
        start = start_of(options.get("init", "last-ft"), trial, j, options.get("row_scale", 1.0),
                         options.get("qr_sign") == "lapack")
        wanted = trained(start, sequences("data", TASKS[j]))
        compare_pair(f"slao {options}, {TASKS[j]} fine-tuned", trial.finetuned(TASKS[j]), wanted, FINAL)
        if options.get("init") == "function-preserving":
            logits = [probe(pair, sequences("data", TASKS[j]), 0)["logits"]
                      for pair in (start, trial.finetuned(TASKS[j - 1]))]
            check("function-preserving logits", numpy.abs(logits[0] - logits[1]).max(), 1e-4)
        if not options:
            error = [numpy.linalg.norm(x @ x.T - numpy.eye(RANK)) for x in start.a.values()]
            check("orthogonality", abs(trial.facts["orthogonality"][j].max() - max(error)), 1e-5)

# --- how far training goes: from its start, and from the first-order prediction ---

measured = Trial("slao", "1/sqrt(i)", "train.linearisation_samples=100")  # of which there are 6
for j, task in enumerate(TASKS):
    start = start_of("last-ft", measured, j) if j else fresh[task]
    end = measured.finetuned(task)
    demand("measuring changes no training", all(numpy.array_equal(getattr(end, x)[n], getattr(plain.finetuned(task), x)[n])
                                               for x in "ab" for n in end.a))
    moved = {n: d - start.delta()[n] for n, d in end.delta().items()}
    check("distance_from_start", abs(measured.facts["distance_from_start"][j] / norm_of(moved) - 1), EXACT)
    before, after = probe(start, sequences("data", task), 0), probe(end, sequences("data", task), 0)
    change = float(after["loss"]) - float(before["loss"])
    predicted = sum(numpy.sum(before[f"grad.{n}.lora_{x.upper()}.weight"].astype(float)
                              * (getattr(end, x)[n].astype(float) - getattr(start, x)[n])) for x in "ab" for n in end.a)
    check("loss_change", abs(measured.facts["loss_change"][j] - change), 5e-6)
    check("loss_change_predicted", abs(measured.facts["loss_change_predicted"][j] / predicted - 1), 1e-4)
    check("linearisation_error", abs(measured.facts["linearisation_error"][j] - abs(change - predicted) / abs(change)), 1e-3)
demand("nothing is measured unless asked for", numpy.isnan(plain.facts["linearisation_error"]).all())

layers = Trial({"name": "slao", "merge": [{"layers": "0", "merge": "A"}, {"layers": "1", "merge": "both"}]})
check_merged("merging by layers", layers, asymmetric(layers, ROOTS, lambda n: "A" if ".0." in n else "both"))
for j in range(1, 3):
    demand("merging changes no training", layers.keys["finetune"] == plain.keys["finetune"])

# --- ablations: what is frozen, what is merged ---

sequence = Trial("seqlora")
check_state("seqlora", sequence, [1, 1, 1])
for name, merges in (("ftba-ma", "A"), ("ftba-mba", "both"), ("ftba-mb", "B")):
    trial = Trial(name)
    check_merged(name, trial, asymmetric(trial, ROOTS, lambda n: merges))
    demand(f"{name} trains as seqlora", trial.keys["finetune"] == sequence.keys["finetune"])
for name, merges in (("freb-ma", "A"), ("frea-mb", "B")):
    trial = Trial(name, "1/sqrt(i)", "train.epochs=1")  # in one step, one factor learns as beside the other
    check_merged(name, trial, asymmetric(trial, ROOTS, lambda n: merges))
    for j in range(1, 3):
        last, now = trial.finetuned(TASKS[j - 1]), trial.finetuned(TASKS[j])
        wanted = trained(last, sequences("data", TASKS[j]), 1)
        frozen, moved = ("b", "a") if merges == "A" else ("a", "b")
        demand(f"{name}: the frozen factor stays",
               all(numpy.array_equal(getattr(now, frozen)[n], getattr(last, frozen)[n]) for n in now.a))
        check(f"{name}, {TASKS[j]}", relative(getattr(now, moved), getattr(wanted, moved)), FINAL)

# --- lambda = 1 ---

for name, evaluated in (("slao", plain), ("ftba-mb", sequence)):
    trial = Trial(name, 1)
    for task in TASKS[1:]:
        ours, theirs = trial.merged(task), evaluated.finetuned(task)
        demand(f"{name} with lambda 1 evaluates its fine-tuned pair",
               all(numpy.array_equal(ours.a[n], theirs.a[n]) for n in ours.a))
        check(f"{name} with lambda 1", relative(ours.b, theirs.b), 1e-6)

# --- schedules ---

def facts(merged, finetuned, names):
    m = numpy.concatenate([merged.b[n].ravel() for n in names]).astype(float)
    f = numpy.concatenate([finetuned.b[n].ravel() for n in names]).astype(float)
    return m, f


def adaptive(kind, trial, names, gradients):
    """lambda of each task, and the merged adapters, over the B of these modules."""
    pairs = [trial.finetuned(task) for task in TASKS]
    lambdas, merged, scale = [1.0], facts(pairs[0], pairs[0], names)[0], 1.0
    norms = [numpy.linalg.norm(merged)]
    for j in range(1, 3):
        f = facts(pairs[j], pairs[j], names)[1]
        norms.append(numpy.linalg.norm(f))
        if kind == "cosine":
            cosine = merged @ f / (numpy.linalg.norm(merged) * norms[-1])
            weight = (1 - max(0.0, cosine)) / (j + 1) ** 0.5
        elif kind == "gradient":
            weight = gradients[j] / sum(gradients[:j + 1])
        elif kind == "opcm":
            scale = numpy.linalg.norm(scale * merged + f) / numpy.mean(norms)
            weight = min(1.0, 1 / scale)
        else:
            grid = numpy.linspace(0, 1, 200001)
            d = f - merged
            lengths = numpy.sqrt(numpy.maximum(merged @ merged + 2 * grid * (merged @ d) + grid ** 2 * (d @ d), 0))
            off = numpy.abs(lengths - numpy.mean(norms))
            weight = grid[len(grid) - 1 - numpy.argmin(off[::-1])]
        lambdas.append(weight)
        merged = merged + weight * (f - merged)
    return lambdas


names = sorted(plain.finetuned(TASKS[0]).a, key=lambda n: (int(n.split(".")[2]), n))  # by layer: q_proj, v_proj
for kind in ("cosine", "norm", "gradient", "opcm"):
    trial = Trial("slao", f"{kind}(layer)")
    demand("schedules change no training", trial.keys["finetune"] == plain.keys["finetune"])
    gradients = trial.facts["gradient_B"].reshape(3, -1)
    by_site = [adaptive(kind, trial, [n], gradients[:, s]) for s, n in enumerate(names)]
    used = trial.facts["lambda_by_layer"].reshape(3, -1)
    check(f"{kind}(layer)", numpy.abs(used[1:] - numpy.array(by_site).T[1:]).max(), 2e-5)
    check(f"{kind}(layer), mean", numpy.abs(trial.facts["lambda"][1:] - used[1:].mean(1)).max(), 1e-12)
    check_merged(f"{kind}(layer)", trial, asymmetric(trial, [dict(zip(names, row)) for row in used]))
    trial = Trial("slao", kind)
    if kind != "gradient":
        check(kind, numpy.abs(trial.facts["lambda"] - adaptive(kind, trial, names, None)).max(), 2e-5)
    demand(f"{kind} lies in [0, 1]", ((trial.facts["lambda"] >= 0) & (trial.facts["lambda"] <= 1)).all())
    check_merged(kind, trial, asymmetric(trial, trial.facts["lambda"]))

chosen = Trial("slao", "validation", "benchmark.path=alike", "benchmark.validation_samples=2")
losses = []
pairs = [chosen.finetuned(task) for task in TASKS]
for j in range(1, 3):
    before = chosen.merged(TASKS[j - 1]) if j > 1 else pairs[0]
    losses = [numpy.mean([float(probe(Adapter(pairs[j].a, {n: before.b[n] + t / 10 * (pairs[j].b[n] - before.b[n])
                                                           for n in before.b}), sequences("alike", task), 0)["loss"])
                          for task in TASKS[:j + 1]]) for t in range(1, 11)]
    used = round(chosen.facts["lambda"][j] * 10)
    check("the validated lambda's loss", losses[used - 1] - min(losses), 1e-6)

# --- stacks, and all tasks at once ---

stack = Trial("inclora")
check_state("inclora", stack, [1, 2, 3])
draws = untrained("inclora")
weights = load_file(folder / "model" / "model.safetensors")
for j in range(3):
    model = folder / f"stacked{j}"
    model.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (model / name).write_bytes((folder / "model" / name).read_bytes())
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    wanted = trained(draws[TASKS[j]], sequences("data", TASKS[j]), model=model.name)
    compare_pair(f"inclora, {TASKS[j]}", stack.finetuned(TASKS[j]), wanted, 1e-4)
    for name, delta in stack.finetuned(TASKS[j]).delta().items():
        weights[f"{name}.weight"] = (weights[f"{name}.weight"] + delta).astype(numpy.float32)
demand("inclora evaluates all pairs",
       stack.evaluated() == [[stack.keys["finetune"][t] for t in TASKS[:j + 1]] for j in range(3)])

together = Trial("multitask")
wanted = trained(fresh[TASKS[0]], [s for task in sorted(TASKS) for s in sequences("data", task)])
compare_pair("multitask", together.finetuned("+".join(sorted(TASKS))), wanted, FINAL)
demand("multitask has its last row alone", numpy.isnan(together.facts["accuracy"][:2]).all()
       and not numpy.isnan(together.facts["accuracy"][2]).any())

# --- merges of individual runs ---

alone = Trial("individual")
for task in TASKS:
    compare_pair(f"individual {task}", alone.finetuned(task), trained(fresh[task], sequences("data", task)), FINAL)
taus = [alone.finetuned(task).delta() for task in TASKS]


def mean_so_far(changes):
    return [{n: numpy.mean([c[n] for c in changes[:j + 1]], axis=0) for n in changes[0]} for j in range(len(changes))]


average = Trial("average")
demand("merges share the individual runs", average.keys["finetune"] == alone.keys["finetune"])
check_deltas("average", average, mean_so_far(taus))
check_state("average", average, [1, 2, 3])  # the ranks add up
trial = Trial({"name": "task-arithmetic", "scale": 0.25})
check_deltas("task-arithmetic", trial, [{n: 0.25 * (j + 1) * m for n, m in mean.items()}
                                       for j, mean in enumerate(mean_so_far(taus))])
check_state("task-arithmetic", trial, [1, 2, 3])

def ties(changes, density, scale=1.0):
    total = {}
    for name in changes[0]:
        kept = []
        for change in changes:
            x = change[name]
            count = max(1, round(density * x.size)) if density < 1 else x.size
            limit = numpy.sort(numpy.abs(x), axis=None)[::-1][count - 1]
            kept.append(numpy.where(numpy.abs(x) >= limit, x, 0.0))
        sign = numpy.where(sum(kept) < 0, -1.0, 1.0)
        agree = [numpy.where(k * sign > 0, k, 0.0) for k in kept]
        counts = sum((k * sign > 0).astype(float) for k in kept)
        total[name] = scale * sum(agree) / numpy.maximum(counts, 1)
    return total


def opcm(changes, threshold):
    merged, made, l, norms = changes[0], [changes[0]], 1.0, [norm_of(changes[0])]
    for change in changes[1:]:
        total = {}
        for name in change:
            u, s, vt = numpy.linalg.svd(merged[name])
            count = int((s > 1e-6 * s[0]).sum())
            k = int(numpy.argmax(numpy.cumsum(s[:count]) / s[:count].sum() > threshold))
            inner = u[:, :count].T @ change[name] @ vt[:count].T
            taken = numpy.diag(numpy.diag(inner))
            taken[:k, :k] = inner[:k, :k]
            total[name] = l * merged[name] + change[name] - u[:, :count] @ taken @ vt[:count]
        norms.append(norm_of(change))
        l = norm_of(total) / numpy.mean(norms)
        merged = {name: x / l for name, x in total.items()}
        made.append(merged)
    return made


def so_far(rule):
    return [rule(taus[:j + 1]) for j in range(3)]


trial = Trial({"name": "ties", "density": 0.5})
check_deltas("ties", trial, so_far(lambda c: ties(c, 0.5)))
demand("ties shares the individual runs", trial.keys["finetune"] == alone.keys["finetune"])
check_state("ties", trial, [1, 2, 3])
trial = Trial({"name": "dare", "density": 1, "scale": 1})  # nothing is dropped: the sum
check_deltas("dare", trial, [{n: (j + 1) * m for n, m in mean.items()} for j, mean in enumerate(mean_so_far(taus))])
trial = Trial({"name": "knots", "inside": "mean"})
check_deltas("knots", trial, mean_so_far(taus))
trial = Trial("opcm")
check_deltas("opcm", trial, opcm(taus, 0.5))
largest = Trial({"name": "magmax", "scale": 0.5})
demand("magmax trains as seqlora", largest.keys["finetune"] == sequence.keys["finetune"])
steps = [sequence.finetuned(task).delta() for task in TASKS]


def magmax(changes):
    made = {}
    for name in changes[0]:
        best = changes[0][name]
        for change in changes[1:]:
            best = numpy.where(numpy.abs(change[name]) >= numpy.abs(best), change[name], best)
        made[name] = 0.5 * best
    return made


check_deltas("magmax", largest, [magmax(steps[:j + 1]) for j in range(3)])
lego = Trial("lora-lego")  # its clusters are tested by themselves; of one adapter it is that adapter
check("lora-lego of one", relative(lego.merged(TASKS[0]).delta(), taus[0]), EXACT)
demand("lora-lego keeps the rank", all(a.shape[0] == RANK for a in lego.merged(TASKS[2]).a.values()))
for name in ("lora-lego", "ties", "opcm"):
    demand(f"{name} evaluates the merged adapter", all(len(k) == 1 for k in Trial(name).evaluated()))

if faults:
    sys.exit("\n".join(faults))
print(f"{Trial.count} sweeps, all as the formulas have it")
