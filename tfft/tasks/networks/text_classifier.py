"""A backbone with a classification head."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfft.compute.first_token import last_layer
from tfft.compute.first_token_model import FirstTokenModel
from tfft.core.model_config import Pooling
from tfft.models.architecture import architecture_of
from tfft.tasks.networks.head import new_head
from tfft.tasks.networks.pooling import summary


@keras.saving.register_keras_serializable("tfft")
class TextClassifier(FirstTokenModel):
    """A backbone with a classifier on the text vector, as BERT's authors fine-tune it.

    Args:
        backbone: A KerasHub backbone of an architecture tfft knows.
        num_classes: Number of classes.
        dropout: Dropout on the text vector. Defaults to 0.1.
        pooling: How to turn the tokens' states into the text vector, as in
            `tasks.networks.pooling.summary`. Defaults to `pooler`, as in BERT's paper.
        seed: For the head's weights and dropout. Defaults to 0.
        **options: Options of every Keras model.

    Call arguments:
        A dict with the backbone's inputs, such as `token_ids`, `segment_ids` and
        `padding_mask`, each of shape (batch, length).

    Returns:
        Logits in float32, shape (batch, num_classes).

    >>> import keras_hub, numpy as np
    >>> backbone = keras_hub.models.BertBackbone(
    ...     vocabulary_size=30, num_layers=1, num_heads=2, hidden_dim=8,
    ...     intermediate_dim=16, max_sequence_length=8)
    >>> ones = np.ones((2, 5), "int32")
    >>> batch = {"token_ids": ones, "segment_ids": 0 * ones, "padding_mask": ones}
    >>> tuple(TextClassifier(backbone, num_classes=4)(batch).shape)
    (2, 4)
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int,
        dropout: float = 0.1,
        pooling: Pooling = "pooler",
        seed: int = 0,
        **options: Any,
    ) -> None:
        # === Layers ===
        drop, classifier = new_head(num_classes, dropout, seed)
        # === Functional Model ===
        pooled = summary(architecture_of(backbone), backbone, pooling)
        super().__init__(
            inputs=backbone.input, outputs=classifier(drop(pooled)), **options
        )
        # === Config ===
        self.backbone, self.classifier = backbone, classifier
        self.num_classes, self.dropout, self.seed = num_classes, dropout, seed
        self.pooling = pooling

    @property
    def first_token_layer(self) -> Any:
        """The last layer if the head only reads its first token's state, or None."""
        first = self.pooling in ("pooler", "first")
        return last_layer(self.backbone) if first else None

    def below_head(self) -> FirstTokenModel:
        """Returns a model whose output is the head's input, shape (batch, hidden).

        It shares the layers of this one.
        """
        return FirstTokenModel(self.input, self.classifier.input, self)

    @property
    def head_variables(self) -> list[Any]:
        """The kernel and the bias of the head."""
        return [self.classifier.kernel, self.classifier.bias]

    @property
    def uses_top(self) -> bool:
        """Whether the head uses the places above the backbone's stack."""
        return self.pooling == "pooler"

    @property
    def head_modules(self) -> dict[str, dict[str, Any]]:
        """The head in Hugging Face's names and layout: weight (classes, hidden).

        Empty for a pooling that Hugging Face's classifier lacks.
        """
        if not self.uses_top:
            return {}
        kernel, bias = (np.array(variable) for variable in self.head_variables)
        return {"classifier": {"weight": kernel.T, "bias": bias}}

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "num_classes": self.num_classes,
            "dropout": self.dropout,
            "pooling": self.pooling,
            "seed": self.seed,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TextClassifier:
        """Returns a model from `get_config`."""
        backbone = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(**{**config, "backbone": backbone})
