"""Draw the report of a run: one HTML page with its figures inside.

`build` collects the facts, `page` lays them out, `charts` and `slices` draw; nothing needs
matplotlib or a network.
"""
