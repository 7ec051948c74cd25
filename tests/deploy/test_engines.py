"""``make demo``, and three kinds of hostile programs, in real containers of Docker and Podman and in a plain chroot.

In the suite: a newcomer's container of Docker (a minimal Debian that gets everything from ``make demo``); Docker's and
Podman's default containers with the checkout in ``/root`` and in ``/srv``, as root and as an ordinary user; Docker with
a read-only root, and ``--privileged``; a chroot as root, as an ordinary user, and without ``/proc``, where there is no
sandbox.

In the table of ``python -m tests.deploy.engines`` alone: Podman's newcomer, and this machine
(``tests/e2e/test_make.py`` and ``test_without_root.py`` have its tests).
"""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator

import pytest

from tests.deploy.engines import ROWS, WITHOUT_PROC, Engines, Environment, Outcome


@pytest.fixture(scope="module")
def engines() -> Iterator[Engines]:
    with Engines.started() as started:
        yield started


@pytest.fixture(scope="module")
def environment(engines: Engines, request: pytest.FixtureRequest) -> Iterator[Environment]:
    faulthandler.cancel_dump_traceback_later()  # fetching a root and installing into it take minutes
    with engines.opened(request.param) as opened:
        yield opened


@pytest.fixture(scope="module")
def demo(environment: Environment) -> Outcome:
    """The first start in the environment, whichever test asks first."""
    return environment.demo()


@pytest.mark.parametrize("environment", ROWS, indirect=True, ids=str)
def test_make_demo_in_container_is_accepted(demo: Outcome) -> None:
    assert demo.accepted, f"exit code {demo.code}: {demo.text[-3000:]}"


# a newcomer's container is contained as the prepared one is
@pytest.mark.usefixtures("demo")
@pytest.mark.parametrize("environment", [row for row in ROWS if not row.newcomer], indirect=True, ids=str)
def test_hostile_programs_in_container_harm_nothing(environment: Environment) -> None:
    assert environment.hostile()["harm"] == []


def test_make_demo_without_proc_names_the_missing_mount(engines: Engines) -> None:
    with engines.opened(WITHOUT_PROC) as environment:
        demo = environment.demo()
    assert demo.code == 2, demo.text[-3000:]
    assert "mount -t proc proc /proc" in demo.text
