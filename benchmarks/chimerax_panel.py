"""How long the panel and the delivery of a result hold up ChimeraX's main thread.

    .venv-chimerax/bin/python benchmarks/chimerax_panel.py [edge] [--atoms N] [--stacks]

Random half maps of edge^3 voxels (default 300) and a model of N atoms (default 100,000) in the real
ChimeraX core without its window; a stand-in for the core writes maps and a hybrid model.  The steps of
a session: choose (the live check starts), Start, the result with linear map and hybrid model, an
update.  Given for each step is the longest turn of the main loop, in CPU time of the main thread and
in wall time; drawing is not part of it, nor is what ChimeraX's command parser does.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests" / "chimerax"
sys.path[:0] = [str(TESTS), str(TESTS / "harness")]
os.environ["QT_QPA_PLATFORM"] = "offscreen"


def turns(session, ticks, until):
    """Run the main loop until something is so; return the longest turn, wall and CPU, in ms."""
    first = len(ticks.lengths)
    while not until():
        session.ui.take_one(timeout=0.01)
        session.triggers.activate_trigger("new frame", session)
        ticks.turn()
    return [1000 * max(part[first:], default=0) for part in (ticks.lengths, ticks.cpu)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("edge", nargs="?", type=int, default=300)
    parser.add_argument("--atoms", type=int, default=100_000)
    parser.add_argument("--outputs", default="linear")
    parser.add_argument("--stacks", action="store_true")
    options = parser.parse_args()
    import doubles
    import pytest
    from chimerax_core import run, start_session
    from chimerax_start import OurShare, Ticks, stand_in
    from helpers import write_map, write_model
    from PyQt6 import QtWidgets

    output = sys.stdout
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        folder = Path(folder)
        session = start_session(str(folder / "home"))
        sys.stdout = output
        application = QtWidgets.QApplication(["benchmark"])
        doubles.install(patch)
        stand_in(folder)
        for seed in (1, 2):
            path = folder / f"half{seed}.mrc"
            write_map(path, shape=(options.edge,) * 3, seed=seed)
            run(session, f'open "{path}"')
        run(session, f"open {write_model(folder / 'model.cif', residues=options.atoms // 4)}")
        run(session, "volume #1,2 step 4")
        from chimerax.locscale.commands import start
        from chimerax.locscale.panel.tool import LocScalePanel

        patch.setattr(start, "_waits", lambda session: False)
        ours = OurShare()
        ticks = Ticks()
        panel = LocScalePanel(session, "LocScale Hybrid")
        panel.options.set_value("outputs", tuple(options.outputs.split(",")))
        ticks.turn()
        rows = {"open the panel": [1000 * ticks.lengths[-1], 1000 * ticks.cpu[-1]]}
        logic = panel.logic
        for _ in range(3):
            panel._refresh()
        ticks.turn()
        panel._refresh()
        ticks.turn()
        rows["one refresh"] = [1000 * ticks.lengths[-1], 1000 * ticks.cpu[-1]]
        rows["choose: check starts"] = turns(session, ticks, lambda: logic.check_running)
        rows["until the check ends"] = turns(session, ticks, lambda: not logic.check_running)
        for name, press in (("Start", panel.start), ("update", panel.update)):
            if name == "update":
                run(session, "delete #3:5")
            ticks.turn()
            press()
            ticks.turn()
            rows[f"{name}: command"] = [1000 * ticks.lengths[-1], 1000 * ticks.cpu[-1]]
            rows[f"{name}: of it ours"] = [1000 * ours.seconds, 1000 * ours.cpu]
            job = logic.job()
            rows[f"{name}: run and result"] = turns(session, ticks, lambda job=job: job.ended)
            assert job.error is None, job.error
        print(f"{options.edge}^3 voxels, {options.atoms} atoms; longest turn of the main loop")
        for name, (wall, cpu) in rows.items():
            print(f"{name:24s} {wall:7.0f} ms wall {cpu:7.0f} ms CPU")
        if options.stacks:
            for stack, number in ticks.stacks.most_common(12):
                print(f"{5 * number:6d} ms  {stack}")
        panel.delete()
        run(session, "close session")
        application.quit()


if __name__ == "__main__":
    main()
