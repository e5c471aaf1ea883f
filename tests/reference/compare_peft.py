"""Adapters between slao and peft, on the tiny Llama of tests/fixtures:

- adapters that peft makes (plain, rsLoRA, rank and alpha patterns, all-linear, regular expressions, some layers, bf16)
  give the same logits here (`slao probe`) as there, within 1e-4 of their norm;
- adapters that `slao merge` writes load by peft.PeftModel.from_pretrained and give the same logits;
- peft's add_weighted_adapter (cat, ties, dare_linear, dare_ties, magnitude_prune on the factors; their svd forms on the
  changes) merges to the same changes as ours, DARE with the same masks.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import warnings

import peft
import torch
import transformers
from peft.utils import merge_utils
from safetensors.torch import load_file, save_file

TOLERANCE = 1e-4
SLAO = os.environ["SLAO"]
tiny = pathlib.Path(os.environ["SLAO_SOURCE"]) / "tests/fixtures/tiny-llama"
work = pathlib.Path(tempfile.mkdtemp())
warnings.filterwarnings("ignore")
transformers.utils.logging.disable_progress_bar()
generator = torch.Generator().manual_seed(0)
ids = torch.randint(3, 96, (30,), generator=generator).tolist()
(work / "tokens.json").write_text(json.dumps({"sequences": [{"ids": ids, "answer_start": 1}]}))
worst, compared = {}, {}


def slao(*arguments):
    return subprocess.run([SLAO, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True).stdout


def base():
    return transformers.AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)


def note(kind, name, ours, theirs):
    error = float(torch.linalg.norm(ours - theirs) / torch.linalg.norm(theirs))
    worst[kind], compared[kind] = max(worst.get(kind, 0), error), compared.get(kind, 0) + 1
    if not error <= TOLERANCE:
        sys.exit(f"{kind}, {name}: off by {error:.2g} of the norm (allowed {TOLERANCE:g})")


def our_logits(folder):
    slao("probe", "--model", tiny, "--adapter", folder, "--tokens", work / "tokens.json", "-o", work / "out.safetensors")
    return load_file(work / "out.safetensors")["logits"]


def their_logits(model):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0, :-1]


plain = their_logits(base())
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
CONFIGS = {
    "plain": dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]),
    "rslora": dict(r=4, lora_alpha=8, use_rslora=True, target_modules=ATTENTION),
    "patterns": dict(r=4, lora_alpha=8, target_modules=ATTENTION,
                     rank_pattern={"q_proj": 2, "layers.1.self_attn.k_proj": 7, "^model.layers.0.*v_proj": 3},
                     alpha_pattern={"o_proj": 3.5, "layers.0.self_attn.k_proj": 12}),
    "all-linear": dict(r=3, lora_alpha=6, target_modules="all-linear"),
    "regex": dict(r=4, lora_alpha=8, target_modules=r".*layers\.\d+\.(self_attn\.(q|k)|mlp\.down)_proj"),
    "paths": dict(r=4, lora_alpha=8, target_modules=["self_attn.q_proj", "model.layers.1.mlp.up_proj"]),
    "layer": dict(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"], layers_to_transform=1),
    "layers": dict(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"], layers_to_transform=[1],
                   layers_pattern="layers"),
    "fan_in_fan_out": dict(r=4, lora_alpha=8, target_modules=["q_proj"], fan_in_fan_out=True),
    "rslora-patterns": dict(r=4, lora_alpha=8, use_rslora=True, target_modules=ATTENTION, rank_pattern={"q_proj": 2}),
}


def make(name, seed, **config):
    torch.manual_seed(seed)
    model = peft.get_peft_model(base(), peft.LoraConfig(task_type="CAUSAL_LM", **config))
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "lora_" in key:
                parameter.copy_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(work / name)
    return model


for i, (name, config) in enumerate(CONFIGS.items()):
    theirs = their_logits(make(name, i, **config))
    assert torch.linalg.norm(theirs - plain) > 0.01 * torch.linalg.norm(plain), f"{name} changes nothing"
    note("logits with adapters made by peft", name, our_logits(work / name), theirs)

# A bf16 file: both read the rounded values.
(work / "bf16").mkdir()
(work / "bf16/adapter_config.json").write_text((work / "plain/adapter_config.json").read_text())
save_file({k: x.to(torch.bfloat16) for k, x in load_file(work / "plain/adapter_model.safetensors").items()},
          work / "bf16/adapter_model.safetensors")
note("logits with adapters made by peft", "bf16", our_logits(work / "bf16"),
     their_logits(peft.PeftModel.from_pretrained(base(), work / "bf16")))

# What peft's config has and slao does not honour must be refused by name, not passed over.
HONOURED = {"peft_type", "r", "lora_alpha", "lora_dropout", "use_rslora", "target_modules", "rank_pattern",
            "alpha_pattern", "layers_to_transform", "layers_pattern", "fan_in_fan_out"}
OF_NO_EFFECT = {"task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode",
                "megatron_core", "megatron_config", "loftq_config", "eva_config", "corda_config", "lora_ga_config",
                "runtime_config", "qalora_group_size", "arrow_config"}
refused = [field.name for field in dataclasses.fields(peft.LoraConfig) if field.name not in HONOURED | OF_NO_EFFECT]
for field in refused:
    (work / "odd").mkdir(exist_ok=True)
    said = json.loads((work / "plain/adapter_config.json").read_text()) | {field: "something"}
    (work / "odd/adapter_config.json").write_text(json.dumps(said))
    (work / "odd/adapter_model.safetensors").write_bytes((work / "plain/adapter_model.safetensors").read_bytes())
    run = subprocess.run([SLAO, "inspect", work / "odd"], capture_output=True, text=True)
    assert run.returncode == 2 and field in run.stderr, (field, run.returncode, run.stderr)
print(f"{len(refused)} fields of peft {peft.__version__} refused by name")

MERGES = [("asymmetric", [], []), ("average", [], []), ("average", ["--rank", "5"], []), ("task-arithmetic", [], []),
          ("ties", [], ["density=0.4"]), ("ties", ["--rank", "6"], ["density=0.4"]), ("dare", [], []),
          ("dare-ties", [], ["space=factors"]), ("magnitude-prune", [], []), ("magmax", [], []), ("knots", [], []),
          ("lora-lego", [], []), ("opcm", [], [])]
for seed in range(3):
    make(f"merge{seed}", 100 + seed, r=4, lora_alpha=8, target_modules=ATTENTION + ["down_proj"])
merged = [work / f"merge{seed}" for seed in range(3)]
for rule, arguments, options in MERGES:
    out = work / f"merged-{rule}-{len(compared)}"
    slao("merge", "--rule", rule, *arguments, *[x for o in options for x in ("--option", o)], *merged, "-o", out)
    note("logits with merged adapters, loaded by peft", rule, our_logits(out),
         their_logits(peft.PeftModel.from_pretrained(base(), out)))
    out.rename(work / f"done-{len(list(work.glob('done-*')))}")


# ---- add_weighted_adapter ----
def changes_of(folder):
    """s B A of every module of an adapter of ours, by patterns where there are."""
    tensors = load_file(folder / "adapter_model.safetensors")
    said = json.loads((folder / "adapter_config.json").read_text())
    out = {}
    for key in tensors:
        if key.endswith("lora_A.weight"):
            module = key.removesuffix(".lora_A.weight")
            a, b = tensors[key], tensors[module + ".lora_B.weight"]
            short = module.removeprefix("base_model.model.")
            out[short] = said.get("alpha_pattern", {}).get(short, said["lora_alpha"]) / a.shape[0] * (b @ a)
    return out


together = peft.PeftModel.from_pretrained(base(), merged[0], adapter_name="0")
for t in (1, 2):
    together.load_adapter(merged[t], adapter_name=str(t))
layers = {name.removeprefix("base_model.model."): layer for name, layer in together.named_modules()
          if isinstance(layer, peft.tuners.lora.LoraLayer)}


def masks(space):
    """Which entries our DARE keeps of each adapter, told by merging it with adapters of zeros; by shape of call."""
    kept = []
    for t in range(3):
        for other in range(3):
            folder = work / f"mask{other}"
            folder.mkdir(exist_ok=True)
            (folder / "adapter_config.json").write_text((merged[other] / "adapter_config.json").read_text())
            tensors = load_file(merged[other] / "adapter_model.safetensors")
            save_file({k: x if other == t else torch.zeros_like(x) for k, x in tensors.items()},
                      folder / "adapter_model.safetensors")
        out = work / f"masked-{space}-{t}"
        slao("merge", "--rule", "dare", "--option", f"space={space}", "--option", "density=0.6",
             *[work / f"mask{other}" for other in range(3)], "-o", out)
        if space == "delta":
            kept.append({k: (x != 0).float() for k, x in changes_of(out).items()})
        else:
            kept.append({k.removeprefix("base_model.model."): (x != 0).float()
                         for k, x in load_file(out / "adapter_model.safetensors").items()})
    return kept


def with_masks(space, theirs, **arguments):
    """peft's merge with our masks: it prunes module by module, first the A of all adapters, then the B."""
    kept, queue = masks(space), []
    for name in layers:
        if space == "delta":
            queue += [kept[t][name] for t in range(3)]
        else:
            queue += [kept[t][f"{name}.lora_{factor}.weight"] for factor in "AB" for t in range(3)]
    original = merge_utils.random_pruning
    merge_utils.random_pruning = lambda tensor, density, rescale: tensor * queue.pop(0) / density
    together.add_weighted_adapter(["0", "1", "2"], [1.0] * 3, combination_type=theirs, density=0.6, **arguments,
                                  adapter_name=f"{theirs}-{space}")
    merge_utils.random_pruning = original
    assert not queue


