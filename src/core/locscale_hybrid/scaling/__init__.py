"""Scale the amplitudes of the map to the reference map locally, in parallel.

`scale_map` splits both maps into bands of resolution, compares their power around every voxel and
multiplies each band by the local gain; `windows` does the same in boxes, as LocScale does.  A
weight suppresses bands in which the half maps disagree.
"""
