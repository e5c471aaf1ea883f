"""slao's tokenizer against the package `tokenizers`, on nasty texts of our own and on random ones.

    compare_tokens.py SLAO TOKENIZE_TEXTS MODEL.gguf FOLDER [RANDOM_TEXTS_PER_VOCABULARY]
"""

import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import tokenizer_reference as reference
from random_texts import random_texts
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

slao, program, model, folder = sys.argv[1:5]
folder = pathlib.Path(folder)
n_random = int(sys.argv[5]) if len(sys.argv) > 5 else 1000

NASTY = [
    "", " ", "  ", "a", "Hello, world!", "Hello  world   !  ", " leading", "trailing ", "\t\ttabs\t", "a\rb\r\rc", "\r", " \r ",
    "I'm you're he's we've they'll I'd don't 'S 'T 'RE 'Ve I'M 's't 'ſ 'x ' s", "it''s", "1234567890", "3.14159e-10", "1 2  3",
    "x1y22z333", "٠١٢٣٤٥٦٧٨٩ ०१२ ๑๒๓ １２３ ①②③ ⅣⅤ ½¾ ² 十二 𝟘𝟙𝟚 𐄇 ൰൱ ꘠꘡", "été e\u0301te\u0301 Å A\u030a ﬁ ǰ j\u030c", "ạ̈ a\u0323\u0308 a\u0308\u0323",
    "한국어 각 \u1100\u1161\u11a8", "日本語のテキスト、句読点。", "中文字符測試", "Русский текст", "Ελληνικά", "עִבְרִית", "العَرَبِيَّة", "हिन्दी क्षि",
    "ไทยภาษา", "தமிழ்", "ಕನ್ನಡ", "ქართული", "አማርኛ", "ᏣᎳᎩ", "ᠮᠣᠩᠭᠣᠯ\u180e ᠬᠡᠯᠡ", "𐎀𐎁𐎂", "𓀀𓀁", "👨‍👩‍👧‍👦 👩🏽‍🚀 🏳️‍🌈 🇩🇪🇫🇷 1️⃣ ❤️ ☺",
    "z\u0334\u0335a\u0321l\u0327g\u0328o\u0316\u0317\u0318\u0300\u0301\u0345", "\u0301\u0302", "\x00", "a\x00b\x00", "\x01\x02\x7f\x1b[0m",
    "\u0085next\u00a0nbsp\u1680\u2000\u2003\u2028\u2029\u202f\u205f\u3000.", "\ufeffbom", "zero\u200bwidth\u200cjoin\u200der\u2060", "\ufffd\ufffd", "\U0010ffff\ue000\ufdd0",
    " " * 1000, "x" * 5000, "ab" * 3000, "=" * 777, "\t " * 300, "1" * 999, "é" * 1500, "日" * 2000, "👍" * 500, "\r" * 50, " \r" * 50,
    "<|im_start|>user", "a<|im_start|>b", "<|im_start|><|im_end|><|im_start|>", "<|im_start", "<|im_start|", "|im_start|>", "<<|im_start|>>",
    "  <|im_end|>  ", "<|IM_START|>", "<|endoftext|>", "<s></s><unk>", "<repo_name>x<reponame>y<file_sep>z<gh_stars>1<jupyter_start>",
    "<|im_\u200bstart|>", "x<|im_start|>1<|im_end|>\u0301", "Ġthe Ċ Ā Ń", "ĠĠ", "https://example.org/a?b=c&d=%20#e", "C:\\dir\\file.txt",
    "def f(x):\n    return x  # ok", "{\"a\": [1, 2.0, null]}", "snake_case camelCase SCREAMING-kebab", "e.g., i.e. U.S.A. Ph.D.", "…—–‘’“”«»",
    "ſ K Å ı İ ß ẞ ŉ ǆ", "\u1e9b\u0323 \u212b \u2126 \uf900 \u0958 \u0344 \u2adc \U0001d15e \ufb1d",
]
INVALID = [
    b"\xff", b"\xfe\xff", b"\x80", b"\xbf\xbf", b"a\xc0\x80b", b"\xc1\xbf", b"\xc2", b"\xc2a", b"\xe2\x82", b"\xe2\x82x", b"\xe2x", b"\xe0\x80\x80", b"\xe0\x9f\xbf",
    b"\xe0\xa0", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\x9f", b"\xef\xbf", b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xf0\x90", b"\xf0\x90\x80", b"\xf0\x90\x80a",
    b"\xf4\x90\x80\x80", b"\xf4\x8f\xbf", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xe2\x82\xe2\x82\xac", b"\xf0\x9f\x91\xf0\x9f\x91\x8d", b"ok \xff\xff ok \xc3\x28",
    b"<|im_start|\xff>", b"<|im_start|>\xe2\x82<|im_end|>", b"\xc3\xa9\xc3", b"caf\xe9", b"\xed\xa0\xbd\xed\xb1\x8d", b"\x00\xff\x00",
]

