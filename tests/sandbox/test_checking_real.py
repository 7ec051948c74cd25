"""Setters' checkers through the real sandbox, good ones and broken ones, in both protocols, in C++ and in Python."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import trio

from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.execution.checking import Checking, Output
from deepoj.judging.checkers import Ruling
from deepoj.judging.exec_rules import JudgeSettings
from deepoj.judging.problem import Checker, Program, Protocol
from deepoj.words.results import Infra, Verdict
from deepoj.words.sandbox import Isolation
from tests.fakes.attempts import attempt_context
from tests.fakes.settings import judge_settings
from tests.host import PROC
from tests.sandbox.bench import MIB, open_box
from tests.unit.makers import a_problem

V = Verdict
TESTLIB, VALIDATOR = Protocol.TESTLIB, Protocol.VALIDATOR


@pytest.fixture
async def box() -> AsyncIterator[LinuxBox]:
    async with open_box(1) as opened:
        yield opened


@dataclass
class Desk:
    """A box, a problem's files, and checkers to put to work."""

    box: LinuxBox
    directory: Path
    settings: JudgeSettings

    def checking(self, language: str, files: dict[str, str], protocol: Protocol, *, scored: bool = False) -> Checking:
        place = self.directory / f"{len(list(self.directory.iterdir()))}"
        package = place / "package"
        package.mkdir(parents=True)
        for name, text in files.items():
            (package / name).write_text(text)
        return Checking(
            attempt_context(self.box, place, self.settings),
            Checker(
                program=Program(language=language, files=tuple(files), entry=next(iter(files))),
                protocol=protocol,
                args=("--args",),
            ),
            lambda name: package / name,
            place / "checker",
            problem=replace(a_problem(), time_limit_ms=100),
            scored=scored,
        )

    async def check(self, checking: Checking, output: bytes, *, answer: bytes | None = b"3\n") -> Ruling | Infra:
        case = {"input": b"1 2\n", "output": output} | ({"answer": answer} if answer is not None else {})
        for name, text in case.items():
            (self.directory / name).write_bytes(text)
        what = Output(
            test="1",
            output=self.directory / "output",
            input=self.directory / "input",
            answer=None if answer is None else self.directory / "answer",
            args=("of-the-test",),
        )
        with trio.fail_after(240):
            return await checking.check(what)


@pytest.fixture
def desk(box: LinuxBox, tmp_path: Path) -> Desk:
    """Generous limits: what a row is about is set in the row."""
    settings = judge_settings(check_cpu_ms=20_000, check_compile_cpu_ms=120_000, compile_wall_ms=400_000)
    return Desk(box, tmp_path, settings)


def ruled(found: Ruling | Infra) -> tuple[Verdict, str]:
    assert isinstance(found, Ruling), found
    return found.verdict, found.message


def failure(found: Ruling | Infra) -> str:
    assert isinstance(found, Infra), found
    assert found.code == "checker_broken"
    assert not found.outage
    return found.message


# ---------------------------------------------------------------------------------------------------------------------
# Good ones

WITH_TESTLIB = """#include <testlib.h>
#include "more.h"
int main(int argc, char *argv[]) {
    registerTestlibCmd(4, argv);
    if (argc != 6 || std::string(argv[4]) != "--args" || std::string(argv[5]) != "of-the-test")
        quitf(_fail, "argc %d", argc);
    int expected = ans.readInt(), found = ouf.readInt();
    if (expected != found)
        quitf(_wa, "%s %d, not %d", MORE, expected, found);
    quitf(_ok, "%d", found);
}
"""
PLAIN_PYTHON = """import sys, helper
data, output, answer = (open(name, 'rb').read().split() for name in sys.argv[1:4])
assert sys.argv[4:] == ['--args', 'of-the-test']
print(helper.WORDS, output[:1], file=sys.stderr)
sys.exit(0 if output == answer else 2 if len(output) != 1 else 1)
"""
VALIDATOR_CPP = """#include <fstream>
#include <iostream>
#include <string>
int main(int argc, char **argv) {
    std::ifstream input(argv[1]), answer(argv[2]);
    std::string feedback = argv[3];
    if (argc != 6 || feedback.back() != '/') return 1;
    int a, b, expected, found;
    if (!(input >> a >> b >> expected) && !(answer >> expected)) return 2;
    std::ofstream(feedback + "judgemessage.txt") << "expected " << expected;
    std::ofstream(feedback + "teammessage.txt") << "look again";
    return std::cin >> found && found == expected ? 42 : 43;
}
"""
VALIDATOR_PYTHON = """import pathlib, sys
feedback = pathlib.Path(sys.argv[3])
right = sys.stdin.read().split() == open(sys.argv[2]).read().split()
(feedback / 'judgemessage.txt').write_text('right' if right else 'wrong')
if right:
    (feedback / 'score.txt').write_text('12.5')
sys.exit(42 if right else 43)
"""


