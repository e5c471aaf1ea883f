"""slao against the usual PEFT script (peft_script.py) on the same examples, the same cores, in turn.

    tests/peer/run.sh [--tasks agnews,yelp,MNLI,BoolQA] [--examples 40] [--rounds 3] [--precision bf16] [--json FILE]

Makes a benchmark of the drawn examples alone (cut to 512 tokens beforehand, so that both sides read the same tokens),
checks that both compute the same loss on the first 8 of each task and the same exact-match score, then times rounds:
one of slao, one of peft, and again. Prints the medians of real tokens per second (no padding counted, a shared prompt
counted in every example that has it) and of examples per second, their ratio, and its smallest and largest round. Tasks
of Super-NaturalInstructions, as task181_outcome_extraction, are drawn from SLAO_DATA/superni. With --precision bf16 (and
--only train) slao computes with "matmul_precision": "bf16", the script under torch.autocast."""

import argparse
import json
import math
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys

import torch
import transformers

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import peft_script
import tokenizer_reference

MAX_LENGTH = 512
# In bf16 the two round at other places: losses 0.06 apart were seen, of 4.
SAME_LOSS, SAME_SCORE = {"fp32": 1e-4, "bf16": 0.1}, 1e-9


def make_model(path, folder):
    """The GGUF file as the folder that transformers reads fast, with the tokenizer that is right for it."""
    if (folder / "model.safetensors").exists():
        return
    model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    plain = transformers.LlamaForCausalLM(model.config)
    plain.load_state_dict(model.state_dict())
    plain.config.quantization_config = None
    del plain.config.quantization_config
    plain.save_pretrained(folder)
    tokenizer_reference.from_metadata(tokenizer_reference.Gguf(path).metadata).save(str(folder / "tokenizer.json"))


def is_superni(task):
    return re.match(r"task\d+_", task)


def place_of(data, task):
    """(folder of the benchmark, task or GROUP/TASK in it)"""
    if is_superni(task):
        return data / "superni", task
    folder = data / "CL_Benchmark"
    return folder, str(next(path.parent for path in sorted(folder.glob(f"*/{task}/train.json"))).relative_to(folder))


def make_task(data, made, task, examples, tokenizer):
    """`examples` of each split of the task, drawn by a fixed seed, each cut so that it fits."""
    source, place = place_of(data, task)
    target = made / source.name
    (target / place).mkdir(parents=True, exist_ok=True)
    if not is_superni(task):
        for name in ("instruction_config.json", f"{place}/labels.json"):
            shutil.copy(source / name, target / name)
        labels = json.loads((source / place / "labels.json").read_text())
    for split in ("train", "test"):
        contents = json.loads((source / place / f"{split}.json").read_text())
        if is_superni(task):
            every, text = [item for item in contents["Instances"] if peft_script.first_of(item["output"])], "input"
        else:
            every, text = [item for item in contents if item["label"] in labels], "sentence"
        drawn = random.Random(f"{task} {split}").sample(every, min(examples, len(every)))

        def write():
            (target / place / f"{split}.json").write_text(
                json.dumps(contents | {"Instances": drawn} if is_superni(task) else drawn))

        write()
        while too_long := [i for i, (prompt, answer, _) in enumerate(peft_script.texts_of(target, place, split))
                           if sum(len(tokenizer.encode(part, add_special_tokens=False).ids)
                                  for part in (prompt, answer)) + 1 > MAX_LENGTH]:
            for i in too_long:
                if not drawn[i][text]:
                    sys.exit(f"{task}: prompt and answer alone are longer than {MAX_LENGTH} tokens")
                drawn[i][text] = drawn[i][text][:-20]
            write()


def make_benchmark(data, folder, tasks, examples, tokenizer):
    for task in tasks:
        make_task(data, folder, task, examples, tokenizer)


def run(command, **environment):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          env=os.environ | environment)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nfailed: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


