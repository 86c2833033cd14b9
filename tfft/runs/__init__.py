"""What a fine-tuned model is, and the folder that keeps it; knows no training."""
