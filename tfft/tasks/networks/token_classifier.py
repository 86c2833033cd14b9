"""A backbone with a head on each token."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfft.models.architecture import architecture_of
from tfft.tasks.networks.head import new_head


@keras.saving.register_keras_serializable("tfft")
class TokenClassifier(keras.Model):
    """A backbone with a classifier on each token, as BERT's authors fine-tune it.

    Args:
        backbone: A KerasHub backbone of an architecture tfft knows.
        num_classes: Number of classes.
        dropout: Dropout on the states. Defaults to 0.1.
        module: Hugging Face's name of the head: `classifier` for tags, `qa_outputs`
            for the ends of an answer. Defaults to `classifier`.
        seed: For the head's weights and dropout. Defaults to 0.
        **options: Options of every Keras model.

    Call arguments:
        A dict with the backbone's inputs, such as `token_ids`, `segment_ids` and
        `padding_mask`, each of shape (batch, length).

    Returns:
        Logits in float32, shape (batch, length, num_classes).

    >>> import keras_hub, numpy as np
    >>> backbone = keras_hub.models.BertBackbone(
    ...     vocabulary_size=30, num_layers=1, num_heads=2, hidden_dim=8,
    ...     intermediate_dim=16, max_sequence_length=8)
    >>> ones = np.ones((2, 5), "int32")
    >>> batch = {"token_ids": ones, "segment_ids": 0 * ones, "padding_mask": ones}
    >>> tuple(TokenClassifier(backbone, num_classes=3)(batch).shape)
    (2, 5, 3)
    """

    uses_top = False
    pooling = None  # the head takes the state of each token

    def __init__(
        self,
        backbone: Any,
        num_classes: int,
        dropout: float = 0.1,
        module: str = "classifier",
        seed: int = 0,
        **options: Any,
    ) -> None:
        # === Layers ===
        drop, classifier = new_head(num_classes, dropout, seed, module)
        # === Functional Model ===
        states = architecture_of(backbone).sequence(backbone.output)
        super().__init__(
            inputs=backbone.input, outputs=classifier(drop(states)), **options
        )
        # === Config ===
        self.backbone, self.classifier = backbone, classifier
        self.num_classes, self.dropout, self.seed = num_classes, dropout, seed
        self.module = module

    @property
    def head_variables(self) -> list[Any]:
        """The kernel and the bias of the head."""
        return [self.classifier.kernel, self.classifier.bias]

    @property
    def head_modules(self) -> dict[str, dict[str, Any]]:
        """The head in Hugging Face's names and layout: weight (classes, hidden)."""
        kernel, bias = (np.array(variable) for variable in self.head_variables)
        return {self.module: {"weight": kernel.T, "bias": bias}}

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "num_classes": self.num_classes,
            "dropout": self.dropout,
            "module": self.module,
            "seed": self.seed,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TokenClassifier:
        """Returns a model from `get_config`."""
        backbone = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(**{**config, "backbone": backbone})
