"""Webhook deliveries: the request, the result of a try, and that a dead target delays no other one."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
import trio

from deepoj import observe
from deepoj.api.redact import result_for
from deepoj.nursery.supervise import Child, ChildStatus, kept
from deepoj.nursery.webhooks import Deliver
from deepoj.observe import Metrics
from deepoj.webhooks.callback_urls import CallbackRules
from deepoj.webhooks.delivery import attempt, forget, request_of, settle, signing_secret
from deepoj.words.errors import StoreUnavailable
from deepoj.words.jobs import State
from deepoj.words.results import Verdict
from deepoj.words.submissions import Draft, Receipt
from deepoj.words.webhooks import Hook, HookAnswer, HookFailure, HookRequest, HookStatus
from tests.fakes.settings import hidden_steps, hook_settings
from tests.fakes.store import MemoryStore
from tests.fakes.webhooks import take_due
from tests.unit.makers import a_problem

SETTINGS = hook_settings(secret=b"a secret of the operator's", rules=CallbackRules())
REDACT = partial(result_for, is_whole=False, steps=hidden_steps())
DEAD, ALIVE = "https://dead.example", "https://alive.example"


@pytest.fixture
def logged() -> io.StringIO:
    lines = io.StringIO()
    observe.configure("json", stream=lines, strict=True)
    return lines


def a_hook(**changes: Any) -> Hook:
    plain = Hook(
        id=7,
        delivery_id="0199-d",
        job_id="job-1",
        judging=2,
        attempt_id=3,
        event="done",
        verdict="Wrong Answer",
        error_code=None,
        target=ALIVE,
        url=f"{ALIVE}/hook?token=hidden",
        user_id=1001,
        problem_id=2001,
        language="cpp17",
        trace_id="trace-1",
        result={
            "job_id": "job-1",
            "status": "Wrong Answer",
            "tests": [{"name": "1", "status": "Wrong Answer", "exit_code": 3, "checker_message": "expected 4 你"}],
        },
        attempts=4,
        tries=1,
        secret_epoch=1,
        owner_is_disabled=False,
        sent_at_s=1_800_000_000,
        created_at="2027-01-15T08:00:00+00:00",
    )
    return replace(plain, **changes)


def test_webhook_has_the_owners_view_and_his_signature() -> None:
    sent = request_of(a_hook(), SETTINGS, REDACT)
    told = json.loads(sent.body)
    assert told == {
        "delivery_id": "0199-d",
        "event": "submission.done",
        "created_at": "2027-01-15T08:00:00+00:00",
        "job_id": "job-1",
        "judging": 2,
        "attempt_id": 3,
        "problem_id": 2001,
        "language": "cpp17",
        "state": "done",
        "status": "Wrong Answer",
        "error_code": None,
        "data": {
            "job_id": "job-1",
            "status": "Wrong Answer",
            "tests": [{"name": "1", "status": "Wrong Answer", "exit_code": None, "checker_message": None}],
            "explanation": [],
        },
    }
    assert sent.url == f"{ALIVE}/hook?token=hidden"
    assert sent.headers["X-DeepOJ-Delivery"] == "0199-d"
    assert sent.headers["X-DeepOJ-Event"] == "submission.done"
    assert sent.headers["Content-Type"] == "application/json"
    # as a receiver checks it
    key = signing_secret(SETTINGS.secret, 1001, 1)
    stamp = sent.headers["X-DeepOJ-Timestamp"]
    digest = hmac.new(key.encode(), stamp.encode() + b"." + sent.body, hashlib.sha256).hexdigest()
    assert (stamp, sent.headers["X-DeepOJ-Signature"]) == ("1800000000", f"sha256={digest}")


def test_the_body_is_the_same_at_every_try_and_the_signature_is_of_the_time() -> None:
    first = request_of(a_hook(), SETTINGS, REDACT)
    later = request_of(a_hook(attempts=9, tries=6, sent_at_s=1_800_009_999), SETTINGS, REDACT)
    assert first.body == later.body
    assert first.headers["X-DeepOJ-Signature"] != later.headers["X-DeepOJ-Signature"]


def test_secrets_are_of_one_user_one_epoch_and_one_operator() -> None:
    secrets = [
        signing_secret(b"a", 1, 0), signing_secret(b"a", 1, 1), signing_secret(b"a", 2, 0), signing_secret(b"b", 1, 0),
        signing_secret(b"a", 11, 0), signing_secret(b"a", 1, 10),
    ]  # fmt: skip
    assert len(set(secrets)) == 6
    assert signing_secret(b"a", 1, 0) == secrets[0]
    assert all(len(secret) == len("whsec_") + 64 for secret in secrets)


def test_a_dead_letter_has_no_result_and_a_lone_surrogate_breaks_nothing() -> None:
    sent = request_of(a_hook(event="dead", result=None, error_code="ATTEMPTS_EXHAUSTED"), SETTINGS, REDACT)
    told = json.loads(sent.body)
    assert (told["event"], told["data"], told["error_code"]) == ("submission.dead", None, "ATTEMPTS_EXHAUSTED")
    assert json.loads(request_of(a_hook(trace_id="\ud800", verdict="\ud800"), SETTINGS, REDACT).body)["status"] == "?"


@dataclass
class Sender:
    """A sender with scripted answers by target; other targets answer 204."""

    answers: dict[str, Callable[[], Any]] = field(default_factory=dict)
    sent: list[HookRequest] = field(default_factory=list)
    busy: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)

    async def post(self, request: HookRequest) -> HookAnswer:
        target = "/".join(request.url.split("/")[:3])
        self.sent.append(request)
        self.busy[target] += 1
        for name, count in ((target, self.busy[target]), ("all", self.busy.total())):
            self.most[name] = max(self.most[name], count)
        try:
            if target in self.answers:
                found = await self.answers[target]()
                assert isinstance(found, HookAnswer)
                return found
            await trio.sleep(0.1)
            return HookAnswer(None, 200)
        finally:
            self.busy[target] -= 1


async def test_a_url_that_is_not_allowed_any_more_is_not_called(autojump_clock: object) -> None:
    sender = Sender()
    rules = CallbackRules.of(enabled=True, hosts=("*.school.edu",), networks=())
    answer = await attempt(sender, a_hook(), replace(SETTINGS, rules=rules), REDACT)
    assert answer == HookAnswer(HookFailure.FORBIDDEN)
    assert sender.sent == []
    assert await attempt(sender, a_hook(), SETTINGS, REDACT) == HookAnswer(None, 200)


async def test_a_callback_of_a_disabled_account_is_not_called() -> None:
    sender = Sender()
    answer = await attempt(sender, a_hook(owner_is_disabled=True), SETTINGS, REDACT)
    assert answer == HookAnswer(HookFailure.ACCOUNT_DISABLED)
    assert sender.sent == []


async def told(store: MemoryStore, *targets: str, user_id: int = 1001) -> None:
    """Finish a submission for each target, with a callback to it."""
    problem = a_problem()
    await store.insert_problem(problem)
    for number, target in enumerate(targets):
        draft = Draft(
            user_id=user_id, problem_id=problem.id, language="cpp17", code=f"// {len(store.rows)} {number}",
            trace_id="trace-1", callback_url=f"{target}/hook?token=hidden",
        )  # fmt: skip
        receipt = await store.submit(draft, inflight_cap=10**6, dedup_window_s=0, payload={}, stream_key="s")
        assert isinstance(receipt, Receipt)
        row = store.rows[receipt.job_id]
        row.state, row.status, row.result = State.DONE, Verdict.ACCEPTED, {"status": "Accepted"}
        store._call_back(row)


@pytest.mark.usefixtures("autojump_clock")
@pytest.mark.parametrize(
    ("answer", "stands", "result"),
    [
        (HookAnswer(None, 204), HookStatus.DELIVERED, "delivered"),
        (HookAnswer(HookFailure.GONE, 410), HookStatus.GIVEN_UP, "given_up"),
        (HookAnswer(HookFailure.FORBIDDEN), HookStatus.GIVEN_UP, "given_up"),
        (HookAnswer(HookFailure.ACCOUNT_DISABLED), HookStatus.GIVEN_UP, "given_up"),
        *(
            (HookAnswer(failure), HookStatus.PENDING, "retry")
            for failure in HookFailure
            if failure not in {HookFailure.GONE, HookFailure.FORBIDDEN, HookFailure.ACCOUNT_DISABLED}
        ),
    ],
)
async def test_delivery_status_follows_the_answer(
    metrics: Metrics, logged: io.StringIO, answer: HookAnswer, stands: HookStatus, result: str
) -> None:
    store = MemoryStore()
    await told(store, ALIVE)
    (hook,) = await take_due(store)
    assert await settle(store, hook, answer, SETTINGS, metrics) is stands
    assert metrics.webhook_deliveries.labels(result=result)._value.get() == 1
    line = json.loads(logged.getvalue())
    assert (line["event"], line["target"], line["delivery_id"]) == (f"webhook_{result}", ALIVE, hook.delivery_id)
    assert "hidden" not in logged.getvalue()
    assert "whsec" not in logged.getvalue()


async def test_pauses_double_up_to_the_longest_and_listen_to_the_receiver(
    autojump_clock: object, metrics: Metrics, logged: io.StringIO
) -> None:
    store, settings = MemoryStore(), replace(SETTINGS, retry_base_s=5.0, retry_max_s=60.0, give_up_s=10**9)
    await told(store, ALIVE)
    pauses: list[float] = []
    for _ in range(7):
        (hook,) = await take_due(store)
        await settle(store, hook, HookAnswer(HookFailure.HTTP, 503), settings, metrics)
        pauses.append(store.hooks[hook.id].next_attempt_at - trio.current_time())
        await trio.sleep(pauses[-1])
    for pause, middle in zip(pauses, (5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0), strict=True):
        assert 0.75 * middle <= pause <= 1.25 * middle
    assert len({pause / middle for pause, middle in zip(pauses[4:], (60, 60, 60), strict=True)}) == 3, "no jitter"
    for wish, middle in ((30.0, 60.0), (10**6, 60.0)):
        (hook,) = await take_due(store)
        await settle(store, replace(hook, tries=1), HookAnswer(HookFailure.HTTP, 429, wish), settings, metrics)
        pause = store.hooks[hook.id].next_attempt_at - trio.current_time()
        assert 0.75 * min(wish, middle) <= pause <= 1.25 * min(wish, middle)
        await trio.sleep(pause)


async def test_a_store_that_is_away_leaves_it_to_the_lease(
    autojump_clock: object, metrics: Metrics, logged: io.StringIO
) -> None:
    store = MemoryStore()
    await told(store, ALIVE)
    (hook,) = await take_due(store)
    store.break_next("settle_webhook", applied=False)
    assert await settle(store, hook, HookAnswer(None, 200), SETTINGS, metrics) is None
    assert metrics.webhook_deliveries.labels(result="unsettled")._value.get() == 1
    await trio.sleep(40)
    (again,) = await take_due(store)
    assert again.delivery_id == hook.delivery_id
    assert await settle(store, again, HookAnswer(None, 200), SETTINGS, metrics) is HookStatus.DELIVERED
    assert await settle(store, hook, HookAnswer(None, 200), SETTINGS, metrics) is None
    assert metrics.webhook_deliveries.labels(result="superseded")._value.get() == 1


async def test_old_ones_are_forgotten(autojump_clock: object, metrics: Metrics, logged: io.StringIO) -> None:
    store = MemoryStore()
    await told(store, ALIVE)
    (hook,) = await take_due(store)
    await settle(store, hook, HookAnswer(None, 200), SETTINGS, metrics)
    assert await forget(store, 10.0) == 0
    await trio.sleep(10)
    assert await forget(store, 10.0) == 1
    assert "webhooks_forgotten" in logged.getvalue()


# -- the keeper


def keeper(store: MemoryStore, sender: Sender, metrics: Metrics, **changes: Any) -> Deliver[Hook, HookAnswer]:
    async def one_try(hook: Hook) -> HookAnswer:
        return await attempt(sender, hook, SETTINGS, REDACT)

    async def write_down(hook: Hook, answer: HookAnswer) -> None:
        await settle(store, hook, answer, SETTINGS, metrics)

    plain: dict[str, Any] = {"concurrency": 8, "per_target": 2, "poll_s": 1.0, "lease_s": 40.0}
    return Deliver(webhooks=store, attempt=one_try, settle=write_down, **(plain | changes))


@asynccontextmanager
async def keeping(made: Deliver[Hook, HookAnswer], metrics: Metrics) -> AsyncIterator[trio.Nursery]:
    child = Child(name="webhooks", run=made, restart_on=(StoreUnavailable,))
    async with trio.open_nursery() as nursery:
        await nursery.start(kept, child, ChildStatus(), metrics)
        yield nursery
        nursery.cancel_scope.cancel()


def delivered(store: MemoryStore, target: str) -> int:
    return sum(hook.status is HookStatus.DELIVERED for hook in store.hooks.values() if hook.target == target)


async def until(what: Callable[[], bool], within_s: float) -> float:
    """Wait for a condition. Return the seconds of trio's clock that it took."""
    began = trio.current_time()
    with trio.fail_after(within_s):
        while not what():
            await trio.sleep(0.05)
    return trio.current_time() - began


