"""Rate limits: which requests count, for which address, user or account, and what a refusal says."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import argon2
import pytest
import trio
from quart import Response

from deepoj.api.codes import CodedError
from deepoj.api.errors import ERRORS, Refused
from deepoj.api.settings import RateLimit
from deepoj.words.stream import Entry
from tests.api.house import PASSWORD, House, house, package, submission
from tests.fakes.settings import rate_limit
from tests.web.visits import Visit

ALWAYS = 0
LOGIN = {"username": "alice", "password": "wrong password"}


@dataclass
class Asked:
    """The answers to several equal requests."""

    answers: list[Response]

    @property
    def statuses(self) -> list[int]:
        return [answer.status_code for answer in self.answers]


async def ask(home: House, times: int, method: str, path: str, **told: Any) -> Asked:
    return Asked([await home.ask(method, path, **told) for _ in range(times)])


def limit(ip: int = ALWAYS, user: int = ALWAYS, window_s: float = 60.0) -> RateLimit:
    return RateLimit(ip_limit=ip, user_limit=user, window_s=window_s)


async def refused(answer: Response) -> dict[str, Any]:
    """A refusal that says all it must."""
    said: dict[str, Any] = await answer.get_json()
    assert (answer.status_code, said["code"]) == (429, "RATE_LIMITED")
    assert answer.headers["X-Request-ID"]
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert answer.headers["Retry-After"] in said["error"]
    return said


def wrong(name: str = "alice") -> dict[str, Any]:
    return {"json": {"username": name, "password": "wrong password"}}


RIGHT: dict[str, Any] = {"json": {"username": "alice", "password": PASSWORD}}


async def login(home: House, peer: str, told: dict[str, Any]) -> int:
    return (await home.ask("POST", "/api/v1/auth/login", peer=peer, **told)).status_code


async def registered(tmp_path: Path, name: str = "alice", **changes: Any) -> House:
    home = house(tmp_path, **changes)
    account = {"username": name, "password": PASSWORD}
    assert (await home.ask("POST", "/api/v1/auth/register", json=account)).status_code == 201
    return home


async def test_only_failed_logins_are_counted_by_address(tmp_path: Path) -> None:
    home = await registered(tmp_path, auth_rate=limit(ip=3))
    assert [await login(home, "192.0.2.7", RIGHT) for _ in range(9)] == [200] * 9
    assert [await login(home, "192.0.2.7", wrong()) for _ in range(3)] == [401] * 3
    await refused(await home.ask("GET", "/api/v1/auth/github/login", peer="192.0.2.7"))


async def test_malformed_login_is_counted_by_address(tmp_path: Path) -> None:
    home = house(tmp_path, auth_rate=limit(ip=2))
    assert [await login(home, "192.0.2.7", {"data": b"nonsense"}) for _ in range(2)] == [415] * 2
    await refused(await home.ask("GET", "/api/v1/auth/github/login", peer="192.0.2.7"))


async def test_address_that_failed_often_goes_on_slowly(tmp_path: Path, autojump_clock: object) -> None:
    home = await registered(tmp_path, auth_rate=limit(ip=3))
    for _ in range(3):
        await login(home, "192.0.2.7", wrong())
    statuses: list[int] = []

    async def one(peer: str) -> None:
        statuses.append(await login(home, peer, RIGHT))

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(16):  # more would not start in one turn of the scheduler
            nursery.start_soon(one, "192.0.2.7")
    assert sorted(statuses) == [200] * 8 + [429] * 8
    assert 1.2 < trio.current_time() - began < 10
    began = trio.current_time()
    assert await login(home, "192.0.2.8", RIGHT) == 200
    assert trio.current_time() - began < 0.2, "another address"
    assert 'auth_429_total{instance="",reason="address",service="deep-oj-api"} 8.0' in shown(home)


@pytest.mark.parametrize("name", ["alice", "stranger", "STRANGER"])
async def test_wrong_passwords_are_bounded_by_account(tmp_path: Path, name: str, autojump_clock: object) -> None:
    """From any number of addresses: then each has a few tries an hour. A name without an account answers alike."""
    home = await registered(tmp_path, auth_rate=limit(user=20))
    for number in range(20):
        assert await login(home, f"192.0.2.{number}", wrong(name)) == 401
    for number in range(5):
        statuses = [await login(home, f"192.0.3.{number}", wrong(name)) for _ in range(5)]
        assert statuses == [401, 401, 401, 429, 429]
    await trio.sleep(61)
    assert await login(home, "192.0.3.0", wrong(name)) == 401, "the window of the account has ended"


async def test_owner_logs_in_while_strangers_guess(tmp_path: Path, autojump_clock: object) -> None:
    home = await registered(tmp_path, auth_rate=limit(user=20))
    for number in range(100):
        await login(home, f"192.0.2.{number % 50}", wrong())
    assert await login(home, "192.0.2.99", RIGHT) == 200
    assert await login(home, "192.0.2.99", wrong()) == 401
    assert await login(home, "192.0.2.99", RIGHT) == 200, "also after a slip"


async def test_owner_logs_in_while_somebody_guesses_at_the_same_address(tmp_path: Path, autojump_clock: object) -> None:
    """Logins at one address wait for each other, so the owner's gets its turn among the guesses."""
    home = await registered(tmp_path, auth_rate=limit(ip=60, user=120))
    guesses = 0

    async def guess() -> None:
        nonlocal guesses
        while True:
            guesses += await login(home, "192.0.2.1", wrong()) == 401

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(guess)
        await trio.sleep(20)
        for _ in range(3):
            assert await login(home, "192.0.2.1", RIGHT) == 200
        await trio.sleep(600)
        nursery.cancel_scope.cancel()
    assert guesses < 11 * 75


