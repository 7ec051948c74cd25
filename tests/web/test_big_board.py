"""Pages of a contest with 500 teams and 12 problems: how many bytes and elements they have."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
import trio

from deepoj.web.assets import Assets
from deepoj.words.contests import Contest, EventType
from tests.api.house import served
from tests.contract.labs import PgLab
from tests.web.browser import PATIENCE_MS, chromium
from tests.web.contest_scene import ADMIN, JURY, STRANGER, Arena, arena, draft_problem, rules, team
from tests.web.site import BUNDLE

TEAMS, PROBLEMS, TRIES = 500, 12, 9
#: page → most bytes, most bytes with gzip, most elements
BUDGETS = {
    "/contests/big/scoreboard": (420_000, 30_000, 14_000),
    "/manage/contests/big/scoreboard": (480_000, 30_000, 14_000),
    "/manage/contests/big/teams": (150_000, 15_000, 6_500),
    "/manage/contests/big/submissions": (90_000, 12_000, 1_700),
    "/manage/system": (24_000, 7_000, 330),
}
_FILL = """
INSERT INTO contest_events (contest_id, number, type, object_id, data)
SELECT {contest}, (SELECT last FROM contest_counters WHERE contest_id = {contest}) + 2 * n + kind, type, object_id, data
FROM generate_series(0, {most}) AS n
CROSS JOIN LATERAL (VALUES
    (1, 'submissions', n::text, jsonb_build_object(
        'job_id', '00000000-0000-4000-8000-' || lpad(n::text, 12, '0'), 'team_id', 't' || n % {teams},
        'problem_id', chr(65 + (n / {teams} + n % 7) % {problems}), 'language', 'cpp17',
        'at', to_char((TIMESTAMPTZ '{start}' + n * INTERVAL '2 s') AT TIME ZONE 'UTC',
                      'YYYY-MM-DD"T"HH24:MI:SS".000Z"'))),
    (2, 'judgements', n || '-1', jsonb_build_object(
        'submission_id', n::text, 'is_current', true, 'runs', '[["Accepted", 12]]'::jsonb,
        'verdict', CASE WHEN n * 7919 % 5 < 2 THEN 'Accepted' ELSE 'Wrong Answer' END))
) AS event (kind, type, object_id, data);
UPDATE contest_counters SET last = (SELECT max(number) FROM contest_events WHERE contest_id = {contest})
WHERE contest_id = {contest};
"""
pytestmark = pytest.mark.parametrize("postgres", ["embedded"], indirect=True)


async def big_contest(place: Arena) -> Contest:
    """Hold a contest in which each team has sent some programs, all judged."""
    problems = [await draft_problem(place) for _ in range(PROBLEMS)]
    contest = await place.hold(
        "big", rules(230.0), problems, [team(f"t{number}", f"Team number {number}") for number in range(TEAMS)]
    )
    start = contest.rules.start_at
    place.real.sql(
        _FILL.format(contest=contest.id, most=TEAMS * TRIES - 1, teams=TEAMS, problems=PROBLEMS, start=start)
    )
    return contest


async def test_pages_with_500_teams_keep_their_budgets_of_bytes_and_elements(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    await big_contest(place)
    over = {}
    for path, budget in BUDGETS.items():
        reply = await place.visits[ADMIN].get(path)
        assert reply.status == 200, path
        page = reply.text.encode()
        found = len(page), len(gzip.compress(page, 6)), len(re.findall(r"<[a-z]", reply.text))
        if any(one > most for one, most in zip(found, budget, strict=True)):
            over[path] = found
    assert over == {}


async def test_awards_are_on_the_board_and_the_overview_once_they_may_be_seen(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    for key, freeze_ms in (("frozen", 3_600_000), ("open", None)):
        contest = await place.hold(key, rules(310.0, freeze_ms=freeze_ms), [await draft_problem(place)])
        for award_id, teams in (("winner", ["red"]), ("gold-medal", ["red"]), ("rank-1", ["red"]), ("kind", ["blue"])):
            place.tell(contest, EventType.AWARDS, award_id, {"citation": "Kindest team", "team_ids": teams})
    public = place.visits[STRANGER]
    board = (await public.get("/contests/open/scoreboard")).text
    assert re.search(r'id="team-red"><td class="gold">\d+<th scope="row"><bdi>Red Pandas</bdi> <small><b class', board)
    overview = (await public.get("/contests/open")).text
    assert re.findall(r"<dt><b class=\"medal gold\">Gold medal</b></dt><dd>(.*?)</dd>", overview) == [
        "<bdi>Red Pandas</bdi>"
    ]
    assert "Contest winner" in overview
    assert "Kindest team" in overview
    assert "rank-1" not in overview
    for path in ("/contests/frozen/scoreboard", "/contests/frozen"):
        assert "Gold medal" not in (await public.get(path)).text, path
    assert "Gold medal" in (await place.visits[JURY].get("/manage/contests/frozen/scoreboard")).text


async def test_board_in_a_browser_keeps_its_head_finds_teams_and_turns_pages(
    tmp_path: Path, real: PgLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.api.house.Assets", lambda: Assets.load(BUNDLE.parent))
    place = await arena(tmp_path, real)
    await big_contest(place)
    top_of = "document.querySelector('{}').getBoundingClientRect().top"

    def look(url: str) -> None:
        with chromium() as browser:
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            page.set_default_timeout(PATIENCE_MS)
            page.goto(f"{url}/contests/big/scoreboard?q=NUMBER+12")
            shown = page.locator("#board tbody tr:not([hidden])")
            assert shown.count() == 15, "12, 112, …, 412, and 120 to 129"
            shown.nth(1).locator("button.star").click()
            page.locator("[name=starred]").check()
            assert shown.count() == 1
            page.reload()
            assert "starred=1" in page.url
            assert shown.count() == 1, "both are in the address and the browser"
            page.goto(f"{url}/contests/big/scoreboard")
            page.evaluate("scrollTo(0, 9000)")
            assert page.evaluate(top_of.format(".board thead th")) == 0
            page.set_viewport_size({"width": 1920, "height": 1080})
            page.clock.install()
            page.goto(f"{url}/contests/big/scoreboard?tv=1")
            turning = page.locator("[data-turn-page] output")
            first, of_first = turning.inner_text(), shown.count()
            assert of_first >= 20
            assert page.evaluate("document.documentElement.scrollHeight <= innerHeight + 80")
            page.clock.run_for(10_500)
            assert turning.inner_text() != first
            assert shown.first.inner_text().split()[1:4] == ["Team", "number", "0"], "the first ones stay"
            page.locator("[data-turn-page] button").click()
            second = turning.inner_text()
            page.clock.run_for(30_000)
            assert turning.inner_text() == second

    async with served(place.home) as (url, _):
        await trio.to_thread.run_sync(look, url)
