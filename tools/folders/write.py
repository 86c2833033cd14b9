"""Writes model folders as this version of transformers does.

`python write.py OUT VOCABULARIES NAME …`; runs under transformers 4.30 and later.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers as hf
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers

FOLDERS: dict[str, tuple[str, Callable[..., None]]] = {}
_ENCODER = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 512,
}
_DISTILBERT = {
    "dim": 8,
    "hidden_dim": 12,
    "n_layers": 1,
    "n_heads": 2,
    "max_position_embeddings": 512,
}
_GPT2 = {"n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 512}
_DECODER = {**_ENCODER, "num_key_value_heads": 1, "max_position_embeddings": 2048}


def folder(name: str, version: str) -> Callable:
    """Returns a decorator that registers a function that fills a folder.

    Args:
        name: The folder.
        version: The version of transformers that writes it.
    """

    def enter(write: Callable[[Path, Path], None]) -> Callable:
        FOLDERS[name] = (version, write)
        return write

    return enter


class Vocabulary:
    """A trained vocabulary: its files and their content."""

    def __init__(self, root: Path, name: str) -> None:
        self.files = [
            str(root / f"{name}.vocab.json"),
            str(root / f"{name}.merges.txt"),
        ]
        text = Path(self.files[0]).read_text(encoding="utf-8")
        lines = Path(self.files[1]).read_text(encoding="utf-8").splitlines()
        self.ids: dict[str, int] = json.loads(text)
        self.merges = [tuple(line.split(" ")) for line in lines[1:]]


def save(folder: Path, tokenizer: Any, model_of: Callable[[int], Any], pad: int = 0):
    """Writes a tokenizer and a model with `pad` more embeddings than tokens."""
    torch.manual_seed(0)
    model = model_of(len(tokenizer) + pad)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)


def edit(path: Path, **changes: Any) -> None:
    """Changes entries of a JSON file; None removes an entry."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content.update(changes)
    content = {key: value for key, value in content.items() if value is not None}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")


def bert(vocab_size: int) -> Any:
    """Returns a BERT without a head."""
    return hf.BertModel(hf.BertConfig(vocab_size=vocab_size, **_ENCODER))


def distilbert(vocab_size: int) -> Any:
    """Returns a DistilBERT without a head."""
    return hf.DistilBertModel(hf.DistilBertConfig(vocab_size=vocab_size, **_DISTILBERT))


def roberta(vocab_size: int) -> Any:
    """Returns a RoBERTa without a head."""
    sizes = {**_ENCODER, "max_position_embeddings": 514, "type_vocab_size": 1}
    return hf.RobertaModel(hf.RobertaConfig(vocab_size=vocab_size, **sizes))


def gpt2(vocab_size: int) -> Any:
    """Returns a GPT-2 with its head."""
    return hf.GPT2LMHeadModel(hf.GPT2Config(vocab_size=vocab_size, **_GPT2))


def llama(vocab_size: int) -> Any:
    """Returns a Llama with its head; in version 4.30 each head has its own keys."""
    sizes = {**_DECODER, "num_key_value_heads": 2 if hf.__version__ < "4.31" else 1}
    return hf.LlamaForCausalLM(hf.LlamaConfig(vocab_size=vocab_size, **sizes))


def mistral(vocab_size: int) -> Any:
    """Returns a Mistral with its head."""
    return hf.MistralForCausalLM(hf.MistralConfig(vocab_size=vocab_size, **_DECODER))


def qwen2(vocab_size: int) -> Any:
    """Returns a Qwen2 with its head."""
    return hf.Qwen2ForCausalLM(hf.Qwen2Config(vocab_size=vocab_size, **_DECODER))


def word_piece(root: Path, fast: bool, cls: str = "BertTokenizer", **options: Any):
    """Returns a BERT tokenizer with the vocabulary for its case."""
    name = "uncased.txt" if options.get("do_lower_case", True) else "cased.txt"
    kind = getattr(hf, cls + "Fast" * fast)
    if hf.__version__ >= "5":
        lines = (root / name).read_text(encoding="utf-8").splitlines()
        return kind(vocab={one: index for index, one in enumerate(lines)}, **options)
    return kind(str(root / name), **options)


def byte_level(root: Path, name: str, cls: str, **options: Any) -> Any:
    """Returns a tokenizer with a byte-level vocabulary."""
    found = Vocabulary(root, name)
    kind = getattr(hf, cls)
    if hf.__version__ >= "5":
        return kind(vocab=found.ids, merges=found.merges, **options)
    return kind(*found.files, **options)


