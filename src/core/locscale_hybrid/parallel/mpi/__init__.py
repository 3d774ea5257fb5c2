"""Run tasks over MPI: in ranks that the user started, or in ranks that the program starts.

`executor` starts mpiexec, `worker` is what a rank runs, `dispatch` deals tasks to ranks.  Every
rank ends when the program that started it ends, and leaves nothing behind.
"""
