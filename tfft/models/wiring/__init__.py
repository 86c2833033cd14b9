"""Forward passes over a backbone's own layers, one file per architecture."""
