"""Faster ways for a backbone's layers to compute, on a CPU above all."""
