"""Backbones and tokenizers from anywhere, and the named places inside them."""
