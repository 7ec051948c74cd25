"""Sources that mean harm to their compiler, judged as submissions: a verdict in bounded time and space, bounded words,
and a host that is as it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import trio

from deepoj.judging.exec_rules import JudgeSettings, compile_spec, compiler_output
from deepoj.judging.languages import LANGUAGES
from deepoj.judging.result import as_result
from deepoj.pipeline.judge import judge
from deepoj.words.results import Report, Verdict
from deepoj.words.sandbox import FileIn, RunVerdict
from tests.fakes.attempts import attempt_context
from tests.fakes.settings import judge_settings
from tests.fakes.testdata import PlainTestData
from tests.host import PROC
from tests.sandbox.hostile_sources import CE, SOURCES, Hostile
from tests.sandbox.lent import LentBox, lent_box
from tests.sandbox.test_life import standing, until
from tests.unit.makers import a_claim, a_problem

SLOTS = 1
#: A bomb is a bomb within half a second as within ten. The memory stays as it is: fewer bytes would hide a row that
#: needs more than the node has.
SHORT = judge_settings(compile_cpu_ms=600, compile_wall_ms=30_000)
#: for sources that end by themselves, soon, and whose words are looked at
FULL = judge_settings(compile_wall_ms=100_000)  # beside other parts of the suite
#: for the CPU to be noticed in, on a loaded host
LATE_MS = 1_500
NOTE_CHARS = 300
INNOCENT = "#include <iostream>\nint main() { int a, b; std::cin >> a >> b; std::cout << a + b << std::endl; }\n"


@pytest.fixture(scope="module")
def box() -> Iterator[LentBox]:
    with lent_box(SLOTS) as opened:
        yield opened


def traces(launcher: int) -> dict[str, object]:
    """What a compilation could leave on the host."""
    below = [process.name() for process in psutil.Process(launcher).children(recursive=True)]
    return {
        "processes": sorted(below),
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
        "mounts": Path("/proc/self/mountinfo").read_text(),
    }


def secrets() -> list[str]:
    """Lines that only the host's root may read, if that is who tests."""
    shadow = Path("/etc/shadow")
    return shadow.read_text().splitlines() if os.access(shadow, os.R_OK) else []


async def judged(box: LentBox, tmp_path: Path, source: Hostile, settings: JudgeSettings) -> Report:
    """The report; its words are checked on the way."""
    data = tmp_path / f"data-{source.language}"
    data.mkdir(exist_ok=True)
    claim = replace(
        a_claim(), language=source.language, code=source.code, problem=replace(a_problem(), time_limit_ms=3000)
    )
    with trio.fail_after(settings.compile_wall_ms / 1000 + 60):
        context = attempt_context(box, tmp_path / "workspace", settings)
        found = await judge(context, PlainTestData(data, [(b"1 2\n", b"3\n")]), claim)
    assert isinstance(found, Report), found
    assert not list((tmp_path / "workspace").iterdir())
    assert as_result(claim, found)["status"] == found.status.value
    assert found.compile is not None
    words = found.compile.output
    assert len(words) <= settings.compile_output_kept + NOTE_CHARS
    words.encode()  # no lone surrogates
    assert not any(ord(letter) < 32 and letter not in "\t\n\r" for letter in words)
    assert found.compile.time_ms <= settings.compile_cpu_ms + LATE_MS
    return found


@pytest.mark.parametrize("name", SOURCES)
async def test_hostile_source_gets_its_verdict(box: LentBox, tmp_path: Path, name: str) -> None:
    source = SOURCES[name]
    await standing(box.launcher_pid, SLOTS)  # a box is open before the last of its processes is born
    before = traces(box.launcher_pid)

    report = await judged(box, tmp_path, source, FULL if source.says else SHORT)

    assert report.compile is not None
    if source.ends == CE:
        assert report.status is Verdict.COMPILE_ERROR, report
        assert report.compile.output, "a person must see why"
    else:
        assert report.status is not Verdict.SYSTEM_ERROR, report
    assert source.says in report.compile.output
    assert not any(line in report.compile.output for line in secrets())
    # the init of a cell may be replaced after a run that was killed
    await until(lambda: traces(box.launcher_pid) == before, f"{traces(box.launcher_pid)} as {before}")


