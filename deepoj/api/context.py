"""The ports, settings and parts that the API's routes use, passed to them as one value: there are no globals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from deepoj.api.live.events import Live
from deepoj.api.settings import ApiSettings
from deepoj.capacity.backpressure import Backpressure
from deepoj.observe import Metrics
from deepoj.packages.vetting import Vet
from deepoj.ports.accounts import Accounts, Github
from deepoj.ports.blobs import Blobs
from deepoj.ports.jobs import Jobs
from deepoj.ports.ledger import DeadLetters
from deepoj.ports.limits import Counters
from deepoj.ports.live import LiveResults
from deepoj.ports.playground import CustomRuns, RunBell
from deepoj.ports.problems import Problems
from deepoj.ports.rejudges import Rejudges
from deepoj.ports.stream import JobStream
from deepoj.ports.submissions import SubmissionLists
from deepoj.ports.webhooks import Webhooks
from deepoj.words.readiness import Readiness


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiContext:
    """What the routes may use of the node."""

    accounts: Accounts
    problems: Problems
    jobs: Jobs
    lists: SubmissionLists
    letters: DeadLetters
    rejudges: Rejudges
    results: LiveResults
    #: the event streams of this node
    live: Live
    runs: CustomRuns
    run_bell: RunBell
    webhooks: Webhooks
    blobs: Blobs
    #: requests counted for all nodes together; None: this node counts for itself
    counters: Counters | None = None
    #: where submissions are sent in their request; None: they go to the outbox
    stream: JobStream | None = None
    #: whether there is too much to do already
    backpressure: Backpressure = field(default_factory=lambda: Backpressure(lambda _: None, None))
    #: the node's readiness at this moment
    ready: Callable[[], Readiness]
    settings: ApiSettings
    metrics: Metrics
    #: None: nobody logs in with GitHub
    github: Github | None = None
    #: language key → version of its compiler or interpreter, of those that this node knows
    language_versions: Mapping[str, str] = field(default_factory=dict)
    #: looks at the programs of packages; None: nothing can be compiled here
    vet: Vet | None = None
    #: language key → versions, of all live nodes that judge; None: no such node is known
    live_languages: Callable[[], Mapping[str, tuple[str, ...]] | None] = lambda: None

    def is_judged_now(self, language: str) -> bool:
        """Whether a live node has it; also while no node is known that judges: one may be about to come."""
        live = self.live_languages()
        return live is None or language in live
