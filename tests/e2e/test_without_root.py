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


def as_ordinary_user() -> list[str]:
    """Return words that run a command as an ordinary user.

    None if we are one; setpriv if the user nobody can reach the program; otherwise (a checkout below a private home) a
    user namespace with that uid.
    """
    if os.geteuid() != 0:
        return []
    account = pwd.getpwnam("nobody")
    switched = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    reached = subprocess.run([*switched, str(DEEPOJ), "--version"], cwd="/", capture_output=True, check=False)
    if reached.returncode == 0:
        return switched
    return ["unshare", "--user", f"--map-user={account.pw_uid}", f"--map-group={account.pw_gid}"]


@pytest.fixture
def home_of_ordinary_user() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="ojnr", dir="/tmp"))
    if as_ordinary_user()[:1] == ["setpriv"]:
        account = pwd.getpwnam("nobody")
        os.chown(place, account.pw_uid, account.pw_gid)
    yield place / "home"
    shutil.rmtree(place)


@pytest.mark.needs("ordinary user who reads the checkout")
def test_the_sample_is_accepted_twice(home_of_ordinary_user: Path) -> None:
    before = Leftovers.count(home_of_ordinary_user)
    for _ in range(2):
        settings, _ports = environment(
            home_of_ordinary_user, {"HOME": str(home_of_ordinary_user.parent)}, of_newcomer=True
        )
        done = subprocess.run(
            [*as_ordinary_user(), str(DEEPOJ), "up", "--sample", "--exit", "--log", "json"],
            env=settings, cwd=home_of_ordinary_user.parent, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Result: Accepted" in done.stdout
    nothing_left(home_of_ordinary_user, before)


#: as in a container that refuses user namespaces: we are in one in which no more can be made
_SHUT = 'echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --bounding-set=-all --inh-caps=-all "$@"'


def without_namespaces() -> list[str]:
    """Return words that run a command as an ordinary user without namespaces; ``as_ordinary_user`` gives the user."""
    become = as_ordinary_user() or ["unshare", "--user", "--map-current-user"]
    if become[0] == "setpriv":
        place = ["unshare", "--user", "--map-users", "0:0:65536", "--map-groups", "0:0:65536"]
        return [*place, "sh", "-ec", _SHUT, "sh", *become[1:]]
    return [*become, "--keep-caps", "sh", "-ec", _SHUT, "sh", "--ambient-caps=-all"]


@pytest.mark.needs("user namespace with limits of its own")
@pytest.mark.skipif(os.geteuid() != 0, reason="not root: user namespaces cannot be forbidden")
@pytest.mark.parametrize("least", ["namespaces", "weak"])
def test_node_without_namespaces_starts_only_with_weak_allowed(home_of_ordinary_user: Path, least: str) -> None:
    before = Leftovers.count(home_of_ordinary_user)
    more = {"HOME": str(home_of_ordinary_user.parent), "SANDBOX_MIN_ISOLATION": least}
    settings, _ports = environment(home_of_ordinary_user, more)
    done = subprocess.run(
        [*without_namespaces(), str(DEEPOJ), "up", "--sample", "--exit", "--log", "json"],
        env=settings, cwd=home_of_ordinary_user.parent, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip

    if least == "weak":
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Result: Accepted" in done.stdout
    else:
        assert done.returncode == 2, done.stdout + done.stderr
        assert "offers only 'weak' isolation where SANDBOX_MIN_ISOLATION=namespaces" in done.stderr
    nothing_left(home_of_ordinary_user, before)
