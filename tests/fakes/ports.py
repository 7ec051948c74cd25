"""``Store``: the ports of the database, an object for each, as ``PgStore`` and ``MemoryStore.ports`` have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from deepoj.ports.access_tokens import AccessTokens
from deepoj.ports.account_data import AccountData
from deepoj.ports.accounts import Accounts
from deepoj.ports.admin_events import AdminEvents
from deepoj.ports.batches import Batches
from deepoj.ports.contest_rejudges import ContestRejudges
from deepoj.ports.contest_setup import ContestSetup
from deepoj.ports.contests import Contests
from deepoj.ports.groups import Groups
from deepoj.ports.jobs import Retention, Strays
from deepoj.ports.leases import JobLeases
from deepoj.ports.ledger import Auditor, DeadLetters
from deepoj.ports.live import LiveResults
from deepoj.ports.marks import Marks
from deepoj.ports.outbox import Outbox
from deepoj.ports.playground import CustomRuns, RunLeases
from deepoj.ports.previews import PreviewLeases, Previews
from deepoj.ports.problems import Problems
from deepoj.ports.rejudges import Rejudges
from deepoj.ports.reruns import RerunLeases, Reruns
from deepoj.ports.roster import Roster
from deepoj.ports.sessions import Sessions
from deepoj.ports.statements import StatementStore
from deepoj.ports.submissions import SubmissionLists, Submissions
from deepoj.ports.system import SystemView
from deepoj.ports.verifications import ExampleLeases, Verifications
from deepoj.ports.webhooks import ContestWebhooks, Webhooks
from tests.fakes.access_tokens import MemoryAccessTokens
from tests.fakes.contests import NoContestRejudges, NoContests, NoContestSetup, NoContestWebhooks
from tests.fakes.runs import MemoryRunLeases
from tests.fakes.system import MemorySystem

if TYPE_CHECKING:
    from tests.fakes.store import MemoryStore


class Store(Protocol):
    """A database: every port of it."""

    @property
    def accounts(self) -> Accounts: ...
    @property
    def account_data(self) -> AccountData: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def access_tokens(self) -> AccessTokens: ...
    @property
    def groups(self) -> Groups: ...
    @property
    def problems(self) -> Problems: ...
    @property
    def marks(self) -> Marks: ...
    @property
    def statements(self) -> StatementStore: ...
    @property
    def submissions(self) -> Submissions: ...
    @property
    def lists(self) -> SubmissionLists: ...
    @property
    def batches(self) -> Batches: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def leases(self) -> JobLeases: ...
    @property
    def strays(self) -> Strays: ...
    @property
    def retention(self) -> Retention: ...
    @property
    def runs(self) -> CustomRuns: ...
    @property
    def run_leases(self) -> RunLeases: ...
    @property
    def letters(self) -> DeadLetters: ...
    @property
    def rejudges(self) -> Rejudges: ...
    @property
    def audit(self) -> Auditor: ...
    @property
    def roster(self) -> Roster: ...
    @property
    def live(self) -> LiveResults: ...
    @property
    def webhooks(self) -> Webhooks: ...
    @property
    def admin_events(self) -> AdminEvents: ...
    @property
    def system(self) -> SystemView: ...
    @property
    def verifications(self) -> Verifications: ...
    @property
    def example_leases(self) -> ExampleLeases: ...
    @property
    def contests(self) -> Contests: ...
    @property
    def contest_rejudges(self) -> ContestRejudges: ...
    @property
    def contest_setup(self) -> ContestSetup: ...
    @property
    def contest_webhooks(self) -> ContestWebhooks: ...
    @property
    def previews(self) -> Previews: ...
    @property
    def preview_leases(self) -> PreviewLeases: ...
    @property
    def reruns(self) -> Reruns: ...
    @property
    def rerun_leases(self) -> RerunLeases: ...


class MemoryPorts:
    """The ports of a ``MemoryStore``, which is behind each of them."""

    def __init__(self, memory: MemoryStore) -> None:
        self.accounts: Accounts = memory
        self.account_data: AccountData = memory
        self.sessions: Sessions = memory
        self.access_tokens: AccessTokens = MemoryAccessTokens(memory)
        self.groups: Groups = memory
        self.problems: Problems = memory
        self.marks: Marks = memory
        self.statements: StatementStore = memory.statements
        self.submissions: Submissions = memory
        self.lists: SubmissionLists = memory
        self.batches: Batches = memory.batches
        self.outbox: Outbox = memory
        self.leases: JobLeases = memory
        self.strays: Strays = memory
        self.retention: Retention = memory
        self.runs: CustomRuns = memory
        self.run_leases: RunLeases = MemoryRunLeases(memory)
        self.letters: DeadLetters = memory
        self.rejudges: Rejudges = memory
        self.audit: Auditor = memory
        self.roster: Roster = memory
        self.live: LiveResults = memory
        self.webhooks: Webhooks = memory
        self.admin_events: AdminEvents = memory
        self.system: SystemView = MemorySystem(memory)
        self.verifications: Verifications = memory.verifications
        self.example_leases: ExampleLeases = memory.verifications
        self.contests: Contests = NoContests()
        self.contest_rejudges: ContestRejudges = NoContestRejudges()
        self.contest_setup: ContestSetup = NoContestSetup()
        self.contest_webhooks: ContestWebhooks = NoContestWebhooks()
        self.previews: Previews = memory.previews
        self.preview_leases: PreviewLeases = memory.previews
        self.reruns: Reruns = memory.reruns
        self.rerun_leases: RerunLeases = memory.reruns
