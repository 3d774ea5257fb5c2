"""What goes wrong around a run: it ends with one sentence, and nothing is lost or left.

The end of every test: exit code, one sentence, inputs as they were, the old output as it was, no
temporary file, no process.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from locscale_hybrid.progress import STAGES
from tests.program import ROOT, Program, children, make_case
from tests.toy_tasks import ORPHAN_SECONDS, is_alive, wait_until

resource = pytest.importorskip("resource", reason="limits of Unix")

OLD = b"the old output"
INTERRUPTED = "interrupted; no file is left half written"
OUTPUTS = ["out.cxc", "out.json", "out.mrc", "out_linear.mrc"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return make_case(tmp_path_factory.mktemp("case"))


@pytest.fixture(scope="module")
def undisturbed(case, tmp_path_factory):
    """Bytes of the map of a run with which nothing interfered."""
    path = tmp_path_factory.mktemp("undisturbed") / "out.mrc"
    with Program(*case.words, "-o", path, "-np", 1) as program:
        assert program.end() == 0
    return path.read_bytes()


class Place:
    """Where a run writes and keeps temporary files, with an output of an earlier run."""

    def __init__(self, case, folder):
        self.case, self.before = case, case.hashes()
        self.out, self.temporary = folder / "results", folder / "tmp with é"
        self.out.mkdir()
        self.temporary.mkdir()
        (self.out / "out.mrc").write_bytes(OLD)

    def start(self, *words, processes=1, environment=None, **keywords):
        return Program(
            *self.case.words,
            "-o",
            self.out / "out.mrc",
            "-np",
            processes,
            *words,
            environment={"TMPDIR": str(self.temporary), **(environment or {})},
            **keywords,
        )

    def is_as_before(self):
        """Inputs and output are untouched and nothing else is there."""
        assert self.case.hashes() == self.before
        assert [path.name for path in self.out.iterdir()] == ["out.mrc"]
        assert (self.out / "out.mrc").read_bytes() == OLD
        return list(self.temporary.iterdir()) == []

    def is_complete(self, undisturbed):
        """The new output is whole, inputs are untouched and nothing else is there."""
        assert self.case.hashes() == self.before
        assert sorted(path.name for path in self.out.iterdir()) == OUTPUTS
        assert (self.out / "out.mrc").read_bytes() == undisturbed
        return list(self.temporary.iterdir()) == []


@pytest.fixture
def place(case, tmp_path):
    return Place(case, tmp_path)


def failing_mpiexec(folder):
    """A launcher that fails, so that a pool of processes is used."""
    path = folder / "mpiexec"
    path.write_text("#!/bin/sh\nexit 7\n")
    path.chmod(0o755)
    return path


LONGER = ["--scaling", "windows"]  # seconds of work, so that what a test does falls into it
ODD, EVEN = STAGES[::2], STAGES[1::2]


@pytest.mark.parametrize(
    ("number", "stage"),
    [
        *((signal.SIGTERM, stage) for stage in ODD),
        *((signal.SIGINT, stage) for stage in EVEN),
        *(pytest.param(signal.SIGINT, stage, marks=pytest.mark.long) for stage in ODD),
        *(pytest.param(signal.SIGTERM, stage, marks=pytest.mark.long) for stage in EVEN),
        *(pytest.param(signal.SIGHUP, stage, marks=pytest.mark.long) for stage in STAGES),
    ],
)
def test_signal_in_any_stage_ends_the_run_and_leaves_the_old_output(
    place, undisturbed, number, stage
):
    with place.start() as program:
        program.until(stage)
        program.process.send_signal(number)
        code = program.end()
    if stage == "output" and code == 0:  # it was done before the signal came
        assert place.is_complete(undisturbed)
        return
    assert code == 130
    assert program.error == INTERRUPTED
    assert place.is_as_before()


@pytest.mark.parametrize("processes", [1, 2])
def test_killed_program_leaves_no_process_and_no_folder(place, tmp_path, processes):
    words = [*LONGER, "--mpiexec", failing_mpiexec(tmp_path)] if processes > 1 else []
    with place.start(*words, processes=processes) as program:
        program.until("scaling")
        if processes > 1:
            wait_until(lambda: any(map(_is_of_the_pool, children(program.process.pid))))
        those = children(program.process.pid)
        assert [path.name[:9] for path in place.temporary.iterdir()] == ["locscale-"]
        program.process.kill()
        wait_until(lambda: not any(map(is_alive, those)), seconds=ORPHAN_SECONDS)
        assert program.end() == -signal.SIGKILL
    assert place.is_as_before()


@pytest.mark.parametrize("stage", ["checks", "mask", "adp", "output"])
def test_folder_of_a_program_killed_in_any_stage_goes(place, stage):
    with place.start() as program:
        program.until(stage)
        program.process.kill()
        program.end()
    wait_until(lambda: list(place.temporary.iterdir()) == [])


def test_killed_child_ends_the_run_with_its_name(place, tmp_path):
    words = ["--mpiexec", failing_mpiexec(tmp_path), *LONGER]
    with place.start(*words, processes=2) as program:
        program.until("scaling")
        pool = []

        def pool_is_there():
            pool[:] = [pid for pid in children(program.process.pid) if _is_of_the_pool(pid)]
            return pool

        wait_until(pool_is_there)
        os.kill(pool[0], signal.SIGKILL)
        assert program.end() == 3
    assert "of 2 was killed (signal 9: out of memory?)" in program.error
    assert place.is_as_before()


def _is_of_the_pool(pid):
    """Whether a process works on tasks; the one that keeps the folder does not."""
    with contextlib.suppress(OSError):
        return b"locscale_hybrid.parallel.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def test_file_size_limit_as_on_a_full_disk_is_one_sentence(place):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    with place.start(preexec_fn=limit) as program:
        assert program.end() in (2, 3)
    assert "File too large" in program.error
    assert place.is_as_before()


@pytest.fixture
def small_disk(tmp_path, request):
    """A file system of 600 kB, or what the test asks for: room for one map and not for two."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    size = getattr(request, "param", "600k")
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if (
        os.geteuid() != 0
        or shutil.which("mount") is None
        or subprocess.run(command, capture_output=True, check=False).returncode
    ):
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_leaves_the_old_output_and_no_other_file(case, small_disk, tmp_path):
    (small_disk / "out.mrc").write_bytes(OLD)
    with Program(*case.words, "-o", small_disk / "out.mrc", "-np", 1) as program:
        assert program.end() == 2
    assert "cannot be written: No space left on device; make room" in program.error
    assert (small_disk / "out.mrc").read_bytes() == OLD
    names = {path.name for path in small_disk.iterdir()}
    assert names <= {"out.mrc", "out_linear.mrc"}


