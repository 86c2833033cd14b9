"""Searching for options: spaces, KerasTuner's oracles, pruning, results."""
