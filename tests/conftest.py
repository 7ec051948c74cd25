"""What holds for every test: its examples, its stage, the quarantine, and the table of what was not shown.

*Stage.* ``make test`` runs every test that is not marked ``full``; ``make test-full`` adds those. ``full`` are tests
below a path of ``FULL``, those on the second pair of servers, and those that say so themselves. ``alone`` are tests
whose figures other work on the machine would change; they are ``full``. ``check`` are tests that need no server: unit
tests, contract tests on fakes, and tests of contests without a database: ``make check``.

*Workers.* pytest-xdist gives whole files to its workers, in the order of collection (``--dist loadfile``). The files of
``LONGEST`` come first, so that all workers end at about the same time. The files of a row of ``SHARED`` go to one
worker together: they share a node, which each further worker would have to start for itself.

*Turns.* Alike tests that take minutes each take turns: with ``--day N``, of each row of ``TURNS`` one group is run, so
that each is run once in at most five days. The end of the session names what was left out. Without the option, as for
those who run tests by hand, all are run.

*Quarantine.* ``tests/quarantine.txt`` names tests that fail now and then for a reason not found yet. They run; a
failure is printed and does not fail the session. The list is meant to be empty.

*Level.* Tests ask for the isolation level that the host offers, ``namespaces`` at most: ``tests/host.py``. A test that
needs more than each host offers names it in the mark ``needs``.

*Not shown.* A skipped test is one that this host cannot run. A table at the end names each with its reason. CI runs
with ``--all-shown``: then a skipped test fails the session.

*Failures.* Each is printed in one line when it happens, whether or not there are workers.
"""

from __future__ import annotations

import gc
import itertools
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from deepoj.words.sandbox import Isolation
from tests import host