async def test_neighbour_and_strangers_do_not_keep_the_owner_out_where_the_owner_was(
    tmp_path: Path, autojump_clock: object
) -> None:
    home = await registered(tmp_path, auth_rate=limit(ip=60, user=20))
    assert await login(home, "192.0.2.1", RIGHT) == 200
    await trio.sleep(20 * 86_400)
    for number in range(100):
        await login(home, f"198.51.100.{number % 50}", wrong())
    for _ in range(5):
        await login(home, "192.0.2.1", wrong())
    assert await login(home, "192.0.2.1", RIGHT) == 200
    for _ in range(3):
        await login(home, "192.0.2.2", wrong())
    assert await login(home, "192.0.2.2", RIGHT) == 429, "the owner was never there"


async def test_class_that_registers_behind_one_address_logs_in_at_once(tmp_path: Path) -> None:
    home = house(tmp_path, auth_rate=limit(ip=30))
    accounts = [{"username": f"pupil{number}", "password": PASSWORD} for number in range(31)]

    async def sent(path: str, account: dict[str, str]) -> int:
        return (await home.ask("POST", f"/api/v1/auth/{path}", json=account, peer="192.0.2.1")).status_code

    assert [await sent("register", account) for account in accounts] == [201] * 30 + [429]
    statuses: list[int] = []

    async def pupil(account: dict[str, str]) -> None:
        statuses.append(await sent("login", account))

    async with trio.open_nursery() as nursery:
        for account in accounts[:30]:
            nursery.start_soon(pupil, account)
    assert statuses == [200] * 30


async def test_password_change_limits_guesses_of_the_old_password(tmp_path: Path) -> None:
    home = await registered(tmp_path, auth_rate=limit(user=2))
    token = await home.token_of("alice")
    statuses = []
    for number in range(4):
        body = {"old_password": f"guess {number}", "new_password": "a newer horse"}
        answer = await home.ask("POST", "/api/v1/users/me/password", token=token, json=body, peer="192.0.2.1")
        statuses.append(answer.status_code)
    assert statuses == [403, 403, 429, 429]
    assert await login(home, "192.0.2.9", RIGHT) == 200


