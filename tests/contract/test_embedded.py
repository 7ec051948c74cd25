"""The embedded servers: what a start creates, what a stop and a SIGKILL leave, and refused starts."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis
import trio
from redis.backoff import NoBackoff
from redis.retry import Retry

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.children import HostAccount, orphans_of, run_as
from deepoj.adapters.embedded import EmbeddedHome, hold_home, reach, run_postgres, run_valkey
from deepoj.adapters.embedded import postgres as postgres_module
from deepoj.adapters.embedded import valkey as valkey_module
from deepoj.adapters.embedded.postgres import find_install
from deepoj.adapters.embedded.valkey import find_program
from deepoj.adapters.redis.stream import RedisStream
from deepoj.words.errors import ServerFell, StartRefused
from tests.servers import tied

ROOT = os.geteuid() == 0
REPOSITORY = Path(__file__).parents[2]
USER_ID = 65534
#: of no account
NAMELESS_ID = 54_321
SOON_S = 300.0

as_root = pytest.mark.skipif(not ROOT, reason="about what root must do differently")


# ---------------------------------------------------------------------------------------------------------------------
# Helpers


class Node:
    """``tests.embedded_node`` as a process."""

    def __init__(self, home: Path, *, around: tuple[str, ...] = ()) -> None:
        self.home = home
        self._process = subprocess.Popen(
            [*around, *tied(sys.executable, "-m", "tests.embedded_node", str(home))],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self.pid = self._process.pid

    async def until(self, word: str) -> None:
        """Wait until the node prints ``word``. AssertionError with its stderr if it ends before."""
        assert self._process.stdout is not None
        with trio.fail_after(SOON_S):
            line = await trio.to_thread.run_sync(self._process.stdout.readline, abandon_on_cancel=True)
        if line.strip() != word:
            code, words = await self.end()
            raise AssertionError(f"exit {code}: {words}")

    async def end(self) -> tuple[int, str]:
        """Exit code and stderr."""
        with trio.fail_after(SOON_S):
            _, words = await trio.to_thread.run_sync(self._process.communicate, abandon_on_cancel=True)
        return self._process.returncode, words

    def kill(self) -> None:
        """Kill the node alone by SIGKILL."""
        self._process.kill()
        self._process.wait()

    async def stop(self) -> None:
        self._process.terminate()
        await self.until("stopped")
        assert (await self.end())[0] == 0

    def servers(self) -> list[psutil.Process]:
        found = servers_of(self.home)
        assert len(found) > 2
        return found

    def cleanup(self) -> None:
        for process in (self._process.stdout, self._process.stderr):
            assert process is not None
            process.close()
        if self._process.poll() is None:
            self.kill()
        for server in servers_of(self.home):
            with contextlib.suppress(psutil.NoSuchProcess):
                server.kill()


def servers_of(home: Path) -> list[psutil.Process]:
    pids = orphans_of(home / "postgres") + orphans_of(home / "postgres.new") + orphans_of(home / "valkey")
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return found


async def until_gone(home: Path) -> None:
    with trio.fail_after(SOON_S):
        while servers_of(home):
            await trio.sleep(0.02)


@pytest.fixture
def nodes() -> Iterator[Callable[..., Node]]:
    made: list[Node] = []

    def make(home: Path, **how: tuple[str, ...]) -> Node:
        made.append(Node(home, **how))
        return made[-1]

    yield make
    for node in made:
        node.cleanup()


@pytest.fixture
def public_dir() -> Iterator[Path]:
    """Return a directory that every user can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="oj-", dir="/tmp") as path:
        Path(path).chmod(0o711)
        yield Path(path)


