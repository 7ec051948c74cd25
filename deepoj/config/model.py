"""``Config``: all sections, and the settings of the node as a whole."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from deepoj.config.api import ApiSection
from deepoj.config.fields import Section, key, section, whole
from deepoj.config.labels import ObservabilitySection
from deepoj.config.object_store import Minio
from deepoj.config.postgres import PostgresSection
from deepoj.config.redis import RedisSection
from deepoj.config.roles import Role
from deepoj.config.sandbox import CompileSection, PathSection, RunnerSection, SecuritySection
from deepoj.config.scheduler import SchedulerSection
from deepoj.config.worker import WorkerSection
from deepoj.words.sandbox import Isolation


class Config(Section):
    """The validated settings of one node. Only :func:`deepoj.config.loader.load` builds it."""

    roles: frozenset[Role] = key(
        frozenset(Role),
        "DEEPOJ_ROLES",
        doc="Roles of this node; the nodes of a deployment may have different roles.",
    )
    without_roles: frozenset[Role] = key(
        frozenset(),
        flag_only=True,
        doc="Roles removed from DEEPOJ_ROLES, as by --no-reclaim.",
    )
    home: Path = key(
        Path(".deepoj"),
        "DEEPOJ_HOME",
        doc="Directory of this node's data: its workspace, and the data of embedded servers.",
    )
    #: this node starts its own PostgreSQL, Valkey and object store; the addresses below are then unused
    embedded: bool = key(
        False,
        "DEEPOJ_EMBEDDED",
        doc="Start PostgreSQL, Valkey and an object store with the node; for a single host, not for a cluster.",
    )
    migrate_on_start: bool = key(
        False,
        "MIGRATE_ON_START",
        doc="Migrate the schema at the start; otherwise run `deepoj migrate` before starting a new version.",
    )
    job_max_attempts: int = whole(
        5,
        "JOB_MAX_ATTEMPTS",
        ge=2,
        le=1000,
        doc="Maximum attempts of a job before it becomes a dead letter.",
    )
    sandbox_min_isolation: Isolation = key(
        Isolation.NAMESPACES,
        "SANDBOX_MIN_ISOLATION",
        doc="Minimum isolation for judging: full requires delegated cgroup v2; weak is for trusted code only. Unless "
        "set, `deepoj up --sample` accepts weak.",
    )
    path: PathSection = section(PathSection)
    compile: CompileSection = section(CompileSection)
    runner: RunnerSection = section(RunnerSection)
    security: SecuritySection = section(SecuritySection)
    observability: ObservabilitySection = section(ObservabilitySection)
    api: ApiSection = section(ApiSection)
    scheduler: SchedulerSection = section(SchedulerSection)
    worker: WorkerSection = section(WorkerSection)
    redis: RedisSection = section(RedisSection)
    postgres: PostgresSection = section(PostgresSection)
    #: for each key where its value came from: ``flag``, ``environment NAME``, ``FILE:key`` or ``default…``
    sources: Mapping[str, str] = Field(default_factory=dict, repr=False)
    #: warnings to log at the start
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # The derived repr would show passwords in a traceback or a log line.
        return f"Config(roles={','.join(sorted(self.roles))}, home={str(self.home)!r}, embedded={self.embedded})"

    __str__ = __repr__

    @property
    def namespace(self) -> str:
        """Prefix of all names in Redis: ``<prefix>[:<env>]``."""
        return f"{self.redis.key_prefix}:{self.redis.key_env}" if self.redis.key_env else self.redis.key_prefix

    @property
    def database_url(self) -> str:
        """Address of this node's PostgreSQL, password included."""
        return self.api.database_url

    @property
    def redis_url(self) -> str:
        """``redis://``, ``rediss://`` or ``unix://`` URL of this node's Redis, password included."""
        return self.api.redis_url

    @property
    def stream_key(self) -> str:
        return self.worker.stream.stream_key

    @property
    def stream_group(self) -> str:
        return self.worker.stream.group

    @property
    def consumer(self) -> str:
        """Name of this node in the consumer group, and the owner of its leases."""
        return self.worker.stream.consumer

    @property
    def workspace(self) -> Path:
        """Absolute path of this node's working directories and test data."""
        return Path(self.worker.workspace)

    @property
    def minio(self) -> Minio:
        """This node's object store."""
        section = self.api.minio
        endpoint = section.endpoint.partition("://")[2] or section.endpoint
        return Minio(endpoint.rstrip("/"), section.access_key, section.secret_key, section.bucket, section.secure)

    @property
    def instance_id(self) -> str:
        """Default label ``instance`` of this node's metrics."""
        return self.observability.instance_id or self.worker.id or socket.gethostname()