async def times_out() -> HookAnswer:
    await trio.sleep(10)
    return HookAnswer(HookFailure.TIMEOUT)


async def test_dead_target_delays_no_other_target(
    autojump_clock: object, metrics: Metrics, logged: io.StringIO
) -> None:
    """Its deliveries are many and older, and each runs into its timeout; other targets get theirs at once."""
    store, sender = MemoryStore(), Sender({DEAD: times_out})
    await told(store, *[DEAD] * 300, *[ALIVE] * 20, *(f"https://t{number}.example" for number in range(30)))
    async with keeping(keeper(store, sender, metrics), metrics):
        await until(lambda: delivered(store, ALIVE) == 20, 5)
        await until(lambda: sum(hook.status == "delivered" for hook in store.hooks.values()) == 50, 5)
        assert trio.current_time() < 10, "within one timeout of the dead one"
        await trio.sleep(25)
    assert sender.most[DEAD] == sender.most[ALIVE] == 2
    assert sender.most["all"] <= 8
    assert 4 <= sum("dead" in request.url for request in sender.sent) <= 8
    assert Counter(hook.attempts for hook in store.hooks.values() if hook.target == ALIVE) == {1: 20}


HONEST = 1750
#: names that are before, between and after those of accounts whose receivers hang
HONEST_TARGET = "https://m-honest.example"


