"""Sharpen a map: place pseudo-atoms, refine B factors, compute the reference, scale to it.

`sharpened` does these four steps, for a run and again for its check with another seed; each is a
function of its own.  `RunContext` is what they compute with: processes, folders, kept results.
"""
