"""``deepoj doctor``: what this host can do now, and what it lacks, and what of the running system needs a person; exit
code 1 if a chosen role cannot work, or something delays the judging."""

from __future__ import annotations

import os
import platform
import stat
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from pathlib import Path

import deepoj
from deepoj.adapters.embedded import EmbeddedHome
from deepoj.adapters.toolchain import tool_version, version
from deepoj.config.checks import require_startable
from deepoj.config.draft import ConfigError
from deepoj.config.model import Config
from deepoj.config.roles import Role
from deepoj.execution.canary import judge_canaries
from deepoj.execution.toolchain_cache import archive_path
from deepoj.judging import testlib
from deepoj.judging.languages import LANGUAGES, Language, Toolchain
from deepoj.operate.findings import Finding, State, as_root, install
from deepoj.operate.running import RunningLook, look_at_running, of_metrics
from deepoj.packages.statements import pandoc
from deepoj.wiring.adapters import JUDGES
from deepoj.wiring.settings import CALLBACKS_WAIT, calls_nobody_back, judging, rates, toolchain, toolchain_dir
from deepoj.words.errors import Breakage, StartRefused
from deepoj.words.sandbox import Isolation

#: of a directory that programs see, looked at
MOUNTED_FILES = 100_000
#: settings that an embedded node does not need
ADDRESSES = ("api.database_url", "api.redis_url", "api.minio.endpoint")

#: in a container: a file that its engine puts there
ENGINES = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}


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


def reachable_sockets(cfg: Config) -> Iterator[Finding]:
    """Programs may connect to a socket with a path: a network namespace does not keep them from it."""
    from deepoj.adapters.sandbox.box import BUILT_IN  # noqa: PLC0415 - only here: it loads the extension

    for place in cfg.path.mount_dirs:
        if place not in BUILT_IN:
            entries = islice(_files_below(place), MOUNTED_FILES)
            if found := next((path for path in entries if stat.S_ISSOCK(_mode(path))), ""):
                yield Finding(
                    "mounts", "note", f"programs may connect to the socket {found}: path.mount_dirs has {place}"
                )


def _files_below(place: str) -> Iterator[str]:
    return (str(Path(top, name)) for top, _, names in os.walk(place) for name in names)


def _mode(path: str) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _user_namespaces() -> Finding:
    if not Path("/proc/self/ns/user").exists():
        return Finding("user namespaces", "note", "not offered by this kernel")
    if _read("/proc/sys/user/max_user_namespaces") == "0":
        mend = as_root("sysctl -w user.max_user_namespaces=15000")
        return Finding("user namespaces", "note", "none are allowed (user.max_user_namespaces=0)", mend)
    barred = [
        f"kernel.{name}={1 - shut}"
        for name, shut in (("unprivileged_userns_clone", 0), ("apparmor_restrict_unprivileged_userns", 1))
        if _read(f"/proc/sys/kernel/{name}") == str(shut)
    ]
    if barred and os.geteuid() != 0:
        settings_that_bar = ", ".join(setting.partition("=")[0] for setting in barred)
        mend = as_root(f"sysctl -w {' '.join(barred)}")
        return Finding("user namespaces", "note", f"shut for ordinary users by {settings_that_bar}", mend)
    return Finding("user namespaces", "ok", f"at most {_read('/proc/sys/user/max_user_namespaces')}")


def _cgroup_controllers() -> Finding:
    controllers = _read("/sys/fs/cgroup/cgroup.controllers")
    if controllers:
        return Finding("cgroup v2", "ok", f"controllers: {controllers}")
    if Path("/sys/fs/cgroup/cgroup.procs").exists():
        return Finding("cgroup v2", "note", "mounted without controllers")
    place = Path("/sys/fs/cgroup")
    is_free = "cgroup2" in _read("/proc/filesystems").split() and place.is_dir() and not any(place.iterdir())
    return Finding(
        "cgroup v2", "note", f"not mounted at {place}: limits by rlimits and sampling",
        as_root(f"mount -t cgroup2 none {place}") if is_free else "",
    )  # fmt: skip


def _cgroup_delegation() -> Finding:
    own = next((line[3:] for line in _read("/proc/self/cgroup").splitlines() if line.startswith("0::")), None)
    if own is None or not _read("/sys/fs/cgroup/cgroup.controllers"):
        return Finding("cgroup delegation", "note", "none without cgroup v2")
    place = Path("/sys/fs/cgroup") / own.lstrip("/")
    if os.access(place / "cgroup.procs", os.W_OK) and os.access(place, os.W_OK):
        return Finding("cgroup delegation", "ok", f"{place} is ours, with: {_read(place / 'cgroup.controllers')}")
    mend = _start_container(Isolation.FULL)
    if not mend and Path("/run/systemd/system").is_dir():
        whose = "" if os.geteuid() == 0 else "--user "
        mend = f"systemd-run {whose}--scope --property=Delegate=yes deepoj node"
    return Finding("cgroup delegation", "note", f"{place} is not ours to write", mend)


