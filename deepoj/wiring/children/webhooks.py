"""The keepers that send webhooks: of submissions, and of contests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deepoj.api.contest_webhooks import ContestCallbacks
from deepoj.api.redact import HiddenSteps, result_for
from deepoj.nursery.webhooks import Deliver, TakenHook
from deepoj.ports.webhooks import DueDeliveries, HookSender
from deepoj.webhooks.delivery import HookSettings, attempt, settle
from deepoj.wiring import settings
from deepoj.wiring.adapters import webhook_secret
from deepoj.wiring.children.parts import Parts
from deepoj.words.waiting import WorkKind
from deepoj.words.webhooks import ContestHook, ContestTry, Hook, HookAnswer


def webhook_sender(parts: Parts, sender: HookSender) -> Deliver[Hook, HookAnswer]:
    options = settings.calling_back(parts.cfg, webhook_secret(parts.cfg, parts.adapters.home))
    delivery = _Delivery(parts, sender, options, settings.hidden_steps(parts.cfg))
    webhooks = parts.adapters.store.webhooks
    return _deliver(parts, options, webhooks, delivery.attempt, delivery.settle, kind=WorkKind.WEBHOOKS)


def contest_webhook_sender(parts: Parts, sender: HookSender) -> Deliver[ContestHook, ContestTry | None]:
    options = settings.calling_back(parts.cfg, webhook_secret(parts.cfg, parts.adapters.home))
    store = parts.adapters.store
    callbacks = ContestCallbacks(
        webhooks=store.contest_webhooks,
        accounts=store.accounts,
        contests=store.contests,
        ledgers=parts.ledgers,
        sender=sender,
        settings=options,
        metrics=parts.metrics,
    )
    webhooks, kind = store.contest_webhooks, WorkKind.CONTEST_WEBHOOKS
    return _deliver(parts, options, webhooks, callbacks.attempt, callbacks.settle, kind=kind)


def _deliver[H: TakenHook, A](
    parts: Parts,
    options: HookSettings,
    webhooks: DueDeliveries[H],
    attempt_one: Callable[[H], Awaitable[A]],
    settle_one: Callable[[H, A], Awaitable[object]],
    *,
    kind: WorkKind,
) -> Deliver[H, A]:
    section = parts.cfg.api.webhooks
    poll_s = section.poll_interval_ms / 1000
    return Deliver(
        webhooks=webhooks,
        attempt=attempt_one,
        settle=settle_one,
        concurrency=section.concurrency,
        per_target=section.per_target,
        poll_s=poll_s,
        lease_s=options.lease_s,
        due=parts.watch.signal(kind, poll_s=poll_s),
    )


@dataclass(frozen=True, slots=True)
class _Delivery:
    """One try of a webhook delivery, and the record of its outcome."""

    parts: Parts
    sender: HookSender
    options: HookSettings
    steps: HiddenSteps

    async def attempt(self, hook: Hook) -> HookAnswer:
        return await attempt(self.sender, hook, self.options, self._redact)

    async def settle(self, hook: Hook, answer: HookAnswer) -> None:
        await settle(self.parts.adapters.store.webhooks, hook, answer, self.options, self.parts.metrics)

    def _redact(self, result: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Redact it as for the author, also for an administrator's submission: the receiver is a third party."""
        return result_for(result, is_whole=False, steps=self.steps)
