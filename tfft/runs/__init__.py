"""Fine-tuned models, the folders that hold them, and exports; no training."""