async def test_class_behind_one_address_logs_in_and_reads(tmp_path: Path) -> None:
    """With the default limits, and all at the same time."""
    rates: dict[str, Any] = {name: rate_limit() for name in ("auth_rate", "submit_rate", "rate")}
    home = house(tmp_path, **rates)
    await home.ask("POST", "/api/v1/auth/register", json=RIGHT["json"])
    alice = await home.store.credentials("alice")
    assert alice is not None
    for number in range(300):
        await home.store.create_user(f"pupil{number}", alice.password_hash, None, is_admin=False)
    statuses: list[int] = []

    async def pupil(number: int) -> None:
        account = {"username": f"pupil{number}", "password": PASSWORD}
        answer = await home.ask("POST", "/api/v1/auth/login", json=account, peer="192.0.2.1")
        statuses.append(answer.status_code)
        token = (await answer.get_json())["token"]
        for path in ("/api/v1/users/me", "/api/v1/problems"):
            statuses.append((await home.ask("GET", path, token=token, peer="192.0.2.1")).status_code)

    async with trio.open_nursery() as nursery:
        for number in range(300):
            nursery.start_soon(pupil, number)
    assert statuses == [200] * 900


async def test_a_flood_of_logins_costs_no_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = house(tmp_path, auth_rate=limit(user=1))
    await home.ask("POST", "/api/v1/auth/login", json=LOGIN)
    monkeypatch.setattr("deepoj.accounts.passwords.Passwords.verify", None)
    assert (await home.ask("POST", "/api/v1/auth/login", json=LOGIN)).status_code == 429