# Pieces that random texts hold now and then: they look like added tokens, and like what stands beside them.
PIECES = ["<|im_start|>", "<|im_end|>", "<|", "|>", "<mark>", "mark", " mark ", "caf\u00e9", "cafe\u0301", " ", "  ", "\n", "\r\n", "\t", "\u3000", "'s", "'LL", "'ſ",
          "12", "٣", "the", " and", "ing", ".", "!!", "\u0301", "\u0345", "\u180e", "\x00", "\U00011930\U00011935", "_", "^^", "=="]


def every_point():
    """Every character of the planes that have any, between letters and digits, behind a space and beside an added token."""
    points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and (c < 0x34000 or 0xE0000 <= c < 0xE0200 or c % 251 == 0)]
    for first in range(0, len(points), 512):
        yield "".join("a{0}1 {0}{0}mark{0}\u0334\u0345".format(chr(c)) for c in points[first:first + 512])


metadata = reference.Gguf(model).metadata
default = reference.from_metadata(metadata)
faults = compared = 0


def check(path, tokenizer, texts, name):
    global faults, compared
    texts = list(texts)
    faults += reference.differences(program, str(path), tokenizer, texts, name)
    compared += len(texts)
    print(f"{name}: {len(texts)} texts compared", flush=True)


# The command itself: lines of a file, as a plain listing and as JSON, from a file and from standard input.
data = b"\n".join([text.encode() for text in NASTY] + INVALID)
(folder / "nasty").write_bytes(data)
lines = data.decode(errors="replace").split("\n")
wanted = [encoding.ids for encoding in default.encode_batch(lines, add_special_tokens=False)]
run = [slao, "tokenize", "--model", model]
as_json = subprocess.run(run + ["--json", str(folder / "nasty")], stdout=subprocess.PIPE, check=True).stdout
plain = subprocess.run(run, input=data + b"\n", stdout=subprocess.PIPE, check=True).stdout.decode()
twice = subprocess.run(run + ["--json", "-", str(folder / "nasty")], input=b"one\n\nlast", stdout=subprocess.PIPE, check=True).stdout
for name, got in (("--json", json.loads(as_json)), ("plain", [[int(id) for id in line.split()] for line in plain.split("\n")[:-1]]),
                  ("two files", json.loads(twice)[3:])):
    for line, ours, theirs in zip(lines, got, wanted):
        if ours != theirs:
            faults += 1
            print(f"tokenize {name}: {line[:200]!r}: {ours[:40]}, not {theirs[:40]}", file=sys.stderr)
    faults += len(got) != len(wanted)
    compared += len(wanted)
    print(f"slao tokenize, {name}: {len(wanted)} lines compared")
assert subprocess.run(run + ["--json"], input=b"", stdout=subprocess.PIPE, check=True).stdout == b"[]\n"
assert json.loads(twice)[:3] == [encoding.ids for encoding in default.encode_batch(["one", "", "last"])]


def fuzz(seed):
    return NASTY + INVALID + random_texts(seed, n_random, PIECES)


check(model, default, fuzz(1), "default model")
for pre in reference.FAMILIES:
    path = folder / f"{pre}.gguf"
    changed = {key: value for key, value in metadata.items() if key.startswith("tokenizer.ggml.")}
    reference.write_gguf(path, changed | {"tokenizer.ggml.pre": pre})
    check(path, reference.from_metadata(metadata, pre), fuzz(pre), f"GGUF, {pre}")


