"""Finds this host's isolation level by trying: it starts a launcher and runs a trivial program under it.

If a step of the set-up fails, the next attempt leaves out the feature that needs this step (:data:`_WITHOUT`), then
cgroups, then namespaces. So a level is reached in several forms. ``Preflight.reasons`` has a sentence for each missing
feature. Nothing is concluded from a uid, a version or a file of the host.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, replace

from deepoj.adapters.sandbox import launcher as launching
from deepoj.adapters.sandbox import talk
from deepoj.adapters.sandbox.files import RunFiles
from deepoj.adapters.sandbox.joined import run_joined
from deepoj.adapters.sandbox.launcher import Hello, Launcher, Part, Setting
from deepoj.words.sandbox import Isolation, Policy, RunLimits, RunSpec, RunVerdict, SandboxError

_TRIAL = RunSpec(
    argv=("/bin/true",), limits=RunLimits(cpu_ms=10_000, wall_ms=30_000, memory_bytes=256 << 20, output_bytes=4096)
)

#: Failing step → the features that the next attempt leaves out. A slot without /proc or without a process quota has
#: only been tried without cgroups.
_WITHOUT: dict[str, frozenset[Part]] = {
    "hostname": frozenset({Part.HOSTNAME}),
    "uts_namespace": frozenset({Part.HOSTNAME}),
    "ipc_namespace": frozenset({Part.IPC_NAMESPACE}),
    "cgroup_namespace": frozenset({Part.CGROUP_NAMESPACE}),
    "rootfs pivot": frozenset({Part.PIVOT}),
    "scratch": frozenset({Part.ROOT}),  # only with EINVAL: no user namespace maps the payload's uid
    "user": frozenset({Part.ROOT}),
    "uids": frozenset({Part.ROOT}),  # our user namespace, or a read-only host, has no uid for each slot
    "proc": frozenset({Part.CGROUP, Part.PROC}),
    "process_quota": frozenset({Part.CGROUP, Part.PROCESS_QUOTA}),
    "rates": frozenset({Part.RATES}),
}

#: sentences about the missing features of `namespaces` or `full`
_LACKS: dict[Part, str] = {
    Part.PROC: "programs see no /proc, since none can be mounted here",
    Part.HOSTNAME: "programs see the host's name, since a box cannot have one of its own here",
    Part.IPC_NAMESPACE: "System V ipc is refused by seccomp alone, since there is no ipc namespace",
    Part.CGROUP_NAMESPACE: "programs see the name of the host's cgroup, since there is no cgroup namespace",
    Part.RATES: "runner.cgroup_cpu_max_cores and runner.cgroup_io_*_bps limit nothing, since the node's cgroup has no"
    " cpu or io controller, or a disk takes no limit",
    Part.PIVOT: "the host's root is covered by the box's instead of removed, since it cannot be pivoted",
}

#: options of a container engine that give a level
CONTAINER_OPTIONS: dict[Isolation, str] = {
    Isolation.FULL: "--privileged --cgroupns=private",
    Isolation.NAMESPACES: "--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt"
    " systempaths=unconfined",
}

#: failing step → advice
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
    """The level at which a trivial program ran, and why it is not stronger. ``isolation`` None: no level works."""

    isolation: Isolation | None
    #: sentences for people
    reasons: tuple[str, ...]
    #: a cgroup counts the CPU time of all children, even of those that no process waits for
    cpu_counted: bool = True
    #: programs see a /proc
    has_proc: bool = True


async def settle(setting: Setting, at_most: Isolation = Isolation.FULL) -> tuple[Launcher | None, Preflight]:
    """Start the strongest launcher, up to a level, under which a trivial program runs; also return the weaknesses.

    The caller closes the launcher. Raises what :func:`launcher.start` raises.
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
            weaknesses = [*refusals, *reasons(attempt, launcher.hello), *await _lacks_of_joined(launcher)]
            return launcher, Preflight(
                launcher.hello.isolation,
                tuple(weaknesses),
                cpu_counted=launcher.hello.cpu_counted,
                has_proc=Part.PROC not in attempt.without,
            )
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
    """Return the next weaker setting after a fault; None if there is none. Each call gives up a feature, so this ends.

    ``grouped``: the launcher was up, and gives each run a cgroup.
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
    """Return what the level of a working launcher lacks, in sentences for people."""
    if hello.isolation is Isolation.WEAK:
        lacks = [
            "files, signals and sockets are kept apart by Landlock and seccomp alone",
            "what a run writes is bounded by looking at its directory",
        ]
    else:
        lacks = [hello.cgroups if Part.CGROUP not in attempt.without else "runs have no cgroup v2 here"]
        lacks += [lack for part, lack in _LACKS.items() if part in attempt.without]
    if Part.ROOT in attempt.without:
        lacks.append("programs of all slots have one user, since root may not give each slot its own here")
    if hello.pipes > 0:
        lacks.append(
            f"a program may have {hello.pipes} pipes open, since all slots have one user and the kernel counts pipes by"
            " user"
        )
    elif hello.pipes < 0:
        lacks.append(
            "a program can take the pipes of its neighbours, since all of these slots have one user: raise"
            " fs.pipe-user-pages-soft, lower WORKER_POOL_SIZE or run the node as root"
        )
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
    """Run a trivial program under each policy; return the fault, if any."""
    slot = launcher.free.pop()
    try:
        for policy in Policy:
            trial = replace(_TRIAL, policy=policy)
            with RunFiles(trial) as files:
                answer = await talk.ask(slot, 0, trial, files, talk.request(0, trial))
                outcome = talk.outcome(answer, trial, files, launcher.hello.isolation)
            if outcome.sandbox_error is not None:
                return outcome.sandbox_error
            if outcome.verdict is not RunVerdict.OK:
                return SandboxError(f"/bin/true gave {outcome.verdict} by rule {outcome.rule}", 0)
    finally:
        slot.release()
    return None


async def _lacks_of_joined(launcher: Launcher) -> list[str]:
    """Return a sentence if runs cannot be joined here. No reason for a weaker level: few problems need it."""
    slot = launcher.free.pop()
    try:
        pair = await run_joined(slot, (0, 0), _TRIAL, _TRIAL, lambda _outcome: False)
    finally:
        slot.release()
    fault = pair.program.sandbox_error or pair.interactor.sandbox_error
    return [] if fault is None else [f"interactive problems get System Error: {_explain(fault)}"]


def _explain(fault: SandboxError) -> str:
    error = errno.errorcode.get(fault.errno, str(fault.errno))
    hint = f" ({_HINTS[fault.step]})" if fault.step in _HINTS else ""
    return f"the set-up of a run fails at '{fault.step}' with {error}, {os.strerror(fault.errno)}{hint}"