@pytest.mark.parametrize("small_disk", ["64k", "400k", "700k", "1m", "2m"], indirect=True)
def test_temporary_disk_that_fills_up_is_one_sentence(place, undisturbed, small_disk, tmp_path):
    with Program(
        *place.case.words,
        "-o",
        place.out / "out.mrc",
        "-np",
        2,
        "--mpiexec",
        failing_mpiexec(tmp_path),
        environment={"TMPDIR": str(small_disk)},
    ) as program:
        code = program.end()
    assert list(small_disk.iterdir()) == []
    if code == 0:  # there was room after all
        assert place.is_complete(undisturbed)
        return
    assert code == 3
    assert "(No space left on device). Make room, set TMPDIR to a folder with" in program.error
    assert place.is_as_before()


def test_processing_disk_without_room_for_its_maps_is_one_sentence(place, small_disk):
    with place.start("-op", small_disk / "job") as program:
        assert program.end() == 2
    assert "cannot be written: No space left on device" in program.error
    assert place.is_as_before()


@pytest.mark.parametrize("small_disk", ["1500k"], indirect=True)
def test_processing_disk_without_room_for_kept_stages_is_a_warning(place, undisturbed, small_disk):
    with place.start("-op", small_disk / "job") as program:
        assert program.end() == 0
    assert "stage-not-kept-scaling" in [told["code"] for told in program.said("finding")]
    assert place.is_complete(undisturbed)


