"""Refine the B factors of the hybrid model against the half maps.

`BRefinement` chooses the restraint weight by cross-validation against half map 2 and refines all B
factors by likelihood.  Model coordinates stay as they are, unless servalcat refines them on
request.
"""
