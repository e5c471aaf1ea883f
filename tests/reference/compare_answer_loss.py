"""Answer loss of the untrained default model on 100 agnews test examples: `slao probe` against transformers, on the
same token ids. The mean over the answer tokens of each batch must agree within 1e-4."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers
from safetensors.numpy import load_file

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import tokenizer_reference

EXAMPLES, BATCH, TOLERANCE = 100, 20, 1e-4
path = pathlib.Path(os.environ["SLAO_MODEL"])
folder = pathlib.Path(os.environ["SLAO_DATA"]) / "CL_Benchmark"
labels = json.loads((folder / "TC/agnews/labels.json").read_text())
instruction = json.loads((folder / "instruction_config.json").read_text())["TC"][0]["instruction"]
examples = json.loads((folder / "TC/agnews/test.json").read_text())[:EXAMPLES]

tokenizer = tokenizer_reference.from_metadata(tokenizer_reference.Gguf(path).metadata)
model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
end = model.config.eos_token_id


def encode(text):
    return tokenizer.encode(text, add_special_tokens=False).ids


sequences = []
for example in examples:
    prompt = encode(f"Task:TC\nDataset:agnews\n{instruction}Option: {', '.join(labels)} \n{example['sentence']}\nAnswer:")
    sequences.append({"ids": prompt + encode(" " + example["label"]) + [end], "answer_start": len(prompt)})

worst = 0.0
with tempfile.TemporaryDirectory() as work, torch.no_grad():
    for first in range(0, EXAMPLES, BATCH):
        batch = sequences[first:first + BATCH]
        losses = []
        for sequence in batch:
            ids = torch.tensor([sequence["ids"]])
            rows = model(input_ids=ids).logits[0, sequence["answer_start"] - 1:-1]
            losses.append(torch.nn.functional.cross_entropy(rows, ids[0, sequence["answer_start"]:], reduction="none"))
        theirs = torch.cat(losses).mean().item()
        tokens, output = pathlib.Path(work) / "tokens.json", pathlib.Path(work) / "out.safetensors"
        tokens.write_text(json.dumps({"sequences": batch}))
        subprocess.run([os.environ["SLAO"], "probe", "--model", path, "--tokens", tokens, "-o", output], check=True,
                       stdout=subprocess.DEVNULL)
        ours = float(load_file(output)["loss"])
        worst = max(worst, abs(ours - theirs))
        print(f"examples {first} to {first + len(batch) - 1}: slao {ours:.7f}, transformers {theirs:.7f}")
print(f"largest difference {worst:.2g} (allowed {TOLERANCE:g})")
sys.exit(not worst <= TOLERANCE)
