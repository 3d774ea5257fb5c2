"""The command line: options, terminal output and exit codes.

`main` is the program; `options` defines what can be typed, `request` turns it into parameters,
`screen` prints.  Importing it loads no numerics, so that `--help` and errors appear at once.
"""
