"""Runs of the command line and of other machines, opened as results of a session."""
