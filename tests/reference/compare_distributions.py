"""The default model whole, in fp32: 1000 next-token distributions on real text, `slao probe` against transformers on the
same token ids. The Kullback-Leibler divergence of each from transformers' must be below 1e-6."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import tokenizer_reference

WANTED, BATCH, LONGEST, TOLERANCE = 1000, 250, 200, 1e-6
TASKS = ("TC/agnews", "TC/dbpedia", "SC/amazon", "NLI/MNLI")
path = pathlib.Path(os.environ["SLAO_MODEL"])
folder = pathlib.Path(os.environ["SLAO_DATA"]) / "CL_Benchmark"
tokenizer = tokenizer_reference.from_metadata(tokenizer_reference.Gguf(path).metadata)
model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)


def texts():
    """Test texts of the tasks in turn."""
    for examples in zip(*(json.loads((folder / task / "test.json").read_text()) for task in TASKS)):
        yield from (example["sentence"] for example in examples)


def batches():
    """Lists of sequences that predict BATCH tokens together, WANTED in all."""
    left, batch, room = WANTED, [], BATCH
    for text in texts():
        ids = tokenizer.encode(text, add_special_tokens=False).ids[:min(LONGEST, room) + 1]
        if len(ids) < 2:
            continue
        batch.append(ids)
        room -= len(ids) - 1
        left -= len(ids) - 1
        if room == 0:
            yield batch
            batch, room = [], BATCH
        if left == 0:
            return


divergences, agreeing = [], 0
with tempfile.TemporaryDirectory() as work, torch.no_grad():
    tokens, output = pathlib.Path(work) / "tokens.json", pathlib.Path(work) / "out.safetensors"
    for batch in batches():
        theirs = torch.cat([model(input_ids=torch.tensor([ids])).logits[0, :-1] for ids in batch]).double()
        tokens.write_text(json.dumps({"sequences": [{"ids": ids, "answer_start": 1} for ids in batch]}))
        subprocess.run([os.environ["SLAO"], "probe", "--model", path, "--tokens", tokens, "-o", output], check=True,
                       stdout=subprocess.DEVNULL)
        ours = load_file(output)["logits"].double()
        assert ours.shape == theirs.shape
        p, q = theirs.log_softmax(-1), ours.log_softmax(-1)
        divergences.append((p.exp() * (p - q)).sum(-1))
        agreeing += int((p.argmax(-1) == q.argmax(-1)).sum())
divergence = torch.cat(divergences)
print(f"{len(divergence)} distributions: KL at most {divergence.max():.2g}, {divergence.mean():.2g} on average (allowed "
      f"{TOLERANCE:g}); the same token comes first in {agreeing}")
sys.exit(not (len(divergence) == WANTED and divergence.max() <= TOLERANCE))
