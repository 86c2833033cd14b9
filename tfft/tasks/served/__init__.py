"""What tasks compute inside a SavedModel, from strings to answers."""
