"""Open pages of a contest tell what is new: for each reader what is the reader's, in places that are already there."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
import trio

from deepoj.api.contest_ledgers import topic_of
from deepoj.api.live import events
from deepoj.contests.views import JURY as JURY_VIEW
from deepoj.contests.views import ContestViewer
from deepoj.web.assets import Assets
from deepoj.web.contests import ContestReading
from deepoj.web.news import NewsFeed, ShownList, news_values
from deepoj.words.contests import ClarificationDraft, Contest, EventType
from tests.api.house import client, served
from tests.contract.labs import PgLab
from tests.web.browser import PATIENCE_MS, chromium
from tests.web.contest_scene import JURY, OTHER, TEAM, Arena, arena, draft_problem, group, rules, team
from tests.web.site import BUNDLE

_RED, _BLUE, _NOTHING = ContestViewer(team_id="red"), ContestViewer(team_id="blue"), ShownList(None, None, None, ())


async def _reading(place: Arena, contest: Contest, viewer: ContestViewer) -> ContestReading:
    return ContestReading(contest, await place.home.context.ledgers.ledger(contest), viewer)


async def test_news_are_the_readers_own(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    contest = await place.hold("finals", rules(100.0), [await draft_problem(place)])
    clarify = real.pg_store.contests.clarify
    await clarify(contest.id, ClarificationDraft(from_team_id="red", text="Why?"))
    values = [news_values(await _reading(place, contest, one), 0, _NOTHING) for one in (JURY_VIEW, _RED, _BLUE)]
    assert [(one["open_questions"], one["unread"]) for one in values] == [(1, 0), (0, 0), (0, 0)]
    await clarify(contest.id, ClarificationDraft(to_team_ids=("red",), reply_to_id="1", text="So."))
    values = [news_values(await _reading(place, contest, one), 0, _NOTHING) for one in (JURY_VIEW, _RED, _BLUE)]
    assert [(one["open_questions"], one["unread"]) for one in values] == [(0, 0), (0, 1), (0, 0)]


async def test_rows_that_came_since_are_counted_and_a_frozen_verdict_is_told_to_the_jury_alone(
    tmp_path: Path, real: PgLab
) -> None:
    place = await arena(tmp_path, real)
    contest = await place.hold("finals", rules(270.0), [await draft_problem(place)])
    for number, team_id in enumerate(("red", "blue", "blue"), 1):
        place.submitted(contest, number, team_id, "A", 250)
        place.judged(contest, number, "Accepted")
    shown = ShownList(1, None, None, ("1", "2", "none"))
    for viewer, verdicts in (
        (JURY_VIEW, ["Accepted", "Accepted"]),
        (_RED, ["Accepted", "Judging"]),
        (_BLUE, ["Judging", "Accepted"]),
    ):
        values = news_values(await _reading(place, contest, viewer), 0, shown)
        assert [one.verdict for one in values["rows"]] == verdicts, viewer
        assert values["new_submissions"] == 2
    filtered = ShownList(1, "red", None, ())
    assert news_values(await _reading(place, contest, JURY_VIEW), 0, filtered)["new_submissions"] == 0


async def test_a_page_names_no_submission_of_a_hidden_team_as_the_newest(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    groups = [group("north", "North"), group("south", "South"), group("staff", "Staff", hidden=True)]
    guests = [team("guests", "Guests", "staff")]
    contest = await place.hold("finals", rules(100.0), [await draft_problem(place)], guests, groups)
    place.submitted(contest, 1, "red", "A", 10)
    place.submitted(contest, 2, "guests", "A", 20)
    assert [(await _reading(place, contest, one)).newest() for one in (JURY_VIEW, _RED)] == ["2", "1"]


async def test_a_feed_is_silent_until_something_of_the_reader_changes_and_ends_with_the_contest(
    tmp_path: Path, real: PgLab
) -> None:
    place = await arena(tmp_path, real)
    contest = await place.hold("finals", rules(100.0), [await draft_problem(place)])

    async def read() -> ContestReading:
        return await _reading(place, contest, _BLUE)

    feed = NewsFeed(read, lambda now: f"{news_values(now, 0, _NOTHING)['unread']} unread")
    assert [one.data for one in await feed.events()] == ["0 unread"]
    await real.pg_store.contests.clarify(contest.id, ClarificationDraft(from_team_id="red", text="Why?"))
    assert not await feed.events(), "another team's question"
    await real.pg_store.contests.clarify(contest.id, ClarificationDraft(text="To all."))
    assert [one.data for one in await feed.events()] == ["1 unread"]
    state = (await _reading(place, contest, _BLUE)).ledger.state
    place.tell(contest, EventType.STATE, "", {**state, "finalized_at": state["started_at"]})
    assert [one.name for one in await feed.events()] == ["done"]
    assert feed.is_over


@pytest.mark.parametrize("postgres", ["embedded"], indirect=True)
async def test_questions_answers_and_submissions_reach_open_pages(  # noqa: PLR0915 - one story of three browsers
    tmp_path: Path, real: PgLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The jury's pages and a team's problem page, whose editor keeps the focus."""
    monkeypatch.setattr("tests.api.house.Assets", lambda: Assets.load(BUNDLE.parent))
    place = await arena(tmp_path, real)
    contest = await place.hold("finals", rules(100.0), [await draft_problem(place)])
    place.submitted(contest, 1, "red", "A", 50)
    asked, answered = trio.Event(), trio.Event()
    token = trio.lowlevel.current_trio_token()
    clarify = real.pg_store.contests.clarify

    async def act() -> None:
        await asked.wait()
        await clarify(contest.id, ClarificationDraft(from_team_id="red", text="Why?"))
        place.submitted(contest, 2, "blue", "A", 60)
        place.judged(contest, 1, "Accepted")
        place.home.streams.notify(topic_of(contest))
        await answered.wait()
        await clarify(contest.id, ClarificationDraft(text="To all.", reply_to_id="1"))
        place.home.streams.notify(topic_of(contest))

    def look(url: str) -> None:
        with chromium() as browser:
            pages = []
            for who in (JURY, TEAM, OTHER):
                context = browser.new_context()
                context.set_default_timeout(PATIENCE_MS)
                cookies = place.visits[who].cookies.items()
                context.add_cookies([{"name": name, "value": value, "url": url} for name, value in cookies])
                pages.append(context.new_page())
            jury, problem, board = pages
            faults: list[str] = []
            for page in pages:
                page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
            jury.goto(f"{url}/manage/contests/finals/submissions")
            problem.goto(f"{url}/contests/finals/problems/A")
            board.goto(f"{url}/contests/finals/scoreboard")
            for page in pages:
                page.locator("[data-live=open]").first.wait_for(state="attached")
                assert page.locator("[data-sse-connect]").count() == 1, "one connection"
            problem.locator("select[name=language]").first.focus()
            heights = [page.evaluate("document.querySelector('main').scrollHeight") for page in pages]
            token.run_sync_soon(asked.set)
            jury.locator("h1 .fresh", has_text="1 new").wait_for()
            jury.locator(".tabs [data-news=open]", has_text="1 open").wait_for()
            jury.locator("tbody .verdict", has_text="Accepted").wait_for()
            assert jury.locator("tbody tr").count() == 1, "no row moves under the reader"
            assert jury.title().startswith("(1) ")
            assert not problem.title().startswith("("), "a question is the jury's"
            token.run_sync_soon(answered.set)
            for page in (problem, board):
                page.locator(".tabs [data-news=unread]", has_text="1 new").wait_for()
                assert page.title().startswith("(1) ")
                assert "1" in page.locator("[role=status][data-news=status]").inner_text()
            jury.locator(".tabs [data-news=open] .unread").wait_for(state="detached")
            assert not jury.title().startswith("(")
            assert problem.evaluate("document.activeElement.name") == "language", "the focus stays"
            assert heights == [page.evaluate("document.querySelector('main').scrollHeight") for page in pages]
            assert faults == []

    async with served(place.home) as (url, _), trio.open_nursery() as nursery:
        nursery.start_soon(act)
        await trio.to_thread.run_sync(look, url)


