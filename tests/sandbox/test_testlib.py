"""``testlib.h`` as a build took it, used as setters use it: compiled in the sandbox like their programs, then asked for
exit codes and words. What these mean is ``verdicts``'."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from deepoj.execution.checking import compiled_program
from deepoj.execution.compiling import Compiled, Compiler
from deepoj.judging import testlib, verdicts
from deepoj.judging.problem import Program, Protocol
from deepoj.observe import Metrics
from deepoj.words.results import Verdict
from deepoj.words.sandbox import RunVerdict
from tests.fakes.settings import judge_settings
from tests.sandbox.bench import open_box

SOURCE = Path(__file__).parent / "testlib_user.cpp"
V = Verdict


@dataclass(frozen=True)
class User:
    """The compiled program, and a directory to call it in."""

    program: Path
    directory: Path

    def check(self, piece: str, *, output: bytes, answer: bytes = b"3\n", given: bytes = b"1 2\n") -> tuple[int, str]:
        """Exit code and what it said."""
        for name, text in (("input", given), ("output", output), ("answer", answer)):
            (self.directory / name).write_bytes(text)
        return self.run("input", "output", "answer", piece)[:2]

    def run(self, *words: str, stdin: bytes = b"") -> tuple[int, str, str]:
        ended = subprocess.run(
            [self.program, *words], cwd=self.directory, input=stdin, capture_output=True, timeout=120, check=False
        )
        return ended.returncode, ended.stderr.decode(), ended.stdout.decode()


def compiled(directory: Path, language: str, begin: str) -> Path:
    """The program, as the sandbox compiles a setter's."""
    (directory / "package").mkdir()
    (directory / "package" / "user.cpp").write_text(begin + SOURCE.read_text())

    async def compile_it() -> Path:
        async with open_box(1) as box:
            settings = judge_settings(compile_wall_ms=100_000)
            made = await compiled_program(
                Compiler(box, settings=settings, metrics=Metrics()),
                Program(language=language, files=("user.cpp",), entry="user.cpp"),
                (directory / "package").joinpath,
                directory / "made",
                settings=settings,
            )
            assert isinstance(made, Compiled), made
            assert made.executable is not None, made.result
            return made.executable.files_in[0].path

    program = trio.run(compile_it)
    program.chmod(0o755)
    return program


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("testlib"), "cpp17", "")


@pytest.fixture
def user(program: Path, tmp_path: Path) -> User:
    return User(program, tmp_path)


def verdict(code: int) -> Verdict:
    run = RunVerdict.RE if code else RunVerdict.OK
    return verdicts.of_check(Protocol.TESTLIB, run, "exit" if code else "ok", exit_code=code, exit_signal=0)


ROWS = [
    ("sum", b"3\n", 0, V.ACCEPTED, "ok 3\n"),
    ("sum", b"\xef\xbb\xbf3\r\n", 0, V.ACCEPTED, "ok 3\n"),
    ("sum", b"4\n", 1, V.WRONG_ANSWER, "wrong answer 1 plus 2 is 3, not 4\n"),
    ("sum", b"13", 1, V.WRONG_ANSWER, "wrong answer 13 is never right\n"),
    ("sum", b"2000000001", 1, V.WRONG_ANSWER, "wrong answer Integer parameter [name=sum] equals to 2000000001,"),
    ("sum", b"", 2, V.PRESENTATION_ERROR, "wrong output format Unexpected end of file - int64 expected\n"),
    ("sum", b"03", 2, V.PRESENTATION_ERROR, 'wrong output format Expected integer, but "03" found\n'),
    ("sum", b"99999999999999999999", 2, V.PRESENTATION_ERROR, "wrong output format Expected integer, but"),
    ("sum", b"3 4", 2, V.PRESENTATION_ERROR, "wrong output format Extra information in the output file\n"),
    ("points", b"1", 7, V.PARTIAL, "points 0.125"),
    ("points", b"1 2", 2, V.PRESENTATION_ERROR, "wrong output format Extra information in the output file\n"),
    ("points-alone", b"1", 7, V.PARTIAL, "points 3"),
    ("partially", b"1", 66, V.SYSTEM_ERROR, "partially correct (50) half\n"),
    ("format", b"", 2, V.PRESENTATION_ERROR, "wrong output format no format\n"),
    ("dirt", b"", 2, V.PRESENTATION_ERROR, "wrong output format more behind it\n"),
    ("double", b"3.0000001", 0, V.ACCEPTED, "ok near\n"),
    ("double", b"3.1", 1, V.WRONG_ANSWER, "wrong answer off by 0.033\n"),
    ("double", b"nan", 2, V.PRESENTATION_ERROR, 'wrong output format Expected double, but "nan" found\n'),
    ("case", b"", 1, V.WRONG_ANSWER, "wrong answer no (test case 3)\n"),
    ("lines", b"a  b\r\ncd\n", 0, V.ACCEPTED, "ok 'a  b"),
    ("lines", b"a\nB\n", 1, V.WRONG_ANSWER, "wrong answer Line [name=second] equals to"),
    ("token", b"yes", 0, V.ACCEPTED, "ok YES\n"),
    ("token", b"yess", 1, V.WRONG_ANSWER, "wrong answer Token parameter [name=answer] equals to"),
    ("many", b"1 2 3\n", 0, V.ACCEPTED, "ok 6\n"),
    ("many", b"1 2 10\n", 1, V.WRONG_ANSWER, "wrong answer Integer element x[3] equals to 10,"),
    ("ensure", b"", 3, V.SYSTEM_ERROR, "FAIL 1 is not above 2\n"),
    ("fail", b"", 3, V.SYSTEM_ERROR, "FAIL the answer is wrong\n"),
    ("silent", b"", 3, V.SYSTEM_ERROR, "FAIL Checker must end with quit or quitf call."),
]


