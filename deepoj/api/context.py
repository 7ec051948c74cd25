"""The dependencies of the routes, passed to them as one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import trio

from deepoj.api.audits import AuditOrders
from deepoj.api.contest_ledgers import ContestLedgers
from deepoj.api.live.events import Live
from deepoj.api.rehearsals import RehearsalOrders
from deepoj.api.settings import ApiSettings
from deepoj.capacity.backpressure import Backpressure
from deepoj.capacity.pressure import LatestPressure
from deepoj.observe import Metrics
from deepoj.packages.statements.publisher import PublishStatements, RenderEdits
from deepoj.packages.vetting import Vet
from deepoj.ports.access_tokens import AccessTokens
from deepoj.ports.account_data import AccountData
from deepoj.ports.accounts import Accounts, Github
from deepoj.ports.admin_events import AdminEvents
from deepoj.ports.batches import Batches
from deepoj.ports.blobs import Blobs
from deepoj.ports.contest_rejudges import ContestRejudges
from deepoj.ports.contest_setup import ContestSetup
from deepoj.ports.contests import Contests
from deepoj.ports.early import EarlyCompiler
from deepoj.ports.groups import Groups
from deepoj.ports.ledger import DeadLetters
from deepoj.ports.limits import Counters
from deepoj.ports.live import LiveResults
from deepoj.ports.marks import Marks
from deepoj.ports.outbox import HandOver
from deepoj.ports.playground import CustomRuns, RunNotifier
from deepoj.ports.previews import Previews
from deepoj.ports.problems import Problems
from deepoj.ports.rejudges import Rejudges
from deepoj.ports.reruns import Reruns
from deepoj.ports.roster import Roster
from deepoj.ports.sessions import Sessions
from deepoj.ports.statements import StatementStore
from deepoj.ports.stream import JobStream
from deepoj.ports.submissions import SubmissionLists, Submissions
from deepoj.ports.system import SystemView
from deepoj.ports.tasks import WithTasks
from deepoj.ports.verifications import Verifications
from deepoj.ports.webhooks import ContestWebhooks, Webhooks
from deepoj.words.readiness import Readiness


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiContext:
    """Stores, streams, settings and other dependencies of the routes."""

    accounts: Accounts
    account_data: AccountData
    sessions: Sessions
    access_tokens: AccessTokens
    groups: Groups
    problems: Problems
    marks: Marks
    statements: StatementStore
    submissions: Submissions
    lists: SubmissionLists
    batches: Batches
    letters: DeadLetters
    rejudges: Rejudges
    roster: Roster
    admin_events: AdminEvents
    system: SystemView
    verifications: Verifications
    previews: Previews
    reruns: Reruns
    contests: Contests
    contest_rejudges: ContestRejudges
    contest_setup: ContestSetup
    contest_webhooks: ContestWebhooks
    ledgers: ContestLedgers
    results: LiveResults
    #: the event streams of this node
    live: Live
    runs: CustomRuns
    run_notifier: RunNotifier
    webhooks: Webhooks
    blobs: Blobs
    #: rate limit counters shared by all nodes; None: this node counts on its own
    counters: Counters | None = None
    #: stream to which a submit request delivers its job; None: the dispatcher delivers it from the outbox
    stream: JobStream | None = None
    #: the dispatcher of this process; None: it has none
    hand_over: HandOver | None = None
    #: compiles new submissions in idle slots of this process; None: it does not judge
    early_compiler: EarlyCompiler | None = None
    #: refuses new work while too much is waiting
    backpressure: Backpressure = field(default_factory=lambda: Backpressure(lambda _: None, None))
    #: what this node has measured of the queue
    pressure: LatestPressure = field(default_factory=LatestPressure)
    #: the audits that are ordered on this node
    audits: AuditOrders = field(default_factory=AuditOrders)
    #: the dress rehearsals that are ordered on this node
    rehearsals: RehearsalOrders = field(default_factory=RehearsalOrders)
    #: returns the node's current readiness
    ready: Callable[[], Readiness]
    settings: ApiSettings
    metrics: Metrics
    #: opens a scope for tasks beside a request's work
    with_tasks: WithTasks
    #: held while a package is read whole: they are large, so this node reads one at a time
    package_turn: trio.Lock = field(default_factory=trio.Lock)
    #: held while a list of teams is read: one of 3 MiB takes a core for most of a second
    list_turn: trio.Lock = field(default_factory=trio.Lock)
    #: None: GitHub login is disabled
    github: Github | None = None
    #: language key → version of its compiler or interpreter, for languages installed on this node
    language_versions: Mapping[str, str] = field(default_factory=dict)
    #: compiles and checks the programs of packages; None: this node cannot compile
    vet: Vet | None = None
    #: renders and stores their statements; None: a judge node does that
    publish_statements: PublishStatements | None = None
    #: renders edited statements for a preview; None: this node cannot
    render_edits: RenderEdits | None = None
    #: language key → versions on all live judge nodes; None: no live judge node is known
    live_languages: Callable[[], Mapping[str, tuple[str, ...]] | None] = lambda: None

    def is_judged_now(self, language: str) -> bool:
        """Return whether a live judge node has the language. True while no judge node is known: one may be starting."""
        live = self.live_languages()
        return live is None or language in live
