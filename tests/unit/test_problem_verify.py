"""``deepoj problem verify`` over a scripted box: what is judged, what is printed, what the exit code says."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio

from deepoj import cli
from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.judging.languages import Language
from deepoj.operate import problem_verify
from deepoj.operate.problem_verify.progress import ProgressView
from deepoj.words.errors import BoxBroken
from deepoj.words.sandbox import Policy, RunOutcome, RunSpec, RunVerdict
from tests.fakes.box import ScriptedBox, outcome
from tests.fakes.settings import judge_settings
from tests.logs import logs_put_back

CASES = {"1.in": "1 2\n", "1.out": "3\n", "2.in": "5 5\n", "2.out": "10\n"}
AC, WA, TLE = "submissions/accepted/", "submissions/wrong_answer/", "submissions/time_limit_exceeded/"
INPUT_OK = outcome(RunVerdict.RE, exit_code=42)


def widened(limit_ms: int) -> int:
    """What a run may use whose verdict is decided by ``limit_ms``."""
    return math.ceil(limit_ms * (1 + judge_settings().borderline_percent / 100))


@dataclass
class Bench:
    """A scripted box in the place of the host's, and packages on the disk."""

    box: ScriptedBox
    here: Path
    capsys: pytest.CaptureFixture[str]

    def package(self, files: Mapping[str, str | bytes], *, cases: Mapping[str, str] = CASES) -> Path:
        """A directory."""
        home = self.here / "package"
        for name, content in {**cases, **files}.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return home

    def verify(self, *args: str | Path) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        code = cli.run(["--home", str(self.here / "home"), "problem", "verify", *map(str, args)])
        return code, *self.capsys.readouterr()

    def told(self, *args: str | Path) -> tuple[int, dict[str, Any]]:
        code, out, _ = self.verify(*args, "--json")
        assert out.count("\n") == 1
        found = json.loads(out)
        assert isinstance(found, dict)
        return code, found


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Bench]:
    box = ScriptedBox()

    @contextlib.asynccontextmanager
    async def opened(*_args: object, **_options: object) -> AsyncIterator[ScriptedBox]:
        yield box

    def there(languages: list[Language], _toolchain: object, *, has_proc: bool) -> dict[str, str]:
        assert has_proc
        return {language.key: "1.0" for language in languages if language.key != "c17"}

    monkeypatch.setattr(LinuxBox, "open", opened)
    monkeypatch.setattr(problem_verify, "versions", there)
    with logs_put_back():
        yield Bench(box, tmp_path, capsys)


def test_kept_promises(bench: Bench) -> None:
    bench.box.on(Policy.RUN, b"WRONG", outcome(stdout=b"4", cpu_ms=7, memory_kb=2048))
    bench.box.on(Policy.RUN, b"SLOW", outcome(RunVerdict.TLE, cpu_ms=1001))
    home = bench.package({f"{AC}a.cpp": "x", f"{WA}b.py": "WRONG", f"{TLE}c.cpp": "SLOW"})
    code, told = bench.told(home)
    assert code == 0
    assert (told["checked"], told["matched"], told["skipped"], told["unpromised"]) == (3, 3, 0, 0)
    by_name = {Path(case["submission"]).name: case for case in told["cases"]}
    first, second, third = by_name["a.cpp"], by_name["b.py"], by_name["c.cpp"]
    assert first == {
        "submission": f"{AC}a.cpp", "language": "cpp20", "expected": ["Accepted"], "expected_scores": [],
        "promised_by": "accepted", "got": "Accepted", "score": 100.0, "status": "ok", "why": "", "slowest_test": "1",
        "time_ms": 1, "memory_kb": 1024, "decided_by_default": [],
    }  # fmt: skip
    assert (second["got"], second["status"], second["slowest_test"], second["memory_kb"]) == (
        "Wrong Answer", "ok", "1", 2048,
    )  # fmt: skip
    assert (third["got"], third["time_ms"]) == ("Time Limit Exceeded", 1001)


