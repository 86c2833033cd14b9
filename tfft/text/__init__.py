"""Tokenizers and chat templates, each with its exact twin inside a graph."""
