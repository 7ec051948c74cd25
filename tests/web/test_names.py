"""Names that people chose keep their direction of writing to themselves, on every page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from markupsafe import Markup

from deepoj.web.assets import Assets
from deepoj.web.shown import bdi
from deepoj.words.contests import ContestProblem, EventType
from tests.api.house import served
from tests.contract.labs import PgLab
from tests.web.browser import PATIENCE_MS, chromium, profile_of
from tests.web.contest_scene import ADMIN, arena, at, draft_problem, group, rules, team
from tests.web.scene import add_group
from tests.web.site import BUNDLE
from tests.web.test_texts import TEMPLATES

#: how templates call the name of a person, team, organization, group, problem, contest or token, or words of a person.
#: A new one is a word here
NAMES = re.compile(
    r"\b(?:usernames?|formal_name|organization|author|team_name|team_shown|pseudonym|sample_user"
    r"|\w+_by|(?:account|rules|problem|team|teams|accounts|groups|group|shown|place|host|token|user|standing|award|one|row"
    r"|opened|statement|text|event|step|asked|slip|audit)\.(?:name|title|team|actor|subject|by|reason|group|groups|accounts"
    r"|feed_name|category|email|difficulty)|team_names\.get|teams\.get|titles\[\w+\]|groups_of\.get)\b(?!\s*[.(=]|\|length)"
)
#: (template, expression): a name of ours, of a package or of a file, or one that only chooses
EXCEPTIONS = {
    ("_tests.html", "group.name"),
    ("contest.html", "award.title"),  # a medal
    ("manage_problem.html", "one.name"),
    ("runbook.html", "one.title"),
}
_TOKEN = re.compile(r"\{#.*?#\}|\{\{.*?\}\}|\{%.*?%\}|</?[a-zA-Z][a-zA-Z0-9]*|>", re.DOTALL)
_STRING = re.compile(r"\"[^\"]*\"|'[^']*'")
#: elements that hold text alone, so no other element
_TEXT_ALONE = {"title", "option", "textarea"}


def printed(text: str) -> Iterator[tuple[str, str]]:
    """Yield what a template prints between elements, each with the text before it: not in attributes or titles."""
    is_in_tag, text_alone = False, ""
    for token in _TOKEN.finditer(text):
        word = token.group()
        if word.startswith("{%"):
            if re.match(r"\{%-? block title", word):
                text_alone = "block"
            elif text_alone == "block" and "endblock" in word:
                text_alone = ""
        elif word.startswith("{{"):
            if not is_in_tag and not text_alone:
                yield word[2:-2].strip("- "), text[: token.start()]
        elif word == ">":
            is_in_tag = False
        elif not word.startswith("{#"):
            is_in_tag, name = True, word.strip("</").lower()
            if word.startswith("</"):
                text_alone = "" if name == text_alone else text_alone
            elif name in _TEXT_ALONE:
                text_alone = name


def bare_names(template: str, text: str) -> list[str]:
    """Return the expressions that print a name which no element holds apart from its neighbours."""
    return [
        expression
        for expression, before in printed(text)
        if NAMES.search(_STRING.sub("", expression))
        and "|bdi" not in expression
        and '|map("bdi")' not in expression
        and not re.search(r'<\w+[^<>]* dir="auto"[^<>]*>$', before)
        and (template, expression) not in EXCEPTIONS
    ]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_print_no_name_bare(template: Path) -> None:
    assert bare_names(template.name, template.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "<td>{{ one.username }}</td>",
        '<p title="{{ one.username }}">{{ problem.title }} · {{ now }}</p>',
        '{{ _("asked for by %(name)s", name=rerun.asked_by) }}',
        '{{ team.groups|join(", ") or "–" }}',
        '<b dir="auto"></b>{{ contest.rules.name }}',
    ],
)
def test_a_bare_name_is_found(text: str) -> None:
    assert len(bare_names("one.html", text)) == 1


def test_a_name_is_escaped_in_an_element_of_its_own() -> None:
    assert bdi("<محمد>") == Markup("<bdi>&lt;محمد&gt;</bdi>")
    assert (bdi(""), bdi(None)) == ("", "")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_boxes_for_prose_follow_the_direction_of_what_is_written(template: Path) -> None:
    text = template.read_text("utf-8")
    assert [box for box in re.findall(r"<textarea[^>]*>", text) if "prose" in box and 'dir="auto"' not in box] == []
    assert 'class="words">' not in text
    assert not re.search(r'class="(?:text|rendered)"(?![^>]*dir="auto")', text)


#: a name without a place where a line may end
_LONG = "W" * 60
_PAGES = (
    "/contests", "/contests/long", "/contests/long/scoreboard", "/contests/long/submissions",
    "/contests/long/clarifications", "/contests/long/problems/A", "/contests/long/board/t0/A", "/manage/contests",
    "/manage/contests/long", "/manage/contests/long/teams", "/manage/contests/long/submissions",
    "/manage/contests/long/clarifications", "/manage/contests/long/clock", "/manage/problems",
    "/manage/problems/{problem}", "/manage/problems/{problem}/rejudge", "/manage/problems/{problem}/delete",
    "/manage/users", "/manage/users/{user}", "/manage/groups", "/manage/groups/{group}", "/submissions?all=1",
)  # fmt: skip
#: elements whose text leaves the window, or the element itself
_WIDE = """() => [document.documentElement, ...document.querySelectorAll("ul.slips li, ul.slips li *")]
  .filter((one) => one.scrollWidth > one.clientWidth && getComputedStyle(one).display !== "inline")
  .map((one) => `${one.localName}: ${one.scrollWidth} > ${one.clientWidth}`)"""


@pytest.mark.parametrize("postgres", ["embedded"], indirect=True)
async def test_long_names_widen_no_page_and_no_slip(
    tmp_path: Path, real: PgLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.api.house.Assets", lambda: Assets.load(BUNDLE.parent))
    place = await arena(tmp_path, real)
    problem = await draft_problem(place, _LONG)
    teams = [team("t0", _LONG, "north"), team("t1", f"{_LONG}2", "north")]
    contest = await place.hold("long", rules(100.0, name=_LONG), [], teams, [group("north", _LONG)])
    shown = ContestProblem(label="A", problem_id=problem, ordinal=1, name=_LONG, rgb="#ff0000")
    assert await place.real.pg_store.contests.put_problem(contest.id, shown, by=place.director) is None
    place.tell(
        contest,
        EventType.CLARIFICATIONS,
        "1",
        {"from_team_id": "t0", "problem_id": "A", "text": _LONG, "at": at(contest, 9.0)},
    )
    place.submitted(contest, 1, "t0", "A", 20.0)
    real.sql(f"UPDATE users SET username = '{'w' * 32}', email = '{_LONG}@example.org' WHERE username = 'member'")
    member = real.sql(f"SELECT id FROM users WHERE username = '{'w' * 32}'").strip()
    numbers = {"problem": problem, "user": member, "group": await add_group(place.home, ["w" * 32], _LONG)}
    admin = place.visits[ADMIN]
    made = {"act": "make", "team-red": "1"}
    slips = (await admin.post("/manage/contests/long/credentials", made)).text.replace("Red Pandas", _LONG)
    assert f"<bdi>{_LONG}</bdi></strong>" in slips

    def look(url: str) -> dict[str, list[str]]:
        wide = {}
        with chromium() as browser:
            page = profile_of(browser, admin, url).new_page()
            page.set_default_timeout(PATIENCE_MS)
            for width in (390, 1400):
                page.set_viewport_size({"width": width, "height": 900})
                for path in _PAGES:
                    reply = page.goto(url + path.format(**numbers))
                    assert reply is not None
                    assert reply.status == 200, path
                    wide[f"{path} {width}"] = page.evaluate(_WIDE)
                for media in ("screen", "print"):
                    page.emulate_media(media=media)
                    page.set_content(slips)
                    wide[f"slips {width} {media}"] = page.evaluate(_WIDE)
                page.emulate_media(media="screen")
        return {look: found for look, found in wide.items() if found}

    async with served(place.home) as (url, _):
        assert await trio.to_thread.run_sync(look, url) == {}


@pytest.mark.parametrize("postgres", ["embedded"], indirect=True)
async def test_groups_of_a_board_are_in_their_readers_order(tmp_path: Path, real: PgLab) -> None:
    place = await arena(tmp_path, real)
    names = ["Site 2", "site 10", "Zoé", "محمد", "阿", "张"]
    groups = [group(f"g{number}", name) for number, name in enumerate(reversed(names))]
    await place.hold("sites", rules(100.0), [await draft_problem(place)], groups=groups)
    page = (await place.visits[ADMIN].get("/contests/sites/scoreboard")).text
    assert re.findall(r'<option value="g\d">([^<]+)', page) == names