@pytest.mark.parametrize("way", ["api", "page", "basic"])
async def test_logins_of_an_address_at_once_cost_no_more_hashes_than_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    home = await registered(tmp_path, auth_rate=limit(ip=20), has_pages=True)
    visit = Visit(home, peer="192.0.2.7")
    form_token, count, hashes = await visit.form_token(), 400, 0
    basic = base64.b64encode(b"alice:wrong password").decode()
    verify = argon2.PasswordHasher.verify

    def counting(hasher: argon2.PasswordHasher, hashed: str, password: str) -> bool:
        nonlocal hashes
        hashes += 1
        return verify(hasher, hashed, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", counting)
    # attempts after the limit are let in at a pace, which is measured elsewhere
    monkeypatch.setattr("deepoj.api.password_tries._QUEUE_MAX", 0)
    statuses: list[int] = []

    async def one() -> None:
        match way:
            case "api":
                statuses.append(await login(home, visit.peer, wrong()))
            case "page":
                statuses.append((await visit.post("/login", LOGIN, form_token=form_token)).status)
            case "basic":
                asked = {"Authorization": f"Basic {basic}"}
                statuses.append((await home.ask("GET", "/clics/", headers=asked, peer=visit.peer)).status_code)

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(one)
    assert hashes == 20
    assert sorted(statuses) == [401] * 20 + [429] * 380


async def test_submitting_is_counted_by_user_and_by_address(tmp_path: Path) -> None:
    home = house(tmp_path, submit_rate=limit(ip=3, user=2))
    alice, bob, problem = await home.token("alice"), await home.token("bob"), await home.problem()
    for number in range(2):
        await submission(home, alice, problem, f"// {number}")
    body = {"problem_id": problem, "language": 1, "code": "one more"}
    await refused(await home.ask("POST", "/api/v1/submit", token=alice, json=body))
    await submission(home, bob, problem, "// bob")
    await refused(await home.ask("POST", "/api/v1/submit", token=bob, json=body))
    elsewhere = await home.ask("POST", "/api/v1/submit", token=bob, json=body, peer="192.0.2.9")
    assert elsewhere.status_code == 200
    for reason in ("rate_limit_user", "rate_limit_ip"):
        assert f'submit_429_total{{instance="",reason="{reason}",service="deep-oj-api"}} 1.0' in shown(home)


async def test_requests_with_a_revoked_token_count_for_that_token(tmp_path: Path) -> None:
    home = house(tmp_path, submit_rate=limit(user=1), rate=limit(user=2))
    token, problem = await home.token("alice"), await home.problem()
    user = await home.store.credentials("alice")
    assert user is not None
    await home.store.set_password(user.user.id, "another")
    revoked = await ask(home, 5, "POST", "/api/v1/submit", token=token, json={})
    assert revoked.statuses == [401, 401, 429, 429, 429]
    read = await ask(home, 2, "GET", "/api/v1/users/me", token=token)
    assert read.statuses == [429, 429], "the token's own limit, on every route"
    fresh = await home.token_of("alice")
    assert (await home.ask("GET", "/api/v1/users/me", token=fresh)).status_code == 200
    await submission(home, fresh, problem)


@pytest.mark.parametrize("token", [None, "forged.nonsense.token"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/problems"),
        ("GET", "/api/v1/status/x"),
        ("POST", "/api/v1/submit"),
        ("GET", "/no/such/thing"),
        ("DELETE", "/api/v1/languages"),
        ("GET", "/openapi.json"),
    ],
)
async def test_strangers_are_counted_by_address(tmp_path: Path, method: str, path: str, token: str | None) -> None:
    home = house(tmp_path, rate=limit(ip=2))
    many = await ask(home, 3, method, path, peer="192.0.2.7", token=token)
    assert 429 not in many.statuses[:2]
    await refused(many.answers[2])
    other = await home.ask(method, path, peer="192.0.2.8", token=token)
    assert other.status_code == many.statuses[0]


async def test_requests_with_a_token_are_counted_by_user(tmp_path: Path) -> None:
    """A class behind one address can go on reading, and one user of it does not use up the others' requests."""
    home = house(tmp_path, rate=limit(ip=1, user=3))
    alice, bob = await home.token("alice"), await home.token("bob")
    assert (await ask(home, 4, "GET", "/api/v1/problems", token=alice)).statuses == [200] * 3 + [429]
    assert (await ask(home, 4, "GET", "/api/v1/users/me", token=bob)).statuses == [200] * 3 + [429]
    assert (await home.ask("GET", "/api/v1/problems")).status_code == 200


async def test_contest_api_is_asked_ten_times_as_often_and_counted_apart(tmp_path: Path) -> None:
    home = house(tmp_path, rate=limit(ip=2, user=3))
    alice = await home.token("alice")
    assert (await ask(home, 21, "GET", "/clics/contests", peer="192.0.2.7")).statuses == [200] * 20 + [429]
    assert (await ask(home, 31, "GET", "/clics/contests", token=alice)).statuses == [200] * 30 + [429]
    for peer, token in (("192.0.2.7", None), ("192.0.2.8", alice)):
        assert (await home.ask("GET", "/api/v1/problems", peer=peer, token=token)).status_code == 200


async def test_files_of_statements_are_counted_apart_with_and_without_a_token(tmp_path: Path) -> None:
    home = house(tmp_path, rate=limit(ip=1, user=2))
    alice = await home.token("alice")
    paths = [f"/api/v1/problems/7/{kind}/a.png" for kind in ("statement/files", "attachments")]
    for token, times in ((None, 30), (alice, 20)):
        files = [(await home.ask("GET", paths[number % 2], token=token)).status_code for number in range(times + 1)]
        assert files == [404] * times + [429]
        assert (await home.ask("GET", "/api/v1/problems", token=token)).status_code == 200


async def test_health_and_metrics_are_not_counted(tmp_path: Path) -> None:
    home = house(
        tmp_path, rate=limit(ip=1, user=1), auth_rate=limit(ip=1), cors_allowed_origins=frozenset({"https://x"})
    )
    for path, status in (("/api/v1/health", 200), ("/api/v1/ready", 200), ("/metrics", 403)):
        assert (await ask(home, 5, "GET", path)).statuses == [status] * 5
    asks = {"Origin": "https://x", "Access-Control-Request-Method": "POST"}
    assert (await ask(home, 5, "OPTIONS", "/api/v1/auth/login", headers=asks)).statuses == [204] * 5


async def test_a_refusal_can_be_read_from_another_origin(tmp_path: Path) -> None:
    home = house(tmp_path, rate=limit(ip=1), cors_allowed_origins=frozenset({"https://x"}))
    many = await ask(home, 2, "GET", "/api/v1/problems", headers={"Origin": "https://x"})
    await refused(many.answers[1])
    assert many.answers[1].headers["Access-Control-Allow-Origin"] == "https://x"
    assert "Retry-After" in many.answers[1].headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("192.0.2.7", "::ffff:192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
    ],
)
async def test_one_customer_is_one_address(tmp_path: Path, first: str, second: str, is_same: bool) -> None:
    home = house(tmp_path, rate=limit(ip=1))
    assert (await home.ask("GET", "/api/v1/problems", peer=first)).status_code == 200
    assert (await home.ask("GET", "/api/v1/problems", peer=second)).status_code == (429 if is_same else 200)