async def test_an_innocent_source_after_all_of_that(box: LentBox, tmp_path: Path) -> None:
    bombs = (
        "bomb: macros",
        "object: an array of 4 GiB",
        "message: warnings without end",
        "include: include /dev/random",
    )
    for name in bombs:
        await judged(box, tmp_path, SOURCES[name], SHORT)

    report = await judged(box, tmp_path, Hostile("innocent", INNOCENT), FULL)

    assert report.status is Verdict.ACCEPTED, report
    assert report.compile is not None
    assert report.compile.output == ""


async def test_a_bomb_meets_the_limits_that_operators_have(box: LentBox, tmp_path: Path) -> None:
    report = await judged(box, tmp_path, SOURCES["bomb: macros"], FULL)

    assert report.status is Verdict.COMPILE_ERROR
    assert report.compile is not None
    # which of them comes first is the compiler's choice
    assert report.compile.output in (
        "Compiling took longer than 10 s, this server's limit.",
        "Compiling took more than 1024 MiB of memory, this server's limit.",
    )


@pytest.mark.parametrize(
    "source",
    [
        # reads from the pipe that the compiler shall write to, whose other end waits for it
        pytest.param(Hostile("reads", f'#include "/dev/fd/1"\n{INNOCENT}'), marks=pytest.mark.needs(PROC)),
        Hostile("sleeps", "BEGIN { sleep 1000 }\n", language="perl"),
    ],
    ids=lambda source: source.name,
)
async def test_a_compiler_that_waits_meets_the_wall(box: LentBox, tmp_path: Path, source: Hostile) -> None:
    report = await judged(box, tmp_path, source, replace(FULL, compile_wall_ms=1_500))

    assert report.status is Verdict.COMPILE_ERROR
    assert report.compile is not None
    assert report.compile.output == "Compiling took longer than 1.5 s by the clock, this server's limit."


@pytest.mark.parametrize(
    "name", ["py_compile.py", "sys.py", "os.py", "importlib.py", "encodings.py", "sitecustomize.py"]
)
async def test_a_file_beside_a_python_source_is_not_run_when_it_is_checked(
    box: LentBox, tmp_path: Path, name: str
) -> None:
    known = LANGUAGES["python3"]
    (tmp_path / known.source_name).write_text("print(3)\n")
    (tmp_path / name).write_text("import os\nos.write(2, b'ran')\nos._exit(1)\n")
    spec = compile_spec(known, tmp_path, FULL)
    assert spec is not None

    outcome = await box.run(replace(spec, files_in=(*spec.files_in, FileIn(name, tmp_path / name))))

    assert (outcome.verdict, outcome.stderr) == (RunVerdict.OK, b"")


@pytest.mark.parametrize(
    ("language", "code", "verdict"),
    [
        ("cpp17", b"int \xff\xfe = 1;\n", RunVerdict.RE),
        ("cpp17", b"#error \xff\xfe\xed\xa0\x80\x1b[31m\n", RunVerdict.RE),
        # no compiler looks into a comment
        ("cpp17", b"// \xff\xfe\nint main() {}\n", RunVerdict.OK),
        ("python3", b"x = '\xff'\n", RunVerdict.RE),
        ("python3", b"\xff\xfe\x00\xd8", RunVerdict.RE),
    ],
)
async def test_bytes_that_are_no_text(
    box: LentBox, tmp_path: Path, language: str, code: bytes, verdict: RunVerdict
) -> None:
    """They cannot come by the interface, which takes text; a compiler's words about them are text all the same."""
    known = LANGUAGES[language]
    (tmp_path / known.source_name).write_bytes(code)
    spec = compile_spec(known, tmp_path, FULL)
    assert spec is not None

    outcome = await box.run(spec)

    assert outcome.verdict is verdict, outcome
    words = compiler_output(outcome, 1000)
    words.encode()
    assert "\x1b" not in words
    assert bool(words) is (verdict is RunVerdict.RE)
