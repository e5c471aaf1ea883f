"""The same weights in other files, given to `slao probe`: model_files.py WORK. Run by families.sh.

- one file and shards in any order of tensors give the same bits, and the same hash of the model;
- fp32 files that hold rounded bf16 (fp16) values give the same bits as bf16 (fp16) files;
- bf16 weights change logits and gradients by no more than their rounding explains."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy
from safetensors.numpy import load_file

work = pathlib.Path(sys.argv[1])
fixtures = pathlib.Path(os.environ["SLAO_SOURCE"]) / "tests/fixtures/families"
slao = os.environ["SLAO"]


def probe(folder, case):
    output = work / "probe.safetensors"
    subprocess.run([slao, "probe", "--model", folder, "--adapter", fixtures / case / "adapter", "--tokens",
                    fixtures / case / "tokens.json", "-o", output], check=True, stdout=subprocess.DEVNULL)
    return output.read_bytes()


def model_hash(folder):
    done = subprocess.run([slao, "inspect", "--json", folder], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["hash"]


def to_bf16(values):
    """The bits of fp32 values rounded to the nearest bf16, ties to even."""
    bits = values.view(numpy.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(numpy.uint16)


def from_bf16(bits):
    return (bits.astype(numpy.uint32) << 16).view(numpy.float32)


def write_safetensors(path, tensors, dtype):
    header, data = {}, b""
    for name, values in tensors.items():
        header[name] = {"dtype": dtype, "shape": values.shape, "data_offsets": [len(data), len(data) + values.nbytes]}
        data += values.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def write(folder, case, tensors, dtype, shards=1):
    """A folder with the config of the case and these tensors (bits of them, for bf16)."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in ("config.json", "generation_config.json"):
        shutil.copy(fixtures / case / name, folder)
    names, weight_map = sorted(tensors, reverse=True), {}
    for shard in range(shards):
        file = "model.safetensors" if shards == 1 else f"part {shard}.safetensors"
        held = {name: tensors[name] for name in names[shard::shards]}
        write_safetensors(folder / file, held, dtype)
        weight_map |= {name: file for name in held}
    if shards > 1:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder


fp32 = load_file(fixtures / "mistral/model.safetensors")
whole = probe(fixtures / "mistral", "mistral")
for shards in (1, 2, 5):
    folder = write(work / "shards", "mistral", fp32, "F32", shards)
    assert probe(folder, "mistral") == whole, f"{shards} shards compute other values"
    assert model_hash(folder) == model_hash(fixtures / "mistral"), f"{shards} shards have another hash"

rounded = {name: to_bf16(values) for name, values in fp32.items()}
narrow = probe(write(work / "bf16", "mistral", rounded, "BF16"), "mistral")
wide = probe(write(work / "wide", "mistral", {name: from_bf16(bits) for name, bits in rounded.items()}, "F32"), "mistral")
assert narrow == wide, "bf16 weights compute other values than the same numbers in fp32"
halves = {name: values.astype(numpy.float16) for name, values in fp32.items()}
narrow = probe(write(work / "fp16", "mistral", halves, "F16"), "mistral")
wide = probe(write(work / "wide", "mistral", {name: v.astype(numpy.float32) for name, v in halves.items()}, "F32"), "mistral")
assert narrow == wide, "fp16 weights compute other values than the same numbers in fp32"

# Rounding to bf16 (fp16) changes a weight by at most 2^-9 (2^-12) of itself. What two layers make of that, as a multiple:
LOGITS, GRADIENTS = 8, 32
for folder, rounding in ((work / "bf16", 2.0**-9), (work / "fp16", 2.0**-12)):
    save = work / "narrow.safetensors"
    save.write_bytes(probe(folder, "mistral"))
    ours = load_file(save)
    save.write_bytes(whole)
    expected = load_file(save)
    worst = {kind: max(float(numpy.linalg.norm(ours[name] - expected[name]) / numpy.linalg.norm(expected[name]))
                       for name in expected if name.startswith(kind)) for kind in ("logits", "grad.")}
    print(f"{folder.name} weights: logits change by {worst['logits']:.2g} (allowed {LOGITS * rounding:.2g}), "
          f"gradients by {worst['grad.']:.2g} (allowed {GRADIENTS * rounding:.2g})")
    assert 0 < worst["logits"] <= LOGITS * rounding and 0 < worst["grad."] <= GRADIENTS * rounding
