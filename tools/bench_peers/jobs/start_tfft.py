"""Measures tfft's start."""

from bench_peers.starting import measure

if __name__ == "__main__":
    measure("tfft", "tfft", ["-m", "tfft", "--help"])