def _start_container(level: Isolation) -> str:
    """The command that starts a container in which ``level`` holds; empty outside of the containers that we know."""
    from deepoj.adapters.sandbox.preflight import CONTAINER_OPTIONS  # noqa: PLC0415 - it loads the extension

    engine = next((engine for mark, engine in ENGINES.items() if Path(mark).exists()), "")
    return f"{engine} run {CONTAINER_OPTIONS[level]} IMAGE" if engine else ""


def _mend_isolation(least: Isolation) -> str:
    """The command that gets a run to the level ``least``; empty if none is known."""
    if least is Isolation.WEAK:
        return ""
    if command := _start_container(least):
        return command
    findings = [_user_namespaces()]
    if least is Isolation.FULL:
        findings += [_cgroup_controllers(), _cgroup_delegation()]
    return next((finding.mend for finding in findings if finding.mend), "")


# ---------------------------------------------------------------------------------------------------------------------
# Tools of the languages


def tool_findings(cfg: Config, besides: Collection[str]) -> Iterator[Finding]:
    """Each language with its version, without those that have a finding already. The C++ compiler is needed to judge;
    other languages may be missing."""
    tools = toolchain(cfg)
    for language in LANGUAGES.values():
        if language.key in besides:
            continue
        found = version(language, tools)
        if found:
            yield Finding(language.key, "ok", f"{found}{_archive_state(cfg, language)}")
            continue
        tool = language.tool(tools)
        is_there = os.access(tool, os.X_OK)
        problem = f"{tool} {'does not work or does not know it' if is_there else 'is missing'}"
        mend = f"{install()} {'--reinstall ' if is_there else ''}{language.package}"
        if tool == cfg.path.compiler_bin and _is_set(cfg, "path.compiler_bin"):
            problem, mend = f"{problem} (path.compiler_bin)", f"export DEEPOJ_PATH_COMPILER_BIN={Toolchain().gxx}"
        if language.id == 1 and cfg.roles & JUDGES:
            yield Finding(language.key, "lacks", problem, mend)
        else:
            yield Finding(language.key, "note", f"cannot be judged: {problem}", mend)
    yield from (_linker(tools), _testlib(), _pandoc())


def _archive_state(cfg: Config, language: Language) -> str:
    """Return whether the language's toolchain archive is built, after a semicolon; empty if it needs none."""
    if language.archive is None:
        return ""
    path = archive_path(toolchain_dir(cfg), language, language.archive, judging(cfg))
    if path.is_file():
        return "; its toolchain archive is built"
    if cfg.compile.archives_at_start:
        return "; its toolchain archive is not built yet: a node builds it after its start"
    when = "for the first submission in it" if language.archive.is_required else "only after a start"
    return f"; its toolchain archive is not built: a node builds it {when} (compile.archives_at_start)"


def _linker(tools: Toolchain) -> Finding:
    if found := tool_version((tools.mold, "--version")):
        return Finding("linker", "ok", found)
    return Finding("linker", "note", "GNU ld, which is slower than mold for small programs", f"{install()} mold")


def _testlib() -> Finding:
    found = testlib.version()
    if found is not None:
        return Finding(testlib.NAME, "ok", found)
    fetch = Path(deepoj.__file__).parents[1] / "deploy" / "testlib_header.py"
    return Finding(testlib.NAME, "note", testlib.MISSING, f"{sys.executable} {fetch}" if fetch.exists() else "")


def _web_assets() -> Finding:
    from deepoj.web.assets import Assets  # noqa: PLC0415 - only for this role: it loads quart

    what, assets = "web assets", Assets.load()
    if not assets.missing:
        return Finding(what, "ok", f"{len(assets.files)} files")
    make = Path(deepoj.__file__).parents[1] / "deploy" / "web_assets.py"
    return Finding(what, "note", assets.missing, f"{sys.executable} {make}" if make.exists() else "")


def _pandoc() -> Finding:
    if pandoc.is_installed():
        return Finding("pandoc", "ok", str(pandoc.PANDOC))
    return Finding("pandoc", "note", pandoc.MISSING, f"{install()} pandoc")


# ---------------------------------------------------------------------------------------------------------------------
# The sandbox and the servers, tried


