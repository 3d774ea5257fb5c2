"""Read the maps and the model of a run and check them before anything is computed.

`read_run_input` reads what a run was given; `check_inputs` reports what a user must know about it:
grids, filtered or sharpened maps, half maps that do not match, hand, symmetry, model in place.
Nothing is repaired silently: a check returns findings or raises an `InputError`.
"""
