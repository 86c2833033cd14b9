"""What every other room stands on; imports no TensorFlow."""
