"""The table of canaries: rules for every row, so that none fails on a host that judges right."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from deepoj.judging import canaries
from deepoj.judging.canaries import CANARIES, PROGRAMS, Canary, Text
from deepoj.judging.compare import PACKAGE_WAYS
from deepoj.judging.languages import LANGUAGES
from deepoj.judging.verdicts import COMPARE, RUN_TABLE
from deepoj.words.results import Verdict
from deepoj.words.sandbox import Isolation

EACH = pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.name)


def test_there_are_enough_and_their_names_are_fit_for_a_label() -> None:
    assert len(CANARIES) >= 30
    names = Counter(canary.name for canary in CANARIES)
    assert set(names.values()) == {1}
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)


def test_every_program_is_there_and_used() -> None:
    assert {canary.program for canary in CANARIES} == set(PROGRAMS)
    assert all(canaries.source(program) for program in PROGRAMS)
    assert set(PROGRAMS.values()) <= set(LANGUAGES)


def test_canaries_cover_every_program_that_the_original_judged_wrong() -> None:
    """CPU loop, over the limit with exit code 0, return -1, uncaught exception, memory growth, empty program."""
    assert {
        "cpu-loop", "late-but-clean", "return-minus-one", "uncaught-exception", "heap-growth", "vector-growth",
        "static-array", "empty", "vectored-output", "resize", "threads", "nap",
    } <= {canary.name for canary in CANARIES}  # fmt: skip


def test_every_verdict_of_a_run_is_guarded() -> None:
    guarded = {fate.status for canary in CANARIES for fate in canary.fates}
    assert guarded == set(Verdict) - {
        Verdict.INVALID, Verdict.PRESENTATION_ERROR, Verdict.SYSTEM_ERROR, Verdict.PARTIAL,
    }  # fmt: skip


@EACH
def test_a_row_is_cheap(canary: Canary) -> None:
    assert 0 < canary.limits.cpu_ms <= 100
    assert canary.limits.memory_bytes <= 64 * canaries.MIB
    assert canary.limits.output_bytes <= 4 * canaries.MIB
    assert canary.limits.processes <= 20


@EACH
def test_only_what_waits_for_the_clock_has_a_short_one(canary: Canary) -> None:
    """A loaded host may keep a program from the CPU for seconds."""
    about_the_clock = any(fate.rule == "wall" for fate in canary.fates)
    assert (canary.limits.wall_ms < canaries.WALL_MS) == about_the_clock
    assert canary.limits.wall_ms <= canaries.WALL_MS


@EACH
def test_its_fates_are_ones_that_a_run_can_have(canary: Canary) -> None:
    assert canary.why
    assert canary.compare.way in PACKAGE_WAYS
    for level in Isolation:
        assert canary.fates_at(level)
    for fate in canary.fates:
        from_table = {(rule, status) for (_, rule), status in RUN_TABLE.items() if status is not COMPARE}
        others = {("ok", Verdict.ACCEPTED), ("compare", Verdict.WRONG_ANSWER), ("exit", Verdict.COMPILE_ERROR)}
        assert (fate.rule, fate.status) in from_table | others
        assert bool(fate.exit_code) == (fate.rule == "exit")
        assert bool(fate.exit_signal) == (fate.rule == "signal")


def test_a_text_is_written_whole(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("text") / "file"
    Text(b"head\n", b"ab", 3).write_to(path)
    assert path.read_bytes() == b"head\nababab"
