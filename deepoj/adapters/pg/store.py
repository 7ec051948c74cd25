"""``PgStore``: an object for each port of the database, in PostgreSQL."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Self

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg.access_tokens import PgAccessTokens
from deepoj.adapters.pg.account_data import PgAccountData
from deepoj.adapters.pg.accounts import PgAccounts
from deepoj.adapters.pg.admin_events import PgAdminEvents
from deepoj.adapters.pg.audit import PgAudit
from deepoj.adapters.pg.batches import PgBatches
from deepoj.adapters.pg.contest_rejudges import PgContestRejudges
from deepoj.adapters.pg.contest_setup import PgContestSetup
from deepoj.adapters.pg.contest_webhooks import PgContestWebhooks
from deepoj.adapters.pg.contests import PgContests
from deepoj.adapters.pg.dead_letters import PgDeadLetters
from deepoj.adapters.pg.groups import PgGroups
from deepoj.adapters.pg.leases import PgJobLeases
from deepoj.adapters.pg.live import PgLive
from deepoj.adapters.pg.marks import PgMarks
from deepoj.adapters.pg.outbox import PgOutbox
from deepoj.adapters.pg.playground import PgRunLeases, PgRuns
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.previews import PgPreviews
from deepoj.adapters.pg.problems import PgProblems
from deepoj.adapters.pg.rejudges import PgRejudges
from deepoj.adapters.pg.repair import PgStrays
from deepoj.adapters.pg.reruns import PgReruns
from deepoj.adapters.pg.retention import PgRetention
from deepoj.adapters.pg.roster import PgRoster
from deepoj.adapters.pg.schema import PgSchema
from deepoj.adapters.pg.sessions import PgSessions
from deepoj.adapters.pg.statements import PgStatements
from deepoj.adapters.pg.submission_lists import PgSubmissionLists
from deepoj.adapters.pg.submissions import PgSubmissions
from deepoj.adapters.pg.system import PgSystem
from deepoj.adapters.pg.verifications import PgVerifications
from deepoj.adapters.pg.waiting import PgWaitingWork
from deepoj.adapters.pg.webhooks import PgWebhooks


class PgStore:
    """An object for each port of the database (``ports``), all over one pool.

    Their methods raise StoreUnavailable (StoreRefused if the server is up and refuses us) and nothing foreign. After a
    restart of the server, they are used again without an error: see ``pool``.
    """

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool
        self.accounts = PgAccounts(pool)
        self.account_data = PgAccountData(pool)
        self.sessions = PgSessions(pool)
        self.access_tokens = PgAccessTokens(pool)
        self.groups = PgGroups(pool)
        self.problems = PgProblems(pool)
        self.marks = PgMarks(pool)
        self.statements = PgStatements(pool)
        self.submissions = PgSubmissions(pool)
        self.lists = PgSubmissionLists(pool)
        self.batches = PgBatches(pool)
        self.outbox = PgOutbox(pool)
        self.leases = PgJobLeases(pool)
        self.strays = PgStrays(pool)
        self.retention = PgRetention(pool)
        self.runs = PgRuns(pool)
        self.run_leases = PgRunLeases(pool)
        self.letters = PgDeadLetters(pool)
        self.rejudges = PgRejudges(pool)
        self.audit = PgAudit(pool)
        self.roster = PgRoster(pool)
        self.live = PgLive(pool)
        self.webhooks = PgWebhooks(pool)
        self.admin_events = PgAdminEvents(pool)
        self.system = PgSystem(pool)
        self.waiting = PgWaitingWork(pool)
        self.verifications = self.example_leases = PgVerifications(pool)
        self.contests = PgContests(pool)
        self.contest_rejudges = PgContestRejudges(pool)
        self.contest_setup = PgContestSetup(pool)
        self.contest_webhooks = PgContestWebhooks(pool)
        self.previews = self.preview_leases = PgPreviews(pool)
        self.reruns = self.rerun_leases = PgReruns(pool)
        self.schema = PgSchema(pool)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        bridge: AioBridge,
        dsn: str,
        *,
        min_conns: int = 2,
        max_conns: int = 10,
        command_timeout_s: float = 10.0,
        connect_timeout_s: float = 5.0,
        acquire_timeout_s: float = 10.0,
        idle_check_s: float = 1.0,
        max_lifetime_s: float = math.inf,
        max_idle_s: float = 0.0,
    ) -> AsyncGenerator[Self]:
        """Open the store without connecting: ``ping`` tells whether the server is there.

        The DSN begins with ``postgres://`` or ``postgresql://`` and may hold ``sslmode`` and
        ``?host=/socket/directory``; raises StoreRefused for a malformed one. A connection that was silent for
        ``idle_check_s`` is checked before it is used. For ``max_lifetime_s`` and ``max_idle_s`` see ``pool``.
        """
        async with PgPool.open(
            bridge,
            dsn,
            min_conns=min_conns,
            max_conns=max_conns,
            command_timeout_s=command_timeout_s,
            connect_timeout_s=connect_timeout_s,
            acquire_timeout_s=acquire_timeout_s,
            idle_check_s=idle_check_s,
            max_lifetime_s=max_lifetime_s,
            max_idle_s=max_idle_s,
        ) as pool:
            yield cls(pool)

    @property
    def place(self) -> str:
        """Where the database is, without user and password."""
        return self._pool.place

    async def ping(self) -> None:
        """Ask the server. Raises StoreUnavailable, or StoreRefused (wrong password, missing database, …)."""
        await self._pool.ping()

    def has_just_answered(self) -> bool:
        """Return whether the server answered within the last second when it was asked what waits."""
        return self._pool.has_just_answered()

    async def warm(self) -> None:
        """Open ``min_conns`` connections before the first requests. Raises StoreUnavailable."""
        await self._pool.warm()
