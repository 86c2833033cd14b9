"""What to learn: columns, encoding, head, loss and answers. One file a task."""
