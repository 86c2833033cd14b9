"""Trains a tiny model on replicas; run as a process of its own.

Logical CPUs and workers can only be made before TensorFlow starts.
Arguments: a folder for the weights, then what to run.
"""

import sys
from pathlib import Path

import numpy as np

from tfft.training.distribution import (
    choose_strategy,
    distribute,
    replica_range,
    wait_for_all,
    worker,
)

ROWS, BATCH, EPOCHS = 27, 8, 2  # the last batch of an epoch has 3 rows


def train(strategy, accumulation):
    """Returns the weights that training ends with, and the losses of the epochs."""
    import keras
    import keras_hub

    from tfft.data.batching import Batches, Examples
    from tfft.methods.method import METHODS
    from tfft.models.architecture import architecture_of
    from tfft.tasks.networks.text_classifier import TextClassifier
    from tfft.tasks.text_classification import TextClassification
    from tfft.training.step import TrainingModel

    random = np.random.default_rng(0)
    lengths = random.integers(2, 201, ROWS)
    examples = Examples(
        {
            "token_ids": [random.integers(5, 30, n).tolist() for n in lengths],
            "segment_ids": [[0] * n for n in lengths],
        },
        {"labels": random.integers(0, 2, ROWS).astype("int32")},
        {"token_ids": 0, "segment_ids": 0},
    )
    keras.utils.set_random_seed(0)
    with strategy.scope():
        backbone = keras_hub.models.BertBackbone(
            vocabulary_size=30,
            num_layers=1,
            num_heads=2,
            hidden_dim=16,
            intermediate_dim=32,
            max_sequence_length=256,
            dropout=0.0,
        )
        method = METHODS.resolve("lora", {"target": "all-linear"})
        method.apply(backbone, architecture_of(backbone), 0)
        network = TextClassifier(backbone, num_classes=2, dropout=0.0)
        model = TrainingModel(
            network, TextClassification().loss, accumulation=accumulation
        )
        optimizer = keras.optimizers.AdamW(1e-2)
        optimizer.build(model.trainable_variables)
        model.compile(optimizer=optimizer, jit_compile=False)
    count = strategy.num_replicas_in_sync
    batches = Batches(examples, BATCH, 1, divisible_by=count * accumulation)
    dataset = batches.dataset(shares=count, mine=replica_range(strategy))
    history = model.fit(
        distribute(strategy, dataset),
        steps_per_epoch=len(batches),
        epochs=EPOCHS,
        verbose=0,
        shuffle=False,
    )
    weights = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    flat = np.concatenate([one.ravel() for one in weights])
    return np.concatenate([flat, history.history["loss"]])


def main(folder, *runs):
    """Writes the weights of each run, said as strategy/accumulation."""
    for name, accumulation in (run.split("/") for run in runs):
        strategy = choose_strategy(None if name == "none" else name)
        weights = train(strategy, int(accumulation))
        if worker(strategy)[0] == 0:
            np.save(Path(folder) / f"{name}-{accumulation}.npy", weights)
        wait_for_all(strategy)


if __name__ == "__main__":
    main(*sys.argv[1:])
