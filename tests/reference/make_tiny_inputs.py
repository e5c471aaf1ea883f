"""Makes tests/fixtures/tiny-llama/inputs.safetensors: what torch sees of the inputs of every linear module of the tiny
Llama under its adapter, and the adapter's empirical Fisher information, over the sequences of tokens.json.

    gram.MODULE     sum of x x^T over the tokens fed in (the last one of a sequence is only predicted); of the last layer's
                    o, gate, up and down over the tokens that predict answers alone
    fisher.TENSOR   mean over the sequences of the squared gradient of log p(answer | prompt)

Run in an environment with torch, transformers and peft (tests/run.sh --reference makes one):
    python tests/reference/make_tiny_inputs.py tests/fixtures/tiny-llama
"""

import json
import pathlib
import sys

import peft
import safetensors.torch
import torch
import transformers

folder = pathlib.Path(sys.argv[1])
model = transformers.LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
wrapped = peft.PeftModel.from_pretrained(model, folder / "adapter", is_trainable=True)
sequences = json.load(open(folder / "tokens.json"))["sequences"]
last = f"layers.{model.config.num_hidden_layers - 1}."
grams, first = {}, 0


def watch(name, module):
    name = name.removeprefix("base_model.model.")
    answering = last in name and not name.endswith(("q_proj", "k_proj", "v_proj"))

    def hook(_, inputs):
        x = inputs[0][0].detach().double()
        grams[name] = grams.get(name, 0) + (x[first:].T @ x[first:] if answering else x.T @ x)

    module.register_forward_pre_hook(hook)


for name, module in wrapped.named_modules():
    if name.endswith("_proj"):
        watch(name, module)
trained = {name: p for name, p in wrapped.named_parameters() if p.requires_grad}
fisher = {name: 0 for name in trained}
for sequence in sequences:
    ids, first = torch.tensor([sequence["ids"]]), sequence["answer_start"] - 1
    rows = wrapped(input_ids=ids[:, :-1]).logits[0, first:]
    loss = torch.nn.functional.cross_entropy(rows, ids[0, sequence["answer_start"]:], reduction="sum")
    wrapped.zero_grad()
    loss.backward()
    fisher = {name: fisher[name] + p.grad.double() ** 2 / len(sequences) for name, p in trained.items()}

expected = {"gram." + name: gram.float().contiguous() for name, gram in grams.items()
            if name.endswith(("q_proj", "o_proj", "gate_proj", "down_proj"))}  # the others share these
expected |= {"fisher." + name.removeprefix("base_model.model.").replace(".default.", "."): values.float()
             for name, values in fisher.items()}
versions = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
safetensors.torch.save_file(expected, folder / "inputs.safetensors", metadata=versions)
