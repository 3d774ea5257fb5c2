"""How long ChimeraX's main thread is held up by a run: from Enter to the child, and at the result.

    .venv-chimerax/bin/python benchmarks/chimerax_start.py [edge ...] [--atoms N] [--stacks]

Random half maps of edge^3 voxels (default 200 and 300) in the real ChimeraX core without its
window; a stand-in for the core copies the first map, so that the times are ChimeraX's part alone.
The child is started at once and loads its libraries while a thread writes the maps: told is when
it was started, and when it was told to begin.  A tick is a turn of the main loop, which a window
would draw in; the longest ones are told, and with --stacks what the main thread did in those over
50 ms.  The first tick is the command itself, which ChimeraX parses (specifiers of atoms above all)
before the bundle is called: "ours" is what it takes from there.
"""

import argparse
import collections
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests" / "chimerax"
sys.path[:0] = [str(TESTS), str(TESTS / "harness")]
LATE = 0.050  # s


class Ticks:
    """Lengths of the turns of the main loop; a thread looks at what the late ones do."""

    def __init__(self):
        self.lengths, self.cpu, self.stacks = [], [], collections.Counter()
        self._begun, self._cpu = time.perf_counter(), time.thread_time()
        self._main = threading.get_ident()
        threading.Thread(target=self._watch, daemon=True).start()

    def turn(self):
        """Note that one turn is over."""
        now = time.perf_counter()
        used = time.thread_time()
        self.lengths.append(now - self._begun)
        self.cpu.append(used - self._cpu)
        self._begun, self._cpu = now, used

    def _watch(self):
        """Note what the main thread is at while a turn is late."""
        while True:
            time.sleep(0.005)
            if time.perf_counter() - self._begun > LATE:
                frames = traceback.extract_stack(sys._current_frames()[self._main])
                self.stacks[
                    " < ".join(
                        f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[:-7:-1]
                    )
                ] += 1


def stand_in(folder):
    """Start the tests' stand-in in place of the core."""
    import os
    import subprocess

    from locscale_hybrid.parallel import processes

    def start(job, *, python, application=None, errors=None, scratch=None, hold=False):
        with open(errors, "wb") as stream:
            return subprocess.Popen(
                [sys.executable, str(TESTS / "fake_core.py"), "--job", str(job)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                start_new_session=True,
            )

    os.environ["FAKE_CORE"] = "ok"
    processes.start_core = start
    tempfile.tempdir = str(folder)


class OurShare:
    """Time that the command spends in the bundle, after ChimeraX has parsed its words."""

    def __init__(self):
        from chimerax.locscale.commands import start as start_module

        self.seconds = self.cpu = 0.0
        self._start = start_module.start_hybrid
        start_module.start_hybrid = self._timed

    def _timed(self, *arguments, **keywords):
        begun, used = time.perf_counter(), time.thread_time()
        try:
            return self._start(*arguments, **keywords)
        finally:
            self.seconds, self.cpu = time.perf_counter() - begun, time.thread_time() - used


def measure(session, run, edge, folder, ours, *, unsaved, atoms):
    """Time one run; return a row of the table and the stacks of late turns."""
    from helpers import write_map, write_model

    for seed in (1, 2):
        path = folder / f"half{seed}_{edge}.mrc"
        write_map(path, shape=(edge,) * 3, seed=seed)
        run(session, f'open "{path}"')
    run(session, f"open {write_model(folder / 'model.pdb', residues=atoms // 4)}")
    run(session, "volume #1 level 6 step 4")
    if unsaved:
        run(session, "volume copy #1; volume copy #2; close #1,2; rename #4 id #1; rename #5 id #2")
    session.ui.take_one(timeout=0)
    ticks, begun = Ticks(), time.perf_counter()
    started, used = time.monotonic(), time.process_time()
    job = run(session, "locscale hybrid #1 #2 model #3 wait false")
    entered, child = time.perf_counter() - begun, None
    ticks.turn()
    before = len(ticks.lengths)
    while not job.ended:
        session.ui.take_one(timeout=0.01)
        session.triggers.activate_trigger("new frame", session)
        ticks.turn()
        if child is None and job._child is not None:
            child = time.perf_counter() - begun
        if before == 1 and job.begun is not None:
            before, used = len(ticks.lengths), time.process_time() - used
    assert job.error is None, job.error
    row = (
        edge,
        "copies" if unsaved else "files",
        entered,
        ours.seconds,
        ours.cpu,
        child,
        job.begun - started,
        used,
        *(
            max(part, default=0)
            for part in (
                ticks.lengths[1:before],
                ticks.cpu[1:before],
                ticks.lengths[before:],
                ticks.cpu[before:],
            )
        ),
        sum(length > LATE for length in ticks.lengths),
    )
    run(session, "close")
    return row, ticks.stacks


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("edges", nargs="*", type=int, default=[200, 300])
    parser.add_argument("--atoms", type=int, default=8000)
    parser.add_argument("--stacks", action="store_true")
    asked = parser.parse_args()
    from chimerax_core import run, start_session

    out = sys.stdout
    with tempfile.TemporaryDirectory() as name:
        session = start_session(name)
        sys.stdout = out
        stand_in(name)
        ours = OurShare()
        print(
            f"ms (of them CPU of the main thread); a model of {asked.atoms} atoms; the longest "
            "tick but that of\nthe command, until the child begins and after that"
        )
        print("                command         child             CPU       longest tick      ticks")
        print("edge  maps    all  ours (CPU)  started  begins  until it   until      after   > 50")
        for edge in (32, *asked.edges):  # the first run imports
            for unsaved in (False, True):
                row, stacks = measure(
                    session, run, edge, Path(name), ours, unsaved=unsaved, atoms=asked.atoms
                )
                if edge == 32:
                    continue
                print(
                    "{:4}  {:6} {:4.0f}  {:4.0f} ({:3.0f})  {:7.0f}  {:6.0f}  {:8.0f}  {:4.0f} "
                    "({:3.0f})  {:4.0f} ({:3.0f})  {:4}".format(
                        *row[:2], *(1000 * value for value in row[2:12]), row[12]
                    )
                )
                for stack, count in stacks.most_common(6) if asked.stacks else ():
                    print(f"      {5 * count:5} ms  {stack}")


if __name__ == "__main__":
    main()
