"""The sabotage table: ways to break a system that runs. Its page and ``deepoj doctor`` name each, with its section of
the runbook."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import httpx
import psutil
import pytest

from deepoj.operate.drill import clocks
from tests.e2e.cluster import Deployment, Servers, deployed
from tests.e2e.nodes import ACCEPTED, Node, children_named, until
from tests.e2e.places import place
from tests.e2e.typed import typed

#: how soon the page and doctor name it
WITHIN_S = 15.0
#: an act that is done again and again, as long as the sabotage lasts
AGAIN_S = 0.3
SMALL_KB = 64 * 1024
FILES = 4000


@dataclass
class OpenPage:
    """An open page of the system: the piece that says what needs a person, as it came last."""

    client: httpx.Client
    words: str = ""
    _is_over: threading.Event = field(default_factory=threading.Event)

    def read(self) -> None:
        """Read the page's stream until ``close``; open it again when it ends."""
        while not self._is_over.is_set():
            with contextlib.suppress(httpx.HTTPError), self.client.stream("GET", "/manage/system/events") as answer:
                name = ""
                for line in answer.iter_lines():
                    if self._is_over.is_set():
                        return
                    if line.startswith("event: "):
                        name, data = line.removeprefix("event: "), []
                    elif line.startswith("data: "):
                        data.append(re.sub(r"<[^>]*>", " ", line.removeprefix("data: ")))
                    elif not line and name == "symptoms":
                        self.words = " ".join(" ".join(data).split())
            self._is_over.wait(0.2)

    def close(self) -> None:
        self._is_over.set()


@dataclass(frozen=True)
class Stage:
    """A system with one node of all roles, and its page."""

    deployment: Deployment
    node: Node
    page: OpenPage
    home: Path

    def doctor(self) -> list[str]:
        """Return what ``deepoj doctor`` finds here: names and details."""
        env = {"PATH": "/usr/bin:/bin", **self.deployment.env, "DEEPOJ_HOME": str(self.home)}
        told = typed("doctor", "--json", env=env | {"PORT": str(self.node.ports["api"])})
        return [
            f"{one['what']}: {one['detail']}" for one in json.loads(told.stdout)["findings"] if one["state"] != "ok"
        ]


