"""The command line: arguments into configurations."""
