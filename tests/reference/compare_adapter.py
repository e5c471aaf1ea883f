"""An adapter that slao trained and wrote, loaded by peft: the logits at the answers of a few examples agree within
1e-4 of what `slao probe` computes with it, relative to their size."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy
import peft
import torch
import transformers
from safetensors.numpy import load_file

TOLERANCE = 1e-4
source, path = pathlib.Path(os.environ["SLAO_SOURCE"]), pathlib.Path(os.environ["SLAO_MODEL"])
spec = {"name": "adapter", "model": str(path),
        "benchmark": {"format": "cl_benchmark", "path": str(source / "experiments/quickstart/suite"),
                      "train_samples": 32, "test_samples": 8},
        "evaluate": {"when": "end", "max_new_tokens": 4},
        "sweep": {"order": [["quiz", "desks"]], "learning_rate": [1e-3]}}
with tempfile.TemporaryDirectory() as work:
    work = pathlib.Path(work)
    (work / "spec.json").write_text(json.dumps(spec))
    subprocess.run([os.environ["SLAO"], "sweep", work / "spec.json", "-o", work / "adapter.h5", "--progress", "none"],
                   check=True, stdout=subprocess.DEVNULL)
    base = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    random = numpy.random.default_rng(0)
    ids = random.integers(3, base.config.vocab_size, 40).tolist()
    (work / "tokens.json").write_text(json.dumps({"sequences": [{"ids": ids, "answer_start": 1}]}))
    worst = 0.0
    adapters = sorted((work / "adapter.store/adapters").iterdir())
    for adapter in adapters:
        subprocess.run([os.environ["SLAO"], "probe", "--model", path, "--adapter", adapter, "--tokens",
                        work / "tokens.json", "-o", work / "out.safetensors"], check=True, stdout=subprocess.DEVNULL)
        ours = load_file(work / "out.safetensors")["logits"]
        model = peft.PeftModel.from_pretrained(base, adapter)
        with torch.no_grad():
            theirs = model(input_ids=torch.tensor([ids])).logits[0, :-1].numpy()
        base = model.unload()
        worst = max(worst, float(numpy.linalg.norm(ours - theirs) / numpy.linalg.norm(theirs)))
print(f"{len(adapters)} adapters: logits differ by at most {worst:.2g} (allowed {TOLERANCE:g})")
sys.exit(not (len(adapters) == 3 and worst <= TOLERANCE))
