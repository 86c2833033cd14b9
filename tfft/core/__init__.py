"""Basics that every other package uses; imports no TensorFlow."""