async def test_testlib_in_cpp(desk: Desk) -> None:
    """Of several files, with the header that the package does not bring."""
    checking = desk.checking("cpp17", {"check.cpp": WITH_TESTLIB, "more.h": '#define MORE "expected"\n'}, TESTLIB)
    assert ruled(await desk.check(checking, b"3\n")) == (V.ACCEPTED, "ok 3")
    assert ruled(await desk.check(checking, b"4\n")) == (V.WRONG_ANSWER, "wrong answer expected 3, not 4")
    assert ruled(await desk.check(checking, b""))[0] is V.PRESENTATION_ERROR
    assert ruled(await desk.check(checking, b"3 3"))[0] is V.PRESENTATION_ERROR
    assert ruled(await desk.check(checking, bytes(range(256)) * 4096))[0] is V.PRESENTATION_ERROR
    assert "it reported a failure of its own" in failure(await desk.check(checking, b"3", answer=None))
    assert checking.isolation is desk.box.isolation


async def test_a_plain_checker_in_python(desk: Desk) -> None:
    checking = desk.checking("python3", {"check.py": PLAIN_PYTHON, "helper.py": "WORDS = 'read'\n"}, TESTLIB)
    assert ruled(await desk.check(checking, b"3\n")) == (V.ACCEPTED, "read [b'3']")
    assert ruled(await desk.check(checking, b"5\n")) == (V.WRONG_ANSWER, "read [b'5']")
    assert ruled(await desk.check(checking, b""))[0] is V.PRESENTATION_ERROR


async def test_a_validator_in_cpp(desk: Desk) -> None:
    checking = desk.checking("cpp17", {"validate.cpp": VALIDATOR_CPP}, VALIDATOR)
    words = "expected 3\nTo the contestant: look again"
    assert ruled(await desk.check(checking, b"3\n")) == (V.ACCEPTED, words)
    assert ruled(await desk.check(checking, b"x\n")) == (V.WRONG_ANSWER, words)
    assert ruled(await desk.check(checking, b"")) == (V.WRONG_ANSWER, words)
    assert not list((desk.directory / "0" / "checker" / "feedback").iterdir())


async def test_a_validator_in_python_that_scores(desk: Desk) -> None:
    checking = desk.checking("python3", {"validate.py": VALIDATOR_PYTHON}, VALIDATOR, scored=True)
    assert await desk.check(checking, b"3\n") == Ruling(verdict=V.PARTIAL, points=12.5, message="right")
    assert await desk.check(checking, b"4\n") == Ruling(verdict=V.WRONG_ANSWER, message="wrong"), (
        "the old score is gone"
    )


# ---------------------------------------------------------------------------------------------------------------------
# Broken ones: what they do when the output is the word that starts it

BROKEN_PYTHON = """import os, signal, sys, time
words = sys.stdin.read() if len(sys.argv) > 3 and sys.argv[3] == './' else open(sys.argv[2]).read()
what = words.strip()
accept = 42 if sys.argv[3] == './' else 0
if what == 'crash':
    raise RuntimeError('cannot bear it')
if what == 'signal':
    os.kill(os.getpid(), signal.SIGSEGV)
if what == 'loop':
    while True: pass
if what == 'hang':
    time.sleep(3600)
if what == 'flood':
    while True: print('x' * 65536)
if what == 'memory':
    held = [bytearray(1 << 20) for _ in range(4096)]
if what == 'forks':
    for _ in range(200):
        if os.fork() == 0: time.sleep(3600)
    sys.exit(77)
if what == 'orphan':
    if os.fork() == 0:
        time.sleep(3600)
if what == 'code':
    sys.exit(9)
if what == 'points':
    print('as I said', file=sys.stderr)
    sys.exit(7)
if what == 'files':
    for name in ('input', 'answer', 'judgemessage.txt'):
        open(name, 'w').write('mine')
    os.mkdir('score.txt')
    try: os.symlink('/etc/passwd', 'teammessage.txt')
    except OSError: pass
if what == 'big':
    open('judgemessage.txt', 'w').write('y' * (32 << 20))
if what == 'escape':
    for place in ('/p/main.py', '/etc/passwd', '../outside', '/outside'):
        try: open(place, 'w').write('mine')
        except OSError: pass
        else: sys.exit(99)
if what == 'long':
    sys.stderr.write('\\0\\x1b[31m' + 'z' * (4 << 20))
sys.exit(accept)
"""


