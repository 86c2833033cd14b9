"""What every registered method must keep to."""
