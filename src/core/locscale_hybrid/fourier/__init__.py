"""Transform maps, sum over shells of resolution, and compute the FSC.

`FourierSpace` holds the frequencies of a grid; `resolution_range` selects the coefficients that
count in a refinement; `pruned_transforms` transforms only these.
"""
