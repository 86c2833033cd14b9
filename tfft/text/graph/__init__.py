"""Tokenizers inside a TensorFlow graph, equal to the `tokenizers` library's."""
