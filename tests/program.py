"""The real program on a small simulated case, in processes that can be stopped and watched."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from locscale_hybrid.maps.mrc import write_map
from locscale_hybrid.parameters import HybridInputs
from tests.message_table import tell_table
from tests.synthetic import box_centre, half_maps, small_model

ROOT = Path(__file__).parents[1]
SHAPE, VOXEL, RESOLUTION = (44, 46, 48), 1.3, 3.4
N_RESIDUES, N_GIVEN = 36, 24
SECONDS = 600  # after which a test kills what it started


@dataclass(frozen=True)
class Case:
    """Simulated half maps of 36 residues and a model of the first 24."""

    folder: Path

    @property
    def inputs(self):
        return HybridInputs(
            half_map_1=self.folder / "half1.mrc",
            half_map_2=self.folder / "half2.mrc",
            model=self.folder / "model.cif",
        )

    @property
    def words(self):
        return [
            "-hm",
            str(self.inputs.half_map_1),
            str(self.inputs.half_map_2),
            "-mc",
            str(self.inputs.model),
            "--complete_model",
            "-res",
            str(RESOLUTION),
        ]

    def hashes(self):
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.folder.iterdir()
        }


def make_case(folder):
    """Write the case; a second or so."""
    structure = small_model(N_RESIDUES, centre=box_centre(SHAPE, VOXEL))
    first, second, _ = half_maps(structure, SHAPE, VOXEL, RESOLUTION, 7)
    write_map(folder / "half1.mrc", first)
    write_map(folder / "half2.mrc", second)
    chain = structure[0][0]
    while len(chain) > N_GIVEN:
        del chain[len(chain) - 1]
    structure.make_mmcif_document().write_file(str(folder / "model.cif"))
    return Case(folder)


class Program:
    """A run of the command line that tells its progress as JSON lines."""

    def __init__(self, *words, environment=None, **keywords):
        core = os.pathsep.join([str(ROOT / "src/core"), str(ROOT)])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "locscale_hybrid", *map(str, words), "--progress", "json"],
            env={**os.environ, "PYTHONPATH": core, **(environment or {})},
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            **keywords,
        )
        self._watchdog = threading.Timer(SECONDS, self.process.kill)
        self._watchdog.daemon = True
        self._watchdog.start()
        self.events = []

    def __enter__(self):
        return self

    def __exit__(self, *details):
        self._watchdog.cancel()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def until(self, stage):
        """Read events until a stage begins."""
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if self.events[-1].get("name") == stage:
                return
        raise AssertionError(f"{stage} did not begin: {self.process.stderr.read()}")

    def end(self):
        """Read until the program ends; its exit code."""
        output, self.errors = self.process.communicate()
        self.events += [json.loads(line) for line in output.splitlines()]
        tell_table(
            "fault",
            self.process.returncode,
            *(event["message"] for event in self.said("error")),
            *(
                event["message"]
                for event in self.said("finding")
                if event["code"].startswith(("mpi-", "stage-not", "stage-dam"))
            ),
        )
        return self.process.returncode

    def said(self, kind):
        """Events of a kind."""
        return [event for event in self.events if event["event"] == kind]

    @property
    def error(self):
        """The one sentence of the error event."""
        (event,) = self.said("error")
        return event["message"]


def children(pid):
    """Process numbers of all descendants of a process."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            found += [int(child), *children(int(child))]
    return found