@folder("bert-4.30", "4.30")
def _bert_430(folder: Path, root: Path) -> None:
    save(folder, word_piece(root, True), bert)


@folder("bert-cased-4.57", "4.57")
def _bert_cased(folder: Path, root: Path) -> None:
    save(folder, word_piece(root, True, do_lower_case=False), bert)


@folder("bert-5", "5")
def _bert_5(folder: Path, root: Path) -> None:
    save(folder, word_piece(root, False, model_max_length=128), bert)


@folder("bert-slow-added-4.30", "4.30")
def _bert_slow_430(folder: Path, root: Path) -> None:
    """Added words and special tokens in separate files, embeddings resized."""
    tokenizer = word_piece(root, False)
    tokenizer.add_tokens(["[E1]", "newword", "ÜBER"])
    tokenizer.add_special_tokens({"additional_special_tokens": ["[USER]"]})
    save(folder, tokenizer, bert)


@folder("bert-slow-added-4.57", "4.57")
def _bert_slow_457(folder: Path, root: Path) -> None:
    tokenizer = word_piece(root, False, do_lower_case=False, strip_accents=True)
    tokenizer.add_tokens([AddedToken("newword", single_word=True), "[E1]"])
    tokenizer.add_special_tokens({"additional_special_tokens": ["[USER]"]})
    save(folder, tokenizer, bert)


@folder("bert-config-decides-5", "5")
def _bert_decides(folder: Path, root: Path) -> None:
    """A tokenizer.json that lowercases and a config that does not."""
    save(folder, word_piece(root, False), bert)
    edit(folder / "tokenizer_config.json", do_lower_case=False)


@folder("bert-lowercased-4.57", "4.57")
def _bert_lowercased(folder: Path, root: Path) -> None:
    """The opposite, with text cut on the left and no segments."""
    save(folder, word_piece(root, True, do_lower_case=False), bert)
    edit(
        folder / "tokenizer_config.json",
        do_lower_case=True,
        truncation_side="left",
        model_input_names=["input_ids", "attention_mask"],
    )


@folder("distilbert-4.30", "4.30")
def _distilbert_430(folder: Path, root: Path) -> None:
    """Config keys that equal transformers' defaults are removed by hand."""
    save(folder, word_piece(root, True, "DistilBertTokenizer"), distilbert)
    left_out = ("max_position_embeddings", "activation", "dropout", "pad_token_id")
    edit(folder / "config.json", **dict.fromkeys(left_out))


@folder("distilbert-padded-4.57", "4.57")
def _distilbert_padded(folder: Path, root: Path) -> None:
    """More embeddings than tokens, and Chinese characters that are not split."""
    options = {"do_lower_case": False, "tokenize_chinese_chars": False}
    tokenizer = word_piece(root, True, "DistilBertTokenizer", **options)
    save(folder, tokenizer, distilbert, pad=64 - len(tokenizer) % 64)


@folder("distilbert-5", "5")
def _distilbert_5(folder: Path, root: Path) -> None:
    tokenizer = word_piece(root, False, "DistilBertTokenizer")
    tokenizer.add_tokens(["[E1]", "newword"])
    save(folder, tokenizer, distilbert)


@folder("roberta-slow-4.30", "4.30")
def _roberta_430(folder: Path, root: Path) -> None:
    tokenizer = byte_level(root, "roberta", "RobertaTokenizer")
    tokenizer.add_tokens(["[E1]", "newword"])
    save(folder, tokenizer, roberta)


@folder("roberta-spaced-4.57", "4.57")
def _roberta_457(folder: Path, root: Path) -> None:
    """The config asks for a space before a text; tokenizer.json does not."""
    save(folder, byte_level(root, "roberta", "RobertaTokenizerFast"), roberta)
    edit(folder / "tokenizer_config.json", add_prefix_space=True)


@folder("roberta-5", "5")
def _roberta_5(folder: Path, root: Path) -> None:
    tokenizer = byte_level(root, "roberta", "RobertaTokenizer", add_prefix_space=True)
    save(folder, tokenizer, roberta)


