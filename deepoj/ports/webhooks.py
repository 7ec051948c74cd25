"""Webhook deliveries, and the client that sends them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from deepoj.words.webhooks import (
    ContestHook,
    ContestTry,
    ContestWebhook,
    ContestWebhookDraft,
    DueHooks,
    Hook,
    HookAnswer,
    HookFailure,
    HookRequest,
    HookStanding,
    HookStatus,
    Redelivered,
)


class DueDeliveries[H](Protocol):
    """Deliveries of accounts to targets, of which a node takes those that are due. Raises StoreUnavailable. Implemented
    by ``adapters.pg.webhooks`` and ``contest_webhooks``."""

    async def webhook_owners(self, after: int, limit: int) -> dict[int, bool]:
        """Return the next ``limit`` accounts after ``after`` with waiting deliveries, in the order of their ids, and
        whether any of theirs is due. The cost is one index step per account, however many deliveries wait."""
        ...

    async def due_webhooks(
        self, owners: Mapping[int, str], *, targets: int, each: int, without: Collection[str]
    ) -> list[DueHooks]:
        """Return the due deliveries of each account by target, beginning after its target in ``owners``. At most
        ``targets`` targets of an account are looked up, one index step each, and at most ``each`` deliveries of a
        target are returned. Targets in ``without`` are left out."""
        ...

    async def take_webhooks(self, ids: Sequence[int], lease_s: float) -> list[H]:
        """Take those that are still due. A taken one is hidden from other nodes for ``lease_s``."""
        ...


class Webhooks(DueDeliveries[Hook], Protocol):
    """Deliveries to webhooks. Raises StoreUnavailable. Implemented by ``adapters.pg.webhooks``.

    A delivery is written in the transaction that ends a judging (done or dead) of a submission with a callback. It is
    taken before it is tried, and settled after; a node that dies between the two only delays it. Delivery is at least
    once: a receiver recognizes doubles by ``delivery_id``.
    """

    async def settle_webhook(
        self,
        hook: Hook,
        status: HookStatus,
        *,
        http_status: int | None,
        failure: HookFailure | None,
        delay_s: float = 0.0,
        give_up_s: float = 0.0,
    ) -> HookStatus | None:
        """Record the outcome of a try. PENDING: it is due again in ``delay_s``, or given up if that is more than
        ``give_up_s`` after its round began. Return its status; None: another node has settled it, or is trying it. A
        late DELIVERED still counts while it is waiting."""
        ...

    async def webhooks_of_job(self, job_id: str, limit: int) -> list[HookStanding]:
        """Return the latest ``limit`` deliveries of a job, in their order."""
        ...

    async def given_up_webhooks(self, limit: int, before_id: int | None = None) -> list[HookStanding]:
        """Return a page of given-up deliveries, newest first, of those whose ``id`` is below ``before_id``."""
        ...

    async def redeliver_webhook(self, delivery_id: str) -> Redelivered | None:
        """Begin another round of a delivery that has ended; None: there is no such delivery."""
        ...

    async def forget_webhooks(self, keep_s: float, limit: int) -> int:
        """Delete at most ``limit`` deliveries that ended ``keep_s`` ago."""
        ...

    async def webhook_secret_epoch(self, user_id: int) -> int:
        """Return how often the user's signing secret has been rotated."""
        ...

    async def rotate_webhook_secret(self, user_id: int, seen_epoch: int) -> int:
        """Rotate the secret and return the new epoch; of two rotations that saw the same epoch one counts."""
        ...


class ContestWebhooks(DueDeliveries[ContestHook], Protocol):
    """Webhooks of the Contest API. Raises StoreUnavailable. Implemented by ``adapters.pg.contest_webhooks``.

    A webhook is due when a contest has told something since it lacked nothing. It is called for one contest at a time.
    How much of the contest's feed it has is stored when it has answered: a node that dies before sends the same lines
    again.
    """

    async def add_contest_webhook(self, draft: ContestWebhookDraft, most: int) -> ContestWebhook | None:
        """Register a webhook, which gets the events from now on. None: its account has ``most`` of them."""
        ...

    async def contest_webhooks(self, user_id: int) -> list[ContestWebhook]:
        """Return the webhooks of an account, oldest first."""
        ...

    async def remove_contest_webhook(self, user_id: int, webhook_id: int) -> bool:
        """Remove a webhook. False: the account has none with this id."""
        ...

    async def settle_contest_webhook(
        self, hook: ContestHook, outcome: ContestTry, *, delay_s: float, is_final: bool, give_up_s: float
    ) -> bool | None:
        """Record the outcome of a turn. After a failure the webhook is due again in ``delay_s``, or deactivated: if the
        failure is final, or if that is more than ``give_up_s`` after the first failure. Return whether it was
        deactivated; None: nothing was recorded, because it was removed or another node has it."""
        ...

    async def forget_contest_webhooks(self, keep_s: float, limit: int) -> int:
        """Delete at most ``limit`` webhooks that were deactivated ``keep_s`` ago."""
        ...


class HookSender(Protocol):
    """Sends requests to callback URLs over HTTP. Implemented by ``adapters.hook_sender``."""

    async def post(self, request: HookRequest) -> HookAnswer:
        """Send one POST, in bounded time, to an address that was checked. It raises no exception: any behaviour of a
        receiver is an answer."""
        ...
