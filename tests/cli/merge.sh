#!/usr/bin/env bash
# slao merge on PEFT folders: what it writes is the merged change by numpy, the truncation error it prints is that of
# the SVD, fp16 and bf16 adapters are read, and what cannot be merged is refused with exit code 2.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=$SLAO_SOURCE/build/python/bin/python
tiny=$SLAO_SOURCE/tests/fixtures/tiny-llama
cp -r "$tiny/adapter" "$work/one"
cat >"$work/tools.py" <<'PY'
import json
import pathlib
import struct
import sys

import numpy
from safetensors.numpy import load_file, save_file

work = pathlib.Path(sys.argv[1])


def config(folder):
    return json.loads((work / folder / "adapter_config.json").read_text())


def changes(folder):
    """s B A of every module; ranks and alphas by module where patterns say so."""
    tensors, said, out = load_file(work / folder / "adapter_model.safetensors"), config(folder), {}
    for name in tensors:
        if name.endswith("lora_A.weight"):
            module = name.removesuffix(".lora_A.weight")
            short = module.removeprefix("base_model.model.")
            a, b = tensors[name].astype(float), tensors[module + ".lora_B.weight"].astype(float)
            rank = said.get("rank_pattern", {}).get(short, said["r"])
            assert a.shape[0] == b.shape[1] == rank, (name, a.shape, rank)
            out[module] = said.get("alpha_pattern", {}).get(short, said["lora_alpha"]) / rank * (b @ a)
    return out


def make(folder, like, rank, alpha, seed, keep=lambda name: True, width=0):
    random = numpy.random.default_rng(seed)
    tensors = {}
    for name, x in load_file(work / like / "adapter_model.safetensors").items():
        shape = (rank, x.shape[1] + width) if "lora_A" in name else (x.shape[0], rank)
        if keep(name):
            tensors[name] = random.normal(0, 0.2, shape).astype(numpy.float32)
    said = config(like) | {"r": rank, "lora_alpha": alpha}
    said["target_modules"] = [module for module in said["target_modules"] if keep(module)]
    (work / folder).mkdir()
    (work / folder / "adapter_config.json").write_text(json.dumps(said))
    save_file(tensors, work / folder / "adapter_model.safetensors")


def difference(x, y):
    assert x.keys() == y.keys()
    return (sum(((x[k] - y[k]) ** 2).sum() for k in x) / sum((y[k] ** 2).sum() for k in y)) ** 0.5
PY
cat >"$work/make.py" <<'PY'
from tools import *

make("two", "one", 3, 6, 1)
make("three", "one", 5, 20, 2)
make("fewer", "one", 4, 8, 3, keep=lambda name: "k_proj" not in name)
make("wider", "one", 4, 8, 4, width=1)
tensors = load_file(work / "two/adapter_model.safetensors")
for folder in ("half", "brain"):
    (work / folder).mkdir()
    (work / folder / "adapter_config.json").write_text(json.dumps(config("two")))
