"""Measures the arithmetic speed of TensorFlow's matrix product.

    python tools/matmul_peak.py [--precision bfloat16] [--seconds 2]

Prints the median over calls for each size, and the best size: the speed to compare a
training step with. A product of (a, b) and (b, c) counts as 2·a·b·c operations.
"""

import argparse
import statistics
import time

SIZES = ((1024, 768, 3072), (1536, 3072, 768), (2048, 2048, 2048), (4096, 4096, 4096))


def main() -> None:
    """Prints a line for each size, and the best."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precision", choices=("bfloat16", "float32"))
    parser.add_argument("--seconds", type=float, default=2.0, help="for each size")
    options = parser.parse_args()
    kinds = [options.precision] if options.precision else ["bfloat16", "float32"]
    for kind in kinds:
        rates = {size: rate(size, kind, options.seconds) for size in SIZES}
        for size, one in rates.items():
            print(f"{kind} {'x'.join(map(str, size)):>14}: {one / 1e9:7.1f} GFLOP/s")
        print(f"{kind} {'best':>14}: {max(rates.values()) / 1e9:7.1f} GFLOP/s")


def rate(size: tuple[int, int, int], kind: str, seconds: float) -> float:
    """Returns the operations per second of a product of that size."""
    import tensorflow as tf

    a, b, c = size
    left, right = (tf.cast(tf.random.normal(shape), kind) for shape in ((a, b), (b, c)))
    multiply = tf.function(lambda: tf.matmul(left, right))
    multiply()
    taken, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until:
        started = time.perf_counter()
        multiply()
        tf.test.experimental.sync_devices()
        taken.append(time.perf_counter() - started)
    return 2 * a * b * c / statistics.median(taken)


if __name__ == "__main__":
    main()
