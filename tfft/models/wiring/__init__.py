"""Forward passes over a backbone's own layers, one file an architecture."""
