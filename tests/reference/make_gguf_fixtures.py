"""Makes the model files of tests/fixtures and the values that they must expand to. Needs gguf, safetensors,
torch and transformers (tests/run.sh --reference installs them); takes the path of the default model's GGUF file.

  expansion.gguf              one tensor of random blocks per type that slao reads
  expansion.safetensors       what the Python package gguf expands them to, written by the package safetensors
  tiny/                       a Llama of 2 layers with random weights in bf16, as transformers saves it
  tiny.gguf                   the same weights, rows of q and k in the order that llama.cpp's converter gives them
  default_model.safetensors   rows and columns of the default model as transformers loads it: "NAME:row:N" and
                              "NAME:column:N"
"""

import pathlib
import sys

import gguf
import numpy
import torch
import transformers
from safetensors.numpy import save_file

from gguf_layout import gguf_name, permute

fixtures = pathlib.Path(__file__).parent.parent / "fixtures"
random = numpy.random.default_rng(20260101)


def random_halves(count):
    """Finite fp16 numbers of all exponents, subnormals among them."""
    bits = random.integers(0, 1 << 16, size=count, dtype=numpy.uint16)
    bits[(bits & 0x7C00) == 0x7C00] &= 0xBFFF
    return bits


def random_blocks(kind, rows, columns):
    block, size = gguf.GGML_QUANT_SIZES[kind]
    data = random.integers(0, 256, size=(rows * columns // block, size), dtype=numpy.uint8)
    # where the fp16 scales of a block lie
    scales = {"Q4_1": (0, 2), "Q5_1": (0, 2), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}.get(kind.name, (0,))
    for at in scales:
        data[:, at : at + 2] = random_halves(len(data)).view(numpy.uint8).reshape(-1, 2)
    return data.reshape(rows, -1)


def make_expansion():
    writer = gguf.GGUFWriter(str(fixtures / "expansion.gguf"), "llama")
    writer.add_string("test.text", "grüß")
    writer.add_array("test.texts", ["a", "", "bc"])
    writer.add_array("test.integers", [3, -1, 1 << 20])
    writer.add_float64("test.real", 0.1)
    writer.add_bool("test.truth", True)
    writer.add_int8("test.negative", -5)
    writer.add_uint64("test.large", (1 << 64) - 1)
    expected = {}
    for name in "F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q4_K Q5_K Q6_K".split():
        kind = gguf.GGMLQuantizationType[name]
        if name == "F32":
            data = random.standard_normal((3, 256), dtype=numpy.float32)
            data[0, :4] = [0.0, -0.0, numpy.inf, -numpy.inf]
        elif name == "F16":
            data = random_halves(3 * 256).view(numpy.float16).reshape(3, 256)
            data[0, :4] = [0.0, -0.0, numpy.inf, -numpy.inf]
        elif name == "BF16":
            data = random.standard_normal((3, 256), dtype=numpy.float32).view(numpy.uint16)[:, 1::2].copy()
            data = data.view(numpy.uint8)
        else:
            data = random_blocks(kind, 3, 256)
        writer.add_tensor(name, data, raw_dtype=kind)
        expected[name] = gguf.quants.dequantize(data, kind).astype(numpy.float32).reshape(3, -1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(expected, fixtures / "expansion.safetensors", metadata={"made_by": "gguf"})


def make_tiny():
    config = transformers.LlamaConfig(
        vocab_size=24, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, rope_theta=5000.0, bos_token_id=1,
        eos_token_id=[2, 3], tie_word_embeddings=True)
    torch.manual_seed(20260101)
    model = transformers.LlamaForCausalLM(config).to(torch.bfloat16)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.add_(torch.randn_like(weight) / 4)
    model.generation_config.eos_token_id = [3, 2]
    model.save_pretrained(fixtures / "tiny")
    writer = gguf.GGUFWriter(str(fixtures / "tiny.gguf"), "llama")
    writer.add_block_count(2)
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_rope_freq_base(5000.0)
    writer.add_rope_dimension_count(8)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(3)
    writer.add_eot_token_id(2)
    for name, weight in model.named_parameters():
        bits = weight.detach().view(torch.int16).numpy()
        if "q_proj" in name or "k_proj" in name:
            bits = permute(bits, 4 if "q_proj" in name else 2)
        if bits.ndim == 1:
            writer.add_tensor(gguf_name(name), weight.detach().float().numpy())
        else:
            writer.add_tensor(gguf_name(name), bits.copy().view(numpy.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make_default(path):
    model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    state = model.state_dict()
    layers = "model.layers."
    rows = [("model.embed_tokens.weight", 0), ("model.embed_tokens.weight", 49151)]
    rows += [(f"{layers}{layer}.self_attn.{module}_proj.weight", row)
             for layer in (0, 29) for module, row in (("q", 33), ("k", 190), ("v", 1), ("o", 575))]
    rows += [(f"{layers}17.mlp.{module}_proj.weight", 300) for module in ("gate", "up", "down")]
    columns = [(f"{layers}{layer}.self_attn.{module}_proj.weight", 5) for layer in (3, 28) for module in ("q", "k")]
    values = {f"{name}:row:{row}": state[name][row].numpy() for name, row in rows}
    values |= {f"{name}:column:{column}": state[name][:, column].numpy().copy() for name, column in columns}
    values |= {f"{name}:row:0": state[name].numpy() for name in ("model.norm.weight", f"{layers}9.input_layernorm.weight")}
    save_file(values, fixtures / "default_model.safetensors")


make_expansion()
make_tiny()
make_default(pathlib.Path(sys.argv[1]))
