"""Makes tests/fixtures/tokenizer and tests/fixtures/tokenizers: small vocabularies trained by the package tokenizers on a few
sentences, one for each pattern and manner that slao reads, and the ids that the package gives to some texts. Needs the
package tokenizers alone.

  tokenizer/tokenizer.json          with added tokens of every kind (indented, so that tests can change a line)
  tokenizer/tokenizer_config.json   bos_token as text, eos_token as object
  tokenizers/NAME/tokenizer.json    compact
  expected.json beside each         [{"text", "ids", "whole", "plain"}]; whole, plain: what the ids decode to with and without
                                    special tokens
"""

import json
import pathlib
import sys

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from tokenizer_reference import FAMILIES, LLAMA3, byte_level, split

fixtures = pathlib.Path(__file__).parents[1] / "fixtures"
SENTENCES = ["The lamp in the hall is on, and the lamp in the kitchen is off.", "She reads the letters that he wrote in the winter of 1987.",
             "Their boats aren't there; they're in the other harbour.", "Ein Café, zwei Cafés: déjà vu."]
TEXTS = ["", "The lamp", "the  lamp \n\n is on", "<bos>The<eos>", "a <left>b <right> c", "word words swordfish word, wordy", "naïve nai\u0308ve", "12345 1",
         "They'RE there's", "日本 👍 \u0301", "lamplamplamp", "   ", "Cafe\u0301s", "<right>\t<left>"]
SPACE = "\u2581"


def write_expected(tokenizer, folder, texts):
    rows = []
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        rows.append({"text": text, "ids": ids, "whole": tokenizer.decode(ids, skip_special_tokens=False), "plain": tokenizer.decode(ids)})
    (folder / "expected.json").write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")


def make_all_kinds_of_added_tokens():
    folder = fixtures / "tokenizer"
    folder.mkdir(exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split(LLAMA3), byte_level(False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(SENTENCES, trainers.BpeTrainer(
        vocab_size=330, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tokenizer.add_tokens([
        AddedToken("<bos>", normalized=False, special=True), AddedToken("<eos>", normalized=False, special=True),
        AddedToken("<left>", lstrip=True, normalized=False), AddedToken("<right>", rstrip=True, normalized=False),
        AddedToken("word", single_word=True, normalized=False), AddedToken("words", normalized=False), AddedToken("na\u00efve", normalized=True)])
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", tokenizer.token_to_id("<bos>"))])])
    tokenizer.save(str(folder / "tokenizer.json"), pretty=True)
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"bos_token": "<bos>", "eos_token": {"content": "<eos>", "special": True}}, indent=1) + "\n")
    write_expected(tokenizer, folder, TEXTS)


def byte_level_like(family, change=None):
    """A vocabulary cut as a family cuts; `change` rewrites the JSON."""
    pre_tokenizer, normalizer, ignore_merges = FAMILIES[family]
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(SENTENCES + ["in 1987, 2024 or 12345"] * 3, trainers.BpeTrainer(
        vocab_size=310, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    if ignore_merges:  # a token that no merges make
        document = json.loads(tokenizer.to_str())
        document["model"]["vocab"]["\u0120boats"] = len(document["model"]["vocab"])
        tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.add_special_tokens([AddedToken("<eos>", normalized=False, special=True)])
    return tokenizer, change


def merges_as_lines(document):
    document["model"]["merges"] = [" ".join(pair) for pair in document["model"]["merges"]]


def sentencepiece_like(normalizer, pre_tokenizer, decoder, byte_fallback, fuse_unk):
    """A vocabulary of characters, with U+2581 for a space, bytes to fall back to or not, and <unk>."""
    trained = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=fuse_unk, byte_fallback=byte_fallback))
    trained.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always", split=True)
    trained.train_from_iterator(SENTENCES, trainers.BpeTrainer(vocab_size=90, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False))
    document = json.loads(trained.to_str())
    vocabulary = document["model"]["vocab"]
    for token in ([f"<0x{byte:02X}>" for byte in range(256)] if byte_fallback else []) + [2 * SPACE, 4 * SPACE]:
        vocabulary[token] = len(vocabulary)
    document["model"]["merges"] += [[SPACE, SPACE], [2 * SPACE, 2 * SPACE]]
    document["pre_tokenizer"] = None
    tokenizer = Tokenizer.from_str(json.dumps(document))
    if normalizer:
        tokenizer.normalizer = normalizer
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoder
    tokenizer.add_tokens([AddedToken("<mark>", normalized=True), AddedToken("<end>", normalized=False, rstrip=True)] if normalizer else
                         [AddedToken("<end>", normalized=False, lstrip=True)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer, None


def metaspace(scheme, split):
    return pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme=scheme, split=split)


LLAMA_DECODER = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
PREPEND = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
SMALL = {
    "gpt2": byte_level_like("gpt-2", merges_as_lines),
    "smollm": byte_level_like("smollm"),
    "llama3": byte_level_like("llama-bpe"),
    "qwen2": byte_level_like("qwen2", merges_as_lines),
    "llama2": sentencepiece_like(PREPEND, None, LLAMA_DECODER, True, True),
    "mistral": sentencepiece_like(None, metaspace("first", False), LLAMA_DECODER, True, True),
    "unknown": sentencepiece_like(None, metaspace("always", True), decoders.Metaspace(SPACE, "always"), False, False),
    "fused": sentencepiece_like(None, metaspace("never", True), decoders.Metaspace(SPACE, "never"), False, True),
}
MORE_TEXTS = ["<eos>", "Their boats", " boats  in\tthe\nhall ", "1987", "x12345678y", "½ ² ٣٤", "the<s> lamp</s>in", "<mark>a <mark> b", "a<end>  the <end>", "\u2581the\u2581 lamp",
              "<0x41><0xC3>", "é日\u0000🙂q日日x", "    the   lamp", "\n", " ", "é", "𝄞"]

make_all_kinds_of_added_tokens()
for name, (tokenizer, change) in SMALL.items():
    folder = fixtures / "tokenizers" / name
    folder.mkdir(parents=True, exist_ok=True)
    document = json.loads(tokenizer.to_str())
    if change:
        change(document)
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    (folder / "tokenizer.json").write_text(text + "\n")
    write_expected(Tokenizer.from_str(text), folder, [text for text in TEXTS + MORE_TEXTS if "\0" not in text])