@pytest.mark.parametrize(("piece", "output", "code", "means", "words"), ROWS)
def test_a_checkers_exit_code_gives_the_verdict(
    user: User, *, piece: str, output: bytes, code: int, means: Verdict, words: str
) -> None:
    found = user.check(piece, output=output)
    assert found[0] == code, found
    assert verdict(code) is means
    assert found[1].startswith(words), found


@pytest.mark.parametrize(
    "define", [pytest.param(one, marks=pytest.mark.full) for one in ("EJUDGE", "CONTESTER", "TESTSYS", "PCMS2")]
)
def test_a_source_for_another_system_exits_as_all_others(define: str, tmp_path: Path) -> None:
    """Wrong Answer would be 5, which says points here, and Accepted 0xAC."""
    language = "cpp23" if define == "EJUDGE" else "cpp17"
    user = User(compiled(tmp_path, language, f"#define {define}\n"), tmp_path)

    for piece, output, code, _, _ in ROWS:
        assert user.check(piece, output=output)[0] == code, (piece, output)


@pytest.mark.full
def test_an_exit_code_that_a_source_sets_is_left_to_it(tmp_path: Path) -> None:
    user = User(compiled(tmp_path, "cpp17", "#define OK_EXIT_CODE 42\n#define WA_EXIT_CODE 43\n"), tmp_path)

    assert [user.check("sum", output=output)[0] for output in (b"3", b"4", b"")] == [42, 43, 2]


@pytest.mark.parametrize(
    ("given", "answer"), [(b"1 2\n", b""), (b"1 2\n", b"13"), (b"1 2\n", b"no"), (b"", b"3"), (b"1 x", b"3")]
)
def test_a_faulty_input_or_answer_fails_the_checker(user: User, given: bytes, answer: bytes) -> None:
    code, words = user.check("sum", output=b"3", given=given, answer=answer)
    assert code == 3
    assert words.startswith("FAIL ")


@pytest.mark.parametrize(
    ("args", "stdin", "code", "words"),
    [
        ((), b"100\n", 0, ""),
        (("--testset", "main", "--group", "small"), b"5\n", 0, ""),
        (("--group", "small"), b"6\n", 3, "FAIL Integer parameter [name=n] equals to 6, violates the range [1, 5]"),
        (("--testOverviewLogFileName", "overview", "--testCase", "1"), b"1\n", 0, ""),
        (("--testOverviewLogFileName=overview",), b"1\n", 0, ""),
        ((), b"1\r\n", 3, "FAIL Expected EOLN (stdin, line 1)\n"),
        ((), b" 1\n", 3, "FAIL Unexpected white-space - token expected (stdin, line 1)\n"),
        ((), b"1", 3, "FAIL Expected EOLN (stdin, line 1)\n"),
        ((), b"1\n\n", 3, "FAIL Expected EOF (stdin, line 2)\n"),
        ((), b"", 3, "FAIL Unexpected end of file"),
    ],
)
def test_a_validator_accepts_with_0_and_refuses_with_3(
    user: User, args: tuple[str, ...], stdin: bytes, code: int, words: str
) -> None:
    found = user.run(*args, "validate", stdin=stdin)
    assert found[0] == code, found
    assert found[1].startswith(words), found


def test_a_validator_has_to_read_to_the_end(user: User) -> None:
    assert user.run("validate-half", stdin=b"1\n2\n")[:2] == (3, "FAIL Validator must end with readEof call.\n")


def test_a_generator_gives_the_same_for_the_same_words_alone(user: User) -> None:
    one, again, other = (user.run(f"-n={number}", "generate") for number in (7, 7, 8))
    assert one[0] == 0, one
    assert one == again
    assert one[2].split()[0] == "7"
    assert one[2].split()[1:] != other[2].split()[1:]


@pytest.mark.parametrize(
    ("guesses", "code", "words"),
    [
        (b"50\n75\n60\n", 0, "ok 3 tries\n"),
        (b"50\n", 2, "wrong output format Unexpected end of file - int32 expected\n"),
        (b"50\n101\n", 1, "wrong answer Integer parameter [name=guess]"),
    ],
)
def test_an_interactor_says_how_the_talk_went(user: User, guesses: bytes, code: int, words: str) -> None:
    (user.directory / "input").write_bytes(b"60")
    (user.directory / "answer").touch()
    found = user.run("input", "log", "answer", "guess", stdin=guesses)
    assert found[0] == code, found
    assert found[1].startswith(words), found
    assert (user.directory / "log").read_bytes() == (b"3\n" if code == 0 else b"")


def test_the_header_is_the_one_that_was_asked_for() -> None:
    assert testlib.version() == "0.9.44"
