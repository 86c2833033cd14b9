"""Weights on disk: safetensors, Hugging Face folders and PEFT adapters."""