@folder("gpt2-slow-4.30", "4.30")
def _gpt2_430(folder: Path, root: Path) -> None:
    """A padding token and words in added_tokens.json; texts start with bos."""
    tokenizer = byte_level(root, "gpt2", "GPT2Tokenizer", add_bos_token=True)
    tokenizer.add_special_tokens({"pad_token": "<pad>"})
    tokenizer.add_tokens(["[E1]", "newword"])
    save(folder, tokenizer, gpt2)


@folder("gpt2-spaced-4.57", "4.57")
def _gpt2_457(folder: Path, root: Path) -> None:
    save(folder, byte_level(root, "gpt2", "GPT2TokenizerFast"), gpt2)
    edit(folder / "tokenizer_config.json", add_prefix_space=True, padding_side="left")


@folder("gpt2-5", "5")
def _gpt2_5(folder: Path, root: Path) -> None:
    tokenizer = byte_level(root, "gpt2", "GPT2Tokenizer")
    tokenizer.add_tokens(["newword", AddedToken("[E1]", lstrip=True, rstrip=True)])
    save(folder, tokenizer, gpt2)


def _pieces(root: Path, legacy: bool) -> tokenizers.Tokenizer:
    """Returns a SentencePiece-like tokenizer as each version converts Llama 2's."""
    found = Vocabulary(root, "pieces")
    library = tokenizers.Tokenizer(
        models.BPE(
            found.ids,
            found.merges,
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    if legacy:
        library.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
    else:
        library.pre_tokenizer = pre_tokenizers.Metaspace(
            replacement="▁", prepend_scheme="first", split=False
        )
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    library.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)])
    return library


@folder("llama-legacy-4.30", "4.30")
def _llama_430(folder: Path, root: Path) -> None:
    tokenizer = hf.LlamaTokenizerFast(tokenizer_object=_pieces(root, legacy=True))
    save(folder, tokenizer, llama)


@folder("llama-added-4.57", "4.57")
def _llama_457(folder: Path, root: Path) -> None:
    tokenizer = hf.LlamaTokenizerFast(
        tokenizer_object=_pieces(root, legacy=False), legacy=False, add_eos_token=True
    )
    tokenizer.add_tokens(["[E1]", "newword"])
    save(folder, tokenizer, llama)


@folder("llama-legacy-added-4.57", "4.57")
def _llama_legacy(folder: Path, root: Path) -> None:
    """A blank before everything that follows an added word."""
    tokenizer = hf.LlamaTokenizerFast(
        tokenizer_object=_pieces(root, legacy=True), legacy=True
    )
    tokenizer.add_tokens(["[E1]", "newword"])
    save(folder, tokenizer, llama)


@folder("llama-5", "5")
def _llama_5(folder: Path, root: Path) -> None:
    found = Vocabulary(root, "pieces")
    tokenizer = hf.LlamaTokenizer(vocab=found.ids, merges=found.merges)
    save(folder, tokenizer, llama)


@folder("llama-as-gpt2-4.57", "4.57")
def _llama_as_gpt2(folder: Path, root: Path) -> None:
    """Like SmolLM2: tokenizer.json splits digits, the config says GPT2Tokenizer."""
    found = Vocabulary(root, "gpt2")
    library = tokenizers.Tokenizer(models.BPE(found.ids, found.merges))
    library.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    library.decoder = decoders.ByteLevel()
    save(folder, hf.GPT2TokenizerFast(tokenizer_object=library), llama)


@folder("mistral-4.57", "4.57")
def _mistral_457(folder: Path, root: Path) -> None:
    """Texts start with bos; the end tokens are only in special_tokens_map.json."""
    tokenizer = hf.LlamaTokenizerFast(tokenizer_object=_pieces(root, legacy=True))
    save(folder, tokenizer, mistral)
    edit(
        folder / "tokenizer_config.json",
        added_tokens_decoder=None,
        bos_token=None,
        eos_token=None,
        unk_token=None,
    )


@folder("qwen2-slow-4.57", "4.57")
def _qwen2_457(folder: Path, root: Path) -> None:
    """vocab.json has no special tokens."""
    tokenizer = byte_level(root, "qwen2", "Qwen2Tokenizer")
    tokenizer.add_tokens(["<tool_call>", "newword"])
    tokenizer.add_special_tokens(
        {"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]}
    )
    save(folder, tokenizer, qwen2, pad=7)


def main(out: Path, root: Path, names: list[str]) -> None:
    """Rewrites the folders."""
    for name in names:
        folder = out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        FOLDERS[name][1](folder, root)
        (folder / "generation_config.json").unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