async def test_an_answer_to_all_keeps_its_question_and_problem_for_those_who_did_not_see_it(
    tmp_path: Path, real: PgLab
) -> None:
    place = await arena(tmp_path, real)
    contest = await place.hold("finals", rules(100.0), [await draft_problem(place)])
    await place.visits[TEAM].post("/contests/finals/clarifications", {"text": "Is 0 <even>?\nAnd 1?", "problem": "A"})
    here, jury = "/manage/contests/finals/clarifications", place.visits[JURY]
    assert 'name="problem"><option value="A" selected>' in (await jury.get(here)).text, "the form names the problem"
    await jury.post(here, {"reply_to": "1", "text": "Yes.", "to_all": "1"})
    page = (await place.visits[OTHER].get("/contests/finals/clarifications")).text
    assert "&gt; Is 0 &lt;even&gt;?\n&gt; And 1?\n\nYes." in page
    assert "Problem A" in page
    await jury.post(here, {"reply_to": "1", "text": "No."})
    ledger = await place.home.context.ledgers.ledger(contest)
    own = ledger.of(EventType.CLARIFICATIONS)["3"]
    assert (own["text"], own["problem_id"], own["to_team_ids"]) == ("No.", "A", ["red"]), "its team sees the question"


@pytest.mark.parametrize("who", [JURY, TEAM])
async def test_news_are_rendered_once_for_all_readers_of_a_language(
    tmp_path: Path, real: PgLab, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    many, rendered = 80, list[str]()
    place = await arena(tmp_path, real, max_streams_per_user=many)
    contest = await place.hold("finals", rules(100.0), [await draft_problem(place)])
    render = jinja2.Template.render

    def counting(template: jinja2.Template, *args: Any, **values: Any) -> str:
        rendered.append(str(template.name))
        return render(template, *args, **values)

    monkeypatch.setattr(jinja2.Template, "render", counting)
    cookie = "; ".join(f"{name}={value}" for name, value in place.visits[who].cookies.items())
    async with served(place.home) as (url, _), client(url) as http, contextlib.AsyncExitStack() as stack:
        streams = []
        for number in range(many):
            headers = {"Cookie": f"{cookie}; deepoj_language={('en', 'zh')[number % 2]}"}
            answer = await stack.enter_async_context(http.stream("GET", "/contests/finals/events", headers=headers))
            streams.append(answer.aiter_lines())
            await _next_news(streams[-1])
        assert rendered == ["_contest_news.html"] * 2
        asked, told = ClarificationDraft(from_team_id="red", text="Why?"), ClarificationDraft(text="To all.")
        await real.pg_store.contests.clarify(contest.id, asked if who == JURY else told)
        place.home.streams.notify(topic_of(contest))
        news = [await _next_news(lines) for lines in streams]
        assert rendered == ["_contest_news.html"] * 4, "two for the new event"
        assert len(set(news)) == 2


@pytest.mark.parametrize("path", ["events", "scoreboard/events"])
async def test_stream_of_a_juror_ends_when_the_right_is_taken_away(
    tmp_path: Path, real: PgLab, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(events, "RECHECK_S", 0.0)
    place = await arena(tmp_path, real)
    contest = await place.hold("finals", rules(270.0), [await draft_problem(place)])
    account = await place.home.ports.accounts.credentials(JURY)
    assert account is not None
    cookie = "; ".join(f"{name}={value}" for name, value in place.visits[JURY].cookies.items())
    async with (
        served(place.home) as (url, _),
        client(url) as http,
        http.stream("GET", f"/contests/finals/{path}", headers={"Cookie": cookie}) as answer,
    ):
        lines = answer.aiter_lines()
        await _next_news(lines)
        await place.home.ports.accounts.change_rights(account.user.id, roles=[], by=None)
        await real.pg_store.contests.clarify(contest.id, ClarificationDraft(from_team_id="red", text="Why?"))
        place.home.streams.notify(topic_of(contest))
        with pytest.raises(StopAsyncIteration):  # the stream ends without the question
            await _next_news(lines)


async def _next_news(lines: AsyncIterator[str]) -> str:
    """Return the next piece of news of a stream."""
    while await anext(lines) != "event: news":
        pass
    piece = []
    while line := await anext(lines):
        piece.append(line)
    return "\n".join(piece)
