"""``PgOutboxNotifications`` against real servers."""

from __future__ import annotations

import json

import pytest
import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgOutboxNotifications
from deepoj.words.errors import StoreUnavailable
from tests.contract.labs import (
    SOON_S,
    PgLab,
    claim,
    deliver,
    new_job,
)
from tests.servers import PostgresServer
from tests.sessions import NAME as OURS


async def test_notification_comes_for_each_way_to_the_outbox(
    real: PgLab, postgres: PostgresServer, database: str, bridge: AioBridge
) -> None:
    notifications = PgOutboxNotifications(bridge, postgres.dsn(database))
    async with trio.open_nursery() as nursery:
        await nursery.start(notifications.serve)
        assert await notifications.wait(SOON_S)  # for commits before it listened
        assert not await notifications.wait(0)
        job_id = await new_job(real)
        assert await notifications.wait(SOON_S)
        await deliver(real)
        assert await real.store.leases.give_back(await claim(real, job_id), reason="drain", counts=False) is None
        assert await notifications.wait(SOON_S)
        await deliver(real)
        real.advance(100)
        assert await real.store.strays.repair(set(), 60.0, 10, "s") == [job_id]
        assert await notifications.wait(SOON_S)
        assert not await notifications.wait(0)
        nursery.cancel_scope.cancel()


async def test_lost_connection_raises_and_the_next_one_notifies(
    postgres: PostgresServer, database: str, bridge: AioBridge
) -> None:
    notifications = PgOutboxNotifications(bridge, postgres.dsn(database))
    with pytest.RaisesGroup(StoreUnavailable):
        async with trio.open_nursery() as nursery:
            await nursery.start(notifications.serve)
            assert await notifications.wait(SOON_S)
            postgres.psql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'deepoj-bell' "
                f"AND datname = '{database}'"
            )
            with trio.fail_after(SOON_S):
                await trio.sleep_forever()
    assert not await notifications.wait(0)
    async with trio.open_nursery() as nursery:
        await nursery.start(notifications.serve)
        assert await notifications.wait(SOON_S)
        nursery.cancel_scope.cancel()


async def test_cancelled_listener_leaves_no_connection(
    postgres: PostgresServer, database: str, bridge: AioBridge
) -> None:
    for _ in range(5):
        async with trio.open_nursery() as nursery:
            await nursery.start(PgOutboxNotifications(bridge, postgres.dsn(database)).serve)
            nursery.cancel_scope.cancel()
    with trio.fail_after(SOON_S):
        while (
            json.loads(
                postgres.psql(
                    f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND state IS NOT NULL "
                    f"AND application_name <> '{OURS}'"
                )
            )
            > 0
        ):
            await trio.sleep(0.02)
