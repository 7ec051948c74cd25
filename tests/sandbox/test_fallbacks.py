"""What the preflight finds on a host that refuses system calls, as container engines' profiles do; and in a chroot."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from deepoj.adapters.sandbox import launcher as launching
from deepoj.adapters.sandbox.box import LinuxBox, preflight
from deepoj.words.errors import StartRefused
from deepoj.words.sandbox import PROGRAM_DIR, FileIn, Isolation, RunSpec
from tests.host import HOST_NAME
from tests.sandbox.bench import limits

#: <linux/sched.h>
NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNS = 1 << 25, 1 << 26, 1 << 27, 1 << 28, 1 << 29, 1 << 17
#: system calls by number, on x86-64
CALLS = {
    "pivot_root": 155,
    "sethostname": 170,
    "unshare": 272,
    "prlimit64": 302,
    "clone3": 435,
    "epoll_create1": 291,
    "fsopen": 430,
    "landlock_create_ruleset": 444,
}

#: where a host refuses it by itself, no row shows that its refusal is found
needs_host_name = pytest.mark.needs(HOST_NAME)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="about a root that lacks a capability")

NO_HOSTNAME = "programs see the host's name, since a box cannot have one of its own here"


@dataclass(frozen=True)
class Refused:
    """One call, or those whose first argument has one of ``bits``.

    ``second``: only those whose second argument is this and whose third is not NULL.
    """

    call: str
    errno: int = errno.EPERM
    bits: int = 0
    second: int = -1

    def __str__(self) -> str:
        return f"{CALLS[self.call]}:{self.errno}:{self.bits}:{self.second}"


NO_NAMESPACES = Refused("unshare", bits=NEWUSER | NEWNS)


@pytest.fixture(scope="module")
def refuse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("refuse") / "refuse"
    subprocess.run(["gcc", "-O1", "-o", program, Path(__file__).with_name("refuse.c")], check=True, timeout=600)
    return program


def host_that_refuses(monkeypatch: pytest.MonkeyPatch, refuse: Path, *calls: Refused) -> None:
    """Each launcher is started by ``refuse`` from here on."""
    wrapper = refuse.with_name("launcher")
    words = " ".join(map(str, calls))
    wrapper.write_text(f'#!/bin/sh\nexec {refuse} {words} -- {launching.LAUNCHER} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setattr(launching, "LAUNCHER", wrapper)


@pytest.mark.needs("namespaces")
@pytest.mark.parametrize(
    ("refused", "told"),
    [
        ([Refused("clone3", errno.ENOSYS)], ""),
        pytest.param([Refused("sethostname")], NO_HOSTNAME, marks=needs_host_name),
        pytest.param([Refused("unshare", bits=NEWUTS)], NO_HOSTNAME, marks=needs_host_name),
        (
            [Refused("unshare", bits=NEWIPC)],
            "System V ipc is refused by seccomp alone, since there is no ipc namespace",
        ),
        (
            [Refused("unshare", bits=NEWCGROUP)],
            "programs see the name of the host's cgroup, since there is no cgroup namespace",
        ),
        (
            [Refused("pivot_root")],
            "the host's root is covered by the box's instead of removed, since it cannot be pivoted",
        ),
        # all of them, as in Podman's containers and worse
        pytest.param(
            [
                Refused("clone3", errno.ENOSYS),
                Refused("sethostname"),
                Refused("pivot_root"),
                Refused("unshare", bits=NEWIPC),
            ],
            NO_HOSTNAME,
            marks=needs_host_name,
        ),
    ],
    ids=["clone3", "sethostname", "uts", "ipc", "cgroup", "pivot_root", "together"],
)
async def test_preflight_where_a_part_is_refused_stays_at_namespaces_and_names_it(
    monkeypatch: pytest.MonkeyPatch, refuse: Path, refused: list[Refused], told: str
) -> None:
    before = await preflight()
    host_that_refuses(monkeypatch, refuse, *refused)
    found = await preflight()
    # without clone3 no run can be born into its cgroup
    assert found.isolation is (Isolation.NAMESPACES if refused[0].call == "clone3" else before.isolation)
    assert not told or told in found.reasons, found
    assert told not in before.reasons


async def test_preflight_where_runs_cannot_be_joined_keeps_the_level_and_says_so(
    monkeypatch: pytest.MonkeyPatch, refuse: Path
) -> None:
    before = await preflight()
    host_that_refuses(monkeypatch, refuse, Refused("epoll_create1"))
    found = await preflight()
    assert found.isolation is before.isolation
    assert [reason.partition(" with ")[0] for reason in found.reasons if reason not in before.reasons] == [
        "interactive problems get System Error: the set-up of a run fails at 'hold_output'"
    ]


@pytest.mark.parametrize(
    "refused", [NO_NAMESPACES, Refused("fsopen"), Refused("unshare", bits=NEWPID)], ids=["unshare", "fsopen", "pid"]
)
async def test_preflight_where_namespaces_or_mounts_are_refused_is_weak_and_says_why(
    monkeypatch: pytest.MonkeyPatch, refuse: Path, refused: Refused
) -> None:
    host_that_refuses(monkeypatch, refuse, refused, Refused("clone3", errno.ENOSYS))
    found = await preflight()
    assert found.isolation is Isolation.WEAK
    assert found.reasons[0].startswith("the set-up of a run fails at '"), found
    assert "files, signals and sockets are kept apart by Landlock and seccomp alone" in found.reasons


async def test_open_where_a_limit_of_programs_cannot_be_set_is_refused(
    monkeypatch: pytest.MonkeyPatch, refuse: Path
) -> None:
    """A program whose limits could not be set would run without them."""
    host_that_refuses(monkeypatch, refuse, Refused("prlimit64", second=resource.RLIMIT_MSGQUEUE))
    with pytest.raises(StartRefused, match="the set-up of a run fails at 'limits'"):
        async with LinuxBox.open(1, min_isolation=Isolation.WEAK):
            pass


def root_that_lacks(monkeypatch: pytest.MonkeyPatch, refuse: Path, capability: str) -> None:
    """Each launcher is started without this capability of root's from here on."""
    wrapper = refuse.with_name("root")
    wrapper.write_text(f'#!/bin/sh\nexec setpriv --bounding-set=-{capability} {launching.LAUNCHER} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setattr(launching, "LAUNCHER", wrapper)


@as_root
@pytest.mark.parametrize("capability", ["kill", "dac_override", "setuid"])
async def test_open_without_namespaces_as_root_without_its_power_over_runs_is_refused(
    monkeypatch: pytest.MonkeyPatch, refuse: Path, capability: str
) -> None:
    """It could not end a run of another uid, or not empty its scratch; and of its own uid a run has no quota."""
    host_that_refuses(monkeypatch, refuse, NO_NAMESPACES)
    root_that_lacks(monkeypatch, refuse, capability)
    with pytest.raises(StartRefused, match="run the node as an ordinary user, in a container with --user"):
        async with LinuxBox.open(1, min_isolation=Isolation.WEAK):
            pass


@pytest.mark.needs("namespaces")
@as_root
async def test_open_with_namespaces_where_runs_would_be_the_hosts_root_is_refused(
    monkeypatch: pytest.MonkeyPatch, refuse: Path
) -> None:
    """The kernel does not apply RLIMIT_NPROC to the host's root, under any uid of a user namespace."""
    root_that_lacks(monkeypatch, refuse, "setgid")
    with pytest.raises(StartRefused, match="run the node as an ordinary user, in a container with --user"):
        async with LinuxBox.open(1, min_isolation=Isolation.WEAK):
            pass


async def test_open_without_namespaces_and_landlock_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, refuse: Path
) -> None:
    host_that_refuses(monkeypatch, refuse, NO_NAMESPACES, Refused("landlock_create_ruleset", errno.ENOSYS))
    with pytest.raises(StartRefused) as refusal:
        async with LinuxBox.open(1, min_isolation=Isolation.WEAK):
            pass
    assert str(refusal.value).startswith("this host offers no isolation where SANDBOX_MIN_ISOLATION=weak is asked for")
    assert "weak isolation needs Landlock with scopes: Linux 6.12" in str(refusal.value)