def test_read_only_folder_is_refused_before_the_work(case):
    with Program(*case.words, "-o", "/proc/out.mrc") as program:
        assert program.end() == 2
    assert "output /proc/out.mrc cannot be written" in program.error
    assert "Choose another folder" in program.error
    assert program.said("stage") == []


def test_folder_that_becomes_read_only_during_the_run_is_one_sentence(case, small_disk, tmp_path):
    (small_disk / "out.mrc").write_bytes(OLD)
    with Program(*case.words, "-o", small_disk / "out.mrc", "-np", 1, *LONGER) as program:
        program.until("adp")
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        assert program.end() == 2
    assert "out_linear.mrc cannot be written: Read-only file system" in program.error
    assert (small_disk / "out.mrc").read_bytes() == OLD
    assert [path.name for path in small_disk.iterdir()] == ["out.mrc"]


def test_output_folder_that_vanishes_is_one_sentence(place):
    with place.start(*LONGER) as program:
        program.until("pseudo-atoms")
        shutil.rmtree(place.out)
        assert program.end() == 2
    assert f"the folder {place.out} does not exist; make it, or write elsewhere" in program.error
    assert list(place.temporary.iterdir()) == []
    assert place.case.hashes() == place.before


def test_processing_folder_that_vanishes_is_one_sentence(place):
    with place.start("-op", place.temporary / "job", *LONGER) as program:
        program.until("adp")
        shutil.rmtree(place.temporary / "job")
        assert program.end() in (2, 3)
    assert str(place.temporary / "job") in program.error
    assert place.is_as_before()


def test_missing_temporary_folder_is_not_needed(place, undisturbed):
    with Program(
        *place.case.words, "-o", place.out / "out.mrc", "-np", 1, environment={"TMPDIR": "/nowhere"}
    ) as program:
        assert program.end() == 0
    assert place.is_complete(undisturbed)


def test_spaces_and_accents_in_every_path_are_no_obstacle(case, tmp_path, undisturbed):
    home = tmp_path / "mes données à moi"
    home.mkdir()
    shutil.copytree(case.folder, home / "entrée ; $HOME")
    words = [
        str(word).replace(str(case.folder), str(home / "entrée ; $HOME")) for word in case.words
    ]
    (home / "tmp é").mkdir()
    with Program(
        *words,
        "-o",
        home / "sortie é.mrc",
        "-op",
        home / "étapes 1",
        "-np",
        2,
        environment={"TMPDIR": str(home / "tmp é"), "LC_ALL": "C"},
    ) as program:
        assert program.end() == 0, program.events[-1]
    assert (home / "sortie é.mrc").read_bytes() == undisturbed
    assert list((home / "tmp é").iterdir()) == []


def test_two_runs_into_one_folder_at_once_both_end_whole(place, undisturbed):
    words = ["-op", place.temporary / "job", "--resume"]
    with place.start(*words) as first, place.start(*words) as second:
        assert (first.end(), second.end()) == (0, 0)
    place.is_complete(undisturbed)
    assert sorted(path.name for path in (place.temporary / "job").iterdir()) == [
        "hybrid_model.cif",
        "mask.mrc",
        "reference.mrc",
        "stages",
    ]


def test_link_in_place_of_the_output_does_not_reach_its_target(place, undisturbed, tmp_path):
    target = tmp_path / "precious.txt"
    target.write_text("precious")
    (place.out / "out.mrc").unlink()
    (place.out / "out.mrc").symlink_to(target)
    with place.start() as program:
        assert program.end() == 0
    assert target.read_text() == "precious"
    assert not (place.out / "out.mrc").is_symlink()
    assert place.is_complete(undisturbed)


JUMPING = """
import itertools, time
jump = itertools.cycle([-3.2e9, 4.1e9, 0.0, 86400.0])
now = time.time
time.time = lambda: max(0.0, now() + next(jump))
time.time_ns = lambda: int(1e9 * time.time())
"""


