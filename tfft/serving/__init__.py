"""SavedModels that answer from raw text, as TF Serving takes them."""
