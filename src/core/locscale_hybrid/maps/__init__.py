"""Hold maps and grids, read and write MRC files, and measure shapes in them.

`Grid` is a frozen frame, `Map` its values; `read_map` and `write_map` know the file format.  The
rest are operations on one map: morphology, subvolumes, solvent, contour levels.
"""
