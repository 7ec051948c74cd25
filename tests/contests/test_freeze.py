"""A verdict that a contest hides changes no byte of any answer, but for the jury and, in a freeze, its own team."""

from __future__ import annotations

import datetime as dt
import inspect
import itertools
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import h11
import httpx
import pytest
import trio
from werkzeug.routing import Rule

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.api.contest_ledgers import topic_of
from deepoj.api.live import events
from deepoj.api.route import declaration_of, is_page
from deepoj.contests.clics import access_of
from deepoj.contests.views import JURY
from tests.api.house import House, as_json, served
from tests.api.test_rights import _sent
from tests.contests.scene import BASE
from tests.contests.worlds import BLIND, FROZEN, HIDING, METRICS_TOKEN, SEEING, World, Worlds, worlds
from tests.servers import PostgresServer
from tests.web.pages import RIGHTS
from tests.web.test_injection import _PARAMETERS
from tests.web.test_rights import pattern

#: files that are built
_LEFT_OUT = "/assets/"
#: of one answer, and not of what it says
_OF_THE_ANSWER = {"x-request-id", "date", "traceparent", "set-cookie", "etag"}
#: part of a path → what stands there, beside the ids that ``worlds`` has made
_PARTS: Mapping[str, Sequence[str]] = {
    "key": ("finals",), "contest_id": ("finals",), "label": ("A", "B"), "name": ("owl", "stork"), "lang": ("en",),
    "endpoint": [each["type"] for each in access_of(JURY, counts_points=False)["endpoints"]] + ["access", "account"],
    "act": ("disable",), "form": ("email",), "number": ("4",),
    "group_id": ("1",), "batch_id": ("none",), "preview_id": ("1",), "rerun_id": ("1",), "delivery_id": ("1",),
    "token_id": ("none",), "run_id": ("1",), "team": ("1", "3"), "rejudge_id": ("1",), "award_id": ("winner",),
    "webhook_id": ("1",), "set_id": ("none",), "ending": ("csv", "html"),
}  # fmt: skip
#: parameter of a query → its value
_QUERY: Mapping[str, str] = {
    "all": "1", "by": "user", "changed": "1", "code": "x", "compare": "1", "deleted": "1", "difficulty": "x",
    "done": "1", "draft": "world:A", "error": "x", "force": "0",
    "filter": "mine", "from": "{job_id}", "full": "1", "group": "1", "group_id": "1", "judging": "1", "kind": "1",
    "lang": "en",
    "language": "cpp17", "limit": "200", "memory_limit": "64", "name": "o", "newest": "1", "next": "/",
    "package": "x", "problem": "A",
    "problem_id": "{problem_id}", "report": "1", "rows": "1", "review": "mine", "revision": "x",
    "search": "Sum", "since": "2026-01-01T00:00:00Z",
    "sort": "title", "stale": "1", "state": "x", "tag": "x", "team": "1", "token": "x", "time_limit": "1",
    "unsolved": "1", "until": "2100-01-01T00:00:00Z",
    "user_id": "{user_id}", "verdict": "Accepted", "tv": "1",
}  # fmt: skip
#: parameters that make other ones refused
_ALONE = {"from", "group", "group_id"}
#: parameters that choose among the same rows, or what the caller itself has made
_SKIPPED = {"after", "before", "run", "samples"}
#: what a caller does last: it may have no session and no account afterwards
_LAST = re.compile(r"logout|erase|sessions|password|users/me")
#: lines of the metrics that measure times or connections
_MEASURED = re.compile(rb"^\w+(?:_bucket|_sum|connections|unsent_bytes|streams)\{.*\n", re.MULTILINE)
_NONCE = re.compile(r"(?<='nonce-)[\w-]+")
_REFRESH = re.compile(rb'http-equiv="refresh" content="\d+"')
_TIME = re.compile(rb"20\d\d-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?")
#: another text in each answer
_FORM_TOKEN = re.compile(rb"(?<=form_token\" value=\")[^\"]+")
#: ids and tokens that an answer makes
_MADE = re.compile(rb"[0-9a-f]{8}-[0-9a-f-]{27}|eyJ[\w.-]{60,}")

_PATIENCE_S = 120.0

type Asked = tuple[str, str]
type Answered = tuple[int, Sequence[tuple[str, str]], bytes]


