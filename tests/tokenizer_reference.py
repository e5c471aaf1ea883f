"""The package `tokenizers` set up with the vocabulary of a GGUF file, and the comparison of slao with it."""

import json
import pathlib
import struct
import subprocess
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
TOKEN_KEYS = ("model", "pre", "tokens", "token_type", "merges", "bos_token_id", "eos_token_id", "add_bos_token")


class Gguf:
    """The metadata of a GGUF file, version 2 or 3."""

    FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}

    def __init__(self, path):
        self.file = open(path, "rb")
        assert self.file.read(4) == b"GGUF"
        _, _, n_metadata = self.numbers("IQQ")
        self.metadata = {}
        for _ in range(n_metadata):
            key = self.text()
            self.metadata[key] = self.value(self.numbers("I")[0])

    def numbers(self, form):
        return struct.unpack("<" + form, self.file.read(struct.calcsize("<" + form)))

    def text(self):
        return self.file.read(self.numbers("Q")[0]).decode()

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind == 9:
            element, count = self.numbers("IQ")
            return [self.value(element) for _ in range(count)]
        return self.numbers(self.FORMATS[kind])[0]


def write_gguf(path, metadata):
    """A GGUF file of metadata alone: texts, numbers, booleans, and lists of them."""

    def text(value):
        return struct.pack("<Q", len(value.encode())) + value.encode()

    kinds = {str: (8, None), bool: (7, "<?"), int: (5, "<i"), float: (6, "<f")}

    def kind(value):
        return kinds[type(value)][0]

    def bare(value):
        return text(value) if isinstance(value, str) else struct.pack(kinds[type(value)][1], value)

    out = [b"GGUF", struct.pack("<IQQ", 3, 0, len(metadata))]
    for key, value in metadata.items():
        out.append(text(key))
        if isinstance(value, list):
            out.append(struct.pack("<IIQ", 9, kind(value[0]), len(value)) + b"".join(map(bare, value)))
        else:
            out.append(struct.pack("<I", kind(value)) + bare(value))
    pathlib.Path(path).write_bytes(b"".join(out))


def byte_level(use_regex=True):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), behavior="isolated", invert=False)


# By the name in tokenizer.ggml.pre: pre-tokenizer, normalizer, ignore_merges.
FAMILIES = {
    "gpt-2": (byte_level(), None, False),
    "smollm": (pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level()]), None, False),
    "llama-bpe": (pre_tokenizers.Sequence([split(LLAMA3), byte_level(False)]), None, True),
    "qwen2": (pre_tokenizers.Sequence([split(QWEN2), byte_level(False)]), normalizers.NFC(), False),
}


def from_metadata(metadata, family=None):
    """What the publisher's tokenizer.json would be for this vocabulary; its added tokens are types 3 and 4."""
    field = {key: metadata.get("tokenizer.ggml." + key) for key in TOKEN_KEYS}
    pre_tokenizer, normalizer, ignore_merges = FAMILIES[family or field["pre"]]
    vocabulary = {token: id for id, token in enumerate(field["tokens"])}
    merges = [tuple(merge.split(" ")) for merge in field["merges"]]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=ignore_merges))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=kind == 3)
                          for token, kind in zip(field["tokens"], field["token_type"]) if kind in (3, 4)])
    return tokenizer


class Results:
    """What tokenize_texts wrote, read from the front."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def block(self, size):
        (count,) = struct.unpack_from("<I", self.data, self.at)
        self.at += 4 + count * size
        return self.data[self.at - count * size:self.at]

    def text(self):
        ids = self.block(4)
        return list(struct.unpack(f"<{len(ids) // 4}i", ids)), self.block(1), self.block(1)


def differences(program, model, tokenizer, texts, name, chunk=50_000):
    """Compares ids and decoded texts of whole texts (str or bytes); prints the first differences, returns how many."""
    found = 0
    for first in range(0, len(texts), chunk):
        for raw, ours, theirs in compared(program, model, tokenizer, texts[first:first + chunk]):
            if ours != theirs:
                found += 1
                if found <= 3:
                    print(f"{name}: {raw[:300]!r}\n  slao       {str(ours)[:600]}\n  tokenizers {str(theirs)[:600]}", file=sys.stderr)
    return found


def tokenized(program, model, raw):
    """Per text (bytes) slao's ids, what they decode to, and the same without special tokens."""
    sent = b"".join(struct.pack("<I", len(text)) + text for text in raw)
    results = Results(subprocess.run([program, model], input=sent, stdout=subprocess.PIPE, check=True).stdout)
    ours = [results.text() for _ in raw]
    assert results.at == len(results.data), "tokenize_texts wrote more than it was asked for"
    return ours


def ids_of(program, model, raw):
    return [ids for ids, _, _ in tokenized(program, model, raw)]


def compared(program, model, tokenizer, texts):
    """Per text: its bytes, and of slao and of `tokenizers` the ids, what they decode to, and the same without special tokens."""
    raw = [text.encode() if isinstance(text, str) else text for text in texts]
    ours = tokenized(program, model, raw)
    wanted = [encoding.ids for encoding in tokenizer.encode_batch_fast([text.decode(errors="replace") for text in raw], add_special_tokens=False)]
    ids = [result[0] for result in ours]
    whole = tokenizer.decode_batch(ids, skip_special_tokens=False)
    plain = tokenizer.decode_batch(ids, skip_special_tokens=True)
    for text, result, *theirs in zip(raw, ours, wanted, whole, plain):
        yield text, [result[0], *(part.decode(errors="replace") for part in result[1:])], theirs


def strings(value):
    """Every text of a JSON document, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for member in value.values() if isinstance(value, dict) else value:
            yield from strings(member)


def data_texts(data):
    """Every different text of the benchmark data, in order."""
    texts = {}
    for path in sorted(pathlib.Path(data).glob("*/**/*.json")):
        texts.update(dict.fromkeys(strings(json.loads(path.read_text()))))
    return list(texts)


def write_json(tokenizer, path, change=None):
    """Saves tokenizer.json, changed by change(dictionary), and returns it as `tokenizers` reads it."""
    document = json.loads(tokenizer.to_str())
    if change:
        change(document)
    path = pathlib.Path(path)
    path.write_text(json.dumps(document, ensure_ascii=False))
    return Tokenizer.from_file(str(path))