def test_a_zip_is_as_good_as_a_directory(bench: Bench) -> None:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name, content in {**CASES, f"{AC}a.cpp": "x"}.items():
            archive.writestr(name, content)
    (bench.here / "sums.zip").write_bytes(raw.getvalue())
    code, told = bench.told(bench.here / "sums.zip")
    assert (code, told["matched"]) == (0, 1)


def test_a_broken_promise_ends_with_1(bench: Bench) -> None:
    home = bench.package({f"{AC}a.cpp": "x", f"{WA}b.cpp": "x"})
    code, out, err = bench.verify(home)
    assert code == 1
    assert "submissions/wrong_answer/b.cpp: differs: Accepted" in out
    assert "1 of 2 submissions came to what was promised" in err
    code, told = bench.told(home)
    assert (code, told["checked"], told["matched"]) == (1, 2, 1)
    assert [case["status"] for case in told["cases"]] == ["ok", "differs"]


def test_a_line_in_the_source_rules(bench: Bench) -> None:
    code, told = bench.told(bench.package({f"{WA}b.cpp": "// @EXPECTED_RESULTS@: CORRECT, TIMELIMIT\n"}))
    assert (code, told["cases"][0]["expected"]) == (0, ["Accepted", "Time Limit Exceeded"])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a.c", "this host has no C17 (GCC)"),
        ("a.f90", "there is no language 'fortran'"),
        ("a.py2", "it is in Python 2, and this judge runs Python 3"),
    ],
)
def test_a_language_that_is_not_here_is_a_skip(bench: Bench, name: str, why: str) -> None:
    home = bench.package({f"{AC}{name}": "x", f"{AC}b.cpp": "x"})
    code, told = bench.told(home)
    assert (code, told["checked"], told["matched"], told["skipped"]) == (1, 1, 1, 1)
    assert [case["why"] for case in told["cases"] if case["status"] == "skipped"] == [why]
    assert [case["got"] for case in told["cases"] if case["status"] == "skipped"] == [None]
    code, told = bench.told(home, "--allow-skips")
    assert (code, told["skipped"]) == (0, 1)
    code, out, err = bench.verify(home)
    assert (code, why in out, "--allow-skips" in err) == (1, True, True)


def test_submission_that_cannot_be_judged_differs_from_any_promise(bench: Bench) -> None:
    bench.box.on(Policy.RUN, b"ODD", outcome(RunVerdict.SE))
    code, told = bench.told(bench.package({"submissions/rejected/a.cpp": "ODD", f"{AC}b.cpp": "x"}), "--allow-skips")
    assert (code, told["matched"]) == (1, 1)
    odd = next(case for case in told["cases"] if case["submission"].endswith("a.cpp"))
    assert (odd["status"], odd["got"]) == ("differs", None)
    assert "scripted" in odd["why"]


def test_a_sandbox_that_falls_over_is_no_finding(bench: Bench) -> None:
    bench.box.on(Policy.RUN, b"", BoxBroken("the launcher is gone"))
    code, out, err = bench.verify(bench.package({f"{AC}a.cpp": "x"}))
    assert (code, out) == (3, "")
    assert "the launcher is gone" in err


def test_submissions_are_judged_side_by_side_over_the_slots(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 3)
    monkeypatch.setenv("WORKER_POOL_SIZE", "3")
    together, all_three = 0, trio.Event()
    inner = bench.box.run

    async def run(spec: RunSpec) -> RunOutcome:
        nonlocal together
        if spec.policy is Policy.RUN and together < 3:
            # a run ends only once three of them are under way
            together += 1
            if together == 3:
                all_three.set()
            with trio.fail_after(10):
                await all_three.wait()
        return await inner(spec)

    monkeypatch.setattr(bench.box, "run", run)
    home = bench.package({f"{AC}{name}.cpp": name for name in "abcde"})
    code, told = bench.told(home)
    assert (code, told["matched"], together) == (0, 5, 3)
    assert [case["submission"] for case in told["cases"]] == [f"{AC}{name}.cpp" for name in "abcde"]