@contextlib.asynccontextmanager
async def serving(path: Path) -> AsyncIterator[EmbeddedHome]:
    """Run both servers as children of this process."""
    with hold_home(path) as home:
        async with trio.open_nursery() as nursery:
            with trio.fail_after(SOON_S):
                await nursery.start(partial(run_postgres, home))
                await nursery.start(partial(run_valkey, home))
            yield home
            nursery.cancel_scope.cancel()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory for the home that ``used`` copies, made by the first test that needs it."""
    return tmp_path_factory.mktemp("made") / "home"


@pytest.fixture
async def used(made: Path, tmp_path: Path) -> Path:
    """Return a home whose servers ran before and were stopped: creating a cluster is most of a first start."""
    if EmbeddedHome.find(made) is None:
        async with serving(made):
            pass
    return copied(made, tmp_path / "home")


def copied(home: Path, path: Path) -> Path:
    """Return a copy of that home without its logs."""
    subprocess.run(["cp", "-a", home, path], check=True)
    for log in (path / "log").iterdir():
        log.unlink()
    return path


def sql(home: EmbeddedHome, statement: str) -> str:
    """Run a statement by psql, which takes the same address as asyncpg."""
    command = [
        str(find_install() / "bin" / "psql"),
        home.database_url,
        "-AtX",
        "-v",
        "ON_ERROR_STOP=1",
        "-c",
        statement,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SOON_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def valkey(home: EmbeddedHome) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(home.valkey_socket), password=home.valkey_password, socket_timeout=30)


def write(home: EmbeddedHome, word: str) -> None:
    sql(home, f"CREATE TABLE IF NOT EXISTS kept (word text); INSERT INTO kept VALUES ('{word}')")
    with valkey(home) as client:
        client.execute_command("XADD", "kept", "*", "word", word)
        # the file is synced every second; killing the process alone loses no written byte
        client.execute_command("SET", "last", word)


def read(home: EmbeddedHome) -> tuple[list[str], int]:
    with valkey(home) as client:
        length = client.execute_command("XLEN", "kept")
    return sql(home, "SELECT word FROM kept ORDER BY word").split(), int(length)


def found(path: Path) -> EmbeddedHome:
    home = EmbeddedHome.find(path)
    assert home is not None
    return home


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def set_mode(path: Path, mode: int) -> None:
    path.chmod(mode)


def names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def mounts() -> list[str]:
    return sorted(Path("/proc/self/mountinfo").read_text().splitlines())


def accounts() -> list[bytes]:
    return [Path(name).read_bytes() for name in ("/etc/passwd", "/etc/group")]


def sleeper(cwd: str | Path = "/", account: HostAccount | None = None) -> subprocess.Popen[bytes]:
    """Return a process of another user."""
    user, group = (account.uid, account.gid) if account else (None, None)
    return subprocess.Popen(["/bin/sleep", "1000"], cwd=cwd, user=user, group=group)


def snapshot(path: Path, top: Path) -> dict[Path, tuple[int, int, int]]:
    """Return mode and owners of a path and its parents below ``top``."""
    wanted = [p for p in (path, *path.parents) if p.is_relative_to(top)]
    return {p: (p.stat().st_mode, p.stat().st_uid, p.stat().st_gid) for p in wanted}


# ---------------------------------------------------------------------------------------------------------------------
# Starting and stopping


@pytest.mark.needs("sight of other users' processes")
async def test_a_start_makes_what_is_needed_and_a_stop_leaves_nothing_behind(
    tmp_path: Path, nodes: Callable[..., Node]
) -> None:
    parent = tmp_path / "private"
    parent.mkdir(mode=0o700)
    parents = partial(snapshot, parent, tmp_path.parent)  # other test runs change the directories above
    before = parents(), mounts(), accounts()
    assert EmbeddedHome.find(parent / "home") is None
    node = nodes(parent / "home")
    await node.until("up")
    home = found(parent / "home")
    assert home.running
    servers = node.servers()
    for server in servers:
        assert server.uids().real == server.uids().effective == (pwd.getpwnam("daemon").pw_uid if ROOT else os.getuid())
        assert server.net_connections("inet") == []
        assert os.getsid(server.pid) != os.getsid(node.pid), "a Ctrl-C would reach it"
        words = " ".join(server.cmdline())
        assert home.postgres_password not in words
        assert home.valkey_password not in words
    assert mounts() == before[1], "a mount got out"
    for name in ("postgres_password", "valkey_password"):
        assert mode_of(home.home / "secrets" / name) == 0o600
    write(home, "a")
    logs = "".join((home.log_dir / f"{name}.log").read_text() for name in ("postgres", "valkey"))
    assert home.postgres_password not in logs
    assert home.valkey_password not in logs

    await node.stop()
    assert not found(parent / "home").running
    assert servers_of(home.home) == []
    assert not any(server.is_running() and server.status() != psutil.STATUS_ZOMBIE for server in servers)
    assert names_in(home.run_dir) == []
    assert (parents(), mounts(), accounts()) == before


async def test_the_addresses_are_understood_by_the_clients_of_the_node(used: Path) -> None:
    async with serving(used) as home, AioBridge.open() as bridge:

        async def ask() -> list[object]:
            connection = await asyncpg.connect(home.database_url)
            try:
                row = await connection.fetchrow(
                    "SELECT current_user, current_database(), usesuper, current_setting('server_encoding')"
                    " FROM pg_user WHERE usename = current_user"
                )
                return list(row or ())
            finally:
                await connection.close()

        assert await bridge.run(ask) == ["deep_oj", "deep_oj", False, "UTF8"]
        async with RedisStream.open(bridge, home.redis_url, password=home.valkey_password, consumer="one") as stream:
            assert (await stream.pressure()).xlen == 0
        assert sql(home, "SELECT lower('ÄÖ')") == "äö"
        assert sql(home, "SHOW listen_addresses") == ""
        with valkey(home) as client:
            assert client.config_get("appendfsync") == {"appendfsync": "everysec"}
            assert client.config_get("port") == {"port": "0"}
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        stranger = redis.Redis(unix_socket_path=str(home.valkey_socket), retry=Retry(NoBackoff(), 0))
        with stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()


async def test_data_survives_a_stop_and_secrets_stay(used: Path) -> None:
    async with serving(used) as home:
        write(home, "a")
        secrets = home.postgres_password, home.valkey_password
    async with serving(used) as home:
        assert (home.postgres_password, home.valkey_password) == secrets
        assert read(home) == (["a"], 1)
    assert servers_of(used) == []


async def test_data_survives_a_kill_of_everything(used: Path, nodes: Callable[..., Node]) -> None:
    for word in ("a", "b", "c"):
        node = nodes(used)
        await node.until("up")
        write(found(used), word)
        servers = node.servers()
        node.kill()
        for server in servers:
            with contextlib.suppress(psutil.NoSuchProcess):
                server.kill()
    async with serving(used) as home:
        assert read(home) == (["a", "b", "c"], 3)


async def test_servers_do_not_outlive_a_killed_node(used: Path, nodes: Callable[..., Node]) -> None:
    before = mounts()
    node = nodes(used)
    await node.until("up")
    write(found(used), "a")
    node.kill()
    await until_gone(used)
    assert mounts() == before
    assert "database system is shut down" in (used / "log" / "postgres.log").read_text()
    assert not found(used).running


async def test_a_start_right_after_a_kill_waits_for_the_old_servers(used: Path, nodes: Callable[..., Node]) -> None:
    for word in ("a", "b", "c"):
        node = nodes(used)
        await node.until("up")
        write(found(used), word)
        node.kill()
    async with serving(used) as home:
        assert read(home) == (["a", "b", "c"], 3)


async def test_old_servers_that_hang_are_ended(used: Path, nodes: Callable[..., Node]) -> None:
    node = nodes(used)
    await node.until("up")
    write(found(used), "a")
    servers = node.servers()
    for server in servers:
        server.suspend()
    node.kill()
    async with serving(used) as home:
        assert read(home) == (["a"], 1)
    assert not any(server.is_running() and server.status() != psutil.STATUS_ZOMBIE for server in servers)


async def test_a_process_of_somebody_else_in_the_data_directory_is_left_alone(used: Path) -> None:
    with sleeper(used / "valkey") as shell:
        try:
            assert orphans_of(used / "valkey") == [shell.pid]
            async with serving(used):
                assert shell.poll() is None
        finally:
            shell.kill()


@as_root
async def test_root_without_the_right_to_trace_sees_servers_of_another_account(used: Path) -> None:
    """As in a container. It would start a second server beside a living one that it does not see."""
    look = "import pathlib, deepoj.adapters.children as c; print(c.orphans_of(pathlib.Path.cwd() / 'valkey'))"
    async with serving(used) as home:
        account = home.account
    with sleeper(used / "valkey", account) as server:
        try:
            seen = await trio.run_process(
                [*without("sys_ptrace"), sys.executable, "-c", look], cwd=used, capture_stdout=True
            )
        finally:
            server.kill()
    assert seen.stdout.decode() == f"[{server.pid}]\n"


async def test_a_lock_file_whose_pid_means_somebody_else_now(used: Path) -> None:
    async with serving(used) as home:
        write(home, "a")
        account = home.account
        lines = (home.postgres_dir / "postmaster.pid").read_text().splitlines()
    # a process of the servers' user: PostgreSQL takes it for a postmaster and refuses to start
    other = sleeper(account=account)
    try:
        lines[0] = str(other.pid)
        (used / "postgres" / "postmaster.pid").write_text("\n".join(lines) + "\n")
        async with serving(used) as home:
            assert read(home) == (["a"], 1)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


async def test_an_unfinished_cluster_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "home"
    (path / "postgres.new").mkdir(parents=True)
    (path / "postgres.new" / "PG_VERSION").write_text("half")
    async with serving(path) as home:
        write(home, "a")
    assert not (path / "postgres.new").exists()


async def test_a_start_cancelled_at_any_moment_leaves_nothing_running(tmp_path: Path) -> None:
    path = tmp_path / "home"
    for after_s in (0.0, 0.05, 0.2, 0.4, 0.8):
        with hold_home(path) as home, trio.move_on_after(after_s):
            await run_postgres(home)
        # a process that was just starting when its parent was killed needs a moment to notice
        await until_gone(path)
    async with serving(path) as home:
        write(home, "a")


# ---------------------------------------------------------------------------------------------------------------------
# Directories and accounts


@pytest.mark.parametrize("name", ["x" * 120, "with space, comma & ümlaut"])
async def test_a_home_whose_path_is_no_good_for_sockets(tmp_path: Path, name: str, nodes: Callable[..., Node]) -> None:
    path = tmp_path / name / "home"
    node = nodes(path)
    await node.until("up")
    home = found(path)
    assert home.run_dir.parent != home.home
    assert len(os.fsencode(home.postgres_socket)) < 108
    assert mode_of(home.run_dir) == 0o700
    write(home, "a")
    node.kill()
    async with serving(path) as again:
        assert again.run_dir != home.run_dir
        assert not home.run_dir.exists(), "the killed node's directory is swept"
        assert read(again) == (["a"], 1)
    assert not again.run_dir.exists()


@as_root
async def test_servers_run_in_a_home_closed_to_their_account(used: Path) -> None:
    """The home and the directory above it are closed to other users."""
    set_mode(used, 0o700)
    async with serving(used) as home:
        assert home.account is not None
        assert home.account.name == "daemon"
        write(home, "a")
    assert mode_of(used) == 0o700


@as_root
async def test_servers_run_from_copies_when_their_programs_are_closed_to_their_account(
    used: Path, public_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a checkout below /root or with a strict umask."""
    install, program = find_install(), find_program()
    closed = public_dir / "closed"
    closed.mkdir(mode=0o700)
    for name in (install.parent, install.parent.with_name(f"{install.parent.name}.libs"), program.parent):
        shutil.copytree(name, closed / name.name, ignore=shutil.ignore_patterns("include", "*.a"))
    monkeypatch.setattr(postgres_module, "find_install", lambda: closed / install.parent.name / install.name)
    monkeypatch.setattr(valkey_module, "find_program", lambda: closed / program.parent.name / program.name)
    monkeypatch.setattr(reach, "PLACES", [public_dir / "cache"])
    async with serving(used) as home:
        write(home, "a")
        assert len(list((public_dir / "cache").glob("*-*"))) == 2
        assert mode_of(closed) == 0o700
        links = [f"/proc/{server.pid}/exe" for server in servers_of(used)]
        # as their own user: root in a container may lack the right to look
        # PostgreSQL's workers come and go
        done = await trio.run_process([*run_as(home.account), "readlink", *links], capture_stdout=True, check=False)
        programs = done.stdout.decode().split()
        assert len(programs) > 2
        assert all(Path(program).is_relative_to(public_dir / "cache") for program in programs)


