"""Two network namespaces stand for two hosts: their ranks meet over TCP alone.

Needs root and iproute2.  The file system is shared, as it must be on a cluster.
"""

import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.program import make_case

FIRST, SECOND, PREFIX = "192.0.2.129", "192.0.2.130", 30

# takes mpiexec's words for ssh: options, host, command
SSH = """#!/bin/sh
while [ "${{1#-}}" != "$1" ]; do shift; done
host=$1; shift
echo "$host" >> {log}
case $host in {first}) space={one};; *) space={other};; esac
exec ip netns exec $space unshare -u sh -c "hostname $space; $*"
"""


@dataclass(frozen=True)
class TwoHosts:
    """The namespaces, a stand-in for ssh, and the hosts that it was asked for."""

    one: str
    other: str
    ssh: Path
    log: Path

    def mpirun(self, program, ranks):
        """Words that start ranks on both."""
        return (
            "ip",
            "netns",
            "exec",
            self.one,
            program,
            "-launcher",
            "ssh",
            "-launcher-exec",
            self.ssh,
            "-hosts",
            f"{FIRST},{SECOND}",
            "-n",
            ranks,
        )


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no network namespaces here: {done.stderr.strip()}")


@pytest.fixture
def hosts(mpi, tmp_path):
    if mpi.name != "mpich":
        pytest.skip("written for the launcher of MPICH")
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("needs root and iproute2")
    names = [f"locscale{os.getpid()}{letter}" for letter in "ab"]
    ends = [f"ls{os.getpid() % 100000}{letter}" for letter in "ab"]
    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for name, end, address in zip(names, ends, (FIRST, SECOND), strict=True):
            ip("link", "set", end, "netns", name)
            ip("-n", name, "addr", "add", f"{address}/{PREFIX}", "dev", end)
            for device in ("lo", end):
                ip("-n", name, "link", "set", device, "up")
        ssh, log = tmp_path / "ssh", tmp_path / "hosts"
        ssh.write_text(SSH.format(log=log, first=FIRST, one=names[0], other=names[1]))
        ssh.chmod(ssh.stat().st_mode | stat.S_IXUSR)
        yield TwoHosts(names[0], names[1], ssh, log)
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def test_ranks_of_two_hosts_give_the_bytes_of_serial(mpi, hosts, tmp_path, serial_bytes, toy_plan):
    output = tmp_path / "out.mrc"
    code, text, errors = mpi.run(
        *hosts.mpirun(mpi.mpirun, 4),
        *mpi.toy_program("-o", output, "-mpi", "-v"),
        environment=mpi.environment(**toy_plan(plans=2)),
    )
    assert (code, errors) == (0, "")
    assert hosts.log.read_text().split() == [SECOND]  # the first is the launcher's own
    assert "executor  4 MPI ranks" in text
    assert output.read_bytes() == serial_bytes


@pytest.mark.long
def test_whole_run_on_two_hosts_has_the_bytes_of_one_process(mpi, hosts, tmp_path):
    case = make_case(tmp_path)
    outputs = [tmp_path / "alone.mrc", tmp_path / "together.mrc"]
    program = [mpi.python, "-m", "locscale_hybrid", *case.words]
    for output, words in (
        (outputs[0], [*program, "-np", 1]),
        (outputs[1], [*hosts.mpirun(mpi.mpirun, 4), *program, "-mpi"]),
    ):
        code, _, errors = mpi.run(*words, "-o", output)
        assert (code, errors) == (0, "")
    assert hosts.log.read_text().split() == [SECOND]
    for ending in (".mrc", "_linear.mrc"):
        one, other = (output.with_name(output.stem + ending).read_bytes() for output in outputs)
        assert one == other
