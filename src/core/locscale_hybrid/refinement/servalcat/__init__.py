"""Refine B factors or coordinates by servalcat, an optional program, as a child process.

`program` checks that servalcat and its monomer library are there, and runs it; `files` writes what
it reads and reads what it writes.
"""
