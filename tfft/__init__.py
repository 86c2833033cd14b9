"""Fine-tuning in Keras on TensorFlow."""