@pytest.fixture(scope="module")
def stage(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    deployment, home = deployed(servers), tmp_path_factory.mktemp("sabotage") / "home"
    with deployment.node(home) as node, httpx.Client(base_url=node.base, trust_env=False, timeout=60) as client:
        token = node.token()
        assert node.judged(token, node.problem(token), ACCEPTED)["status"] == "Accepted"
        form = re.search(r'name="form_token" value="([^"]+)"', client.get("/login").text)
        assert form is not None
        client.post("/login", data={"form_token": form[1], "username": "admin", "password": "password"})
        page = OpenPage(client)
        typed("--version", env={})  # its server begins in this thread
        with ThreadPoolExecutor() as pool:
            pool.submit(page.read)
            try:
                yield Stage(deployment, node, page, home)
            finally:
                page.close()


@contextlib.contextmanager
def again_and_again(act: Callable[[], None]) -> Iterator[None]:
    over = threading.Event()

    def repeat() -> None:
        while not over.is_set():
            act()
            over.wait(AGAIN_S)

    with ThreadPoolExecutor() as pool:
        pool.submit(repeat)
        try:
            yield
        finally:
            over.set()


def launchers(stage: Stage) -> list[psutil.Process]:
    return [one for one in children_named(stage.node.process, "_launcher") if one.ppid() == stage.node.process.pid]


def to_all(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for one in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.send_signal(number)


@contextlib.contextmanager
def stopped(*pids: int) -> Iterator[None]:
    processes = [psutil.Process(pid) for pid in pids]
    processes += [child for one in processes for child in one.children(recursive=True)]
    to_all(processes, signal.SIGSTOP)
    try:
        yield
    finally:
        to_all(processes, signal.SIGCONT)


# -- the sabotages


@contextlib.contextmanager
def redis_killed(stage: Stage, _room: Path) -> Iterator[None]:
    stage.deployment.servers.redis.kill()
    try:
        yield
    finally:
        stage.deployment.servers.redis.start()


@contextlib.contextmanager
def redis_stopped(stage: Stage, _room: Path) -> Iterator[None]:
    with stopped(stage.deployment.servers.redis.pid):
        yield


@contextlib.contextmanager
def database_killed(stage: Stage, _room: Path) -> Iterator[None]:
    stage.deployment.servers.postgres.kill()
    try:
        yield
    finally:
        stage.deployment.servers.postgres.start()


@contextlib.contextmanager
def database_stopped(stage: Stage, _room: Path) -> Iterator[None]:
    process = stage.deployment.servers.postgres.process
    assert process is not None
    with stopped(process.pid):
        yield


@contextlib.contextmanager
def store_killed(stage: Stage, _room: Path) -> Iterator[None]:
    stage.deployment.servers.objects.stop()
    try:
        yield
    finally:
        stage.deployment.servers.objects.start()


@contextlib.contextmanager
def store_stopped(stage: Stage, _room: Path) -> Iterator[None]:
    """It takes connections and never answers."""
    with stopped(stage.deployment.servers.objects.pid):
        yield


@contextlib.contextmanager
def launcher_stopped(stage: Stage, _room: Path) -> Iterator[None]:
    with again_and_again(lambda: to_all(launchers(stage), signal.SIGSTOP)):
        yield


@contextlib.contextmanager
def launcher_killed(stage: Stage, _room: Path) -> Iterator[None]:
    with again_and_again(lambda: to_all(launchers(stage), signal.SIGKILL)):
        yield


@contextlib.contextmanager
def slots_stopped(stage: Stage, _room: Path) -> Iterator[None]:
    def act() -> None:
        for launcher in launchers(stage):
            with contextlib.suppress(psutil.NoSuchProcess):
                to_all(launcher.children(), signal.SIGSTOP)

    with again_and_again(act):
        yield


@contextlib.contextmanager
def beside(stage: Stage, home: Path, around: Sequence[str] = (), **env: str) -> Iterator[Node]:
    """A second node, forgotten afterwards."""
    try:
        with stage.deployment.node(home, "--roles", "worker", env=env, port="worker", around=around) as node:
            until(lambda: stage.deployment.ask("SELECT count(*) FROM node_languages").strip() == "2", within_s=120,
                  what="both nodes are announced")  # fmt: skip
            yield node
    finally:
        stage.deployment.ask("DELETE FROM node_languages")


@contextlib.contextmanager
def other_node_stopped(stage: Stage, room: Path) -> Iterator[None]:
    with beside(stage, room / "w") as node, stopped(node.process.pid):
        yield


@contextlib.contextmanager
def other_node_killed(stage: Stage, room: Path) -> Iterator[None]:
    with beside(stage, room / "w") as node:
        to_all([*psutil.Process(node.process.pid).children(recursive=True)], signal.SIGKILL)
        node.process.kill()
        node.process.wait(60)
        yield


@contextlib.contextmanager
def clock_off(stage: Stage, room: Path) -> Iterator[None]:
    shift = room / "shift"
    clocks.shift(shift, 0)
    with beside(stage, room / "w", **clocks.environment(clocks.build(room), shift)):
        clocks.shift(shift, 3600)
        yield


@contextlib.contextmanager
def disk_filled(stage: Stage, room: Path) -> Iterator[None]:
    yield from _on_small_disk(stage, room, f"head -c {SMALL_KB * 92 // 100}K /dev/zero > $0/filler || true")


@contextlib.contextmanager
def files_used_up(stage: Stage, room: Path) -> Iterator[None]:
    yield from _on_small_disk(stage, room, f"mkdir $0/f; cd $0/f; seq {FILES} | xargs touch || true")


def _on_small_disk(stage: Stage, room: Path, script: str) -> Iterator[None]:
    home = room / "w"
    home.mkdir()
    with (
        place(f"mount -t tmpfs -o size={SMALL_KB}k,nr_inodes={FILES},mode=0755 none {home}") as around,
        beside(stage, home, around),
    ):
        subprocess.run([*around, "sh", "-c", script, str(home)], check=True, stderr=subprocess.DEVNULL)
        yield


@contextlib.contextmanager
def no_backup(stage: Stage, _room: Path) -> Iterator[None]:
    stage.deployment.ask("UPDATE schema_migrations SET applied_at = now() - interval '49 hours'")
    yield
    stage.deployment.ask("UPDATE schema_migrations SET applied_at = now()")


@contextlib.contextmanager
def dead_letter(stage: Stage, _room: Path) -> Iterator[None]:
    dead = "state = 'dead', status = 'System Error', result = NULL, lease_owner = NULL, lease_until = NULL"
    stage.deployment.ask("CREATE TABLE kept AS SELECT * FROM submissions")
    stage.deployment.ask(f"UPDATE submissions SET {dead}")
    yield
    stage.deployment.ask(
        "UPDATE submissions AS s SET state = k.state, status = k.status, result = k.result FROM kept AS k"
        " WHERE s.id = k.id; DROP TABLE kept"
    )


#: sabotage → words of its name, and the section
TABLE: dict[Callable[[Stage, Path], contextlib.AbstractContextManager[None]], tuple[str, str]] = {
    redis_killed: ("[Rr]edis", "4.1 Redis is away"),
    redis_stopped: ("[Rr]edis", "4.1 Redis is away"),
    database_killed: ("database|PostgreSQL", "4.2 The database does not answer"),
    database_stopped: ("database|PostgreSQL", "4.2 The database does not answer"),
    store_killed: ("object", "4.13 Test data cannot be fetched"),
    store_stopped: ("object", "4.13 Test data cannot be fetched"),
    launcher_stopped: ("sandbox", "4.7 The sandbox has ended or is stopped"),
    launcher_killed: ("sandbox", "4.7 The sandbox has ended or is stopped"),
    slots_stopped: ("sandbox", "4.7 The sandbox has ended or is stopped"),
    other_node_stopped: ("is silent now", "4.25 A node is silent"),
    other_node_killed: ("is silent now", "4.25 A node is silent"),
    clock_off: ("3600 s ahead", "4.11 Clocks apart"),
    disk_filled: ("% full", "4.12 The disk is full"),
    files_used_up: ("more files only", "4.12 The disk is full"),
    no_backup: ("No backup was ever made", "4.26 No backup of late"),
    dead_letter: ("dead letters", "4.15 Dead letters"),
}
ON_SMALL_DISK = (disk_filled, files_used_up)


@pytest.mark.full
@pytest.mark.alone
@pytest.mark.measured
@pytest.mark.parametrize(
    ("sabotage", "names"),
    [
        pytest.param(one, names, id=one.__name__, marks=[pytest.mark.needs("mounts")] if one in ON_SMALL_DISK else [])
        for one, names in TABLE.items()
    ],
)
def test_sabotage_is_named_on_the_page_and_by_doctor_with_its_section(
    stage: Stage,
    tmp_path: Path,
    sabotage: Callable[[Stage, Path], contextlib.AbstractContextManager[None]],
    names: tuple[str, str],
) -> None:
    words, section = names

    def quiet() -> bool:
        return stage.node.ready() and stage.page.words == "✓ No action needed."

    def on_page() -> bool:
        return bool(re.search(rf"(?:{words}).*Runbook, section {re.escape(section)}", stage.page.words))

    def by_doctor() -> bool:
        said = re.compile(rf"(?:{words}).*\(runbook, section {re.escape(section)}\)", flags=re.DOTALL)
        return any(said.search(one) for one in stage.doctor())

    until(quiet, within_s=120, what=f"nothing needs a person before: {stage.page.words}; {stage.node.tail()}")
    with sabotage(stage, tmp_path), ThreadPoolExecutor() as pool:
        begun_s = monotonic()

        def seen_after_s(asked: Callable[[], bool]) -> float:
            until(asked, within_s=4 * WITHIN_S, what=asked.__name__)
            return monotonic() - begun_s

        took = {one.__name__: one for one in (on_page, by_doctor)}
        waits = {name: pool.submit(seen_after_s, one) for name, one in took.items()}
        took_s = {name: round(wait.result(), 1) for name, wait in waits.items()}
    assert max(took_s.values()) <= WITHIN_S, took_s