def merges_as_lines(document):
    document["model"]["merges"] = [" ".join(pair) for pair in document["model"]["merges"]]


# The same vocabulary in tokenizer.json, with every trick that added tokens know.
ADDED = [AddedToken("<mark>", normalized=False), AddedToken("mark", single_word=True, normalized=False),
         AddedToken("<left>", lstrip=True, normalized=False), AddedToken("<right>", rstrip=True, normalized=False),
         AddedToken("caf\u00e9", normalized=True), AddedToken("\u1e9b\u0323x", normalized=True), AddedToken("<m", normalized=True),
         AddedToken("^", lstrip=True, rstrip=True, single_word=True, normalized=True, special=True), AddedToken("\t", rstrip=True, normalized=False),
         AddedToken("==", normalized=False), AddedToken("= ", normalized=False), AddedToken("日本", normalized=False, special=True)]
PIECES += ["<left>", "<right>", " <left>", "<right> \t", "\t\t", "= ", "===", "^", " ^ ", "日本", "日", "\u1e9b\u0323x"]
VARIANTS = {
    "gpt-2": (None, None), "smollm": (merges_as_lines, None), "llama-bpe": (None, None), "qwen2": (merges_as_lines, None),
    "digit runs": (None, pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=False), reference.byte_level()])),
    "prefix": (None, pre_tokenizers.ByteLevel(add_prefix_space=True)),
    "nested": (None, pre_tokenizers.Sequence([pre_tokenizers.Sequence([reference.split(reference.QWEN2)]), reference.byte_level()])),
}
for name, (change, pre_tokenizer) in VARIANTS.items():
    tokenizer = reference.from_metadata(metadata, name if name in reference.FAMILIES else "smollm")
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFC()])
    tokenizer.add_tokens(ADDED)
    (folder / name).mkdir()
    tokenizer = reference.write_json(tokenizer, folder / name / "tokenizer.json", change)
    check(folder / name, tokenizer, fuzz(name), f"tokenizer.json, {name}")
    if name in ("smollm", "qwen2"):
        check(folder / name, tokenizer, every_point(), f"every character, {name}")

# The small vocabularies of every manner, and one of them as a GGUF file of SentencePiece's, whose merges follow from scores.
for path in sorted((pathlib.Path(__file__).parents[1] / "fixtures/tokenizers").iterdir()):
    check(path, Tokenizer.from_file(str(path / "tokenizer.json")), fuzz(path.name), f"small, {path.name}")
llama2 = json.loads((path.parent / "llama2/tokenizer.json").read_text())
vocabulary = llama2["model"]["vocab"]
scores = {token: -float(id // 2) for token, id in vocabulary.items()}  # pairs of equal scores
ranked = [(scores[token], cut, len(token) - cut, -id, token) for token, id in vocabulary.items() for cut in range(1, len(token))
          if token[:cut] in vocabulary and token[cut:] in vocabulary]
merges = [(token[:cut], token[cut:]) for _, cut, _, _, token in sorted(ranked, reverse=True)]
types = {"<unk>": 2, "<s>": 3, "</s>": 3}
for leading in (True, False):
    llama2["normalizer"]["normalizers"] = llama2["normalizer"]["normalizers"][0 if leading else 1:]
    llama2["decoder"]["decoders"] = llama2["decoder"]["decoders"][:4 if leading else 3]
    llama2["added_tokens"] = [token for token in llama2["added_tokens"] if token["content"] in types]
    tokenizer = Tokenizer.from_str(json.dumps(llama2))
    tokenizer.model = models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    reference.write_gguf(folder / "llama2.gguf", {
        "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": list(vocabulary), "tokenizer.ggml.scores": list(scores.values()),
        "tokenizer.ggml.token_type": [types.get(token, 1) for token in vocabulary], "tokenizer.ggml.unknown_token_id": 0,
        **({} if leading else {"tokenizer.ggml.add_space_prefix": False})})
    check(folder / "llama2.gguf", tokenizer, fuzz("llama2.gguf"), f"small, GGUF with scores, {'with' if leading else 'without'} a space in front")

print(f"{compared} comparisons, {faults} differences")
sys.exit(faults != 0 or compared < 20000)