def test_words_of_a_compiler_are_shown_without_a_promise(bench: Bench) -> None:
    bench.box.on(Policy.COMPILE, b"BAD", outcome(RunVerdict.RE, exit_code=1, stderr=b"main.cpp:1: error: what"))
    home = bench.package({"submissions/mine/a.cpp": "BAD", f"{AC}b.cpp": "x"})
    code, out, _ = bench.verify(home)
    assert code == 0
    assert "submissions/mine/a.cpp: no promise: Compile Error: main.cpp:1: error: what" in out


def test_message_of_a_broken_checker_is_printed_once(bench: Bench) -> None:
    bench.box.on(Policy.RUN, b"ours", outcome(RunVerdict.RE, exit_code=99, stderr=b"my checker is out of order"))
    home = bench.package({**CHECKED, **{f"{AC}{name}.cpp": name for name in "abcde"}})
    code, out, _ = bench.verify(home)
    assert code == 1
    assert out.count("my checker is out of order") == 1
    assert f"{AC}a.cpp, {AC}b.cpp, {AC}c.cpp and 2 more: differs: not judged: the checker failed on test 1" in out


def test_submissions_of_several_files(bench: Bench) -> None:
    code, told = bench.told(bench.package({f"{AC}go/main.cpp": "int main()", f"{AC}go/b.cpp": "y", f"{AC}go/b.h": "z"}))
    assert code == 0, told
    (compiling,) = bench.box.runs(Policy.COMPILE)
    assert [file.name for file in compiling.files_in] == ["main.cpp", "b.cpp", "b.h"]


def test_outputs_for_an_output_only_problem(bench: Bench) -> None:
    files = {
        "deepoj.yaml": "output_only: true\n",
        f"{AC}right/1.out": "3",
        f"{AC}right/2.out": "10",
        f"{WA}half/1.out": "3",
    }
    code, told = bench.told(bench.package(files))
    assert (code, told["matched"]) == (0, 2), told
    assert [case["language"] for case in told["cases"]] == ["text", "text"]
    assert bench.box.specs == []


def test_files_in_folders_are_a_skip(bench: Bench) -> None:
    code, told = bench.told(bench.package({f"{AC}go/main.py": "y", f"{AC}go/lib/b.py": "z"}))
    assert (code, told["skipped"]) == (1, 1)
    assert "lib/b.py" in told["cases"][0]["why"]


def test_a_source_that_is_no_utf8(bench: Bench) -> None:
    code, told = bench.told(bench.package({f"{AC}a.cpp": b"// caf\xe9\n"}))
    assert (code, told["matched"]) == (0, 1)


def test_a_package_that_cannot_be_read_ends_with_2(bench: Bench) -> None:
    code, out, err = bench.verify(bench.package({}, cases={"1.in": "1\n"}))
    assert (code, out) == (2, "")
    assert "1.in" in err
    (bench.here / "no.zip").write_bytes(b"no zip")
    code, out, err = bench.verify(bench.here / "no.zip", "--json")
    assert (code, out) == (2, "")
    assert "zip" in err
    assert bench.verify(bench.here / "nowhere")[0] == 2
    assert bench.box.specs == []


def test_a_package_without_submissions_says_so(bench: Bench) -> None:
    code, out, _ = bench.verify(bench.package({}))
    assert code == 0
    assert "the package carries no submissions" in out


def test_the_limits(bench: Bench) -> None:
    home = bench.package({f"{AC}a.cpp": "x"})
    code, told = bench.told(home, "--time-limit", "700", "--memory-limit", "33")
    assert (code, told["time_limit_ms"], told["memory_limit_mb"]) == (0, 700, 33)
    limits = bench.box.runs()[0].limits
    assert (limits.cpu_ms, limits.memory_bytes) == (widened(700), 33 * 1024 * 1024)


