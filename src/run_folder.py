"""A temporary folder of one run, gone with its result or with the application."""

import atexit
import shutil
import tempfile
import threading
import time
from pathlib import Path

from .child import python_of_application


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
        self.previous = self.path / "previous"
        for folder in (self.inputs, self.stages, self.outputs, self.scratch, self.previous):
            folder.mkdir()
        atexit.register(self.remove)
        self._keeper = None

    def guard(self):
        """See to it that the folder goes also when ChimeraX is killed; for a thread.

        A process of its own waits for the end of ChimeraX; it ends with the folder.
        """
        if self._keeper is None and self.path.exists():
            from locscale_hybrid.folder_keeper import FolderKeeper
            from locscale_hybrid.launch import python_executable
            self._keeper = FolderKeeper(self.path, python_executable(python_of_application()))

    def clear_inputs(self):
        """Forget the input files of an earlier run, whose names may differ."""
        for path in self.inputs.iterdir():
            path.unlink()

    @property
    def previous_record(self):
        """The record of the last run in this folder that an update can start from, or None."""
        return next(iter(self.previous.glob("*.json")), None)

    def keep_for_update(self, record, hybrid_model):
        """Keep the record of a run and its hybrid model in place of those of the run before.

        They are copies: the next run writes over the files themselves before it is done.
        """
        kept = {self.previous / source.name: source for source in (record, hybrid_model)}
        for path in self.previous.iterdir():
            path.unlink()
        for path, source in kept.items():
            shutil.copyfile(source, path)

    def remove(self):
        """Delete everything; again does nothing."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self.path.exists():
            return
        atexit.unregister(self.remove)
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.close()

    def remove_in_background(self):
        """Delete everything in a thread: files of a large map take longer than a frame."""
        threading.Thread(target=self.remove).start()

    def remove_soon(self, seconds=8.0):
        """Delete everything, once processes that still write to it have ended; for a thread."""
        end = time.monotonic() + seconds
        self.remove()
        while self.path.exists() and time.monotonic() < end:
            time.sleep(0.1)
            self.remove()
