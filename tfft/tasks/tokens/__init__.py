"""Tasks that label the words of a text."""
