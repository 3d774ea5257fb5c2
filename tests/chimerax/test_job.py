"""The job: what the user is told, and that nothing is left, however a run ends."""

import glob
import os
import time

import numpy as np
import pytest


def folders_left(tmp_path):
    return glob.glob(str(tmp_path / "locscale-*"))


def test_waiting_run_returns_the_volume(session, run, opened):
    volume = run("locscale hybrid #1 #2 model #3 sym D2")
    first = session.models.list()[0]
    assert volume.name == "half1.mrc LocScale"
    assert volume.id_string == "4"
    assert np.array_equal(volume.full_matrix(), 2 * first.full_matrix())
    assert "scaling" in " ".join(session.log.statuses)


def test_finding_is_logged_in_the_words_of_the_command(session, run, opened):
    run("locscale hybrid #1 #2")
    assert "its Wilson B is 11 Å² between 10 and 3.4 Å" in session.log.text("warning")
    assert "Give the resolution (keyword resolution) if you know it." in session.log.text("info")


def test_message_names_maps_by_number_and_keywords_by_name(refused, opened, fake_core):
    fake_core("refuse")
    assert (
        refused("locscale hybrid #1 #2")
        == "#1 half1.mrc is constant. Give another mask (keyword mask)."
    )


def test_crash_of_the_core_is_one_readable_error(refused, opened, fake_core, tmp_path):
    fake_core("raise")
    text = refused("locscale hybrid #1 #2")
    assert "the LocScale calculation on #1 half1.mrc failed" in text
    assert "exit code 1" in text and "RuntimeError: something broke" in text
    assert not folders_left(tmp_path)


def test_killed_core_is_one_readable_error(refused, opened, fake_core):
    fake_core("die")
    assert "it was killed by signal 9 (out of memory?)" in refused("locscale hybrid #1 #2")


def test_core_without_a_result_is_an_error(refused, opened, fake_core):
    fake_core("quiet")
    assert "it ended with exit code 0 and no result" in refused("locscale hybrid #1 #2")


def test_background_failure_reaches_the_log(session, run, opened, fake_core):
    from chimerax_core import process_events

    fake_core("raise")
    job = run("locscale hybrid #1 #2 wait false")
    assert process_events(session, lambda: job.ended)
    assert job.result is None and "something broke" in job.error
    assert job.error in session.log.text("error")
    assert not session.tasks.list()


def test_failure_in_the_thread_itself_reaches_the_user(session, run, opened, monkeypatch):
    from chimerax.locscale.job import job as job_module
    from chimerax_core import process_events

    def fail(*arguments):
        raise MemoryError("no room")

    monkeypatch.setattr(job_module, "Child", fail)
    job = run("locscale hybrid #1 #2 wait false")
    assert process_events(session, lambda: job.ended)
    assert "no room" in session.log.text("bug")
    session.log.messages.clear()


def test_background_run_delivers_on_the_main_thread(session, run, opened):
    from chimerax_core import process_events

    job = run("locscale hybrid #1 #2 wait false")
    assert job.result is None
    assert "LocScale job" in str(job) and "#1 half1.mrc" in str(job)
    assert process_events(session, lambda: job.ended)
    assert job.error is None and job.result in session.models.list()
    assert not session.tasks.list()


def hanging(session, run, fake_core, count=1):
    """Start runs that hang; return the jobs and the process ids of their children."""
    from chimerax_core import process_events

    fake_core("hang")
    jobs = [run("locscale hybrid #1 #2 wait false") for _ in range(count)]
    files = [job.request.folder.outputs / "pid" for job in jobs]
    assert process_events(
        session, lambda: all(file.exists() and file.read_text() for file in files)
    )
    return jobs, [int(file.read_text()) for file in files]


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("command", ["locscale stop", "taskman kill {id}"])
def test_stopped_run_leaves_no_process_and_no_file(
    session, run, opened, fake_core, tmp_path, command
):
    from chimerax_core import process_events

    (job,), (pid,) = hanging(session, run, fake_core)
    run(command.format(id=job.id))
    assert process_events(session, lambda: job.ended and gone(pid))
    assert not folders_left(tmp_path)
    assert "was stopped" in session.log.text("info")
    assert not session.log.text("error", "bug")
    fake_core("ok")
    assert run("locscale hybrid #1 #2").id_string == "4"


def test_result_is_taken_that_is_read_after_the_core_has_ended(run, opened, monkeypatch):
    """The machine is busy: the thread that reads its lines comes late."""
    from chimerax.locscale.job.child import Child

    read = Child._read

    def late(self):
        self.process.wait()
        time.sleep(0.5)  # longer than a line is waited for
        read(self)

    monkeypatch.setattr(Child, "_read", late)
    assert run("locscale hybrid #1 #2").name == "half1.mrc LocScale"


def test_two_runs_at_once_are_kept_apart(session, run, opened, fake_core):
    from chimerax_core import process_events

    jobs, pids = hanging(session, run, fake_core, count=2)
    assert jobs[0].request.folder.path != jobs[1].request.folder.path
    jobs[0].terminate()
    assert process_events(session, lambda: jobs[0].ended and gone(pids[0]))
    assert not jobs[1].ended and not gone(pids[1])
    assert run("locscale stop") == 1
    assert process_events(session, lambda: gone(pids[1]))


def test_closing_the_session_ends_its_runs(session, run, opened, fake_core, tmp_path):
    from chimerax_core import process_events

    _, pids = hanging(session, run, fake_core)
    run("close session")
    assert process_events(session, lambda: gone(pids[0]))
    assert process_events(session, lambda: not folders_left(tmp_path))


def test_quitting_waits_until_the_processes_are_gone(session, run, opened, fake_core):
    _, pids = hanging(session, run, fake_core)
    session.triggers.activate_trigger("app quit", None)
    assert gone(pids[0])


def test_maps_closed_meanwhile_are_survived(session, run, opened, fake_core):
    from chimerax_core import process_events

    job = run("locscale hybrid #1 #2 model #3 wait false")
    run("close #1-3")
    assert process_events(session, lambda: job.ended)
    assert job.error is None
    assert np.allclose(job.result.data.origin, (5, -7, 9))


def test_nothing_to_stop_is_said(session, run):
    assert run("locscale stop") == 0
    assert "No LocScale run is going on" in session.log.text("info")


def test_check_returns_the_findings(session, run, opened, tmp_path):
    findings = run("locscale check #1 #2 model #3")
    assert [finding["code"] for finding in findings] == [
        "sharpened-input",
        "estimated-resolution",
        "symmetry-suggested",
    ]
    assert "LocScale check of #1 half1.mrc: 1 warning" in session.log.text("info")
    from chimerax_core import process_events

    assert process_events(session, lambda: not folders_left(tmp_path))


def test_full_disk_while_writing_the_maps_is_an_error_of_the_core(
    refused, opened, monkeypatch, tmp_path
):
    from chimerax.locscale.scene import handover

    from locscale_hybrid.errors import InputError
    from locscale_hybrid.remedies import do, give

    def fail(*arguments):
        raise InputError("half.mrc cannot be written", do("make room"), give("output"))

    monkeypatch.setattr(handover, "_write_map", fail)
    assert refused("locscale hybrid #1 #2") == (
        "half.mrc cannot be written. Make room, or give another output name (keyword saveTo)."
    )
    assert not folders_left(tmp_path)