async def test_forwarded_address_counts_from_trusted_proxies_only(tmp_path: Path) -> None:
    home = house(tmp_path, rate=limit(ip=1), trusted_proxies=("10.0.0.0/8",))

    async def from_(peer: str, forwarded: str) -> int:
        headers = {"X-Forwarded-For": forwarded}
        return (await home.ask("GET", "/api/v1/problems", peer=peer, headers=headers)).status_code

    assert [await from_("10.0.0.1", "192.0.2.1"), await from_("10.0.0.2", "6.6.6.6, 192.0.2.1")] == [200, 429]
    assert await from_("10.0.0.1", "192.0.2.2") == 200
    assert [await from_("198.51.100.1", "192.0.2.3"), await from_("198.51.100.1", "192.0.2.4")] == [200, 429]
    assert [await from_("10.0.0.1", "nonsense"), await from_("10.0.0.2", "more nonsense")] == [200, 429]


async def test_forwarded_from_an_untrusted_address_is_told(tmp_path: Path, logged: io.StringIO) -> None:
    home = house(tmp_path, trusted_proxies=("10.0.0.0/8",))
    for peer, headers in (
        ("10.0.0.1", {"X-Forwarded-For": "192.0.2.1"}),
        ("198.51.100.1", {}),
        ("198.51.100.1", {"X-Forwarded-For": "192.0.2.1"}),
        ("198.51.100.2", {"X-Forwarded-For": "nonsense"}),
    ):
        await home.ask("GET", "/api/v1/problems", peer=peer, headers=headers)
    lines = [line for line in logged.getvalue().splitlines() if "forwarded_untrusted" in line]
    assert len(lines) == 1, "not one for each request"
    assert json.loads(lines[0])["remote"] == "198.51.100.1"
    assert "TRUSTED_PROXIES" in json.loads(lines[0])["reason"]
    assert 'api_untrusted_forwarded_total{instance="",service="deep-oj-api"} 2.0' in shown(home)


async def test_a_refused_upload_is_not_taken(tmp_path: Path) -> None:
    home = house(tmp_path, rate=limit(user=1))
    admin = await home.token("root", is_admin=True)
    assert (await home.ask("GET", "/api/v1/problems", token=admin)).status_code == 200
    answer = await home.ask("POST", "/api/v1/problems", token=admin, data=package())
    assert answer.status_code == 429
    assert home.blobs.objects == {}


async def test_the_window_ends(tmp_path: Path, autojump_clock: object) -> None:
    home = house(tmp_path, rate=limit(ip=1, window_s=90.0))
    assert (await home.ask("GET", "/api/v1/problems")).status_code == 200
    await trio.sleep(30)
    answer = await home.ask("GET", "/api/v1/problems")
    assert answer.headers["Retry-After"] == "60"
    await trio.sleep(60)
    assert (await home.ask("GET", "/api/v1/problems")).status_code == 200


async def test_every_limited_route_documents_it(tmp_path: Path) -> None:
    home = house(tmp_path)
    document = await (await home.ask("GET", "/openapi.json")).get_json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            limited = path not in {"/api/v1/health", "/api/v1/ready", "/metrics"}
            assert ("429" in operation["responses"]) is limited, (method, path)


