"""What this host offers to tests: an isolation level, and rights that some tests need.

A default container of Docker offers ``weak`` isolation and refuses namespaces and mounts. There, boxes and nodes of
tests ask for ``weak``. One of Podman offers ``namespaces``, but refuses mounts, and programs see no /proc. A test that
needs what a host may refuse is marked ``@pytest.mark.needs("mounts")``, with keys of ``NEEDS``. Where the host refuses
it, the test is skipped with the reason.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import trio

from deepoj.adapters.sandbox.box import preflight
from deepoj.adapters.sandbox.preflight import Preflight
from deepoj.words.errors import BoxBroken, StartRefused
from deepoj.words.sandbox import Isolation

ROOT = Path(__file__).parents[1]
#: the setting by which a node asks for a level
SETTING = "SANDBOX_MIN_ISOLATION"
#: a user that is neither root nor the payload's
OTHER_USER = 64001
PROBE_S = 60
#: needs of rows in tables
PROC, HOST_NAME = "/proc in the box", "host name of its own for a box"


@functools.cache
def checked() -> Preflight:
    """Return what the product finds out about this host; the start of a session asks first.

    Without a launcher nothing is skipped: tests of the sandbox fail then.
    """
    try:
        return trio.run(preflight)
    except (StartRefused, BoxBroken) as error:
        return Preflight(Isolation.NAMESPACES, (str(error),))


def level() -> Isolation:
    """Return the level that tests ask for: ``namespaces``, or less where the host offers less."""
    return min(checked().isolation or Isolation.WEAK, Isolation.NAMESPACES)


def asked() -> Isolation:
    """Return the least level that boxes and nodes of tests accept: of the environment, where a session leaves it."""
    return Isolation(os.environ.get(SETTING, Isolation.NAMESPACES))


def asked_setting() -> dict[str, str]:
    """Return the setting for programs that get none of our environment."""
    return {SETTING: str(asked())} if SETTING in os.environ else {}


# ---------------------------------------------------------------------------------------------------------------------
# What a test may need


def _refused(*words: str | Path) -> str:
    """Return the last line of a failed command; empty if it succeeds."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [str(word) for word in words], cwd="/", env=env, check=False, capture_output=True, text=True, timeout=PROBE_S
    )
    lines = [*done.stderr.strip().splitlines(), f"exit code {done.returncode}"]
    return "" if done.returncode == 0 else lines[-2] if len(lines) > 1 else lines[-1]


def _no_namespaces() -> str:
    return "" if level() is Isolation.NAMESPACES else checked().reasons[0].partition(" (")[0]


def _no_proc() -> str:
    return "" if checked().has_proc else "none can be mounted"


def _no_host_name() -> str:
    return next((reason for reason in checked().reasons if "host's name" in reason), "")


def _no_mounts() -> str:
    # mount: a namespace without the right to mount in it is of no use
    return _refused("unshare", *_AS_ROOT, "--mount", "mount", "-t", "tmpfs", "none", "/mnt")


def _no_user_namespaces() -> str:
    return _refused("unshare", "--user", "--map-root-user", "true")


def _no_limits_of_user_namespace() -> str:
    # engines mount /proc/sys read-only
    return _refused("unshare", "--user", "--map-root-user", "sh", "-ec", "echo 0 > /proc/sys/user/max_user_namespaces")


def _no_sight_of_others() -> str:
    # an ordinary user's processes are all its
    with subprocess.Popen(["sleep", "1000"], user=OTHER_USER if os.geteuid() == 0 else None) as other:
        try:
            Path(f"/proc/{other.pid}/cwd").stat()
        except PermissionError as error:
            return str(error.strerror)
        finally:
            other.kill()
    return ""


def _no_ordinary_user() -> str:
    look = (sys.executable, "-c", "import tests, trio")
    refused = _refused(*_OTHER, "--inh-caps=-all", *look)
    private = "+dac_read_search"  # below /root tests give the user this right, or take a user namespace
    if refused and (
        _refused(*_OTHER, f"--inh-caps=-all,{private}", f"--ambient-caps={private}", *look)
        or _refused("unshare", "--user", f"--map-user={OTHER_USER}", *look)
    ):
        return f"it may not read {ROOT}: {refused}"
    return ""


def memory_group(name: str) -> Path:
    """Make a group below ours in the memory hierarchy of cgroup v1. Raises OSError where that is refused."""
    own = [line.rpartition(":")[2] for line in Path("/proc/self/cgroup").read_text().splitlines() if ":memory:" in line]
    made = Path("/sys/fs/cgroup/memory", *(path.lstrip("/") for path in own), name)
    made.mkdir()
    return made


def _no_memory_controller() -> str:
    # at `full` the launcher's own group limits memory
    if os.environ.get("DEEPOJ_TEST_ISOLATION", checked().isolation) == Isolation.FULL:
        return ""
    try:
        memory_group(f"deepoj-probe.{os.getpid()}").rmdir()
    except OSError as error:
        return f"no group can be made in /sys/fs/cgroup/memory: {error.strerror}"
    return ""


_AS_ROOT = () if os.geteuid() == 0 else ("--user", "--map-root-user")
_OTHER = ("setpriv", f"--reuid={OTHER_USER}", f"--regid={OTHER_USER}", "--clear-groups")

#: need → what says why it cannot be had, or ""
NEEDS: Mapping[str, Callable[[], str]] = {
    "namespaces": _no_namespaces,
    PROC: _no_proc,
    HOST_NAME: _no_host_name,
    "mounts": _no_mounts,
    "user namespaces": _no_user_namespaces,
    "user namespace with limits of its own": _no_limits_of_user_namespace,
    "sight of other users' processes": _no_sight_of_others,
    "ordinary user who reads the checkout": _no_ordinary_user,
    "memory controller": _no_memory_controller,
}


@functools.cache
def lack(need: str) -> str:
    """Return why this host lacks what a test needs, as a sentence; empty if it has it."""
    reason = NEEDS[need]()
    return f"this host offers no {need}: {reason}" if reason else ""
