"""Measures the start of transformers, PEFT and TRL."""

from bench_peers.starting import measure

if __name__ == "__main__":
    measure(
        "torch",
        "torch, transformers, peft, trl",
        ["-c", "from trl.cli import main; main()", "--help"],
    )