def broken(desk: Desk, protocol: Protocol, cpu_ms: int = 20_000) -> Checking:
    desk.settings = replace(
        desk.settings, check_cpu_ms=cpu_ms, check_memory_bytes=128 * MIB, check_output_bytes=8 * MIB, check_processes=20
    )
    return desk.checking("python3", {"check.py": BROKEN_PYTHON}, protocol, scored=True)


@pytest.mark.parametrize("protocol", [TESTLIB, VALIDATOR])
async def test_no_broken_checker_is_a_verdict(desk: Desk, protocol: Protocol) -> None:
    """One after the other in one slot: none harms the next."""
    checking = broken(desk, protocol)
    assert "RuntimeError: cannot bear it" in failure(await desk.check(checking, b"crash"))
    assert f"signal {signal.SIGSEGV.value} ended it" in failure(await desk.check(checking, b"signal"))
    hasty = broken(desk, protocol, cpu_ms=1000)
    looped = failure(await desk.check(hasty, b"loop"))
    assert "it ran longer than 1 s" in looped or "wall time" in looped, "a host may be too busy to give it a second"
    assert "wall time" in failure(await desk.check(hasty, b"hang"))
    assert "it printed more than 8 MiB\nIt said:\nxxx" in failure(await desk.check(checking, b"flood"))
    failure(await desk.check(checking, b"memory"))  # killed for it, or refused and crashed
    failure(await desk.check(checking, b"forks"))
    assert "it exited with 9" in failure(await desk.check(checking, b"code"))
    assert "as I said" in failure(await desk.check(checking, b"points"))
    assert ruled(await desk.check(checking, b"fine"))[0] is V.ACCEPTED


@pytest.mark.parametrize("protocol", [TESTLIB, VALIDATOR])
async def test_a_rude_checker_still_has_its_say(desk: Desk, protocol: Protocol) -> None:
    checking = broken(desk, protocol)
    assert ruled(await desk.check(checking, b"orphan"))[0] is V.ACCEPTED
    assert ruled(await desk.check(checking, b"escape"))[0] is V.ACCEPTED
    verdict, words = ruled(await desk.check(checking, b"files"))
    assert verdict is V.ACCEPTED
    assert words == ("mine" if protocol is VALIDATOR else ""), "neither the folder nor the link was taken"
    assert (desk.directory / "input").read_bytes() == b"1 2\n"
    assert (desk.directory / "answer").read_bytes() == b"3\n"
    assert ruled(await desk.check(checking, b"big"))[0] is V.ACCEPTED
    verdict, words = ruled(await desk.check(checking, b"long"))
    assert verdict is V.ACCEPTED
    assert words.startswith("␀␛[31mzzz")
    assert len(words) < 5000
    assert ruled(await desk.check(checking, b"fine")) == (V.ACCEPTED, "")


CREDULOUS = """#include <fstream>
int main(int, char **names) {
    volatile char places[4] = {};
    long at;
    std::ifstream(names[2]) >> at;
    places[at] = 1;
    return 0;
}
"""


async def test_an_output_that_crashes_the_checker_is_the_setters(desk: Desk) -> None:
    """It believed that there is a number."""
    checking = desk.checking("cpp17", {"check.cpp": CREDULOUS}, TESTLIB)
    assert ruled(await desk.check(checking, b"0"))[0] is V.ACCEPTED
    assert "signal" in failure(await desk.check(checking, b"8000000000000"))


async def test_a_checker_that_does_not_compile(desk: Desk) -> None:
    checking = desk.checking("cpp17", {"check.cpp": "int main() { return undeclared; }\n"}, TESTLIB)
    for _ in range(2):
        message = failure(await desk.check(checking, b"3"))
        assert message.startswith("the checker failed on being compiled: the compiler refused it\nIt said:\n")
        assert "undeclared" in message


