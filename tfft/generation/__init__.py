"""Text from a decoder, token by token."""