# ---------------------------------------------------------------------------------------------------------------------
# Copies of programs


class Wheel:
    """Fake server programs (shell scripts) and two directories for copies of them."""

    def __init__(self, path: Path) -> None:
        self.home = path / "home"
        self.home.mkdir()
        self.programs = reach.Programs("server", path / "wheel", ("bin/*", "lib/*"), Path("bin/server"))
        self.places = [path / "inner" / "first", path / "second"]
        self.places[0].parent.mkdir()
        self.messages: list[str] = []
        for name in ("bin/server", "lib/data"):
            file = self.programs.top / name
            file.parent.mkdir(parents=True)
            file.write_text("#!/bin/sh\n")
            file.chmod(0o755 if file.name == "server" else 0o644)

    def closed(self) -> Wheel:
        """Make one of the files unreadable to the account."""
        (self.programs.top / "lib" / "data").chmod(0o600)
        return self

    def updated(self) -> Wheel:
        (self.programs.top / "lib" / "data").write_text("of a newer wheel")
        return self

    def using(self) -> contextlib.AbstractContextManager[Path]:
        account = reach.choose_account(Path("/nonexistent"))
        return reach.in_reach(account, self.programs, self.home, self.messages.append)

    def copies(self) -> list[Path]:
        return sorted(copy for place in self.places if place.is_dir() for copy in place.glob("*server-*"))


