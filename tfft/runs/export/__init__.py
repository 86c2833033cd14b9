"""Fine-tuned models in the formats of other programs."""
