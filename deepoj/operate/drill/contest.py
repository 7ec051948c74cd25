"""The contest of a soak: its submissions are those of teams, and readers follow its event feed through the faults.

A reader has to see every event once, in order, however often its connection breaks: it continues after the token of
its last line. At the end its lines must be those of a feed that is read at once, from every node; the boards of all
nodes must be the one that follows from the verdicts which the programs must get.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import httpx
import trio

from deepoj.operate.drill.client import Client
from deepoj.operate.drill.history import Violation, Wrong
from deepoj.words.results import Verdict

if TYPE_CHECKING:
    from deepoj.operate.drill.stage import Stage

KEY = "soak"
_PATH = f"/api/v1/contests/{KEY}"
_TEAMS = ("owls", "larks", "storks", "herons")
_PENALTY_MIN = 20
_HOUR_MS = 3_600_000
#: a reader that leaves by itself does so after this number of lines at most
_FEW_LINES = 7
_PAUSE_S = 0.2
#: more than a node needs to let the contest end, be thawed, and tell its readers
_END_S = 180.0


_SUBMISSIONS = """
SELECT s.contest_team, s.problem_id, s.created_at, s.idempotency_key
FROM submissions AS s JOIN contests AS c ON c.id = s.contest_id WHERE c.key = $1 ORDER BY s.created_at, s.id
"""


@dataclass(slots=True)
class FeedReader:
    """Reads the event feed as one viewer, until the end of updates. ``headers``: with the token of its account, if any.

    ``is_restless``: it also leaves by itself, and comes back.
    """

    name: str
    http: httpx.AsyncClient
    rng: random.Random
    headers: Mapping[str, str] = field(default_factory=dict)
    is_restless: bool = False
    lines: list[bytes] = field(default_factory=list)
    connections: int = 0
    #: status of an answer that refuses what was right
    refused: list[int] = field(default_factory=list)
    over: trio.Event = field(default_factory=trio.Event)

    async def follow(self, nodes: Sequence[tuple[str, str]]) -> None:
        """Read at random nodes, and continue elsewhere when a connection ends."""
        while not self.over.is_set():
            with suppress(httpx.TransportError):
                await self.read(self.rng.choice(nodes)[1])
            await trio.sleep(_PAUSE_S * self.rng.uniform(0.1, 1.0))

    async def read(self, base: str) -> None:
        """Read what follows after the last line, until the stream ends. Raises httpx.TransportError."""
        self.connections += 1
        left = self.rng.randint(1, _FEW_LINES) if self.is_restless else math.inf
        since = {"since_token": json.loads(self.lines[-1])["token"]} if self.lines else {}
        url = f"{base}/clics/contests/{KEY}/event-feed"
        async with self.http.stream("GET", url, params=since, headers=self.headers) as answer:
            if 400 <= answer.status_code < 500 and answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                self.refused.append(answer.status_code)
            if answer.status_code != httpx.codes.OK:
                return
            begun = b""
            async for piece in answer.aiter_bytes():
                *whole, begun = (begun + piece).split(b"\n")
                for line in filter(None, whole):
                    self._take(line)
                    left -= 1
                    if left <= 0 or self.over.is_set():
                        return

    def _take(self, line: bytes) -> None:
        self.lines.append(line)
        told = json.loads(line)
        if told["type"] == "state" and told["data"].get("end_of_updates") is not None:
            self.over.set()


@dataclass(slots=True)
class SoakContest:
    """A contest on a stage: the clients of its teams, and the readers of its feed."""

    stage: Stage
    teams: Sequence[Client]
    readers: Sequence[FeedReader]
    start_at: dt.datetime
    frozen: trio.Event = field(default_factory=trio.Event)

    def team(self) -> Client:
        """Return the client of a random team."""
        return self.stage.client.rng.choice(self.teams)

    @property
    def accepted(self) -> int:
        """How many submissions of its teams were accepted."""
        return sum(team.accepted for team in self.teams)

    async def freeze(self, after: int) -> None:
        """Once so many submissions were accepted, hide verdicts from then on from the public and from other teams.

        Raises StartRefused, StoreUnavailable."""
        while self.accepted < after:
            await trio.sleep(_PAUSE_S)
        await self._change(2 * _HOUR_MS, await self._now_ms())
        self.frozen.set()

    async def end(self) -> list[Violation]:
        """End, finalize and thaw the contest, and return what readers and boards have got wrong.

        Raises StartRefused, StoreUnavailable."""
        admin = self.stage.client
        await self.frozen.wait()
        contest = (await admin.insist_on("GET", _PATH)).json()
        end_ms = await self._now_ms()
        await self._change(end_ms, min(end_ms, contest["duration_ms"] - contest["freeze_ms"]))
        with trio.move_on_after(_END_S):
            await _until(admin, "ended_at")
            await admin.insist_on("POST", f"{_PATH}/finalize", {}, 409)
            await admin.insist_on("PATCH", _PATH, {"thaw_at": (await self.stage.now()).isoformat()})
            for reader in self.readers:
                await reader.over.wait()
        return [*await self._wrong_feeds(), *await self._wrong_boards()]

    async def _change(self, duration_ms: int, freeze_at_ms: int) -> None:
        body = {"duration_ms": duration_ms, "freeze_ms": duration_ms - freeze_at_ms}
        await self.stage.client.insist_on("PATCH", _PATH, body)

    async def _now_ms(self) -> int:
        return (await self.stage.now() - self.start_at) // dt.timedelta(milliseconds=1)

    async def _wrong_feeds(self) -> list[Violation]:
        """Compare each reader's lines with those that every node gives from the beginning."""
        found = []
        for reader in self.readers:
            if reader.refused:
                found.append(Violation(Wrong.ODD, "", f"the feed of {reader.name} was refused: {reader.refused}"))
            for name, base in self.stage.client.links:
                whole = replace(reader, is_restless=False, lines=[], over=trio.Event(), refused=[])
                await whole.read(base)
                if whole.lines != reader.lines:
                    words = f"{reader.name} has {len(reader.lines)} lines, {name} tells {len(whole.lines)}"
                    found.append(Violation(Wrong.FEED, "", words))
            told = [json.loads(line) for line in reader.lines]
            places = [int(line["token"]) for line in told]
            if places != sorted(set(places)):
                found.append(Violation(Wrong.FEED, "", f"the tokens of {reader.name} are not in order"))
            ids = {line["id"] for line in told if line["type"] == "submissions"}
            if len(ids) != self.accepted:
                words = f"{reader.name} has {len(ids)} of {self.accepted} submissions"
                found.append(Violation(Wrong.FEED, "", words))
        return found

    async def _wrong_boards(self) -> list[Violation]:
        """Compare the board of every node with the one that follows from the programs."""
        expected = {one.key: one.expected for one in self.stage.client.history.tries}
        rows = await self.stage.ask(_SUBMISSIONS, KEY)
        sent = [
            (row["contest_team"], row["problem_id"], (row["created_at"] - self.start_at) // dt.timedelta(minutes=1),
             Verdict(expected[row["idempotency_key"]]))
            for row in rows
        ]  # fmt: skip
        wanted = score(sent)
        found = []
        for name, base in self.stage.client.links:
            url, headers = f"{base}/clics/contests/{KEY}/scoreboard", self.stage.client.headers
            told = (await self.stage.client.http.get(url, headers=headers)).json()["rows"]
            board = {row["team_id"]: (row["score"]["num_solved"], _minutes(row["score"]["total_time"])) for row in told}
            if board != wanted:
                found.append(Violation(Wrong.BOARD, "", f"{name} shows {board} instead of {wanted}"))
        return found


