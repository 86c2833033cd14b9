"""The same jobs in tfft, in KerasHub alone and in PyTorch, measured in turn."""
