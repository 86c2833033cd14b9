"""Weights on disk: safetensors, and the PEFT adapter format."""
