"""Keras models of the tasks; importing them imports TensorFlow."""
