"""The same rows as an ordinary user: everything must hold without root, in a user namespace.

Run as root, these tests become an ordinary user (one that is not the payload's uid) in a mount namespace of their own
that shows the repository where that user can read it. Run as an ordinary user there is nothing to add: all tests of
this directory are unprivileged then.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from deepoj.adapters.sandbox.launcher import LAUNCHER, Part
from tests.sandbox.nested import TELL, assert_all_held

pytestmark = pytest.mark.needs("mounts")

REPOSITORY = Path(__file__).parents[2]
USER = 64001  # below the uids that a launcher gives its slots at `weak`
TABLE = "test_hostile_table.py"
SIDES = ("program", "interactor")
ROWS = ("test_verdicts.py", "test_hostile.py", TABLE, "test_life.py", "test_joined.py", "test_counted_by_user.py")

#: an ordinary user without a delegated group cannot take memory from others
NOT_HIS = ("--deselect", "tests/sandbox/test_life.py::test_kill_by_a_host_without_memory_is_a_system_error")
#: at `weak` all his runs are his, and the kernel counts them as one
HIS_ARE_ONE = ("--deselect", "tests/sandbox/test_life.py::test_boxes_of_one_host_share_no_limit_on_processes")
#: the capabilities of root in a container of Docker or Podman
CONTAINER_ROOT = (
    "chown", "dac_override", "fowner", "fsetid", "kill", "net_bind_service", "setfcap", "setgid", "setpcap", "setuid",
    "sys_chroot",
)  # fmt: skip
#: what a slot does to its programs, seen from outside where it lacks a right or a /proc
BOUND_TO_ONE_CORE = "tests/sandbox/test_neighbours.py::test_a_run_of_many_runnable_tasks_is_bound_to_one_core"
CONTAINER_ROWS = (
    BOUND_TO_ONE_CORE,
    "tests/sandbox/test_lost_children.py::test_a_handler_costs_no_look_once_children_may_be_lost[weak]",
)
#: nor can anybody move on a host with one core
ONE_CORE = ("--deselect", "tests/sandbox/test_life.py::test_an_init_stays_where_its_slot_is_but_for_a_bomb")

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="not root: the whole directory has run unprivileged already")


def run_rows(
    programs: Path,
    become: list[str],
    *more: str,
    isolation: str = "namespaces",
    before: str = "true",
    whole: bool = True,
    launcher: str = "",
) -> subprocess.CompletedProcess[str]:
    """``before``: what a shell does first, in the mount namespace that the tests will have. ``whole``: with the hostile
    table. ``launcher``: another one than ours, by its name in ``programs``."""
    # not below pytest's own: whichever session of it starts next shuts that to all others
    with tempfile.TemporaryDirectory(prefix="deepoj-user-") as made:
        stage = Path(made)
        for name in ("repository", "programs", "scratch"):
            (stage / name).mkdir()
        for directory in (stage, stage / "programs"):
            directory.chmod(0o755)
        (stage / "scratch").chmod(0o777)
        return _run_rows(
            stage, programs, become, more, isolation=isolation, before=before, whole=whole, launcher=launcher
        )


def _run_rows(
    stage: Path,
    programs: Path,
    become: list[str],
    more: Sequence[str],
    *,
    isolation: str,
    before: str,
    whole: bool,
    launcher: str,
) -> subprocess.CompletedProcess[str]:
    rows = [f"tests/sandbox/{name}" for name in ROWS if whole or name != TABLE]
    inner = [
        *become, "env", "-i", *(f"{name}={value}" for name, value in TELL.items()),
        "PATH=/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE=1", f"PYTHONPATH={stage}/repository",
        f"DEEPOJ_TEST_PROGRAMS={stage}/programs", f"DEEPOJ_TEST_ISOLATION={isolation}", f"HOME={stage}/scratch",
        *([f"DEEPOJ_TEST_LAUNCHER={stage}/programs/{launcher}"] if launcher else []),
        f"{stage}/repository/.venv/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider",
        f"--basetemp={stage}/scratch/base", *(ONE_CORE if len(os.sched_getaffinity(0)) == 1 else ()), *more, *rows,
    ]  # fmt: skip
    script = (
        f"mount --bind {shlex.quote(str(REPOSITORY))} {shlex.quote(str(stage / 'repository'))}"
        f" && mount --bind {shlex.quote(str(programs))} {shlex.quote(str(stage / 'programs'))}"
        f" && {before} && cd {shlex.quote(str(stage / 'repository'))} && exec {shlex.join(inner)}"
    )
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )


@as_root
def test_everything_holds_for_an_ordinary_user(programs: Path) -> None:
    become = ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups", "--inh-caps=-all"]
    programs.chmod(0o755)

    done = run_rows(programs, become, *NOT_HIS)

    assert_all_held(done)


@as_root
def test_everything_holds_for_a_root_that_may_not_mount(programs: Path) -> None:
    """As in containers: uid 0 with its files, without CAP_SYS_ADMIN. The launcher becomes the payload's user there, and
    cannot reach what is root's alone: a mount below pytest's directory, for one."""
    become = ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps=-sys_admin"]
    programs.chmod(0o755)

    # the hostile table row by row would be the ordinary user's again
    done = run_rows(programs, become, "-k", "not a_mount_is_shown and not hostile_program")

    assert_all_held(done)


@as_root
def test_everything_holds_without_proc(programs: Path) -> None:
    """As in a container that masks parts of /proc: the kernel refuses an ordinary user a fresh one then, and runs see
    none; their processes are found from outside."""
    become = ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups", "--inh-caps=-all"]
    programs.chmod(0o755)
    # numbers start again by a file of it, and /dev/stdin is a link into it
    seen = (
        "test_life.py::test_process_numbers_do_not_tell",
        "test_joined.py::test_program_may_open_its_streams_again",
        *(
            f"test_joined.py::test_an_output_closed_by_a_living_side_ends_the_others_input[{side}-shut_anew]"
            for side in SIDES
        ),
    )
    deselect = [word for name in seen for word in ("--deselect", f"tests/sandbox/{name}")]

    more = (*NOT_HIS, *deselect, BOUND_TO_ONE_CORE)
    done = run_rows(programs, become, *more, before="mount -t tmpfs mask /proc/acpi", whole=False)

    assert_all_held(done)


@as_root
@pytest.mark.parametrize("user", ["root", "ordinary"])
def test_everything_holds_without_namespaces(programs: Path, user: str) -> None:
    """Level ``weak``: as in a container that refuses user namespaces."""
    kept = ",".join(["-all", *(f"+{capability}" for capability in CONTAINER_ROOT)])
    become = ["setpriv", f"--bounding-set={kept}", "--inh-caps=-all"]
    if user == "ordinary":
        become = ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups", "--inh-caps=-all"]
    programs.chmod(0o755)

    more = (*NOT_HIS, *HIS_ARE_ONE) if user == "ordinary" else CONTAINER_ROWS
    done = run_rows(programs, become, *more, isolation="weak", whole=user == "root")

    assert_all_held(done)


@as_root
def test_everything_holds_in_the_least_form_of_namespaces(programs: Path) -> None:
    """What a host may refuse and `namespaces` can do without, all at once: pivot_root, and the namespaces of host name,
    ipc and cgroups."""
    without = (Part.PIVOT, Part.HOSTNAME, Part.IPC_NAMESPACE, Part.CGROUP_NAMESPACE)
    words = " ".join(f"--no-{part}" for part in without)
    (programs / "least").write_text(f'#!/bin/sh\nexec {LAUNCHER} {words} "$@"\n')
    (programs / "least").chmod(0o755)

    done = run_rows(programs, [], whole=False, launcher="least")

    assert_all_held(done)
