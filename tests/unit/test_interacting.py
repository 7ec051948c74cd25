"""The interacting step over a scripted box: what it asks for, pass by pass, and what it makes of the answers."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from deepoj.execution.interacting import Interacting, Interaction, InteractionResult
from deepoj.judging import checkers, interactors
from deepoj.judging.languages import LANGUAGES
from deepoj.judging.problem import Checker, Program, Protocol
from deepoj.observe import Metrics
from deepoj.words.results import Infra, Verdict
from deepoj.words.sandbox import FileIn, Joined, Policy, RunLimits, RunOutcome, RunSpec, RunVerdict, SandboxError
from tests.fakes.attempts import attempt_context
from tests.fakes.box import ScriptedBox, joined, outcome
from tests.fakes.settings import judge_settings
from tests.unit.makers import a_problem

V, R = Verdict, RunVerdict
LIMITS = RunLimits(cpu_ms=1000, wall_ms=3000, memory_bytes=64 << 20, output_bytes=1 << 20)


def exits(code: int, **more: object) -> RunOutcome:
    verdict = R.OK if code == 0 else R.RE
    return outcome(verdict, rule="ok" if code == 0 else "exit", exit_code=code, files_out=(), **more)  # type: ignore[arg-type]


def leaving(run: RunOutcome, spec: RunSpec, **files: bytes) -> RunOutcome:
    """The outcome of a run that left files: ``nextpass_in=b"…"``."""
    left = {name.replace("_", "."): data for name, data in files.items()}
    if any(file.name == interactors.STATE for file in spec.files_out):
        left[interactors.STATE] = b"packed"
    for file in spec.files_out:
        if file.name in left:
            file.path.write_bytes(left[file.name])
    return replace(run, files_out=tuple(file.name for file in spec.files_out if file.name in left))


class Bench:
    def __init__(self, tmp_path: Path, metrics: Metrics) -> None:
        self.box = ScriptedBox()
        self.package = tmp_path / "package"
        self.package.mkdir()
        for name in ("judge.py", "1.in", "1.ans", "main"):
            (self.package / name).write_text(name)
        self._directory, self._metrics = tmp_path / "interactor", metrics
        self.settings = judge_settings()

    def interacting(
        self, protocol: Protocol = Protocol.VALIDATOR, *, scored: bool = False, **more: object
    ) -> Interacting:
        program = Program(language="python3", files=("judge.py",), entry="judge.py")
        told: dict[str, object] = {"interactive": True, **more}
        return Interacting(
            attempt_context(self.box, self._directory.parent, self.settings, metrics=self._metrics),
            Checker(program=program, protocol=protocol, **told),  # type: ignore[arg-type]
            self.package.joinpath,
            self._directory,
            problem=a_problem(),
            scored=scored,
        )

    def talk(self, language: str = "cpp17") -> Interaction:
        program = RunSpec(
            argv=("/p/main",),
            limits=LIMITS,
            files_in=(FileIn("main", self.package / "main", executable=True, program=True),),
        )
        return Interaction(
            test="1",
            program=program,
            language=LANGUAGES[language],
            input=self.package / "1.in",
            answer=self.package / "1.ans",
            args=("fast",),
        )

    def plays(self, *pairs: Callable[[RunSpec, RunSpec], Joined]) -> None:
        """One after the other."""
        left = iter(pairs)

        def play(program: RunSpec, interactor: RunSpec) -> Joined:
            return next(left)(program, interactor)

        self.box.pair = play


@pytest.fixture
def bench(tmp_path: Path, metrics: Metrics) -> Bench:
    return Bench(tmp_path, metrics)


def ends(program: RunOutcome, interactor: RunOutcome, **how: bool) -> Callable[[RunSpec, RunSpec], Joined]:
    return lambda _, spec: joined(program, leaving(interactor, spec), **how)


@pytest.mark.parametrize(
    ("protocol", "words", "accepts"),
    [
        (Protocol.VALIDATOR, ("input", "answer", "./", "fast"), 42),
        (Protocol.TESTLIB, ("input", "output", "answer", "fast"), 0),
        (Protocol.PLAIN, ("input", "answer", "fast"), 0),
    ],
)
async def test_how_an_interactor_is_called(
    protocol: Protocol, words: Sequence[str], accepts: int, bench: Bench
) -> None:
    bench.plays(ends(exits(0), exits(accepts)))
    result = await bench.interacting(protocol).judge(bench.talk())

    assert isinstance(result, InteractionResult), result
    assert (result.verdict, result.rule, result.passes) == (V.ACCEPTED, "interactor", 1)
    ((program, interactor),) = bench.box.pairs
    assert interactor.argv[-len(words) :] == tuple(words)
    assert (interactor.stdin, interactor.stdout_to, program.stdin, program.stdout_to) == (None, None, None, None)
    brought = {file.name: file.path for file in interactor.files_in}
    assert (brought["input"], brought["answer"]) == (bench.package / "1.in", bench.package / "1.ans")
    assert [file.name for file in program.files_in] == ["main"], "the program sees nothing of the test"


async def test_the_limits_of_both(bench: Bench) -> None:
    bench.plays(ends(exits(0), exits(42)))
    result = await bench.interacting().judge(bench.talk())

    ((program, interactor),) = bench.box.pairs
    assert program.limits == replace(LIMITS, wall_ms=LIMITS.wall_ms + bench.settings.check_cpu_ms)
    assert interactor.limits.cpu_ms == bench.settings.check_cpu_ms
    assert interactor.limits.wall_ms == program.limits.wall_ms + bench.settings.interactor_finish_ms
    assert isinstance(result, InteractionResult)
    assert result.limits == program.limits


async def test_its_words_go_to_the_setter(bench: Bench) -> None:
    bench.plays(
        lambda _, spec: joined(exits(0), leaving(exits(43), spec, judgemessage_txt=b"7 is not it")),
        ends(exits(0), exits(43)),
    )
    interacting = bench.interacting()
    result = await interacting.judge(bench.talk())
    assert isinstance(result, InteractionResult)
    assert (result.verdict, result.ruling and result.ruling.message) == (V.WRONG_ANSWER, "7 is not it")

    again = await interacting.judge(bench.talk())
    assert isinstance(again, InteractionResult)
    assert again.ruling is not None
    assert again.ruling.message == "", "nothing of the test before"
    assert len(bench.box.runs(Policy.COMPILE)) == 1


async def test_a_program_that_fails_by_itself_is_told_by_its_run(bench: Bench) -> None:
    bench.plays(ends(outcome(R.TLE, cpu_ms=1500), exits(43)))
    result = await bench.interacting().judge(bench.talk())

    assert isinstance(result, InteractionResult)
    assert (result.verdict, result.rule, result.outcome.cpu_ms) == (V.TIME_LIMIT_EXCEEDED, "cpu", 1500)


@pytest.mark.parametrize("interactive", [True, False], ids=["interactive", "several passes"])
async def test_program_at_its_heap_limit_is_memory_limit_exceeded(interactive: bool, bench: Bench) -> None:
    said = b"Terminating due to java.lang.OutOfMemoryError: Java heap space\n"
    out_of_heap = exits(3, stderr=said)
    bench.plays(ends(out_of_heap, exits(43)))
    bench.box.on(Policy.RUN, b"main", out_of_heap)

    result = await bench.interacting(interactive=interactive, multipass=True).judge(bench.talk("java"))

    assert isinstance(result, InteractionResult)
    assert (result.verdict, result.rule) == (V.MEMORY_LIMIT_EXCEEDED, "heap")


@pytest.mark.parametrize(
    "interactor",
    [
        exits(1, stderr=b"Traceback: who am I"),
        outcome(R.RE, exit_signal=signal.SIGSEGV, stderr=b"who am I"),
        outcome(R.TLE, stderr=b"who am I"),
        outcome(R.MLE, stderr=b"who am I"),
        outcome(R.OLE, stderr=b"who am I"),
    ],
)
async def test_an_interactor_that_fails_is_the_setters_with_evidence(interactor: RunOutcome, bench: Bench) -> None:
    bench.plays(ends(exits(0), interactor, interactor_first=True))
    trouble = await bench.interacting().judge(bench.talk())

    assert isinstance(trouble, Infra)
    assert trouble.code == checkers.BROKEN
    assert "test 1" in trouble.message
    assert "who am I" in trouble.message
    assert not trouble.outage


async def test_interactor_that_did_not_read_is_a_fault_with_any_exit_code(bench: Bench) -> None:
    bench.plays(lambda _, spec: joined(outcome(R.TLE, rule="wall"), leaving(exits(43), spec), unread_by_interactor=9))
    trouble = await bench.interacting().judge(bench.talk())

    assert isinstance(trouble, Infra)
    assert "did not read the program's output" in trouble.message


@pytest.mark.parametrize("side", ["program", "interactor"])
async def test_a_sandbox_that_fails_is_ours(side: str, bench: Bench) -> None:
    fault = outcome(R.SE, sandbox_error=SandboxError("clone", 11))
    bench.plays(ends(*((fault, exits(43)) if side == "program" else (exits(9), fault))))
    trouble = await bench.interacting().judge(bench.talk())

    assert isinstance(trouble, Infra)
    assert (trouble.code, trouble.outage) == ("sandbox", True)


async def test_output_of_a_testlib_interactor_is_kept_for_the_checker(bench: Bench) -> None:
    bench.plays(lambda _, spec: joined(exits(0), leaving(exits(0), spec, output=b"12 turns")))
    result = await bench.interacting(Protocol.TESTLIB).judge(bench.talk())

    assert isinstance(result, InteractionResult)
    assert result.output is not None
    assert result.output.read_bytes() == b"12 turns"


async def test_points(bench: Bench) -> None:
    bench.plays(lambda _, spec: joined(exits(0), leaving(exits(42), spec, score_txt=b"12.5")))
    result = await bench.interacting(scored=True).judge(bench.talk())

    assert isinstance(result, InteractionResult)
    assert result.verdict is V.PARTIAL
    assert result.ruling is not None
    assert result.ruling.points == 12.5


# ---------------------------------------------------------------------------------------------------------------------
# Several passes


async def test_passes_go_on_as_long_as_the_validator_asks(bench: Bench) -> None:
    bench.plays(
        lambda _, spec: joined(exits(0, cpu_ms=30), leaving(exits(42), spec, nextpass_in=b"second")),
        lambda _, spec: joined(exits(0, cpu_ms=90), leaving(exits(42), spec, nextpass_in=b"third")),
        lambda _, spec: joined(exits(0, cpu_ms=10), leaving(exits(42), spec)),
    )
    result = await bench.interacting(multipass=True, max_passes=3).judge(bench.talk())

    assert isinstance(result, InteractionResult), result
    assert (result.verdict, result.passes, result.outcome.cpu_ms) == (V.ACCEPTED, 3, 90)
    inputs = [next(file.path for file in spec.files_in if file.name == "input") for _, spec in bench.box.pairs]
    assert inputs[0] == bench.package / "1.in"
    assert [path.read_bytes() for path in inputs[1:]] == [b"second", b"third"]
    states = [[file.name for file in spec.files_in if file.name == interactors.STATE] for _, spec in bench.box.pairs]
    assert states == [[], [interactors.STATE], [interactors.STATE]], "what it left is there again"


async def test_only_the_last_pass_of_a_scoring_validator_owes_a_score(bench: Bench) -> None:
    bench.plays(
        lambda _, spec: joined(exits(0), leaving(exits(42), spec, nextpass_in=b"second")),
        lambda _, spec: joined(exits(0), leaving(exits(42), spec, score_txt=b"74.42")),
    )
    result = await bench.interacting(multipass=True, scored=True, scores=True).judge(bench.talk())

    assert isinstance(result, InteractionResult), result
    assert result.ruling is not None
    assert (result.passes, result.ruling.points) == (2, 74.42)


async def test_a_pass_that_fails_is_the_last(bench: Bench) -> None:
    bench.plays(
        lambda _, spec: joined(exits(0), leaving(exits(42), spec, nextpass_in=b"second")),
        ends(outcome(R.MLE), exits(43)),
    )
    result = await bench.interacting(multipass=True).judge(bench.talk())

    assert isinstance(result, InteractionResult)
    assert (result.verdict, result.passes) == (V.MEMORY_LIMIT_EXCEEDED, 2)


@pytest.mark.parametrize(("code", "passes", "sentence"), [(43, 1, "did not accept"), (42, 2, "more than 2 passes")])
async def test_a_validator_that_breaks_the_rules_of_passes(code: int, passes: int, sentence: str, bench: Bench) -> None:
    bench.plays(*[lambda _, spec: joined(exits(0), leaving(exits(code), spec, nextpass_in=b"more"))] * passes)
    trouble = await bench.interacting(multipass=True, max_passes=2).judge(bench.talk())

    assert isinstance(trouble, Infra)
    assert sentence in trouble.message
    assert len(bench.box.pairs) == passes


async def test_what_an_earlier_test_left_asks_for_no_pass(bench: Bench) -> None:
    """Test 1 ends by the program's failure while the validator leaves nextpass.in; in test 2 it asks for nothing."""
    bench.plays(
        lambda _, spec: joined(outcome(R.MLE), leaving(exits(42), spec, nextpass_in=b"of test 1")),
        ends(exits(0), exits(42)),
    )
    interacting = bench.interacting(multipass=True)
    first = await interacting.judge(bench.talk())
    second = await interacting.judge(bench.talk())

    assert isinstance(first, InteractionResult)
    assert isinstance(second, InteractionResult)
    assert (first.verdict, second.verdict, second.passes) == (V.MEMORY_LIMIT_EXCEEDED, V.ACCEPTED, 1)


