"""An ordinary user has everything but apt: the sample is judged, in a sandbox, on servers of the user's own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.leftovers import Leftovers, nothing_left
from tests.e2e.nodes import DEEPOJ, environment


def as_nobody() -> list[str]:
    """What makes a command run as an ordinary user: nothing if we are one; another uid if it can reach the program (a
    checkout below a private home cannot be reached); else a user namespace in which we are nobody."""
    if os.geteuid() != 0:
        return []
    nobody = pwd.getpwnam("nobody")
    switched = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    reached = subprocess.run([*switched, str(DEEPOJ), "--version"], cwd="/", capture_output=True, check=False)
    if reached.returncode == 0:
        return switched
    return ["unshare", "--user", f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}"]


@pytest.fixture
def nobodys_home() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="ojnr", dir="/tmp"))
    if as_nobody()[:1] == ["setpriv"]:
        nobody = pwd.getpwnam("nobody")
        os.chown(place, nobody.pw_uid, nobody.pw_gid)
    yield place / "home"
    shutil.rmtree(place)


def test_the_sample_is_accepted_twice(nobodys_home: Path) -> None:
    before = Leftovers.count(nobodys_home)
    for _ in range(2):
        settings, _ports = environment(nobodys_home, {"HOME": str(nobodys_home.parent)})
        done = subprocess.run(
            [*as_nobody(), str(DEEPOJ), "up", "--sample", "--exit", "--log", "json"],
            env=settings, cwd=nobodys_home.parent, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Result: Accepted" in done.stdout
    nothing_left(nobodys_home, before)


#: as in a container that lets nobody make a user namespace: we are in one in which no more can be made
_SHUT = 'echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --bounding-set=-all --inh-caps=-all "$@"'


def without_namespaces() -> list[str]:
    """What makes a command run as an ordinary user in such a place; how that user is become: see ``as_nobody``."""
    become = as_nobody() or ["unshare", "--user", "--map-current-user"]
    if become[0] == "setpriv":
        place = ["unshare", "--user", "--map-users", "0:0:65536", "--map-groups", "0:0:65536"]
        return [*place, "sh", "-ec", _SHUT, "sh", *become[1:]]
    return [*become, "--keep-caps", "sh", "-ec", _SHUT, "sh", "--ambient-caps=-all"]


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: such a place cannot be made")
@pytest.mark.parametrize("least", ["namespaces", "weak"])
def test_without_namespaces_only_whoever_asks_for_it_is_served(nobodys_home: Path, least: str) -> None:
    before = Leftovers.count(nobodys_home)
    more = {"HOME": str(nobodys_home.parent), "SANDBOX_MIN_ISOLATION": least}
    settings, _ports = environment(nobodys_home, more)
    done = subprocess.run(
        [*without_namespaces(), str(DEEPOJ), "up", "--sample", "--exit", "--log", "json"],
        env=settings, cwd=nobodys_home.parent, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip

    if least == "weak":
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Result: Accepted" in done.stdout
    else:
        assert done.returncode == 2, done.stdout + done.stderr
        assert "offers only 'weak' isolation where SANDBOX_MIN_ISOLATION=namespaces" in done.stderr
    nothing_left(nobodys_home, before)
