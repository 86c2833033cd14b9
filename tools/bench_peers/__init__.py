"""The same jobs in tfft, in KerasHub alone and in PyTorch, measured by turns."""
