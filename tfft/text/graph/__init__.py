"""Tokenizers inside a TensorFlow graph, equal to those of the `tokenizers` library."""
