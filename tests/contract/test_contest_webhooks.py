"""Webhooks of the Contest API: who registers what, and what a receiver gets, on a real store and a real receiver."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from deepoj.api.contest_ledgers import ContestLedgers
from deepoj.api.contest_webhooks import ContestCallbacks
from deepoj.api.routes import clics
from deepoj.api.routes.clics_webhooks import MOST_WEBHOOKS
from deepoj.contests import clics_log
from deepoj.observe import Metrics
from deepoj.webhooks.callback_urls import CallbackRules
from deepoj.words.results import Verdict
from tests.api.house import house_on
from tests.contests.specification import object_of
from tests.contract.labs import PgLab
from tests.contract.test_contest_api import PASSWORD, Scene, arrange, basic
from tests.contract.test_store_contests import HOUR_MS, new_contest, rules, team
from tests.fakes.settings import hook_settings
from tests.fakes.webhooks import take_due
from tests.mortal import AT_HOME, HOOK_SECRET, open_sender
from tests.receiver import Receiver, receiving, says
from tests.web.visits import Visit

_DAY_S = 86_400
_TOKEN = "a-token-of-the-receiver"


@dataclass
class Hooks:
    """A contest, a receiver, and the sender, which is called turn by turn."""

    scene: Scene
    receiver: Receiver
    callbacks: ContestCallbacks
    #: how much of the received was read
    read: int = field(default=0)

    async def ask(self, method: str, path: str, name: str, body: object = None) -> tuple[int, Any]:
        headers = basic(name) if name else None
        answer = await self.scene.home.ask(method, f"/clics/webhooks{path}", headers=headers, json=body)
        raw = await answer.get_data()
        return answer.status_code, json.loads(raw) if raw else None

    async def register(self, name: str, **more: Any) -> str:
        """Register a webhook whose path is the name of its account. Return its id."""
        body = {"url": self.receiver.url(f"/{name}"), "token": _TOKEN, **more}
        status, made = await self.ask("POST", "", name, body)
        assert status == 200, made
        object_of("webhook", made)
        return str(made["id"])

    async def turns(self) -> list[tuple[str, str, list[dict[str, Any]]]]:
        """Call each webhook until none is due. Return what was received: account, contest, lines."""
        while hooks := await take_due(self.scene.real.pg_store.contest_webhooks):
            for hook in hooks:
                await self.callbacks.settle(hook, await self.callbacks.attempt(hook))
        new, self.read = self.receiver.received[self.read :], len(self.receiver.received)
        told = []
        for each in new:
            body = json.loads(each.body)
            object_of("callback", body)
            assert (each.method, each.headers["webhook-token"]) == ("POST", _TOKEN)
            told.append((each.path[1:], body["contest_id"], body["notifications"]))
        return told

    async def lines(self, name: str) -> list[dict[str, Any]]:
        return [line for who, _, lines in await self.turns() for line in lines if who == name]

    async def standing(self, name: str) -> list[bool]:
        return [each["active"] for each in (await self.ask("GET", "", name))[1]]

    async def remark(self, message: str) -> None:
        """Make an event that everybody sees."""
        status, made, _ = await self.scene.send("POST", "/commentary", "root", {"message": message, "tags": []})
        assert status == 200, made


@pytest.fixture
async def hooks(real: PgLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hooks]:
    monkeypatch.setattr("deepoj.api.live.events.MAX_AGE_S", 0.0)
    monkeypatch.setattr(clics, "_NDJSON", replace(clics._NDJSON, is_endless=False))
    scene = await arrange(real, tmp_path, rules())
    allowed = CallbackRules.of(**AT_HOME)
    scene.home = house_on(tmp_path, real.store, admin_users=frozenset({"root"}), callbacks=allowed)
    store = real.pg_store
    async with receiving() as receiver, open_sender() as sender:
        callbacks = ContestCallbacks(
            webhooks=store.contest_webhooks,
            accounts=store.accounts,
            contests=store.contests,
            ledgers=ContestLedgers(store.contests),
            sender=sender,
            settings=hook_settings(HOOK_SECRET, rules=allowed, retry_base_s=60.0, retry_max_s=60.0),
            metrics=Metrics(),
        )
        yield Hooks(scene, receiver, callbacks)


async def test_callbacks_have_the_lines_that_the_feed_of_the_account_has(hooks: Hooks) -> None:
    scene = hooks.scene
    await hooks.remark("before")
    before = {name: (await scene.feed(name))[-1]["token"] for name in ("carol", "bob", "root")}
    for name in before:
        await hooks.register(name)
    assert await hooks.turns() == [], "only what happens after signing up"
    received: dict[str, list[dict[str, Any]]] = {name: [] for name in before}

    async def receive() -> set[str]:
        told = await hooks.turns()
        for name, contest, lines in told:
            assert contest == "finals"
            received[name] += lines
        return {name for name, _, _ in told}

    _, open_one, _ = await scene.submit("bob")
    await scene.judge(open_one["id"], Verdict.WRONG_ANSWER)
    assert await receive() == {"carol", "bob", "root"}
    _, frozen, _ = await scene.submit("alice")
    await scene.change(duration_ms=HOUR_MS // 10, freeze_ms=HOUR_MS // 20)  # it is over, and frozen
    await receive()
    await scene.judge(frozen["id"], Verdict.ACCEPTED)
    assert await receive() == {"root"}, "a hidden verdict is told to the jury alone"
    await scene.send("POST", "/clarifications", "bob", {"text": "why?"})
    assert await receive() == {"bob", "root"}
    past = {"id": "finals", "scoreboard_thaw_time": "2026-01-01T00:00:00Z"}
    assert (await scene.send("PATCH", "", "root", past))[0] == 200
    assert await receive() == {"carol", "bob", "root"}
    for name, token in before.items():
        assert received[name] == await scene.feed(name, token), name
    judged = {
        line["data"]["submission_id"] for line in received["carol"] if line["type"] == "judgements" and line["data"]
    }
    assert judged == {open_one["id"], frozen["id"]}


async def test_long_feeds_come_in_order_in_several_callbacks(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clics_log, "_PAGE_LINES", 2)
    await hooks.register("bob")
    before = None
    while more := await hooks.scene.feed("bob", before):
        before = more[-1]["token"]
    # one event of many lines: all times of the contest change
    await hooks.scene.change(start_at=hooks.scene.contest.rules.start_at, duration_ms=4 * HOUR_MS)
    for number in range(5):
        await hooks.remark(str(number))
    told = [lines for _, _, lines in await hooks.turns()]
    assert len(told) > 2
    expected: list[dict[str, Any]] = []
    while more := await hooks.scene.feed("bob", expected[-1]["token"] if expected else before):
        expected += more  # a page of the feed at a time
    assert [line for lines in told for line in lines] == expected


async def test_a_receiver_that_fails_gets_everything_later_in_order(hooks: Hooks) -> None:
    webhook_id = await hooks.register("bob")
    hooks.receiver.replies["/bob"] = says(500)
    await hooks.remark("one")
    (first,) = [lines for _, _, lines in await hooks.turns()]
    await hooks.remark("two")
    assert await hooks.turns() == [], "not before its pause is over"
    hooks.receiver.replies.clear()
    hooks.scene.real.advance(100)
    (second,) = [lines for _, _, lines in await hooks.turns()]
    assert [[line["data"]["message"] for line in lines] for lines in (first, second)] == [["one"], ["one", "two"]]
    hooks.scene.real.advance(100)
    assert await hooks.turns() == [], "what was received is never sent again"
    shown = hooks.scene.real.sql(f"SELECT token FROM contest_webhook_places WHERE webhook_id = {webhook_id}")
    assert shown == second[-1]["token"]


async def test_a_receiver_that_fails_for_too_long_is_deactivated_and_then_forgotten(hooks: Hooks) -> None:
    await hooks.register("bob")
    hooks.receiver.replies["/bob"] = says(500)
    await hooks.remark("one")
    assert len(await hooks.turns()) == 1
    hooks.scene.real.advance(_DAY_S - 200)
    assert (len(await hooks.turns()), await hooks.standing("bob")) == (1, [True])
    hooks.scene.real.advance(200)
    assert (len(await hooks.turns()), await hooks.standing("bob")) == (1, [False])
    hooks.receiver.replies.clear()
    hooks.scene.real.advance(_DAY_S)
    assert await hooks.turns() == []
    webhooks = hooks.scene.real.pg_store.contest_webhooks
    assert [await webhooks.forget_contest_webhooks(each * _DAY_S, 9) for each in (2, 0.5)] == [0, 1]
    assert await hooks.standing("bob") == []


@pytest.mark.parametrize("reason", ["gone", "disabled", "forbidden"])
async def test_a_final_failure_deactivates_at_once(hooks: Hooks, reason: str) -> None:
    await hooks.register("bob")
    await hooks.remark("one")
    hooks.receiver.replies["/bob"] = says(410)
    if reason == "disabled":
        hooks.scene.real.sql("UPDATE users SET is_disabled = true WHERE username = 'bob'")
    if reason == "forbidden":
        hooks.callbacks = replace(hooks.callbacks, settings=replace(hooks.callbacks.settings, rules=CallbackRules()))
    assert len(await hooks.turns()) == (1 if reason == "gone" else 0)
    hooks.scene.real.sql("UPDATE users SET is_disabled = false WHERE username = 'bob'")
    assert await hooks.standing("bob") == [False]


async def test_a_turn_whose_lease_ran_out_records_nothing(hooks: Hooks) -> None:
    await hooks.register("bob")
    await hooks.remark("one")
    webhooks = hooks.scene.real.pg_store.contest_webhooks
    (late,) = await take_due(webhooks)
    outcome = await hooks.callbacks.attempt(late)
    assert await take_due(webhooks) == [], "one callback at a time"
    hooks.scene.real.advance(60)
    (again,) = await take_due(webhooks)
    assert outcome is not None
    assert await webhooks.settle_contest_webhook(late, outcome, delay_s=0, is_final=False, give_up_s=9) is None
    await hooks.callbacks.settle(again, await hooks.callbacks.attempt(again))
    assert [lines[0]["data"]["message"] for _, _, lines in await hooks.turns()] == ["one", "one"]


async def test_endpoints_and_contests_are_chosen(hooks: Hooks) -> None:
    scene, store = hooks.scene, hooks.scene.real.pg_store
    await new_contest(scene.real, scene.root, rules(name="Other", is_public=False), key="other")
    await hooks.register("carol")
    await hooks.register("bob", endpoints=["submissions", "submissions"], contest_ids=["finals"])
    await hooks.register("root", contest_ids=["other"])
    await hooks.remark("one")
    await scene.submit("bob")
    later = await new_contest(scene.real, scene.root, rules(name="Later"), key="later")
    for key in ("other", "later"):
        contest = await store.contests.contest(key)
        assert contest is not None
        assert await store.contests.put_objects(contest.id, [team("t")], by=scene.root) == frozenset()
    told: dict[tuple[str, str], set[str]] = {}
    for name, contest_id, lines in await hooks.turns():
        told.setdefault((name, contest_id), set()).update(line["type"] for line in lines)
    assert told.pop(("bob", "finals")) == {"submissions"}
    assert told.pop(("root", "other")) == {"teams"}
    assert {"contest", "languages", "teams"} <= told.pop(("carol", "later")), "of a new contest everything"
    assert told.pop(("carol", "finals")) == {"commentary", "submissions"}
    assert told == {}, "others' contests"
    await store.contests.remove_contest(later.id, by=scene.root)
    await hooks.remark("two")
    assert [name for name, _, _ in await hooks.turns()] == ["carol"]


async def test_an_account_has_its_own_webhooks_and_not_too_many(hooks: Hooks) -> None:
    first = await hooks.register("bob", contest_ids=["finals"])
    expected = {
        "id": first, "url": hooks.receiver.url("/bob"), "endpoints": [], "contest_ids": ["finals"], "active": True,
    }  # fmt: skip
    assert await hooks.ask("GET", f"/{first}", "bob") == (200, expected)
    assert await hooks.ask("GET", "", "bob") == (200, [expected])
    assert await hooks.ask("GET", "", "alice") == (200, [])
    for method in ("GET", "DELETE"):
        assert (await hooks.ask(method, f"/{first}", "alice"))[0] == 404
        assert (await hooks.ask(method, f"/{first}", ""))[0] == 401
    for _ in range(MOST_WEBHOOKS - 1):
        await hooks.register("bob")
    body = {"url": hooks.receiver.url("/bob"), "token": "t"}
    assert (await hooks.ask("POST", "", "bob", body))[0] == 409
    assert await hooks.ask("DELETE", f"/{first}", "bob") == (204, None)
    for absent in (first, "x", "9" * 19):
        assert (await hooks.ask("DELETE", f"/{absent}", "bob"))[0] == 404
    await hooks.register("bob")


async def test_webhooks_that_are_refused(hooks: Hooks) -> None:
    await hooks.scene.change(is_public=False)
    url = hooks.receiver.url("/bob")
    for name, body, status in (
        ("", {"url": url, "token": "t"}, 401), ("bob", {"url": url}, 400), ("bob", {"token": "t"}, 400),
        ("bob", {"url": url, "token": ""}, 400), ("bob", {"url": url, "token": "a\r\nb"}, 400),
        ("bob", {"url": url, "token": "t", "id": "7"}, 400), ("bob", {"url": "ftp://a", "token": "t"}, 400),
        ("bob", {"url": "http://10.0.0.1/", "token": "t"}, 400),
        ("bob", {"url": "http://u:p@example.org/", "token": "t"}, 400),
        ("bob", {"url": url, "token": "t", "endpoints": ["scoreboard"]}, 400),
        ("carol", {"url": url, "token": "t", "contest_ids": ["finals"]}, 400),
        ("bob", {"url": url, "token": "t", "contest_ids": ["none"]}, 400),
        ("bob", {"url": url, "token": "t", "contest_ids": ["finals"]}, 200),
    ):  # fmt: skip
        assert (await hooks.ask("POST", "", name, body))[0] == status, (name, body)


async def test_webhook_of_an_account_that_a_contest_binds_tells_nothing_meanwhile(hooks: Hooks) -> None:
    await hooks.register("bob")
    await hooks.register("alice")
    hooks.scene.real.sql("UPDATE contest_members SET networks = '{10.1.0.0/16}' WHERE team_id = 't-bob'")
    await hooks.remark("one")
    assert {who for who, *_ in await hooks.turns()} == {"alice"}
    hooks.scene.real.sql("UPDATE contest_members SET networks = NULL WHERE team_id = 't-bob'")
    await hooks.remark("two")
    told = {who: [line["data"]["message"] for line in lines] for who, _, lines in await hooks.turns()}
    assert told == {"alice": ["two"], "bob": ["two"]}


async def test_webhooks_go_with_their_account(hooks: Hooks) -> None:
    await hooks.register("bob")
    await hooks.remark("one")
    accounts = hooks.scene.real.pg_store
    bob = await accounts.accounts.credentials("bob")
    assert bob is not None
    await accounts.account_data.erase(bob.user.id, by=bob.user.id)
    assert await hooks.turns() == []
    assert hooks.scene.real.sql("SELECT count(*) FROM contest_webhooks") == "0"


async def test_the_page_of_the_account_lists_and_removes_them(hooks: Hooks, tmp_path: Path) -> None:
    webhook_id = await hooks.register("bob", contest_ids=["finals"])
    home = house_on(tmp_path, hooks.scene.real.store, has_pages=True)
    visits = {name: Visit(home) for name in ("bob", "alice")}
    for name, visit in visits.items():
        assert (await visit.post("/login", {"username": name, "password": PASSWORD})).status == 303
    url = hooks.receiver.url("/bob")
    for status in ("active", "deactivated"):
        page = (await visits["bob"].get("/account")).text
        assert (url in page, "finals" in page, f">{status}" in page) == (True, True, True)
        hooks.scene.real.sql("UPDATE contest_webhooks SET deactivated_at = now()")
    assert url not in (await visits["alice"].get("/account")).text
    form = {"webhook_id": webhook_id}
    await visits["alice"].post("/account/contest-webhooks", form)
    assert url in (await visits["bob"].get("/account")).text
    removed = await visits["bob"].post("/account/contest-webhooks", form)
    page = (await visits["bob"].get(removed.location)).text
    assert (url in page, "The webhook is removed." in page) == (False, True)