def _callbacks(cfg: Config) -> Iterator[Finding]:
    # an embedded home makes a secret for itself
    if not cfg.embedded and calls_nobody_back(cfg, cfg.api.webhooks.secret):
        yield Finding("webhooks", "note", CALLBACKS_WAIT, _export_secret("WEBHOOKS_SECRET"))


def _startable(cfg: Config) -> Iterator[Finding]:
    try:
        require_startable(cfg)
    except ConfigError as error:
        mend = "" if cfg.api.auth.jwt_secret else _export_secret("JWT_SECRET")
        yield Finding("settings", "lacks", str(error), mend)


def _export_secret(name: str) -> str:
    return f'export {name}="$(openssl rand -hex 32)"'


async def live_findings(cfg: Config) -> tuple[Isolation | None, list[Finding]]:
    """Ask the servers and the node of this host, open the sandbox, and judge the canaries in it unless that node does.
    Also returns the level of isolation."""
    is_embedded = cfg.embedded or not any(_is_set(cfg, name) for name in ADDRESSES)
    findings = [*_embedded()] if is_embedded else [*_startable(cfg), *_callbacks(cfg)]
    if Role.API in cfg.roles and cfg.api.web.enabled:
        findings.append(_web_assets())
    home = EmbeddedHome.find(cfg.home) if is_embedded else None
    running = RunningLook([]) if is_embedded and home is None else await look_at_running(cfg, home)
    if Role.API in cfg.roles:
        findings += await of_metrics(cfg)
    level, of_sandbox = await _sandbox(cfg)
    if running.judges:
        of_sandbox.append(Finding("canaries", "ok", "left to the node that runs here"))
    elif of_sandbox[0].state == "ok":
        of_sandbox.append(await _canaries(cfg))
    return level, [*running.findings, *of_sandbox, *findings]


def _is_set(cfg: Config, name: str) -> bool:
    return not cfg.sources[name].startswith("default")


async def _sandbox(cfg: Config) -> tuple[Isolation | None, list[Finding]]:
    """The level of isolation that this host reaches, whether it is enough, and the languages that cannot work in it."""
    from deepoj.adapters.sandbox.box import preflight  # noqa: PLC0415 - only here: it loads the extension

    lacks: State = "lacks" if cfg.roles & JUDGES else "note"
    least = cfg.sandbox_min_isolation
    try:
        found = await preflight(
            slots=cfg.worker.pool_size,
            run_uid=cfg.security.run_as_uid,
            run_gid=cfg.security.run_as_gid,
            mounts=cfg.path.mount_dirs,
        )
    except (StartRefused, Breakage) as error:
        return None, [Finding("isolation", lacks, str(error))]
    level, why = found.isolation, "; ".join(found.reasons)
    if level is None:
        return level, [
            Finding("isolation", lacks, f"no level holds here: {why}", _mend_isolation(Isolation.NAMESPACES))
        ]
    if level < least:
        detail = f"{level}, where SANDBOX_MIN_ISOLATION={least} is asked for: {why}"
        return level, [Finding("isolation", lacks, detail, _mend_isolation(least))]
    mend = _mend_isolation(Isolation.NAMESPACES) if level is Isolation.WEAK or not found.has_proc else ""
    unusable = [] if found.has_proc else [language.key for language in LANGUAGES.values() if language.needs_proc]
    return level, [
        Finding("isolation", "ok", f"{level}: {why}" if why else str(level), mend),
        *(Finding(key, "note", "cannot be judged: it needs /proc, and programs see none here") for key in unusable),
    ]


async def _canaries(cfg: Config) -> Finding:
    """Run the canaries once in a separate sandbox. They are compiled again: a node's cache must not be touched."""
    from deepoj.adapters.sandbox.box import LinuxBox  # noqa: PLC0415

    lacks: State = "lacks" if cfg.roles & JUDGES else "note"
    try:
        async with LinuxBox.open(
            1,
            run_uid=cfg.security.run_as_uid,
            run_gid=cfg.security.run_as_gid,
            min_isolation=cfg.sandbox_min_isolation,
            mounts=cfg.path.mount_dirs,
            rates=rates(cfg),
        ) as box:
            with tempfile.TemporaryDirectory(prefix="deepoj-canaries-") as cache_dir:
                found = await judge_canaries(box, cache_dir=Path(cache_dir), settings=judging(cfg))
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
            # a checkout's packages come from its locks
            is_checkout = (Path(deepoj.__file__).parents[1] / "Makefile").exists()
            yield Finding(what, "lacks", str(error), "make build" if is_checkout else "")