COMBINATIONS = [  # theirs, ours, options of ours
    ("cat", "task-arithmetic", ["scale=1"]),
    ("ties", "ties", ["space=factors", "density=0.6"]),
    ("dare_linear", "dare", ["space=factors", "density=0.6", "scale=1"]),
    ("dare_ties", "dare-ties", ["space=factors", "density=0.6"]),
    ("magnitude_prune", "magnitude-prune", ["space=factors", "density=0.6"]),
    ("svd", "average", []),
    ("ties_svd", "ties", ["density=0.6"]),
    ("dare_linear_svd", "dare", ["density=0.6", "scale=1"]),
    ("dare_ties_svd", "dare-ties", ["density=0.6"]),
    ("magnitude_prune_svd", "magnitude-prune", ["density=0.6"]),
]
for theirs, ours, options in COMBINATIONS:
    space = "delta" if theirs.endswith("svd") else "factors"
    svd = {"svd_rank": 16} if theirs.endswith("svd") else {}
    weight = 1 / 3 if theirs == "svd" else 1.0
    name = f"{theirs}-{space}"
    if theirs.startswith("dare"):
        with_masks(space, theirs, **svd)
    else:
        together.add_weighted_adapter(["0", "1", "2"], [weight] * 3, combination_type=theirs, density=0.6,
                                      adapter_name=name, **svd)
    out = work / f"ours-{theirs}"
    slao("merge", "--rule", ours, *[x for o in options for x in ("--option", o)],
         *(["--rank", "16"] if svd else []), *merged, "-o", out)
    mine = changes_of(out)
    assert mine.keys() == layers.keys(), (mine.keys(), layers.keys())
    for key, layer in layers.items():
        note("merges against add_weighted_adapter", f"{theirs}, {key}", mine[key], layer.get_delta_weight(name).detach())

for kind, error in worst.items():
    print(f"{kind}: {compared[kind]} compared, at most {error:.2g} (allowed {TOLERANCE:g})")
shutil.rmtree(work)
