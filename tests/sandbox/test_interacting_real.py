"""The interacting step through the real sandbox: good and broken interactors in several languages."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import trio

from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.execution.compiling import Compiled
from deepoj.execution.interacting import Interacting, Interaction, InteractionResult
from deepoj.judging import checkers
from deepoj.judging.exec_rules import JudgeSettings
from deepoj.judging.languages import LANGUAGES
from deepoj.judging.problem import Checker, Program, Protocol
from deepoj.words.results import Infra, Verdict
from deepoj.words.sandbox import FileIn, Isolation, RunLimits, RunSpec
from tests.fakes.attempts import attempt_context
from tests.fakes.settings import judge_settings
from tests.sandbox.bench import limits, open_box
from tests.unit.makers import a_problem

V = Verdict

PYTHON_REFEREE = """
import sys
secret = int(open(sys.argv[1]).read())
for turn in range(20):
    line = sys.stdin.readline()
    if not line.strip().isdigit():
        open(sys.argv[3] + "judgemessage.txt", "w").write(f"{line!r} is no guess")
        sys.exit(43)
    guess = int(line)
    print("right" if guess == secret else "more" if guess < secret else "less", flush=True)
    if guess == secret:
        sys.exit(42)
sys.exit(43)
"""
C_REFEREE = r"""
#include <stdio.h>
int main(int argc, char **argv) {
    FILE *in = fopen(argv[1], "r");
    int secret, guess;
    if (in == NULL || argc != 4 || fscanf(in, "%d", &secret) != 1) return 1;
    for (int turn = 0; turn < 20 && scanf("%d", &guess) == 1; turn++) {
        puts(guess == secret ? "right" : guess < secret ? "more" : "less");
        fflush(stdout);
        if (guess == secret) return 42;
    }
    return 43;
}
"""
TESTLIB_REFEREE = r"""
#include "testlib.h"
int main(int argc, char *argv[]) {
    registerInteraction(argc, argv);
    int secret = inf.readInt(), turns = 0;
    for (;;) {
        int guess = ouf.readInt(1, 1000);
        turns++;
        std::cout << (guess == secret ? "right" : guess < secret ? "more" : "less") << std::endl;
        if (guess == secret) break;
        if (turns == 20) quitf(_wa, "too many turns");
    }
    tout << turns << std::endl;
    quitf(_ok, "%d turns", turns);
}
"""
PYTHON_PLAYER = """
low, high = 1, 1000
while True:
    guess = (low + high) // 2
    print(guess, flush=True)
    answer = input()
    if answer == "right":
        break
    low, high = (guess + 1, high) if answer == "more" else (low, guess - 1)
"""
CPP_PLAYER = r"""
#include <cstdio>
#include <cstring>
int main() {
    int low = 1, high = 1000;
    char answer[16];
    for (;;) {
        int guess = (low + high) / 2;
        printf("%d\n", guess); fflush(stdout);
        if (scanf("%15s", answer) != 1) return 1;
        if (!strcmp(answer, "right")) return 0;
        if (!strcmp(answer, "more")) low = guess + 1; else high = guess - 1;
    }
}
"""
#: of each pass: the sum of what it is given goes on, with the next number
PASSES = """
import sys
from pathlib import Path
feedback = Path(sys.argv[3])
given, said = int(open(sys.argv[1]).read()), int(sys.stdin.readline())
kept = feedback / "sub"
seen = int((kept / "seen").read_text()) if kept.exists() else 0
with open(feedback / "judgemessage.txt", "a") as words:
    words.write(f"{given}->{said} ")
if said != 2 * given or seen != {"10": 0, "20": 1, "40": 2}[str(given)]:
    sys.exit(43)
if given == 40:
    sys.exit(42)