async def hang(store: MemoryStore, sender: Sender, user_id: int, count: int = 120) -> None:
    """Make deliveries of the account, each to another target that runs into the timeout."""
    targets = [f"https://t{number}.u{user_id}.example" for number in range(count)]
    sender.answers |= dict.fromkeys(targets, times_out)
    await told(store, *targets, user_id=user_id)


async def delay_of_delivery(store: MemoryStore, target: str = HONEST_TARGET, user_id: int = HONEST) -> float:
    before = delivered(store, target)
    await told(store, target, user_id=user_id)
    return await until(lambda: delivered(store, target) > before, 300)


@pytest.mark.parametrize("hung", [1, 5])
async def test_accounts_with_hung_receivers_do_not_delay_others(
    autojump_clock: object, metrics: Metrics, logged: io.StringIO, hung: int
) -> None:
    """Each has 120 targets. The accounts come one after the other, so that the first ones find all places free."""
    store, sender = MemoryStore(), Sender()
    async with keeping(keeper(store, sender, metrics, concurrency=16, per_target=4), metrics):
        for number in range(hung):
            await hang(store, sender, 1000 + number * 500)
            await trio.sleep(1.5)
        delays = []
        for _ in range(20):
            delays.append(await delay_of_delivery(store))
            await trio.sleep(2.7)
    assert max(delays) <= 1.5, delays
    assert sender.most["all"] <= 16


