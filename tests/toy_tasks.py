"""Tasks for tests of the executors: each writes its slot of a file; a plan may ask for a fault."""

import ctypes
import json
import os
import re
import signal
import time
from pathlib import Path

import numpy as np

from locscale_hybrid.parallel.launchers import launcher_of
from locscale_hybrid.parallel.processes import litter_of

# s in which processes whose parent was killed are gone: 5 where nothing else runs, and tests shall
# hold on a machine that is several times slower and busy
ORPHAN_SECONDS = float(os.environ.get("LOCSCALE_ORPHAN_SECONDS", "30"))
SLOTS = "slots.npy"
SIZE = 1000


def make_plan(folder: Path, count: int, **plan: object) -> None:
    """Preallocate the slots and write what the tasks shall do."""
    np.lib.format.open_memmap(folder / SLOTS, mode="w+", dtype=np.float32, shape=(count, SIZE))
    (folder / "plan.json").write_text(json.dumps({"count": count, **plan}))


def write_slot(folder: Path, index: int) -> None:
    """Write numbers that depend on the index alone, or do what the plan's fault says."""
    plan = json.loads((folder / "plan.json").read_text())
    with (folder / "who.txt").open("a") as stream:
        stream.write(f"{os.getpid()} {index}\n")
    time.sleep(plan.get("seconds", 0.0) * (1 + index % 3))
    time.sleep(plan.get("slow", {}).get(str(index), 0.0))
    if index == plan.get("last"):
        wait_until(lambda: sum(workers(folder).values()) == plan["count"])
    litter = folder / f"litter-{os.getpid()}.json"
    if not litter.exists():
        litter.write_text(json.dumps(litter_of([os.getpid()])))
    if index in plan.get("faulty", ()) or _rank() in plan.get("faulty_ranks", ()):
        fault(plan["fault"])
    slots = np.load(folder / SLOTS, mmap_mode="r+")
    slots[index] = np.sin(np.arange(SIZE) * (index + 1)) / (index + 1)
    slots.flush()


def fault(kind: str) -> None:
    """Fail in one of the ways in which processes fail."""
    if kind == "raise":
        raise ValueError("boom")
    if kind == "exit":
        raise SystemExit(5)
    if kind == "memory":
        _take_more_than_there_is()
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "crash":
        ctypes.string_at(0)
    if kind == "leave":
        os._exit(3)
    if kind == "hang":
        time.sleep(600)
    if kind == "deaf":
        _stay_in_a_library(ctypes.CDLL(None))
    if kind == "hold the interpreter":
        _stay_in_a_library(ctypes.PyDLL(None))
    if kind == "hang deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)


def _take_more_than_there_is() -> None:
    """Ask for a gigabyte where a few more megabytes are allowed."""
    import resource  # Unix only

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + (64 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    np.ones(1 << 27)


def _rank() -> int:
    """This process among those of its launcher, -1 without one."""
    launcher = launcher_of(os.environ)
    return -1 if launcher is None else launcher.rank


def _stay_in_a_library(library: ctypes.CDLL) -> None:
    """Block where no exception of Python's arrives, as in a long FFT: lock a mutex twice."""
    mutex = ctypes.create_string_buffer(128)
    for _ in range(2):
        library.pthread_mutex_lock(mutex)


def slots(folder: Path) -> bytes:
    """All that the tasks wrote."""
    return (folder / SLOTS).read_bytes()


def write_environment(folder: Path, index: int) -> None:
    """Write the environment of the process that runs the task."""
    lines = [f"{name}={value}" for name, value in os.environ.items()]
    (folder / "environment.txt").write_text("\n".join(lines))


def workers(folder: Path) -> dict[int, int]:
    """How many tasks every process has begun."""
    shares: dict[int, int] = {}
    path = folder / "who.txt"
    for line in path.read_text().splitlines() if path.exists() else ():
        pid = int(line.split()[0])
        shares[pid] = shares.get(pid, 0) + 1
    return shares


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that waits for its parent to look does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until(condition, seconds: float = 120.0) -> None:
    """Wait until a condition holds; fails when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def processor_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def left_outside(folder: Path) -> list[Path]:
    """Files elsewhere that processes of the plan had open and that are still there."""
    names = {name for path in folder.glob("litter-*.json") for name in json.loads(path.read_text())}
    return [Path(name) for name in sorted(names) if Path(name).exists()]


def rank_of(pid):
    """Rank of a process, by its environment."""
    with open(f"/proc/{pid}/environ", "rb") as stream:
        found = re.search(rb"(?:PMI_RANK|OMPI_COMM_WORLD_RANK)=(\d+)", stream.read())
    return int(found[1])


def processes_with(*words: str) -> list[int]:
    """Processes whose command line has all the words in it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if all(word in text for word in words) and is_alive(int(path.parent.name)):
            found.append(int(path.parent.name))
    return found
