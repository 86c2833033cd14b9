"""Adapters in the format of PEFT, in both directions. One file a kind of adapter."""
