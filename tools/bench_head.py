"""Measures the memory of a step with GPT-2's vocabulary: loss in chunks or all logits.

    python tools/bench_head.py [--precision mixed_bfloat16] [--layers 12]

Measures the head alone in float32, and all of GPT-2 in the given precision: once with
the activations of its layers kept for the backward pass, and once with checkpointed
layers. Each case runs in its own process, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from bench_causal_lm import gpt2, in_processes, peak_gb

# Maps states, the head's matrix and labels to a mean loss.
Loss = Callable[[Any, Any, Any], Any]


def chunked_loss(states: Any, matrix: Any, labels: Any) -> Any:
    """Returns the mean loss without ever holding all logits."""
    import tensorflow as tf

    from tfft.tasks.networks.linear_cross_entropy import linear_cross_entropy

    return tf.reduce_mean(linear_cross_entropy(states, matrix, labels)[0])


def plain_loss(states: Any, matrix: Any, labels: Any) -> Any:
    """Returns the mean loss from all logits, in float32 as Keras computes it."""
    import tensorflow as tf

    logits = tf.matmul(states, tf.cast(matrix, states.dtype), transpose_b=True)
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels, tf.cast(logits, tf.float32)
        )
    )


def head_of_ours(options: argparse.Namespace) -> dict[str, Any]:
    """Runs a step of the head alone, with the loss in chunks."""
    return head_step(chunked_loss)


def head_of_plain(options: argparse.Namespace) -> dict[str, Any]:
    """Runs the same step with all logits at once."""
    return head_step(plain_loss)


def head_step(loss: Loss) -> dict[str, Any]:
    """Returns the loss, seconds and added memory of a step of the head in float32."""
    import tensorflow as tf

    generator = np.random.default_rng(0)
    matrix, states = (
        tf.Variable(generator.normal(0, 0.02, (rows, 768)).astype("float32"))
        for rows in (50257, 8192)
    )
    labels = generator.integers(0, 50257, 8192).astype("int32")

    @tf.function
    def step() -> Any:
        with tf.GradientTape() as tape:
            value = loss(states, matrix, labels)
        pairs = zip(
            (states, matrix), tape.gradient(value, (states, matrix)), strict=True
        )
        for variable, one in pairs:
            variable.assign_sub(1e-3 * one)
        return value

    return twice(step)


def step_of_ours(options: argparse.Namespace) -> dict[str, Any]:
    """Runs a train step of all of GPT-2 with 8x1024 labels, with the loss in chunks."""
    return whole_step(options, chunked_loss, checkpointed=False)


def step_of_plain(options: argparse.Namespace) -> dict[str, Any]:
    """Runs the same step with the logits of all tokens at once."""
    return whole_step(options, plain_loss, checkpointed=False)


def checkpointed_of_ours(options: argparse.Namespace) -> dict[str, Any]:
    """Runs the step with checkpointed layers and the loss in chunks."""
    return whole_step(options, chunked_loss, checkpointed=True)


def checkpointed_of_plain(options: argparse.Namespace) -> dict[str, Any]:
    """Runs the step with checkpointed layers and all logits at once."""
    return whole_step(options, plain_loss, checkpointed=True)


def whole_step(
    options: argparse.Namespace, loss: Loss, *, checkpointed: bool
) -> dict[str, Any]:
    """Returns the loss, seconds and added memory of a step that trains all weights."""
    import tensorflow as tf

    from tfft.compute.precision import set_compute_policy
    from tfft.models.wiring.decoder_states import decoder_states
    from tfft.models.wiring.wiring import wiring_of

    backbone = gpt2(num_layers=options.layers)
    set_compute_policy(backbone, options.precision)
    wiring = wiring_of(backbone)
    ids = np.random.default_rng(0).integers(0, 50257, (8, 1024)).astype("int32")
    places = np.tile(np.arange(1024, dtype="int32"), (8, 1))

    @tf.function
    def step() -> Any:
        variables = [variable.value for variable in backbone.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            states = decoder_states(
                wiring,
                ids,
                places,
                np.ones_like(ids),
                training=True,
                gradient_checkpointing=checkpointed,
            )
            matrix = tf.convert_to_tensor(wiring.matrix.value)
            value = loss(tf.reshape(states, (-1, 768)), matrix, ids.reshape(-1))
        for variable, one in zip(
            variables, tape.gradient(value, variables), strict=True
        ):
            variable.assign_sub(1e-3 * tf.convert_to_tensor(one))
        return value

    return twice(step)


def twice(step: Callable[[], Any]) -> dict[str, Any]:
    """Returns the first loss, the seconds of a second step, and the memory of both."""
    before = peak_gb()
    loss = float(step())
    start, cpu = time.perf_counter(), time.process_time()
    float(step())
    return {
        "loss": loss,
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "added_gb": peak_gb() - before,
    }


def main(argv: list[str] | None = None) -> None:
    """Runs all cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--case", help="run only this case, in this process")
    cases = [
        *(head_of_ours, head_of_plain),
        *(step_of_ours, step_of_plain),
        *(checkpointed_of_ours, checkpointed_of_plain),
    ]
    in_processes(cases, parser.parse_args(argv))


if __name__ == "__main__":
    main()
