"""Who may see and do what on the pages, by the table ``tests.web.pages``."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from deepoj.api.route import is_page
from deepoj.words.accounts import UserRole
from deepoj.words.previews import Preview
from deepoj.words.rejudges import EVERYTHING
from deepoj.words.reruns import KeptFile, RerunFile, RerunOutcome
from tests.api.house import House, house
from tests.api.test_rights import _batch, _ended_run
from tests.unit.makers import a_report
from tests.web.pages import ENDLESS, LOGIN, NOT_SHOWN, PAGES, RIGHTS, Right, Shown, Who
from tests.web.scene import add_group, add_problem, add_submission
from tests.web.visits import Visit, administrator, registered, with_role

_ROLES = {
    Who.SETTER: UserRole.SETTER, Who.OTHER_SETTER: UserRole.SETTER, Who.JURY: UserRole.JURY,
    Who.OPERATOR: UserRole.OPERATOR,
}  # fmt: skip


async def furnished(
    tmp_path: Path, among: Collection[Who] = tuple(Who), **changes: Any
) -> tuple[House, dict[Who, Visit], dict[str, str]]:
    """Return pages, a visitor of each kind that is asked for, and the ids for the parts of paths."""
    home = house(tmp_path, has_pages=True, **changes)
    return home, *await furnish(home, among)


async def furnish(home: House[Any], among: Collection[Who]) -> tuple[dict[Who, Visit], dict[str, str]]:
    """Put what pages show into an empty store. Return a visitor of each kind, and the ids for the parts of paths."""
    visits = {Who.STRANGER: Visit(home), Who.MEMBER: await registered(home, "member")}
    for who in among:
        if who in _ROLES:
            visits[who] = await with_role(home, who.replace(" ", "-"), _ROLES[who])
        elif who not in visits:
            visits[who] = await (administrator if who is Who.ADMIN else registered)(home, who)
    problem = await add_problem(home, by="setter" if Who.SETTER in visits else "")
    job = await add_submission(home, "member", problem, report=a_report())
    ids = {
        "problem": str(problem),
        "preview": await _cancelled_preview(home, problem),
        "job": job,
        "rerun": await ended_rerun(home, job, RerunOutcome(files={RerunFile.OUTPUT: KeptFile(b"5", 1)})),
        "kept": "output",
        "waiting": await add_submission(home, "member", problem),
        "run": await _ended_run(home, await home.token_of("member")),
        "batch": await _batch(home, await home.token_of("member")),
        "user": str((await home.account("subject")).id),
        "member": "member",
        "group": str(await add_group(home, ["subject"])),
        "act": "disable",
        "file": "none.png",
        "form": "email",
        "chapter": "4",
        "contest": "finals",
        "label": "A",
        "team": "1",
        "sent": "1",
        "ending": "csv",
    }
    return visits, ids


async def _cancelled_preview(home: House[Any], problem: int) -> str:
    """Return a preview of a rejudge, whose stream ends at once."""
    by, previews = (await home.account("previewer")).id, home.ports.previews
    preview = await previews.start_preview(problem, by=by, in_full=False, scope=EVERYTHING)
    assert isinstance(preview, Preview)
    await previews.cancel_preview(problem, preview.id, by=by)
    return str(preview.id)


async def ended_rerun(home: House[Any], job_id: str, outcome: RerunOutcome) -> str:
    """Return a rerun of a test of a submission that a node has ended with this outcome."""
    by, ports = (await home.account("rerunner")).id, home.ports
    number = await ports.reruns.take_rerun(job_id, "secret/1", by=by)
    claim = await ports.rerun_leases.claim("node", 60.0, 2, ("cpp17",))
    assert claim is not None
    assert await ports.rerun_leases.finish(claim, outcome)
    return str(number)


def _is_taken(right: Right, status: int) -> bool:
    """Return whether a form is taken, which may change what the next visitor gets."""
    return right.method == "POST" and status in range(200, 400)


async def _status(visit: Visit, right: Right, ids: Mapping[str, str]) -> int:
    """Return what a visitor gets: a status, or LOGIN."""
    path = right.path.format(**ids)
    reply = await (visit.get(path) if right.method == "GET" else visit.post(path, right.form(ids)))
    if reply.location.startswith("/login"):
        assert (reply.status, reply.location) == (303, f"/login?next={path}"), right
        return LOGIN
    return reply.status


async def test_a_visitor_gets_the_pages_and_refusals_of_the_table(tmp_path: Path) -> None:
    home, visits, ids = await furnished(tmp_path)
    wrong = {}
    # the others may be streams that end by themselves
    for right in sorted(RIGHTS, key=lambda right: right.path in ENDLESS):
        if right.path in ENDLESS:
            home.streams.close()
        for who, status in right.by_visitor().items():
            if not _is_taken(right, status) and (found := await _status(visits[who], right, ids)) != status:
                wrong[str(right), who.value] = found
    assert wrong == {}


@pytest.mark.parametrize(
    "right",
    [right for right in RIGHTS if any(_is_taken(right, status) for status in right.by_visitor().values())],
    ids=str,
)
async def test_a_form_that_is_taken_gets_what_the_table_says(tmp_path: Path, right: Right) -> None:
    for who, status in right.by_visitor().items():
        if _is_taken(right, status):
            _home, visits, ids = await furnished(tmp_path, [who])
            assert await _status(visits[who], right, ids) == status, who


def pattern(path: str) -> str:
    """Return the path without its query and without the names of its parts."""
    return re.sub(r"<[^>]+>|{\w+}", "*", path.partition("?")[0])


def pages_of(home: House) -> set[tuple[str, str]]:
    return {
        (method, pattern(rule.rule))
        for rule in home.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if is_page(home.app, rule.endpoint) and not rule.rule.startswith("/assets/")
    }


def test_the_table_of_rights_names_every_page(tmp_path: Path) -> None:
    pages = pages_of(house(tmp_path, has_pages=True))
    assert pages == {(right.method, pattern(right.path)) for right in RIGHTS}


def test_the_browser_looks_at_every_page(tmp_path: Path) -> None:
    pages = {path for method, path in pages_of(house(tmp_path, has_pages=True)) if method == "GET"}
    shown = {pattern(page.path) for page in PAGES if page.status == 200}
    assert pages == (shown | {pattern(path) for path in NOT_SHOWN}) & pages
    assert shown <= pages


def test_names_of_pages_are_used_once() -> None:
    names = [str(page) for page in PAGES]
    assert len(names) == len(set(names))
    assert all(isinstance(page, Shown) for page in PAGES)


async def test_the_api_takes_no_cookie(tmp_path: Path) -> None:
    home, visits, ids = await furnished(tmp_path)
    member = visits[Who.MEMBER]
    for path in ("/api/v1/users/me", "/api/v1/submissions", f"/api/v1/status/{ids['job']}"):
        assert (await member.get(path)).status == 401, path
    cookie = "; ".join(f"{name}={value}" for name, value in member.cookies.items())
    answer = await home.ask(
        "POST",
        "/api/v1/submit",
        headers={"Cookie": cookie},
        json={"problem_id": int(ids["problem"]), "language": "cpp17", "code": "x"},
    )
    assert answer.status_code == 401
