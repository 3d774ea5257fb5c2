"""Handle point groups: their operators, their axes in a map, and averaging over them.

`parse_point_group` reads names such as D2; `operators` applies them to atoms and maps; `detection`
finds the symmetry of a map.
"""
