"""Telling a callback of a verdict: one try of one delivery, and what is written down of it.

What if we die here?

* between verdict and delivery row: they are one transaction (migration 016).
* between taking and POST, or between POST and settling: the row comes due again when its lease is over, and the
  receiver is told under the same ``X-DeepOJ-Delivery``: at least once. The second time it may hear of it twice.
* after settling: nothing is owed. A node whose lease ran out while it waited for an answer may settle late: a 2xx
  still counts, a failure is the later try's to tell.

The body names the delivery, so a receiver needs no table of ours to tell doubles; it is signed as integrators know it:
HMAC-SHA256 over ``<timestamp>.<body>`` with a secret that the submission's owner can read. Secrets are derived from the
operator's one and stored nowhere; rotating counts an epoch, and takes effect with the next try.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deepoj import observe
from deepoj.pipeline.callback_urls import CallbackRules
from deepoj.ports import HookSender, Webhooks
from deepoj.words import CallbackRefusal, Hook, HookAnswer, HookFailure, HookRequest, HookStatus, StoreUnavailable

#: after these nobody tries again
_FINAL = frozenset({HookFailure.GONE, HookFailure.FORBIDDEN, HookFailure.ACCOUNT_DISABLED})
#: for a node that is slow to write down what it heard
_LEASE_MARGIN_S = 30.0

#: a result as its owner may see it
type Redact = Callable[[Mapping[str, Any] | None], dict[str, Any] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class HookSettings:
    """Of trying: how long one may take, the pauses between tries, and when to give up."""

    secret: bytes
    rules: CallbackRules
    timeout_s: float
    retry_base_s: float
    retry_max_s: float
    give_up_s: float

    @property
    def lease_s(self) -> float:
        """How long a taken delivery is hidden from other nodes."""
        return self.timeout_s + _LEASE_MARGIN_S


def signing_secret(secret: bytes, user_id: int, epoch: int) -> str:
    """The secret that a user's deliveries are signed with."""
    return "whsec_" + hmac.digest(secret, f"deepoj webhook {user_id} {epoch}".encode(), "sha256").hex()


def signature(signing: str, timestamp_s: int, body: bytes) -> str:
    """The value of ``X-DeepOJ-Signature``."""
    return "sha256=" + hmac.new(signing.encode(), f"{timestamp_s}.".encode() + body, hashlib.sha256).hexdigest()


def request_of(hook: Hook, settings: HookSettings, redact: Redact) -> HookRequest:
    """What is POSTed: the same body at every try, signed anew."""
    told = {
        "delivery_id": hook.delivery_id,
        "event": f"submission.{hook.event}",
        "created_at": hook.created_at,
        "job_id": hook.job_id,
        "judging": hook.judging,
        "attempt_id": hook.attempt_id,
        "problem_id": hook.problem_id,
        "language": hook.language,
        "state": hook.event,
        "status": hook.verdict,
        "error_code": hook.error_code,
        "data": redact(hook.result),
    }
    body = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    signing = signing_secret(settings.secret, hook.user_id, hook.secret_epoch)
    return HookRequest(
        hook.url,
        {
            "Content-Type": "application/json",
            "User-Agent": "DeepOJ-Webhook",
            "X-DeepOJ-Delivery": hook.delivery_id,
            "X-DeepOJ-Event": f"submission.{hook.event}",
            "X-DeepOJ-Timestamp": str(hook.sent_at_s),
            "X-DeepOJ-Signature": signature(signing, hook.sent_at_s, body),
        },
        body,
    )


async def attempt(sender: HookSender, hook: Hook, settings: HookSettings, redact: Redact) -> HookAnswer:
    """One try."""
    # both looked at again: the operator may have changed his mind since it was submitted
    if hook.owner_is_disabled:
        return HookAnswer(HookFailure.ACCOUNT_DISABLED)
    if isinstance(settings.rules.read(hook.url), CallbackRefusal):
        return HookAnswer(HookFailure.FORBIDDEN)
    return await sender.post(request_of(hook, settings, redact))


async def settle(
    webhooks: Webhooks, hook: Hook, answer: HookAnswer, settings: HookSettings, metrics: observe.Metrics
) -> HookStatus | None:
    """Writes down what came of a try. None: somebody else has it, or it could not be written; it comes due again then.

    Raises nothing of the store's: one delivery must not end the others that are under way beside it.
    """
    status, delay_s = _next(hook, answer, settings)
    try:
        stands = await webhooks.settle_webhook(
            hook,
            status,
            http_status=answer.http_status,
            failure=answer.failure,
            delay_s=delay_s,
            give_up_s=settings.give_up_s,
        )
    except StoreUnavailable as away:
        metrics.webhook_deliveries.labels(result="unsettled").inc()
        _tell("webhook_unsettled", hook, answer, error=str(away))
        return None
    result = {HookStatus.PENDING: "retry", None: "superseded"}.get(stands, stands)
    metrics.webhook_deliveries.labels(result=result).inc()
    _tell(f"webhook_{result}", hook, answer)
    return stands


def _next(hook: Hook, answer: HookAnswer, settings: HookSettings) -> tuple[HookStatus, float]:
    """What becomes of the delivery, and in how many seconds it is tried again."""
    if answer.failure is None:
        return HookStatus.DELIVERED, 0.0
    if answer.failure in _FINAL:
        return HookStatus.GIVEN_UP, 0.0
    doubled = settings.retry_base_s * 2.0 ** min(hook.tries - 1, 30)
    jitter = random.uniform(0.75, 1.25)  # noqa: S311 - jitter, not a secret
    return HookStatus.PENDING, min(max(doubled, answer.retry_after_s or 0.0), settings.retry_max_s) * jitter


def _tell(event: str, hook: Hook, answer: HookAnswer, *, error: str = "") -> None:
    told: dict[str, Any] = {"error": error} if error else {}
    # the target, never the URL: its path and query are the receiver's secrets
    observe.log(
        event,
        level="info" if answer.failure is None and not error else "warning",
        delivery_id=hook.delivery_id,
        job_id=hook.job_id,
        judging=hook.judging,
        target=hook.target,
        attempts=hook.attempts,
        http_status=answer.http_status,
        reason=answer.failure or "",
        trace_id=hook.trace_id,
        **told,
    )


async def forget(webhooks: Webhooks, keep_s: float, *, batch: int = 500) -> int:
    """One round: what ended ``keep_s`` ago, at most ``batch`` of it. Raises StoreUnavailable."""
    gone = await webhooks.forget_webhooks(keep_s, batch)
    if gone:
        observe.log("webhooks_forgotten", count=gone)
    return gone
