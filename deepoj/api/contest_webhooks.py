"""Callbacks of the Contest API: the lines of a contest's event feed, POSTed to those who have registered a webhook.

A callback has the lines that its account's feed has and the receiver lacks, from the same view that the feed is read
from, so it cannot tell more than the feed. A webhook is called once at a time, so its callbacks come in order.

What if we die here?

* between taking and POST, or between POST and settling: the webhook is due again when its lease is over, and the
  receiver gets the same lines again, with their tokens: delivery is at least once.
* after settling: the place in the feed is stored, and those lines are not sent again. A node whose lease ran out while
  it waited for the answer records nothing: another node has sent the lines again.

A receiver that never answers is called with growing pauses, until the webhook is deactivated. If the role of its
account changes while the lines of one event are sent in several callbacks, the rest of them follows the new role.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from deepoj import observe
from deepoj.api.contest_ledgers import ContestLedgers
from deepoj.api.contest_sight import feed_viewer
from deepoj.contests.clics_log import encoded
from deepoj.ports.accounts import Accounts
from deepoj.ports.contests import Contests
from deepoj.ports.webhooks import ContestWebhooks, HookSender
from deepoj.webhooks.delivery import FINAL, HookSettings, pause_s
from deepoj.words.accounts import Credentials, User
from deepoj.words.errors import StoreUnavailable
from deepoj.words.webhooks import (
    CallbackRefusal,
    ContestHook,
    ContestTry,
    FeedPlace,
    HookAnswer,
    HookFailure,
    HookRequest,
)

_ID = re.compile(r"[0-9]{1,19}", re.ASCII)
_MAX_ID = 2**63 - 1


async def remove_webhook(webhooks: ContestWebhooks, user: User, webhook_id: str) -> bool:
    """Remove one of a user's webhooks; False: there is none with this id. Raises StoreUnavailable."""
    number = int(webhook_id) if _ID.fullmatch(webhook_id) else 0
    is_removed = 0 < number <= _MAX_ID and await webhooks.remove_contest_webhook(user.id, number)
    if is_removed:
        observe.log("contest_webhook_removed", user_id=user.id)
    return is_removed


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestCallbacks:
    """Makes and settles one try of a callback. It raises no exception of the store, because one try must not end the
    others beside it."""

    webhooks: ContestWebhooks
    accounts: Accounts
    contests: Contests
    ledgers: ContestLedgers
    sender: HookSender
    settings: HookSettings
    metrics: observe.Metrics

    async def attempt(self, hook: ContestHook) -> ContestTry | None:
        """Send what is new. None: the store is away, and the webhook is due again when its lease is over."""
        try:
            return await self._attempt(hook)
        except StoreUnavailable as away:
            self._log("unsettled", hook, None, error=str(away))
            return None

    async def settle(self, hook: ContestHook, outcome: ContestTry | None) -> None:
        """Record the outcome."""
        if outcome is None:
            return
        answer = outcome.answer
        failure = None if answer is None else answer.failure
        delay_s = 0.0 if answer is None or failure is None else pause_s(hook.tries + 1, answer, self.settings)
        try:
            is_deactivated = await self.webhooks.settle_contest_webhook(
                hook, outcome, delay_s=delay_s, is_final=failure in FINAL, give_up_s=self.settings.give_up_s
            )
        except StoreUnavailable as away:
            self._log("unsettled", hook, answer, error=str(away))
            return
        if answer is None:
            return
        if is_deactivated is None:
            self._log("superseded", hook, answer)
        elif failure is None:
            self._log("delivered", hook, answer)
        else:
            self._log("given_up" if is_deactivated else "retry", hook, answer)

    async def _attempt(self, hook: ContestHook) -> ContestTry:
        # both are checked again: account and rules may have changed since it was registered
        account = await self.accounts.credentials_by_id(hook.user_id)
        if account is None or account.is_disabled:
            return ContestTry(HookAnswer(HookFailure.ACCOUNT_DISABLED))
        if isinstance(self.settings.rules.read(hook.url), CallbackRefusal):
            return ContestTry(HookAnswer(HookFailure.FORBIDDEN))
        body, place = await self._news(hook, account)
        if body is None:
            return ContestTry(None, place)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "DeepOJ-Webhook",
            "Webhook-Token": hook.secret,
        }
        return ContestTry(await self.sender.post(HookRequest(hook.url, headers, body)), place)

    async def _news(self, hook: ContestHook, account: Credentials) -> tuple[bytes | None, FeedPlace]:
        """Return the next callback's body, None if there is nothing to tell, and up to where the feed is told by it."""
        contest = None if hook.contest_key is None else await self.contests.contest(hook.contest_key)
        if contest is None or contest.id != hook.contest_id:
            return None, hook.place  # it lacks nothing, or the contest was removed meanwhile
        viewer = await feed_viewer(self.contests, account.user, contest)
        # one that a running contest binds to a hall's addresses reads nothing elsewhere
        if viewer is None or account.networks:
            return None, FeedPlace(hook.last, None)
        ledger, view = await self.ledgers.view(contest, viewer)
        lines, after = view.log.read(view.log.resume(hook.place.number, hook.place.token))
        new_lines = lines.splitlines()
        token: str | None = json.loads(new_lines[-1])["token"] if new_lines else None
        is_all = token is None or after == view.log.end
        place = FeedPlace(ledger.last if is_all else view.log.event_of(after) - 1, token)
        heads = tuple(f'{{"type":"{endpoint}",'.encode() for endpoint in hook.endpoints)
        wanted = [line for line in new_lines if not heads or line.startswith(heads)]
        if not wanted:
            return None, place
        return b'{"contest_id":%b,"notifications":[%b]}' % (encoded(contest.key), b",\n".join(wanted)), place

    def _log(self, result: str, hook: ContestHook, answer: HookAnswer | None, *, error: str = "") -> None:
        fields: dict[str, Any] = {"error": error} if error else {}
        self.metrics.webhook_deliveries.labels(result=result).inc()
        observe.log(
            f"contest_webhook_{result}",
            level="info" if result == "delivered" else "warning",
            # not the URL: its path and query are the receiver's secrets
            target=hook.target,
            user_id=hook.user_id,
            attempts=hook.attempts,
            http_status=None if answer is None else answer.http_status,
            reason=(answer and answer.failure) or "",
            **fields,
        )