@pytest.fixture
async def both(
    postgres: PostgresServer, bridge: AioBridge, tmp_path: Path, impatient_streams: None
) -> AsyncIterator[Worlds]:
    async with worlds(postgres, bridge, tmp_path) as made:
        await made.judge()
        yield made


@pytest.fixture
def impatient_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    # so a stream says at once that it has no more
    monkeypatch.setattr(events, "KEEP_ALIVE_S", 0.0)
    monkeypatch.setattr(events, "DEAF_LOOK_S", 0.0)


def _requests(home: House[Any], ids: Mapping[str, Sequence[str]]) -> dict[Asked, Rule]:
    """Return requests of every route: with each value of the parts of its path, and with the parameters of its query.

    Those that change something come last. A route whose parts or parameters have no value in the tables fails."""
    values = {**_PARTS, **ids}
    found: dict[Asked, Rule] = {}
    for rule in home.app.url_map.iter_rules():
        if rule.rule.startswith(_LEFT_OUT):
            continue
        missing = rule.arguments - values.keys()
        assert not missing, f"{rule.rule}: give {missing} a value in _PARTS, so that the route is tested"
        names = sorted(rule.arguments)
        for chosen in itertools.product(*(values[name] for name in names)):
            path = rule.rule
            for name, value in zip(names, chosen, strict=True):
                path = re.sub(rf"<(?:\w+:)?{name}>", value, path)
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                found |= {(method, path + query): rule for query in _queries(home, rule, values)}
    return dict(sorted(found.items(), key=lambda each: (each[0][0] != "GET", bool(_LAST.search(each[0][1])))))


def _queries(home: House[Any], rule: Rule, values: Mapping[str, Sequence[str]]) -> Iterator[str]:
    view = home.app.view_functions[rule.endpoint]
    declared = declaration_of(view)
    assert declared is not None
    if not is_page(home.app, rule.endpoint):
        names = set() if declared.query is None else set(declared.query.model_fields)
    else:
        module = inspect.getmodule(inspect.unwrap(view))
        assert module is not None
        source = inspect.getsource(module)
        reads = declared.method == "GET" and re.search(r"args|query_|board_group", source)
        names = set(_PARAMETERS) if reads else set()
        names -= {name for name in _ALONE if f'"{name}"' not in source and f"board_{name}(" not in source}
    names -= _SKIPPED
    assert names <= _QUERY.keys(), f"{rule.rule}: give {names - _QUERY.keys()} a value in _QUERY"
    first = {key: each[0] for key, each in values.items()}
    pairs = {name: f"{name}={_QUERY[name].format(**first)}" for name in sorted(names)}
    yield ""
    if names - _ALONE:
        yield "?" + "&".join(pair for name, pair in pairs.items() if name not in _ALONE)
    for name in sorted(names & _ALONE):
        yield f"?{pairs[name]}"


