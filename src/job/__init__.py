"""A run as a ChimeraX task: the child process, its messages, its folder."""
