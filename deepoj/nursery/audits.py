"""The child that carries out the audits that are ordered on this node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import trio

from deepoj.api.audits import AuditOrders
from deepoj.ports.ledger import Auditor


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAudits:
    """The child: one audit after the other."""

    orders: AuditOrders
    auditor: Auditor

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> NoReturn:
        task_status.started()
        while True:
            await self.orders.run_next(self.auditor)