async def _read(home: House[Any], asked: Asked, sending: Mapping[str, str], body: bytes, at: dt.datetime) -> Answered:
    """Send a request; read a stream until it has no more to say. Clocks, ids of requests and tokens are left out."""
    method, path = asked
    lines = {"Host": "localhost", "Connection": "close", **sending, "Content-Length": str(len(body))}
    protocol = h11.Connection(h11.CLIENT)
    request = h11.Request(method=method, target=path.replace(" ", "%20"), headers=list(lines.items()))
    status, found, said = 0, [], b""
    async with home.connected() as stream:
        raw = protocol.send(request) + protocol.send(h11.Data(data=body)) + protocol.send(h11.EndOfMessage())
        await stream.send_all(raw)
        while not isinstance(event := protocol.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                protocol.receive_data(await stream.receive_some())
            elif isinstance(event, h11.Response):
                status = event.status_code
                found = sorted((name.decode(), value.decode("latin-1")) for name, value in event.headers)
            elif isinstance(event, h11.Data):
                said += event.data
                if said.endswith(_quiet(dict(found).get("content-type", ""))):
                    break
    for each in [value for name, value in found if name == "x-request-id"] + _NONCE.findall(str(found)):
        said = said.replace(each.encode(), b"-")
    said = _FORM_TOKEN.sub(b"made", said)
    if path == "/metrics":
        said, found = _MEASURED.sub(b"", said), [each for each in found if each[0] != "content-length"]
    said = _REFRESH.sub(b"", said)  # the seconds until the clock's next change
    said = _TIME.sub(lambda time: b"now" if _is_now(time[0], at) else time[0], said)
    if method != "GET":
        said = _MADE.sub(b"made", said)
        found = [(name, _MADE.sub(b"made", value.encode()).decode()) for name, value in found]
    return status, [(name, _NONCE.sub("-", value)) for name, value in found if name not in _OF_THE_ANSWER], said


def _quiet(content_type: str) -> tuple[bytes, ...]:
    """Return what a stream sends when there is no more."""
    if content_type.startswith("text/event-stream"):
        return (b": keep-alive\n\n",)
    return (b"\n\n",) if content_type.startswith("application/x-ndjson") else ()


def _is_now(time: bytes, at: dt.datetime) -> bool:
    """Return whether a time, cut to what it shows, is after the worlds were made: they hold no such time."""
    then = dt.datetime.fromisoformat(time.decode()).replace(tzinfo=dt.UTC)
    return at.replace(second=0, microsecond=0) <= then < at + dt.timedelta(hours=1)


class _Caller:
    """One caller in one world, who asks a node that has read nothing before."""

    def __init__(self, both: Worlds, world: World, name: str, tmp_path: Path) -> None:
        self._home, self._at = world.house(tmp_path), both.at
        self._visit, self._token = world.visit(self._home, name), world.tokens.get(name)
        self.requests = _requests(self._home, both.ids)
        self._first = {"problem": both.ids["problem_id"][0], "job": both.ids["job_id"][2]}
        self._forms = {(right.method, pattern(right.path)): right for right in RIGHTS}

    async def answer(self, method: str, path: str) -> Answered:
        """Return the answer of a page to the caller's session, or of a route of the API to its token."""
        rule = self.requests[method, path]
        if is_page(self._home.app, rule.endpoint):
            headers = {"Accept": "text/html", "Cookie": "; ".join(f"{k}={v}" for k, v in self._visit.cookies.items())}
            body = b""
            if method == "POST":
                headers["Content-Type"] = "application/x-www-form-urlencoded"
                fields = self._forms[method, pattern(rule.rule)].form(self._first)
                body = urlencode({**fields, "form_token": await self._visit.form_token()}).encode()
        else:
            headers, body = self._sent(method, rule.rule)
        return await _read(self._home, (method, path), headers, body, self._at)

    def _sent(self, method: str, rule: str) -> tuple[dict[str, str], bytes]:
        token = METRICS_TOKEN if rule == "/metrics" else self._token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if method == "GET":
            return headers, b""
        named = re.sub(r"<(?:\w+:)?(\w+?)(?:_id)?>", r"{\1}", rule)
        sent = _sent(named, self._first)
        if "data" in sent:
            return headers | sent["headers"], sent["data"]
        return headers | {"Content-Type": "application/json"}, as_json(sent.get("json", {}))


def _pair(both: Worlds, name: str, tmp_path: Path) -> tuple[_Caller, _Caller]:
    """Return a caller in both worlds."""
    return _Caller(both, both.one, name, tmp_path), _Caller(both, both.other, name, tmp_path)


#: a setter and an operator see more pages, and those of accounts without a team are among them
_QUICK = {"stranger", "lark"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in _QUICK else pytest.mark.full) for name in BLIND]
)
async def test_a_verdict_in_the_freeze_changes_no_answer(both: Worlds, tmp_path: Path, name: str) -> None:
    one, other = _pair(both, name, tmp_path)
    assert [asked for asked in one.requests if await one.answer(*asked) != await other.answer(*asked)] == []


@pytest.mark.full
@pytest.mark.parametrize("state", HIDING)
async def test_a_verdict_that_a_contest_hides_changes_no_answer(
    postgres: PostgresServer, bridge: AioBridge, tmp_path: Path, impatient_streams: None, state: str
) -> None:
    hiding = HIDING[state]
    blind = ("stranger", "lark", "setter", *(("owl",) if hiding.is_secret else ()))
    async with worlds(postgres, bridge, tmp_path, hiding) as both:
        await both.judge()
        status = f"/api/v1/status/{both.ids['job_id'][2]}"
        for name in ("jury",) if hiding.is_secret else ("jury", "owl"):
            one, other = _pair(both, name, tmp_path)
            assert await one.answer("GET", status) != await other.answer("GET", status), f"{name} sees verdicts"
        for name in blind:
            one, other = _pair(both, name, tmp_path)
            # what one of them changes, others would see in answers whose ids and times no rule leaves out
            asked = [each for each in one.requests if each[0] == "GET" or name == blind[-1]]
            assert [each for each in asked if await one.answer(*each) != await other.answer(*each)] == [], name


