"""A temporary folder of one run, gone with its result or with the application."""

import atexit
import shutil
import tempfile
import time
from pathlib import Path


class RunFolder:
    """Input files, stage results and output files of a run.

    It stays while the result is open, because an update then computes only what has changed.
    """

    def __init__(self):
        self.path = Path(tempfile.mkdtemp(prefix="locscale-"))
        self.inputs = self.path / "inputs"
        self.stages = self.path / "stages"
        self.outputs = self.path / "outputs"
        self.scratch = self.path / "scratch"
        for folder in (self.inputs, self.stages, self.outputs, self.scratch):
            folder.mkdir()
        atexit.register(self.remove)

    def clear_inputs(self):
        """Forget the input files of an earlier run, whose names may differ."""
        for path in self.inputs.iterdir():
            path.unlink()

    def remove(self):
        """Delete everything; again does nothing."""
        shutil.rmtree(self.path, ignore_errors=True)
        if not self.path.exists():
            atexit.unregister(self.remove)

    def remove_soon(self, seconds=8.0):
        """Delete everything, once processes that still write to it have ended; for a thread."""
        end = time.monotonic() + seconds
        self.remove()
        while self.path.exists() and time.monotonic() < end:
            time.sleep(0.1)
            self.remove()
