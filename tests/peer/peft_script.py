"""What users would run instead of slao: transformers and peft on the CPU, as their examples have it.

    peft_script.py train|eval MODEL BENCHMARK GROUP/TASK|SUPERNI_TASK [--adapter DIR] [--threads 2] [--precision bf16]

Every batch is padded to its longest example, logits are computed at every position, greedy decoding goes on until all
texts of a batch have ended: the defaults of the two packages. fp32, LoRA of rank 8 on q_proj and v_proj, AdamW, batches
of 8; bf16 is torch.autocast around all of it. Trains one epoch on the whole of train.json, or scores test.json by exact
match; prints one JSON document. The time is that of the loop alone: loading and tokenising are left out."""

import argparse
import json
import pathlib
import string
import time

import peft
import torch
import transformers

BATCH, RATE, NEW_TOKENS = 8, 1e-3, 50


def first_of(value):
    """Super-NaturalInstructions has some texts as they are, some as lists of one."""
    return value if isinstance(value, str) else value[0]


def texts_of(folder, place, split):
    """(prompt, what is trained on, the answer) of every example."""
    contents = json.loads((folder / place / f"{split}.json").read_text())
    if "/" not in place:
        for item in contents["Instances"]:
            answer = first_of(item["output"])
            yield (f"Definition: {first_of(contents['Definition'])}\n\nNow complete the following example -\n"
                   f"Input: {item['input']}\nOutput: ", answer, answer)
        return
    group, task = place.split("/")
    labels = json.loads((folder / place / "labels.json").read_text())
    instruction = json.loads((folder / "instruction_config.json").read_text())[group][0]["instruction"]
    for item in contents:
        yield (f"Task:{group}\nDataset:{task}\n{instruction}Option: {', '.join(labels)} \n{item['sentence']}\nAnswer:",
               " " + item["label"], item["label"])


def examples_of(folder, place, split, tokenizer):
    """(ids of the prompt, ids of the answer, the answer) of every example."""
    for prompt, trained, answer in texts_of(folder, place, split):
        ids = tokenizer([prompt, trained], add_special_tokens=False)["input_ids"]
        yield ids[0], ids[1] + [tokenizer.eos_token_id], answer


def padded(rows, value, left=False):
    longest = max(map(len, rows))
    return torch.tensor([[value] * (longest - len(row)) * left + row + [value] * (longest - len(row)) * (not left)
                         for row in rows])


def train(model, tokenizer, examples):
    model = peft.get_peft_model(model, peft.LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"],
                                                       task_type="CAUSAL_LM"))
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=RATE, weight_decay=0.0)
    losses, begin = [], time.perf_counter()
    for first in range(0, len(examples), BATCH):
        batch = examples[first:first + BATCH]
        ids = padded([prompt + answer for prompt, answer, _ in batch], tokenizer.pad_token_id)
        mask = padded([[1] * len(prompt + answer) for prompt, answer, _ in batch], 0)
        labels = padded([[-100] * len(prompt) + answer for prompt, answer, _ in batch], -100)
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return {"seconds": time.perf_counter() - begin, "loss_first": losses[0], "loss_last": losses[-1],
            "tokens": sum(len(prompt) + len(answer) for prompt, answer, _ in examples)}


def normalised(text):
    return "".join(text.lower().translate(str.maketrans("", "", string.punctuation)).split())


def score(model, tokenizer, examples):
    model.eval()
    scores, begin = [], time.perf_counter()
    for first in range(0, len(examples), BATCH):
        batch = examples[first:first + BATCH]
        ids = padded([prompt for prompt, _, _ in batch], tokenizer.pad_token_id, left=True)
        mask = padded([[1] * len(prompt) for prompt, _, _ in batch], 0, left=True)
        with torch.no_grad():
            out = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=NEW_TOKENS, do_sample=False,
                                 pad_token_id=tokenizer.pad_token_id)
        texts = tokenizer.batch_decode(out[:, ids.shape[1]:], skip_special_tokens=True)
        scores += [normalised(text) == normalised(answer) for text, (_, _, answer) in zip(texts, batch)]
    return {"seconds": time.perf_counter() - begin, "exact_match": sum(scores) / len(scores),
            "tokens": sum(len(prompt) for prompt, _, _ in examples)}


def peak_memory():
    """Bytes; not resource.getrusage's, which for a child begins with what its parent held."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["train", "eval"])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("benchmark", type=pathlib.Path)
    parser.add_argument("place")
    parser.add_argument("--adapter")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(given.model / "tokenizer.json"))
    model = transformers.AutoModelForCausalLM.from_pretrained(given.model, dtype=torch.float32)
    tokenizer.eos_token_id = tokenizer.pad_token_id = model.config.eos_token_id
    if given.adapter:
        model = peft.PeftModel.from_pretrained(model, given.adapter)
    examples = list(examples_of(given.benchmark, given.place, {"train": "train", "eval": "test"}[given.what],
                                tokenizer))
    with torch.autocast("cpu", torch.bfloat16, enabled=given.precision == "bf16"):
        result = (train if given.what == "train" else score)(model, tokenizer, examples)
    result |= {"examples": len(examples), "torch": torch.__version__, "transformers": transformers.__version__,
               "peft": peft.__version__,
               "peak_memory_bytes": peak_memory()}
    print(json.dumps(result))
