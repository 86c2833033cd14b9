"""Tasks: columns, encoding, head, loss and answers. One file per task."""