class Sides:
    def __init__(self, given, work, benchmark):
        self.given, self.work, self.benchmark = given, work, benchmark

    def bench(self, what, task, examples):
        folder, _ = place_of(self.benchmark, task)
        return [os.environ["SLAO"], "bench", what, "--model", os.environ["SLAO_MODEL"], "--benchmark", folder,
                "--format", "superni" if is_superni(task) else "cl_benchmark", "--tasks", task,
                "--examples", examples, "--json", "--matmul-precision", self.given.precision]

    def slao(self, what, task, examples, adapter=None):
        words = self.bench(what, task, examples) + ["--threads", self.given.threads]
        result = run(words + (["--adapter", adapter] if adapter else []))
        return result["tasks"][0] | {"peak_memory_bytes": result["peak_memory_bytes"], "machine": result["machine"]}

    def two_ranks(self, task, examples):
        """Two processes at once, one core each, as two ranks of a sweep; the rate of both together."""
        words = [str(word) for word in self.bench("train", task, examples)]
        ranks = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        results = [json.loads(rank.communicate()[0])["tasks"][0] for rank in ranks]
        return {"tokens_per_second": sum(r["tokens"] for r in results) / max(r["seconds"] for r in results)}

    def peft(self, what, task, adapter=None):
        folder, place = place_of(self.benchmark, task)
        result = run([sys.executable, HERE / "peft_script.py", what, self.work / "model", folder, place,
                      "--threads", self.given.threads, "--precision", self.given.precision]
                     + (["--adapter", adapter] if adapter else []), TOKENIZERS_PARALLELISM="false")
        return result | {"tokens_per_second": result["tokens"] / result["seconds"],
                         "examples_per_second": result["examples"] / result["seconds"]}


def make_adapter(work, data):
    """agnews learned by slao from 200 examples, for the scoring."""
    spec = {"name": "peer", "model": os.environ["SLAO_MODEL"],
            "benchmark": {"format": "cl_benchmark", "path": str(data / "CL_Benchmark"), "train_samples": 200,
                          "test_samples": 8},
            "evaluate": {"when": "end", "max_new_tokens": 4},
            "sweep": {"method": ["seqlora"], "order": [["agnews"]], "learning_rate": [1e-3]}}
    (work / "adapter.json").write_text(json.dumps(spec))
    subprocess.run([os.environ["SLAO"], "sweep", work / "adapter.json", "-o", work / "adapter.h5", "--threads", "2",
                    "--progress", "none"], check=True, stdout=subprocess.DEVNULL)
    return next((work / "adapter.store/adapters").iterdir())


def check(name, ours, theirs, tolerance):
    if not abs(ours - theirs) <= tolerance:
        sys.exit(f"{name}: slao has {ours}, peft {theirs}: not the same work, so there is nothing to compare")


def row(title, ours, theirs, unit):
    ratios = [a[unit] / b[unit] for a, b in zip(ours, theirs)]
    return {"title": title, "slao": statistics.median(a[unit] for a in ours),
            "peft": statistics.median(b[unit] for b in theirs), "ratio": statistics.median(ratios),
            "least": min(ratios), "most": max(ratios),
            "slao_memory": max(a.get("peak_memory_bytes", math.nan) for a in ours),
            "peft_memory": max(b["peak_memory_bytes"] for b in theirs)}


