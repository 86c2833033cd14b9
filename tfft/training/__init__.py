"""The train step and its callbacks. This package knows no models, data or tasks."""