async def test_a_validator_of_one_pass_is_not_asked_for_more(bench: Bench) -> None:
    bench.plays(lambda _, spec: joined(exits(0), leaving(exits(42), spec, nextpass_in=b"more")))
    result = await bench.interacting().judge(bench.talk())

    assert isinstance(result, InteractionResult)
    assert result.passes == 1
    ((_, spec),) = bench.box.pairs
    assert interactors.NEXT_PASS not in {file.name for file in spec.files_out}


async def test_passes_without_a_talk(bench: Bench) -> None:
    """The program writes, the validator reads, and asks for more."""
    given: list[bytes] = []
    checked = 0

    def run(spec: RunSpec, stdin: bytes) -> RunOutcome:
        nonlocal checked
        if any(file.name == "input" for file in spec.files_in):
            checked += 1
            assert stdin == b"said " + given[-1]
            return leaving(exits(42), spec, **({"nextpass_in": b"second"} if checked == 1 else {}))
        given.append(stdin)
        return exits(0, stdout=b"said " + stdin)

    bench.box.on(Policy.RUN, b"", run)
    result = await bench.interacting(interactive=False, multipass=True).judge(bench.talk())

    assert isinstance(result, InteractionResult), result
    assert (result.verdict, result.passes, given) == (V.ACCEPTED, 2, [b"1.in", b"second"])


async def test_a_program_that_fails_is_not_looked_at(bench: Bench) -> None:
    bench.box.on(Policy.RUN, b"", outcome(R.RE, exit_signal=signal.SIGSEGV))
    result = await bench.interacting(interactive=False, multipass=True).judge(bench.talk())

    assert isinstance(result, InteractionResult)
    assert (result.verdict, result.rule, result.passes) == (V.RUNTIME_ERROR, "signal", 1)
