"""The train step and what drives it. Knows no models, data, adapters or tasks."""
