"""What `slao sweep` leaves of a tiny model over three tasks, against everything computed again in numpy, in fp64, from the
papers' formulas: the transformer with its low-rank pairs, its backward, AdamW, the penalties, the Fisher information, the
memory of gradients, the closed-form merges, CorDA's decomposition. All that is taken from slao is what its random numbers
give: the starts of fresh pairs, read off a sweep with a learning rate of nearly 0.

methods_numpy.py FOLDER: holds model/, suite/, and per method METHOD.store; fresh.store has inclora at rate 1e-30 and
fresh-ab.store lorm-ab at that rate.
"""

import json
import pathlib
import sys

import numpy as np
import tokenizers
from safetensors.numpy import load_file

folder = pathlib.Path(sys.argv[1])
TASKS = [("ASKS", "quiz"), ("MOOD", "guests"), ("ROUTE", "desks")]
RATE, EPOCHS, CLIP = 1e-2, 2, 1.0

config = json.load(open(folder / "model/config.json"))
weights = {name: w.astype(np.float64) for name, w in load_file(folder / "model/model.safetensors").items()}
tokenizer = tokenizers.Tokenizer.from_file(str(folder / "model/tokenizer.json"))
H, KV, D, LAYERS = (config[k] for k in ("num_attention_heads", "num_key_value_heads", "head_dim", "num_hidden_layers"))
EPSILON = config["rms_norm_eps"]
LINEAR = {"q_proj": "self_attn", "k_proj": "self_attn", "v_proj": "self_attn", "o_proj": "self_attn",
          "gate_proj": "mlp", "up_proj": "mlp", "down_proj": "mlp"}
INPUT = dict(q_proj="q_proj", k_proj="q_proj", v_proj="q_proj", o_proj="o_proj", gate_proj="gate_proj",
             up_proj="gate_proj", down_proj="down_proj")


def module_name(layer, module):
    return f"model.layers.{layer}.{LINEAR[module]}.{module}"


def read_task(group, task):
    base = folder / "suite" / group / task
    labels = json.load(open(base / "labels.json"))
    instruction = json.load(open(folder / "suite/instruction_config.json"))[group][0]["instruction"]
    sequences = []
    for example in json.load(open(base / "train.json")):
        prompt = (f"Task:{group}\nDataset:{task}\n{instruction}Option: {', '.join(labels)} \n"
                  f"{example['sentence']}\nAnswer:")
        ids = tokenizer.encode(prompt, add_special_tokens=False).ids
        answer = tokenizer.encode(" " + example["label"], add_special_tokens=False).ids + [config["eos_token_id"]]
        sequences.append((np.array(ids + answer), len(ids)))
    return sequences


# ---- The transformer. `pairs`: {(layer, module): [(a, b, scale), ...]}, the last one of each list is the trained one ----

def norm_forward(x, weight):
    inverse = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON)
    return x * inverse * weight, inverse


def norm_backward(dy, x, weight, inverse):
    g = dy * weight
    return inverse * g - x * inverse**3 * (g * x).mean(-1, keepdims=True)


def rotate(x, positions, sign):
    half = D // 2
    angles = positions[:, None] * config["rope_theta"] ** (-np.arange(half) / half)
    c, s = np.cos(angles)[:, None], sign * np.sin(angles)[:, None]
    return np.concatenate([x[..., :half] * c - x[..., half:] * s, x[..., half:] * c + x[..., :half] * s], -1)


def linear(x, layer, module, pairs):
    y = x @ weights[module_name(layer, module) + ".weight"].T
    for a, b, scale in pairs.get((layer, module), []):
        y = y + scale * (x @ a.T) @ b.T
    return y


