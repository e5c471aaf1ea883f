"""Makes a small random Llama with a byte-level tokenizer, for tests that run whole sweeps in seconds:
make_small_model.py FOLDER [LAYERS HIDDEN HEAD_DIM]. The weights come from numpy's seeded generator; nothing is downloaded."""

import json
import pathlib
import sys

import numpy
import tokenizers
from safetensors.numpy import save_file

LAYERS, HIDDEN, HEAD_DIM = map(int, sys.argv[2:] or (2, 48, 12))
HEADS, KV_HEADS, INTERMEDIATE, VOCABULARY = 4, 2, 96, 320

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
random = numpy.random.default_rng(7)


def weight(*shape):
    return random.normal(0, shape[-1] ** -0.5, shape).astype(numpy.float32)


tensors = {"model.embed_tokens.weight": random.normal(0, 1, (VOCABULARY, HIDDEN)).astype(numpy.float32),
           "model.norm.weight": numpy.ones(HIDDEN, numpy.float32)}
for layer in range(LAYERS):
    prefix = f"model.layers.{layer}."
    for norm in ("input_layernorm", "post_attention_layernorm"):
        tensors[f"{prefix}{norm}.weight"] = numpy.ones(HIDDEN, numpy.float32)
    for name, rows, columns in (
            ("self_attn.q_proj", HEADS * HEAD_DIM, HIDDEN), ("self_attn.k_proj", KV_HEADS * HEAD_DIM, HIDDEN),
            ("self_attn.v_proj", KV_HEADS * HEAD_DIM, HIDDEN), ("self_attn.o_proj", HIDDEN, HEADS * HEAD_DIM),
            ("mlp.gate_proj", INTERMEDIATE, HIDDEN), ("mlp.up_proj", INTERMEDIATE, HIDDEN),
            ("mlp.down_proj", HIDDEN, INTERMEDIATE)):
        tensors[f"{prefix}{name}.weight"] = weight(rows, columns)
save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

(folder / "config.json").write_text(json.dumps({
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": HEAD_DIM,
    "intermediate_size": INTERMEDIATE, "vocab_size": VOCABULARY, "max_position_embeddings": 1024,
    "rope_theta": 10000.0, "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": True,
    "bos_token_id": 0, "eos_token_id": 0}))

# Bytes, and the merges that a little text of ours gives: 1 + 256 + 63 tokens.
tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
tokenizer.decoder = tokenizers.decoders.ByteLevel()
tokenizer.train_from_iterator(
    ["the note about the water at the mill and the boat in the harbour, what is the answer? " * 3] * 20,
    tokenizers.trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=["<|end|>"], show_progress=False,
                                   initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()))
tokenizer.save(str(folder / "tokenizer.json"))
(folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|end|>", "add_bos_token": False}))
