"""Texts that are hard on tokenizers: real prose and code, every kind of character, damaged bytes; always the same."""

import random

PROSE = [
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park.",
    "He said: \"I'd've gone, but you're late, aren't you?\" — and they'll never know it's him.",
    "In 1984 the price rose by 3.14159 % to $1,234,567.89 (or £987.65); see https://example.org/a?b=c&d=%20e#f.",
    "def f(x: int) -> str:\n\tif x  >=  0:\n        return f'{x:04d}'\r\n    # done\n\n\n",
    "Größe, naïve café, œuvre, Ærøskøbing, İstanbul, ǅungla, ŉ, ﬁne, ßtraße, ſ, Ω≈ç√∫˜µ≤≥÷",
    "Съешь же ещё этих мягких французских булок, да выпей чаю. Ένα γρήγορο αλεπού ΣΊΣΥΦΟΣ.",
    "敏捷的棕色狐狸跳过了懒狗。吾輩は猫である。名前はまだ無い。다람쥐 헌 쳇바퀴에 타고파. ㍿㋿ｱｲｳ全角ＡＢＣ１２３",
    "صِف خَلقَ خَودِ كَمِثلِ الشَمسِ إِذ بَزَغَت  דג סקרן שט בים  नमस्ते दुनिया क्षत्रिय  สวัสดีชาวโลก ជំរាបសួរ",
    "😀👍🏽👩‍👩‍👧‍👦🇩🇪🇫🇷❤️‍🔥🏴󠁧󠁢󠁥󠁮󠁧󠁿1️⃣ ☃︎ ☃️ 🫶🏿 🤷🏾‍♀️x😀y",
    "e\u0301 a\u0308\u0304 o\u0304\u0308 \u0301leading q\u0307\u0323",
    "\u1e9b\u0323 \u1112\u1161\u11ab \u212b \u2126 Z\u0351\u036b\u0343",
    "x² + y³ = ½·z₁ ⅷ Ⅷ ① ⒈ ㈠ ٣٤ ४५ 𝟘𝟙 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ™ ℡ ﷺ",
    "<s> </s> <unk> [CLS] [SEP] [MASK] <|endoftext|> <|im_start|>user\nhi<|im_end|> <0x0A> <pad>",
    "   leading",
    "trailing   ",
    "  both  ",
    " a  b   c    d     e",
    "\ttabs\t\tand\nnewlines\r\n\r\n  \n x",
    "\u00a0nbsp\u2003em\u3000ideographic\u2028line\u2029par\u180emongol\u200bzero\u200djoin\ufeffbom\u0085nel",
    "▁visible▁▁space ▁ x",
    "don't DON'T 'S 'tis 's'll'm'LL it'ſ ' s",
    "under_score __init__ snake_case_1 CamelCase",
    "a" * 3000,
    "ab" * 2000 + "!",
    "é" * 1500,
    "😀" * 700,
    " " * 1500,
    "\n" * 600,
    "0123456789" * 100,
    "!" * 900,
    "x" + "\u0301\u0323" * 400,
    "Supercalifragilisticexpialidocious" * 40,
    "漢字" * 500,
    "",
    " ",
    "\n",
    "\0",
    "a\0b",
]

DAMAGED = [
    b"\xff",
    b"\xc3",
    b"\xe2\x82",
    b"\xf0\x9f\x98",
    b"a\xc3 b",
    b"\xe2\x82\xe2\x82\xac",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\x80\x81\x82",
    b"caf\xe9 au lait",
    b"\xfe\xff\x00h\x00i",
    b"\xe6\xbc\xa2\xe5\xad",
    b"x\xf0\x9f\x98y\xf0\x9fz\xf0w",
    b"\xe0\x80\x80\xf0\x80\x80\x80",
]

# Ranges from which random characters are taken, so that every script and class has its share.
RANGES = [
    (0x20, 0x7E), (0x20, 0x7E), (0x20, 0x7E), (0x0, 0x1F), (0x7F, 0xFF), (0x100, 0x24F), (0x300, 0x36F), (0x370, 0x52F),
    (0x590, 0x6FF), (0x900, 0xDFF), (0xE00, 0xFFF), (0x1100, 0x11FF), (0x1E00, 0x1FFF), (0x2000, 0x206F),
    (0x20A0, 0x2BFF), (0x3000, 0x30FF), (0x3400, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFB00, 0xFFEF),
    (0x10000, 0x1F2FF), (0x1F300, 0x1FAFF), (0x20000, 0x2FA1F), (0xE0020, 0xE007F),
]  # fmt: skip


def random_character(rng):
    """Mostly from a script, sometimes any code point at all."""
    while True:
        low, high = rng.choice(RANGES) if rng.random() < 0.9 else (0, 0x10FFFF)
        character = chr(rng.randint(low, high))
        if not 0xD800 <= ord(character) < 0xE000:
            return character


def random_text(rng, vocabulary):
    """Words of the vocabulary, pieces of prose, random characters and runs of them, in any order."""
    parts = []
    for _ in range(rng.randint(1, 12)):
        kind = rng.random()
        if kind < 0.3 and vocabulary:
            parts.append(rng.choice(vocabulary))
        elif kind < 0.5:
            prose = rng.choice(PROSE[:22])
            begin = rng.randrange(len(prose))
            parts.append(prose[begin : begin + rng.randint(1, 30)])
        elif kind < 0.8:
            parts.append("".join(random_character(rng) for _ in range(rng.randint(1, 8))))
        elif kind < 0.9:
            parts.append(random_character(rng) * rng.randint(2, 12))
        else:
            parts.append(rng.choice([" ", "  ", "\n", "\t", " \n ", "'s", "1234", "ß", "İ", "...", "\u0301"]))
    return rng.choice(["", "", " "]).join(parts)


def hard_texts(count, vocabulary=(), seed=0):
    """`count` texts as bytes: the fixed ones, then random ones, of which one in twelve has damaged bytes."""
    rng = random.Random(seed)
    texts = [text.encode() for text in PROSE] + DAMAGED
    while len(texts) < count:
        text = bytearray(random_text(rng, vocabulary).encode())
        if rng.random() < 1 / 12:
            for _ in range(rng.randint(1, 4)):
                text.insert(rng.randrange(len(text) + 1), rng.randint(0x80, 0xFF))
        texts.append(bytes(text))
    return texts[:count]
