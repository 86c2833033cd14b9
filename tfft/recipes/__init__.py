"""What users ask for: one configuration and one function each."""
