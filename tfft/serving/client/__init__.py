"""Clients of TF Serving, and of `tfft serve`."""
