"""Compare the model with the map: a difference map and its peaks, and scores for every residue.

`difference` makes the map that shows what the model lacks or has too much, `peaks` lists its
strongest places, and `scores` measures how well every residue agrees with a map.
"""
