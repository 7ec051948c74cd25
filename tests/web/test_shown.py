"""Figures and times as pages show them."""

from __future__ import annotations

import datetime as dt

import pytest

from deepoj.web.shown import bar, countdown, duration, share


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (0, "0 s", "0 秒"),
        (43, "43 s", "43 秒"),
        (1500, "25 min", "25 分钟"),
        (7207, "2 h 7 s", "2 小时 7 秒"),
        (7 * 86400 + 60, "7 d 1 min", "7 天 1 分钟"),
    ],
)
def test_duration_has_the_units_of_the_language(seconds: int, english: str, chinese: str) -> None:
    assert duration(seconds) == english
    assert duration(seconds, "zh") == chinese


def test_bar_turns_at_its_limit_and_a_share_does_not() -> None:
    assert 'low="900.0" high="999.0" optimum="0" value="1000"' in bar(1600, 1000)
    assert "high" not in share(1000, 1000)
    assert bar(None, 1000) == ""


def test_countdown_names_its_moment_in_utc_for_readers_without_scripts() -> None:
    moment = dt.datetime(2026, 12, 2, 10, 5, tzinfo=dt.timezone(dt.timedelta(hours=8)))
    assert countdown(moment) == (
        '<time class="clock" role="timer" datetime="2026-12-02T02:05:00Z" data-time="clock">2026-12-02 02:05 UTC</time>'
    )
