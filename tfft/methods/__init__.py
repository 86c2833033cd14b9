"""Methods: which weights may change, and how. One file a method."""
