"""The contract of ``ports.AccountData``: privacy, export and erasure of accounts."""

from __future__ import annotations

import pytest

from deepoj.words.account_data import ProfileFor
from deepoj.words.accounts import Credentials, RightsRefusal, User
from deepoj.words.admin_events import AdminAct
from deepoj.words.playground import CustomDraft
from deepoj.words.rejudges import RejudgeRefusal
from deepoj.words.results import Verdict
from deepoj.words.sessions import SessionLimits
from tests.contract.labs import Lab, PgLab, claim, draft, new_problem, new_user, report, send

LIMITS = SessionLimits(idle_s=9e9, max_age_s=9e9)
RESULT = {"status": "Accepted", "compile": {"ok": True, "output": "main.cpp:1: int secret"}}


async def judged(lab: Lab, user_id: int, problem_id: int, code: str) -> str:
    job_id = await send(lab.store, draft(user_id, problem_id, code, key=f"key {code}"))
    assert await lab.store.leases.finalize(await claim(lab, job_id), report(), RESULT) is None
    return job_id


async def an_admin(lab: Lab, name: str = "root") -> User:
    user = await lab.store.accounts.create_user(name, "hash", None, is_admin=True)
    assert isinstance(user, User)
    return user


async def test_an_address_and_the_readers_of_a_profile_are_changed(lab: Lab) -> None:
    data, user_id = lab.store.account_data, await new_user(lab.store)
    assert await data.profile_for(user_id) is ProfileFor.MEMBERS
    assert await data.profile_for(99_999) is ProfileFor.ADMINISTRATORS
    await data.set_profile_for(user_id, ProfileFor.EVERYONE)
    assert await data.profile_for(user_id) is ProfileFor.EVERYONE
    for address in ("a@example.org", None):
        assert await data.change_email(user_id, address) is True
        account = await lab.store.accounts.account(user_id)
        assert account is not None
        assert account.user.email == address
    assert await data.change_email(99_999, None) is False


async def test_own_submissions_and_runs_come_with_their_sources(lab: Lab) -> None:
    data, alice, bob = lab.store.account_data, await new_user(lab.store), await new_user(lab.store, "bob")
    problem = await new_problem(lab.store)
    jobs = [await judged(lab, alice, problem.id, f"code {number}") for number in range(3)]
    await judged(lab, bob, problem.id, "not hers")
    first = await data.own_submissions(alice, None, 2)
    assert [(one.job_id, one.code) for one in first.submissions] == [(jobs[0], "code 0"), (jobs[1], "code 1")]
    second = await data.own_submissions(alice, first.next, 2)
    assert [(one.job_id, one.result) for one in second.submissions] == [(jobs[2], RESULT)]
    assert second.next is None
    for user_id in (alice, bob):
        run = CustomDraft(
            user_id=user_id, language="cpp17", code="x", stdin=b"\xff", time_limit_ms=9, memory_limit_kb=9, trace_id="t"
        )
        await lab.store.runs.take_run(run, per_user=2)
    (one,) = await data.own_runs(alice, 60.0)
    assert (one.code, one.stdin, one.status) == ("x", b"\xff", "pending")


async def test_an_erased_account_is_none_and_its_name_is_free(lab: Lab) -> None:
    accounts, sessions = lab.store.accounts, lab.store.sessions
    root, user_id = await an_admin(lab), await new_user(lab.store)
    held = await accounts.credentials_by_id(user_id)
    assert held is not None
    await sessions.open_session(b"1" * 32, held, client="", address="192.0.2.7")
    assert await lab.store.account_data.erase(user_id, by=root.id) == f"deleted-{user_id}"
    assert await lab.store.account_data.erase(user_id, by=root.id) is RightsRefusal.UNKNOWN_USER
    for name in ("alice", f"deleted-{user_id}"):
        assert await accounts.credentials(name) is None
        assert await accounts.promote(name, by="x") is None
    assert await accounts.account(user_id) is None
    assert [one.user.username for one in await accounts.accounts(9)] == ["root"]
    assert await accounts.change_rights(user_id, is_disabled=False, by=root.id) is RightsRefusal.UNKNOWN_USER
    assert await sessions.session(b"1" * 32, LIMITS) is None
    assert await lab.store.account_data.own_runs(user_id, 60.0) == []
    left = await accounts.credentials_by_id(user_id)
    assert left is not None, "its submissions name it"
    assert (left.user.email, left.password_hash, left.is_disabled, left.token_epoch) == (None, "", True, 1)
    assert await new_user(lab.store) != user_id
    (event,) = await lab.store.admin_events.admin_events(9)
    assert (event.actor, event.act, event.subject) == ("root", AdminAct.ACCOUNT_ERASED, f"deleted-{user_id}")


async def test_who_may_erase_an_account(lab: Lab) -> None:
    erase = lab.store.account_data.erase
    root, alice, bob = await an_admin(lab), await new_user(lab.store), await new_user(lab.store, "bob")
    assert await erase(alice, by=bob) is RightsRefusal.NOT_ADMINISTRATOR
    assert await erase(root.id, by=root.id) is RightsRefusal.LAST_ADMINISTRATOR
    assert await erase(root.id, by=None) is RightsRefusal.LAST_ADMINISTRATOR
    assert await erase(alice, by=alice) == f"deleted-{alice}"
    assert await erase(bob, by=None, operator="pia (deepoj admin)") == f"deleted-{bob}"
    await an_admin(lab, "other")
    assert await erase(root.id, by=root.id) == f"deleted-{root.id}"
    actors = [event.actor for event in await lab.store.admin_events.admin_events(9)]
    assert actors == [f"deleted-{root.id}", "pia (deepoj admin)", f"deleted-{alice}"]