async def test_a_checker_in_a_language_that_this_node_has_not(desk: Desk) -> None:
    checking = desk.checking("intercal", {"check.i": "PLEASE"}, TESTLIB)
    assert "intercal" in failure(await desk.check(checking, b"3"))


# ---------------------------------------------------------------------------------------------------------------------
# Runtimes that hold their heap to a limit and start threads of their own: of a checker's memory, not of a program's

HUNGRY_JAVA = """import java.nio.file.*;
public class Check {
    public static void main(String[] args) throws Exception {
        long[][] held = new long[45][];
        for (int i = 0; i < held.length; i++) { held[i] = new long[1 << 20]; held[i][i] = i; }
        Thread[] threads = new Thread[40];
        for (int i = 0; i < threads.length; i++) (threads[i] = new Thread(() -> {})).start();
        for (Thread thread : threads) thread.join();
        String found = Files.readString(Path.of(args[1])).trim(), answer = Files.readString(Path.of(args[2])).trim();
        System.err.println(held[44][44] + " " + found);
        System.exit(found.equals(answer) ? 0 : 1);
    }
}
"""
HUNGRY_NODE = """const fs = require('fs');
const held = [];
for (let i = 0; i < 3e7; i++) held.push(i);
const [found, answer] = process.argv.slice(3, 5).map((name) => fs.readFileSync(name, 'utf8').trim());
console.error(held[44] + ' ' + found);
process.exit(found === answer ? 0 : 1);
"""
HUNGRY_PYTHON = """import sys
held = bytearray(400 << 20)
held[44] = 44
found, answer = (open(name).read().strip() for name in sys.argv[2:4])
print(held[44], found, file=sys.stderr)
sys.exit(found != answer)
"""


@pytest.mark.parametrize(
    ("language", "name", "source"),
    [
        pytest.param("java", "Check.java", HUNGRY_JAVA, marks=pytest.mark.needs(PROC)),
        ("javascript", "check.js", HUNGRY_NODE),
        ("python3", "check.py", HUNGRY_PYTHON),
    ],
)
async def test_a_checker_of_a_large_runtime(desk: Desk, language: str, name: str, source: str) -> None:
    checking = desk.checking(language, {name: source}, TESTLIB)
    assert ruled(await desk.check(checking, b"3\n")) == (V.ACCEPTED, "44 3")
    assert ruled(await desk.check(checking, b"4\n")) == (V.WRONG_ANSWER, "44 4")


# ---------------------------------------------------------------------------------------------------------------------
# Programs that bring scripts, at `weak`

_BUILD_SCRIPT = """#!/bin/sh
set -e
mkdir tools
printf '#!/bin/sh\\nexec "${0%%/*}/found" "$@"\\n' >tools/start.sh
ln -s tools/start.sh run
gcc -O1 -o found check.c
chmod +x run found
"""
_CHECK_C = """#include <stdio.h>
int main(int argc, char **argv) {
    int wanted, said;
    FILE *answer = argc > 2 ? fopen(argv[2], "r") : NULL;
    if (answer == NULL || fscanf(answer, "%d", &wanted) != 1) return 1;
    return scanf("%d", &said) == 1 && said == wanted ? 42 : 43;
}
"""
_SCRIPTS = {
    "a build script": {"build": _BUILD_SCRIPT, "check.c": _CHECK_C},
    "a run script": {
        "run": '#!/bin/sh\nexec python3 "${0%/*}/entry.py" "$@"\n',
        "entry.py": "import sys\nsys.exit(42 if sys.stdin.read() == open(sys.argv[2]).read() else 43)\n",
    },
}


@pytest.mark.full
@pytest.mark.parametrize("files", _SCRIPTS.values(), ids=list(_SCRIPTS))
async def test_validator_with_scripts_at_weak_judges(tmp_path: Path, files: dict[str, str]) -> None:
    async with LinuxBox.open(1, at_most=Isolation.WEAK, min_isolation=Isolation.WEAK) as box:
        desk = Desk(box, tmp_path, judge_settings(check_cpu_ms=20_000, compile_wall_ms=400_000))
        checking = desk.checking("build", files, VALIDATOR)

        assert ruled(await desk.check(checking, b"3\n"))[0] is V.ACCEPTED
        assert ruled(await desk.check(checking, b"4\n"))[0] is V.WRONG_ANSWER