#: hides each cgroup2 mount by another file system, mounts the hierarchy once more elsewhere, and starts the launcher $1
WITH_HIDDEN_CGROUP = """
mount -t tmpfs none /mnt && mkdir /mnt/seen /mnt/hidden || exit
grep -q ' - cgroup2 ' /proc/self/mountinfo || mount -t cgroup2 none /mnt/hidden || exit
places=$(sed -n 's/^[^ ]* [^ ]* [^ ]* [^ ]* \\([^ ]*\\) .* - cgroup2 .*/\\1/p' /proc/self/mountinfo)
for place in $places; do mount -t tmpfs none "$place" || exit; done
mount -t cgroup2 none /mnt/seen && exec "$@"
"""


@pytest.mark.needs("mounts")
@pytest.mark.skipif(os.geteuid() != 0, reason="not root: an ordinary user mounts no cgroup2")
async def test_launcher_where_the_first_cgroup2_mount_is_hidden_takes_the_next(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = await preflight()
    (tmp_path / "enter").write_text(WITH_HIDDEN_CGROUP)
    wrapper = tmp_path / "launcher"
    wrapper.write_text(f'#!/bin/sh\nexec unshare --mount sh {tmp_path}/enter {launching.LAUNCHER} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setattr(launching, "LAUNCHER", wrapper)
    assert await preflight() == before


#: makes a chroot that is no mount point, and starts the launcher $1 in it
IN_CHROOT = """
mount -t tmpfs none /mnt && mkdir /mnt/root && cd /mnt/root || exit
for part in usr bin lib lib64 etc dev proc; do
    if [ -h "/$part" ]; then cp -d "/$part" .; else mkdir "$part" && mount --rbind "/$part" "$part"; fi
done
touch launcher && mount --bind "$1" launcher && shift
exec chroot . /launcher "$@"
"""


@pytest.mark.needs("mounts")
@pytest.mark.skipif(os.geteuid() != 0, reason="not root: an ordinary user makes no chroot")
async def test_launcher_in_a_chroot_removes_the_root_outside_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """``nsenter`` goes to the root of the launcher's mount namespace, not to the chroot."""
    (tmp_path / "enter").write_text(IN_CHROOT)
    wrapper = tmp_path / "launcher"
    wrapper.write_text(f'#!/bin/sh\nexec unshare --mount sh {tmp_path}/enter {launching.LAUNCHER} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setattr(launching, "LAUNCHER", wrapper)
    async with LinuxBox.open(1) as box:
        assert "the host's root is covered" not in str(box.preflight.reasons)
        enter = ["nsenter", f"--mount=/proc/{box.launcher_pid}/ns/mnt", "ls", "/"]
        done = await trio.run_process(enter, capture_stdout=True)
    assert_is_box(done.stdout)


@pytest.mark.needs("namespaces")
async def test_run_where_the_root_is_covered_sees_no_file_of_the_host(
    monkeypatch: pytest.MonkeyPatch, refuse: Path, tmp_path: Path
) -> None:
    host_that_refuses(monkeypatch, refuse, Refused("pivot_root"))
    script = tmp_path / "main"
    script.write_text("#!/bin/sh\nls / /..; cd /../../..; ls; ls /proc/1/root /proc/self/root\n")
    async with LinuxBox.open(1) as box:
        outcome = await box.run(
            RunSpec(
                argv=(f"{PROGRAM_DIR}/main",),
                limits=limits(processes=8),
                files_in=(FileIn("main", script, executable=True, program=True),),
                keep_stdout_bytes=65536,
            )
        )
    assert_is_box(outcome.stdout)


def assert_is_box(listing: bytes) -> None:
    """AssertionError unless the names are those of a box's root, and none is the host's."""
    names = set(listing.decode().split())
    assert {"usr", "w", "p"} <= names
    assert not names & {"root", "home", "var", "boot", "srv", "mnt"}
