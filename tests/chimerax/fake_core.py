"""Stands in for the core in tests of the job alone: the same job file, the same JSON lines.

The environment variable FAKE_CORE says how it behaves: ok, refuse, raise, die, quiet or hang.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path


def say(**event):
    print(json.dumps(event), flush=True)


def main():
    if not sys.stdin.readline():  # told to stop before the inputs were there
        return 130
    job = json.loads(Path(sys.argv[sys.argv.index("--job") + 1]).read_text(encoding="utf-8"))
    behaviour = os.environ.get("FAKE_CORE", "ok")
    print("a library says hello", flush=True)  # a reader must live with that
    say(event="stage", name="checks", index=1, of=8)
    say(
        event="finding",
        level="warning",
        code="sharpened-input",
        fact="#1 half1.mrc looks sharpened: its Wilson B is 11 Å² between 10 and 3.4 Å",
        remedies=[{"action": "give", "name": "half_maps", "text": "unsharpened half maps"}],
    )
    say(
        event="finding",
        level="note",
        code="estimated-resolution",
        fact="the resolution is an estimate, 3.4 Å",
        remedies=[
            {
                "action": "give",
                "name": "resolution",
                "text": "the resolution",
                "when": "if you know it",
            }
        ],
    )
    say(
        event="finding",
        level="note",
        code="mpi-absent",
        message="mpi4py is not installed: a pool of 2 processes is used",
    )
    say(event="something-new", text="ignored by readers")
    if job["action"] == "check":
        if job["parameters"]["point_group"] == "C1":
            say(
                event="finding",
                level="note",
                code="symmetry-suggested",
                fact="the map looks D2-symmetric about voxel (14, 12, 10)",
                remedies=[],
                values={"point_group": "D2", "correlation": 0.97},
            )
        return 0
    say(event="stage", name="scaling", index=7, of=8)
    say(event="progress", fraction=0.5)
    if behaviour == "refuse":
        path = next(iter(job["inputs"].values()))
        remedy = {"action": "give", "name": "mask", "text": "another mask"}
        say(event="error", code="input", fact=f"{path} is constant", remedies=[remedy])
        return 2
    if behaviour == "raise":
        raise RuntimeError("something broke")
    if behaviour == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "quiet":
        return 0
    if behaviour == "hang":
        Path(job["outputs"]["map"]).with_name("pid").write_text(str(os.getpid()))
        time.sleep(3600)
    finish(job)
    return 0


def hybrid_model(job, target):
    """Write the given model with a pseudo-atom for every third of its atoms."""
    import gemmi

    from locscale_hybrid.model.structure import PSEUDO_RESIDUE_NAME

    structure = gemmi.read_structure(job["inputs"]["model"])
    chain = gemmi.Chain("P")
    for number, site in enumerate(list(structure[0].all())[::3], start=1):
        residue = gemmi.Residue()
        residue.name, residue.seqid = PSEUDO_RESIDUE_NAME, gemmi.SeqId(str(number))
        atom = gemmi.Atom()
        atom.name, atom.element, atom.pos = "C", gemmi.Element("C"), site.atom.pos
        residue.add_atom(atom)
        chain.add_residue(residue)
    structure[0].add_chain(chain)
    structure.make_mmcif_document().write_file(str(target))


def finish(job):
    """Write twice the first map, and half of it as the linear map; the model if it is asked for."""
    from locscale_hybrid.maps.mrc import read_map_and_frame, write_map

    volume, frame = read_map_and_frame(next(iter(job["inputs"].values())))
    target = Path(job["outputs"]["map"])
    linear = target.with_name(target.stem + "_linear.mrc")
    write_map(target, volume.with_values(2 * volume.values), frame=frame)
    write_map(linear, volume.with_values(volume.values / 2), frame=frame)
    record = target.with_suffix(".json")
    record.write_text(json.dumps({"parameters": job["parameters"]}))
    more = {}
    if "model" in job["parameters"]["outputs"] and job["inputs"].get("model"):
        more["model"] = str(target.with_name(target.stem + "_model.cif"))
        hybrid_model(job, more["model"])
    say(event="progress", fraction=1.0)
    say(event="result", map=str(target), linear=str(linear), record=str(record), **more)


if __name__ == "__main__":
    sys.exit(main())
