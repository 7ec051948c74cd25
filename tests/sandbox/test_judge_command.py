"""``deepoj judge``: protocol v1 as its caller sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deepoj import cli
from tests.logs import logs_put_back

FIELDS = {
    "schema_version", "job_id", "attempt_id", "verdict", "time_ms", "mem_kb", "exit_signal", "sandbox_error", "status",
    "time_used", "memory_used", "exit_code",
}  # fmt: skip


class Judge:
    """Runs the command with a home of its own, in this process or, where that matters, in a new one."""

    def __init__(self, directory: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self.results = directory / "home" / "workspace" / "judge"
        self._capfd = capfd

    def __call__(self, *words: str | Path) -> tuple[int, dict[str, Any], str]:
        self._capfd.readouterr()
        with logs_put_back():
            code = cli.run([*map(str, self.command(*words))])
        told = self._capfd.readouterr()
        return code, self._line(told.out), told.err

    def started(self, *words: str | Path) -> tuple[int, dict[str, Any], str]:
        done = subprocess.run(
            [sys.executable, "-m", "deepoj", *self.command(*words)],
            capture_output=True,
            text=True,
            cwd=self.directory,
            check=False,
            timeout=300,
        )
        return done.returncode, self._line(done.stdout), done.stderr

    def command(self, *words: str | Path) -> list[str | Path]:
        return ["--home", self.directory / "home", "judge", *words]

    def _line(self, stdout: str) -> dict[str, Any]:
        lines = stdout.splitlines()
        assert len(lines) <= 1, stdout
        found = json.loads(lines[0]) if lines else {}
        assert isinstance(found, dict)
        return found


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Judge:
    monkeypatch.chdir(tmp_path)
    return Judge(tmp_path, capfd)


def test_self_test(judge: Judge) -> None:
    code, line, _ = judge.started("--self_test", "--job_id", "demo_job", "--attempt_id", "0")

    assert code == 0
    assert set(line) == FIELDS
    assert (line["schema_version"], line["job_id"], line["attempt_id"]) == (1, "demo_job", 0)
    assert (line["verdict"], line["sandbox_error"], line["exit_code"], line["exit_signal"]) == ("OK", "", 0, 0)


def test_compile_run_clean_up(judge: Judge) -> None:
    (judge.directory / "a.cpp").write_text(
        '#include <cstdio>\nint main() { int a, b; scanf("%d %d", &a, &b);'
        ' fputs("e", stderr); printf("%d\\n", a + b); }\n'
    )
    (judge.directory / "in").write_text("1 2\n")

    code, line, stderr = judge.started("--compile", "-s", "a.cpp", "-r", "x1")
    assert (code, line["verdict"]) == (0, "OK"), stderr

    program = judge.results / "x1" / "main"
    code, line, _ = judge("-c", program, "-i", "in", "-o", "out", "-e", "err", "-t", "10000", "-m", "65536")
    assert (code, line["verdict"], line["status"]) == (0, "OK", "Finished")
    assert (judge.directory / "out").read_text() == "3\n"
    assert (judge.directory / "err").read_text() == "e"

    for _ in range(2):
        code, _, _ = judge("--cleanup", "-r", "x1")
        assert code == 0
        assert not (judge.results / "x1").exists()


def test_a_source_that_does_not_compile(judge: Judge) -> None:
    (judge.directory / "a.c").write_text("int main(void) { return x; }\n")

    code, line, _ = judge("--compile", "-s", "a.c", "-r", "x1")

    assert (code, line["verdict"], line["sandbox_error"]) == (1, "RE", "")
    assert "main.c:1" in line["error"]
    assert not (judge.results / "x1" / "main").exists()


@pytest.mark.parametrize(
    ("words", "verdict", "exit_code"),
    [(("exit", "255"), "RE", 255), (("exit", "127"), "RE", 127), (("loop",), "TLE", 0), (("grow",), "MLE", 0)],
)
def test_verdicts(judge: Judge, words: tuple[str, ...], verdict: str, exit_code: int) -> None:
    script = judge.directory / "main"
    source = judge.directory / "main.c"
    body = {"exit": f"return {words[-1] if len(words) > 1 else 0};", "loop": "for (;;);", "grow": GROW}[words[0]]
    source.write_text(f"#include <stdlib.h>\n#include <string.h>\nint main(void) {{ {body} }}\n")
    subprocess.run(["gcc", "-O0", "-o", script, source], check=True, timeout=600)

    call = judge.started if words == ("exit", "255") else judge
    code, line, _ = call("-c", "main", "-t", "300", "-m", "32768")

    assert (code, line["verdict"]) == (1, verdict)
    assert line["exit_code"] == exit_code or verdict != "RE"
    assert line["sandbox_error"] == ""


GROW = "for (;;) memset(malloc(1 << 20), 1, 1 << 20);"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--self_test", "--cleanup", "-r", "x"),
        ("--cleanup", "-r", "../x"),
        ("--cleanup", "-r", ""),
        ("--compile", "-r", "x"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(judge: Judge, words: tuple[str, ...]) -> None:
    code, line, stderr = (judge if words else judge.started)(*words)

    assert (code, line) == (2, {})
    assert len(stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [("-o", "main"), ("-e", "./main"), ("-i", "in", "-o", "in"), ("-i", "in", "-e", "link"), ("-o", "x", "-e", "x")],
)
def test_no_output_goes_over_what_is_read_or_another(judge: Judge, words: tuple[str, ...]) -> None:
    for name in ("main", "in"):
        (judge.directory / name).write_text("precious")
    (judge.directory / "link").symlink_to("in")

    code, line, stderr = judge("-c", "main", *words)

    assert (code, line, len(stderr.splitlines())) == (2, {}, 1)
    assert [(judge.directory / name).read_text() for name in ("main", "in")] == ["precious", "precious"]


def test_outputs_of_no_interest_may_go_to_one_place(judge: Judge) -> None:
    code, line, _ = judge("-c", "/bin/true", "-i", "/bin/true", "-o", "/dev/null", "-e", "/dev/null")

    assert (code, line["verdict"]) == (0, "OK")


def test_judge_with_dev_null_as_input_gives_the_program_nothing(judge: Judge) -> None:
    code, line, _ = judge("-c", "/bin/cat", "-i", "/dev/null", "-o", "out")

    assert (code, line["verdict"], (judge.directory / "out").read_text()) == (0, "OK", "")


@pytest.mark.parametrize(
    "shell",
    [
        '"$@" -i <(echo 1 2)',
        'echo 1 2 | "$@" -i /dev/stdin',
        'mkfifo pipe && { timeout 300 bash -c "echo 1 2 > pipe" & } && "$@" -i pipe',
    ],
)
def test_judge_with_a_pipe_as_input_gives_the_program_what_is_written_there(judge: Judge, shell: str) -> None:
    words = [sys.executable, "-m", "deepoj", *judge.command("-c", "/bin/cat", "-o", "out")]
    done = subprocess.run(["bash", "-c", shell, "bash", *words], cwd=judge.directory, check=False, timeout=300)

    assert (done.returncode, (judge.directory / "out").read_text()) == (0, "1 2\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-c", "absent"), "there is no program absent"),
        (("-c", "."), "the program . is not a regular file"),
        (("-c", "/bin/true", "-i", "absent"), "there is no input absent"),
        (("-c", "/bin/true", "-i", "."), "the input . is neither a file nor a pipe nor /dev/null"),
        (("-c", "/bin/true", "-i", "/dev/zero"), "the input /dev/zero is neither a file nor a pipe nor /dev/null"),
        (("-c", "/bin/true", "-o", "link"), "the output link is a symbolic link"),
        (("--compile", "-r", "x", "-s", "absent.cpp"), "there is no source absent.cpp"),
        (("--compile", "-r", "x", "-s", "/dev/null"), "-s /dev/null: a source is a file that ends in one of "),
    ],
)
def test_judge_with_a_path_it_cannot_use_says_why(judge: Judge, words: tuple[str, ...], says: str) -> None:
    (judge.directory / "link").symlink_to("elsewhere")

    code, line, stderr = judge(*words)

    assert (code, line, len(stderr.splitlines())) == (2, {}, 1)
    assert says in stderr


@pytest.mark.parametrize("option", ["-o", "-e"])
def test_an_output_that_cannot_be_written_is_one_line(judge: Judge, option: str) -> None:
    code, line, stderr = judge("-c", "/bin/true", option, ".")

    assert (code, line, len(stderr.splitlines())) == (1, {}, 1)


def test_a_program_that_is_none_has_no_exit_code(judge: Judge) -> None:
    (judge.directory / "main").write_text("no program")

    code, line, _ = judge("-c", "main")

    assert (code, line["verdict"], line["exit_code"], line["exit_signal"]) == (1, "RE", 0, 0)