kept.mkdir(exist_ok=True)
(kept / "seen").write_text(str(seen + 1))
(feedback / "nextpass.in").write_text(str(said))
sys.exit(42)
"""


@dataclass
class Room:
    box: LinuxBox
    directory: Path
    settings: JudgeSettings
    limits: RunLimits = field(default_factory=lambda: limits(cpu_ms=2000))

    async def judge(
        self,
        interactor: tuple[str, str],
        player: tuple[str, str],
        *,
        protocol: Protocol = Protocol.VALIDATOR,
        secret: str = "777",
        **more: bool | int,
    ) -> InteractionResult | Infra:
        """(language, source) of both; one test."""
        context = attempt_context(self.box, self.directory, self.settings)
        package, made = self.directory / "package", self.directory / "program"
        package.mkdir()
        made.mkdir()
        (package / "1.in").write_text(secret)
        judge = f"judge{Path(LANGUAGES[interactor[0]].source_name).suffix}"
        (package / judge).write_text(interactor[1])
        language = LANGUAGES[player[0]]
        (package / language.source_name).write_text(player[1])
        compiled = await context.compiler.compile(
            language, [FileIn(language.source_name, package / language.source_name)], into=made
        )
        assert isinstance(compiled, Compiled), compiled
        assert compiled.executable is not None, compiled
        told: dict[str, bool | int] = {"interactive": True, **more}
        interacting = Interacting(
            context,
            Checker(
                program=Program(language=interactor[0], files=(judge,), entry=judge),
                protocol=protocol,
                **told,  # type: ignore[arg-type]
            ),
            package.joinpath,
            self.directory / "interactor",
            problem=a_problem(),
            scored=False,
        )
        program = RunSpec(
            argv=compiled.executable.argv,
            limits=self.limits,
            files_in=compiled.executable.files_in,
            env=compiled.executable.env,
        )
        talk = Interaction(test="1", program=program, language=language, input=package / "1.in", answer=None)
        with trio.fail_after(240):
            return await interacting.judge(talk)


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with open_box(1) as box:
        yield Room(box, tmp_path, judge_settings(compile_wall_ms=100_000))


@pytest.mark.parametrize("referee", [("python3", PYTHON_REFEREE), ("c17", C_REFEREE)], ids=["python3", "c17"])
@pytest.mark.parametrize("player", [("python3", PYTHON_PLAYER), ("cpp17", CPP_PLAYER)], ids=["python3", "cpp17"])
async def test_right_in_any_two_languages(referee: tuple[str, str], player: tuple[str, str], room: Room) -> None:
    result = await room.judge(referee, player)

    assert isinstance(result, InteractionResult), result
    assert result.verdict is V.ACCEPTED


async def test_a_testlib_interactor_and_what_it_writes(room: Room) -> None:
    result = await room.judge(("cpp17", TESTLIB_REFEREE), ("python3", PYTHON_PLAYER), protocol=Protocol.TESTLIB)

    assert isinstance(result, InteractionResult), result
    assert result.verdict is V.ACCEPTED
    assert result.output is not None
    turns = int(result.output.read_text())
    assert 1 <= turns <= 10
    assert result.ruling is not None
    assert f"{turns} turns" in result.ruling.message


@pytest.mark.parametrize(
    ("code", "verdict", "rule"),
    [
        ("print('what?', flush=True)\ninput()", V.WRONG_ANSWER, "interactor"),
        ("while True: print(1, flush=True); input()", V.WRONG_ANSWER, "interactor"),
        ("pass", V.WRONG_ANSWER, "interactor"),
        ("print(500, flush=True)", V.WRONG_ANSWER, "interactor"),
        ("print(500, flush=True)\ninput()\nraise SystemExit(3)", V.RUNTIME_ERROR, "exit"),
        ("import os\nprint(500, flush=True)\nos.abort()", V.RUNTIME_ERROR, "signal"),
        ("import sys\nsys.stdout.write('500')\ninput()", V.TIME_LIMIT_EXCEEDED, "wall"),
        ("import time\ntime.sleep(1000000)", V.TIME_LIMIT_EXCEEDED, "wall"),
        ("while True: pass", V.TIME_LIMIT_EXCEEDED, "cpu"),
        ("x = [0] * 10\nwhile True: x += x", V.MEMORY_LIMIT_EXCEEDED, "memory"),
        ("while True: print('7' * 65536, end='')", V.OUTPUT_LIMIT_EXCEEDED, "output"),
        (PYTHON_PLAYER + "while True: pass", V.TIME_LIMIT_EXCEEDED, "cpu"),
        (PYTHON_PLAYER + "print('and more')", V.ACCEPTED, "interactor"),
        ("import os, time\nif os.fork() == 0: time.sleep(1000000)", V.WRONG_ANSWER, "interactor"),
    ],
)
async def test_verdict_of_each_pair_of_endings(code: str, verdict: Verdict, rule: str, room: Room) -> None:
    # of two limits the one that a row is not about is far off: neither a slow start nor a busy host may meet it
    if rule == "cpu":
        room.limits = limits(cpu_ms=1000)
    elif rule == "wall":
        room.settings, room.limits = replace(room.settings, check_cpu_ms=500), limits(cpu_ms=500, wall_ms=500)
    result = await room.judge(("python3", PYTHON_REFEREE), ("python3", code))

    assert isinstance(result, InteractionResult), result
    assert (result.verdict, result.rule) == (verdict, rule)


CLOSES = r"""
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(void) {
    puts("500"); fclose(stdout); usleep(200000);
    %s
}
"""


@pytest.mark.parametrize(
    ("protocol", "end", "verdict", "rule"),
    [
        (Protocol.VALIDATOR, "abort();", V.RUNTIME_ERROR, "signal"),
        (Protocol.VALIDATOR, "exit(1);", V.RUNTIME_ERROR, "exit"),
        (Protocol.VALIDATOR, "for (;;) pause();", V.TIME_LIMIT_EXCEEDED, "wall"),
        (Protocol.VALIDATOR, "for (;;);", V.TIME_LIMIT_EXCEEDED, "cpu"),
        (Protocol.VALIDATOR, "return 0;", V.WRONG_ANSWER, "interactor"),
        (Protocol.PLAIN, "exit(1);", V.WRONG_ANSWER, "interactor"),
    ],
)
async def test_program_that_closes_its_output_is_judged_by_its_own_end(
    protocol: Protocol, end: str, verdict: Verdict, rule: str, room: Room
) -> None:
    """Of Kattis' validators, as problemtools and BAPCtools do; other interactors read the end of their input."""
    room.settings = replace(room.settings, check_cpu_ms=500)
    room.limits = limits(cpu_ms=500, wall_ms=1000 if "pause" in end else 60_000)
    wrong = "43" if protocol is Protocol.VALIDATOR else "1"
    referee = PYTHON_REFEREE.replace("exit(43)", f"exit({wrong})").replace("sys.argv[3] + ", "")
    result = await room.judge(("python3", referee), ("c17", CLOSES % end), protocol=protocol)

    assert isinstance(result, InteractionResult), result
    assert (result.verdict, result.rule) == (verdict, rule)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise ValueError('the setter errs')", "the setter errs"),
        ("import os\nos.abort()", f"signal {int(signal.SIGABRT)}"),
        ("while True: pass", "ran longer"),
        ("import time\ninput()\ntime.sleep(1000000)", "still running"),
        ("x = [0] * 10\nwhile True: x += x", "memory"),
        ("import sys\nsys.exit(0)", "exited with 0"),
        ("import os\nwhile True: os.fork()", ""),
    ],
)
async def test_failing_interactor_is_a_fault_of_the_setter(code: str, words: str, room: Room) -> None:
    room.settings = replace(room.settings, check_cpu_ms=1000, check_memory_bytes=256 << 20)
    room.limits = limits(cpu_ms=1000)
    if words == "still running":
        room.settings, room.limits = replace(room.settings, interactor_finish_ms=500), limits(cpu_ms=1000, wall_ms=3000)
    trouble = await room.judge(("python3", code), ("python3", PYTHON_PLAYER))

    assert isinstance(trouble, Infra), trouble
    assert trouble.code == checkers.BROKEN
    assert words in trouble.message


