"""Servers of a deployment that several nodes share; a test can stop each of them."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.nodes import DEEPOJ, PROGRAMS, Node, furnish, running
from tests.postgres import OF_NODES, migrated_server
from tests.servers import PostgresServer
from tests.servers_redis import RedisServer
from tests.servers_redis import running as redis_running
from tests.servers_s3 import S3Server, s3_running

#: settings of the nodes, beside their servers
SETTINGS = {
    "JWT_SECRET": "a-secret-of-the-tests-only-0123456789",
    "ADMIN_USERS": "admin",
    "ADMIN_REGISTRATION": "open",
    "MIGRATE_ON_START": "true",
    "METRICS_TOKEN": "a-token-of-the-tests",
}


@dataclass(frozen=True)
class Servers:
    """PostgreSQL, Valkey and SeaweedFS."""

    postgres: PostgresServer
    redis: RedisServer
    objects: S3Server


@dataclass(frozen=True)
class Attempt:
    """One row of a job's ledger; ``at_s`` is the database's time."""

    event: str
    node: str
    at_s: float


@dataclass(frozen=True)
class Deployment:
    """One deployment: its database, Redis namespace and bucket, on servers that it may share."""

    servers: Servers
    database: str

    @property
    def env(self) -> dict[str, str]:
        """Return the settings of a node of this deployment."""
        return SETTINGS | {
            "DATABASE_URL": self.servers.postgres.dsn(self.database),
            "REDIS_URL": self.servers.redis.url,
            "REDIS_PASSWORD": self.servers.redis.password,
            "REDIS_KEY_PREFIX": self.database,
            "MINIO_ENDPOINT": self.servers.objects.endpoint,
            "MINIO_ACCESS_KEY": self.servers.objects.access_key,
            "MINIO_SECRET_KEY": self.servers.objects.secret_key,
            "MINIO_BUCKET": f"bucket-{self.database}",
        }

    def node(
        self,
        home: Path,
        *args: str,
        env: Mapping[str, str] | None = None,
        port: str = "api",
        around: Sequence[str] = (),
    ) -> contextlib.AbstractContextManager[Node]:
        """Run ``deepoj node`` until the end of the block. ``port`` and ``around``: see ``running``."""
        command = [str(DEEPOJ), "node", "--log", "json"]
        if not around:
            furnish(home, PROGRAMS)
        return running(home, *args, env=self.env | dict(env or {}), command=command, port=port, around=around)

    def ask(self, sql: str) -> str:
        return self.servers.postgres.psql(sql, self.database)

    def ledger(self, job_id: str) -> list[Attempt]:
        """Return the ledger rows of a job, in order."""
        lines = self.ask(
            "SELECT event, coalesce(node, ''), extract(epoch FROM created_at) FROM attempts"
            f" WHERE job_id = '{job_id}' ORDER BY id"
        ).splitlines()
        fields = [line.split("|") for line in lines]
        return [Attempt(event, node, float(at_s)) for event, node, at_s in fields]

    def events(self, job_id: str) -> list[str]:
        return [attempt.event for attempt in self.ledger(job_id)]

    def leases_run_out(self) -> None:
        """End the leases of all jobs in hand in the database: leases are long, so that a slow machine loses none."""
        self.ask("UPDATE submissions SET lease_until = now() WHERE state = 'processing'")
        key, group = f"{self.database}:jobs", f"{self.database}:workers"
        with self.servers.redis.client() as client:
            for one in client.xpending_range(key, group, "-", "+", 100):
                idle = {"idle": 3_600_000, "justid": True}
                client.xclaim(key, group, one["consumer"], 0, [one["message_id"]], **idle)

    def becomes(self, job_id: str, code: str) -> None:
        """Replace the job's program, from the next attempt on: long until its node is killed, short afterwards."""
        self.ask(f"UPDATE submissions SET code = $code${code}$code$ WHERE job_id = '{job_id}'")


@contextlib.contextmanager
def servers_running(directory: Path) -> Iterator[Servers]:
    """Run all three servers; the object store's data is in ``directory``."""
    with contextlib.ExitStack() as stack:
        short = Path(tempfile.mkdtemp(prefix="ojout", dir="/tmp"))
        stack.callback(shutil.rmtree, short, ignore_errors=True)
        yield Servers(
            stack.enter_context(migrated_server("embedded")),
            stack.enter_context(redis_running("valkey", short)),
            stack.enter_context(s3_running(directory)),
        )


def deployed(servers: Servers, *, is_migrated: bool = True) -> Deployment:
    """Create a new deployment on these servers. ``is_migrated``: otherwise its first node migrates the schema."""
    database = servers.postgres.create_database(OF_NODES if is_migrated else "template1")
    # the tests' servers do not sync to disk by default; these are killed and must keep answered writes
    servers.postgres.psql(f"ALTER DATABASE {database} SET synchronous_commit = on")
    return Deployment(servers, database)
