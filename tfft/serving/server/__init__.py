"""A small local server of SavedModels that speaks TF Serving's two protocols."""
