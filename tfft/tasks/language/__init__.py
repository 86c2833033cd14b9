"""How rows become what a language model reads."""
