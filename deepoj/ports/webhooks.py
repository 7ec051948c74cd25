"""Webhook deliveries, and the client that sends them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from deepoj.words.webhooks import (
    DueHooks,
    Hook,
    HookAnswer,
    HookFailure,
    HookRequest,
    HookStanding,
    HookStatus,
    Redelivered,
)


class Webhooks(Protocol):
    """Deliveries to webhooks. Raises StoreUnavailable.

    A delivery is written in the transaction that ends a judging (done or dead) of a submission with a callback. It is
    taken before it is tried, and settled after; a node that dies between the two only delays it. Delivery is at least
    once: a receiver recognizes doubles by ``delivery_id``.
    """

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

    async def take_webhooks(self, ids: Sequence[int], lease_s: float) -> list[Hook]:
        """Take those that are still due. A taken one is hidden from other nodes for ``lease_s``."""
        ...

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


class HookSender(Protocol):
    """Sends requests to callback URLs over HTTP."""

    async def post(self, request: HookRequest) -> HookAnswer:
        """Send one POST, in bounded time, to an address that was checked. It raises no exception: any behaviour of a
        receiver is an answer."""
        ...
