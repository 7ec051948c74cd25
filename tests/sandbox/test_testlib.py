"""Our ``testlib.h``, used as setters use it: exit codes and words. It is compiled once, with all warnings."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from deepoj.judging import testlib

SOURCE = Path(__file__).parent / "testlib_user.cpp"
WARNINGS = ("-Wall", "-Wextra", "-Werror")


@dataclass(frozen=True)
class User:
    """The compiled program, and a directory to call it in."""

    program: Path
    directory: Path

    def check(self, piece: str, *, output: bytes, answer: bytes = b"3\n", given: bytes = b"1 2\n") -> tuple[int, str]:
        """Exit code and what it said."""
        for name, text in (("input", given), ("output", output), ("answer", answer)):
            (self.directory / name).write_bytes(text)
        return self.run("input", "output", "answer", piece)

    def run(self, *words: str, stdin: bytes = b"") -> tuple[int, str]:
        ended = subprocess.run(
            [self.program, *words], cwd=self.directory, input=stdin, capture_output=True, timeout=120, check=False
        )
        return ended.returncode, ended.stderr.decode()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("testlib")
    (directory / testlib.NAME).write_bytes(testlib.header())
    for standard in ("gnu++17", "gnu++23"):
        command = ("g++", f"-std={standard}", "-O1", *WARNINGS, "-I", directory, "-o", directory / "user", SOURCE)
        subprocess.run(command, check=True, timeout=300)
    return directory / "user"


@pytest.fixture
def user(program: Path, tmp_path: Path) -> User:
    return User(program, tmp_path)


@pytest.mark.parametrize(
    ("piece", "output", "code", "words"),
    [
        ("sum", b"3\n", 0, "ok 3\n"),
        ("sum", b"  3", 0, "ok 3\n"),
        ("sum", b"4\n", 1, "wrong answer 1 plus 2 is 3, not 4\n"),
        ("sum", b"13", 1, "wrong answer 13 is never right\n"),
        (
            "sum",
            b"2000000001",
            1,
            'wrong answer Integer parameter [name=sum] equals to "2000000001", violates the range'
            " [-2000000000, 2000000000]\n",
        ),
        ("sum", b"", 2, "wrong output format Unexpected end of file - token expected\n"),
        ("sum", b"three", 2, 'wrong output format Expected integer, but "three" found\n'),
        ("sum", b"03", 2, 'wrong output format Expected integer, but "03" found\n'),
        ("sum", b"99999999999999999999", 2, 'wrong output format Expected integer, but "99999999999999999999" found\n'),
        ("sum", b"3\0", 2, "wrong output format Expected integer, but"),
        ("sum", b"x" * 100_000, 2, "wrong output format Expected integer, but"),
        ("sum", b"3 4", 4, "wrong output format Extra information in the output file\n"),
        ("points", b"1", 7, "points 0.125 of 2\n"),
        ("points", b"1 2", 4, "wrong output format Extra information in the output file\n"),
        ("quitp-bare", b"1", 7, "points 3\n"),
        ("partially", b"1", 66, "partially correct (50) half\n"),
        ("double", b"3.0000001", 0, "ok near\n"),
        ("double", b"3.1", 1, "wrong answer off by 0.033\n"),
        ("double", b"nan", 2, 'wrong output format Expected double, but "nan" found\n'),
        ("double", b"0x3", 2, 'wrong output format Expected double, but "0x3" found\n'),
        ("case", b"", 1, "wrong answer test case 3: no\n"),
        ("line", b"a  b\r\nc d\n", 0, "ok 'a  b' 'c d'\n"),
        ("line", b"a\nB\n", 1, 'wrong answer Line parameter [name=second] equals to "B", doesn\'t correspond'),
        ("line", b"a\n", 2, "wrong output format Expected line\n"),
        ("token", b"yesno", 0, "ok YESNO\n"),
        ("token", b"yess", 1, 'wrong answer Token parameter [name=answer] equals to "yess", doesn\'t correspond'),
        ("many", b"1 2 3\n", 0, "ok 1+2+3\n"),
        (
            "many",
            b"1 2 10\n",
            1,
            'wrong answer Integer parameter [name=x[3]] equals to "10", violates the range [1, 9]',
        ),
        ("many", b"1 2 3 4\n", 2, "wrong output format Expected EOLN, but '4' found\n"),
        ("chars", b"a b  c\n\n", 0, "ok a b|c| 1\n"),
        ("chars", b"ab", 2, "wrong output format Unexpected character 'b', but ' ' expected\n"),
        ("ensure", b"", 3, 'FAIL Condition failed: "a > b"\n'),
        ("ensuref", b"", 3, "FAIL 1 is not above 2\n"),
        ("fail", b"", 3, "FAIL the answer is wrong\n"),
        ("silent", b"", 3, "FAIL ended without a verdict\n"),
        ("helpers", b"1", 0, "ok all\n"),
    ],
)
def test_checkers(user: User, *, piece: str, output: bytes, code: int, words: str) -> None:
    found = user.check(piece, output=output)
    assert found[0] == code, found
    assert found[1].startswith(words), found


@pytest.mark.parametrize(
    ("given", "answer"), [(b"1 2\n", b""), (b"1 2\n", b"13"), (b"1 2\n", b"no"), (b"", b"3"), (b"1 x", b"3")]
)
def test_what_is_wrong_with_the_setters_files_is_a_failure(user: User, given: bytes, answer: bytes) -> None:
    code, words = user.check("sum", output=b"3", given=given, answer=answer)
    assert code == 3
    assert words.startswith("FAIL ")


def test_a_missing_output_is_the_contestants_and_a_missing_answer_is_not(user: User) -> None:
    user.check("sum", output=b"3")
    (user.directory / "output").unlink()
    assert user.run("input", "output", "answer", "sum")[0] == 2
    (user.directory / "answer").unlink()
    assert user.run("input", "output", "answer", "sum")[0] == 3
    assert user.run("input", "sum")[0] == 3, "too few words"


@pytest.mark.parametrize(
    ("stdin", "code", "words"),
    [
        (b"2\n-9 9\n", 0, ""),
        (b"2\n-9  9\n", 3, "FAIL Unexpected white-space - token expected (stdin, line 2)\n"),
        (
            b"2\n-9 10\n",
            3,
            'FAIL Integer parameter [name=a[2]] equals to "10", violates the range [-9, 9]',
        ),
        (b" 2\n1 1\n", 3, "FAIL Unexpected white-space - token expected (stdin, line 1)\n"),
        (b"2\n1 1", 3, "FAIL Expected EOLN, but EOF found (stdin, line 2)\n"),
        (b"2\n1 1\n\n", 3, "FAIL Expected EOF, but #10 found (stdin, line 3)\n"),
        (b"6\n", 3, 'FAIL Integer parameter [name=n] equals to "6", violates the range [1, 5] (stdin, line 1)\n'),
        (b"", 3, "FAIL Unexpected end of file - token expected (stdin, line 1)\n"),
    ],
)
def test_validators(user: User, stdin: bytes, code: int, words: str) -> None:
    found = user.run("validate", stdin=stdin)
    assert found[0] == code, found
    assert found[1].startswith(words), found


def test_a_validator_has_to_read_to_the_end(user: User) -> None:
    assert user.run("validate-half", stdin=b"1\n2\n") == (3, "FAIL ended without inf.readEof()\n")


@pytest.mark.parametrize(
    ("guesses", "code", "words"),
    [
        (b"50\n75\n60\n", 0, "ok 3 tries\n"),
        (b"50\n", 2, "wrong output format Unexpected end of file - token expected\n"),
        (b"50\n101\n", 1, "wrong answer Integer parameter [name=guess]"),
    ],
)
def test_interactors(user: User, guesses: bytes, code: int, words: str) -> None:
    (user.directory / "input").write_bytes(b"60")
    (user.directory / "answer").touch()
    found = user.run("input", "log", "answer", "guess", stdin=guesses)
    assert found[0] == code, found
    assert found[1].startswith(words), found
    assert (user.directory / "log").read_bytes() == (b"3\n" if code == 0 else b"")


def test_an_interactor_answers_before_the_other_side_has_ended(user: User) -> None:
    """Its input must not wait for a full buffer, nor its output."""
    (user.directory / "input").write_bytes(b"60")
    (user.directory / "answer").touch()
    command = [str(user.program), "input", "log", "answer", "guess"]
    with subprocess.Popen(
        command, cwd=user.directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as talk:
        assert talk.stdin is not None
        assert talk.stdout is not None
        for guess, reply in ((b"50\n", b"more\n"), (b"61\n", b"less\n"), (b"60\n", b"right\n")):
            talk.stdin.write(guess)
            talk.stdin.flush()
            assert talk.stdout.readline() == reply
        assert talk.wait(60) == 0
