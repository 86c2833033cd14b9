"""Keras layers of the methods; importing them imports TensorFlow."""
