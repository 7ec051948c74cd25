"""Send a verdict to a webhook: one try of one delivery, and recording its outcome.

What if we die here?

* between verdict and delivery row: they are one transaction (migration 016).
* between taking and POST, or between POST and settling: the row is due again when its lease is over. The receiver gets
  the same ``X-DeepOJ-Delivery`` again: delivery is at least once, so it may get it twice.
* after settling: the delivery is done. A node whose lease ran out while it waited for an answer may settle late: a 2xx
  still counts, but a failure does not, because the later try reports its own.

The body names the delivery, so a receiver can recognize doubles by itself. It is signed in a customary way: HMAC-SHA256
over ``<timestamp>.<body>`` with a secret that the submission's owner can read. Secrets are derived from the operator's
secret and stored nowhere. Rotating a secret counts an epoch, and takes effect with the next try.
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
from deepoj.ports.webhooks import HookSender, Webhooks
from deepoj.webhooks.callback_urls import CallbackRules
from deepoj.words.errors import StoreUnavailable
from deepoj.words.webhooks import CallbackRefusal, Hook, HookAnswer, HookFailure, HookRequest, HookStatus

#: after these failures the delivery is not tried again
FINAL = frozenset({HookFailure.GONE, HookFailure.FORBIDDEN, HookFailure.ACCOUNT_DISABLED})
#: for a node that is slow to record the answer
_LEASE_MARGIN_S = 30.0

#: returns a result as its owner may see it
type Redact = Callable[[Mapping[str, Any] | None], dict[str, Any] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class HookSettings:
    """The node's secret and rules, how long a try may take, the pauses between tries, and when to give up."""

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
    """Return the secret that a user's deliveries are signed with."""
    return "whsec_" + hmac.digest(secret, f"deepoj webhook {user_id} {epoch}".encode(), "sha256").hex()


def signature(signing: str, timestamp_s: int, body: bytes) -> str:
    """Return the value of ``X-DeepOJ-Signature``."""
    return "sha256=" + hmac.new(signing.encode(), f"{timestamp_s}.".encode() + body, hashlib.sha256).hexdigest()


def request_of(hook: Hook, settings: HookSettings, redact: Redact) -> HookRequest:
    """Return the request: the same body at every try, with a new signature."""
    content = {
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
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
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
    """Make one try."""
    # Both are checked again: owner and rules may have changed since the submission.
    if hook.owner_is_disabled:
        return HookAnswer(HookFailure.ACCOUNT_DISABLED)
    if isinstance(settings.rules.read(hook.url), CallbackRefusal):
        return HookAnswer(HookFailure.FORBIDDEN)
    return await sender.post(request_of(hook, settings, redact))


async def settle(
    webhooks: Webhooks, hook: Hook, answer: HookAnswer, settings: HookSettings, metrics: observe.Metrics
) -> HookStatus | None:
    """Record the outcome of a try. None: another node has it, or it could not be recorded; then it is due again.

    It raises no exception of the store, because one delivery must not end the others beside it.
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
        _log_try("webhook_unsettled", hook, answer, error=str(away))
        return None
    result = {HookStatus.PENDING: "retry", None: "superseded"}.get(stands, stands)
    metrics.webhook_deliveries.labels(result=result).inc()
    _log_try(f"webhook_{result}", hook, answer)
    return stands


def _next(hook: Hook, answer: HookAnswer, settings: HookSettings) -> tuple[HookStatus, float]:
    """Return the delivery's next status, and the seconds until the next try."""
    if answer.failure is None:
        return HookStatus.DELIVERED, 0.0
    if answer.failure in FINAL:
        return HookStatus.GIVEN_UP, 0.0
    return HookStatus.PENDING, pause_s(hook.tries, answer, settings)


def pause_s(failures: int, answer: HookAnswer, settings: HookSettings) -> float:
    """Return the seconds until the next try after so many failures (at least 1) in a row."""
    doubled = settings.retry_base_s * 2.0 ** min(failures - 1, 30)
    jitter = random.uniform(0.75, 1.25)  # noqa: S311 - jitter, not a secret
    return min(max(doubled, answer.retry_after_s or 0.0), settings.retry_max_s) * jitter


def _log_try(event: str, hook: Hook, answer: HookAnswer, *, error: str = "") -> None:
    fields: dict[str, Any] = {"error": error} if error else {}
    # the target, not the URL: its path and query are the receiver's secrets
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
        **fields,
    )


async def forget(webhooks: Webhooks, keep_s: float, *, batch: int = 500) -> int:
    """Do one round: delete at most ``batch`` deliveries that ended ``keep_s`` ago. Raises StoreUnavailable."""
    count = await webhooks.forget_webhooks(keep_s, batch)
    if count:
        observe.log("webhooks_forgotten", count=count)
    return count
