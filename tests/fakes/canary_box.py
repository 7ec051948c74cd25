"""A sandbox that gives each canary its expected outcome, unless ``lies`` says otherwise.

It has the contract of ``ports.Box`` as far as ``execution.canary`` uses it: a compilation writes its artifact, a run
writes its output to ``stdout_to``. The name of its input tells to which canary a run belongs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import trio

from deepoj.judging.canaries import CANARIES, Canary
from deepoj.words.errors import BoxBroken
from deepoj.words.results import Verdict
from deepoj.words.sandbox import Isolation, Joined, Policy, RunOutcome, RunSpec, RunVerdict
from tests.fakes.box import outcome

BY_NAME = {canary.name: canary for canary in CANARIES}
#: a lie: another outcome, a breakage, or a function of the spec that returns or raises one
Lie = RunOutcome | BoxBroken | Callable[[RunSpec], RunOutcome]

_RUN_VERDICTS = {
    Verdict.ACCEPTED: RunVerdict.OK,
    Verdict.WRONG_ANSWER: RunVerdict.OK,
    Verdict.TIME_LIMIT_EXCEEDED: RunVerdict.TLE,
    Verdict.MEMORY_LIMIT_EXCEEDED: RunVerdict.MLE,
    Verdict.OUTPUT_LIMIT_EXCEEDED: RunVerdict.OLE,
    Verdict.RUNTIME_ERROR: RunVerdict.RE,
    Verdict.COMPILE_ERROR: RunVerdict.RE,
}


class CanaryBox:
    """``lies``: canary → its wrong outcome, given as often as ``times`` says (always by default).

    ``compiled`` and ``judged`` count; ``specs`` are the runs in order."""

    def __init__(self, isolation: Isolation = Isolation.NAMESPACES) -> None:
        self._isolation = isolation
        self.lies: dict[str, Lie] = {}
        self.times: dict[str, int] = {}
        self.compiled: Counter[str] = Counter()
        self.judged: Counter[str] = Counter()
        self.specs: list[RunSpec] = []
        self.under_way = 0

    @property
    def isolation(self) -> Isolation:
        return self._isolation

    @property
    def has_proc(self) -> bool:
        return True

    def check(self) -> str:
        return ""

    async def restore(self) -> None: ...

    async def run(self, spec: RunSpec) -> RunOutcome:
        assert self.under_way == 0, "one canary at a time"
        self.under_way += 1
        try:
            await trio.lowlevel.checkpoint()
            self.specs.append(spec)
            return self._compile(spec) if spec.policy is Policy.COMPILE else self._run(spec)
        finally:
            self.under_way -= 1

    async def run_joined(
        self, program: RunSpec, interactor: RunSpec, *, is_settled: Callable[[RunOutcome], bool]
    ) -> Joined:
        raise AssertionError("no canary has an interactor")

    def _compile(self, spec: RunSpec) -> RunOutcome:
        source = spec.files_in[0].path.read_bytes()
        broken = b"undeclared" in source
        self.compiled["broken" if broken else spec.files_in[0].name] += 1
        if broken:
            lie = self._lie("compile-error", spec)
            return lie or truth(BY_NAME["compile-error"], self._isolation)
        for file in spec.files_out:
            file.path.write_bytes(b"program")
        return outcome(files_out=tuple(file.name for file in spec.files_out), isolation=self._isolation)

    def _run(self, spec: RunSpec) -> RunOutcome:
        assert spec.stdin is not None
        assert spec.stdout_to is not None
        canary = BY_NAME[spec.stdin.stem]
        self.judged[canary.name] += 1
        spec.stdout_to.write_bytes(b"")
        program = spec.files_in[0]
        if program.executable and program.path.read_bytes() != b"program":
            return outcome(RunVerdict.RE, rule="exec", isolation=self._isolation)
        lie = self._lie(canary.name, spec)
        if lie is not None:
            spec.stdout_to.write_bytes(lie.stdout)
            return lie
        canary.answer.write_to(spec.stdout_to)
        if canary.fates[0].status is Verdict.WRONG_ANSWER:
            spec.stdout_to.write_bytes(b"something else")
        return truth(canary, self._isolation)

    def _lie(self, name: str, spec: RunSpec) -> RunOutcome | None:
        if name not in self.lies or self.times.get(name, 1) <= 0:
            return None
        if name in self.times:
            self.times[name] -= 1
        lie = self.lies[name]
        if isinstance(lie, BoxBroken):
            raise lie
        return lie if isinstance(lie, RunOutcome) else lie(spec)


def truth(canary: Canary, isolation: Isolation) -> RunOutcome:
    """Return an outcome as the canary's row expects it."""
    fate = canary.fates_at(isolation)[0]
    killed = fate.rule in ("cpu", "wall", "memory", "output")
    return outcome(
        _RUN_VERDICTS[fate.status],
        rule="ok" if fate.rule == "compare" else fate.rule,
        exit_code=fate.exit_code,
        exit_signal=9 if killed else fate.exit_signal,
        stderr=b"<<" + canary.says + b">>",
        memory_kb=canary.weighs_kb or 1500,
        isolation=isolation,
    )
