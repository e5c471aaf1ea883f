"""ROUGE-L equals the rouge-score package's, on random texts and on what a SuperNI folder holds.

    compare_rouge.py PROGRAM [SUPERNI]

PROGRAM is tests/programs/rouge_scores. With SUPERNI every reference of every test set is scored: against itself,
against the input it belongs to, and against the references of the next examples.
"""

import json
import random
import struct
import subprocess
import sys
from pathlib import Path

from rouge_score import rouge_scorer

STEMS = ["oscill", "general", "hope", "fly", "die", "happi", "y", "yy", "syzyg", "allerg", "controll", "relat", "bl", "fil",
         "geo", "archaeo", "innings", "sky", "skies", "news", "agr", "tree", "box", "x", "9", "a1", "fizz", "hop", "play"]
SUFFIXES = ["", "s", "es", "ies", "ied", "ed", "eed", "ing", "ational", "tional", "enci", "anci", "izer", "bli", "abli",
            "alli", "ically", "entli", "eli", "ousli", "ization", "ation", "ator", "alism", "iveness", "fulness", "ousness",
            "aliti", "iviti", "biliti", "fulli", "logi", "icate", "ative", "alize", "iciti", "ical", "ful", "ness", "al",
            "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "sion", "tion", "ou", "ism",
            "ate", "iti", "ous", "ive", "ize", "e", "ll", "lle", "ly", "y", "'s", "\u0130", "\u212a", "\u00e9"]
SEPARATORS = [" ", "  ", "\n", ", ", "-", "\u00a0", "\u201d", "\x00", "_", "\u00fc", "\U0001f600"]


def random_text(numbers: random.Random) -> str:
    def word() -> str:
        letters = "".join(numbers.choices("aeiouybcdlstz", k=numbers.randrange(4)))
        base = numbers.choice(STEMS) if numbers.random() < 0.7 else letters
        text = base + "".join(numbers.choices(SUFFIXES, k=numbers.randrange(3)))
        return text.upper() if numbers.random() < 0.1 else text

    return "".join(word() + numbers.choice(SEPARATORS) for _ in range(numbers.randrange(30)))


def random_pairs(count: int):
    numbers = random.Random(0)
    for _ in range(count):
        yield random_text(numbers), random_text(numbers).replace("\x00", " ")  # a reference is a C string


def superni_pairs(folder: Path):
    for file in sorted(folder.glob("*/test.json")):
        instances = json.loads(file.read_text())["Instances"]
        flat = [(text, instance["input"]) for instance in instances
                for text in ([instance["output"]] if isinstance(instance["output"], str) else instance["output"])]
        for i, (text, source) in enumerate(flat):
            yield text, text
            yield source, text
            for other, _ in flat[i + 1 : i + 3]:
                yield other, text


def block(text: str) -> bytes:
    data = text.encode()
    return struct.pack("=I", len(data)) + data


def main() -> None:
    pairs = list(random_pairs(4000)) + (list(superni_pairs(Path(sys.argv[2]))) if len(sys.argv) > 2 else [])
    data = b"".join(block(output) + block(reference) for output, reference in pairs)
    ours = [float(line) for line in subprocess.run([sys.argv[1]], input=data, check=True, capture_output=True).stdout.split()]
    if len(ours) != len(pairs):
        sys.exit(f"{len(ours)} scores for {len(pairs)} pairs")
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True)
    different = 0
    for (output, reference), score in zip(pairs, ours):
        theirs = scorer.score(reference, output)["rougeL"].fmeasure
        if abs(theirs - score) > 1e-6:
            different += 1
            if different <= 10:
                print(f"{score} instead of {theirs}: {output!r} against {reference!r}")
    zero = sum(score == 0 for score in ours)
    print(f"{len(pairs)} pairs, {different} differ; {zero} score 0, {sum(score == 1 for score in ours)} score 1")
    if different or zero == len(ours):
        sys.exit(1)


main()