@pytest.mark.parametrize(
    "api_error",
    [api_error for api_error in ERRORS if api_error.status in {429, 503}],
    ids=lambda api_error: api_error.name,
)
def test_every_not_now_says_when(api_error: CodedError) -> None:
    assert int(Refused(api_error).extra_headers()["Retry-After"]) >= 1
    for told_s, header in ((0.0, "1"), (0.2, "1"), (1.0, "1"), (1.001, "2"), (59.9, "60")):
        assert Refused(api_error, retry_after_s=told_s).extra_headers()["Retry-After"] == header


@pytest.mark.parametrize(
    "api_error",
    [api_error for api_error in ERRORS if api_error.status not in {429, 503}],
    ids=lambda api_error: api_error.name,
)
def test_nothing_else_says_when(api_error: CodedError) -> None:
    assert "Retry-After" not in Refused(api_error).extra_headers()


# ---------------------------------------------------------------------------------------------------------------------
# Backpressure


async def test_a_backlog_refuses_submissions_and_nothing_else(tmp_path: Path) -> None:
    home = house(tmp_path)
    token, problem = await home.token("alice"), await home.problem()
    job_id = await submission(home, token, problem)
    home.pressed.append(home.backlog)
    body = {"problem_id": problem, "language": 1, "code": "one more"}
    answer = await home.ask("POST", "/api/v1/submit", token=token, json=body)
    assert (answer.status_code, (await answer.get_json())["code"]) == (429, "BACKPRESSURE")
    assert answer.headers["Retry-After"] == "7"
    assert (await home.ask("POST", "/api/v1/submit", json=body)).status_code == 401
    assert (await home.ask("GET", f"/api/v1/status/{job_id}", token=token)).status_code == 200
    assert 'api_backpressure_reject_total{instance="",reason="lag",service="deep-oj-api"} 1.0' in shown(home)
    assert 'submit_429_total{instance="",reason="backpressure",service="deep-oj-api"} 1.0' in shown(home)
    run = await home.ask("POST", "/api/v1/run", token=token, json={"language": 1, "code": "x"})
    assert (run.status_code, (await run.get_json())["code"]) == (429, "BACKPRESSURE")
    assert 'api_backpressure_reject_total{instance="",reason="lag",service="deep-oj-api"} 2.0' in shown(home)
    assert 'submit_429_total{instance="",reason="backpressure",service="deep-oj-api"} 1.0' in shown(home), "no submit"
    home.pressed.clear()
    await submission(home, token, problem, "one more")


# ---------------------------------------------------------------------------------------------------------------------
# Without the outbox


async def test_without_the_outbox_a_submission_goes_to_the_stream_in_its_request(tmp_path: Path) -> None:
    home = house(tmp_path, outbox=False)
    token, problem = await home.token("alice"), await home.problem()
    job_id = await submission(home, token, problem)
    (entry,) = await home.stream.read(9, 0)
    assert isinstance(entry, Entry)
    assert entry.job_id == job_id
    (row,) = home.store.outbox.values()
    assert (row.status, row.stream_entry_id) == ("delivered", entry.entry_id)
    assert 'api_stream_enqueue_total{instance="",service="deep-oj-api",status="ok"} 1.0' in shown(home)


async def test_without_outbox_and_redis_a_submission_is_refused_and_left_to_repair(tmp_path: Path) -> None:
    home = house(tmp_path, outbox=False)
    token, problem = await home.token("alice"), await home.problem()
    home.stream.server.down = True
    body = {"problem_id": problem, "language": 1, "code": "int main(){}"}
    answer = await home.ask("POST", "/api/v1/submit", token=token, json=body)
    assert (answer.status_code, (await answer.get_json())["code"]) == (503, "QUEUE_ERROR")
    assert int(answer.headers["Retry-After"]) > 0
    assert 'api_stream_enqueue_total{instance="",service="deep-oj-api",status="error"} 1.0' in shown(home)
    (row,) = home.store.rows.values()
    assert (row.state, list(home.store.outbox)) == ("pending", [])
    again = await home.ask("POST", "/api/v1/submit", token=token, json=body)
    assert (again.status_code, (await again.get_json())["job_id"]) == (200, row.job_id)


def shown(home: House) -> str:
    return home.metrics.render().decode()
