"""What the figures of ``deepoj bench sandbox`` come to, and which other sandboxes are tried: nothing is measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from deepoj.operate.bench import rivals
from deepoj.operate.bench.judge import REQUIRED as JUDGE_REQUIRED
from deepoj.operate.bench.judge import JudgeFigures, JudgeTimes
from deepoj.operate.bench.judge import show as show_judging
from deepoj.operate.bench.rivals import Rival, ready
from deepoj.operate.bench.sandbox_figures import REQUIRED, Flood, Other, SandboxFigures, Scaling, Trivial, show
from deepoj.words.sandbox import Isolation

FAST = Trivial(bare_us=400.0, run_us=600.0, ratio=1.5, latency_ratio=1.2)
SLOW = Trivial(bare_us=400.0, run_us=700.0, ratio=1.75, latency_ratio=1.2)


def figures(ratio_python: float = 2.0, growth_mib: float = 1.0, **trivial: Trivial) -> SandboxFigures:
    return SandboxFigures(
        isolation=Isolation.NAMESPACES,
        rounds=10,
        trivial=trivial,
        ratio_python=ratio_python,
        scaling=Scaling(
            slots_per_s=(1000.0, 1800.0), bare_per_s=(2000.0, 4000.0), slots_gain=1.8, bare_gain=2.0, ratio=0.9
        ),
        flood=Flood(mib=64, bare_ms=20.0, ratio=1.5, ratio_python=1.6, growth_mib=growth_mib),
        others={"bubblewrap": Other(ratio=9.9), "isolate": Other(note="not installed")},
    )


def test_a_figure_at_its_bound_is_met() -> None:
    assert figures(static=FAST, dynamic=FAST).flat()["missed"] == []


def test_what_is_missed_is_named() -> None:
    flat = figures(3.001, 2.0, static=SLOW, dynamic=SLOW).flat()

    assert flat["missed"] == ["ratio_static", "ratio_static_python", "flood_growth_mib"]


def test_the_same_keys_whatever_was_measured() -> None:
    trivial, given = figures(static=FAST, dynamic=FAST).flat(), figures(program=SLOW).flat()

    assert list(trivial) == list(given)
    assert set(trivial) >= set(REQUIRED)
    assert (trivial["ratio_static"], trivial["ratio_static_python"], trivial["ratio_program"]) == (1.5, 2.0, None)
    assert (given["ratio_static"], given["ratio_program"], given["ratio_program_python"]) == (None, 1.75, 2.0)
    assert given["missed"] == [], "of the program given nothing is required"


def test_the_table_says_what_is_met(capsys: pytest.CaptureFixture[str]) -> None:
    show(figures(3.5, static=FAST, dynamic=FAST))

    said = capsys.readouterr().out
    rows = {line.split("│")[1].strip(): line for line in said.splitlines() if line.count("│") > 3}
    assert "≤ 1.6 ✓" in rows["… whole run ÷ bare"] or said.count("≤ 1.6 ✓") == 1
    assert said.count("✗") == 1
    assert said.count("≤ 3 ✗") == 1
    assert said.count("✓") == len(REQUIRED) - 1
    assert "not installed" in rows["static in isolate ÷ bare"]
    assert "9.90" in rows["static in bubblewrap ÷ bare"]


# -- other sandboxes


def tool(directory: Path, script: str) -> Rival:
    """A sandbox by name of ``tool``, which is this shell script."""
    path = directory / "tool"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return Rival("tool", ("tool", "--run", rivals.PROGRAM), before=("--init",), after=("--cleanup",))


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_a_sandbox_that_is_not_there(on_path: Path) -> None:
    with ready(Rival("tool", ("tool", rivals.PROGRAM), after=("--cleanup",)), Path("/p")) as command:
        assert command == "not installed"


def test_a_sandbox_that_works_is_set_up_and_cleaned_up(on_path: Path) -> None:
    rival = tool(on_path, f'echo "$@" >> {on_path}/log')

    with ready(rival, Path("/bin/true")) as command:
        assert command == [str(on_path / "tool"), "--run", "/bin/true"]
        assert (on_path / "log").read_text() == "--init\n--run /bin/true\n"
    assert (on_path / "log").read_text().endswith("--cleanup\n")


def test_a_sandbox_that_does_not_work_says_why(on_path: Path) -> None:
    rival = tool(on_path, 'if [ "$1" = --run ]; then echo first >&2; echo no namespaces >&2; exit 7; fi')

    with ready(rival, Path("/bin/true")) as command:
        assert command == "does not run here: no namespaces"


@pytest.mark.parametrize("rival", rivals.RIVALS, ids=lambda rival: rival.name)
def test_every_command_names_the_program(rival: Rival) -> None:
    words = [rivals._filled(word, Path("/somewhere/static")) for word in rival.command]

    assert any("static" in word for word in words)
    assert not any("{" in word for word in words)


def judge_figures(**ours: float) -> JudgeFigures:
    names = ("compile", "cached", "fresh_iostream", "fresh_all", "large")
    return JudgeFigures(
        rounds=3,
        isolation="namespaces",
        headers=("iostream",),
        pairs={name: JudgeTimes([ours.get(name, 10.0)] * 3, [100.0] * 3) for name in names},
        large_tests=100,
        large_growth_mib=ours.get("growth", 0.0),
    )


def test_of_judging_the_same_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert judge_figures(compile=35.0, cached=200.0, fresh_iostream=110.0, large=130.0).flat()["missed"] == []
    slow = judge_figures(compile=35.1, cached=200.1, fresh_iostream=110.1, fresh_all=40.1, large=130.1, growth=8.1)
    assert slow.flat()["missed"] == list(JUDGE_REQUIRED)

    show_judging(slow, Console())
    assert capsys.readouterr().out.count("MISSED") == len(JUDGE_REQUIRED)
