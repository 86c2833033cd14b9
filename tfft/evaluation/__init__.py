"""Outputs of a model into numbers, tables and pictures."""
