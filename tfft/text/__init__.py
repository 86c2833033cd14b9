"""Tokenizers and chat templates, and their exact equivalents inside a graph."""
