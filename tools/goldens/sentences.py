"""A folder of Sentence Transformers, and its output for texts with each pooling."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import transformers as hf
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from goldens import golden, randomise, save_reference

_TEXTS = ["good abc", "a", "bad cab, a much longer text"]
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_WIDTH = 16


def _transformer(folder: Path) -> Transformer:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", ","]
    words += [*_LETTERS, *(f"##{letter}" for letter in _LETTERS)]
    tokenizer = hf.BertTokenizer(vocab={word: i for i, word in enumerate(words)})
    config = hf.BertConfig(
        vocab_size=len(words), hidden_size=_WIDTH, num_hidden_layers=1,
        num_attention_heads=2, intermediate_size=24, max_position_embeddings=32,
        attn_implementation="eager",
    )  # fmt: skip
    model = hf.BertModel(config)
    randomise(model, seed=40).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Transformer(str(folder))


@golden("sentence-transformers")
def _sentence_transformers(folder: Path) -> None:
    """Every pooling separately; the folder is that of the mean."""
    with TemporaryDirectory() as scratch:
        transformer = _transformer(Path(scratch))
        outputs = {}
        for mode in Pooling.POOLING_MODES:
            model = SentenceTransformer(
                modules=[transformer, Pooling(_WIDTH, mode)], device="cpu"
            )
            model.double()
            outputs[mode] = model.encode(_TEXTS, batch_size=2)
        pooling = Pooling(_WIDTH, "mean")
        whole = SentenceTransformer(modules=[transformer.float(), pooling, Normalize()])
        whole.save(str(folder), create_model_card=False)
    (folder / "texts.json").write_text(json.dumps(_TEXTS))
    save_reference(folder, {"rows": torch.arange(len(_TEXTS))}, outputs)
