"""Searches for options: search spaces, KerasTuner's oracles, pruning, trials."""
