"""Cross-site scripting, reflected and stored: what people write is text on each page, even if it looks like markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.parse import quote

import pytest

import deepoj.web
from deepoj.words.results import Report, Verdict
from deepoj.words.sources import SourceFile
from tests.api.house import House, house
from tests.unit.makers import a_report
from tests.web.harmless import PAYLOADS, faults_of
from tests.web.pages import PAGES, RIGHTS, Who
from tests.web.scene import add_problem, add_submission, report_saying
from tests.web.test_rights import furnished
from tests.web.visits import Visit, administrator, registered

#: a page, a parameter or a path gets each fourth text, its neighbour the next ones
_SHARE = 4
#: every parameter of a query that a page reads; a test compares them with the source
_PARAMETERS = (
    "after",
    "all",
    "before",
    "by",
    "changed",
    "compare",
    "deleted",
    "difficulty",
    "done",
    "draft",
    "from",
    "group",
    "kind",
    "lang",
    "language",
    "memory_limit",
    "newest",
    "next",
    "package",
    "problem",
    "problem_id",
    "report",
    "rows",
    "run",
    "samples",
    "search",
    "since",
    "sort",
    "stale",
    "tag",
    "team",
    "time_limit",
    "tv",
    "unsolved",
    "verdict",
)
_READS = re.compile(r"(?:\bargs|\basked)\.get(?:list)?\(\s*\"(\w+)\"|query_number\(\s*\"(\w+)\"|args\[\"(\w+)\"\]")


def test_the_list_of_parameters_names_each_that_a_page_reads() -> None:
    sources = Path(deepoj.web.__file__).parent.rglob("*.py")
    read = {name for source in sources for found in _READS.findall(source.read_text()) for name in found if name}
    assert read == set(_PARAMETERS)


def test_the_check_finds_what_templates_do_not_escape() -> None:
    unescaped = [payload for payload in PAYLOADS if faults_of(f"<p>{payload}</p>")]
    assert len(unescaped) > len(PAYLOADS) * 3 / 4
    assert faults_of('<a href="javascript:hostile()">x</a>')
    assert faults_of('<a href="//elsewhere.example">x</a>')
    assert not faults_of('<a href="/problems?after=3&amp;x=1#main">x</a><script src="/assets/app.1.js" defer></script>')


async def shows_only_text(visit: Visit, path: str, status: int | None = 200) -> str:
    reply = await visit.get(path)
    assert status is None or reply.status == status, (path, reply.text)
    assert faults_of(reply.text) == [], path
    assert "1512529" not in reply.text, "an expression was evaluated"
    return reply.text


async def test_a_parameter_of_the_query_is_text_on_every_page(tmp_path: Path) -> None:
    _home, visits, ids = await furnished(tmp_path)
    ids |= dict.fromkeys(("accepted", "wrong", "broken"), ids["job"])
    paths = {(page.path.partition("?")[0].format(**ids), page.who) for page in PAGES}
    for number, (path, who) in enumerate(sorted(paths)):
        for payload in PAYLOADS[number % _SHARE :: _SHARE]:
            query = "&".join(f"{name}={quote(payload, safe='')}" for name in _PARAMETERS)
            await shows_only_text(visits[who], f"{path}?{query}", None)
    # alone: one that is refused hides the others
    for number, name in enumerate(_PARAMETERS):
        for payload in PAYLOADS[number % _SHARE :: _SHARE]:
            await shows_only_text(visits[Who.ADMIN], f"/submissions?{name}={quote(payload, safe='')}", None)


async def test_a_part_of_the_path_is_text_on_the_page_that_refuses_it(tmp_path: Path) -> None:
    visit = await administrator(house(tmp_path, has_pages=True), "chief")
    patterns = sorted({right.path for right in RIGHTS if right.method == "GET" and "{" in right.path})
    for number, path in enumerate(("/{}", *(re.sub(r"{\w+}", "{}", pattern) for pattern in patterns))):
        for payload in PAYLOADS[number % _SHARE :: _SHARE]:
            sent = quote(payload, safe="")
            await shows_only_text(visit, path.format(*[sent] * path.count("{}")), None)


async def test_a_field_that_is_shown_again_is_text(tmp_path: Path) -> None:
    _home, visits, ids = await furnished(tmp_path)
    for number, right in enumerate(right for right in RIGHTS if right.method == "POST"):
        for payload in PAYLOADS[number % _SHARE :: _SHARE]:
            fields = dict.fromkeys((*right.fields, "next", "username", "email", "code", "language", "session"), payload)
            for who in (Who.STRANGER, Who.ADMIN):
                if right.path == "/logout" and who is Who.ADMIN:
                    continue
                reply = await visits[who].post(right.path.format(**ids), fields, form_token=None)
                assert faults_of(reply.text) == [], (right, payload)
                assert reply.location.startswith("/") or not reply.location, (right, payload)


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_what_people_store_is_text_on_every_page(tmp_path: Path, payload: str) -> None:
    """Title, statement, reason of a broken problem, names, e-mail, browser, source, outputs, tests and files."""
    home = house(tmp_path, has_pages=True)
    chief = await administrator(home, "chief")
    chief.headers["User-Agent"] = re.sub(r"[^ -~]", "", payload)
    assert (await chief.log_in("chief")).status == 303
    problem = await add_problem(home, title=payload, description=payload, broken=payload)
    jobs = [
        await add_submission(home, "chief", problem, code=payload, report=report_saying(payload)),
        await add_submission(
            home, "chief", problem, code=f"{payload} ", report=report_saying(payload, Verdict.COMPILE_ERROR)
        ),
        await add_submission(home, "chief", problem, code=f"{payload}  ", report=explained(payload)),
        await add_submission(home, "chief", problem, code=f"{payload}   "),
    ]
    _name_everything(home, payload)
    paths = ["/", "/problems", f"/problems/{problem}", "/submissions", "/submissions?all=1", "/account"]
    paths += [f"/submissions/{job}" for job in jobs] + [f"/submissions/{job}/events" for job in jobs[:3]]
    shown = [await shows_only_text(chief, path) for path in paths]
    assert re.split(r"[\r\n\f]", payload)[0] in unescape(shown[1]), "the title is not shown as it is"
    for path in ("/", "/problems", f"/problems/{problem}"):
        await shows_only_text(Visit(home), path)


def explained(text: str) -> Report:
    why = {"rule": "compile", "sentence": text, "test": text, "group": text, "depends_on": text}
    rules = ("compile", "dependency", "short_circuit", "borderline", "checker", "cpu")
    return replace(a_report(Verdict.WRONG_ANSWER), explanation=tuple(why | {"rule": rule} for rule in rules))


def _name_everything(home: House, payload: str) -> None:
    """Give accounts and files names that no form would take: stores and other ways in are not the pages' to trust."""
    store = home.store
    for user_id, held in list(store._users.items()):
        store._users[user_id] = replace(held, user=replace(held.user, username=payload, email=payload))
    for row in store.rows.values():
        row.draft = replace(row.draft, entry_point=payload, beside=(SourceFile(payload, payload),))


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_a_name_that_would_be_markup_is_no_name(tmp_path: Path, payload: str) -> None:
    visit = Visit(house(tmp_path, has_pages=True))
    reply = await visit.register(payload)
    assert reply.status == 400
    assert faults_of(reply.text) == []


async def test_an_event_of_a_stream_ends_where_we_end_it(tmp_path: Path) -> None:
    """A line break in a text of a contestant begins no field of the event stream."""
    home = house(tmp_path, has_pages=True)
    member = await registered(home, "member")
    problem = await add_problem(home)
    for payload in PAYLOADS:
        job = await add_submission(home, "member", problem, code=payload, report=report_saying(payload))
        text = (await member.get(f"/submissions/{job}/events")).text
        fields = {line.partition(":")[0] for line in re.split(r"\r\n|\r|\n", text) if line}
        assert fields <= {"", "id", "event", "data", "retry"}, payload
        names = {line.partition(":")[2].strip() for line in re.split(r"\r\n|\r|\n", text) if line.startswith("event:")}
        assert names <= {"verdict", "tests", "done"}, payload
