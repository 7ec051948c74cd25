"""Callbacks over HTTP: accepted addresses, who sees deliveries, and the signing secret."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import trio

from deepoj.webhooks.callback_urls import CallbackRules
from deepoj.webhooks.delivery import signing_secret
from deepoj.words.accounts import UserRole
from deepoj.words.jobs import Claim
from deepoj.words.stream import Entry
from deepoj.words.webhooks import HookFailure, HookStatus
from tests.api.house import House, house
from tests.fakes.webhooks import take_due
from tests.unit.makers import a_report

SECRET = b"a secret for webhooks of tests"
URL = "https://hooks.example.org/judge?token=hidden"
TARGET = "https://hooks.example.org"


def calling(tmp_path: Path, **changes: Any) -> House:
    told: dict[str, Any] = {"callbacks": CallbackRules(), "webhook_secret": SECRET} | changes
    return house(tmp_path, **told)


async def submitted(home: House, token: str, *, key: str | None = None, **changes: Any) -> tuple[int, dict[str, Any]]:
    body = {"problem_id": 2000, "language": 1, "code": "int main(){}"} | changes
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = await home.ask("POST", "/api/v1/submit", token=token, json=body, headers=headers)
    return answer.status_code, await answer.get_json()


async def finish(home: House, job_id: str) -> None:
    entry = Entry(entry_id="1-1", job_id=job_id, enqueue_ts_ms=1, payload_ref="", priority=0, event_id=1)
    won = (await home.store.claim([entry], "node-a", 60.0, 5))["1-1"]
    assert isinstance(won, Claim)
    assert await home.store.finalize(won, a_report(), {"status": "Accepted", "tests": []}) is None


async def give_up(home: House) -> str:
    (hook,) = await take_due(home.store, limit=1)
    await home.store.settle_webhook(hook, HookStatus.GIVEN_UP, http_status=503, failure=HookFailure.HTTP)
    return hook.delivery_id


async def test_the_owner_and_administrators_see_what_became_of_it(tmp_path: Path, logged: io.StringIO) -> None:
    home = calling(tmp_path)
    owner, other, root = [await home.token(name, is_admin=name == "root") for name in ("alice", "bob", "root")]
    await home.problem()
    status, found = await submitted(home, owner, callback_url="HTTPS://Hooks.Example.org:443/judge?token=hidden")
    assert status == 200, found
    path = f"/api/v1/submissions/{found['job_id']}"
    told = await (await home.ask("GET", path, token=owner)).get_json()
    assert (told["callback_url"], told["webhooks"]) == (URL, [])
    await finish(home, found["job_id"])
    delivery_id = await give_up(home)
    expected = {
        "delivery_id": delivery_id, "job_id": found["job_id"], "judging": 1, "event": "submission.done",
        "target": TARGET, "status": "given_up", "attempts": 1, "http_status": 503, "error": "http",
        "next_attempt_at": None,
    }  # fmt: skip
    for token in (owner, root):
        (seen,) = (await (await home.ask("GET", path, token=token)).get_json())["webhooks"]
        assert {name: seen[name] for name in expected} == expected
        assert seen["created_at"]
        assert seen["ended_at"]
    assert (await home.ask("GET", path, token=other)).status_code == 403
    jury = await home.account("jury")
    await home.ports.accounts.change_rights(jury.id, roles=[UserRole.JURY], by=None)
    told = await (await home.ask("GET", path, token=await home.token_of("jury"))).get_json()
    assert (told["callback_url"], told["webhooks"]) == (None, []), "the URL has the receiver's secrets"
    _, plain = await submitted(home, owner, code="// no callback")
    told = await (await home.ask("GET", f"/api/v1/submissions/{plain['job_id']}", token=owner)).get_json()
    assert (told["callback_url"], told["webhooks"]) == (None, [])
    assert "hidden" not in logged.getvalue()


@pytest.mark.parametrize(
    ("url", "code", "english", "chinese"),
    [
        ("nonsense", "INVALID_CALLBACK_URL", "escaped", "转义"),
        ("", "INVALID_CALLBACK_URL", "escaped", "转义"),
        ("https://a.example/\ud800", "INVALID_CALLBACK_URL", "escaped", "转义"),
        ("https://a.example/\0", "INVALID_CALLBACK_URL", "escaped", "转义"),
        ("ftp://a.example/", "INVALID_CALLBACK_URL", "https://", "https://"),
        ("https://u:p@a.example/", "INVALID_CALLBACK_URL", "signed", "签名"),
        ("https://a.example:25/", "CALLBACK_NOT_ALLOWED", "1024", "1024"),
        ("https://a.example/", "CALLBACK_NOT_ALLOWED", "is not allowed", "允许"),
        ("http://169.254.169.254/latest", "CALLBACK_NOT_ALLOWED", "public", "公网"),
    ],
)
async def test_malformed_callback_is_refused(tmp_path: Path, url: str, code: str, english: str, chinese: str) -> None:
    hosts = ("*.example.org", "169.254.169.254")
    home = calling(tmp_path, callbacks=CallbackRules.of(enabled=True, hosts=hosts, networks=()))
    token = await home.token("alice")
    await home.problem()
    for language, word in (("en", english), ("zh", chinese)):
        body = {"problem_id": 2000, "language": 1, "code": "x", "callback_url": url}
        answer = await home.ask(
            "POST", "/api/v1/submit", token=token, data=json.dumps(body),
            headers={"Accept-Language": language, "Content-Type": "application/json"},
        )  # fmt: skip
        found = await answer.get_json()
        assert (answer.status_code, found["code"]) == (400, code), found
        assert word in found["error"]
    assert not home.store.rows
    assert (await submitted(home, token, callback_url="https://a.example.org/"))[0] == 200


async def test_callback_is_refused_where_webhooks_are_disabled(tmp_path: Path) -> None:
    home = house(tmp_path)
    token = await home.token("alice")
    await home.problem()
    status, found = await submitted(home, token, callback_url=URL)
    assert (status, found["code"]) == (400, "WEBHOOKS_DISABLED")
    assert (await submitted(home, token))[0] == 200
    for method, path in (("GET", "webhook-secret"), ("POST", "webhook-secret/rotate")):
        answer = await home.ask(method, f"/api/v1/users/me/{path}", token=token)
        assert (answer.status_code, (await answer.get_json())["code"]) == (404, "WEBHOOKS_DISABLED")


async def test_everybody_has_a_secret_of_his_own_and_can_change_it(tmp_path: Path, logged: io.StringIO) -> None:
    home = calling(tmp_path)
    alice, bob = await home.token("alice"), await home.token("bob")
    account = await home.store.credentials("alice")
    assert account is not None

    async def ask(method: str, path: str, token: str) -> str:
        answer = await home.ask(method, f"/api/v1/users/me/webhook-secret{path}", token=token)
        assert answer.status_code == 200
        return str((await answer.get_json())["secret"])

    first = await ask("GET", "", alice)
    assert first == await ask("GET", "", alice) == signing_secret(SECRET, account.user.id, 0)
    assert first != await ask("GET", "", bob)
    second = await ask("POST", "/rotate", alice)
    assert second == await ask("GET", "", alice) == signing_secret(SECRET, account.user.id, 1)
    assert first not in logged.getvalue()
    assert second not in logged.getvalue()
    assert "webhook_secret_rotated" in logged.getvalue()


async def test_administrators_see_what_was_given_up_and_send_it_again(tmp_path: Path, logged: io.StringIO) -> None:
    home = calling(tmp_path)
    owner, root = await home.token("alice"), await home.token("root", is_admin=True)
    await home.problem()
    jobs = []
    for number in range(3):
        _, found = await submitted(home, owner, code=f"// {number}", callback_url=URL)
        jobs.append(found["job_id"])
        await finish(home, found["job_id"])
        await give_up(home)

    async def page(query: str = "") -> dict[str, Any]:
        answer = await home.ask("GET", f"/api/v1/admin/webhooks{query}", token=root)
        assert answer.status_code == 200
        found: dict[str, Any] = await answer.get_json()
        return found

    first = await page("?limit=2")
    second = await page(f"?limit=2&before={first['next']}")
    assert [one["job_id"] for one in first["webhooks"] + second["webhooks"]] == jobs[::-1]
    assert second["next"] is None
    assert (await home.ask("GET", "/api/v1/admin/webhooks?limit=0", token=root)).status_code == 400

    delivery_id = first["webhooks"][0]["delivery_id"]
    path = f"/api/v1/admin/webhooks/{delivery_id}/redeliver"
    for repeated in (False, True):
        answer = await home.ask("POST", path, token=root)
        expected = {"delivery_id": delivery_id, "job_id": jobs[2], "repeated": repeated}
        assert (answer.status_code, await answer.get_json()) == (202, expected)
    assert len((await page())["webhooks"]) == 2
    (hook,) = await take_due(home.store, limit=1)
    assert hook.delivery_id == delivery_id
    assert "webhook_redelivered" in logged.getvalue()
    for unknown in ("x", "0" * 36, jobs[0]):
        assert (await home.ask("POST", path.replace(delivery_id, unknown), token=root)).status_code == 404


async def test_a_key_with_another_body_is_refused(tmp_path: Path) -> None:
    home = calling(tmp_path)
    alice, bob = await home.token("alice"), await home.token("bob")
    await home.problem()
    status, first = await submitted(home, alice, key="k-1")
    assert status == 200
    assert await submitted(home, alice, key="k-1") == (200, first)
    # an ignored field makes no other submission
    assert await submitted(home, alice, key="k-1", time_limit=5, language="cpp17") == (200, first)
    for change in ({"code": "other"}, {"language": "python3"}, {"callback_url": URL}, {"problem_id": 999}):
        status, refused = await submitted(home, alice, key="k-1", **change)
        assert (status, refused["code"]) == (422, "IDEMPOTENCY_KEY_REUSED"), change
        assert "new key" in refused["error"]
    status, theirs = await submitted(home, bob, key="k-1", code="other")
    assert status == 200
    assert theirs["job_id"] != first["job_id"]
    assert len(home.store.rows) == 2


async def test_many_at_once_under_one_key_are_one(tmp_path: Path) -> None:
    home = calling(tmp_path)
    token = await home.token("alice")
    await home.problem()
    answers: list[tuple[int, str]] = []

    async def one(number: int) -> None:
        status, found = await submitted(home, token, key="k", code=f"// {number % 2}")
        answers.append((status, found.get("job_id") or found["code"]))

    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(one, number)
    (job_id,) = home.store.rows
    assert sorted(set(answers)) == [(200, job_id), (422, "IDEMPOTENCY_KEY_REUSED")]
    assert answers.count((200, job_id)) == 5
