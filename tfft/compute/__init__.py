"""How layers compute fast on this processor."""
