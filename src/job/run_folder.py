"""A temporary folder of one run, gone with its result or with the application."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
import threading
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from ..scene.mmcif import is_same_model
from .child import python_of_application

if TYPE_CHECKING:
    from locscale_hybrid.parallel.temporary_folder import FolderKeeper

LARGEST_PACKED = 8 << 20  # bytes that a session file may hold for the update of one result
_GIVEN = "given model.cif"  # no output has a name with a space
_LARGEST_FILE = 1 << 28  # bytes of a file unpacked


class RunFolder:
    """Input files, stage results and output files of a run.

    It stays while the result is open, because an update then computes only what has changed.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="locscale-"))
        self.inputs = self.path / "inputs"
        self.stages = self.path / "stages"
        self.outputs = self.path / "outputs"
        self.scratch = self.path / "scratch"
        self.previous = self.path / "previous"
        for folder in (self.inputs, self.stages, self.outputs, self.scratch, self.previous):
            folder.mkdir()
        atexit.register(self.remove)
        self._keeper: FolderKeeper | None = None
        self.packed: dict[str, bytes] = {}
        self.is_orphan = False  # its result was closed while a run was using it

    def guard(self) -> None:
        """See to it that the folder goes also when ChimeraX is killed; for a thread.

        A process of its own waits for the end of ChimeraX; it ends with the folder.
        """
        if self._keeper is None and self.path.exists():
            from locscale_hybrid.parallel.processes import python_executable
            from locscale_hybrid.parallel.temporary_folder import FolderKeeper

            self._keeper = FolderKeeper.of(self.path, python_executable(python_of_application()))

    def clear_inputs(self) -> None:
        """Forget the input files of an earlier run, whose names may differ."""
        for path in self.inputs.iterdir():
            path.unlink()

    @property
    def previous_record(self) -> Path | None:
        """The record of the last run in this folder that an update can start from, or None."""
        generations = self._generations()
        return next(iter(generations[-1].glob("*.json")), None) if generations else None

    def _generations(self) -> list[Path]:
        """Folders of what runs have left, the newest last."""
        return sorted(self.previous.iterdir(), key=lambda folder: int(folder.name))

    def keep_for_update(self, record: Path, hybrid_model: Path, model: Path | None = None) -> None:
        """Keep the record of a run and its hybrid model in place of those of the run before.

        They are copies: the next run writes over the files themselves before it is done.  What
        an update itself has started from stays: another one of the same model starts there too.
        `packed` holds them for a session file, where they are not too large for it.

        Parameters
        ----------
        record, hybrid_model : Path
        model : Path, optional
            The model that was given.
        """
        kept = {source.name: source.read_bytes() for source in (record, hybrid_model)}
        if model is not None:
            kept[_GIVEN] = model.read_bytes()
        entry = json.loads(kept[record.name]).get("inputs", {}).get("previous_record")
        self._replace_previous(kept, start=Path(entry["path"]).parent if entry else None)
        packed = {name: zlib.compress(content) for name, content in kept.items()}
        is_small = sum(map(len, packed.values())) <= LARGEST_PACKED
        self.packed = packed if is_small else {}

    def take_model_as_before(self, model: Path) -> None:
        """Put the file of the earlier model in place of a new one that holds the same atoms.

        A session file rounds coordinates, and a model that nobody has edited must stay the same.
        """
        generations = self._generations()
        earlier = generations[-1] / _GIVEN if generations else None
        if earlier is not None and earlier.is_file() and is_same_model(earlier, model):
            shutil.copyfile(earlier, model)

    def unpack(self, packed: dict[str, bytes]) -> None:
        """Put there what an earlier session kept of a run; damage is as if it had kept nothing."""
        try:
            kept = {Path(name).name: _unpacked(content) for name, content in packed.items()}
        except (TypeError, ValueError, zlib.error):
            return
        self._replace_previous(kept)
        self.packed = packed

    def _replace_previous(self, kept: dict[str, bytes], *, start: Path | None = None) -> None:
        """Put files in place of those of the run before, but of those in the folder `start`."""
        before = self._generations()
        folder = self.previous / str(int(before[-1].name) + 1 if before else 0)
        folder.mkdir()
        for name, content in kept.items():
            (folder / name).write_bytes(content)
        for other in before:
            if other != start:
                shutil.rmtree(other, ignore_errors=True)

    def remove(self) -> None:
        """Delete everything; again does nothing."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self.path.exists():
            return
        atexit.unregister(self.remove)
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.close()

    def remove_in_background(self) -> None:
        """Delete everything in a thread: files of a large map take longer than a frame."""
        threading.Thread(target=self.remove_soon).start()

    def remove_soon(self, seconds: float = 8.0) -> None:
        """Delete everything, once processes that still write to it have ended; for a thread."""
        end = time.monotonic() + seconds
        self.remove()
        while self.path.exists() and time.monotonic() < end:
            time.sleep(0.1)
            self.remove()


def _unpacked(content: bytes) -> bytes:
    """Unpack the bytes of a file, up to the allowed number."""
    unpacker = zlib.decompressobj()
    unpacked = unpacker.decompress(content, _LARGEST_FILE)
    if not unpacker.eof:
        raise ValueError("it is cut off, or too long")
    return unpacked
