"""One engine: everything between options and a trained network."""
