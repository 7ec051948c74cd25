"""Make the objects that the children of a node share."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import trio

from deepoj import observe
from deepoj.api.audits import AuditOrders
from deepoj.api.contest_ledgers import ContestLedgers
from deepoj.api.live.events import Live
from deepoj.api.rehearsals import RehearsalOrders
from deepoj.api.settings import ApiSettings
from deepoj.capacity.backpressure import Backpressure
from deepoj.capacity.pressure import LatestPressure
from deepoj.capacity.roster import LatestLanguages
from deepoj.config.model import Config
from deepoj.config.roles import Role
from deepoj.nursery import loops
from deepoj.nursery.hand_over import LocalHandOver
from deepoj.nursery.scopes import StopDeadline
from deepoj.nursery.supervise import Child, ChildStatus, Run
from deepoj.nursery.waiting import WorkSignal, WorkWatch
from deepoj.packages.statements.publisher import StatementPublisher
from deepoj.packages.vetting import Vetting
from deepoj.wiring import settings
from deepoj.wiring.adapters import JUDGES, Adapters, webhook_secret
from deepoj.wiring.children.jobs import JobParts, job_parts
from deepoj.wiring.targets import metrics_token
from deepoj.wiring.vetting import ROOMS, publisher_of, vetting_of
from deepoj.words.errors import StoreUnavailable, StreamUnavailable

#: breakages after which a child that uses the servers is restarted
AWAY = (StoreUnavailable, StreamUnavailable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The objects that the children share."""

    cfg: Config
    adapters: Adapters
    metrics: observe.Metrics
    child_status: ChildStatus = field(default_factory=ChildStatus)
    stop_deadline: StopDeadline = field(default_factory=StopDeadline)
    #: None on a node that does not judge
    jobs: JobParts | None
    #: the API's settings
    api: ApiSettings
    #: the event streams of this node
    live: Live
    #: the contests that this node reads, for requests and for callbacks
    ledgers: ContestLedgers
    #: called at the beginning of each step of the start, with a text for users
    on_step: Callable[[str], None]
    #: the URLs the API listens on, once it does
    listens: list[str] = field(default_factory=list)
    #: tells loops that they may have something to do
    watch: WorkWatch
    #: the last snapshot of the pressure loop; without that loop, none
    pressure: LatestPressure = field(default_factory=LatestPressure)
    #: the audits that are ordered on this node
    audits: AuditOrders = field(default_factory=AuditOrders)
    #: the dress rehearsals that are ordered on this node
    rehearsals: RehearsalOrders = field(default_factory=RehearsalOrders)
    #: set when a stop was asked for; a node that breaks ends without it
    stopping: trio.Event = field(default_factory=trio.Event)
    #: decides by it whether the API accepts submissions
    backpressure: Backpressure
    #: events that requests of this node hand to its dispatcher, if it has one
    hand_over: LocalHandOver
    #: language key → version, of this node; filled while preparing
    languages: dict[str, str]
    #: checks the programs of packages; None on a node that neither accepts packages nor judges
    vet: Vetting | None = None
    #: renders their statements; None on the same nodes
    statements: StatementPublisher | None = None
    #: languages of live nodes, as last read by this node
    live_languages: LatestLanguages = field(default_factory=LatestLanguages)


def furnish(cfg: Config, adapters: Adapters, metrics: observe.Metrics, *, on_step: Callable[[str], None]) -> Parts:
    """Make the objects that the children share."""
    home = adapters.home
    # The embedded default makes its secret once; other deployments had to configure one before the start. A node that
    # serves only metrics signs nothing.
    jwt_secret = cfg.api.auth.jwt_secret or (home.secret("jwt_secret") if home else "")
    languages: dict[str, str] = {}
    api = settings.serving(cfg, jwt_secret, webhook_secret(cfg, home), metrics_token(cfg, home))
    live = Live(api, metrics)
    watch = WorkWatch(partial(adapters.store.waiting.waiting_work, settings.run_keeping(cfg).keep_s))
    latest = LatestPressure()
    jobs = job_parts(cfg, adapters, metrics, languages, live, watch=watch, pressure=latest)
    vet = statements = None
    if jobs is not None or Role.API in cfg.roles:
        compiler = jobs.compiler if jobs is not None else None
        rooms = cfg.workspace / ROOMS
        vet = vetting_of(cfg, languages, metrics, compiler=compiler, workdir=rooms)
        statements = publisher_of(cfg, adapters.store.statements, metrics, compiler=compiler, workdir=rooms)
    return Parts(
        cfg=cfg,
        adapters=adapters,
        metrics=metrics,
        watch=watch,
        pressure=latest,
        backpressure=Backpressure(latest.get, settings.pressing(cfg)),
        jobs=jobs,
        hand_over=LocalHandOver(notifications=adapters.notifications, hidden_s=settings.dispatching(cfg).retry_base_s),
        api=api,
        live=live,
        ledgers=ContestLedgers(adapters.store.contests),
        on_step=on_step,
        vet=vet,
        statements=statements,
        languages=languages,
    )


def needs_objects(cfg: Config) -> bool:
    """Whether the roles use the object store: the control plane never touches test data."""
    return bool(cfg.roles & (JUDGES | {Role.API}))


def loop(
    name: str,
    period_s: float,
    once: Callable[[], Awaitable[object]],
    *,
    due: WorkSignal | None = None,
    idle_s: float = math.inf,
) -> Child:
    """Return a child that calls ``once`` periodically and is restarted while a server is away. ``due``: set when there
    may be something to do; otherwise ``once`` is called ``idle_s`` seconds after the pause."""
    return Child(name=name, run=loops.Periodic(period_s, once, due, idle_s), restart_on=AWAY)


@dataclass(frozen=True, slots=True)
class StreamReader:
    """Adds consumer and group to every log line of a child that reads the stream, and of the jobs it starts."""

    cfg: Config
    inner: Run

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> None:
        with observe.bound(group=self.cfg.stream_group, consumer=self.cfg.consumer):
            await self.inner(task_status=task_status)