async def test_one_account_holds_half_of_the_places_at_most(
    autojump_clock: object, metrics: Metrics, logged: io.StringIO
) -> None:
    store, sender = MemoryStore(), Sender()
    await hang(store, sender, 1000)
    async with keeping(keeper(store, sender, metrics, concurrency=16, per_target=4), metrics):
        await trio.sleep(300)
    assert sender.most["all"] == 8
    assert all(hook.attempts > 1 for hook in store.hooks.values()), "each of its targets has had its turn"


@pytest.mark.parametrize("concurrency", [1, 2, 3])
async def test_few_places_serve_every_account(
    autojump_clock: object, metrics: Metrics, logged: io.StringIO, concurrency: int
) -> None:
    store, sender = MemoryStore(), Sender()
    for number in range(6):
        await told(store, *[f"https://t{number}.example"] * 5, user_id=1000 + number)
    async with keeping(keeper(store, sender, metrics, concurrency=concurrency, per_target=1), metrics):
        await until(lambda: sum(hook.status == "delivered" for hook in store.hooks.values()) == 30, 30)
    assert sender.most["all"] == concurrency


async def test_accounts_that_are_behind_a_full_look_come_next(
    autojump_clock: object, metrics: Metrics, logged: io.StringIO
) -> None:
    """One place and three accounts with two targets each: no account and no target comes twice in a round."""
    store, sender = MemoryStore(), Sender()
    for number in range(3):
        targets = [f"https://{name}{number}.example" for name in "ab"]
        await told(store, *targets * 4, user_id=1000 + number)
    async with keeping(keeper(store, sender, metrics, concurrency=1, per_target=1), metrics):
        await until(lambda: len(sender.sent) == 24, 30)
    hosts = [request.url.split("/")[2] for request in sender.sent]
    for start in range(0, 24, 6):
        assert hosts[start : start + 6] == [f"{name}{number}.example" for name in "ab" for number in range(3)]


