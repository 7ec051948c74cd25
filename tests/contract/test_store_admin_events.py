"""The contract of ``ports.AdminEvents``: each administrative act writes one row; what is repeated or refused, none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from deepoj.words.accounts import NewAccount, User
from deepoj.words.admin_events import AdminAct
from deepoj.words.ledger import Decided, Decision
from deepoj.words.problems import ProblemChange
from tests.contract.labs import (
    LEASE_S,
    MAX_ATTEMPTS,
    NODE,
    UNKNOWN_ID,
    Lab,
    PgLab,
    claim,
    entry,
    new_job,
    new_problem,
    new_user,
    report,
)

type Row = tuple[str, str, str, Mapping[str, object]]


async def log(lab: Lab) -> list[Row]:
    """Return the log, oldest first: actor, act, subject, details."""
    events = await lab.store.admin_events.admin_events(999)
    assert all(event.at.endswith("+00:00") for event in events)
    return [(event.actor, event.act, event.subject, event.details) for event in reversed(events)]


async def an_admin(lab: Lab) -> int:
    user = await lab.store.accounts.create_user("root", "hash", None, is_admin=True)
    assert isinstance(user, User)
    return user.id


async def test_what_people_do_with_their_own_accounts_is_no_administrative_act(lab: Lab) -> None:
    user_id = await new_user(lab.store)
    await lab.store.accounts.set_password(user_id, "h2")
    await lab.store.accounts.change_password(user_id, "h3", epoch=1)
    await lab.store.problems.update_problem((await new_problem(lab.store)).id, ProblemChange(title="x"))
    assert await log(lab) == []


async def test_changes_of_rights_are_logged_once_with_the_name_of_the_administrator(lab: Lab) -> None:
    root, user_id = await an_admin(lab), await new_user(lab.store)
    change = lab.store.accounts.change_rights
    for _ in range(2):  # the second changes nothing
        await change(user_id, is_admin=True, by=root)
        await change(user_id, is_admin=False, by=None, operator="pia (deepoj admin)")
        await change(user_id, is_admin=False, by=root)
    for _ in range(2):
        await change(user_id, is_disabled=True, by=root)
    await change(user_id, is_disabled=False, by=root)
    await change(root, is_admin=False, by=root)
    await change(user_id, is_admin=True, by=user_id)
    details = {"user_id": user_id}
    pair = [
        ("root", AdminAct.PROMOTED, "alice", details),
        ("pia (deepoj admin)", AdminAct.DEMOTED, "alice", details),
    ]
    assert await log(lab) == [
        *pair, *pair, ("root", AdminAct.DISABLED, "alice", details), ("root", AdminAct.ENABLED, "alice", details),
    ]  # fmt: skip


async def test_created_accounts_and_reset_passwords_are_logged(lab: Lab) -> None:
    accounts = lab.store.accounts
    chief = await accounts.create_user("chief", "h", None, is_admin=True, by="pia (deepoj admin)")
    assert isinstance(chief, User)
    await accounts.create_user("chief", "h2", None, by="pia (deepoj admin)")
    await accounts.create_users([NewAccount("bob", "h"), NewAccount("chief", "h")], by="chief")
    await accounts.create_users([NewAccount("bob", "h")], by="chief")
    bob = await accounts.credentials("bob")
    assert bob is not None
    for _ in range(2):  # the second is that of a lost answer
        await accounts.set_password(bob.user.id, "h2", temporary=True, by="chief")
        await accounts.promote("BOB", by="pia (deepoj admin)")
    assert await log(lab) == [
        ("pia (deepoj admin)", AdminAct.ACCOUNT_CREATED, "chief", {"user_id": chief.id, "is_admin": True}),
        ("chief", AdminAct.ACCOUNT_CREATED, "bob", {"user_id": bob.user.id, "is_admin": False}),
        ("chief", AdminAct.PASSWORD_RESET, "bob", {"user_id": bob.user.id}),
        ("pia (deepoj admin)", AdminAct.PROMOTED, "bob", {"user_id": bob.user.id}),
    ]


async def dead(lab: Lab, name: str) -> tuple[str, int]:
    """Return a dead letter and the attempt it died with."""
    job_id = await new_job(lab, name)
    for _ in range(MAX_ATTEMPTS):
        won = await claim(lab, job_id)
        await lab.store.leases.give_back(won, reason="x", counts=True)
    await lab.store.leases.claim([entry(job_id)], NODE, LEASE_S, MAX_ATTEMPTS)
    letter = await lab.store.letters.dead_letter(job_id)
    assert letter is not None
    return job_id, letter.attempt_id


async def test_decisions_about_dead_letters_are_logged_once(lab: Lab) -> None:
    for decision, name in ((Decision.REQUEUE, "alice"), (Decision.DISCARD, "bob")):
        job_id, attempt_id = await dead(lab, name)
        before = await log(lab)
        for _ in range(2):
            made = await lab.store.letters.decide(decision, job_id, attempt_id, by="root", note="é", stream_key="s")
            assert isinstance(made, Decided)
        act = f"dead_letter_{decision}"
        assert await log(lab) == [*before, ("root", act, job_id, {"attempt_id": attempt_id, "note": "é"})]


async def test_rejudges_are_logged_by_their_order_and_not_by_submission(lab: Lab) -> None:
    job_id = await new_job(lab)
    won = await claim(lab, job_id)
    await lab.store.leases.finalize(won, report(), {})
    for _ in range(2):
        await lab.store.rejudges.order_rejudge(won.problem.id, by="root", in_full=False)
    while (order := await lab.store.rejudges.go_on_rejudging(9, "s")) is not None and not order.finished:
        pass
    again = await claim(lab, job_id)
    await lab.store.leases.finalize(again, report(), {})
    for _ in range(2):
        await lab.store.rejudges.rejudge(job_id, 2, by="root", in_full=True, stream_key="s")
    assert await lab.store.rejudges.order_rejudge(99_999, by="root", in_full=True) is None
    await lab.store.rejudges.rejudge(UNKNOWN_ID, None, by="root", in_full=True, stream_key="s")
    assert await log(lab) == [
        ("root", AdminAct.PROBLEM_REJUDGED, str(won.problem.id), {"submissions": 1, "in_full": False}),
        ("root", AdminAct.SUBMISSION_REJUDGED, job_id, {"judging": 3, "in_full": True}),
    ]


async def test_problems_are_logged_with_what_changed(lab: Lab) -> None:
    problems, made = lab.store.problems, await new_problem(lab.store)
    await problems.delete_problem(made.id)
    for _ in range(2):
        await problems.insert_problem(made, by="root")
    change = ProblemChange(title="new", time_limit_ms=made.time_limit_ms, data_path="p", data_hash="cd" * 32)
    for _ in range(2):
        assert await problems.update_problem(made.id, change, by="root") is not None
        assert await problems.update_problem(99_999, change, by="root") is None
    await problems.delete_problem(made.id, by="root")
    await problems.delete_problem(made.id, by="root")
    number = str(made.id)
    assert await log(lab) == [
        ("root", AdminAct.PROBLEM_CREATED, number, {"title": "A+B"}),
        ("root", AdminAct.PROBLEM_CHANGED, number, {"fields": ["title", "package"], "version": made.version + 1}),
        ("root", AdminAct.PROBLEM_DELETED, number, {"title": "new"}),
    ]


async def test_the_log_is_read_in_pages(lab: Lab) -> None:
    await lab.store.accounts.create_users([NewAccount(f"user{n}", "h") for n in range(5)], by="root")
    seen: list[Any] = []
    before: int | None = None
    while events := await lab.store.admin_events.admin_events(2, before):
        seen += [event.id for event in events]
        before = events[-1].id
    assert len(seen) == 5
    assert seen == sorted(seen, reverse=True)


async def test_no_row_of_the_log_is_changed_or_deleted(real: PgLab) -> None:
    await real.store.accounts.create_users([NewAccount("bob", "h")], by="root")
    for statement in ("UPDATE admin_events SET actor = 'x'", "DELETE FROM admin_events", "TRUNCATE admin_events"):
        with pytest.raises(RuntimeError, match="append-only"):
            real.sql(statement)
    assert [row[0] for row in await log(real)] == ["root"]
