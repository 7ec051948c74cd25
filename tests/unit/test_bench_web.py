"""``deepoj bench web``: in which turns the people alone can have made verdicts slower."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence

import pytest

from deepoj.operate.bench.api_load import Loaded
from deepoj.operate.bench.cores import CoresClock, CoresUse
from deepoj.operate.bench.web import USUAL, WebFigures, WebTurn
from deepoj.operate.bench.web_large import LargePage, PageLook

_LOADED = Loaded(answers=1, median_ms=1.0, p99_ms=1.0, max_ms=1.0, seconds=1.0)
CALM, SLOW = CoresUse(busy=0.6, others=0.02), CoresUse(busy=0.7, others=0.2)
FULL = CoresUse(busy=0.97, others=0.02)


def turn(alone_ms: float, ms: float, use_alone: CoresUse = CALM, use: CoresUse = CALM) -> WebTurn:
    return WebTurn(
        alone=_LOADED, alone_ms=[alone_ms], submits=_LOADED, submits_ms=[ms], bare=_LOADED, pages=_LOADED, live=_LOADED,
        told=1, people_mib=1.0, use_alone=use_alone, use=use,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("turns", "ratio"),
    [
        ([turn(50, 60), turn(50, 400, use=SLOW), turn(50, 400, use_alone=SLOW)], 1.2),
        ([turn(50, 400, use=SLOW)], None),
        ([turn(5000, 6000, use_alone=FULL, use=FULL)], None),
    ],
)
def test_verdict_ratio_is_of_turns_without_other_processes_on_cores_with_room(
    turns: Sequence[WebTurn], ratio: float | None
) -> None:
    figures = WebFigures(load=USUAL, turns=turns, each={"home": (1.0, 1.0)}, large={}).flat()
    assert figures["verdict_ratio"] == ratio


def test_later_looks_at_a_large_page_are_medians_beside_the_first() -> None:
    later = [PageLook(first_byte_ms, first_byte_ms + 1, 10, 100, 7) for first_byte_ms in (3.0, 1.0, 50.0)]
    assert LargePage(PageLook(900.0, 950.0, 9, 99, 6), later).flat() == {
        "first_look_first_byte_ms": 900.0, "first_look_ms": 950.0, "first_byte_ms": 3.0, "whole_ms": 4.0,
        "sent_bytes": 10, "page_bytes": 100, "elements": 7,
    }  # fmt: skip


@pytest.mark.measured
def test_time_of_ended_children_of_children_is_no_other_processes_time() -> None:
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    began, clock = time.monotonic(), CoresClock()
    subprocess.run(
        [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"], check=True
    )
    use = clock.use()
    own_s = (use.busy - use.others) * (time.monotonic() - began) * len(os.sched_getaffinity(0))
    assert own_s > 0.4
