"""Makes the tiny random models of tests/fixtures, and what transformers and peft compute with them in fp32, one sequence
at a time: loss, logits, and the gradients of a LoRA adapter on every linear module.

    tiny-llama/            a Llama, with three AdamW steps
    families/NAME/         one model for each thing that a family or a file can have: see `families` below
    families/NAME.gguf     the same weights as llama.cpp's converter lays them out, for some
    rope.safetensors       RoPE's frequencies of real models, and cosines and sines far into a text

Run in an environment with torch, transformers, peft and gguf (tests/run.sh --reference makes one); the versions are in
the metadata of expected.safetensors.
    python tests/reference/make_tiny_models.py tests/fixtures
"""

import json
import math
import pathlib
import shutil
import sys

import gguf
import numpy
import peft
import safetensors.torch
import torch
import transformers

from gguf_layout import gguf_name, permute

MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
VERSIONS = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}


def random_model(config, deviation):
    """Normal weights; those of norms around 1."""
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.randn_like(parameter) * deviation + (1.0 if "norm" in name else 0.0))
    return model


def add_adapter(model, folder, rank, deviation):
    """A PEFT model with random factors, saved; and its trained parameters."""
    wrapped = peft.get_peft_model(model, peft.LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules=MODULES, lora_dropout=0.0, task_type="CAUSAL_LM"))
    trained = {name: p for name, p in wrapped.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for parameter in trained.values():
            parameter.copy_(torch.randn_like(parameter) * deviation)
    wrapped.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink(missing_ok=True)
    settings = folder / "adapter" / "adapter_config.json"  # PEFT writes sets in any order
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"target_modules": MODULES}, indent=2))
    return wrapped, trained


def make_sequences(vocabulary, prefix, lengths):
    """Sequences that share a prefix of so many tokens: (rest of the prompt, answer) each, ended by token 2."""
    generator = torch.Generator().manual_seed(1)
    shared = torch.randint(3, vocabulary, (prefix,), generator=generator).tolist()
    sequences = []
    for prompt, answer in lengths:
        ids = shared + torch.randint(3, vocabulary, (prompt + answer,), generator=generator).tolist() + [2]
        sequences.append({"ids": ids, "answer_start": len(shared) + prompt})
    return sequences


def losses_and_logits(model, sequences):
    losses, logits = [], []
    for sequence in sequences:
        ids = torch.tensor([sequence["ids"]])
        rows = model(input_ids=ids).logits[0, sequence["answer_start"] - 1:-1]
        losses.append(torch.nn.functional.cross_entropy(rows, ids[0, sequence["answer_start"]:], reduction="none"))
        logits.append(rows)
    return torch.cat(losses), torch.cat(logits)


def short(name):
    return name.removeprefix("base_model.model.").replace(".default.", ".")


def expect(wrapped, trained, sequences, steps):
    """What slao probe --steps STEPS --lr 1e-2 writes."""
    expected, means = {}, []
    optimizer = torch.optim.AdamW(trained.values(), lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    for step in range(steps + 1):
        losses, logits = losses_and_logits(wrapped, sequences)
        means.append(losses.mean().item())
        optimizer.zero_grad()
        losses.mean().backward()
        if step == 0:
            expected["loss"] = losses.mean().detach()
            expected["logits"] = logits.detach().contiguous()
            expected |= {"grad." + short(name): p.grad.clone() for name, p in trained.items()}
        if step < steps:
            optimizer.step()
    expected["losses"] = torch.tensor(means)
    if steps:
        expected |= {"param." + short(name): p.detach().clone() for name, p in trained.items()}
    return expected


def write_case(folder, wrapped, trained, sequences, steps):
    (folder / "tokens.json").write_text(json.dumps({"sequences": sequences}))
    expected = expect(wrapped, trained, sequences, steps)
    safetensors.torch.save_file(expected, folder / "expected.safetensors", metadata=VERSIONS)


def make_tiny_llama(folder):
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=96, hidden_size=32, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=128, rope_theta=10000.0, rms_norm_eps=1e-5,
        tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, attention_bias=False, mlp_bias=False)
    model = random_model(config, 0.15)
    model.save_pretrained(folder)
    wrapped, trained = add_adapter(model, folder, 4, 0.1)
    sequences = make_sequences(96, 20, [(9, 3), (14, 1), (5, 4), (30, 2)])
    write_case(folder, wrapped, trained, sequences, 3)


# ---- families ----

SIZES = {"vocab_size": 64, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "bos_token_id": 1, "eos_token_id": 2}
SHORT = (12, [(9, 3), (14, 1), (5, 4)])
LONG = (45, [(70, 3), (110, 2), (3, 4)])  # beyond the original positions and the windows below

