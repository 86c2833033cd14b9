"""Tokenizers of transformers with small vocabularies, trained here."""

from __future__ import annotations

import json
from pathlib import Path

import tokenizers
import transformers as hf
from tokenizers import decoders, models, pre_tokenizers, trainers

from goldens import golden

_CORPUS = [
    "The cat sat on the mat, and the other cat sat on the other mat.",
    "don't we'll they're  two  spaces\n\n\tindent 12345 1,234.5",
    "été naïve 中文字 🙂 the theatre there then",
] * 3
_TEXTS = [
    "The cat sat.",
    " the  other\n\n    mat ",
    "don't THE 2024! été 中🙂",
    "",
    "a\u0301\u200d\u00a0b",
    "line\r\nend  ",
]


def _train(special: list[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Returns a byte-level vocabulary with its merges."""
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    library.train_from_iterator(_CORPUS, trainer)
    model = json.loads(library.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def _write(folder: Path, tokenizer: hf.PreTrainedTokenizerBase) -> None:
    """Writes both forms of the files, and the ids of texts and pairs."""
    tokenizer.save_pretrained(folder)
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"])]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    reference = {
        "texts": _TEXTS,
        "ids": [tokenizer(text)["input_ids"] for text in _TEXTS],
        "pairs": [tokenizer(text, _TEXTS[0])["input_ids"] for text in _TEXTS],
        "roles": {
            role: getattr(tokenizer, f"{role}_token_id") for role in ("bos", "eos")
        },
        "pad": tokenizer.pad_token_id,
    }
    text = json.dumps(reference, ensure_ascii=False, indent=1)
    (folder / "reference.json").write_text(text + "\n")


@golden("gpt2-tokenizer")
def _gpt2(folder: Path) -> None:
    vocabulary, merges = _train(["<|endoftext|>"])
    _write(folder, hf.GPT2Tokenizer(vocab=vocabulary, merges=merges))


@golden("roberta-tokenizer")
def _roberta(folder: Path) -> None:
    vocabulary, merges = _train(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    _write(folder, hf.RobertaTokenizer(vocab=vocabulary, merges=merges))
