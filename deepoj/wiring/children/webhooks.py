"""The keeper that sends webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepoj.api.redact import HiddenSteps, result_for
from deepoj.nursery.webhooks import Deliver
from deepoj.ports.webhooks import HookSender
from deepoj.webhooks.delivery import HookSettings, attempt, settle
from deepoj.wiring import settings
from deepoj.wiring.adapters import webhook_secret
from deepoj.wiring.children.parts import Parts
from deepoj.words.webhooks import Hook, HookAnswer


def webhook_sender(parts: Parts, sender: HookSender) -> Deliver:
    cfg, section = parts.cfg, parts.cfg.api.webhooks
    options = settings.calling_back(cfg, webhook_secret(cfg, parts.adapters.home))
    delivery = _Delivery(parts, sender, options, settings.hidden_steps(cfg))
    return Deliver(
        webhooks=parts.adapters.store.webhooks,
        attempt=delivery.attempt,
        settle=delivery.settle,
        concurrency=section.concurrency,
        per_target=section.per_target,
        poll_s=section.poll_interval_ms / 1000,
        lease_s=options.lease_s,
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
