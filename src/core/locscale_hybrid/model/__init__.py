"""Read the atomic model and make the hybrid model of atoms, pseudo-atoms and symmetry copies.

`read_model` reads PDB and mmCIF files; `complete_assembly` adds the copies that a point group asks
for; `HybridModel` holds atoms and pseudo-atoms as arrays.  Nothing here knows a map.
"""