@pytest.fixture
def wheel(public_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    wheel = Wheel(public_dir)
    monkeypatch.setattr(reach, "PLACES", wheel.places)
    return wheel


@as_root
def test_programs_readable_by_the_account_are_used_in_place(wheel: Wheel) -> None:
    with wheel.using() as top:
        assert top == wheel.programs.top
    assert (wheel.copies(), wheel.messages) == ([], [])


@as_root
@pytest.mark.parametrize("closed", ["wheel", "wheel/lib", "wheel/lib/data", "wheel/bin/server"])
def test_programs_closed_to_the_account_are_copied_once(wheel: Wheel, public_dir: Path, closed: str) -> None:
    mode = mode_of(public_dir / closed)
    (public_dir / closed).chmod(mode & 0o700)
    with wheel.using() as top:
        assert [top] == wheel.copies()
        assert (mode_of(top / "lib" / "data"), mode_of(top / "bin" / "server")) == (0o644, 0o755)
        assert str(top) in wheel.messages[0]
        made = top.stat().st_ino
    with wheel.using() as again:
        assert again.stat().st_ino == made
    assert mode_of(public_dir / closed) == mode & 0o700


@as_root
def test_programs_that_are_links_are_copied(wheel: Wheel, public_dir: Path) -> None:
    """Their targets may lie below a private directory."""
    data = wheel.programs.top / "lib" / "data"
    data.rename(public_dir / "elsewhere")
    data.symlink_to(public_dir / "elsewhere")
    with wheel.using() as top:
        assert top != wheel.programs.top
        assert not (top / "lib" / "data").is_symlink()


@as_root
@pytest.mark.parametrize("damage", ["removed", "cut"])
def test_damaged_copy_is_made_again(wheel: Wheel, damage: str) -> None:
    with wheel.closed().using() as top:
        pass
    if damage == "removed":
        (top / "lib" / "data").unlink()
    else:
        (top / "lib" / "data").write_text("#!")
    with wheel.using() as again:
        assert again == top
        assert (top / "lib" / "data").read_text() == "#!/bin/sh\n"
    assert wheel.copies() == [top]


@as_root
def test_older_copies_are_removed_unless_a_node_uses_them(wheel: Wheel) -> None:
    wheel.closed()
    unfinished = wheel.places[0] / ".server-0123.abc"  # of a node that was killed
    with wheel.using() as older:
        unfinished.mkdir()
        with wheel.updated().using() as newer:
            assert wheel.copies() == sorted([older, newer])
    (wheel.programs.top / "lib" / "data").write_text("of a third one")
    with wheel.using() as newest:
        assert wheel.copies() == [newest]


@as_root
def test_nodes_that_start_at_once_make_one_copy(wheel: Wheel, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel.closed()
    make, began = reach._make, [threading.Event(), threading.Event()]

    def make_slowly(programs: reach.Programs, copy: Path) -> None:
        began[began[0].is_set()].set()
        began[1].wait(0.5)  # of another node, if it does not wait for this one
        make(programs, copy)

    def used() -> list[Path]:
        with wheel.using() as copy:
            return [file.relative_to(copy) for file in wheel.programs.files(copy)]

    monkeypatch.setattr(reach, "_make", make_slowly)
    with ThreadPoolExecutor(2) as pool:
        nodes = [pool.submit(used) for _ in range(2)]
        assert [len(node.result()) for node in nodes] == [2, 2]
    assert not began[1].is_set()
    assert len(wheel.copies()) == 1


@as_root
def test_copy_locked_by_another_user_is_used_without_waiting(wheel: Wheel) -> None:
    """Every user can lock a file that the servers' user can read."""
    with wheel.closed().using() as top:
        pass
    become = ["timeout", "20", "setpriv", f"--reuid={USER_ID}", f"--regid={USER_ID}", "--clear-groups"]
    locks = ["flock", "-x", str(top), "flock", "-x", str(top.parent), "sh", "-c", "echo && cat"]
    with subprocess.Popen([*become, *locks], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as locker:
        assert locker.stdout is not None
        assert locker.stdout.readline() == b"\n"
        with wheel.using() as again:
            assert again == top
        assert locker.poll() is None
        locker.communicate()


@as_root
@pytest.mark.parametrize("fault", ["foreign", "writable", "link", "file", "closed"])
def test_unusable_place_is_passed_over(wheel: Wheel, public_dir: Path, fault: str) -> None:
    wheel.closed()
    first = wheel.places[0]
    if fault == "foreign":
        first.mkdir()
        os.chown(first, USER_ID, USER_ID)
    elif fault == "writable":
        first.mkdir()
        first.chmod(0o1777)
    elif fault == "link":
        (public_dir / "elsewhere").mkdir()
        first.symlink_to(public_dir / "elsewhere")
    elif fault == "file":
        first.write_bytes(b"")
    else:  # found by trying to execute, as a noexec mount is
        first.parent.chmod(0o700)
    with wheel.using() as top:
        assert top.parent == wheel.places[1]
        assert wheel.copies() == [top]


@as_root
def test_home_takes_the_copy_where_no_place_does(wheel: Wheel) -> None:
    for place in wheel.places:
        place.write_bytes(b"")
    with wheel.closed().using() as top:
        assert top.parent == wheel.home / "programs"


@as_root
def test_programs_that_can_be_copied_nowhere_are_refused(wheel: Wheel) -> None:
    for place in (*wheel.places, wheel.home / "programs"):
        place.write_bytes(b"")
    with pytest.raises(StartRefused, match=f"neither in {wheel.programs.top} nor") as caught, wheel.closed().using():
        pass
    assert caught.value.exit_code == 3


# ---------------------------------------------------------------------------------------------------------------------
# Accounts


ONE_UID = ("unshare", "--user", "--map-root-user")


def without(capability: str) -> tuple[str, ...]:
    """Return words that run a command as a root without this capability, as in a container."""
    return ("setpriv", f"--bounding-set=-{capability}", f"--inh-caps=-{capability}", "--")


@as_root
@pytest.mark.parametrize(
    ("around", "says"),
    [
        pytest.param(
            ONE_UID,
            "root cannot run them as another account",
            marks=pytest.mark.needs("user namespaces"),
            id="one uid mapped",
        ),
        pytest.param(without("setuid"), "root cannot run them as another account", id="no CAP_SETUID"),
        pytest.param(without("kill"), "root may not end its processes", id="no CAP_KILL"),
        pytest.param(without("chown"), "cannot be made to belong to daemon", id="no CAP_CHOWN"),
    ],
)
async def test_start_is_refused_where_no_account_can_run_the_servers(
    tmp_path: Path, nodes: Callable[..., Node], around: tuple[str, ...], says: str
) -> None:
    code, words = await nodes(tmp_path / "home", around=around).end()
    assert code == 3, words
    assert len(words.strip().splitlines()) == 1
    assert says in words
    assert "run as an ordinary user" in words


@as_root
@pytest.mark.needs("ordinary user who reads the checkout")
async def test_without_root(public_dir: Path, nodes: Callable[..., Node]) -> None:
    path = public_dir / "home"
    os.chown(public_dir, USER_ID, USER_ID)
    node = nodes(path, around=as_an_ordinary_user())
    await node.until("up")
    home = found(path)
    assert {server.uids().real for server in node.servers()} == {USER_ID}
    write(home, "a")
    await node.stop()
    node = nodes(path, around=as_an_ordinary_user())
    await node.until("up")
    assert read(home) == (["a"], 1)
    node.kill()
    await until_gone(path)
    # now as root: the data keeps its owner, and the servers run as that user
    async with serving(path) as home:
        assert home.account is not None
        assert home.account.uid == USER_ID
        assert read(home) == (["a"], 1)


@as_root
@pytest.mark.needs("ordinary user who reads the checkout")
async def test_a_uid_that_has_no_name_gets_servers(public_dir: Path, nodes: Callable[..., Node]) -> None:
    with pytest.raises(KeyError):
        pwd.getpwuid(NAMELESS_ID)
    os.chown(public_dir, NAMELESS_ID, NAMELESS_ID)
    node = nodes(public_dir / "home", around=as_an_ordinary_user(NAMELESS_ID))
    await node.until("up")
    assert {server.uids().real for server in node.servers()} == {NAMELESS_ID}
    await node.stop()


def as_an_ordinary_user(uid: int = USER_ID) -> tuple[str, ...]:
    """Return setpriv words for an ordinary user, with the right to read a checkout below a private directory."""
    plain = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--inh-caps=-all", "--")
    if (
        subprocess.run(
            [*plain, sys.executable, "-c", "import tests, trio"],
            cwd="/",
            check=False,
            capture_output=True,
            env={"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"},
        ).returncode
        == 0
    ):
        return plain
    capability = "+dac_read_search"
    return (*plain[:-2], f"--inh-caps={capability}", f"--ambient-caps={capability}", "--")


# ---------------------------------------------------------------------------------------------------------------------
# Refused starts and crashes


async def test_a_second_node_on_one_home_is_refused(used: Path, nodes: Callable[..., Node]) -> None:
    first = nodes(used)
    await first.until("up")
    code, words = await nodes(used).end()
    assert code == 2
    assert words.strip().splitlines() == [
        f"DEEPOJ_HOME {used} is in use by process {first.pid}; stop it or set DEEPOJ_HOME to another place"
    ]
    write(found(used), "a")
    await first.stop()


async def test_a_home_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StartRefused, match="DEEPOJ_HOME") as caught, hold_home(tmp_path / "file" / "home"):
        pass
    assert caught.value.exit_code == 2


@as_root
@pytest.mark.needs("ordinary user who reads the checkout")
async def test_a_home_that_this_user_cannot_write_is_refused(public_dir: Path, nodes: Callable[..., Node]) -> None:
    code, words = await nodes(public_dir / "home", around=as_an_ordinary_user()).end()
    assert code == 2
    assert "Permission denied" in words
    assert len(words.strip().splitlines()) == 1
    assert names_in(public_dir) == []


async def test_errors_inside_are_not_taken_for_refusals(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), hold_home(tmp_path / "home"):
        raise FileNotFoundError("of something else")


@pytest.mark.parametrize("find", [find_install, find_program])
def test_missing_programs_are_refused(find: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StartRefused, match="install the package") as caught:
        find()
    assert caught.value.exit_code == 3


async def test_a_cluster_that_is_broken_is_refused_with_its_last_words(used: Path) -> None:
    (used / "postgres" / "PG_VERSION").write_text("3\n")
    with (
        hold_home(used) as home,
        pytest.raises(StartRefused, match=r"PostgreSQL does not start: .*not compatible") as caught,
    ):
        with trio.fail_after(SOON_S):
            await run_postgres(home)
    assert caught.value.exit_code == 3
    assert servers_of(used) == []


@pytest.mark.parametrize("victim", ["postgres", "valkey"])
async def test_a_server_that_falls_is_told_and_can_be_started_again(used: Path, victim: str) -> None:
    run = run_postgres if victim == "postgres" else run_valkey
    falls: list[str] = []
    with hold_home(used) as home, trio.fail_after(SOON_S):
        async with trio.open_nursery() as nursery:

            async def supervise(task_status: trio.TaskStatus[None]) -> None:
                for status in (task_status, trio.TASK_STATUS_IGNORED):
                    try:
                        await run(home, task_status=status, progress=said.append)
                    except ServerFell as fall:
                        falls.append(str(fall))

            said: list[str] = []
            await nursery.start(supervise)
            kill_server(home, victim)
            while len([word for word in said if "is ready" in word]) < 2:
                await trio.sleep(0.02)
            nursery.cancel_scope.cancel()
    assert len(falls) == 1
    assert "ended by itself with status -9" in falls[0]
    assert servers_of(used) == []


def kill_server(home: EmbeddedHome, victim: str) -> None:
    """Kill the server process that is our child: the postmaster, or Valkey."""
    mine = {child.pid for child in psutil.Process().children()}
    (pid,) = mine & set(orphans_of(home.home / victim))
    os.kill(pid, signal.SIGKILL)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "embedded.json").write_text("{}")
    with pytest.raises(StartRefused, match="cannot be read") as caught:
        EmbeddedHome.find(tmp_path)
    assert caught.value.exit_code == 2


def test_passwords_do_not_show(tmp_path: Path) -> None:
    with hold_home(tmp_path / "home") as home:
        assert home.postgres_password not in repr(home)
        assert home.valkey_password not in repr(home)