@pytest.mark.parametrize(("cpu_ms", "tight"), [(400, False), (600, True)])
def test_how_near_the_limit_the_accepted_come(bench: Bench, cpu_ms: int, tight: bool) -> None:
    bench.box.on(Policy.RUN, b"x", outcome(stdout=b"3", cpu_ms=cpu_ms))
    home = bench.package({f"{AC}a.cpp": "x"}, cases={"1.in": "1 2", "1.out": "3"})
    _, out, _ = bench.verify(home, "--time-limit", "1000")
    assert f"time limit 1000 ms, slowest accepted run {cpu_ms} ms ({AC}a.cpp, test 1)" in out
    assert ("little room" in out) is tight


@pytest.mark.parametrize(
    ("ending", "word", "sentence"),
    [
        (RunVerdict.TLE, "time", "no time limit: 10000 ms is the default of DOMjudge; it decided Time Limit Exceeded"),
        (RunVerdict.MLE, "memory", "no memory limit: 512 MB is the default of DOMjudge; it decided Memory Limit"),
    ],
)
def test_verdict_by_a_limit_that_the_package_does_not_name_tells_the_default(
    bench: Bench, ending: RunVerdict, word: str, sentence: str
) -> None:
    bench.box.on(Policy.RUN, b"VALIDATE", INPUT_OK)
    bench.box.on(Policy.RUN, b"x", outcome(stdout=b"3"))
    bench.box.on(Policy.RUN, b"BEYOND", outcome(ending))
    files = {name: content for name, content in KATTIS.items() if "/2." not in name}
    home = bench.package({**files, "domjudge-problem.ini": "", f"{TLE}b.cpp": "BEYOND"}, cases={})
    _, told = bench.told(home)
    assert told["default_limits"] == {"time": "DOMjudge", "memory": "DOMjudge"}
    cases = {case["submission"]: case["decided_by_default"] for case in told["cases"]}
    assert cases == {f"{AC}a.cpp": [], f"{TLE}b.cpp": [word]}
    _, out, _ = bench.verify(home)
    assert sentence in out
    assert f"of {TLE}b.cpp" in out
    assert "DOMjudge's default of 2048 MB is more than this server allows" in out
    _, told = bench.told(home, "--time-limit", "700", "--memory-limit", "33")
    assert told["default_limits"] == {}
    assert all(case["decided_by_default"] == [] for case in told["cases"])


@pytest.mark.parametrize(("cpu_ms", "limit_ms"), [(1, 1000), (200, 1000), (201, 2000), (1990, 10_000), (3000, 10_000)])
def test_a_limit_that_the_package_leaves_to_its_submissions(bench: Bench, cpu_ms: int, limit_ms: int) -> None:
    bench.box.on(Policy.RUN, b"VALIDATE", INPUT_OK)
    for marker, stdout in ((b"x", b"3"), (b"WRONG", b"4")):
        bench.box.on(Policy.RUN, marker, outcome(stdout=stdout, cpu_ms=cpu_ms))
    files = {name: content for name, content in KATTIS.items() if "/2." not in name}
    code, told = bench.told(bench.package({**files, f"{WA}a.cpp": "WRONG"}, cases={}))
    assert (code, told["time_limit_ms"], told["time_limit_measured"]) == (0, limit_ms, True)
    _, accepted, wrong = [spec.limits.cpu_ms for spec in bench.box.runs()]
    assert (accepted, wrong) == (widened(10_000), widened(limit_ms))
    _, out, _ = bench.verify(bench.here / "package")
    assert f"the package states no time limit: {limit_ms} ms" in out
    code, told = bench.told(bench.here / "package", "--time-limit", "700")
    assert (told["time_limit_ms"], told["time_limit_measured"]) == (700, False)


