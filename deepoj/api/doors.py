"""Everything the routes may reach, handed to them as one value: no globals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from deepoj import ports
from deepoj.api.live import Live
from deepoj.api.settings import ApiSettings
from deepoj.observe import Metrics
from deepoj.pipeline.backpressure import Backpressure
from deepoj.pipeline.vetting import Vet
from deepoj.words import Readiness


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """The API's view of the house."""

    accounts: ports.Accounts
    problems: ports.Problems
    jobs: ports.Jobs
    lists: ports.SubmissionLists
    letters: ports.DeadLetters
    rejudges: ports.Rejudges
    results: ports.LiveResults
    #: the event streams of this node
    live: Live
    runs: ports.CustomRuns
    run_bell: ports.RunBell
    webhooks: ports.Webhooks
    blobs: ports.Blobs
    #: requests counted for all nodes together; None: this node counts for itself
    counters: ports.Counters | None = None
    #: where submissions are sent in their request; None: they go to the outbox
    stream: ports.JobStream | None = None
    #: whether there is too much to do already
    backpressure: Backpressure = field(default_factory=lambda: Backpressure(lambda _: None, None))
    #: the node's readiness at this moment
    ready: Callable[[], Readiness]
    settings: ApiSettings
    metrics: Metrics
    #: None: nobody logs in with GitHub
    github: ports.Github | None = None
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
