"""A small local server for SavedModels with TF Serving's two protocols."""
