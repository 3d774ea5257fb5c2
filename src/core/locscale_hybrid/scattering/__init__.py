"""Compute density from atoms: electron scattering factors, Gaussians on a grid, the reference map.

`Scatterers` gives the Fourier coefficients of atoms and integrals over them; `reference_map` is the
density of the hybrid model that the map is scaled to.
"""
