"""``deepoj doctor``: what this host can do now, and what it lacks; exit code 1 if a chosen role cannot work."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import click
import trio

from deepoj.adapters.toolchain import version
from deepoj.cli import errors
from deepoj.cli.common import print_json, settings
from deepoj.config import Config, Role
from deepoj.judging.languages import LANGUAGES
from deepoj.pipeline.canary import judge_canaries
from deepoj.wiring.settings import CALLBACKS_WAIT, calls_nobody_back, judging, toolchain
from deepoj.words import Breakage, StartRefused

JUDGES = frozenset({Role.CONSUMER, Role.RECLAIM})
REACH_S = 10.0
#: what an embedded node does not need to be told
ADDRESSES = ("api.database_url", "api.redis_url", "api.minio.endpoint")

#: ``lacks``: a chosen role cannot work like this; ``note``: worth knowing, nothing depends on it
type State = Literal["ok", "note", "lacks"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: State
    detail: str


@click.command()
@click.option("--roles", metavar="LIST", help="The roles that must work here (default: those of the settings).")
@click.option("--embedded", is_flag=True, help="As a node that brings its own servers, as `deepoj up` does.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line: {ok, roles, findings[]}.")
def doctor(roles: str | None, embedded: bool, as_json: bool) -> int:
    """Say what this host can do, and what it lacks; exit code 1 if a chosen role cannot work."""
    cfg = settings({"roles": roles, "embedded": embedded or None})
    findings = [*host_findings(), *tool_findings(cfg), *trio.run(live_findings, cfg)]
    well = not any(finding.state == "lacks" for finding in findings)
    if as_json:
        print_json({"ok": well, "roles": sorted(cfg.roles), "findings": [asdict(finding) for finding in findings]})
    else:
        _table(findings)
        if not well:
            errors.say(
                f"a node with the roles {', '.join(sorted(cfg.roles))} cannot work here: see above what it lacks."
            )
    return errors.GOOD if well else errors.CHECK_FAILED


# ---------------------------------------------------------------------------------------------------------------------
# The host, read from /proc and /sys


def host_findings() -> Iterator[Finding]:
    """Python, kernel, and what containment the kernel offers."""
    yield Finding("Python", "ok", f"{platform.python_version()} at {sys.executable}")
    yield Finding("kernel", "ok", f"{platform.system()} {platform.release()} {platform.machine()}")
    yield _user_namespaces()
    yield _cgroup_controllers()
    yield _cgroup_delegation()
    actions = _read("/proc/sys/kernel/seccomp/actions_avail")
    yield Finding("seccomp", "ok" if actions else "note", f"actions: {actions}" if actions else "not offered")
    modules = _read("/sys/kernel/security/lsm")
    landlock = "landlock" in modules.split(",")
    unknown = f"not among the active modules: {modules}" if modules else "unknown: securityfs is not mounted here"
    yield Finding("Landlock", "ok" if landlock else "note", "active" if landlock else unknown)


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _user_namespaces() -> Finding:
    if not Path("/proc/self/ns/user").exists() or _read("/proc/sys/user/max_user_namespaces") == "0":
        return Finding("user namespaces", "note", "not offered by this kernel")
    barred = [
        name
        for name, shut in (("unprivileged_userns_clone", "0"), ("apparmor_restrict_unprivileged_userns", "1"))
        if _read(f"/proc/sys/kernel/{name}") == shut
    ]
    if barred and os.geteuid() != 0:
        return Finding("user namespaces", "note", f"shut for ordinary users by kernel.{barred[0]}")
    return Finding("user namespaces", "ok", f"at most {_read('/proc/sys/user/max_user_namespaces')}")


def _cgroup_controllers() -> Finding:
    controllers = _read("/sys/fs/cgroup/cgroup.controllers")
    if controllers:
        return Finding("cgroup v2", "ok", f"controllers: {controllers}")
    if Path("/sys/fs/cgroup/cgroup.procs").exists():
        return Finding("cgroup v2", "note", "mounted without controllers")
    return Finding("cgroup v2", "note", "not mounted at /sys/fs/cgroup: limits by rlimits and sampling")


def _cgroup_delegation() -> Finding:
    own = next((line[3:] for line in _read("/proc/self/cgroup").splitlines() if line.startswith("0::")), None)
    if own is None or not _read("/sys/fs/cgroup/cgroup.controllers"):
        return Finding("cgroup delegation", "note", "none without cgroup v2")
    place = Path("/sys/fs/cgroup") / own.lstrip("/")
    if os.access(place / "cgroup.procs", os.W_OK) and os.access(place, os.W_OK):
        return Finding("cgroup delegation", "ok", f"{place} is ours, with: {_read(place / 'cgroup.controllers')}")
    return Finding("cgroup delegation", "note", f"{place} is not ours to write")


# ---------------------------------------------------------------------------------------------------------------------
# Tools of the languages


def tool_findings(cfg: Config) -> Iterator[Finding]:
    """Each language with its version. The C++ compiler is needed to judge; other languages may be missing."""
    compiler = cfg.path.compiler_bin
    tools = toolchain(cfg)
    for language in LANGUAGES.values():
        said = version(language, tools)
        needed = language.id == 1 and cfg.roles & JUDGES
        if said:
            yield Finding(language.key, "ok", said)
        elif needed:
            yield Finding(language.key, "lacks", f"{compiler} does not work: install g++ or set path.compiler_bin")
        else:
            tool = language.version_argv(tools)[0]
            yield Finding(language.key, "note", f"cannot be judged: {tool} is missing or does not know it")


# ---------------------------------------------------------------------------------------------------------------------
# The sandbox and the servers, tried


def _callbacks(cfg: Config) -> Iterator[Finding]:
    # an embedded home makes a secret for itself
    if not cfg.embedded and calls_nobody_back(cfg, cfg.api.webhooks.secret):
        yield Finding("webhooks", "note", CALLBACKS_WAIT)


async def live_findings(cfg: Config) -> list[Finding]:
    """Opens the sandbox, judges the canaries in it, and knocks at the servers."""
    findings = [await _sandbox(cfg)]
    if findings[0].state == "ok":
        findings.append(await _canaries(cfg))
    if cfg.embedded or not any(_told(cfg, name) for name in ADDRESSES):
        return [*findings, *_embedded()]
    findings += _callbacks(cfg)
    async with AsyncExitStack() as stack:
        for what, needed, ping in await _servers(cfg, stack):
            state, detail = await _try(ping)
            findings.append(Finding(what, state if needed or state == "ok" else "note", detail))
    return findings


def _told(cfg: Config, name: str) -> bool:
    return not cfg.sources[name].startswith("default")


async def _sandbox(cfg: Config) -> Finding:
    from deepoj.adapters.linux_box import preflight  # noqa: PLC0415 - only here: it loads the extension

    lacks: State = "lacks" if cfg.roles & JUDGES else "note"
    least = cfg.sandbox_min_isolation
    try:
        found = await preflight(
            run_uid=cfg.security.run_as_uid, run_gid=cfg.security.run_as_gid, mounts=cfg.path.mount_dirs
        )
    except (StartRefused, Breakage) as error:
        return Finding("isolation", lacks, str(error))
    why = "; ".join(found.reasons)
    if found.isolation is None:
        return Finding("isolation", lacks, f"none that could be stood for: {why}")
    if found.isolation.strength < least.strength:
        return Finding(
            "isolation", lacks, f"{found.isolation}, where SANDBOX_MIN_ISOLATION={least} is asked for: {why}"
        )
    return Finding("isolation", "ok", f"{found.isolation}: {why}" if why else str(found.isolation))


async def _canaries(cfg: Config) -> Finding:
    """A round in a sandbox of our own. It compiles anew: a node's programs, and its directories, are the node's."""
    from deepoj.adapters.linux_box import LinuxBox  # noqa: PLC0415

    lacks: State = "lacks" if cfg.roles & JUDGES else "note"
    try:
        async with LinuxBox.open(
            1,
            run_uid=cfg.security.run_as_uid,
            run_gid=cfg.security.run_as_gid,
            min_isolation=cfg.sandbox_min_isolation,
            mounts=cfg.path.mount_dirs,
        ) as box:
            with tempfile.TemporaryDirectory(prefix="deepoj-canaries-") as shelf:
                found = await judge_canaries(box, shelf=Path(shelf), settings=judging(cfg))
    except (StartRefused, Breakage) as error:
        return Finding("canaries", lacks, str(error))
    said = [f"{found.as_expected} of {found.of} as expected", *map(str, found.differing)]
    if found.unjudged:
        said.append(f"the rest was not judged: {found.unjudged}")
    if found.without:
        said.append(f"those in {', '.join(found.without)} were left out")
    return Finding("canaries", "ok" if found.clean else lacks, "; ".join(said))


def _embedded() -> Iterator[Finding]:
    from deepoj.adapters.embedded.postgres import find_install  # noqa: PLC0415
    from deepoj.adapters.embedded.valkey import find_program  # noqa: PLC0415

    looks: tuple[tuple[str, Callable[[], Path]], ...] = (
        ("embedded PostgreSQL", find_install),
        ("embedded Valkey", find_program),
    )
    for what, find in looks:
        try:
            yield Finding(what, "ok", str(find()))
        except StartRefused as error:
            yield Finding(what, "lacks", str(error))


type Ping = Callable[[], Awaitable[None]]


async def _servers(cfg: Config, stack: AsyncExitStack) -> list[tuple[str, bool, Ping]]:
    """Name, whether a chosen role needs it, and how to knock. The adapters do the knocking: their errors are clear."""
    from deepoj.adapters.aio_bridge import AioBridge  # noqa: PLC0415
    from deepoj.adapters.blobs_s3 import S3Blobs  # noqa: PLC0415
    from deepoj.adapters.pg.store import PgStore  # noqa: PLC0415
    from deepoj.adapters.redis_stream import RedisStream  # noqa: PLC0415

    bridge = await stack.enter_async_context(AioBridge.open())
    store = await stack.enter_async_context(PgStore.open(bridge, cfg.database_url, min_conns=0, max_conns=1))
    stream = await stack.enter_async_context(
        RedisStream.open(bridge, cfg.redis_url, stream_key=cfg.stream_key, group=cfg.stream_group, consumer="doctor")
    )
    told = cfg.minio
    objects = S3Blobs(
        told.endpoint, access_key=told.access_key, secret_key=told.secret_key, bucket=told.bucket, secure=told.secure
    )
    objects_needed = bool(cfg.roles & (JUDGES | {Role.API}))
    return [
        ("PostgreSQL", True, store.ping),
        ("Redis", True, stream.ping),
        ("object store", objects_needed, objects.ping),
    ]


async def _try(ping: Ping) -> tuple[State, str]:
    try:
        with trio.fail_after(REACH_S):
            await ping()
    except (StartRefused, Breakage) as error:
        return "lacks", str(error)
    except trio.TooSlowError:
        return "lacks", f"no answer within {REACH_S:g} s"
    return "ok", "answers"


def _table(findings: Sequence[Finding]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, show_header=False)
    colours = {"ok": "green", "note": "yellow", "lacks": "bold red"}
    for finding in findings:
        table.add_row(Text(finding.state, colours[finding.state]), Text(finding.what), Text(finding.detail))
    Console(highlight=False, width=None if sys.stdout.isatty() else 400).print(table)
