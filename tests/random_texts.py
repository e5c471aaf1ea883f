"""Random texts for comparing tokenizers, the same ones for the same seed.

They mix scripts, emoji, combining marks, control characters, runs of white space, digits, words, code, what special
tokens look like (given as pieces), and invalid UTF-8: every text is bytes.
"""

import random

WORDS = """the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one
you were her all she there would their we him been has when who will more no if out so said what up its about into than
them can only other new some could time these two may then do first any my now such like our over man me even most made
after also did many before must through back years where much your way well down should because each just those people
photosynthesis antidisestablishmentarianism supercalifragilistic HTTP JSON getElementById printf sizeof __init__ i18n
naïve café Zürich Ångström straße Ελλάδα Москва Київ שלום مرحبا नमस्ते สวัสดี வணக்கம் 你好 世界 日本語 カタカナ 한국어 გამარჯობა ሰላም""".split()
SPACES = [" ", " ", " ", "  ", "   ", "    ", "\t", "\n", "\n\n", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\xa0", "\u1680", "\u2003", "\u2028", "\u2029",
          "\u202f", "\u205f", "\u3000", "\u200b", "\ufeff", "\u180e", "\u2060"]
MARKS = "\u0300\u0301\u0303\u0308\u030a\u0316\u0323\u0327\u0328\u0334\u0335\u0338\u0345\u0361\u05b0\u064b\u0651\u093c\u094d\u0e48\u0f71\u0f72\u1ab0\u1abf\u20d0\u3099\u309a\u302a"
EMOJI = ["👍", "👨‍👩‍👧‍👦", "👩🏽‍🚀", "🏳️‍🌈", "🇩🇪", "1️⃣", "❤️", "☺", "😀", "🧑🏿‍🤝‍🧑🏻", "\U0001f9ff", "\u200d", "\ufe0f", "\U000e0067"]
DIGITS = "0123456789" * 3 + "٠١٢٣०१२๑๒１２①②ⅣⅤ½²十𝟘𝟙𐄇൰꘠𑇡"
SYMBOLS = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + ["...", "--", "==", "//", "->", "::", "<|", "|>", "'s", "'T", "'re", "'LL", "'ſ", "…", "—", "“", "«", "€", "№", "▁", "Ġ", "Ċ",
                                                        "<0x0A>", "<0xE2>", "\ufffd"]
# First and last points of blocks from which letters are drawn.
BLOCKS = [(0x20, 0x7e), (0xa1, 0x24f), (0x370, 0x3ff), (0x400, 0x52f), (0x531, 0x587), (0x5d0, 0x5ea), (0x620, 0x6ff), (0x900, 0xd7f), (0xe01, 0xe5b), (0xf00, 0xfda),
          (0x10a0, 0x11ff), (0x1200, 0x139f), (0x13a0, 0x18af), (0x1c80, 0x1cff), (0x1e00, 0x1fff), (0x2010, 0x2bff), (0x3001, 0x30ff), (0x3100, 0x33ff),
          (0x3400, 0x4dbf), (0x4e00, 0x9fff), (0xa000, 0xabff), (0xac00, 0xd7a3), (0xf900, 0xfaff), (0xfb00, 0xfdff), (0xfe20, 0xffef), (0x10000, 0x1057f),
          (0x10a00, 0x10fff), (0x11000, 0x11fff), (0x16a00, 0x16fff), (0x1d100, 0x1d7ff), (0x1e000, 0x1eeff), (0x1f000, 0x1faff), (0x20000, 0x2a6df), (0x30000, 0x323af)]
INVALID = [b"\xff", b"\x80", b"\xbf\xbf", b"\xc0\x80", b"\xc2", b"\xe2\x82", b"\xe0\x9f\xbf", b"\xed\xa0\x80", b"\xed\xa0\xbd\xed\xb1\x8d", b"\xf0\x9f\x91", b"\xf4\x90\x80\x80",
           b"\xf8\x88\x80\x80\x80", b"\xc3\x28"]


def any_point(draw):
    while True:
        point = draw.randrange(0x110000)
        if not 0xD800 <= point < 0xE000:
            return chr(point)


def in_block(draw):
    first, last = BLOCKS[int(draw.random() * len(BLOCKS))]
    return "".join(chr(draw.randint(first, last)) for _ in range(draw.randint(1, 4)))


def chunk(draw, pieces):
    kind = draw.random()
    if kind < 0.30:
        word = draw.choice(WORDS)
        kind = draw.random()
        return word.upper() if kind < 0.1 else word.capitalize() if kind < 0.25 else word
    if kind < 0.52:
        return draw.choice(SPACES) if draw.random() < 0.9 else draw.choice(SPACES) * draw.randint(2, 20)
    if kind < 0.62:
        return in_block(draw)
    if kind < 0.70:
        return "".join(draw.choice(DIGITS) for _ in range(draw.randint(1, 6)))
    if kind < 0.79:
        return draw.choice(SYMBOLS)
    if kind < 0.85:
        return draw.choice(MARKS) if draw.random() < 0.7 else draw.choice("aeuoAEncsqz한あ") + draw.choice(MARKS) + draw.choice(MARKS)
    if kind < 0.89:
        return draw.choice(EMOJI)
    if kind < 0.93:
        return chr(draw.choice((draw.randrange(0x20), 0x7f, draw.randrange(0x80, 0xa0))))
    if kind < 0.95:
        return any_point(draw)
    if kind < 0.97:
        return draw.choice("aeiou=- \n日") * draw.randint(2, 40)
    return draw.choice(pieces) if pieces else ""


def random_text(draw, pieces=()):
    text = "".join(chunk(draw, pieces) for _ in range(draw.choice((1, 2, 2, 3, 4, 6, 9, 14, 25)))).encode()
    if draw.random() < 0.05:
        for _ in range(draw.randint(1, 3)):
            at = draw.randint(0, len(text))  # also inside a character
            text = text[:at] + draw.choice(INVALID) + text[at:]
    return text


def random_texts(seed, count, pieces=()):
    draw = random.Random(seed)
    return [random_text(draw, pieces) for _ in range(count)]
