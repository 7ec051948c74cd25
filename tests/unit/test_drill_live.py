"""Whom a drill on a running system may kill, and what it refuses, without a system."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deepoj.cli import run
from deepoj.operate.drill.drills import DRILLS
from deepoj.operate.drill.live import IMPOSSIBLE, LIVE_DRILLS
from deepoj.operate.drill.victim import find_victim, is_node_command, only_one
from deepoj.words.errors import StartRefused

Drill = Callable[..., tuple[int, str]]


@pytest.fixture
def drill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Drill:
    """Exit code and stderr; nothing listens where these settings point."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name != "PATH"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DEEPOJ_HOME", str(tmp_path))
    monkeypatch.setenv("PORT", "1")

    def play(*args: str) -> tuple[int, str]:
        code = run(["drill", *args])
        said = capfd.readouterr()
        assert said.out == ""
        return code, said.err

    return play


def test_every_drill_is_played_or_refused() -> None:
    assert LIVE_DRILLS.keys() | IMPOSSIBLE.keys() == DRILLS.keys()
    assert not LIVE_DRILLS.keys() & IMPOSSIBLE.keys()


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_cannot_be_played_from_outside_is_refused_with_the_reason(drill: Drill, name: str) -> None:
    code, said = drill(name, "--live", "--yes")
    assert code == 2
    assert len(said.splitlines()) == 1
    assert IMPOSSIBLE[name] in said


def test_it_says_what_it_would_do_and_does_nothing_without_a_yes(drill: Drill) -> None:
    code, said = drill("redis-wipe", "--live")
    assert code == 2
    assert "deletes the stream" in said.splitlines()[0]
    assert "--yes" in said.splitlines()[1]


def test_without_a_system_it_says_so(drill: Drill) -> None:
    code, said = drill("redis-wipe", "--live", "--yes")
    assert code == 3
    assert "there is no system at http://127.0.0.1:1" in said


@pytest.mark.parametrize("option", [("--yes",), ("--pid", "77"), ("--api", "http://127.0.0.1:1")])
def test_what_is_for_a_running_system_needs_the_word(drill: Drill, option: tuple[str, ...]) -> None:
    code, said = drill("worker-kill", *option)
    assert code == 2
    assert "--live" in said


@pytest.mark.parametrize(
    ("words", "is_node"),
    [
        ("/usr/bin/python3 /opt/bin/deepoj node --roles worker", True),
        ("/usr/bin/python3.13 -P -m deepoj --config c.yaml --home=/h up", True),
        ("deepoj --home node node", True),
        ("deepoj --home node doctor", False),
        ("/usr/bin/python3 /opt/bin/deepoj drill worker-kill --live", False),
        ("/usr/bin/python3 /opt/bin/deepoj", False),
        ("vi deepoj node", False),
        ("sudo deepoj node", False),
        ("", False),
    ],
)
def test_a_node_is_known_by_its_command(words: str, is_node: bool) -> None:
    assert is_node_command(words.split(" ")) is is_node


def test_a_process_that_nobody_named_is_killed_only_where_there_is_no_other() -> None:
    assert only_one([7]) == 7
    with pytest.raises(StartRefused, match="none runs: say which with --pid"):
        only_one([])
    with pytest.raises(StartRefused, match=r"2 run \(7, 9\): say which with --pid"):
        only_one([9, 7])


def test_what_is_no_node_is_not_killed_though_it_was_named() -> None:
    with pytest.raises(StartRefused, match="is no deepoj node"):
        find_victim(os.getpid(), str)
    ended = subprocess.Popen(["true"])
    ended.wait()
    with pytest.raises(StartRefused, match="cannot be killed"):
        find_victim(ended.pid, str)