async def test_a_hung_target_of_many_accounts_does_not_delay_their_other_targets(
    autojump_clock: object, metrics: Metrics, logged: io.StringIO
) -> None:
    """300 accounts, more than two pages hold, wait for one dead receiver, which takes only its few places."""
    store, sender = MemoryStore(), Sender({DEAD: times_out})
    for number in range(300):
        await told(store, DEAD, DEAD, user_id=1000 + 7 * number)
    async with keeping(keeper(store, sender, metrics, concurrency=16, per_target=4), metrics):
        await trio.sleep(3)
        delays = []
        for number in range(10):
            delays.append(await delay_of_delivery(store))
            delays.append(await delay_of_delivery(store, f"https://other{number}.example", 1000 + 7 * 29 * number))
    assert max(delays) <= 1.5, delays
    assert sender.most[DEAD] == 4


@pytest.mark.parametrize("accounts", [1, 90])
async def test_more_targets_and_accounts_than_a_look_holds_have_their_turn(
    autojump_clock: object, metrics: Metrics, logged: io.StringIO, monkeypatch: pytest.MonkeyPatch, accounts: int
) -> None:
    for name in ("PAGE", "TARGETS", "TARGETS_EACH"):
        monkeypatch.setattr(f"deepoj.nursery.webhooks.{name}", 3)
    store, sender = MemoryStore(), Sender()
    # the first 50 wait for another day and stand in the way
    targets = [f"https://{'a' if number < 50 else 't'}{number}.example" for number in range(90)]
    for number, target in enumerate(targets):
        await told(store, target, user_id=1000 + number % accounts)
    for hook in store.hooks.values():
        if "//a" in hook.target:
            hook.next_attempt_at = 10_000
    async with keeping(keeper(store, sender, metrics), metrics):
        await until(lambda: len(sender.sent) == 40, 30)
    assert all("//t" in request.url for request in sender.sent)


async def test_delivery_made_while_the_sender_waits_is_sent_soon(
    autojump_clock: object, metrics: Metrics, logged: io.StringIO
) -> None:
    store, sender = MemoryStore(), Sender()
    async with keeping(keeper(store, sender, metrics), metrics):
        await trio.sleep(5)
        await told(store, ALIVE)
        assert await until(lambda: delivered(store, ALIVE) == 1, 5) < 1.5


async def test_an_outage_ends_nothing_but_the_round(
    autojump_clock: object, metrics: Metrics, logged: io.StringIO
) -> None:
    """The current POST is recorded, and supervision restarts the loop."""
    store, sender = MemoryStore(), Sender({ALIVE: partial(slow, 2.0)})
    await told(store, ALIVE)
    async with keeping(keeper(store, sender, metrics), metrics):
        await until(lambda: len(sender.sent) == 1, 5)
        store.break_next("webhook_owners", applied=False)
        await told(store, "https://other.example")
        await until(lambda: delivered(store, ALIVE) == delivered(store, "https://other.example") == 1, 10)
    assert len(sender.sent) == 2
    assert metrics.child_restarts.labels(child="webhooks")._value.get() == 1


async def slow(seconds: float) -> HookAnswer:
    await trio.sleep(seconds)
    return HookAnswer(None, 200)


async def test_a_stop_cuts_a_post_and_never_the_writing(
    autojump_clock: object, metrics: Metrics, logged: io.StringIO
) -> None:
    store, sender = MemoryStore(), Sender({DEAD: times_out})
    await told(store, DEAD, ALIVE)
    settling = trio.Event()
    write = store.settle_webhook

    async def slowly(*args: Any, **named: Any) -> HookStatus | None:
        settling.set()
        await trio.sleep(1)
        return await write(*args, **named)

    store.settle_webhook = slowly  # type: ignore[method-assign]
    async with keeping(keeper(store, sender, metrics), metrics):
        await settling.wait()
        began = trio.current_time()
    assert trio.current_time() - began <= 1.1
    assert delivered(store, ALIVE) == 1
    (cut,) = [hook for hook in store.hooks.values() if hook.target == DEAD]
    assert (cut.status, cut.attempts) == (HookStatus.PENDING, 1)
    assert cut.next_attempt_at == pytest.approx(40, abs=2)


async def test_a_bug_in_a_try_ends_the_process(autojump_clock: object, metrics: Metrics, logged: io.StringIO) -> None:
    async def broken() -> HookAnswer:
        raise ZeroDivisionError

    store = MemoryStore()
    await told(store, ALIVE)
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        async with keeping(keeper(store, Sender({ALIVE: broken}), metrics), metrics):
            await trio.sleep(5)
