"""Generates text with a decoder, token by token."""
