"""Turns rows into the examples of a language model."""
