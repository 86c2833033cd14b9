"""Writes and reads PEFT adapters; one file for each kind of adapter."""