def show(rows, unit):
    print(f"| | slao, {unit} | peft, {unit} | ratio | its range | memory, slao / peft, GB |\n|---|---|---|---|---|---|")
    for r in rows:
        print(f"| {r['title']} | {r['slao']:.4g} | {r['peft']:.4g} | {r['ratio']:.2f} | {r['least']:.2f} to "
              f"{r['most']:.2f} | {r['slao_memory'] / 1e9:.1f} / {r['peft_memory'] / 1e9:.1f} |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", default="agnews,yelp,MNLI,BoolQA")
    parser.add_argument("--examples", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=pathlib.Path, help="all figures of all rounds")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--only", choices=["train", "eval"])
    given = parser.parse_args()
    if given.precision == "bf16" and given.only != "train":
        parser.error("--precision bf16 is for --only train: rounding may change texts")
    tasks = given.tasks.split(",")
    data = pathlib.Path(os.environ["SLAO_DATA"])
    work = pathlib.Path(os.environ["SLAO_SOURCE"]) / "build/peer"
    work.mkdir(parents=True, exist_ok=True)
    make_model(pathlib.Path(os.environ["SLAO_MODEL"]), work / "model")
    tokenizer = tokenizer_reference.from_metadata(
        tokenizer_reference.Gguf(pathlib.Path(os.environ["SLAO_MODEL"])).metadata)
    make_benchmark(data, work / "first8", tasks, 8, tokenizer)
    make_benchmark(data, work / "benchmark", sorted({*tasks, "agnews"}), given.examples, tokenizer)
    few, all_of = Sides(given, work, work / "first8"), Sides(given, work, work / "benchmark")
    rounds = []
    if given.only != "eval":
        for task in tasks:
            check(f"loss on {task}", few.slao("train", task, 8)["loss_first"], few.peft("train", task)["loss_first"],
                  SAME_LOSS[given.precision])
        for number in range(given.rounds):
            for task in tasks:
                ours, both = all_of.slao("train", task, given.examples), all_of.two_ranks(task, given.examples)
                theirs = all_of.peft("train", task)
                check(f"tokens of {task}", ours["tokens"], theirs["tokens"], 0)
                rounds.append({"what": "train", "task": task, "slao": ours, "two_ranks": both, "peft": theirs})
                print(f"round {number + 1}, {task}: slao {ours['tokens_per_second']:.0f} (two ranks "
                      f"{both['tokens_per_second']:.0f}), peft {theirs['tokens_per_second']:.0f} tokens/s",
                      file=sys.stderr, flush=True)
    if given.only != "train":
        adapter = make_adapter(work, data)
        for number in range(given.rounds):
            for name, path in (("fine-tuned on agnews", adapter), ("untrained, which rambles", None)):
                ours = all_of.slao("eval", "agnews", given.examples, path)
                theirs = all_of.peft("eval", "agnews", path)
                check(f"exact match, {name}", ours["exact_match"], theirs["exact_match"], SAME_SCORE)
                rounds.append({"what": "eval", "task": name, "slao": ours, "peft": theirs})
                print(f"round {number + 1}, {name}: slao {ours['examples_per_second']:.2f}, peft "
                      f"{theirs['examples_per_second']:.2f} examples/s", file=sys.stderr, flush=True)
    if given.json:
        given.json.write_text(json.dumps(rounds, indent=1))
    one = rounds[0]
    print(f"{one['slao']['machine']['cpu']}, {given.threads} threads, {given.precision}; "
          f"{one['slao']['machine']['blas']}; torch "
          f"{one['peft']['torch']}, transformers {one['peft']['transformers']}, peft {one['peft']['peft']}; "
          f"{given.examples} examples, medians of {given.rounds} rounds\n")
    for what, unit, key in (("train", "tokens/s", "tokens_per_second"), ("eval", "examples/s", "examples_per_second")):
        names = list(dict.fromkeys(r["task"] for r in rounds if r["what"] == what))
        rows = [row(name, [r["slao"] for r in rounds if r["task"] == name and r["what"] == what],
                    [r["peft"] for r in rounds if r["task"] == name and r["what"] == what], key) for name in names]
        if not rows:
            continue
        show(rows, unit)
        if what == "train":
            print(f"\ngeometric mean of the ratios {statistics.geometric_mean(r['ratio'] for r in rows):.2f}; "
                  "two ranks instead of two threads "
                  + str(round(statistics.geometric_mean(
                      statistics.median(r["two_ranks"]["tokens_per_second"] / r["peft"]["tokens_per_second"]
                                        for r in rounds if r["task"] == name and r["what"] == "train")
                      for name in names), 2)) + "\n")


main()
