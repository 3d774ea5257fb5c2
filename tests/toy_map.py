"""Toy tasks on one executor, for tests that start processes: toy_map.py KIND N FOLDER PATIENCE.

KIND is serial, pool, mpi (ranks that this process starts) or world (the ranks of mpirun).
The plan lies in FOLDER; with "plans" in it the tasks run that many times, with "patience" each
may take so long.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))


def executor_of(kind, workers, patience):
    """The executor, and COMM_WORLD where there is one."""
    from locscale_hybrid.parallel import executors
    from locscale_hybrid.parallel.launchers import mpiexec_candidates
    from locscale_hybrid.parallel.mpi.comm_world import CommWorldExecutor, comm_world, serve_ranks

    def found(finding):
        print(f"{finding.code}: {finding.message}", flush=True)

    if kind == "serial":
        return executors.SerialExecutor()
    if kind == "pool":
        return executors.ProcessExecutor(workers, patience=patience, found=found)
    if kind == "mpi":
        return executors.MpiexecExecutor(
            workers, mpiexec_candidates(), patience=patience, ready=120.0, found=found
        )
    comm = comm_world(dict(os.environ))
    if comm.Get_rank() > 0:
        serve_ranks(comm)
        sys.exit(0)
    world = CommWorldExecutor(comm, patience=patience)
    world.found = found
    return world


def main(kind, workers, folder, patience):
    """Run the plan; 3 after an error, which is printed."""
    from locscale_hybrid.errors import LocScaleError
    from tests import toy_tasks

    executor = executor_of(kind, int(workers), float(patience))
    plan = json.loads(Path(folder, "plan.json").read_text())
    code = 0
    try:
        for _ in range(plan.get("plans", 1)):
            executor.map(
                toy_tasks.write_slot, Path(folder), plan["count"], patience=plan.get("patience")
            )
        print(executor.name, flush=True)
    except LocScaleError as error:
        print(f"error: {error}", flush=True)
        code = 3
    if kind == "world":
        if not executor.finish():
            executor.abort(code)
    else:
        executor.close()
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
