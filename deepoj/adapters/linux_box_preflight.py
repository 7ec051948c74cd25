"""What containment this host offers, found by trying: a launcher is started, and a trivial program runs under it.

When a step of the set-up fails, the next attempt does without what that step is for (:data:`_WITHOUT`), then without
cgroups, then without namespaces. So a level is reached in several forms. What a form lacks is a sentence of
``Preflight.reasons``. Nothing is concluded from a uid, a version or a file of the host.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, replace

from deepoj.adapters import linux_box_launcher as launching
from deepoj.adapters import linux_box_talk as talk
from deepoj.adapters.linux_box_files import RunFiles
from deepoj.adapters.linux_box_joined import run_joined
from deepoj.adapters.linux_box_launcher import Hello, Launcher, Part, Setting
from deepoj.words import Isolation, Policy, RunLimits, RunSpec, RunVerdict, SandboxError

_TRIAL = RunSpec(
    argv=("/bin/true",), limits=RunLimits(cpu_ms=10_000, wall_ms=30_000, memory_bytes=256 << 20, output_bytes=4096)
)

#: By the step that fails, what the next attempt does without. A slot without /proc or without a process quota was only
#: ever tried without cgroups.
_WITHOUT: dict[str, frozenset[Part]] = {
    "hostname": frozenset({Part.HOSTNAME}),
    "uts_namespace": frozenset({Part.HOSTNAME}),
    "ipc_namespace": frozenset({Part.IPC_NAMESPACE}),
    "cgroup_namespace": frozenset({Part.CGROUP_NAMESPACE}),
    "rootfs pivot": frozenset({Part.PIVOT}),
    "scratch": frozenset({Part.ROOT}),  # with EINVAL alone: no user namespace maps the payload's uid
    "user": frozenset({Part.ROOT}),
    "proc": frozenset({Part.CGROUP, Part.PROC}),
    "process_quota": frozenset({Part.CGROUP, Part.PROCESS_QUOTA}),
    "rates": frozenset({Part.RATES}),
}

#: what a form of `namespaces` or `full` lacks
_LACKS: dict[Part, str] = {
    Part.PROC: "programs see no /proc, since none can be mounted here",
    Part.HOSTNAME: "programs see the host's name, since a box cannot have one of its own here",
    Part.IPC_NAMESPACE: "System V ipc is refused by seccomp alone, since there is no ipc namespace",
    Part.CGROUP_NAMESPACE: "programs see the name of the host's cgroup, since there is no cgroup namespace",
    Part.RATES: "runner.cgroup_cpu_max_cores and runner.cgroup_io_*_bps limit nothing, since the node's cgroup has no"
    " cpu or io controller, or a disk takes no limit",
    Part.PIVOT: "the host's root is covered by the box's instead of removed, since it cannot be pivoted",
}

#: options of a container's engine with which a level holds
CONTAINER_OPTIONS: dict[Isolation, str] = {
    Isolation.FULL: "--privileged --cgroupns=private",
    Isolation.NAMESPACES: "--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt"
    " systempaths=unconfined",
}

#: by the step that fails, what to do
_HINTS: dict[str, str] = {
    "user_namespace": f"in a container, run it with {CONTAINER_OPTIONS[Isolation.NAMESPACES]}; elsewhere, start the"
    " node as root or allow user namespaces: sysctl kernel.unprivileged_userns_clone=1,"
    " kernel.apparmor_restrict_unprivileged_userns=0",
    "proc": "a fresh /proc cannot be mounted: in a container, run it with --security-opt systempaths=unconfined",
    "host_proc": "no figures of a run can be read: mount -t proc proc /proc",
    "process_bound": "nothing limits the processes of programs that run as the host's root: run the node as an ordinary"
    " user, in a container with --user",
    "landlock_version": "weak isolation needs Landlock with scopes: Linux 6.12, with landlock among its security"
    " modules",
    "hold_output": "a launcher must be allowed epoll_create1, and to read /proc/self/fdinfo",
    "home": "weak isolation needs /tmp, /var/tmp or /dev/shm writable and not mounted noexec",
}


@dataclass(frozen=True, slots=True)
class Preflight:
    """The level that a trivial program ran at, and why it is no stronger. ``isolation`` None: no level holds."""

    isolation: Isolation | None
    #: for people, a sentence each
    reasons: tuple[str, ...]
    #: a cgroup counts the CPU time of all children, even of those that no process waits for
    cpu_counted: bool = True


async def settle(setting: Setting, at_most: Isolation = Isolation.FULL) -> tuple[Launcher | None, Preflight]:
    """The strongest launcher under which a trivial program runs, at most at this level; and why it is no stronger.

    The caller closes the launcher. Raises what :func:`linux_box_launcher.start` raises.
    """
    refusals: list[str] = []
    attempt: Setting | None = _at_most(setting, at_most)
    while attempt is not None:
        launcher = await launching.start(attempt)
        try:
            fault = launcher.hello.fault or await _trial(launcher)
        except BaseException:
            await launcher.close()
            raise
        if fault is None:
            lacks = [*refusals, *reasons(attempt, launcher.hello), *await _lacks_of_joined(launcher)]
            return launcher, Preflight(launcher.hello.isolation, tuple(lacks), launcher.hello.cpu_counted)
        await launcher.close()
        grouped = launcher.hello.fault is None and launcher.hello.isolation is Isolation.FULL
        weaker = next_attempt(attempt, fault, grouped=grouped)
        is_level_lost = weaker is None or weaker.weak or Part.CGROUP in weaker.without - attempt.without
        if is_level_lost:
            refusals.append(_explain(fault))
        attempt = weaker
    return None, Preflight(None, tuple(dict.fromkeys(refusals)))


def _at_most(setting: Setting, level: Isolation) -> Setting:
    if level is Isolation.WEAK:
        return _weak(setting)
    if level is Isolation.NAMESPACES:
        return replace(setting, without=setting.without | {Part.CGROUP})
    return setting


def _weak(setting: Setting) -> Setting:
    return replace(setting, weak=True, without=frozenset({Part.CGROUP}))


def next_attempt(setting: Setting, fault: SandboxError, *, grouped: bool) -> Setting | None:
    """The next weaker setting after a fault; None: there is none. Each call gives up something, so the calls end.

    ``grouped``: the launcher was up, and it gives each run a cgroup.
    """
    if setting.weak:
        without_root = replace(setting, without=setting.without | {Part.ROOT})
        return without_root if os.geteuid() == 0 and without_root != setting else None
    gives_up = _WITHOUT.get(fault.step, frozenset()) - setting.without
    if fault.step == "scratch" and fault.errno != errno.EINVAL:
        gives_up = frozenset()
    if grouped:
        gives_up = gives_up or frozenset({Part.CGROUP})
    else:
        gives_up -= {Part.CGROUP}
    return replace(setting, without=setting.without | gives_up) if gives_up else _weak(setting)


def reasons(attempt: Setting, hello: Hello) -> list[str]:
    """What the level of a working launcher lacks, a sentence each, for people."""
    if hello.isolation is Isolation.WEAK:
        lacks = [
            "files, signals and sockets are kept apart by Landlock and seccomp alone",
            "what a run writes is bounded by looking at its directory",
        ]
    else:
        lacks = [hello.cgroups if Part.CGROUP not in attempt.without else "runs have no cgroup v2 here"]
        lacks += [lack for part, lack in _LACKS.items() if part in attempt.without]
    if Part.ROOT in attempt.without:
        lacks.append("programs run as the node's own user, since root may become no other here")
    if hello.isolation is Isolation.FULL:
        return [*lacks, attempt.rates.lack] if attempt.rates.lack else lacks
    if hello.process_quota:
        lacks.append(
            "processes are limited by a uid for each slot"
            if hello.isolation is Isolation.WEAK
            else "processes are limited by a user namespace for each slot"
        )
    else:
        lacks.append("processes are limited by counting, since a slot cannot have a user of its own")
    lacks.append("memory is limited by sampling, since no cgroup v2 limits it")
    lacks.append(
        "CPU time is counted by a cgroup v2 without controllers"
        if hello.cpu_counted
        else "CPU time of children that the kernel reaps is estimated, since no cgroup v2 counts it"
    )
    return lacks


async def _trial(launcher: Launcher) -> SandboxError | None:
    """Runs a trivial program under each policy; what failed, if anything."""
    slot = launcher.free.pop()
    try:
        for policy in Policy:
            trial = replace(_TRIAL, policy=policy)
            with RunFiles(trial) as files:
                outcome = talk.outcome(await talk.ask(slot, 0, trial, files), trial, files, launcher.hello.isolation)
            if outcome.sandbox_error is not None:
                return outcome.sandbox_error
            if outcome.verdict is not RunVerdict.OK:
                return SandboxError(f"/bin/true gave {outcome.verdict} by rule {outcome.rule}", 0)
    finally:
        slot.give_back()
    return None


async def _lacks_of_joined(launcher: Launcher) -> list[str]:
    """What keeps two runs from being joined here, a sentence. No reason for a weaker level: most problems need none."""
    slot = launcher.free.pop()
    try:
        pair = await run_joined(slot, (0, 0), _TRIAL, _TRIAL, lambda _outcome: False)
    finally:
        slot.give_back()
    fault = pair.program.sandbox_error or pair.interactor.sandbox_error
    return [] if fault is None else [f"interactive problems get System Error: {_explain(fault)}"]


def _explain(fault: SandboxError) -> str:
    error = errno.errorcode.get(fault.errno, str(fault.errno))
    hint = f" ({_HINTS[fault.step]})" if fault.step in _HINTS else ""
    return f"setting a run up fails at '{fault.step}' with {error}, {os.strerror(fault.errno)}{hint}"
