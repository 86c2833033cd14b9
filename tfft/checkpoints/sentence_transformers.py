"""Writes a head as modules of Sentence Transformers: pooling, then a dense layer.

The files follow version 2, which all later versions read too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tfft.checkpoints.tensors import save_tensors
from tfft.core.files import write_json, write_text
from tfft.core.model_config import Pooling
from tfft.models.heads import Linear

_SWITCHES: dict[Pooling, str] = {
    "first": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "last": "pooling_mode_lasttoken",
}
_CARD = """\
---
library_name: sentence-transformers
---

# A head on the {pooling} of a text's states

transformers has no class with such a head, but Sentence Transformers can compute it. It
returns the outputs of the head, {outputs} for each text, in the order of `id2label` in
`config.json`:

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("FOLDER")
outputs = model.encode(["A text."], convert_to_tensor=True)
```

Their meaning depends on `problem_type` in `config.json`. The probabilities are
`outputs.softmax(-1)` for `single_label_classification` and `outputs.sigmoid()` for
`multi_label_classification`. For `regression` the outputs are the predicted numbers.
"""


def can_pool(pooling: Pooling | None) -> bool:
    """Returns whether Sentence Transformers has a kind of pooling."""
    return pooling in _SWITCHES


def save_modules(
    folder: Path, pooling: Pooling, head: Linear, max_length: int | None
) -> None:
    """Writes modules into a folder that already holds a transformer.

    Args:
        folder: Holds the transformer and its tokenizer.
        pooling: How the states of a text become one vector.
        head: The dense layer on that vector.
        max_length: The most tokens of a text. None uses the tokenizer's limit.

    Raises:
        StorageError: When the disk refuses.
    """
    outputs, width = head.weight.shape
    modules = {"": "Transformer", "1_Pooling": "Pooling", "2_Dense": "Dense"}
    write_json(
        folder / "modules.json",
        [
            {
                "idx": index,
                "name": str(index),
                "path": path,
                "type": f"sentence_transformers.models.{kind}",
            }
            for index, (path, kind) in enumerate(modules.items())
        ],
    )
    limit = {"max_seq_length": max_length, "do_lower_case": False}
    write_json(folder / "sentence_bert_config.json", limit)
    for path in modules:
        (folder / path).mkdir(exist_ok=True)
    write_json(
        folder / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": width,
            **{switch: way == pooling for way, switch in _SWITCHES.items()},
        },
    )
    write_json(
        folder / "2_Dense" / "config.json",
        {
            "in_features": width,
            "out_features": outputs,
            "bias": True,
            "activation_function": "torch.nn.modules.linear.Identity",
        },
    )
    tensors = {
        f"linear.{name}": np.asarray(value, "float32")
        for name, value in head.by_name().items()
    }
    save_tensors(folder / "2_Dense" / "model.safetensors", tensors, {"format": "pt"})
    write_text(folder / "README.md", _CARD.format(pooling=pooling, outputs=outputs))
