"""One file per verb that users call: a configuration and a function."""
