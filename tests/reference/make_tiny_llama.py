"""Makes tests/fixtures/tiny-llama: a tiny random Llama, a LoRA adapter on every linear module, and what
transformers and peft compute with them (loss, logits, gradients, three AdamW steps).

Run in an environment with torch, transformers and peft (tests/run.sh --reference makes one):
    python tests/reference/make_tiny_llama.py tests/fixtures/tiny-llama
"""

import json
import pathlib
import sys

import peft
import safetensors.torch
import torch
import transformers

out = pathlib.Path(sys.argv[1])
torch.manual_seed(0)
config = transformers.LlamaConfig(
    vocab_size=96, hidden_size=32, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, head_dim=8, max_position_embeddings=128, rope_theta=10000.0, rms_norm_eps=1e-5,
    tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, attention_bias=False, mlp_bias=False)
model = transformers.LlamaForCausalLM(config).to(torch.float32)
with torch.no_grad():
    for parameter in model.parameters():
        parameter.copy_(torch.randn_like(parameter) * 0.15 + (1.0 if parameter.dim() == 1 else 0.0))
model.save_pretrained(out)

modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
wrapped = peft.get_peft_model(model, peft.LoraConfig(
    r=4, lora_alpha=8, target_modules=modules, lora_dropout=0.0, task_type="CAUSAL_LM"))
trained = {name: p for name, p in wrapped.named_parameters() if p.requires_grad}
with torch.no_grad():
    for parameter in trained.values():
        parameter.copy_(torch.randn_like(parameter) * 0.1)
wrapped.save_pretrained(out / "adapter")
(out / "adapter" / "README.md").unlink(missing_ok=True)

generator = torch.Generator().manual_seed(1)
prefix = torch.randint(3, 96, (20,), generator=generator).tolist()
sequences = []
for prompt, answer in [(9, 3), (14, 1), (5, 4), (30, 2)]:
    ids = prefix + torch.randint(3, 96, (prompt + answer,), generator=generator).tolist() + [2]
    sequences.append({"ids": ids, "answer_start": len(prefix) + prompt})
json.dump({"sequences": sequences}, open(out / "tokens.json", "w"))


def losses_and_logits():
    losses, logits = [], []
    for sequence in sequences:
        ids = torch.tensor([sequence["ids"]])
        rows = wrapped(input_ids=ids).logits[0, sequence["answer_start"] - 1:-1]
        losses.append(torch.nn.functional.cross_entropy(rows, ids[0, sequence["answer_start"]:], reduction="none"))
        logits.append(rows)
    return torch.cat(losses), torch.cat(logits)


def short(name):
    return name.removeprefix("base_model.model.").replace(".default.", ".")


expected = {}
optimizer = torch.optim.AdamW(trained.values(), lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
means = []
for step in range(4):
    losses, logits = losses_and_logits()
    means.append(losses.mean().item())
    optimizer.zero_grad()
    losses.mean().backward()
    if step == 0:
        expected["loss"] = losses.mean().detach()
        expected["logits"] = logits.detach().contiguous()
        expected |= {"grad." + short(name): p.grad.clone() for name, p in trained.items()}
    if step < 3:
        optimizer.step()
expected["losses"] = torch.tensor(means)
expected |= {"param." + short(name): p.detach().clone() for name, p in trained.items()}
versions = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
safetensors.torch.save_file(expected, out / "expected.safetensors", metadata=versions)
