"""Makes a folder of random bf16 weights in the shape of a published model, to measure memory and speed with:

    make_random_model.py llama-2-7b FOLDER [--layers N]

The values mean nothing (normal, of the usual spread, out of one block that is used again and again); nothing is
downloaded. The tokenizer is a small byte-level one: few of the embedding's rows are ever used."""

import argparse
import json
import pathlib

import numpy
import tokenizers

SHAPES = {  # as in the models' config.json
    "llama-2-7b": {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32,
                   "intermediate_size": 11008, "vocab_size": 32000, "tie_word_embeddings": False},
    "llama-3.2-3b": {"hidden_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 24, "num_key_value_heads": 8,
                     "intermediate_size": 8192, "vocab_size": 128256, "tie_word_embeddings": True},
}
SHARD = 5_000_000_000  # bytes
BLOCK = 1 << 24  # values


def tensors_of(config):
    hidden, wide, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    keys = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    yield "model.embed_tokens.weight", (vocabulary, hidden)
    for layer in range(config["num_hidden_layers"]):
        for name, *shape in (("input_layernorm", hidden), ("self_attn.q_proj", hidden, hidden),
                             ("self_attn.k_proj", keys, hidden), ("self_attn.v_proj", keys, hidden),
                             ("self_attn.o_proj", hidden, hidden), ("post_attention_layernorm", hidden),
                             ("mlp.gate_proj", wide, hidden), ("mlp.up_proj", wide, hidden),
                             ("mlp.down_proj", hidden, wide)):
            yield f"model.layers.{layer}.{name}.weight", tuple(shape)
    yield "model.norm.weight", (hidden,)
    if not config["tie_word_embeddings"]:
        yield "lm_head.weight", (vocabulary, hidden)


def bf16(values):
    return (values.astype(numpy.float32).view(numpy.uint32) >> 16).astype("<u2")


def write_shard(path, tensors, block):
    header, end = {}, 0
    for name, shape in tensors:
        begin, end = end, end + 2 * int(numpy.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in tensors:
            if len(shape) == 1:  # a norm
                bf16(numpy.ones(shape)).tofile(file)
                continue
            left, start = int(numpy.prod(shape)), len(name) * 7919 % BLOCK
            while left:
                part = block[start:start + left]
                part.tofile(file)
                left, start = left - len(part), 0


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("shape", choices=SHAPES)
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--layers", type=int, help="fewer than the model has")
arguments = parser.parse_args()
config = dict(SHAPES[arguments.shape])
if arguments.layers:
    config["num_hidden_layers"] = arguments.layers
folder = arguments.folder
folder.mkdir(parents=True, exist_ok=True)

shards, size = [[]], 0
for name, shape in tensors_of(config):
    size += 2 * int(numpy.prod(shape))
    if size > SHARD:
        shards, size = shards + [[]], 2 * int(numpy.prod(shape))
    shards[-1].append((name, shape))
block = bf16(numpy.random.default_rng(7).normal(0, 0.02, BLOCK))
weight_map = {}
for number, tensors in enumerate(shards, 1):
    file = f"model-{number:05}-of-{len(shards):05}.safetensors"
    write_shard(folder / file, tensors, block)
    weight_map |= {name: file for name, _ in tensors}
(folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))

(folder / "config.json").write_text(json.dumps(config | {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "max_position_embeddings": 4096,
    "rope_theta": 10000.0, "rms_norm_eps": 1e-5, "hidden_act": "silu", "bos_token_id": 0, "eos_token_id": 0}))
tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
tokenizer.decoder = tokenizers.decoders.ByteLevel()
tokenizer.train_from_iterator(
    ["a text that gives a few merges"], tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|end|>"], show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()))
tokenizer.save(str(folder / "tokenizer.json"))
(folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|end|>", "add_bos_token": False}))
