"""The job "LocScale hybrid" of the CCP-EM Pipeliner.

The pipeliner finds `job` by its entry point; nothing else in the program imports this package.
"""