save_file({k: x.astype(numpy.float16) for k, x in tensors.items()}, work / "half/adapter_model.safetensors")
# bf16 is the upper half of fp32; numpy has no such type, so the file is written by hand
header, data = {}, b""
for name, x in tensors.items():
    values = (x.view(numpy.uint32) >> 16).astype(numpy.uint16).tobytes()
    header[name] = {"dtype": "BF16", "shape": list(x.shape), "data_offsets": [len(data), len(data) + len(values)]}
    data += values
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
(work / "brain/adapter_model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
PY
cd "$work"
"$python" make.py "$work"
merge() { "$SLAO" merge "$@"; }

merge --rule average one two three -o average >average.txt
merge --rule average one two three --rank 4 -o cut >cut.txt
merge --rule task-arithmetic --option scale=0.5 one two -o sum >/dev/null
merge --rule ties --option density=0.3 one two three -o ties >ties.txt
merge --rule ties --option density=0.3 ties --rank 2 -o small >/dev/null
merge --rule average half -o from-half >/dev/null
merge --rule average brain -o from-brain >/dev/null
merge --rule asymmetric --lambda 0.25 one one -o same >/dev/null
merge --rule dare --seed 1 one two -o dare1 >/dev/null
merge --rule dare --seed 1 one two -o dare2 >/dev/null
cmp dare1/adapter_model.safetensors dare2/adapter_model.safetensors
"$SLAO" probe --model "$tiny" --adapter ties --tokens "$tiny/tokens.json" -o probe.safetensors >/dev/null
cat >check.py <<'PY'
import re

from tools import *

one, two, three = (changes(name) for name in ("one", "two", "three"))
mean = {k: (one[k] + two[k] + three[k]) / 3 for k in one}
assert difference(changes("average"), mean) < 1e-6
assert config("average")["r"] == 4 + 3 + 5, config("average")
nearest, lost, whole, worst = {}, 0, 0, 0
for k, x in mean.items():
    u, s, vt = numpy.linalg.svd(x, full_matrices=False)
    nearest[k] = u[:, :4] * s[:4] @ vt[:4]
    lost, whole = lost + (s[4:] ** 2).sum(), whole + (s ** 2).sum()
    worst = max(worst, ((s[4:] ** 2).sum() / (s ** 2).sum()) ** 0.5)
assert difference(changes("cut"), nearest) < 1e-5 and config("cut")["r"] == 4
printed = re.search(r"truncation +error (\S+) of the norm; at most (\S+), in layer (\d), (\w+)", open("cut.txt").read())
assert abs(float(printed[1]) - (lost / whole) ** 0.5) < 1e-3, (printed[0], lost, whole)
assert abs(float(printed[2]) - worst) < 1e-3, printed[0]
assert difference(changes("sum"), {k: (one[k] + two[k]) / 2 for k in one}) < 1e-6
for folder in ("from-half", "from-brain"):
    error = difference(changes(folder), two)
    assert 1e-5 < error < (1e-3 if folder == "from-half" else 1e-2), (folder, error)
assert difference(changes("same"), one) < 1e-6
assert "rank         16 to 32" in open("ties.txt").read(), open("ties.txt").read()
assert "truncation   none" in open("ties.txt").read()
merged = changes("ties")
assert all(numpy.linalg.matrix_rank(x) > 12 for x in merged.values())  # beyond what all pairs together have
print("merged adapters are what numpy makes of them")
PY
"$python" check.py "$work"

n_refused=0
refused() { # WORDS ARGUMENTS...: exit code 2, the words in the message, no folder left
  local words=$1 code=0
  shift
  merge "$@" -o "$work/refused" >stdout 2>stderr || code=$?
  [ $code -eq 2 ] || { echo "exit code $code, not 2: merge $*"; cat stderr; exit 1; }
  grep -qF -- "$words" stderr || { echo "no \"$words\" in the message of: merge $*"; cat stderr; exit 1; }
  [ ! -e "$work/refused" ] || { echo "a refused merge left a folder: merge $*"; exit 1; }
  n_refused=$((n_refused + 1))
}
refused 'did you mean "average"' --rule averag one two
refused '--rule is missing' one two
refused 'too few arguments' --rule average
refused 'has no option "densty"; did you mean "density"' --rule ties --option densty=1 one
refused 'must be key=value' --rule ties --option density one
refused 'between 0.0001 and 1' --rule ties --option density=0 one
refused 'space cannot be "delt"' --rule ties --option space=delt one
refused 'must lie in [0, 1]' --rule asymmetric --lambda 1.5 one one
refused '"cosine" depends on more than i' --rule asymmetric --lambda cosine one one
refused '"validation" depends on more than i' --rule asymmetric --lambda validation one one
refused 'is no schedule' --rule asymmetric --lambda '1/i^2' one one
refused '--lambda means nothing to the rule average' --rule average --lambda 0.5 one two
refused 'has rank 3 in adapter 2, 4 in the first' --rule asymmetric one two
refused 'rank 4' --rule ties --option space=factors two one
refused 'between 1 and 16' --rule average --rank 17 one two
refused 'between 1 and' --rule average --rank 0 one two
refused 'adapter 2 has' --rule average one fewer
refused 'they are not of the same model' --rule average one wider
refused 'adapter 2: ' --rule average one nothing
rm two/adapter_model.safetensors
refused 'adapter_model.safetensors' --rule average one two
touch two/adapter_model.bin
refused 'save_pretrained' --rule average one two
echo "$n_refused refused"
