"""A script for each kind of job and peer; each prints one line of JSON."""
