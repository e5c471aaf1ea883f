"""Makes tests/fixtures/parity_fp64.safetensors: loss and some gradients of SmolLM2-135M with the adapter of the folder
`parity` beside the benchmark data, computed in fp64 throughout (weights dequantised to fp32, then widened; RoPE's
angles rounded to fp32 as transformers does). Prints how far fp32 computing is from it: transformers' files in
`parity`, and transformers on this machine. Run in an environment with torch, transformers, peft and gguf
(tests/run.sh --reference makes one):

    SLAO_DATA=... SLAO_MODEL=build/model/SmolLM2-135M-Instruct.Q4_1.gguf python tests/reference/make_parity_truth.py tests/fixtures
"""

import json
import os
import pathlib
import sys

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers.models.llama.modeling_llama import LlamaRMSNorm, LlamaRotaryEmbedding

parity = pathlib.Path(os.environ["SLAO_DATA"]).parent / "parity"
path = pathlib.Path(os.environ["SLAO_MODEL"])
sequences = json.loads((parity / "tokens.json").read_text())["sequences"]
facts = json.loads((parity / "parity.json").read_text())
KEPT = [f"grad.model.layers.{layer}.self_attn.{module}.lora_{factor}.weight"
        for layer, module in ((0, "q_proj"), (29, "v_proj")) for factor in "AB"]


def norm_in_fp64(self, x):
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


def rotation_in_fp64(self, x, position_ids):
    angles = (position_ids[:, :, None].float() * self.inv_freq.float()).double()
    return torch.cat([angles, angles], -1).cos(), torch.cat([angles, angles], -1).sin()


def compute(dtype, attention):
    """What slao probe writes, as far as it is compared."""
    base = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32,
                                                             attn_implementation=attention)
    model = peft.get_peft_model(base, peft.LoraConfig(r=facts["lora"]["r"], lora_alpha=facts["lora"]["alpha"],
                                                      target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    adapter = {"base_model.model." + name.replace(".weight", ".default.weight"): value
               for name, value in load_file(parity / "qv_lora_init.safetensors").items()}
    assert not model.load_state_dict(adapter, strict=False).unexpected_keys
    if dtype == torch.float64:  # the model's own code computes norms and angles in fp32, whatever its type
        model = model.double()
        for part in model.modules():
            if isinstance(part, LlamaRMSNorm):
                part.forward = norm_in_fp64.__get__(part)
            if isinstance(part, LlamaRotaryEmbedding):
                part.forward = rotation_in_fp64.__get__(part)
    losses, logits = [], []
    for sequence in sequences:
        ids, start = torch.tensor([sequence["ids"]]), sequence["answer_start"]
        logits.append(model(input_ids=ids).logits[0, start - 1:-1])
        losses.append(torch.nn.functional.cross_entropy(logits[-1], ids[0, start:], reduction="none"))
    loss = torch.cat(losses).mean()
    loss.backward()
    assert loss.dtype == dtype
    values = {"grad." + name.removeprefix("base_model.model.").replace(".default.", "."): parameter.grad
              for name, parameter in model.named_parameters() if parameter.requires_grad}
    values |= {"loss": loss.detach(), "logits": torch.cat(logits).detach()}
    return {name: value.double() for name, value in values.items()}


def report(name, values):
    off = {key: float(torch.linalg.norm(value.double() - truth[key]) / torch.linalg.norm(truth[key]))
           for key, value in values.items()}
    print(f"{name}: loss off by {float(values['loss']) - float(truth['loss']):.2g}, logits by {off['logits']:.2g} and "
          f"gradients by at most {max(off[key] for key in off if key.startswith('grad.')):.2g} of their norm")


truth = compute(torch.float64, "sdpa")
print(f"fp64: loss {float(truth['loss']):.10f}")
files = {"grad." + name: value for name, value in load_file(parity / "qv_grads.safetensors").items()}
report("transformers' files, fp32", files | {"loss": torch.tensor(facts["results"]["qv"]["loss"]), "logits": load_file(
    parity / "qv_logits.safetensors")["logits_at_label_positions"]})
for attention in ("sdpa", "eager"):
    report(f"transformers here, fp32, {attention}", compute(torch.float32, attention))
if len(sys.argv) > 2:
    report(sys.argv[2], {key: value for key, value in load_file(sys.argv[2]).items() if key in truth})
save_file({name: truth[name].float() for name in KEPT} | {"loss": truth["loss"]},
          pathlib.Path(sys.argv[1]) / "parity_fp64.safetensors",
          metadata={"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__})