async def test_sources_of_an_erased_account_go_and_verdicts_and_marks_stay(lab: Lab) -> None:
    """In batches: the node that erased the account may have died right after it."""
    data, alice, bob = lab.store.account_data, await new_user(lab.store), await new_user(lab.store, "bob")
    problem = await new_problem(lab.store)
    jobs = [await judged(lab, alice, problem.id, f"secret {number}") for number in range(3)]
    others = await judged(lab, bob, problem.id, "his")
    await lab.store.rejudges.rejudge(jobs[0], 1, by="root", in_full=True, stream_key="s")
    await lab.store.leases.finalize(await claim(lab, jobs[0]), report(Verdict.WRONG_ANSWER), RESULT)
    waiting = await send(lab.store, draft(alice, problem.id, "secret 9"))
    assert await data.erase_sources(9) == 0
    await data.erase(alice, by=alice)
    assert [await data.erase_sources(2) for _ in range(3)] == [2, 1, 0]
    for job_id in jobs:
        one = await lab.store.submissions.submission(job_id)
        assert one is not None
        assert (one.code, one.callback_url, one.state) == ("", None, "done")
        assert "secret" not in repr((one, await lab.store.rejudges.judgings(job_id, 9)))
        assert one.result == RESULT | {"compile": {"ok": True, "output": ""}}
    kept = await lab.store.submissions.submission(others)
    assert kept is not None
    assert (kept.code, kept.result) == ("his", RESULT)
    assert await lab.store.marks.count_solved(alice, viewer=alice) == 1
    unfinished = await lab.store.submissions.submission(waiting)
    assert unfinished is not None
    assert unfinished.code == "secret 9", "it must be judged first"
    await lab.store.leases.finalize(await claim(lab, waiting), report(), RESULT)
    lab.advance(7200)
    assert [await data.erase_sources(9) for _ in range(2)] == [1, 0]
    assert await data.erase_sources(9) == 0


async def test_a_submission_without_its_source_is_not_judged_again(lab: Lab) -> None:
    alice, problem = await new_user(lab.store), await new_problem(lab.store)
    job_id = await judged(lab, alice, problem.id, "x")
    await lab.store.account_data.erase(alice, by=alice)
    assert await lab.store.account_data.erase_sources(9) == 1
    rejudges = lab.store.rejudges
    refused = await rejudges.rejudge(job_id, 1, by="root", in_full=True, stream_key="s")
    assert refused is RejudgeRefusal.ERASED
    order = await rejudges.order_rejudge(problem.id, by="root", in_full=True)
    assert order is not None
    done = await rejudges.go_on_rejudging(9, "s")
    assert (order.submissions, done is None or (done.opened, done.finished) == (0, True)) == (0, True)
    one = await lab.store.submissions.submission(job_id)
    assert one is not None
    assert one.status == "Accepted"


async def test_an_address_of_a_browser_is_forgotten_and_the_session_goes_on(lab: Lab) -> None:
    sessions, user_id = lab.store.sessions, await new_user(lab.store)
    account = await lab.store.accounts.credentials_by_id(user_id)
    assert isinstance(account, Credentials)
    await sessions.open_session(b"1" * 32, account, client="", address="192.0.2.7")
    lab.advance(29 * 86_400)
    await sessions.open_session(b"2" * 32, account, client="", address="192.0.2.8")
    keep_s = 30 * 86_400.0
    assert await sessions.forget_addresses(keep_s, 9) == 0
    lab.advance(86_401)
    assert await sessions.forget_addresses(keep_s, 9) == 1
    found = await sessions.sessions_of(user_id, LIMITS, 9)
    assert {one.digest: one.address for one in found} == {b"1" * 32: "", b"2" * 32: "192.0.2.8"}


@pytest.mark.usefixtures("bridge")
async def test_no_column_keeps_what_was_erased(real: PgLab) -> None:
    """The whole database is searched, so a table that is added later is searched, too. The log of acts is left out: it
    keeps the names of the past."""
    user = await real.store.accounts.create_user("alicia-xyzzy", "hash-xyzzy", "xyzzy@example.org")
    assert isinstance(user, User)
    account = await real.store.accounts.credentials_by_id(user.id)
    assert account is not None
    await real.store.sessions.open_session(b"1" * 32, account, client="xyzzy", address="xyzzy")
    problem = await new_problem(real.store)
    sent = await send(real.store, draft(user.id, problem.id, "xyzzy", key="xyzzy"))
    result = {"status": "Accepted", "compile": {"ok": True, "output": "xyzzy"}}
    await real.store.leases.finalize(await claim(real, sent), report(), result)
    tables = real.sql("SELECT string_agg(tablename, ' ') FROM pg_tables WHERE schemaname = 'public'").split()
    text = " || ' ' || ".join(f"(SELECT coalesce(string_agg(r::text, ' '), '') FROM {table} AS r)" for table in tables)
    assert "xyzzy" in real.sql(f"SELECT {text}")
    await real.store.account_data.erase(user.id, by=user.id)
    assert await real.store.account_data.erase_sources(9) == 1
    assert "xyzzy" not in real.sql(f"SELECT {text}")
    for age, is_marked in (("59 minutes", "t"), ("61 minutes", "f")):  # a request from before may still store something
        real.sql(f"UPDATE users SET erased_at = now() - interval '{age}'")
        assert await real.store.account_data.erase_sources(9) == 0
        assert real.sql("SELECT is_being_erased FROM users") == is_marked
