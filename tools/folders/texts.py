"""Texts that are hard for tokenizers, the same on every call."""

from __future__ import annotations

import random
import unicodedata

_WORDS = [
    "the", "The", "THE", "cat", "other", "customer", "customers", "write", "theatre",
    "été", "ÉTÉ", "naïve", "Straße", "ŁÓDŹ", "Ærø",
    "中文字", "日本語テキスト", "한국어",
    "Это", "текст", "שלום", "مرحبا", "हिन्दी", "ไทย",
    "🙂", "👩‍👩‍👧", "🇩🇪", "2024", "1,234.5",
    "don't", "we'll", "they'RE", "it’s", "[E1]", "newword", "NEWWORD", "renewword",
    "newwords", "ÜBER", "über", "[e1]", "[USER]", "<tool_call>", "def", "main(argv):",
    "!=", "==", "->", "http://example.org/a?b=c&d=%20", "a" * 120, "ﬁ", "①", "Å", "ǆ",
    "e\u0301", "\u0301", "\u200d", "\u200b", "\ufeff", "\u00a0", "\u3000", "\u2028",
    "\x00", "\x07", "\x7f", "\u0085", "\ufffd", "İ", "ı", "ß", "ẞ", "ς", "Σ", "㎏", "½",
    "_", "__", "'", '"', "`", "«»", "—", "…", "$5", "50%", "##ing", "▁", "▁the", "Ġthe",
    "\U00010348", "\U0001d504", "ﷺ", "\u202eabc",
]  # fmt: skip
_GAPS = [" "] * 8 + ["", "  ", "\n", "\t", "\r\n", "   ", " \n ", "\n\n"]
_FIRST = [
    "The cat sat on the mat.",
    "Don't  the other\n\n    CATS write in 2024?",
    " leading and trailing ",
    "[E1] newword [E1]the renewword, NEWWORD [USER]!",
    "été ÉTÉ naïve Straße 中文字 日本 🙂 e\u0301\u200d\u00a0b",
    "",
    " ",
    "\n",
    "a\x00b\ufffd\ufeff",
    "line\r\nend\t",
    "x",
    "1234567890 1 22 333",
    "new customers call the other customers, and they write to the other customers",
]


def hostile_texts(count: int, seed: int = 0) -> list[str]:
    """Returns the given number of texts; every count starts with the same ones."""
    draw = random.Random(seed)
    texts = list(_FIRST)
    while len(texts) < count:
        words = [_word(draw) for _ in range(draw.randint(1, 12))]
        gaps = [draw.choice(_GAPS) for _ in words]
        text = "".join(part for pair in zip(words, gaps, strict=True) for part in pair)
        texts.append(text if draw.random() < 0.5 else text.strip())
    return texts[:count]


def _word(draw: random.Random) -> str:
    if draw.random() < 0.8:
        return draw.choice(_WORDS)
    letters = [chr(draw.randrange(0x20, 0x2FFFF)) for _ in range(draw.randint(1, 4))]
    return "".join(one for one in letters if unicodedata.category(one) != "Cs")
