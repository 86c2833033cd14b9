"""Trains three small vocabularies: `python vocabularies.py FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers

_CORPUS = [
    "The cat sat on the mat, and the other cat sat on the other mat.",
    "Don't we'll they're  two  spaces\n\n\tindent 12345 1,234.5 in 2024?",
    "été naïve Straße Ærø ŁÓDŹ 中文字 Это текст 🙂 the theatre there then",
    "New customers write to us; old customers call. THE END of the story",
    "def main(argv): return [line.strip() for line in argv if line != '']",
] * 3
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def _save(folder: Path, name: str, value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    (folder / name).write_text(text, encoding="utf-8")


def _word_piece(folder: Path, lowercase: bool) -> None:
    library = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    library.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(
        vocab_size=260, special_tokens=special, show_progress=False
    )
    library.train_from_iterator(_CORPUS, trainer)
    ids = library.get_vocab()
    name = "uncased.txt" if lowercase else "cased.txt"
    words = sorted(ids, key=ids.__getitem__)
    (folder / name).write_text("\n".join(words) + "\n", encoding="utf-8")


def _byte_level(folder: Path, name: str, special: list[str]) -> None:
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    _bpe(folder, name, library, special, pre_tokenizers.ByteLevel.alphabet())


def _pieces(folder: Path) -> None:
    """Trains one like SentencePiece: words begin with ▁, and every byte has a token."""
    library = tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))
    library.pre_tokenizer = pre_tokenizers.Metaspace(split=True)
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    _bpe(folder, "pieces", library, special, [])


def _bpe(folder, name, library, special, alphabet) -> None:
    trainer = trainers.BpeTrainer(
        vocab_size=len(special) + (100 if not alphabet else 320),
        special_tokens=special,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    library.train_from_iterator(_CORPUS, trainer)
    model = json.loads(library.to_str())["model"]
    _save(folder, f"{name}.vocab.json", model["vocab"])
    lines = [
        pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]
    ]
    text = "\n".join(["#version: 0.2", *lines]) + "\n"
    (folder / f"{name}.merges.txt").write_text(text, encoding="utf-8")


def main(folder: Path) -> None:
    """Writes the vocabularies to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    _word_piece(folder, lowercase=True)
    _word_piece(folder, lowercase=False)
    _byte_level(folder, "gpt2", ["<|endoftext|>"])
    _byte_level(folder, "roberta", ROBERTA)
    _byte_level(folder, "qwen2", [])
    _pieces(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
