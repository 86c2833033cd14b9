"""Fine-tuning methods: which weights may change, and how. One file for each method."""
