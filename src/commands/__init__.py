"""The commands that a user types: keywords, specifiers, selection, and the start of a run."""
