"""A scripted sandbox with the contract of ``ports.Box``, which runs no program.

Without a script every compilation succeeds (the artifact is the source) and every program adds the integers it
reads, so that the A+B sample is Accepted. ``on`` scripts another outcome for sources with a marker; ``hold`` makes
runs wait until ``release``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import trio

from deepoj.words.errors import BoxBroken
from deepoj.words.sandbox import Isolation, Joined, Policy, RunOutcome, RunSpec, RunVerdict, SandboxError

#: outcome of a run: fixed, computed from the spec and its stdin, or raised
Reply = RunOutcome | BoxBroken | OSError | Callable[[RunSpec, bytes], RunOutcome]


def outcome(
    verdict: RunVerdict = RunVerdict.OK,
    *,
    rule: str = "",
    stdout: bytes = b"",
    stderr: bytes = b"",
    exit_code: int = 0,
    exit_signal: int = 0,
    cpu_ms: int = 1,
    wall_ms: int = 2,
    delay_ms: int = 0,
    memory_kb: int = 1024,
    oom_kill: int = 0,
    isolation: Isolation = Isolation.NAMESPACES,
    files_out: tuple[str, ...] | None = None,
    sandbox_error: SandboxError | None = None,
) -> RunOutcome:
    """Return an outcome with default figures. ``files_out=None``: all files of the spec if the verdict is OK."""
    rules = {RunVerdict.OK: "ok", RunVerdict.TLE: "cpu", RunVerdict.MLE: "memory", RunVerdict.OLE: "output"}
    if verdict is RunVerdict.SE and sandbox_error is None:
        sandbox_error = SandboxError("scripted", 5)
    return RunOutcome(
        verdict=verdict,
        rule=rule or rules.get(verdict, "sandbox" if verdict is RunVerdict.SE else "signal" if exit_signal else "exit"),
        exit_code=exit_code,
        exit_signal=exit_signal,
        cpu_ms=cpu_ms,
        wall_ms=wall_ms,
        delay_ms=delay_ms,
        memory_kb=memory_kb,
        stdout=stdout,
        stdout_len=len(stdout),
        truncated_stdout=False,
        stderr=stderr,
        stderr_len=len(stderr),
        truncated_stderr=False,
        isolation=isolation,
        oom_kill=oom_kill,
        files_out=_EVERYTHING if files_out is None else files_out,
        sandbox_error=sandbox_error,
    )


def joined(
    program: RunOutcome,
    interactor: RunOutcome,
    *,
    interactor_first: bool = False,
    apart_ms: int = 1,
    unread_by_interactor: int = 0,
    unread_by_program: int = 0,
    program_cut: bool = False,
) -> Joined:
    """Return the outcomes of a program and its interactor as one result."""
    return Joined(
        program=program,
        interactor=interactor,
        interactor_first=interactor_first,
        apart_ms=apart_ms,
        unread_by_interactor=unread_by_interactor,
        unread_by_program=unread_by_program,
        program_cut=program_cut,
    )


_EVERYTHING = ("*",)


@dataclass(frozen=True, slots=True)
class _Rule:
    policy: Policy
    marker: bytes
    reply: Reply


class ScriptedBox:
    """``ports.Box``. ``specs`` records the requests, ``running`` counts current runs, ``cancelled`` cancelled ones."""

    def __init__(self, isolation: Isolation = Isolation.NAMESPACES) -> None:
        self._isolation = isolation
        self._rules: list[_Rule] = []
        self._gate: trio.Event | None = None
        self._changed = trio.Condition()
        self.specs: list[RunSpec] = []
        #: outcome of two joined runs; the function may write the files of the interactor
        self.pair: Callable[[RunSpec, RunSpec], Joined] | None = None
        self.pairs: list[tuple[RunSpec, RunSpec]] = []
        self.running = 0
        self.cancelled = 0
        self.has_proc = True

    @property
    def isolation(self) -> Isolation:
        return self._isolation

    def check(self) -> str:
        return ""

    async def restore(self) -> None: ...

    def on(self, policy: Policy, marker: bytes, reply: Reply) -> None:
        """Reply so to runs of sources that contain ``marker``; of several matching rules the latest wins."""
        self._rules.insert(0, _Rule(policy, marker, reply))

    def hold(self) -> None:
        """Make every later run wait for ``release``."""
        self._gate = trio.Event()

    def release(self) -> None:
        if self._gate is not None:
            self._gate.set()
            self._gate = None

    async def wait_running(self, count: int) -> None:
        """Return when at least ``count`` runs are under way at the same time."""
        async with self._changed:
            while self.running < count:
                await self._changed.wait()

    def runs(self, policy: Policy = Policy.RUN) -> list[RunSpec]:
        return [spec for spec in self.specs if spec.policy is policy]

    async def run(self, spec: RunSpec) -> RunOutcome:
        if spec.gate is None:
            return await self._run(spec)
        async with spec.gate:
            return await self._run(spec)

    async def _run(self, spec: RunSpec) -> RunOutcome:
        self.specs.append(spec)
        gate = self._gate
        await self._count(1)
        try:
            await trio.lowlevel.checkpoint()
            if gate is not None:
                await gate.wait()
        except trio.Cancelled:
            self.cancelled += 1
            raise
        finally:
            with trio.CancelScope(shield=True):
                await self._count(-1)
        return self._end(spec)

    async def run_joined(
        self, program: RunSpec, interactor: RunSpec, *, is_settled: Callable[[RunOutcome], bool]
    ) -> Joined:
        """Return what ``pair`` returns for the two specs."""
        self.pairs.append((program, interactor))
        await self._count(1)
        try:
            await trio.lowlevel.checkpoint()
        finally:
            with trio.CancelScope(shield=True):
                await self._count(-1)
        assert self.pair is not None, "no pair is scripted"
        return self.pair(program, interactor)

    async def _count(self, change: int) -> None:
        async with self._changed:
            self.running += change
            self._changed.notify_all()

    def _end(self, spec: RunSpec) -> RunOutcome:
        """Write the output files of a run. Plain file access: fakes may block for some microseconds."""
        if spec.stdin is not None and not spec.stdin.exists():
            return outcome(RunVerdict.SE, sandbox_error=SandboxError("open_stdin", 2), files_out=())
        stdin = spec.stdin.read_bytes() if spec.stdin is not None else b""
        source = b"\n".join(file.path.read_bytes() for file in spec.files_in)
        reply: Reply = _compiles if spec.policy is Policy.COMPILE else _adds
        for rule in self._rules:
            if rule.policy is spec.policy and rule.marker in source:
                reply = rule.reply
                break
        if isinstance(reply, BoxBroken | OSError):
            raise reply
        ended = reply if isinstance(reply, RunOutcome) else reply(spec, stdin)
        wanted = tuple(file.name for file in spec.files_out)
        names = ended.files_out
        if names == _EVERYTHING:
            names = wanted if ended.verdict is RunVerdict.OK else ()
        for file in spec.files_out:
            if file.name in names and not file.path.exists():  # the reply may have written it
                file.path.write_bytes(source)
        if spec.stdout_to is not None:
            spec.stdout_to.write_bytes(ended.stdout[: spec.limits.output_bytes])
        return _cut(ended, spec, names)


def _cut(ended: RunOutcome, spec: RunSpec, names: tuple[str, ...]) -> RunOutcome:
    """Return the part of each stream that the spec wants kept."""
    return replace(
        ended,
        files_out=names,
        stdout=ended.stdout[: spec.keep_stdout_bytes],
        truncated_stdout=len(ended.stdout) > spec.keep_stdout_bytes,
        stderr=ended.stderr[: spec.keep_stderr_bytes],
        truncated_stderr=len(ended.stderr) > spec.keep_stderr_bytes,
    )


def _compiles(_spec: RunSpec, _stdin: bytes) -> RunOutcome:
    return outcome(cpu_ms=200, wall_ms=250)


def _adds(_spec: RunSpec, stdin: bytes) -> RunOutcome:
    return outcome(stdout=b"%d\n" % sum(int(word) for word in stdin.split()))
