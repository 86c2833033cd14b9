"""Scores, tables and pictures from the outputs of a model."""
