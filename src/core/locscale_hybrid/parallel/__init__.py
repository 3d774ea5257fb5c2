"""Run tasks on several processors: serial, in a pool of processes, or over MPI.

All executors share one interface and give the same bytes for any number of processes.  `processes`
starts children and ends them; `threads` runs a step in a thread where there is room.
"""
