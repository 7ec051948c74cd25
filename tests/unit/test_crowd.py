"""When a submit counts what is under way: seldom where there is much room, always where there is none."""

from __future__ import annotations

import pytest

from deepoj.adapters.pg.jobs import _Crowd


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("deepoj.adapters.pg.jobs.time", made)
    return made


@pytest.mark.parametrize(
    ("cap", "inflight", "stands_s"),
    [(500, 0, 1.0), (500, 449, 1.0), (10_000, 0, 9.0), (200_000, 100_000, 30.0), (10_000_000, 100_000, 30.0)],
)
def test_a_count_stands_for_a_while(clock: Clock, cap: int, inflight: int, stands_s: float) -> None:
    crowd = _Crowd()
    assert crowd.must_be_counted(cap)
    crowd.counted(inflight)
    clock.now_s += stands_s - 0.01
    assert not crowd.must_be_counted(cap)
    clock.now_s += 0.02
    assert crowd.must_be_counted(cap)


def test_in_the_last_tenth_every_submit_counts(clock: Clock) -> None:
    crowd = _Crowd()
    crowd.counted(449)
    assert not crowd.must_be_counted(500)
    crowd.grew()
    assert crowd.must_be_counted(500)
    crowd.counted(450)
    assert crowd.must_be_counted(500)