def linear_backward(dy, x, layer, module, pairs, grads):
    dx = dy @ weights[module_name(layer, module) + ".weight"]
    for k, (a, b, scale) in enumerate(pairs.get((layer, module), [])):
        dx = dx + scale * (dy @ b) @ a
        grad = grads.setdefault((layer, module), [None] * len(pairs[(layer, module)]))
        made = scale * (dy @ b).T @ x, scale * dy.T @ (x @ a.T), np.sum((dy @ b) * (x @ a.T))
        grad[k] = made if grad[k] is None else tuple(old + new for old, new in zip(grad[k], made))
    return dx


def run(sequence, pairs, weight=None, grads=None, grams=None):
    """Sum of the answer's losses; with `grads`, adds the gradients of weight x that; with `grams`, x x^T of inputs."""
    ids, start = sequence
    ids_in, positions = ids[:-1], np.arange(len(ids) - 1)
    answering = np.arange(start - 1, len(ids) - 1)
    x = weights["model.embed_tokens.weight"][ids_in]
    n, kept = len(ids_in), []

    def see(layer, module, values):
        if grams is not None:
            rows = values if layer < LAYERS - 1 or module in ("q_proj", "k_proj", "v_proj") else values[answering]
            old = grams.get((layer, module), (0, 0))
            grams[(layer, module)] = old[0] + rows.T @ rows, old[1] + len(rows)

    mask = np.where(positions[:, None] >= positions[None], 0, -np.inf)
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        h, inverse_1 = norm_forward(x, weights[prefix + "input_layernorm.weight"])
        see(layer, "q_proj", h)
        q = rotate(linear(h, layer, "q_proj", pairs).reshape(n, H, D), positions, 1)
        k = rotate(linear(h, layer, "k_proj", pairs).reshape(n, KV, D), positions, 1)
        v = linear(h, layer, "v_proj", pairs).reshape(n, KV, D)
        kk, vv = np.repeat(k, H // KV, 1), np.repeat(v, H // KV, 1)
        scores = np.einsum("ihd,jhd->hij", q, kk) / np.sqrt(D) + mask
        p = np.exp(scores - scores.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        attended = np.einsum("hij,jhd->ihd", p, vv).reshape(n, H * D)
        see(layer, "o_proj", attended)
        middle = x + linear(attended, layer, "o_proj", pairs)
        m, inverse_2 = norm_forward(middle, weights[prefix + "post_attention_layernorm.weight"])
        see(layer, "gate_proj", m)
        gate, up = linear(m, layer, "gate_proj", pairs), linear(m, layer, "up_proj", pairs)
        sigmoid = 1 / (1 + np.exp(-gate))
        product = gate * sigmoid * up
        see(layer, "down_proj", product)
        kept.append((x, h, inverse_1, q, kk, vv, p, attended, middle, m, inverse_2, gate, up, sigmoid, product))
        x = middle + linear(product, layer, "down_proj", pairs)
    normed, inverse = norm_forward(x[answering], weights["model.norm.weight"])
    logits = normed @ weights["model.embed_tokens.weight"].T
    logits -= logits.max(-1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    rows = np.arange(len(answering))
    loss = -logs[rows, ids[start:]].sum()
    if grads is None:
        return loss
    d_logits = np.exp(logs)
    d_logits[rows, ids[start:]] -= 1
    dx = np.zeros_like(x)
    dx[answering] = norm_backward(weight * d_logits @ weights["model.embed_tokens.weight"], x[answering],
                                  weights["model.norm.weight"], inverse)
    for layer in reversed(range(LAYERS)):
        prefix = f"model.layers.{layer}."
        x, h, inverse_1, q, kk, vv, p, attended, middle, m, inverse_2, gate, up, sigmoid, product = kept[layer]
        d_product = linear_backward(dx, product, layer, "down_proj", pairs, grads)
        d_gate = d_product * up * sigmoid * (1 + gate * (1 - sigmoid))
        dm = linear_backward(d_gate, m, layer, "gate_proj", pairs, grads) + linear_backward(
            d_product * gate * sigmoid, m, layer, "up_proj", pairs, grads)
        dx = dx + norm_backward(dm, middle, weights[prefix + "post_attention_layernorm.weight"], inverse_2)
        d_attended = linear_backward(dx, attended, layer, "o_proj", pairs, grads).reshape(n, H, D)
        dp = np.einsum("ihd,jhd->hij", d_attended, vv)
        ds = p * (dp - (p * dp).sum(-1, keepdims=True)) / np.sqrt(D)
        dv = np.einsum("hij,ihd->jhd", p, d_attended).reshape(n, KV, H // KV, D).sum(2)
        dk = np.einsum("hij,ihd->jhd", ds, q).reshape(n, KV, H // KV, D).sum(2)
        dq = rotate(np.einsum("hij,jhd->ihd", ds, kk), positions, -1).reshape(n, H * D)
        dk = rotate(dk, positions, -1).reshape(n, KV * D)
        dh = (linear_backward(dq, h, layer, "q_proj", pairs, grads)
              + linear_backward(dk, h, layer, "k_proj", pairs, grads)
              + linear_backward(dv.reshape(n, KV * D), h, layer, "v_proj", pairs, grads))
        dx = dx + norm_backward(dh, x, weights[prefix + "input_layernorm.weight"], inverse_1)
    return loss


# ---- Adapters: {(layer, module): [a, b]} ----

def site_of(tensor):
    parts = tensor.removeprefix("base_model.model.").split(".")
    return int(parts[2]), parts[4]


def read_adapter(path):
    adapter = {}
    for name, values in load_file(path / "adapter_model.safetensors").items():
        adapter.setdefault(site_of(name), [None, None])["lora_B" in name] = values.astype(np.float64)
    settings = json.load(open(path / "adapter_config.json"))
    return adapter, settings["lora_alpha"] / settings["r"]


class Store:
    """The fine-tune steps of a sweep of one trial, in order."""

    def __init__(self, name):
        self.steps = []
        for path in sorted((folder / f"{name}.store/steps").rglob("*.json")):
            record = json.load(open(path))
            if record["kind"] == "finetune":
                self.steps.append(record)
        self.steps.sort(key=lambda r: [t for _, t in TASKS].index(r["task"]))
        assert [r["task"] for r in self.steps] == [t for _, t in TASKS], (name, [r["task"] for r in self.steps])
        self.paths = [folder / f"{name}.store/adapters" / r["key"] for r in self.steps]

    def adapter(self, i):
        return read_adapter(self.paths[i])[0]

    def evaluated(self, i):
        adapter, scale = read_adapter(self.paths[i] / "evaluated")
        return {site: scale * b @ a for site, (a, b) in adapter.items()}

    def state(self, i):
        path = self.paths[i] / "method_state.safetensors"
        return {k: v.astype(np.float64) for k, v in load_file(path).items()} if path.exists() else {}


def copy(adapter):
    return {site: [a.copy(), b.copy()] for site, (a, b) in adapter.items()}


# Relative, by L2 norm. What is computed from tensors that are given is held to FIXED. A training is not: AdamW's first
# steps are nearly the sign of the gradient, so that entries whose gradient is within fp32 rounding of zero go astray.
FIXED, TRAINED = 1e-5, 5e-5


def near(what, got, wanted, tolerance=FIXED):
    error = np.linalg.norm(np.asarray(got) - wanted) / max(np.linalg.norm(wanted), 1e-30)
    assert error < tolerance, f"{what}: relative error {error:.2e}"


def check_adapter(what, got, wanted, tolerance=TRAINED):
    for site in wanted:
        for factor in (0, 1):
            if np.linalg.norm(wanted[site][factor]) == 0:
                assert np.all(got[site][factor] == 0), (what, site)
            else:
                near(f"{what} {site} {'AB'[factor]}", got[site][factor], wanted[site][factor], tolerance)


# ---- Training: full batches, so that the order of the examples is no matter ----

def stack(below, adapter, scale, own=1.0):
    """Pairs of a pass: `below` is a list of (adapter, weight)."""
    return {site: [(*lower[site], weight * scale) for lower, weight in below] + [(a, b, own * scale)]
            for site, (a, b) in adapter.items()}


def train(sequences, adapter, scale, below=(), frozen="", penalty=None, magnitudes=None):
    """Trains in place; the losses and extra losses before each step."""
    answers = sum(len(ids) - start for ids, start in sequences)
    values = [f for site in sorted(adapter) for f in adapter[site]] + ([magnitudes] if magnitudes is not None else [])
    trained = [i for i in range(len(values))
               if not (i < 2 * len(adapter) and "AB"[i % 2] in frozen)]
    moments = [(np.zeros_like(v), np.zeros_like(v)) for v in values]
    losses, extras = [], []
    for step in range(1, EPOCHS + 1):
        if magnitudes is None:
            pairs = stack(below, adapter, scale)
        else:
            pairs = stack([(lower, m) for (lower, _), m in zip(below, magnitudes)], adapter, scale, magnitudes[-1])
        grads = {}
        losses.append(sum(run(s, pairs, 1 / answers, grads) for s in sequences) / answers)
        g = [grads[site][-1][f].copy() for site in sorted(adapter) for f in (0, 1)]
        if magnitudes is not None:
            g.append(np.array([scale * sum(grads[site][k][2] for site in adapter) for k in range(len(magnitudes))]))
        if penalty:
            value, extra = penalty(adapter)
            extras.append(value)
            for i, e in enumerate(extra):
                g[i] += e
        norm = np.sqrt(sum((g[i] ** 2).sum() for i in trained))
        factor = min(1, CLIP / (norm + 1e-6))
        for i in trained:
            m, v = moments[i]
            m += 0.1 * (factor * g[i] - m)
            v += 0.001 * ((factor * g[i]) ** 2 - v)
            values[i] -= RATE * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    return losses, extras


def observe(sequences, pairs):
    grams = {}
    for sequence in sequences:
        run(sequence, pairs, grams=grams)
    return grams


def fisher_of(sequences, adapter, scale):
    total = {site: [0, 0] for site in adapter}
    for sequence in sequences:
        grads = {}
        run(sequence, stack([], adapter, scale), 1, grads)
        for site in adapter:
            for f in (0, 1):
                total[site][f] = total[site][f] + grads[site][0][f] ** 2 / len(sequences)
    return total


def check_losses(name, store, i, losses, extras):
    near(f"{name} task {i + 1} losses", store.steps[i]["loss"], losses)
    if extras:
        near(f"{name} task {i + 1} extra losses", store.steps[i]["extra_loss"], extras, TRAINED)
    else:
        assert "extra_loss" not in store.steps[i]


# ---- The methods ----

def in_stack(name, penalty=None):
    store, below, sizes = Store(name), [], 0
    for i, sequences in enumerate(DATA):
        adapter = copy(FRESH[i])
        add = (lambda lora: penalty([lower for lower, _ in below], lora)) if penalty and (i or name == "nlora") else None
        check_losses(name, store, i, *train(sequences, adapter, SCALE, below, penalty=add))
        check_adapter(f"{name} task {i + 1}", store.adapter(i), adapter)
        below.append((store.adapter(i), 1.0))  # from here on with slao's own fp32 values
        sizes += PAIR_BYTES
        assert store.steps[i]["state_bytes"] == sizes, (name, store.steps[i]["state_bytes"], sizes)
        near(f"{name} distance {i + 1}", store.steps[i]["distance"], distance_of([lower for lower, _ in below]))


def distance_of(stack):
    """Of the sum of all pairs, which is what is evaluated."""
    return np.sqrt(sum(np.linalg.norm(SCALE * sum(lower[site][1] @ lower[site][0] for lower in stack)) ** 2
                       for site in stack[0]))


def orthogonal(old, lora):
    value, grads = 0, []
    for site in sorted(lora):
        a, b = lora[site]
        da = 0
        for lower in old:
            overlap = lower[site][0] @ a.T
            value += 0.5 * np.abs(overlap).sum()
            da = da + 0.5 * np.sign(overlap).T @ lower[site][0]
        value += 0.01 * (np.linalg.norm(a) + np.linalg.norm(b))
        grads += [da + 0.01 * a / np.linalg.norm(a), 0.01 * b / max(np.linalg.norm(b), 1e-300)]
    return value, grads


def sparse(_, lora):
    value, grads = 0, []
    for site in sorted(lora):
        a, b = lora[site]
        signs = np.sign(b @ a)
        value += 0.001 * np.abs(b @ a).sum()
        grads += [0.001 * b.T @ signs, 0.001 * signs @ a.T]
    return value, grads


def ewc():
    store, fisher, adapter = Store("ewc"), None, copy(FRESH[0])
    for i, sequences in enumerate(DATA):
        anchor, known = copy(adapter), fisher

        def pull(lora):
            value, grads = 0, []
            for site in sorted(lora):
                for f in (0, 1):
                    away = lora[site][f] - anchor[site][f]
                    value += 50 / 2 * (known[site][f] * away**2).sum()
                    grads.append(50 * known[site][f] * away)
            return value, grads

        check_losses("ewc", store, i, *train(sequences, adapter, SCALE, penalty=pull if known else None))
        check_adapter(f"ewc task {i + 1}", store.adapter(i), adapter)
        adapter = store.adapter(i)
        new = fisher_of(sequences, adapter, SCALE)
        fisher = {site: [0.5 * known[site][f] + new[site][f] if known else new[site][f] for f in (0, 1)] for site in new}
        kept = store.state(i)
        assert len(kept) == 2 * len(fisher)
        for (layer, module), factors in fisher.items():
            for f in (0, 1):
                near(f"ewc Fisher {layer} {module}",
                     kept[f"fisher.{module_name(layer, module)}.lora_{'AB'[f]}.weight"], factors[f])
        assert store.steps[i]["state_bytes"] == 2 * PAIR_BYTES


def inflora():
    store, below, outside = Store("inflora"), [], {}
    for i, sequences in enumerate(DATA):
        grams = observe(sequences, {site: [(*lower[site], SCALE) for lower, _ in below] for site in FRESH[0]})
        got, adapter = store.adapter(i), {}
        for layer, module in FRESH[0]:
            total, rows = grams[(layer, INPUT[module])]
            projector = outside.get((layer, INPUT[module]), np.eye(len(total)))
            u, s, _ = np.linalg.svd(projector @ total / rows)
            a, b = got[(layer, module)]
            wanted = u[:, :RANK].T / np.sqrt(3)
            # Singular vectors are what they are up to a sign.
            near(f"inflora A {i} {layer} {module}", a, np.sign((a * wanted).sum(1, keepdims=True)) * wanted)
            assert np.abs(a @ (np.eye(len(total)) - projector)).max() < 1e-6  # orthogonal to the memory
            adapter[(layer, module)] = [a.copy(), np.zeros_like(b)]
        check_losses("inflora", store, i, *train(sequences, adapter, SCALE, below, frozen="A"))
        check_adapter(f"inflora task {i + 1}", got, adapter)
        below.append((got, 1.0))
        near(f"inflora distance {i + 1}", store.steps[i]["distance"], distance_of([lower for lower, _ in below]))
        grams = observe(sequences, {site: [(*lower[site], SCALE) for lower, _ in below] for site in FRESH[0]})
        e, state, bytes_ = 0.9 + (1 - 0.9) * (i + 1) / 3, store.state(i), 0
        for layer, module in {(layer, INPUT[module]) for layer, module in FRESH[0]}:
            h = grams[(layer, module)][0] / grams[(layer, module)][1]
            projector = outside.get((layer, module), np.eye(len(h)))
            u, s, _ = np.linalg.svd(projector @ h)
            total, k = (h**2).sum(), 0
            while 1 - (s[k:] ** 2).sum() / total < e and k < round(np.trace(projector)):
                k += 1
            projector = projector - u[:, :k] @ u[:, :k].T
            name = module_name(layer, module)
            left = round(np.trace(projector))
            if f"memory.{name}" in state:
                basis = state[f"memory.{name}"]
                got_projector = np.eye(len(h)) - basis.T @ basis
                size = len(h) - len(basis)
                assert len(basis) <= len(h) / 2
            else:
                basis = state[f"complement.{name}"]
                got_projector = basis.T @ basis
                size = len(basis)
                assert len(basis) < len(h) / 2
            bytes_ += basis.size * 4
            if i < 2:
                assert size == left, (i, name, size, left)
                near(f"inflora memory {i} {name}", got_projector, projector)
            else:  # e = 1: nothing but rounding is left of these inputs
                assert np.linalg.norm(got_projector @ h) < 1e-5 * np.linalg.norm(h)
            outside[(layer, module)] = got_projector
        assert store.steps[i]["state_bytes"] == (i + 1) * PAIR_BYTES + bytes_


def sdlora():
    store, below = Store("sdlora"), []
    for i, sequences in enumerate(DATA):
        adapter, magnitudes = copy(FRESH[i]), np.full(i + 1, 0.8)
        check_losses("sdlora", store, i, *train(sequences, adapter, SCALE, below, magnitudes=magnitudes))
        check_adapter(f"sdlora task {i + 1}", store.adapter(i), adapter)
        near(f"sdlora magnitudes {i + 1}", store.state(i)["magnitudes"][0], magnitudes, 1e-5)
        adapter, evaluated = store.adapter(i), store.evaluated(i)
        for site in adapter:
            total = sum(m * lower[site][1] @ lower[site][0] for (lower, _), m in zip(below, magnitudes))
            near(f"sdlora sum {i + 1}", evaluated[site],
                 SCALE * (total + magnitudes[-1] * adapter[site][1] @ adapter[site][0]))
        below.append(({site: [a, b / np.linalg.norm(a) / np.linalg.norm(b)] for site, (a, b) in adapter.items()}, 1.0))


def lorm(name, frozen, fresh):
    store, numerators, grams_sum = Store(name), {}, {}
    for i, sequences in enumerate(DATA):
        adapter = copy(fresh)
        check_losses(name, store, i, *train(sequences, adapter, SCALE, frozen=frozen))
        check_adapter(f"{name} task {i + 1}", store.adapter(i), adapter)
        adapter, evaluated = store.adapter(i), store.evaluated(i)
        grams = observe(sequences, stack([], adapter, SCALE))
        for (layer, module), (a, b) in adapter.items():
            site, g = (layer, module), grams[(layer, INPUT[module])][0]
            grams_sum[site] = grams_sum.get(site, 0) + g
            if frozen == "A":
                numerators[site] = numerators.get(site, 0) + b @ a @ g
                merged = [a, numerators[site] @ a.T @ np.linalg.pinv(a @ grams_sum[site] @ a.T)]
            else:
                numerators[site] = numerators.get(site, 0) + a @ g
                merged = [numerators[site] @ np.linalg.pinv(grams_sum[site]), b]
            # On the inputs seen: where these do not fill the space, sum G has more than one pseudo-inverse.
            near(f"{name} merged {i + 1} {site}", evaluated[site] @ grams_sum[site],
                 SCALE * merged[1] @ merged[0] @ grams_sum[site])
            if np.linalg.cond(grams_sum[site]) < 1e5:
                near(f"{name} merged {i + 1} {site}", evaluated[site], SCALE * merged[1] @ merged[0])
                regular.add(frozen)


def corda(name, last):
    store = Store(name)
    start = {}
    for i, sequences in enumerate(DATA):
        if i == 0:
            grams = observe(sequences, {})
            for layer, module in FRESH[0]:
                total, rows = grams[(layer, INPUT[module])]
                c = total / rows
                c = c + 0.01 * np.diag(c).mean() * np.eye(len(c))
                u, s, vt = np.linalg.svd(weights[module_name(layer, module) + ".weight"] @ c, full_matrices=False)
                chosen = slice(-RANK, None) if last else slice(RANK)
                root = np.sqrt(s[chosen] / SCALE)
                wanted = root[:, None] * (vt[chosen] @ np.linalg.inv(c)), u[:, chosen] * root
                kept = store.state(0)
                got = [kept[f"subtracted.{module_name(layer, module)}.lora_{f}.weight"] for f in "AB"]
                near(f"{name} {layer} {module}", got[1] @ got[0], wanted[1] @ wanted[0])
                near(f"{name} {layer} {module} |A|", np.linalg.norm(got[0], axis=1), np.linalg.norm(wanted[0], axis=1))
                start[(layer, module)] = got
            adapter = copy(start)
        check_losses(name, store, i, *train(sequences, adapter, SCALE, [(start, -1.0)]))
        check_adapter(f"{name} task {i + 1}", store.adapter(i), adapter)
        adapter, evaluated = store.adapter(i), store.evaluated(i)
        for site in adapter:
            near(f"{name} evaluated {i + 1}", evaluated[site],
                 SCALE * (adapter[site][1] @ adapter[site][0] - start[site][1] @ start[site][0]))
        assert store.steps[i]["state_bytes"] == 2 * PAIR_BYTES


def start_of(store, i):
    """The start, of a training whose steps are all of about 1e-30."""
    return {site: [np.where(abs(f) < 1e-20, 0, f) for f in factors] for site, factors in store.adapter(i).items()}


regular = set()
DATA = [read_task(*task) for task in TASKS]
fresh = Store("fresh")
FRESH = [start_of(fresh, i) for i in range(3)]
assert all(np.all(b == 0) for adapter in FRESH for _, b in adapter.values())
RANK = next(iter(FRESH[0].values()))[0].shape[0]
SCALE = read_adapter(fresh.paths[0])[1]
PAIR_BYTES = 4 * sum(f.size for factors in FRESH[0].values() for f in factors)

# The backward above, by finite differences.
probe = {site: [a, a.sum() * np.ones_like(b) * 0.1] for site, (a, b) in FRESH[1].items()}
grads = {}
run(DATA[0][0], stack([(FRESH[0], 1.0)], probe, SCALE), 1, grads)
for site in probe:
    for f in (0, 1):
        at = (1, 1)
        probe[site][f][at] += 1e-5
        above = run(DATA[0][0], stack([(FRESH[0], 1.0)], probe, SCALE))
        probe[site][f][at] -= 2e-5
        below_ = run(DATA[0][0], stack([(FRESH[0], 1.0)], probe, SCALE))
        probe[site][f][at] += 1e-5
        near("numpy's own gradient", grads[site][-1][f][at], (above - below_) / 2e-5, 1e-4)

CHECKS = {
    "inclora": lambda: in_stack("inclora"),
    "olora": lambda: in_stack("olora", orthogonal),
    "nlora": lambda: in_stack("nlora", sparse),
    "ewc": ewc,
    "inflora": inflora,
    "sdlora": sdlora,
    "lorm-ba": lambda: lorm("lorm-ba", "A", FRESH[0]),
    "lorm-ab": lambda: lorm("lorm-ab", "B", start_of(Store("fresh-ab"), 0)),
    "corda": lambda: corda("corda", True),
    "corda-first": lambda: corda("corda-first", False),
}
for name, check in CHECKS.items():
    check()
    print(name, "equals numpy")
assert regular == {"A", "B"}, regular
