"""Makes tests/fixtures/tokenizer: a small byte-level vocabulary trained by the package tokenizers on a few sentences, with
added tokens of every kind, and the ids that the package gives to some texts. Needs the package tokenizers alone.

  tokenizer.json          merges as pairs, as saved today (indented, so that tests can change a line)
  tokenizer_config.json   bos_token as text, eos_token as object
  expected.json           [{"text", "ids", "plain"}]; plain: what the ids decode to without special tokens
"""

import json
import pathlib
import sys

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from tokenizer_reference import LLAMA3, byte_level, split

folder = pathlib.Path(__file__).parents[1] / "fixtures" / "tokenizer"
folder.mkdir(exist_ok=True)
SENTENCES = ["The lamp in the hall is on, and the lamp in the kitchen is off.", "She reads the letters that he wrote in the winter of 1987.",
             "Their boats aren't there; they're in the other harbour.", "Ein Café, zwei Cafés: déjà vu."]

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

TEXTS = ["", "The lamp", "the  lamp \n\n is on", "<bos>The<eos>", "a <left>b <right> c", "word words swordfish word, wordy", "naïve nai\u0308ve", "12345 1",
         "They'RE there's", "日本 👍 \u0301", "lamplamplamp", "   ", "Cafe\u0301s", "<right>\t<left>"]
expected = []
for text in TEXTS:
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    expected.append({"text": text, "ids": ids, "plain": tokenizer.decode(ids, skip_special_tokens=True)})
(folder / "expected.json").write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in expected) + "\n]\n")