def score(sent: Iterable[tuple[str, int, int, Verdict]]) -> dict[str, tuple[int, int]]:
    """Return problems solved and penalty in minutes of each team; written apart from ``deepoj.contests``, to be
    compared with it. ``sent``: team, problem, minute and verdict of each submission, in order."""
    solved = dict.fromkeys(_TEAMS, 0)
    penalty = dict.fromkeys(_TEAMS, 0)
    rejected: Counter[tuple[str, int]] = Counter()
    over: set[tuple[str, int]] = set()
    for team, problem, minute, verdict in sent:
        cell = team, problem
        if cell in over:
            continue
        if verdict is Verdict.ACCEPTED:
            over.add(cell)
            solved[team] += 1
            penalty[team] += minute + _PENALTY_MIN * rejected[cell]
        elif verdict is not Verdict.COMPILE_ERROR:
            rejected[cell] += 1
    return {team: (solved[team], penalty[team]) for team in _TEAMS}


async def open_contest(stage: Stage, freeze_after: int) -> SoakContest:
    """Make a running contest with the stage's problems, and let readers follow it. It is frozen after so many
    submissions. Raises StartRefused, StoreUnavailable."""
    admin = stage.client
    labels = dict(zip(admin.problems.values(), "AB", strict=True))
    teams = [replace(await admin.second_account(name), contest=KEY, labels=labels) for name in _TEAMS]
    start_at = (await stage.now()).replace(microsecond=0) - dt.timedelta(minutes=1)
    rules = {"key": KEY, "name": "Soak", "duration_ms": 2 * _HOUR_MS, "freeze_ms": 0}
    await admin.insist_on("POST", "/api/v1/contests", rules, 409)
    for problem_id, label in labels.items():
        await admin.insist_on("PUT", f"{_PATH}/problems/{label}", {"problem_id": problem_id})
    lines = "\n".join(f"{name},{name},{name}" for name in _TEAMS)
    await admin.insist_on("POST", f"{_PATH}/teams", {"format": "csv", "text": f"id,name,accounts\n{lines}"})
    await admin.insist_on("PATCH", _PATH, {"start_at": start_at.isoformat()})
    await _until(admin, "started_at")
    viewers: Sequence[tuple[str, Mapping[str, str]]] = (
        ("the public", {}),
        ("a team", teams[0].headers),
        ("the jury", admin.headers),
    )
    readers = [
        FeedReader(f"{name}{', which leaves often' * is_restless}", admin.http, admin.rng, headers, is_restless)
        for name, headers in viewers
        for is_restless in (False, True)
    ]
    for reader in readers:
        stage.tasks.start_soon(reader.follow, admin.links, name=f"feed of {reader.name}")
    contest = SoakContest(stage, teams, readers, start_at)
    stage.tasks.start_soon(contest.freeze, freeze_after, name="freeze of the contest")
    return contest


async def _until(admin: Client, state: str) -> None:
    while (await admin.insist_on("GET", _PATH)).json()["state"][state] is None:
        await trio.sleep(_PAUSE_S)


def _minutes(reltime: str) -> int:
    hours, minutes, _seconds = reltime.split(":")
    return 60 * int(hours) + int(minutes)