@pytest.mark.parametrize(
    ("limits", "limit_ms"),
    [
        ("name: x\nlimits: {time_multiplier: 7}", 3000),
        ("problem_format_version: 2025-09\nname: x\nlimits: {time_multipliers: {ac_to_time_limit: 3}}", 2000),
        ("problem_format_version: 2025-09\nname: x\nlimits: {time_resolution: 0.1}", 700),
    ],
)
def test_how_the_package_wants_its_limit_measured(bench: Bench, limits: str, limit_ms: int) -> None:
    bench.box.on(Policy.RUN, b"VALIDATE", INPUT_OK)
    bench.box.on(Policy.RUN, b"x", outcome(stdout=b"3", cpu_ms=340))
    files = {name: content for name, content in KATTIS.items() if "/2." not in name}
    code, told = bench.told(bench.package({**files, "problem.yaml": limits}, cases={}))
    assert (code, told["time_limit_ms"], told["time_limit_measured"]) == (0, limit_ms, True)


def test_progress_moves_with_each_test_and_each_submission(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[str]()
    plain = ProgressView.judging

    def judging(view: ProgressView, under_way: Mapping[str, str], judged: str) -> None:
        seen.append(f"{under_way} {judged}")
        plain(view, under_way, judged)

    monkeypatch.setattr(ProgressView, "judging", judging)
    code, _, err = bench.verify(bench.package({f"{AC}a.cpp": "x", f"{AC}b.cpp": "x"}))
    assert code == 0
    judged = [line for line in err.splitlines() if line.startswith("judged ")]
    assert [line.partition(":")[0] for line in judged] == ["judged 1 of 2", "judged 2 of 2"]
    assert {line.rpartition(" ")[2] for line in judged} == {f"{AC}a.cpp", f"{AC}b.cpp"}
    assert any(f"'{AC}a.cpp': '1/" in one for one in seen), seen


def test_json_has_no_progress(bench: Bench) -> None:
    _, _, err = bench.verify(bench.package({f"{AC}a.cpp": "x"}), "--json")
    assert "judged" not in err


def test_clients_of_stores_are_not_imported_for_it() -> None:
    names = "import sys, deepoj.cli.problem; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", names], capture_output=True, text=True, check=True, timeout=120)
    assert {"asyncpg", "redis", "asyncio", "botocore"}.isdisjoint(loaded.stdout.split())


def test_nothing_is_left_behind(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    rooms = bench.here / "rooms"
    rooms.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(rooms))
    assert bench.verify(bench.package({f"{AC}a.cpp": "x"}))[0] == 0
    assert bench.verify(bench.package({"3.in": "alone"}))[0] == 2
    assert list(rooms.iterdir()) == []


# ---------------------------------------------------------------------------------------------------------------------
# Inputs

KATTIS = {
    "problem.yaml": "name: Sums\nvalidator_flags: case_sensitive\n",
    "data/secret/1.in": "1 2\n",
    "data/secret/1.ans": "3\n",
    "data/secret/2.in": "5 5\n",
    "data/secret/2.ans": "10\n",
    "input_validators/validate.py": "VALIDATE",
    f"{AC}a.cpp": "x",
}


def test_inputs_that_the_validator_accepts(bench: Bench) -> None:
    bench.box.on(Policy.RUN, b"VALIDATE", INPUT_OK)
    code, told = bench.told(bench.package(KATTIS, cases={}))
    assert (code, told["inputs"]) == (0, {"checked": 2, "faults": []})
    looked_at = [spec for spec in bench.box.runs() if spec.argv[-1] == "/p/main.py"]
    assert len({spec.stdin for spec in looked_at}) == 2


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("[n=5, m]", ("n=5", "m")),
        ("{validate: [file]}", ("file",)),
        ("{validate.py: [file]}", ("file",)),
        ("{other: [file]}", ()),
    ],
)
def test_a_validator_gets_the_arguments_of_the_test(bench: Bench, told: str, words: tuple[str, ...]) -> None:
    bench.box.on(Policy.RUN, b"VALIDATE", INPUT_OK)
    files = {
        **KATTIS,
        "problem.yaml": "problem_format_version: 2025-09\nname: x\nlimits: {time_limit: 1}\n",
        "data/secret/2.yaml": f"input_validator_args: {told}\nargs: [-q]\n",
    }
    bench.told(bench.package(files, cases={}))
    asked = [spec.argv[spec.argv.index("/p/main.py") + 1 :] for spec in bench.box.runs() if "/p/main.py" in spec.argv]
    assert asked == [(), (*words, "-q")]


