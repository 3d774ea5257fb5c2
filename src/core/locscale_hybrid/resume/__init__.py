"""Reuse earlier results: stages kept in a folder, and the record of an earlier run.

`StageStore` keeps the result of a stage under a key of everything that it depends on;
`find_previous` reads the run that an update starts from; `changes` tests whether an update would
change anything.
"""