async def test_passes_with_what_the_validator_has_left(room: Room) -> None:
    result = await room.judge(
        ("python3", PASSES), ("python3", "print(2 * int(input()))"), secret="10", interactive=False, multipass=True,
        max_passes=3,
    )  # fmt: skip

    assert isinstance(result, InteractionResult), result
    assert (result.verdict, result.passes) == (V.ACCEPTED, 3)
    assert result.ruling is not None
    assert result.ruling.message == "10->20 20->40 40->80"


async def test_multipass_validator_at_weak_finds_what_it_has_left(tmp_path: Path) -> None:
    async with LinuxBox.open(1, at_most=Isolation.WEAK, min_isolation=Isolation.WEAK) as box:
        room = Room(box, tmp_path, judge_settings(compile_wall_ms=100_000))
        result = await room.judge(
            ("python3", PASSES), ("python3", "print(2 * int(input()))"), secret="10", interactive=False,
            multipass=True, max_passes=3,
        )  # fmt: skip

    assert isinstance(result, InteractionResult), result
    assert (result.verdict, result.passes) == (V.ACCEPTED, 3)


async def test_multipass_validator_runs_each_pass_once(room: Room) -> None:
    """The same, but the validator sends the number to the program."""
    speaking = PASSES.replace("given, said =", "print(open(sys.argv[1]).read(), flush=True)\ngiven, said =")
    result = await room.judge(
        ("python3", speaking), ("python3", "print(2 * int(input()))"), secret="10", multipass=True, max_passes=3
    )

    assert isinstance(result, InteractionResult), result
    assert (result.verdict, result.passes) == (V.ACCEPTED, 3)
    assert result.ruling is not None
    assert result.ruling.message == "10->20 20->40 40->80"
