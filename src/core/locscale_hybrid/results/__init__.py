"""Write what a run leaves behind: maps, record, hybrid model, report.

`write_output` writes all files, each complete or not at all; `record` holds everything that is
needed to repeat the run; `report` is the page that a person reads.
"""