def test_clock_that_jumps_by_a_century_changes_nothing(place, undisturbed, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(JUMPING)
    path = os.pathsep.join(map(str, [tmp_path, ROOT / "src/core", ROOT]))
    words = ["-op", place.temporary / "job", "--resume"]
    with place.start(*words, environment={"PYTHONPATH": path}) as program:
        program.until("scaling")
        program.process.send_signal(signal.SIGTERM)
        assert program.end() == 130
    for number, kept in enumerate((place.temporary / "job/stages").iterdir()):
        os.utime(kept, [(0, 0), (4e9, 4e9)][number % 2])
    with place.start(*words, environment={"PYTHONPATH": path}) as program:
        assert program.end() == 0
        codes = [told["code"] for told in program.said("finding")]
    assert "stage-resumed-adp" in codes
    assert not place.is_complete(undisturbed)  # the job folder stays, as asked for
    shutil.rmtree(place.temporary / "job")
    assert place.is_complete(undisturbed)


def test_no_clock_that_can_jump_is_read():
    found = [
        f"{path.name}: {line.strip()}"
        for path in (ROOT / "src/core").rglob("*.py")
        for line in path.read_text().splitlines()
        if "time.time(" in line or "datetime.now" in line or "utcnow" in line
    ]
    assert found == []


def test_record_holds_no_environment(place):
    secret = "s3cr3t-value"
    with Program(
        *place.case.words,
        "-o",
        place.out / "out.mrc",
        "-np",
        1,
        "-op",
        place.temporary / "job",
        environment={"TOKEN": secret},
    ) as program:
        assert program.end() == 0
    for path in [*place.out.rglob("*"), *place.temporary.rglob("*")]:
        assert path.is_dir() or secret.encode() not in path.read_bytes()


@pytest.mark.long
def test_twenty_runs_in_a_row_leave_no_file_and_no_process_behind(place):
    folder = place.temporary / "job"
    sizes = {1: set(), 2: set()}
    for number in range(20):
        seed = 1 + number % 2
        with place.start("-op", folder, "--resume", "--seed", seed) as program:
            assert program.end() == 0
        files = [path for path in folder.rglob("*") if path.is_file()]
        if number > 1:  # both seeds have left their stages
            sizes[seed].add((len(files), sum(path.stat().st_size for path in files)))
        assert sorted(path.name for path in place.out.iterdir()) == OUTPUTS
        assert [path.name for path in place.temporary.iterdir()] == ["job"]
    assert [len(found) for found in sizes.values()] == [1, 1]
    wait_until(lambda: children(os.getpid()) == [])


def test_inputs_that_are_deleted_once_they_were_read_do_not_matter(case, undisturbed, tmp_path):
    folder = tmp_path / "inputs"
    shutil.copytree(case.folder, folder)
    with Program(
        *type(case)(folder).words,
        "-o",
        tmp_path / "out.mrc",
        "-np",
        1,
        "--print_report",
        "--outputs",
        "all",
    ) as program:
        program.until("mask")
        shutil.rmtree(folder)
        assert program.end() == 0
    assert (tmp_path / "out.mrc").read_bytes() == undisturbed


# ---- names that are no text ---------------------------------------------------------------------


def test_folder_whose_name_is_no_text_holds_all_that_a_run_writes(case, undisturbed, tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/Gr\xf6\xdfe"))  # Latin-1
    folder.mkdir()
    for path in case.folder.iterdir():
        shutil.copy(path, folder / path.name)
    with Program(
        *type(case)(folder).words,
        "-o",
        folder / "out.mrc",
        "-np",
        1,
        "--print_report",
        "--outputs",
        "model",
        "-op",
        folder / "job",
    ) as program:
        assert program.end() == 0
    assert (folder / "out.mrc").read_bytes() == undisturbed
    assert "<h1>" in (folder / "out_report.html").read_text(encoding="utf-8")
    with Program("--from", folder / "out.json", "-o", folder / "again.mrc", "-np", 1) as program:
        assert program.end() == 0
    assert (folder / "again.mrc").read_bytes() == undisturbed
