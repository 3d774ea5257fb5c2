"""Harder cases with known truth, other programs on the same half maps, and the measures of both."""
