#!/usr/bin/env bash
# slao generate: a prompt as an argument and the same one on standard input give the same text.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$SLAO_SOURCE/build/python/bin/python" "$SLAO_SOURCE/tests/make_small_model.py" "$work/model"
generate() { "$SLAO" generate --model "$work/model" --max-new-tokens 8 "$@"; }
generate 'the note about the water' >"$work/argument"
echo 'the note about the water' | generate >"$work/line"
printf 'the note about the water' | generate >"$work/bytes"
echo 'a boat in the harbour' | generate >"$work/other"
cmp "$work/argument" "$work/line"
cmp "$work/argument" "$work/bytes"
[ "$(wc -c <"$work/argument")" -gt 1 ] || { echo "nothing was written"; exit 1; }
cmp -s "$work/argument" "$work/other" && { echo "the prompt on standard input is not read"; exit 1; }
for bad in '' 'a\0b'; do
  code=0
  printf "$bad" | generate >"$work/out" 2>"$work/err" || code=$?
  [ $code -eq 2 ] && grep -q 'prompt' "$work/err" || { echo "exit code $code, not 2"; cat "$work/err"; exit 1; }
done

# An embedding of more rows than the tokenizer has tokens, as in Qwen2: the other logits are the same, the loss is over
# all rows, as in transformers, and an id without a token gives no text, as in tokenizers, but a note.
"$SLAO_SOURCE/build/python/bin/python" - "$work" "$SLAO" <<'PY'
import json
import pathlib
import shutil
import subprocess
import sys

import numpy
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

work, slao = pathlib.Path(sys.argv[1]), sys.argv[2]
prompt, rows = "the note about the water", 320  # of which the tokenizer has not all
tokenizer = Tokenizer.from_file(str(work / "model/tokenizer.json"))
ids = tokenizer.encode(prompt, add_special_tokens=False).ids + [0]
(work / "tokens.json").write_text(json.dumps({"sequences": [{"ids": ids, "answer_start": 1}]}))


def padded(name, extra):
    """The model with these rows below its embedding, which is the head too; what slao computes and writes with it."""
    shutil.copytree(work / "model", work / name)
    tensors = load_file(work / "model/model.safetensors")
    tensors["model.embed_tokens.weight"] = numpy.concatenate([tensors["model.embed_tokens.weight"], extra])
    save_file(tensors, work / name / "model.safetensors")
    config = json.loads((work / "model/config.json").read_text())
    (work / name / "config.json").write_text(json.dumps(config | {"vocab_size": rows + len(extra)}))
    subprocess.run([slao, "probe", "--model", work / name, "--tokens", work / "tokens.json", "-o", work / "out"],
                   check=True, stdout=subprocess.DEVNULL)
    return load_file(work / "out"), subprocess.run([slao, "generate", "--model", work / name, "--max-new-tokens", "8",
                                                    prompt], check=True, capture_output=True, text=True)


def loss_of(logits):
    logits = logits.astype(float)
    sums = numpy.log(numpy.exp(logits - logits.max(1, keepdims=True)).sum(1)) + logits.max(1)
    return (sums - logits[range(len(ids) - 1), ids[1:]]).mean()


embedding = load_file(work / "model/model.safetensors")["model.embed_tokens.weight"]
plain, text = padded("as-it-is", embedding[:0])
more_rows, same_text = padded("losing", numpy.float32(0.99) * embedding)
scale = numpy.abs(plain["logits"]).max()
assert more_rows["logits"].shape == (len(ids) - 1, 2 * rows), more_rows["logits"].shape
assert numpy.abs(more_rows["logits"][:, :rows] - plain["logits"]).max() < 1e-6 * scale
assert numpy.abs(more_rows["logits"][:, rows:] - 0.99 * plain["logits"]).max() < 1e-6 * scale
losses = more_rows["loss"], loss_of(more_rows["logits"]), plain["loss"]
assert abs(losses[0] / losses[1] - 1) < 1e-6 and losses[0] > losses[2] + 1e-3, losses
assert same_text.stdout == text.stdout and len(text.stdout) > 1 and not text.stderr, (text, same_text)

one = subprocess.run([slao, "generate", "--model", work / "model", "--max-new-tokens", "1", tokenizer.decode(ids[:1])],
                     check=True, capture_output=True, text=True)  # a prompt of one token
assert one.stdout == tokenizer.decode([plain["logits"][0].argmax()]) + "\n", one
none = subprocess.run([slao, "generate", "--model", work / "model", "--max-new-tokens", "0", prompt], check=True,
                      capture_output=True, text=True)
assert none.stdout == "\n", none
likeliest = int(plain["logits"][-1].argmax())
winning, nothing = padded("winning", 9 * embedding[likeliest:likeliest + 1])
assert winning["logits"][-1].argmax() == rows and tokenizer.decode([rows]) == ""
assert nothing.stdout == "\n" and "8 of the 8 tokens" in nothing.stderr and f"{tokenizer.get_vocab_size()} tokens" in nothing.stderr, nothing
PY
