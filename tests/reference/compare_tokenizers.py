"""slao's tokenizer against the package `tokenizers`, with the vocabularies of real models: of SmolLM2 (the default model's
GGUF), Llama-3, Qwen2 and Mistral (build/reference/vocabularies, made by make_vocabularies.py). Compared are the ids, and
what they decode to with and without special tokens, of every text of SLAO_DATA and of SLAO_RANDOM_TEXTS random texts (a
million unless set otherwise); of a tenth of these for the other files of the same vocabularies; and of this tenth, the ids of Mistral's GGUF with those of
SentencePiece itself, where no special token is spelled out.
"""

import collections
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import random_texts
import sentencepiece
import tokenizer_reference as reference
from tokenizers import Tokenizer

source = pathlib.Path(os.environ["SLAO_SOURCE"])
folder = pathlib.Path(os.environ.get("SLAO_VOCABULARIES", source / "build/reference/vocabularies"))
program = str(pathlib.Path(os.environ["SLAO"]).parent / "tests/tokenize_texts")
n_random = int(os.environ.get("SLAO_RANDOM_TEXTS", 1_000_000))
PIECES = ["<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|begin_of_text|>", "<|eot_id|>", "<|reserved_special_token_7|>",
          "<|start_header_id|>", "<repo_name>", "[INST]", "[/INST]", "<|im_", "<s", "|>", "</s", "</s></s>", " <s> "]
SEED, CHUNK = 2024, 50_000


def published(name):
    return Tokenizer.from_file(str(folder / name / "tokenizer.json"))


# What slao reads, the tokenizer that it must equal, and the share of the texts.
default = os.environ["SLAO_MODEL"]
VOCABULARIES = {
    "SmolLM2, GGUF": (default, reference.from_metadata(reference.Gguf(default).metadata), 1),
    "Llama-3, tokenizer.json": (folder / "llama3", published("llama3"), 1),
    "Qwen2, tokenizer.json": (folder / "qwen2", published("qwen2"), 1),
    "Mistral, tokenizer.json": (folder / "mistral-legacy", published("mistral-legacy"), 1),
    "Mistral, tokenizer.json with Metaspace": (folder / "mistral-new", published("mistral-new"), 0.1),
    "Mistral, GGUF with scores": (folder / "mistral.gguf", published("mistral-scores"), 0.1),
    "Llama-3, GGUF": (folder / "llama3.gguf", published("llama3"), 0.1),
    "Qwen2, GGUF": (folder / "qwen2.gguf", published("qwen2"), 0.1),
}

start = time.monotonic()
faults, n_texts = collections.Counter(), collections.Counter()
pieces = sentencepiece.SentencePieceProcessor(str(folder / "mistral/tokenizer.model"))


def compare(texts):
    """The texts, or the first of them, by every vocabulary."""
    for name, (path, tokenizer, share) in VOCABULARIES.items():
        some = texts[:round(share * len(texts))]
        faults[name] += reference.differences(program, str(path), tokenizer, some, name)
        n_texts[name] += len(some)

    some = [text if isinstance(text, bytes) else text.encode() for text in texts[:len(texts) // 10]]
    some = [text for text in some if not any(piece in text for piece in (b"<s>", b"</s>", b"<unk>", b"\0", "\u2581".encode()))]
    wanted = pieces.encode([text.decode(errors="replace") for text in some])
    name = "Mistral, GGUF, by SentencePiece"
    faults[name] += sum(ours != ids for ours, ids in zip(reference.ids_of(program, str(folder / "mistral.gguf"), some), wanted))
    n_texts[name] += len(some)


def report(what):
    print(f"{what} ({time.monotonic() - start:.0f} s)")
    for name in n_texts:
        print(f"  {name}: {n_texts[name]} texts, {faults[name]} differences", flush=True)


data = reference.data_texts(os.environ["SLAO_DATA"])
compare(data)
report(f"{len(data)} texts of the data, {sum(map(len, data)) / 1e6:.1f} million characters")
for first in range(0, n_random, CHUNK):
    compare(random_texts.random_texts(f"{SEED} {first}", min(CHUNK, n_random - first), PIECES))
    if first // CHUNK % 5 == 4:
        report(f"and {first + CHUNK} random texts")
report(f"all: {len(data)} texts of the data and {n_random} random texts")
sys.exit(any(faults.values()))
