"""Rows in, batches out. This package knows no models."""
