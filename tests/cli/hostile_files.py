"""Files of models, tokenizers and adapters made to harm, through the program: hostile_files.py WORK. Run by
hostile_files.sh.

Each must be refused with exit code 2 and a message that names the file and the place (a byte, a key, a tensor), within a
limit of memory and time that a good model of this size stays far below. Files that claim much are sparse: the program is
given every chance to believe them."""

import json
import os
import pathlib
import resource
import shutil
import struct
import subprocess
import sys

work = pathlib.Path(sys.argv[1])
slao = os.environ["SLAO"]
tiny = pathlib.Path(os.environ["SLAO_SOURCE"]) / "tests/fixtures/tiny"
tiny_adapter = pathlib.Path(os.environ["SLAO_SOURCE"]) / "tests/fixtures/tiny-llama/adapter"
MEMORY, SECONDS = 1 << 30, 60
sanitized = b"__asan_init" in pathlib.Path(slao).read_bytes()
options = os.environ.get("ASAN_OPTIONS", "") + f":max_allocation_size_mb={MEMORY >> 20}"
refused, faults = 0, []


def limit():
    """What a process may allocate; the sanitizer, whose own memory does not fit in it, has an option for the same."""
    if not sanitized:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def run(path, command=("inspect",)):
    try:
        return subprocess.run([slao, *command, path], capture_output=True, text=True, errors="replace", timeout=SECONDS,
                              stdin=subprocess.DEVNULL, preexec_fn=limit, env=os.environ | {"ASAN_OPTIONS": options})
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess([], None, "", f"no end within {SECONDS} s")


def refuse(what, path, *words, command=("inspect",)):
    global refused
    done = run(path, command)
    found = [f"exit code {done.returncode}, not 2"] * (done.returncode != 2)
    found += [f'no "{word}"' for word in words if word not in done.stderr]
    found += ["results on stdout"] * bool(done.stdout) + ["a message without end"] * (len(done.stderr) > 2000)
    if found:
        faults.append(f"{what}: {', '.join(found)}: {done.stderr[:300]}")
    refused += 1


def folder(name, config=None, weights=None, index=None, shards=()):
    """A copy of the tiny model, with some of its files replaced by these bytes."""
    path = work / name
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(tiny, path)
    if index is not None:
        (path / "model.safetensors").unlink()
        (path / "model.safetensors.index.json").write_bytes(index)
    for file, data in [("config.json", config), ("model.safetensors", weights), *shards]:
        if data is not None:
            (path / file).write_bytes(data)
    return path


def sparse(path, size):
    with open(path, "r+b") as file:
        file.truncate(size)


good = (tiny / "model.safetensors").read_bytes()
header_size = int.from_bytes(good[:8], "little")
header, data = json.loads(good[8:8 + header_size]), good[8 + header_size:]
names = [name for name in header if name != "__metadata__"]
first = min(names, key=lambda name: header[name]["data_offsets"])
done = run(tiny)
assert done.returncode == 0, done.stderr


def safetensors(text, size=None):
    text = text if isinstance(text, bytes) else json.dumps(text).encode()
    return (len(text) if size is None else size).to_bytes(8, "little") + text + data


def changed(name=first, **values):
    return safetensors({key: value | values if key == name else value for key, value in header.items()})


def pairs(text_pairs):
    """An object in which keys may come twice."""
    return ("{" + ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in text_pairs) + "}").encode()


