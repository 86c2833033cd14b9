"""Measures time and memory of a LoRA step of GPT-2 124 M in tfft and in KerasHub.

Random weights, rank 8 on query and value, mixed_bfloat16, 4 x 256 tokens. Each library
runs in its own processes, taking turns, so that a slow minute of the machine affects
both.

    python tools/bench_lora.py [--rounds 2] [--steps 6] [--quantised]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

ROWS, LENGTH, RANK = 4, 256, 8
_WARM = 2  # steps that trace and fill the caches
SIDES = ("tfft", "keras_hub")


def main() -> int:
    """Runs both libraries in turn and prints the ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--quantised", action="store_true")
    parser.add_argument("--side")
    options = parser.parse_args()
    if options.side:
        print(json.dumps(measure(options.side, options.steps)))
        return 0
    sides = ("float32", "int8", "int4") if options.quantised else SIDES
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    for _ in range(options.rounds):
        for side in sides:
            found[side].append(_in_a_process(side, options.steps))
            print(side, found[side][-1], flush=True)
    if not options.quantised:
        peaks = {
            side: max(one["peak_gb"] for one in runs) for side, runs in found.items()
        }
        for kind in ("step", "cpu"):
            ours, theirs = (
                statistics.median(one[kind] for one in found[side]) for side in SIDES
            )
            print(f"{kind}: KerasHub / tfft = {theirs / ours:.2f}")
        print(f"peak memory, GB: tfft {peaks['tfft']}, KerasHub {peaks['keras_hub']}")
    return 0


def _in_a_process(side: str, steps: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, __file__, "--side", side, "--steps", str(steps)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(side: str, steps: int) -> dict[str, Any]:
    """Returns the seconds of a step, the peak memory and the trainable parameters."""
    import keras
    import keras_hub
    import numpy as np

    keras.utils.set_random_seed(0)
    quantised = side in ("float32", "int8", "int4")
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=50257,
        num_layers=12,
        num_heads=12,
        hidden_dim=768,
        intermediate_dim=3072,
        max_sequence_length=1024,
        dropout=0.0,
        dtype="float32" if quantised else "mixed_bfloat16",
    )
    if side in ("int8", "int4"):
        backbone.quantize(side)
    ids = np.random.default_rng(0).integers(0, 50257, (ROWS, LENGTH + 1), "int32")
    batch = {
        "token_ids": ids[:, :-1],
        "padding_mask": np.ones((ROWS, LENGTH), "int32"),
        "labels": ids[:, 1:],
        "weights": np.ones(ROWS, "float32"),
    }
    import tensorflow as tf

    data = tf.data.Dataset.from_tensors(batch).repeat()
    make = _keras_hub if side == "keras_hub" else _tfft
    model, data = make(keras, keras_hub, backbone, data)
    clock = _clock(keras)
    model.fit(
        data, steps_per_epoch=steps + _WARM, epochs=1, verbose=0, callbacks=[clock]
    )
    taken = np.diff(np.array(clock.ends[_WARM - 1 :]), axis=0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    stored = sum(int(np.prod(v.shape)) * _width(v) for v in backbone.variables)
    return {
        "step": round(float(np.median(taken[:, 0])), 3),
        "cpu": round(float(np.median(taken[:, 1])), 3),
        "peak_gb": round(peak, 2),
        "trainable": trainable,
        "weights_gb": round(stored / 1e9, 3),
    }


def _width(variable: Any) -> int:
    import numpy as np

    kind = str(variable.dtype)
    return 2 if kind == "bfloat16" else np.dtype(kind).itemsize


def _clock(keras: Any) -> Any:
    """Returns a callback that records when each step ended."""

    class Clock(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.ends: list[tuple[float, float]] = []

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            # Processor time hardly depends on how busy the machine is.
            self.ends.append((time.perf_counter(), time.process_time()))

    return Clock()


def _keras_hub(keras: Any, hub: Any, backbone: Any, data: Any) -> tuple[Any, Any]:
    """Trains KerasHub's way: `enable_lora`, then `fit`."""
    backbone.enable_lora(RANK)
    model = hub.models.GPT2CausalLM(backbone=backbone, preprocessor=None)
    model.compile(
        optimizer=keras.optimizers.Adam(1e-4),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )

    def pair(batch: Any) -> tuple[Any, Any]:
        inputs = {key: batch[key] for key in ("token_ids", "padding_mask")}
        return inputs, batch["labels"]

    return model, data.map(pair)


def _tfft(keras: Any, hub: Any, backbone: Any, data: Any) -> tuple[Any, Any]:
    """Trains with tfft's adapter, network and train step; every token is a label."""
    import tfft
    from tfft.compute.speed import speed_up
    from tfft.tasks.causal_lm import CausalLanguageModelling
    from tfft.tasks.networks.causal_lm import CausalLM
    from tfft.training.step import TrainingModel

    speed_up(backbone)
    tfft.apply(backbone, tfft.LoRA(rank=RANK, target="query,value"))
    places = keras.ops.tile(keras.ops.arange(LENGTH)[None], (ROWS, 1))

    def packed(batch: Any) -> Any:
        rest = {key: batch[key] for key in ("token_ids", "labels", "weights")}
        return {
            **rest,
            "positions": places,
            "sequence_ids": batch["padding_mask"],
            "label_positions": places,
        }

    network, objective = CausalLM(backbone), CausalLanguageModelling().loss
    model = TrainingModel(network, objective, clip_norm=0)
    optimizer = keras.optimizers.Adam(1e-4)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, jit_compile=False)
    return model, data.map(packed)


if __name__ == "__main__":
    sys.exit(main())