@pytest.mark.parametrize(
    ("ended", "why"),
    [
        (outcome(RunVerdict.RE, exit_code=43, stderr=b"n is too large"), "exit code 43, and not 42: n is too large"),
        (outcome(), "exit code 0, and not 42"),
        (outcome(RunVerdict.RE, exit_signal=11), "signal 11"),
        (outcome(RunVerdict.TLE), "ended by its limit (cpu)"),
        (outcome(RunVerdict.TLE, exit_code=42), "ended by its limit (cpu)"),
        (outcome(RunVerdict.SE), "the sandbox failed: scripted: errno 5"),
    ],
)
def test_an_input_that_it_does_not_accept_ends_with_1(bench: Bench, ended: Any, why: str) -> None:
    bench.box.on(Policy.RUN, b"VALIDATE", ended)
    code, told = bench.told(bench.package(KATTIS, cases={}))
    assert (code, told["matched"], told["inputs"]["checked"]) == (1, 1, 2)
    fault = {"validator": "input_validators/validate.py", "input": "data/secret/1.in", "skipped": False, "why": why}
    assert told["inputs"]["faults"][0] == fault
    _, out, _ = bench.verify(bench.here / "package")
    assert f"input_validators/validate.py does not accept data/secret/1.in: {why}" in out


def test_a_validator_that_does_not_compile(bench: Bench) -> None:
    bench.box.on(Policy.COMPILE, b"VALIDATE", outcome(RunVerdict.RE, exit_code=1, stderr=b"no such thing"))
    code, told = bench.told(bench.package(KATTIS, cases={}))
    (fault,) = told["inputs"]["faults"]
    assert (code, fault["input"], fault["skipped"]) == (1, None, False)
    assert told["inputs"]["checked"] == 0
    assert "the compiler refused it" in fault["why"]
    assert "no such thing" in fault["why"]


def test_a_validator_whose_language_is_not_here_is_a_skip(bench: Bench) -> None:
    files = {name.replace("validate.py", "validate.c"): content for name, content in KATTIS.items()}
    code, told = bench.told(bench.package(files, cases={}))
    assert (code, told["skipped"]) == (1, 1)
    assert bench.told(bench.here / "package", "--allow-skips")[0] == 0


CHECKED = {"deepoj.yaml": "checker: {files: [check.cpp]}", "check.cpp": "// ours", f"{AC}a.cpp": "x"}


def test_a_checker_that_does_not_compile_is_told_before_anything_is_judged(bench: Bench) -> None:
    bench.box.on(Policy.COMPILE, b"ours", outcome(RunVerdict.RE, exit_code=1, stderr=b"main.cpp:1:1: error: what"))
    home = bench.package(CHECKED)
    code, out, err = bench.verify(home)
    assert (code, out) == (1, "")
    assert "(check.cpp): The checker 'check.cpp' does not compile (C++20 (GCC)): check.cpp:1:1: error: what." in err
    assert bench.box.runs() == []
    code, told = bench.told(home)
    assert (code, told["checked"], told["cases"]) == (1, 0, [])
    assert (told["fault"]["code"], told["fault"]["file"]) == ("INVALID_PACKAGE", "check.cpp")


def test_a_checker_whose_language_is_not_here_is_a_skip(bench: Bench) -> None:
    home = bench.package({**CHECKED, "deepoj.yaml": "checker: {files: [check.c]}", "check.c": "// ours"})
    code, told = bench.told(home)
    assert (code, told["checked"], told["skipped"]) == (1, 0, 1)
    assert told["cases"][0]["why"] == "this host has no C17 (GCC), in which the checker is written"
    assert "fault" not in told
    assert bench.told(home, "--allow-skips")[0] == 0