DEEP = 1_000_000
MANY = b",".join([b"0"] * 10_000_000)  # 20 MB that a JSON reader makes a gigabyte of
begin, end = header[first]["data_offsets"]
for what, weights, words in [
    ("an empty file", b"", ["model.safetensors"]),
    ("seven bytes", good[:7], ["truncated"]),
    ("a header longer than the file", safetensors(header, 10 * len(good)), ["byte 0", "truncated"]),
    ("a header of 2^64 - 1 bytes", safetensors(header, 2**64 - 1), ["byte 0"]),
    ("a header of 2^63 bytes", safetensors(header, 2**63), ["byte 0"]),
    ("a header cut in its middle", safetensors(header, header_size // 2), ["model.safetensors:"]),
    ("a header of nothing", safetensors(b""), ["model.safetensors:1:1"]),
    ("a header that is a list", safetensors(b"[]"), ["byte 8"]),
    ("lists a million deep", safetensors(b"[" * DEEP), ["model.safetensors:1:501", "deep"]),
    ("objects a million deep", safetensors(b'{"a":' * DEEP + b"1" + b"}" * DEEP), ["model.safetensors:1:2501", "deep"]),
    ("a header of zeros", safetensors(bytes(64)), ["zero byte at 0"]),
    ("a header that is no UTF-8", safetensors(b'{"\xff\xfe":\x80}'), ["model.safetensors:1:"]),
    ("two tensors of a name", safetensors(pairs([*header.items(), (first, header[first])])), [first, "twice"]),
    ("two metadata", safetensors(pairs([("__metadata__", {}), *header.items()])), ["__metadata__", "twice"]),
    ("a key twice in a tensor", safetensors(json.dumps(header).replace('"dtype"', '"dtype": "BF16", "dtype"', 1).encode()),
     ["dtype", "twice"]),
    ("metadata that is no text", safetensors(header | {"__metadata__": {"a": [1]}}), ["__metadata__"]),
    ("offsets that overlap", changed(data_offsets=[begin + 2, end + 2]), ["begins at byte"]),
    ("offsets into the next tensor", changed(names[-1], data_offsets=[begin, end]), ["tensor"]),
    ("offsets beyond the file", changed(data_offsets=[2**40, 2**40 + end - begin]), [first, "do not lie within"]),
    ("negative offsets", changed(data_offsets=[-2, end - begin - 2]), [first, "do not lie within"]),
    ("offsets backwards", changed(data_offsets=[end, begin]), [first, "do not lie within"]),
    ("offsets of 1e300", changed(data_offsets=[0, 1e300]), [first, "whole number"]),
    ("no offsets", changed(data_offsets=[]), [first, "do not lie within"]),
    ("a negative shape", changed(shape=[-1, -1]), [first, "negative"]),
    ("a shape that overflows", changed(shape=[2**32, 2**32]), [first, "counted"]),
    ("a shape that overflows to what is there", changed(shape=[2**53, 2**11, 24, 32]), [first]),
    ("a shape of 1e300", changed(shape=[1e300]), [first, "whole number"]),
    ("a shape of a hundred thousand numbers", changed(shape=[1] * 100_000), [first, "more than 4"]),
    ("a shape of texts", changed(shape=["24", "32"]), [first, "whole number"]),
    ("no rows", changed(shape=[0, 32], data_offsets=[begin, begin]), ["model.safetensors"]),
    ("a type of a megabyte", changed(dtype="F" * 1_000_000), [first, "type F"]),
    ("an unknown type", changed(dtype="I64"), [first, "I64"]),
    ("half the data", safetensors(header)[:-len(data) // 2], ["truncated"]),
    ("data to spare", safetensors(header) + b"more", ["bytes of data"]),
    ("a hundred thousand tensors of nothing", safetensors(header | {f"t{i}": {
        "dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(100_000)}), ["is not part of"]),
    ("a name of a megabyte", safetensors(header | {"n" * 1_000_000: {
        "dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}), ["nnn", "is not part of"]),
    ("ten million numbers", safetensors(b'{"a":[' + MANY + b"]}"), ["model.safetensors", "values"]),
]:
    refuse(f"safetensors, {what}", folder("weights", weights=weights), *words)
path = folder("weights", weights=(99_999_999).to_bytes(8, "little"))
sparse(path / "model.safetensors", 1 << 40)
refuse("safetensors, a header of 10^8 zeros in a file of a terabyte", path, "zero byte at 0")

config = json.loads((tiny / "config.json").read_bytes())
for what, text, words in [
    ("nothing", b"", ["config.json:1:1"]),
    ("a list", b"[]", ["config.json", "object"]),
    ("lists a million deep", b"[" * DEEP, ["config.json:1:501", "deep"]),
    ("deep in an unknown key", b'{"a":' + b'{"b":[' * DEEP, ["config.json:1:", "deep"]),
    ("ten million numbers", b'{"a":[' + MANY + b"]}", ["config.json", "values"]),
    ("a key twice", json.dumps(config).replace('"hidden_size"', '"hidden_size": 32, "hidden_size"').encode(),
     ["hidden_size is given twice"]),
    ("layers of 1e18", json.dumps(config | {"num_hidden_layers": 10**18}).encode(), ["num_hidden_layers"]),
    ("a thousand million layers", json.dumps(config | {"num_hidden_layers": 10**9}).encode(), ["number of layers"]),
    ("heads of 2^40", json.dumps(config | {"head_dim": 2**40}).encode(), ["size of a head"]),
    ("no heads", json.dumps(config | {"num_attention_heads": 0}).encode(), ["num_attention_heads"]),
    ("infinite RoPE", json.dumps(config).replace("5000.0", "1e999").encode(), ["RoPE"]),
    ("a vocabulary of -1", json.dumps(config | {"vocab_size": -1}).encode(), ["vocab_size"]),
    ("a family of a megabyte", json.dumps(config | {"model_type": "m" * 1_000_000}).encode(), ["model_type"]),
    ("an activation of a megabyte", json.dumps(config | {"hidden_act": "m" * 1_000_000}).encode(), ["hidden_act"]),
    ("a RoPE of a megabyte", json.dumps(config | {"rope_parameters": {"rope_type": "m" * 1_000_000}}).encode(),
     ["rope_parameters.rope_type"]),
]:
    refuse(f"config.json, {what}", folder("config", config=text), *words)
path = folder("config", config=b"{")
sparse(path / "config.json", 1 << 40)
refuse("config.json, a terabyte", path, "config.json", "too many")
path = folder("config")
(path / "generation_config.json").write_bytes(b'{"eos_token_id":' + b"[" * DEEP)
refuse("generation_config.json, lists a million deep", path, "generation_config.json:1:", "deep")

one = {name: "a.safetensors" for name in names}
shard = ("a.safetensors", good)
secret = work / "secret.safetensors"
secret.write_bytes(good)
for what, index, shards, words in [
    ("nothing", b"", [], ["index.json:1:1"]),
    ("no map", b"{}", [], ["weight_map"]),
    ("an empty map", {"weight_map": {}}, [], ["weight_map is empty"]),
    ("a map that is a list", {"weight_map": [1]}, [], ["weight_map"]),
    ("a shard that is a number", {"weight_map": one | {first: 3}}, [shard], ["weight_map", first]),
    ("a shard above the folder", {"weight_map": dict.fromkeys(names, "../secret.safetensors")}, [], ["../secret", "weight_map"]),
    ("a shard by its full path", {"weight_map": dict.fromkeys(names, str(secret))}, [], ["weight_map"]),
    ("a shard below", {"weight_map": dict.fromkeys(names, "b/../../secret.safetensors")}, [], ["weight_map"]),
    ("..", {"weight_map": dict.fromkeys(names, "..")}, [], ["weight_map"]),
    ("a shard without a name", {"weight_map": dict.fromkeys(names, "")}, [], ["weight_map"]),
    ("a shard with a name of a megabyte", {"weight_map": dict.fromkeys(names, "n" * 1_000_000)}, [], ["nnn"]),
    ("a shard that is missing", {"weight_map": one}, [], ["a.safetensors"]),
    ("a shard that is no such file", {"weight_map": one}, [("a.safetensors", b"[" * 100)], ["a.safetensors", "byte 0"]),
    ("a tensor that is missing", {"weight_map": one | {"more": "a.safetensors"}}, [shard], ["tensor more is missing"]),
    ("a tensor that the map lacks", {"weight_map": {name: "a.safetensors" for name in names[1:]}}, [shard],
     [names[0], "is not among"]),
    ("a tensor twice", pairs([("weight_map", one)]).replace(b'"model.norm.weight"',
                                                           b'"model.norm.weight": "a.safetensors", "model.norm.weight"'),
     [shard], ["model.norm.weight", "twice"]),
    ("a tensor in two shards", pairs([("weight_map", one)]).replace(
        b'"model.norm.weight"', b'"model.norm.weight": "b.safetensors", "model.norm.weight"'),
     [shard, ("b.safetensors", good)], ["b.safetensors", "is not among"]),
    ("lists a million deep", b'{"weight_map":' + b"[" * DEEP, [], ["index.json:1:", "deep"]),
]:
    index = index if isinstance(index, bytes) else json.dumps(index).encode()
    refuse(f"index, {what}", folder("index", index=index, shards=shards), *words)


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(value)) + value


def gguf(n_tensors, n_keys, rest=b"", version=3):
    return b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_keys) + rest


def tensor(name, shape, kind=0, offset=0):
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


ARRAY, TEXT, U8 = 9, 8, 0
file = work / "hostile.gguf"
for what, contents, size, words in [
    ("10^9 tensors", gguf(10**9, 0), 0, ["byte 8", "1000000000"]),
    ("10^9 tensors in a terabyte", gguf(10**9, 0), 1 << 40, ["byte 8", "1000000000"]),
    ("2^64 - 1 tensors", gguf(2**64 - 1, 0), 1 << 40, ["byte 8"]),
    ("10^9 keys in a terabyte", gguf(0, 10**9), 1 << 40, ["byte 16", "1000000000"]),
    ("a million tensors in a terabyte", gguf(10**6, 0), 1 << 40, ["byte 24", "empty"]),
    ("a key of 2^63 bytes", gguf(0, 1, struct.pack("<Q", 2**63)), 100, ["byte 32"]),
    ("a key of a gigabyte of zeros", gguf(0, 1, struct.pack("<Q", 1 << 33)), 1 << 40, ["byte 32"]),
    ("10^10 texts in a terabyte", gguf(0, 1, text("k") + struct.pack("<IIQ", ARRAY, TEXT, 10**10)), 1 << 40, ["k:"]),
    ("10^10 bytes in a terabyte", gguf(0, 1, text("k") + struct.pack("<IIQ", ARRAY, U8, 10**10)), 1 << 40, ["k:"]),
    ("a text of 10^12 bytes", gguf(0, 1, text("k") + struct.pack("<IQ", TEXT, 10**11)), 1 << 40, ["k:"]),
    ("arrays of arrays", gguf(0, 1, text("k") + struct.pack("<IIQ", ARRAY, ARRAY, 3) * 100_000), 0, ["key k"]),
    ("a shape that overflows", gguf(1, 0, tensor("t", [2**32, 2**32])), 0, ["tensor t", "counted"]),
    ("a shape that overflows in bytes", gguf(1, 0, tensor("t", [2**31, 2**31])), 0, ["tensor t"]),
    ("a negative shape", gguf(1, 0, tensor("t", [2**64 - 1])), 0, ["tensor t", "negative"]),
    ("a hundred dimensions", gguf(1, 0, tensor("t", [1] * 100)), 0, ["tensor t", "100 dimensions"]),
    ("an offset beyond the file", gguf(1, 0, tensor("t", [8], offset=2**63)), 0, ["tensor t", "beyond"]),
    ("an offset that overflows", gguf(1, 0, tensor("t", [8], offset=2**64 - 32)), 0, ["tensor t", "beyond"]),
    ("tensors that overlap", gguf(2, 0, tensor("t", [8]) + tensor("u", [8])) + bytes(128), 0, ["within what another"]),
    ("a name twice", gguf(2, 0, tensor("t", [8]) + tensor("t", [8], offset=32)) + bytes(128), 0, ["tensor t", "twice"]),
    ("a key twice", gguf(0, 2, (text("k") + struct.pack("<IB", U8, 1)) * 2), 0, ["key k", "twice"]),
    ("an architecture of a megabyte", gguf(0, 1, text("general.architecture") + struct.pack("<I", TEXT) + text("m" * 10**6)),
     0, ["general.architecture"]),
]:
    file.write_bytes(contents)
    sparse(file, max(size, len(contents)))
    refuse(f"GGUF, {what}", file, "hostile.gguf", *words)

TOKENIZE = ("tokenize", "--model")
bpe = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}
tokenizer = {"model": bpe, "decoder": {"type": "Fuse"}}
path = work / "tokenizer"
path.mkdir()
config_file, tokenizer_file = path / "tokenizer_config.json", path / "tokenizer.json"
tokenizer_file.write_text(json.dumps(tokenizer))
assert run(path, TOKENIZE).returncode == 0, run(path, TOKENIZE).stderr


def with_model(**values):
    return tokenizer | {"model": bpe | values}


for what, text_of_file, words in [
    ("nothing", b"", [":1:1"]),
    ("a list", b"[]", ["object"]),
    ("lists a million deep", b"[" * DEEP, [":1:501", "deep"]),
    ("ten million numbers", b'{"a":[' + MANY + b"]}", ["values"]),
    ("no UTF-8", b'{"model":"\xff"}', ["byte 10"]),
    ("a zero character", b'{"model":"\\u0000"}', ["zero character", "byte 10"]),
    ("an id of 2^40", with_model(vocab={"a": 0, "b": 2**40}), ["model.vocab", "1099511627776"]),
    ("a negative id", with_model(vocab={"a": -1}), ["model.vocab", "-1"]),
    ("an id twice", with_model(vocab={"a": 0, "b": 0}), ["model.vocab", "twice"]),
    ("a merge of what is no token", with_model(merges=["a c"]), ["model.merges", '"c"']),
    ("a merge of a megabyte", with_model(merges=["a " + "c" * 1_000_000]), ["model.merges", "ccc"]),
    ("merges in lists", with_model(merges=[[["a"], "b"]]), ["model.merges"]),
    ("a type of a megabyte", with_model(type="B" * 1_000_000), ["model", "BBB"]),
    ("a pre-tokenizer of a megabyte", tokenizer | {"pre_tokenizer": {"type": "B" * 1_000_000}}, ["pre_tokenizer", "BBB"]),
    ("an expression of a megabyte", tokenizer | {"pre_tokenizer": {
        "type": "Split", "pattern": {"Regex": "(" * 1_000_000}, "behavior": "Isolated", "invert": False}}, ["regular"]),
    ("an added token of id 2^40", tokenizer | {"added_tokens": [dict.fromkeys(
        ["single_word", "lstrip", "rstrip", "normalized", "special"], False) | {"id": 2**40, "content": "c"}]},
     ["added_tokens", "1099511627776"]),
]:
    tokenizer_file.write_bytes(text_of_file if isinstance(text_of_file, bytes) else json.dumps(text_of_file).encode())
    refuse(f"tokenizer.json, {what}", path, "tokenizer.json", *words, command=TOKENIZE)
sparse(tokenizer_file, 1 << 40)
refuse("tokenizer.json, a terabyte", path, "tokenizer.json", "too many", command=TOKENIZE)
tokenizer_file.write_text(json.dumps(tokenizer))
for what, contents, size, words in [("a terabyte", b"{", 1 << 40, ["too many"]), ("a list", b"[]", 0, ["object"]),
                                    ("lists a million deep", b"[" * DEEP, 0, ["deep"])]:
    config_file.write_bytes(contents)
    sparse(config_file, max(size, len(contents)))
    refuse(f"tokenizer_config.json, {what}", path, "tokenizer_config.json", *words, command=TOKENIZE)


def scored(tokens):
    """The metadata of SentencePiece's tokenizer: names, scores, and types, all normal."""
    count = struct.pack("<Q", len(tokens))
    return gguf(0, 4, text("tokenizer.ggml.model") + struct.pack("<I", TEXT) + text("llama") +
                text("tokenizer.ggml.tokens") + struct.pack("<II", ARRAY, TEXT) + count + b"".join(map(text, tokens)) +
                text("tokenizer.ggml.scores") + struct.pack("<II", ARRAY, 6) + count + bytes(4 * len(tokens)) +
                text("tokenizer.ggml.token_type") + struct.pack("<II", ARRAY, 5) + count +
                struct.pack(f"<{len(tokens)}i", *[1] * len(tokens)))


file.write_bytes(scored(["a", "b"]))
assert run(file, TOKENIZE).returncode == 0, run(file, TOKENIZE).stderr
file.write_bytes(scored(["a", "b", "ab" * 8_000_000]))
refuse("GGUF, a token of 16 MB that may be put together in as many ways", file, "token 2", command=TOKENIZE)
file.write_bytes(scored(["a", "a"]))
refuse("GGUF, a token twice", file, "tokenizer.ggml.tokens", "twice", command=TOKENIZE)

adapter_config = json.loads((tiny_adapter / "adapter_config.json").read_text()) | {"target_modules": ["q_proj"]}
SITE = "base_model.model.model.layers.{}.self_attn.q_proj.lora_{}.weight"


def adapter(tensors, **changes):
    """An adapter folder whose tensors are zeros of these shapes."""
    head, at = {}, 0
    for name, shape in tensors.items():
        size = 4 * (shape[0] * shape[1])
        head[name], at = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}, at + size
    text_of_head = json.dumps(head).encode()
    folder_of_adapter = work / "adapter"
    folder_of_adapter.mkdir(exist_ok=True)
    (folder_of_adapter / "adapter_config.json").write_text(json.dumps(adapter_config | changes))
    (folder_of_adapter / "adapter_model.safetensors").write_bytes(
        len(text_of_head).to_bytes(8, "little") + text_of_head + bytes(at))
    return folder_of_adapter


def site(layer, rank, d_out=32, d_in=32, b_rank=None):
    return {SITE.format(layer, "A"): [rank, d_in], SITE.format(layer, "B"): [d_out, rank if b_rank is None else b_rank]}


assert run(adapter(site(0, 4))).returncode == 0, run(adapter(site(0, 4))).stderr
for what, tensors, changes, words in [
    ("a rank of 10^9", site(0, 4), {"r": 10**9}, ["adapter_config.json: r"]),
    ("a rank that the tensors do not have", site(0, 4), {"r": 65536}, ["lora_A", "65536 x 32"]),
    ("a module of 2^52 columns", site(0, 0, d_in=2**52), {}, ["lora_A", "4 x 4503599627370496"]),
    # the second module would take 1 x 2^64 - 200 values, and so both together less than the first
    ("sizes that add up to less", site(0, 4) | site(1, 0, d_out=6992700558646532, d_in=6992700558646532),
     {"rank_pattern": {"layers.1.self_attn.q_proj": 1319}}, ["layers.1", "lora_A"]),
    ("a B of no columns", site(0, 4, b_rank=0), {}, ["lora_B", "32 x 4"]),
    ("layers of 10^12", site(10**12, 4), {}, ["target_modules names no linear layer"]),
    ("fifty thousand layers", {k: v for i in range(50_000) for k, v in site(i, 1, 1, 1).items()}, {"r": 1}, ["belongs to no module"]),
    ("an alpha beyond numbers", site(0, 4), {"lora_alpha": float("1e308") * 10}, ["lora_alpha"]),
    ("an alpha of a pattern beyond numbers", site(0, 4), {"alpha_pattern": {"q_proj": float("1e308") * 10}}, ["alpha_pattern"]),
    ("an expression that never ends", site(0, 4), {"target_modules": "(\\w+.?)*\\.\\."}, ["pattern"]),
    ("an expression of a megabyte", site(0, 4), {"target_modules": "(" * 1_000_000}, ["target_modules"]),
    ("a key of a megabyte", site(0, 4), {"n" * 1_000_000: 1}, ["nnn"]),
    ("a value of a megabyte", site(0, 4), {"use_dora": "n" * 1_000_000}, ["use_dora"]),
]:
    path = adapter(tensors, **changes)
    fixed = (path / "adapter_config.json").read_text().replace("Infinity", "1e999")
    (path / "adapter_config.json").write_text(fixed)
    refuse(f"adapter, {what}", path, *words)
for what, contents, size, words in [("a terabyte", b"{", 1 << 40, ["too many"]), ("a list", b"[]", 0, ["object"]),
                                    ("lists a million deep", b"[" * DEEP, 0, ["deep"]),
                                    ("eight million numbers", b'{"a":[' + MANY[:16_000_000] + b"0]}", 0, ["values"])]:
    path = adapter(site(0, 4))
    (path / "adapter_config.json").write_bytes(contents)
    sparse(path / "adapter_config.json", max(size, len(contents)))
    refuse(f"adapter_config.json, {what}", path, "adapter_config.json", *words)

print("\n".join(faults), f"{refused - len(faults)} of {refused} files refused as they should be", sep="\n")
sys.exit(bool(faults))
