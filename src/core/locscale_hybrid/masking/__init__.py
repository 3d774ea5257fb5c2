"""Find the particle: a mask by false discovery rate, and the resolution inside it.

`fdr_mask` separates density from solvent noise; `find_resolution` measures the half-map FSC
inside.
`coverage` reports how much of the mask the model explains.
"""
