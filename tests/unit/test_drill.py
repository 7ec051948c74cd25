"""``deepoj drill`` without servers: schedules, programs, requests on the wire, and what ``--live`` refuses."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deepoj.cli import run
from deepoj.operate.drill import programs, schedule
from deepoj.operate.drill.drills import DRILLS
from deepoj.operate.drill.live import IMPOSSIBLE, LIVE_DRILLS
from deepoj.operate.drill.schedule import FaultKind
from deepoj.operate.drill.stage import Timing
from deepoj.operate.drill.victim import find_victim, is_node_command, only_one
from deepoj.operate.drill.wire import HttpParser, PostgresParser, RedisParser
from deepoj.words.errors import StartRefused

#: drills that the contract names
CONTRACT = {
    "worker-kill", "redis-down", "redis-wipe", "postgres-restart", "stream-trim", "partition", "clock-skew",
    "queue-flood",
}  # fmt: skip


def test_same_seed_draws_the_same_schedule() -> None:
    assert schedule.draw(7, 50, 3) == schedule.draw(7, 50, 3)
    assert schedule.draw(7, 50, 3) != schedule.draw(8, 50, 3)


@pytest.mark.parametrize("seed", range(20))
def test_schedule_has_every_playable_kind_and_no_other(seed: int) -> None:
    drawn = schedule.draw(seed, 30, 3)
    assert len(drawn) == 30
    assert {fault.kind for fault in drawn} == set(FaultKind)
    assert {fault.node for fault in drawn} <= {0, 1, 2}
    without = frozenset(FaultKind) - {FaultKind.DISK_FULL}
    assert {fault.kind for fault in schedule.draw(seed, 30, 3, without)} == without


def test_programs_are_distinct_and_of_every_kind() -> None:
    rng = random.Random(1)
    drawn = [programs.draw(rng, number, 0.5) for number in range(300)]
    assert len({program.code for program in drawn}) == 300
    assert len({program.expected for program in drawn}) >= 5


def test_a_slower_machine_gets_longer_leases_and_never_shorter_ones() -> None:
    timing = Timing(lease_s=1.0, heartbeat_s=0.25, grace_s=0.5, reclaim_s=0.5)
    assert timing.scaled(2.0).recovery_s == pytest.approx(4.0)
    assert timing.scaled(0.5) == timing


# -- PostgreSQL


def _message(kind: str, body: bytes) -> bytes:
    return kind.encode() + (len(body) + 4).to_bytes(4) + body


STARTUP = (8 + 4).to_bytes(4) + b"\0\3\0\0" + b"user"
PARSE = _message("P", b"s1\0INSERT INTO t VALUES (1)\0\0\0")
SYNC = _message("S", b"")
RUN = _message("B", b"\0s1\0\0\0\0\0\0\0") + _message("E", b"\0\0\0\0\0") + SYNC
IDLE, _IN_TRANSACTION = _message("Z", b"I"), _message("Z", b"T")


def test_a_write_is_known_by_the_statement_it_runs() -> None:
    talk = PostgresParser()
    assert talk.asked(STARTUP) == []
    assert talk.answered(IDLE) == 1
    prepared = talk.asked(PARSE + SYNC)
    assert [request.repeatable for request in prepared] == [False]
    run = talk.asked(RUN)
    assert [(set(request.words), request.repeatable, request.raw) for request in run] == [({"WRITE"}, True, RUN)]


def test_a_statement_of_a_transaction_is_not_said_twice() -> None:
    talk = PostgresParser()
    talk.asked(STARTUP + PARSE + SYNC)
    talk.answered(_IN_TRANSACTION)
    assert [request.repeatable for request in talk.asked(RUN)] == [False]


def test_bytes_come_in_any_portions() -> None:
    talk = PostgresParser()
    whole = STARTUP + PARSE + SYNC + RUN
    found = [request for byte in whole for request in talk.asked(bytes([byte]))]
    assert len(found) == 2
    answers = sum(talk.answered(bytes([byte])) for byte in _message("C", b"INSERT 0 1\0") + IDLE + IDLE)
    assert answers == 2


# -- Redis, HTTP


def test_redis_requests_are_known_by_their_words() -> None:
    talk = RedisParser("secret")
    assert talk.asked(b"*5\r\n$4\r\nXADD\r\n")[0].words == {"XADD"}
    assert not talk.asked(b"*1\r\n$4\r\nPING\r\n")[0].repeatable


def test_http_requests_end_with_their_bodies() -> None:
    talk = HttpParser()
    head = b"POST /api/v1/submit HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Length: 4\r\n\r\n"
    assert talk.asked(head) == []
    (request,) = talk.asked(b"{..}GET / HTTP/1.1\r\n")
    assert request.raw == head + b"{..}"
    assert request.words == {"POST"}
    assert request.repeatable
    (request,) = talk.asked(b"Host: x\r\n\r\n")
    assert request.words == {"GET"}
    (request,) = HttpParser().asked(b"POST /x HTTP/1.1\r\nHost: x\r\n\r\n")
    assert not request.repeatable


# -- against a running system

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


def test_every_drill_of_the_contract_is_there_and_played_live_or_refused() -> None:
    assert DRILLS.keys() >= CONTRACT
    assert LIVE_DRILLS.keys() | IMPOSSIBLE.keys() == DRILLS.keys()
    assert not LIVE_DRILLS.keys() & IMPOSSIBLE.keys()


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_drill_that_cannot_run_live_is_refused_with_the_reason(drill: Drill, name: str) -> None:
    code, said = drill(name, "--live", "--yes")
    assert code == 2
    assert len(said.splitlines()) == 1
    assert IMPOSSIBLE[name] in said


def test_live_drill_without_yes_only_says_what_it_would_do(drill: Drill) -> None:
    code, said = drill("redis-wipe", "--live")
    assert code == 2
    assert "deletes the stream" in said.splitlines()[0]
    assert "--yes" in said.splitlines()[1]


def test_live_drill_without_a_system_exits_3(drill: Drill) -> None:
    code, said = drill("redis-wipe", "--live", "--yes")
    assert code == 3
    assert "there is no system at http://127.0.0.1:1" in said


@pytest.mark.parametrize("option", [("--yes",), ("--pid", "77"), ("--api", "http://127.0.0.1:1")])
def test_option_of_a_live_drill_without_live_is_refused(drill: Drill, option: tuple[str, ...]) -> None:
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


def test_process_without_pid_is_killed_only_if_it_is_the_only_one() -> None:
    assert only_one([7]) == 7
    with pytest.raises(StartRefused, match="none runs: say which with --pid"):
        only_one([])
    with pytest.raises(StartRefused, match=r"2 run \(7, 9\): say which with --pid"):
        only_one([9, 7])


def test_named_process_that_is_no_node_is_not_killed() -> None:
    with pytest.raises(StartRefused, match="is no deepoj node"):
        find_victim(os.getpid(), str)
    ended = subprocess.Popen(["true"])
    ended.wait()
    with pytest.raises(StartRefused, match="cannot be killed"):
        find_victim(ended.pid, str)