#: a stranger, another team, and the team whose judgings a contest hides
_SECRET = {state: hiding for state, hiding in HIDING.items() if hiding.is_secret} | {"frozen": FROZEN}


@pytest.mark.parametrize(
    "state", [pytest.param(state, marks=() if state == "homework" else pytest.mark.full) for state in _SECRET]
)
async def test_the_end_of_a_judging_that_a_contest_hides_changes_no_answer(
    postgres: PostgresServer, bridge: AioBridge, tmp_path: Path, impatient_streams: None, state: str
) -> None:
    """In one world the judgings have ended, one of them twice; in the other none has ended. Metrics count judgings, for
    those who have their token."""
    hiding = _SECRET[state]
    async with worlds(postgres, bridge, tmp_path, hiding) as both:
        await both.end(both.one)
        both.other.stop_clocks(both.at.isoformat())
        for name in ("stranger", "lark", *(("owl",) if hiding.is_secret else ())):
            one, other = _pair(both, name, tmp_path)
            asked = [each for each in one.requests if each[1] != "/metrics" and (each[0] == "GET" or name == "owl")]
            assert [each for each in asked if await one.answer(*each) != await other.answer(*each)] == [], name


async def test_those_who_see_verdicts_see_that_the_worlds_differ(both: Worlds, tmp_path: Path) -> None:
    for name in SEEING:
        one, other = _pair(both, name, tmp_path)
        for path in (f"/api/v1/status/{both.ids['job_id'][2]}", f"/submissions/{both.ids['job_id'][2]}/events"):
            assert await one.answer("GET", path) != await other.answer("GET", path), (name, path)


#: caller, and a stream that is open when verdicts arrive
_STREAMS = [
    (name, path)
    for path in ("/contests/finals/scoreboard/events", "/clics/contests/finals/event-feed")
    for name in ("stranger", "lark")
] + [("jury", "/clics/contests/finals/event-feed")]


async def test_a_stream_that_is_open_tells_nothing_of_a_verdict_in_the_freeze(
    postgres: PostgresServer, bridge: AioBridge, tmp_path: Path
) -> None:
    async with worlds(postgres, bridge, tmp_path) as both:
        one, other = [await _streamed(both, world, tmp_path) for world in (both.one, both.other)]
    for name, path in _STREAMS:
        assert (one[name, path] == other[name, path]) == (name != "jury"), (name, path)


async def _streamed(both: Worlds, world: World, tmp_path: Path) -> dict[Asked, str]:
    """Return what streams send while the hidden judgings of a world end, until a team is new."""
    home = world.house(tmp_path)
    home.streams.listens(well=True)
    contest = await home.ports.contests.contest("finals")
    assert contest is not None
    said: dict[Asked, str] = {}

    async def read(http: httpx.AsyncClient, name: str, path: str, task_status: trio.TaskStatus[None]) -> None:
        cookies = "; ".join(f"{key}={value}" for key, value in world.cookies.get(name, {}).items())
        token = {"Authorization": f"Bearer {world.tokens[name]}"} if name in world.tokens else {}
        headers = {"Cookie": cookies} if path.startswith("/contests") else token
        text = ""
        async with http.stream("GET", path, headers=headers) as answer:
            async for piece in answer.aiter_text():
                if "Storks" not in text and "Storks" in text + piece:
                    task_status.started()
                text += piece
                if "Fourth" in text:
                    break
        said[name, path] = text

    with trio.fail_after(_PATIENCE_S):
        async with served(home) as (url, _), httpx.AsyncClient(base_url=url) as http, trio.open_nursery() as nursery:
            for stream in _STREAMS:
                await nursery.start(read, http, *stream)
            async for _ in both.verdicts(world):
                home.streams.notify(topic_of(contest))
            sent = {"format": "csv", "text": "4,Fourth"}
            answer = await home.ask("POST", f"{BASE}/finals/teams", token=world.tokens["jury"], json=sent)
            assert answer.status_code == 200
            home.streams.notify(topic_of(contest))
    return said
