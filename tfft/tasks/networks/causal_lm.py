"""A decoder with its language-model head, for packed rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfft.core.seeds import derive
from tfft.models.generation_config import GenerationConfig
from tfft.models.wiring.decoder_states import decoder_states
from tfft.models.wiring.wiring import wiring_of
from tfft.tasks.networks.linear_cross_entropy import linear_cross_entropy


@keras.saving.register_keras_serializable("tfft")
class CausalLM(keras.Model):
    """A decoder that scores packed rows, with logits only where there is a label.

    Args:
        backbone: A KerasHub decoder of an architecture tfft knows.
        label_smoothing: Share of a label's probability that goes to all tokens in
            training. Defaults to 0.
        z_loss: Weight of log²Z in training. Defaults to 0.
        neftune_alpha: Size of the noise on embeddings in training (Jain et al.,
            2023, arXiv:2310.05914). Defaults to 0, no noise.
        gradient_checkpointing: Whether to compute each block twice in training
            instead of keeping its inner states. Defaults to False.
        seed: For the noise. Defaults to 0.
        **options: Options of every Keras model.

    Call arguments:
        A dict of int32 with `token_ids`, `positions` and `sequence_ids` (0 for
        padding), each of shape (batch, length); `label_positions`, the positions of
        the tokens that a label follows, and `labels` (-1 for padding), both of shape
        (batch, count).

    Returns:
        For each label -log p(label), and 1 if it is the most likely token, else 0;
        shape (batch, count, 2), in float32.

    >>> import keras_hub, numpy as np
    >>> backbone = keras_hub.models.GPT2Backbone(
    ...     vocabulary_size=30, num_layers=1, num_heads=2, hidden_dim=8,
    ...     intermediate_dim=16, max_sequence_length=8)
    >>> ones = np.ones((2, 5), "int32")
    >>> batch = {"token_ids": ones, "positions": ones, "sequence_ids": ones,
    ...          "label_positions": ones[:, :3], "labels": ones[:, :3]}
    >>> tuple(CausalLM(backbone)(batch).shape)
    (2, 3, 2)
    """

    # Where its texts end, for exports; known once the training rows are read.
    generation: GenerationConfig | None = None
    pooling = None  # the head takes the state of each token

    def __init__(
        self,
        backbone: Any,
        label_smoothing: float = 0.0,
        z_loss: float = 0.0,
        neftune_alpha: float = 0.0,
        gradient_checkpointing: bool = False,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        # === Layers ===
        self.backbone = backbone
        self.wiring = wiring_of(backbone)
        self.noise = keras.random.SeedGenerator(derive(seed, "neftune"))
        # === Config ===
        self.label_smoothing, self.z_loss = label_smoothing, z_loss
        self.neftune_alpha, self.seed = neftune_alpha, seed
        self.gradient_checkpointing = gradient_checkpointing
        self.built = True

    @property
    def input(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return (
            "token_ids",
            "positions",
            "sequence_ids",
            "label_positions",
            "labels",
        )

    @property
    def head_variables(self) -> list[Any]:
        """Empty: the head belongs to the backbone."""
        return []

    @property
    def uses_top(self) -> bool:
        """Whether the head uses the places above the backbone's stack."""
        return True

    @property
    def head_modules(self) -> dict[str, dict[str, Any]]:
        """Empty: the head has no modules of its own."""
        return {}

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """Returns the loss of each label, and whether it is the most likely token."""
        sequence_ids = inputs["sequence_ids"]
        states = decoder_states(
            self.wiring,
            inputs["token_ids"],
            inputs["positions"],
            sequence_ids,
            training=bool(training),
            gradient_checkpointing=self.gradient_checkpointing,
            disturb=self._neftune(sequence_ids) if training else None,
        )
        gathered = tf.gather(states, inputs["label_positions"], batch_dims=1)
        losses, hits = linear_cross_entropy(
            tf.reshape(gathered, (-1, states.shape[-1])),
            self._rows_of_matrix(),
            tf.reshape(tf.maximum(inputs["labels"], 0), [-1]),
            label_smoothing=self.label_smoothing if training else 0.0,
            z_loss=self.z_loss if training else 0.0,
            trains=bool(training),
            matrix_trains=self.wiring.matrix.trainable,
        )
        shape = tf.shape(inputs["labels"])
        return tf.stack([tf.reshape(losses, shape), tf.reshape(hits, shape)], axis=-1)

    def _rows_of_matrix(self) -> Any:
        """Returns the head's matrix in float32, shape (vocabulary, hidden)."""
        matrix = self.wiring.matrix
        value = tf.convert_to_tensor(matrix.value)
        return value if self.wiring.is_tied else tf.transpose(value)

    def _neftune(self, sequence_ids: Any) -> Any:
        """Returns a function that adds noise U(-1, 1)·α/√(L·d), length L."""
        if not self.neftune_alpha:
            return None
        same = sequence_ids[:, :, None] == sequence_ids[:, None, :]
        lengths = tf.reduce_sum(tf.cast(same, tf.float32), axis=-1)

        def disturb(x: Any) -> Any:
            scale = self.neftune_alpha * tf.math.rsqrt(lengths * x.shape[-1])
            noise = keras.random.uniform(
                tf.shape(x), -1, 1, dtype="float32", seed=self.noise
            )
            return x + tf.cast(noise * scale[:, :, None], x.dtype)

        return disturb

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "label_smoothing": self.label_smoothing,
            "z_loss": self.z_loss,
            "neftune_alpha": self.neftune_alpha,
            "gradient_checkpointing": self.gradient_checkpointing,
            "seed": self.seed,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> CausalLM:
        """Returns a model from `get_config`."""
        backbone = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(**{**config, "backbone": backbone})
