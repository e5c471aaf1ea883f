"""Writes src/model/unicode_ranges.h: where the Unicode tables inside the Python package `tokenizers` differ from
those of PCRE2 10.42 (Unicode 14) and of utf8proc. Every set is asked of `tokenizers` itself, one code point at a time.

Run with Python 3.11 (whose own tables are Unicode 14 too) and the packages tokenizers and unicodedata2:
    python tests/reference/unicode_ranges.py > src/model/unicode_ranges.h && clang-format -i src/model/unicode_ranges.h
"""

import importlib.metadata
import unicodedata

import unicodedata2 as newest
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

assert unicodedata.unidata_version == "14.0.0"
POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
NFC, NFD = normalizers.NFC(), normalizers.NFD()


def by_regex(pattern):
    """Points that the pattern matches, as Split sees them (the tables of Oniguruma)."""
    text = "".join(map(chr, POINTS))
    rest = pre_tokenizers.Split(Regex(pattern), "removed").pre_tokenize_str(text)
    return set(POINTS) - {ord(c) for piece, _ in rest for c in piece}


def by_digits():
    """Points that Digits splits off (the tables of Rust's standard library)."""
    text = "".join("a" + chr(c) for c in POINTS) + "a"
    pieces = pre_tokenizers.Digits(individual_digits=True).pre_tokenize_str(text)
    return {ord(piece) for piece, _ in pieces if len(piece) == 1 and piece != "a"}


def by_single_word():
    """Points beside which an added token with single_word is not recognised (the tables of Rust's crate regex)."""
    tokenizer = Tokenizer(models.BPE({"q": 0, "X": 1}, [], unk_token="q", fuse_unk=False))
    tokenizer.add_tokens([AddedToken("XX", single_word=True, normalized=False)])
    points = [c for c in POINTS if c != ord("X")]
    text = "".join(" XX" + chr(c) for c in points)
    encoding = tokenizer.encode(text, add_special_tokens=False)
    token = tokenizer.token_to_id("XX")
    alone = {start // 4 for id, (start, _) in zip(encoding.ids, encoding.offsets) if id == token}
    return {c for i, c in enumerate(points) if i not in alone} | {ord("X")}


def category(*names):
    return {c for c in POINTS if unicodedata.category(chr(c)) in names}


def young_marks():
    """Points that the newest Unicode normalises, and tokenizers (Unicode 9) takes as they are."""
    old = unicodedata.ucd_3_2_0
    lowest = next(chr(c) for c in POINTS if old.combining(chr(c)) == 1)
    highest = next(chr(c) for c in POINTS if old.combining(chr(c)) == 240)
    young = set()
    for c in POINTS:
        mark = chr(c)
        if old.category(mark) != "Cn":
            continue
        parts = newest.decomposition(mark)
        if parts and not parts.startswith("<") and NFD.normalize_str(mark) == mark:
            young.add(c)
            young.update(p for p in (int(part, 16) for part in parts.split()) if old.category(chr(p)) == "Cn")
        # A mark that tokenizers knows changes places with one of the lowest class or of the highest.
        if newest.combining(mark) and all(NFD.normalize_str(t) == t for t in ("q" + mark + lowest, "q" + highest + mark)):
            young.add(c)
    return young


def ranges(points):
    out = []
    for c in sorted(points):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def define(name, comment, base, points):
    print(f"/* {comment} */\n#define {name} \\")
    pieces = [base] + [f"\\\\x{{{a:x}}}" + (f"-\\\\x{{{b:x}}}" if b > a else "") for a, b in ranges(points)]
    lines, line = [], ""
    for piece in pieces:
        if len(line) + len(piece) > 84:
            lines.append(line)
            line = ""
        line += piece
    print(" \\\n".join(f'    "{text}"' for text in lines + [line]) + "\n")


def check(name, found, base):
    assert base <= found, (name, ranges(base - found))
    return found - base


print(f"""/* Unicode as the Python package tokenizers {importlib.metadata.version("tokenizers")} knows it, where PCRE2 and utf8proc do not.
 *
 * Made by tests/reference/unicode_ranges.py. Characters come with each year's Unicode, and tokenizers
 * holds four tables of different years: Oniguruma's (16) for regular expressions, the standard
 * library's (17) for Digits, the crate regex's (16) for words, and 9 for normal forms. The contents of
 * character classes below are the class of PCRE2 10.42 (14) with what is missing there. */
#ifndef SLAO_MODEL_UNICODE_RANGES_H
#define SLAO_MODEL_UNICODE_RANGES_H

#include <stdint.h>
""")
letters, numbers = category("Lu", "Ll", "Lt", "Lm", "Lo"), category("Nd", "Nl", "No")
define("SLAO_LETTERS", r"\p{L} of Oniguruma", "\\\\p{L}", check("letters", by_regex(r"\p{L}"), letters))
define("SLAO_NUMBERS", r"\p{N} of Oniguruma", "\\\\p{N}", check("numbers", by_regex(r"\p{N}"), numbers))
define("SLAO_SPACES", r"\s of Oniguruma: White_Space (PCRE2's has U+180E too)", "", by_regex(r"\s"))
define("SLAO_NUMERIC", "Rust's char::is_numeric", "\\\\p{N}", check("digits", by_digits(), numbers))
word_base = category("Lu", "Ll", "Lt", "Lm", "Lo", "Nl", "Mn", "Mc", "Me", "Nd", "Pc") | {0x200C, 0x200D}
define("SLAO_WORD", r"\w of Rust's crate regex (UTS 18, annex C)",
       "\\\\p{L}\\\\p{Nl}\\\\p{M}\\\\p{Nd}\\\\p{Pc}\\\\x{200c}\\\\x{200d}", check("words", by_single_word(), word_base))
print("/* Characters with a combining class, a decomposition or a part in one that are younger than Unicode 9:")
print(" * tokenizers leaves them where they are. */\nstatic const struct {\n    int32_t first, last;\n} slao_young_marks[] = {")
print("\n".join(f"    {{0x{a:x}, 0x{b:x}}}," for a, b in ranges(young_marks())))
print("};\n\n#endif")
