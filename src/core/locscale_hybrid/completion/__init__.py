"""Fill the density that no model atom explains with pseudo-atoms.

`unmodelled_region` finds that density, `place_pseudo_atoms` fills it with as many pseudo-atoms as
protein would have atoms there and lets them settle.  `update` reuses the pseudo-atoms of an earlier
run after the model was edited.
"""
