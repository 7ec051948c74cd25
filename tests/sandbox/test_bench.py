"""``deepoj bench sandbox`` measures: that it runs and what it says. How fast anything is, is asserted nowhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from deepoj.operate.bench.meter import METER, BadRunError, Stretch, metering
from tests.e2e.test_without_root import as_ordinary_user

FEW = ("--rounds", "3")
MEASURED = {
    "flood_bare_ms", "flood_ratio", "flood_ratio_python", "runs_per_s_one_slot", "runs_per_s_two_slots",
    "bare_per_s_one_caller", "bare_per_s_two_callers", "scaling_sandbox", "scaling_bare", "scaling_ratio",
}  # fmt: skip
OF_A_PROGRAM = {"bare_{}_us", "run_{}_us", "ratio_{}", "latency_ratio_{}"}


def bench_sandbox(directory: Path, *words: str | Path, become: list[str] | None = None) -> tuple[int, str, str]:
    return bench(directory, "sandbox", *words, become=become)


def bench(directory: Path, *words: str | Path, become: list[str] | None = None) -> tuple[int, str, str]:
    done = subprocess.run(
        [*(become or []), sys.executable, "-m", "deepoj", "--home", "home", "bench", *words],
        capture_output=True,
        text=True,
        cwd=directory,
        env={**os.environ, "HOME": str(directory)},
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout, done.stderr


def of(*programs: str) -> set[str]:
    return {key.format(name) for key in OF_A_PROGRAM for name in programs}


def positive(figures: dict[str, Any], keys: set[str]) -> bool:
    return all(isinstance(figures[key], float) and figures[key] > 0 for key in keys)


def test_all_is_measured(tmp_path: Path) -> None:
    code, stdout, stderr = bench_sandbox(tmp_path, *FEW, "--json", "--output", "kept/sandbox.json")

    assert code == 0, stderr
    assert len(stdout.splitlines()) == 1
    figures = json.loads(stdout)
    assert positive(figures, MEASURED | of("static", "dynamic") | {"ratio_static_python"})
    assert {figures[key] for key in of("program") | {"ratio_program_python"}} == {None}
    assert figures["isolation"] in {"weak", "namespaces", "full"}
    assert (figures["rounds"], figures["flood_mib"]) == (3, 64)
    assert figures["flood_growth_mib"] >= 0
    assert set(figures["others"]) == {"bubblewrap", "isolate", "nsjail", "firejail", "runguard"}
    assert all(bool(other["note"]) == (other["ratio"] is None) for other in figures["others"].values())
    assert isinstance(figures["missed"], list)
    assert json.loads((tmp_path / "kept" / "sandbox.json").read_text()) == figures


def test_a_directory_is_no_place_for_figures(tmp_path: Path) -> None:
    code, stdout, stderr = bench_sandbox(tmp_path, *FEW, "--output", ".")

    assert (code, stdout, len(stderr.splitlines())) == (2, "", 1)


def test_a_program_given_is_measured_instead(tmp_path: Path) -> None:
    code, stdout, stderr = bench_sandbox(tmp_path, *FEW, "--json", "--program", "/bin/true")

    assert code == 0, stderr
    figures = json.loads(stdout)
    assert positive(figures, MEASURED | of("program") | {"ratio_program_python"})
    assert {figures[key] for key in of("static", "dynamic") | {"ratio_static_python"}} == {None}


def test_an_ordinary_user_has_a_table() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as place:  # where anybody gets to
        directory = Path(place)
        directory.chmod(0o755)
        code, stdout, stderr = bench_sandbox(directory, *FEW, "--program", "/bin/true", become=as_ordinary_user())

    assert code == 0, stderr
    assert "program: posix_spawn and wait" in stdout
    assert "isolation namespaces" in stdout or "isolation full" in stdout


def script(path: Path, text: str, mode: int = 0o755) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_programs_that_cannot_be_measured(tmp_path: Path, programs: Path) -> None:
    refused = [
        (tmp_path / "absent", "does not exist"),
        (script(tmp_path / "plain", "text", 0o644), "cannot be measured"),
        (Path("/bin/false"), "it must exit 0: in the sandbox its verdict is RE (rule exit, exit code 1, signal 0)"),
        # only what runs bare knows the way here
        (script(tmp_path / "outside", f"#!/bin/sh\ntest ! -e {programs}/probe\n"), "run bare, its exit code is 1"),
    ]
    for program, sentence in refused:
        code, stdout, stderr = bench_sandbox(tmp_path, *FEW, "--program", program)

        assert (code, stdout) == (2, "")
        assert sentence in stderr
        assert len(stderr.splitlines()) == 1


def test_without_a_compiler_one_sentence_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    code, _, stderr = bench_sandbox(tmp_path, *FEW)

    assert code == 2
    assert "gcc is missing" in stderr
    assert "--program" in stderr


# -- the meter


def test_the_meter_counts_and_times() -> None:
    with metering(["/bin/true"]) as meter:
        once = meter.run("bare")
        often = meter.run("bare", Stretch.soon(200))

    assert once.runs == 1
    assert once.ns > 0
    assert often.runs >= 1
    assert often.ns >= 200e6
    assert often.runs_per_s <= often.runs / 0.2


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (("/bin/false",), "its exit code is 1"),
        (("/bin/sh", "-c", "kill -9 $$"), "it ends by signal 9"),
        (("/nowhere/to/be/found",), "it cannot be executed (No such file or directory)"),
    ],
)
def test_the_meter_says_what_went_wrong(argv: tuple[str, ...], complaint: str) -> None:
    with metering(argv) as meter, pytest.raises(BadRunError) as caught:
        meter.run("bare")

    assert str(caught.value) == complaint


def test_the_meter_floods_to_the_byte() -> None:
    done = subprocess.run([METER, "--flood", "200001"], capture_output=True, check=True, timeout=60)

    assert len(done.stdout) == 200_001


def test_the_meter_is_not_started_by_hand() -> None:
    done = subprocess.run([METER], capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stderr) == (2, "_meter: started by `deepoj bench sandbox`, not by hand\n")


# ---------------------------------------------------------------------------------------------------------------------
# bench judge


def test_judging_is_measured(tmp_path: Path) -> None:
    words = ("--rounds", "1", "--large-tests", "2", "--json", "--output", "kept/judge.json")
    code, stdout, stderr = bench(tmp_path, "judge", *words)

    assert code == 0, stderr
    assert len(stdout.splitlines()) == 1
    figures = json.loads(stdout)
    assert figures["headers"] == ["bits/stdc++.h", "iostream"]
    for name in ("compile", "cached", "fresh_iostream", "fresh_all", "large"):
        assert positive(figures, {f"{name}_bare_ms", f"{name}_ms", f"{name}_ratio"})
    assert figures["large_growth_mib"] >= 0
    assert isinstance(figures["missed"], list)
    assert json.loads((tmp_path / "kept" / "judge.json").read_text()) == figures