# A loaded machine is slow, not wrong; and a run that fails must fail again, so examples are the same every time.
settings.register_profile("house", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

ROOT = Path(__file__).parents[1]
#: paths whose tests belong to ``make test-full``
FULL = (
    "tests/deploy/test_binary.py",
    "tests/deploy/test_compose_up.py",
    "tests/deploy/test_engines.py",
    "tests/deploy/test_image.py",
    "tests/e2e/test_bench.py",
    "tests/e2e/test_cardinality.py",
    "tests/e2e/test_drill_live.py",
    "tests/e2e/test_helpers.py",
    "tests/e2e/test_hostile_clients.py",
    "tests/e2e/test_live_crowd.py",
    "tests/e2e/test_memory.py",
    "tests/fault/test_drills.py",
    "tests/fault/test_soak.py",
    "tests/fuzz/",
    "tests/languages/",
    "tests/sandbox/test_bench.py",
    "tests/sandbox/test_endurance.py",
    "tests/sandbox/test_sanitized.py",
    "tests/sandbox/test_unprivileged.py",
    "tests/schema/test_schemathesis.py",
    "tests/vm/",
    "tests/web/test_pages.py",
)
#: paths whose tests measure the machine
ALONE = ("tests/sandbox/test_measures.py",)
#: parameters of contract tests: what needs no server, and the second pair of servers, Debian's
FAKES = frozenset({"memory", "local", "directory"})
SECOND_PAIR = frozenset({"debian", "redis"})
LONGEST = (
    "tests/deploy/test_engines.py",
    "tests/vm/",
    "tests/sandbox/test_unprivileged.py",
    "tests/e2e/test_hostile_clients.py",
    "tests/deploy/",
    "tests/fault/",
    "tests/web/test_journey.py",
    "tests/web/test_pages.py",
    "tests/e2e/",
    "tests/sandbox/",
    "tests/schema/",
    "tests/contract/",
    "tests/unit/test_suite.py",
)
IN_CONTAINER = ("test_make_demo_in_container_is_accepted", "test_hostile_programs_in_container_harm_nothing")
#: groups of alike tests, of which one is run each day; each group is a part of its tests' names. What a family shows
#: most tellingly (an ordinary user, the whole quick start, the soak) is in no group, and so is run each day.
TURNS: tuple[tuple[tuple[str, ...], ...], ...] = (
    (
        ("tests/sandbox/test_unprivileged.py::test_everything_holds_without_namespaces[root]",),
        ("tests/sandbox/test_unprivileged.py::test_everything_holds_without_namespaces[ordinary]",),
        ("tests/sandbox/test_unprivileged.py::test_everything_holds_for_a_root_that_may_not_mount",),
        ("tests/sandbox/test_unprivileged.py::test_everything_holds_without_proc",),
        ("tests/sandbox/test_unprivileged.py::test_everything_holds_in_the_least_form_of_namespaces",),
    ),
    (
        ("tests/sandbox/test_sanitized.py::test_the_rows_hold_under_sanitizers[namespaces]",),
        ("tests/sandbox/test_sanitized.py::test_the_rows_hold_under_sanitizers[weak]",),
    ),
    (
        (
            "tests/vm/test_full.py::test_every_row_holds_with_cgroups[verdicts]",
            "tests/vm/test_full.py::test_an_ordinary_user_with_a_delegated_cgroup_has_it_too",
        ),
        ("tests/vm/test_full.py::test_every_row_holds_with_cgroups[life]",),
        ("tests/vm/test_full.py::test_every_row_holds_with_cgroups[hostile]",),
    ),
    (
        tuple(f"tests/deploy/test_engines.py::{test}[docker /root" for test in IN_CONTAINER),
        tuple(f"tests/deploy/test_engines.py::{test}[docker /srv" for test in IN_CONTAINER),
        tuple(f"tests/deploy/test_engines.py::{test}[podman" for test in IN_CONTAINER),
        tuple(f"tests/deploy/test_engines.py::{test}[chroot" for test in IN_CONTAINER),
    ),
    (("tests/deploy/test_binary.py::",), ("tests/deploy/test_image.py::",)),
    (
        ("tests/schema/test_schemathesis.py::test_answers_without_a_token_are_as_documented",),
        ("tests/schema/test_schemathesis.py::test_with_an_account[contestant]",),
        ("tests/schema/test_schemathesis.py::test_with_an_account[administrator]",),
    ),
    (
        (
            "tests/e2e/test_bench.py::test_small_bench_of_the_api_prints_every_figure",
            "tests/e2e/test_bench.py::test_small_bench_of_the_web_prints_every_figure",
        ),
        (
            "tests/e2e/test_bench.py::test_small_bench_of_a_node_prints_every_figure",
            "tests/e2e/test_bench.py::test_small_bench_of_slow_clients_prints_every_figure",
        ),
        (
            "tests/e2e/test_bench.py::test_small_bench_of_the_queue_prints_every_figure",
            "tests/e2e/test_bench.py::test_small_bench_of_a_contest_prints_every_figure",
        ),
    ),
)
#: files that share a node of the session
SHARED = (
    (
        "tests/e2e/test_embedded_home.py",
        "tests/e2e/test_oauth.py",
        "tests/e2e/test_rejudge.py",
        "tests/e2e/test_reruns.py",
        "tests/e2e/test_texts.py",
        "tests/e2e/test_verifications.py",
        "tests/e2e/test_webhooks.py",
    ),
    ("tests/web/test_journey.py", "tests/web/test_contest_journey.py", "tests/web/test_pages.py"),
)
#: begin after the files of ``LONGEST``: their node runs from the first of them to the end of the session
LATE = SHARED[0]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-shown", action="store_true", help="fail if this host cannot run a test")
    parser.addoption("--day", type=int, metavar="N", help="run only the day's groups of TURNS; N is any day's number")


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts background jobs with SIGINT ignored, and each program that a test starts would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(FailureLines(config))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Return the scheduler of ``--dist loadfile`` with the files of a row of ``SHARED`` as one; None: xdist's own."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

    class SharedFiles(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return work_unit_of(super()._split_scope(nodeid))

    return SharedFiles(config, log)


def work_unit_of(path: str) -> str:
    """Return the name of what a worker runs as a whole: a file, or the first of the files that share a node."""
    return next((row[0] for row in SHARED if path in row), path)


class FailureLines:
    """Prints a line for each failure as it happens; pytest's own summary comes at the end of the session."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # workers of pytest-xdist have no terminal: they send their reports to the main process, which prints
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            begin = "FAILED" if report.when == "call" else f"ERROR in {report.when} of"
            crash = getattr(report.longrepr, "reprcrash", None)
            reason = f": {crash.message.splitlines()[0]}" if crash and crash.message else ""
            terminal.write_line(f"\n{begin} {report.nodeid}{reason}", red=True)


def quarantined() -> dict[str, str]:
    """Names of tests in the quarantine, each with what is known about its failure: two spaces stand between them."""
    lines = (ROOT / "tests/quarantine.txt").read_text().splitlines()
    entries = (line.partition("  ") for line in lines if line and not line.startswith("#"))
    return {name: reason.strip() for name, _, reason in entries}


def stages_of(item: pytest.Item, path: str) -> Iterator[pytest.MarkDecorator]:
    """The stages that a test belongs to beside those that it names itself."""
    callspec = getattr(item, "callspec", None)
    parameters = {value for value in callspec.params.values() if isinstance(value, str)} if callspec else set()
    if path.startswith(ALONE):
        yield pytest.mark.alone
    if path.startswith((*FULL, *ALONE)) or parameters & SECOND_PAIR:
        yield pytest.mark.full
    is_on_fakes = path.startswith("tests/contract/") and parameters & FAKES
    is_without_database = path.startswith("tests/contests/") and "postgres" not in getattr(item, "fixturenames", ())
    if path.startswith("tests/unit/") or is_on_fakes or is_without_database:
        yield pytest.mark.check


def place_of(path: str) -> int:
    """The place of a file in the order of files: a lower one begins earlier."""
    if path in LATE:
        return len(LONGEST)
    return next((place for place, prefix in enumerate(LONGEST) if path.startswith(prefix)), len(LONGEST))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect the tests without garbage collection, and leave what was made to no later one: a million objects stay to
    the end of the session, and looking through them takes half of the time of collecting tests."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def not_today(day: int) -> tuple[str, ...]:
    """Return the names' beginnings of the tests that are left to other days."""
    groups = (group for row in TURNS for at, group in enumerate(row) if at != day % len(row))
    return tuple(itertools.chain.from_iterable(groups))


# first: `-m` selects in a hook of the same name
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if (day := config.getoption("--day")) is not None:
        left = not_today(day)
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid.startswith(left)])
        items[:] = [item for item in items if not item.nodeid.startswith(left)]
    known = quarantined()
    paths = {item: item.path.relative_to(ROOT).as_posix() for item in items}
    for item, path in paths.items():
        for stage in stages_of(item, path):
            item.add_marker(stage)
        if item.get_closest_marker("measured"):
            item.add_marker(pytest.mark.flaky(reruns=1))
        if item.nodeid in known:
            item.add_marker(pytest.mark.xfail(reason=f"quarantine: {known[item.nodeid]}", strict=False))
    items.sort(key=lambda item: place_of(paths[item]))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for need in (need for mark in item.iter_markers("needs") for need in mark.args):
        if reason := host.lack(need):
            pytest.skip(reason)


def pytest_sessionstart() -> None:
    """Let boxes and programs that tests start ask for no more isolation than this host offers."""
    if host.level() < Isolation.NAMESPACES:
        os.environ.setdefault(host.SETTING, host.level())


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--all-shown") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
    yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if (day := config.getoption("--day")) is not None:
        terminalreporter.section(f"LEFT TO OTHER DAYS THAN {day} (make test-full DAY= runs all)", red=True, bold=True)
        for name in not_today(day):
            terminalreporter.line(name)
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    terminalreporter.section("NOT SHOWN ON THIS HOST", red=True, bold=True)
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.line(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}")
