"""slao's tokenizer against the package `tokenizers` on every text of the benchmark data: whole texts, and their lines.

    tokenize_data.py SLAO TOKENIZE_TEXTS MODEL.gguf DATA FOLDER
"""

import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import tokenizer_reference as reference

LEAST = 50_000
slao, program, model, data, folder = sys.argv[1:6]
folder = pathlib.Path(folder)


texts = reference.data_texts(data)
assert len(texts) >= LEAST, f"only {len(texts)} different texts under {data}, fewer than {LEAST}"

metadata = reference.Gguf(model).metadata
tokenizer = reference.from_metadata(metadata)
faults = reference.differences(program, model, tokenizer, texts, "default model")
print(f"default model: {len(texts)} different texts compared whole, {sum(map(len, texts)) / 1e6:.1f} million characters")

lines = list(dict.fromkeys(line for text in texts[::7] for line in text.split("\n")))
(folder / "lines").write_text("".join(line + "\n" for line in lines), newline="")
ours = json.loads(subprocess.run([slao, "tokenize", "--model", model, "--json", folder / "lines"], stdout=subprocess.PIPE, check=True).stdout)
theirs = [encoding.ids for encoding in tokenizer.encode_batch(lines, add_special_tokens=False)]
assert len(ours) == len(theirs)
faults += sum(a != b for a, b in zip(ours, theirs))
print(f"slao tokenize: {len(lines)} different lines compared")

for family in ("llama-bpe", "qwen2"):
    other = reference.from_metadata(metadata, family)
    (folder / family).mkdir()
    other = reference.write_json(other, folder / family / "tokenizer.json")
    some = texts[::7]
    faults += reference.differences(program, folder / family, other, some, family)
    print(f"tokenizer.json, {family}: {len(some)} different texts compared whole")
print(f"{faults} differences")
sys.exit(faults != 0)
