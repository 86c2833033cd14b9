"""Measures KerasHub's start; it has no command line."""

from bench_peers.starting import measure

if __name__ == "__main__":
    measure("keras_hub", "keras_hub")