# config, type of the weights in the file, sequences, largest shard in bytes
families = {
    # every head has keys of its own; weights in fp16, in shards
    "llama2": (transformers.LlamaConfig(**SIZES | {"num_key_value_heads": 4, "max_position_embeddings": 64}),
               torch.float16, SHORT, 8000),
    # frequencies of all three kinds: kept, blended, divided
    "llama3": (transformers.LlamaConfig(**SIZES, head_dim=16, max_position_embeddings=256, rope_parameters={
        "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32}), torch.bfloat16, LONG, None),
    "llama-linear": (transformers.LlamaConfig(**SIZES, tie_word_embeddings=True, max_position_embeddings=256,
                                              rope_parameters={"rope_type": "linear", "rope_theta": 5000.0, "factor": 4.0}),
                     torch.float32, LONG, None),
    # heads that are not hidden / heads wide; a window shorter than the texts, and than their common prefix
    "mistral": (transformers.MistralConfig(**SIZES, head_dim=10, sliding_window=16, max_position_embeddings=256),
                torch.float32, LONG, None),
    "qwen2": (transformers.Qwen2Config(**SIZES, tie_word_embeddings=True, max_position_embeddings=256,
                                       rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}),
              torch.bfloat16, SHORT, None),
    # a head of its own, and a window in the upper layer alone
    "qwen2-window": (transformers.Qwen2Config(**SIZES, use_sliding_window=True, sliding_window=20, max_window_layers=1,
                                              max_position_embeddings=256), torch.float32, LONG, None),
}


def make_family(folder, config, dtype, lengths, shard):
    torch.manual_seed(0)
    shutil.rmtree(folder, ignore_errors=True)
    random_model(config, 0.25).to(dtype).save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    wrapped, trained = add_adapter(model, folder, 2, 0.2)
    write_case(folder, wrapped, trained, make_sequences(64, *lengths), 0)
    return wrapped.unload()


# ---- the same in GGUF files ----

def rope_factors(config):
    """As convert_hf_to_gguf.py makes rope_freqs.weight of Llama 3's scaling."""
    rope = config.rope_parameters
    original, low, high = (rope[key] for key in ("original_max_position_embeddings", "low_freq_factor", "high_freq_factor"))
    factors = []
    for frequency in 1.0 / (rope["rope_theta"] ** (torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim)):
        length = 2 * math.pi / frequency
        smooth = (original / length - low) / (high - low)
        factors.append(1 if length < original / high else rope["factor"] if length > original / low
                       else 1 / ((1 - smooth) / rope["factor"] + smooth))
    return numpy.array(factors, dtype=numpy.float32)


def make_gguf(path, model, architecture):
    config = model.config
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer = gguf.GGUFWriter(str(path), architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_bos_token_id(config.bos_token_id)
    writer.add_eos_token_id(config.eos_token_id)
    kind = config.rope_parameters["rope_type"]
    if kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(config.rope_parameters["factor"])
    if config.model_type == "mistral":
        writer.add_sliding_window(config.sliding_window)
    if kind == "llama3":
        writer.add_tensor("rope_freqs.weight", rope_factors(config))
    for name, weight in model.named_parameters():
        values = weight.detach().numpy()
        if architecture == "llama" and ("q_proj" in name or "k_proj" in name):
            values = permute(values, config.num_attention_heads if "q_proj" in name else config.num_key_value_heads)
        writer.add_tensor(gguf_name(name), values.copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# ---- RoPE ----

LLAMA3 = {"rope_type": "llama3", "rope_theta": 500000.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192}
# name: head_dim, rope_parameters
ROPES = {
    "llama-3.1-8b": (128, LLAMA3 | {"factor": 8.0}),
    "llama-3.2-1b": (64, LLAMA3 | {"factor": 32.0}),
    "qwen2.5-7b": (128, {"rope_type": "default", "rope_theta": 1000000.0}),
    "longchat-7b": (128, {"rope_type": "linear", "rope_theta": 10000.0, "factor": 8.0}),
}
POSITIONS = [0, 1, 8191, 8192, 40000, 131071]


def make_ropes(path):
    values = {}
    for name, (head_dim, parameters) in ROPES.items():
        config = transformers.LlamaConfig(hidden_size=2 * head_dim, num_attention_heads=2, max_position_embeddings=131072,
                                          rope_parameters=parameters)
        rope = transformers.models.llama.modeling_llama.LlamaRotaryEmbedding(config)
        cosines, sines = rope(torch.zeros(1), torch.tensor([POSITIONS]))
        values[f"{name}.frequencies"] = rope.inv_freq.clone()
        values[f"{name}.cosines"] = cosines[0, :, :head_dim // 2].contiguous()
        values[f"{name}.sines"] = sines[0, :, :head_dim // 2].contiguous()
    safetensors.torch.save_file(values, path, metadata=VERSIONS)


fixtures = pathlib.Path(sys.argv[1])
make_ropes(fixtures / "rope.safetensors")
make_tiny_llama(fixtures / "tiny-llama")
for name, arguments in families.items():
    model = make_family(fixtures / "families" / name, *arguments)
    if name not in ("llama2", "qwen2-window"):
        make_gguf(fixtures / "families" / f"{name}.gguf", model, "qwen2" if name == "qwen2" else "llama")
