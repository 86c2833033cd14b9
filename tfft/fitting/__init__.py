"""The training engine: everything between options and a trained network."""
