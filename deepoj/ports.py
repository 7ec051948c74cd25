"""What the steps need from the outside, as Protocols; the contracts live in the docstrings.

One contract suite (``tests/contract``) runs against every implementation, fakes included. Every method may raise the
breakage named at its class and nothing foreign: adapters translate.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from deepoj.judging.problem import Plan
from deepoj.words import (
    Account,
    AccountRefusal,
    AuditedEvent,
    AuditedJob,
    BadEntry,
    Claim,
    ClaimRefusal,
    CompileResult,
    Credentials,
    CustomClaim,
    CustomDraft,
    CustomReceipt,
    CustomRefusal,
    CustomRun,
    CustomStatus,
    CustomSwept,
    DeadLetter,
    Decided,
    Decision,
    Draft,
    DueHooks,
    Entry,
    Expired,
    FinalizeRefusal,
    GithubPerson,
    GithubRefusal,
    Held,
    Hook,
    HookAnswer,
    HookFailure,
    HookRequest,
    HookStanding,
    HookStatus,
    Isolation,
    Joined,
    Judging,
    LedgerEvent,
    LetterRefusal,
    ListPlace,
    LiveJob,
    OutboxEvent,
    OutboxPending,
    OutboxWaiting,
    Overdrawn,
    PressureSnapshot,
    Priority,
    Problem,
    ProblemChange,
    ProblemRefusal,
    Quota,
    Receipt,
    Redelivered,
    Rejudged,
    RejudgeOrder,
    RejudgeRefusal,
    Report,
    RightsRefusal,
    RunOutcome,
    RunSpec,
    Stray,
    Submission,
    SubmissionList,
    SubmissionQuery,
    SubmitRefusal,
    TestResult,
    ToldTests,
    User,
)


class Accounts(Protocol):
    """Users. Raises StoreUnavailable."""

    async def create_user(
        self, username: str, password_hash: str, email: str | None, *, is_admin: bool = False
    ) -> User | AccountRefusal:
        """Names are unique without regard to case."""
        ...

    async def credentials(self, username: str) -> Credentials | None: ...

    async def credentials_by_id(self, user_id: int) -> Credentials | None:
        """What authorization of a token needs: the account and its current token epoch."""
        ...

    async def set_password(self, user_id: int, password_hash: str, *, temporary: bool = False) -> int:
        """Returns the new token epoch: tokens of older epochs are revoked. ``temporary``: the account says so until
        its owner changes it."""
        ...

    async def change_password(self, user_id: int, password_hash: str, *, epoch: int) -> int | None:
        """The owner's change: the new token epoch; None if the epoch is no longer ``epoch`` (somebody else was faster),
        or the account is disabled."""
        ...

    async def promote(self, username: str) -> User | None:
        """Makes the account an administrator; None if there is no such account."""
        ...

    async def account(self, user_id: int) -> Account | None: ...

    async def accounts(self, limit: int, *, after: str = "", prefix: str = "") -> list[Account]:
        """The next ``limit`` after the name ``after``, by lower-cased name in the order of code points, of those whose
        names begin with ``prefix`` without regard to case."""
        ...

    async def change_rights(
        self, user_id: int, *, is_admin: bool | None = None, is_disabled: bool | None = None, by: int | None
    ) -> Account | RightsRefusal:
        """One transaction, one at a time; None: as it is. Disabling revokes all tokens.

        ``by``: the administrator who asks, who must be one still and can do it to others only, so that whoever changes
        something stays. None: somebody with the database's password, who cannot take the last administrator away."""
        ...

    # -- GitHub
    async def github_credentials(self, github_id: str, avatar_url: str | None) -> Credentials | None:
        """The account that belongs to this GitHub account; its picture is ``avatar_url`` from then on."""
        ...

    async def create_github_user(
        self, username: str, github_id: str, avatar_url: str | None
    ) -> Credentials | AccountRefusal:
        """An account without a password and without rights. If one with this ``github_id`` is there, that one is the
        answer. USERNAME_TAKEN is also the answer when another login of the same person is just being served: asked
        again, with whatever name, the account is found."""
        ...

    async def database_time_s(self) -> float:
        """The one clock: seconds since 1970."""
        ...

    async def spend_oauth_state(self, nonce: bytes, expires_at_s: float) -> bool:
        """Once for each nonce, and not after ``expires_at_s`` by the one clock: True. Otherwise False."""
        ...


class Github(Protocol):
    """GitHub, or a GitHub Enterprise server, as an OAuth 2 provider. Raises GithubUnavailable."""

    def authorize_url(self, state: str, challenge: str) -> str:
        """Where to send a browser; ``challenge`` is PKCE's, S256."""
        ...

    async def person(self, code: str, verifier: str) -> GithubPerson | GithubRefusal:
        """Who it was that came back with ``code``; ``verifier`` is what the challenge was made of."""
        ...


class Problems(Protocol):
    """Problems. Raises StoreUnavailable."""

    async def reserve_problem_id(self) -> int:
        """An id nobody else gets; a reserved id that is never inserted is a harmless gap."""
        ...

    async def insert_problem(self, problem: Problem) -> None: ...

    async def problem(self, problem_id: int) -> Problem | None: ...

    async def problems(self, after_id: int, limit: int) -> list[Problem]:
        """The next ``limit`` above ``after_id``, by id."""
        ...

    async def update_problem(self, problem_id: int, change: ProblemChange) -> Problem | None:
        """The problem as it is from then on; None if there is none. Its version grows by one when something changes
        that decides verdicts (data, limits, compare), so the same change twice is one."""
        ...

    async def unchecked_problems(self, after_id: int, limit: int) -> list[Problem]:
        """The next ``limit`` above ``after_id``, by id, whose programs nobody has compiled yet."""
        ...

    async def tell_programs(self, problem_id: int, data_hash: str, broken: str | None) -> None:
        """The programs of this package have been compiled, or (``broken``) do not compile. Nothing happens if the
        problem has another package by now, or if it was told before."""
        ...

    async def note_object(self, key: str) -> None:
        """Said before a package is stored under ``key``. A problem that names it takes the note away; one that no
        longer does makes it anew."""
        ...

    async def loose_objects(self, keep_s: float, limit: int) -> list[str]:
        """Keys that were noted ``keep_s`` ago and that no problem names, the oldest first."""
        ...

    async def forget_objects(self, keys: Sequence[str]) -> None:
        """The notes of objects that are deleted."""
        ...

    async def delete_problem(self, problem_id: int) -> ProblemRefusal | None:
        """None: it is gone. One with submissions is refused."""
        ...

    async def delete_submissions_of(self, problem_id: int, limit: int) -> int:
        """One transaction: ``limit`` submissions of a problem, whatever their state, with their outbox events and
        ledger. Whoever judges one of them is refused the verdict."""
        ...


class Jobs(Protocol):
    """Submissions, outbox and ledger: the truth. Raises StoreUnavailable.

    The lease contract. One clock: the database's. A lease is valid while ``lease_until > now()``; at equality it is
    over. ``attempt_id`` grows by one with every won claim and never falls. Only the holder of the current attempt with
    a valid lease may extend, finalize or give back; everybody else is refused and the row stays as it was. Each claim
    and each outcome appends one ledger row in the same transaction as the change itself.
    """

    # -- submit
    async def submit(
        self,
        draft: Draft,
        *,
        inflight_cap: int,
        dedup_window_s: float,
        payload: Mapping[str, object],
        stream_key: str,
        direct: bool = False,
        user_inflight_cap: int | None = None,
    ) -> Receipt | SubmitRefusal:
        """One transaction: the submissions row, its outbox row, NOTIFY. ``payload`` is the task JSON without job_id,
        time_limit, memory_limit, submit_time, which are filled in from the rows. At most ``inflight_cap`` may be under
        way, as far as this node knows (``count_inflight``), and at most ``user_inflight_cap`` of this user, exactly,
        however many submit at once; neither counts rejudges. With both, a user who has no unfinished submission
        is taken until twice ``inflight_cap`` are under way. ``direct``: no outbox row is left; the event is in the
        receipt, for the caller to send and then to ``mark_sent``."""
        ...

    async def count_inflight(self, cap: int) -> None:
        """For the cap of the submits after it: how many are under way, rejudges aside, counted to twice ``cap``. To be
        called a few times a second by a node that takes submissions; costs nothing while nobody submits."""
        ...

    async def mark_sent(self, event: OutboxEvent, entry_id: str) -> None:
        """A direct submit's event is in the stream: it is in the outbox as a delivered one from now on."""
        ...

    async def submission(self, job_id: str) -> Submission | None:
        """None also for anything that is not a job id."""
        ...

    async def account_and_submission(self, user_id: int, job_id: str) -> tuple[Credentials | None, Submission | None]:
        """``Accounts.credentials_by_id`` and ``submission`` in one go: for each request about a submission."""
        ...

    # -- outbox
    async def take_outbox(
        self, limit: int, retry_base_s: float, retry_max_s: float, *, lanes: Mapping[Priority, int] | None = None
    ) -> list[OutboxEvent]:
        """Takes due pending events, at most ``limit``: a higher lane first, within a lane the users in turn, and the
        events of one user in their order. ``lanes``: at most so many of each lane, and none of a lane that is not
        named; None: any. A taken event is hidden from other dispatchers for the backoff
        ``min(base * 2**(attempts-1), max)``: a dispatcher that dies with it only delays it."""
        ...

    async def mark_delivered(self, delivered: Sequence[tuple[int, str]]) -> None:
        """(event id, stream entry id) pairs."""
        ...

    async def mark_undelivered(self, event_ids: Sequence[int], error: str) -> None:
        """Records ``last_error``; the backoff set by the taking stands."""
        ...

    async def outbox_waiting(self, limit: int) -> OutboxWaiting:
        """What is due of each lane, counted to ``limit``: it costs the same however many events wait."""
        ...

    async def outbox_pending(self) -> OutboxPending:
        """For gauges, not on the path of a request: counted to at most ten thousand in each lane."""
        ...

    async def oldest_unfinished_age_ms(self) -> int | None:
        """Since the oldest unfinished submission was sent, or, of a rejudge, last touched; None without one."""
        ...

    # -- claim and lease
    async def claim(
        self,
        entries: Sequence[Entry],
        owner: str,
        lease_s: float,
        max_attempts: int,
        *,
        yields: bool = False,
        languages: Collection[str] | None = None,
    ) -> dict[str, Claim | ClaimRefusal]:
        """One statement for the batch, keyed by entry id: pending rows, and processing rows whose lease is over, go
        to processing with attempt+1. A row that has used up ``max_attempts`` in this judging goes to dead instead.
        Two entries of one job in a batch: one wins, the other is LEASED. ``yields``: a row that this owner has given
        back for others (``give_back``'s ``avoid_s``) is AVOIDED as long as that holds, and stays as it is.
        ``languages``: a row in any other language is UNFIT, and stays as it is; None: all are judged here."""
        ...

    async def extend(self, held: Sequence[Held], owner: str, lease_s: float) -> set[str]:
        """One statement a node: job ids whose lease was valid and is longer now; the others are lost."""
        ...

    async def finalize(self, claim: Claim, report: Report, result: Mapping[str, object]) -> FinalizeRefusal | None:
        """One statement that updates and explains. None: the verdict stands."""
        ...

    async def give_back(
        self, claim: Claim, *, reason: str, counts: bool, delay_s: float = 0.0, avoid_s: float = 0.0
    ) -> FinalizeRefusal | None:
        """Releases the lease and writes an outbox event (due after ``delay_s``) in one transaction, so that another
        node starts at once. ``counts``: whether the attempt counts against the bound. After None the old stream entry
        may be acked: the outbox event brings the job back. For ``avoid_s`` after it is due, a claim of the same owner
        that yields is refused; the next won claim ends that."""
        ...

    async def send_again(
        self, job_ids: Sequence[str], *, avoid_s: float = 0.0, unfit: bool = False
    ) -> dict[str, ClaimRefusal | None]:
        """One outbox event for each job that nobody holds; rows stay as they are. None: it stands, the job's old entry
        may be acked. Otherwise why there is none. The event is due at once; that of a job that was given back with
        ``avoid_s`` and is still avoided, the later the longer it has been (up to 5 s). ``unfit``: whoever sends them
        cannot judge them; their events are due the later the longer they have waited (up to 2 s, or 38 s while no
        live node has announced their language)."""
        ...

    # -- ways back
    async def strays(self, after_id: int, min_age_s: float, limit: int) -> list[Stray]:
        """A page, by id, of unfinished rows above ``after_id`` that are older than ``min_age_s`` and not validly
        leased, each with the latest entries that were made for it (at most eight)."""
        ...

    async def repair(
        self,
        live_job_ids: set[str],
        min_age_s: float,
        limit: int,
        stream_key: str,
        *,
        after_id: int = 0,
        upto_id: int = 2**63 - 1,
    ) -> list[str]:
        """Unfinished rows older than ``min_age_s`` without a live entry (not in ``live_job_ids``), without an
        undelivered outbox event, and not validly leased get one outbox event; returns their job ids in the order of
        the rows. Only rows with ``after_id < id <= upto_id``. One node at a time by advisory lock (a node that does
        not get it returns nothing)."""
        ...

    async def oldest_unfinished_entry_ids(self) -> list[str]: ...

    async def expired(self, after_id: int, keep_s: float, limit: int) -> Expired:
        """Of the next ``limit`` rows above ``after_id`` those that were finished ``keep_s`` ago. The pages end with the
        rows that were sent later than that."""
        ...

    async def delete_expired(self, row_ids: Sequence[int], keep_s: float) -> int:
        """One transaction: those of them that are still finished and old, with their outbox events and ledger."""
        ...


class CustomRuns(Protocol):
    """Custom runs: they wait here until somebody has room, and their results for some minutes. Raises StoreUnavailable.

    The lease contract is that of ``Jobs``, without a ledger: attempts are numbered, a lease is valid by the database's
    clock, and only the holder of the current attempt with a valid lease may extend, finish or give back. A claim counts
    against ``max_attempts``, unless it is given back as one that does not.
    """

    async def take_run(self, draft: CustomDraft, *, per_user: int) -> CustomReceipt | CustomRefusal:
        """Refused while the author has ``per_user`` unfinished ones, however many are sent at one moment."""
        ...

    async def drop_run(self, run_id: str) -> None:
        """As if it had never been taken; whoever has claimed it meanwhile is refused everything."""
        ...

    async def custom_run(self, run_id: str, keep_s: float) -> CustomRun | None:
        """None also for anything that is no run's id, and for one that ended ``keep_s`` ago."""
        ...

    async def claim_run(
        self, owner: str, lease_s: float, max_attempts: int, languages: Collection[str]
    ) -> CustomClaim | None:
        """The one that has been due longest in one of these languages; None: there is none. Never one that has used up
        its attempts."""
        ...

    async def extend_runs(self, held: Sequence[Held], owner: str, lease_s: float) -> set[str]:
        """As ``Jobs.extend``."""
        ...

    async def finish_run(
        self,
        claim: CustomClaim,
        status: CustomStatus,
        result: Mapping[str, object],
        stdout: bytes,
        stderr: bytes,
        *,
        user_max_bytes: int,
    ) -> FinalizeRefusal | None:
        """None: it stands. Code and input are forgotten with it, and of its author's older results those that would
        make more than ``user_max_bytes`` with it."""
        ...

    async def give_back_run(
        self, claim: CustomClaim, *, counts: bool, delay_s: float, max_attempts: int
    ) -> FinalizeRefusal | None:
        """Due again after ``delay_s``; or, if the attempt counts and was the last, finished as a System Error."""
        ...

    async def sweep_runs(self, max_attempts: int, max_wait_s: float, keep_s: float, limit: int) -> CustomSwept:
        """Finishes, as a System Error, what is due and has used up its attempts or is older than ``max_wait_s``;
        deletes what ended ``keep_s`` ago. At most ``limit`` of each."""
        ...


class SubmissionLists(Protocol):
    """Looking through submissions. Raises StoreUnavailable."""

    async def submissions(self, query: SubmissionQuery, limit: int, before: ListPlace | None = None) -> SubmissionList:
        """The next ``limit`` that were sent before the one at ``before``, newest first. Costs the same however many
        there are: of those that the index finds (by user, else by problem, else all) a bounded number is looked at."""
        ...


class DeadLetters(Protocol):
    """What a person decides about. Raises StoreUnavailable."""

    async def dead_letters(self, limit: int, before_id: int | None = None) -> list[DeadLetter]:
        """A page, newest submission first, of those whose ``id`` is below ``before_id``."""
        ...

    async def dead_letter(self, job_id: str) -> DeadLetter | None: ...

    async def ledger_of(self, job_id: str, limit: int) -> list[LedgerEvent]:
        """The latest ``limit`` events of a job, in the ledger's order."""
        ...

    async def decide(
        self, decision: Decision, job_id: str, attempt_id: int, *, by: str, note: str, stream_key: str
    ) -> Decided | LetterRefusal:
        """One transaction, fenced by the attempt the letter died with; the ledger says who decided and why. The same
        decision about the same attempt twice is one: the second answer is ``repeated``.

        REQUEUE: pending again with its whole bound of attempts before it, and an outbox event to ``stream_key``.
        DISCARD: done, System Error, for good."""
        ...

    async def count_dead_letters(self, upto: int) -> int: ...


class Rejudges(Protocol):
    """Judging anew what has a verdict. Raises StoreUnavailable.

    A judging is opened in one transaction: the verdict that stood goes to the judgings, the row waits in the background
    lane with its whole bound of attempts before it, and the ledger says who asked.
    """

    async def rejudge(
        self, job_id: str, judging: int | None, *, by: str, in_full: bool, stream_key: str
    ) -> Rejudged | RejudgeRefusal:
        """Opens the judging after ``judging`` (None: after the one that the job is at). One that was asked for twice
        is opened once: the second answer is ``repeated``."""
        ...

    async def judgings(self, job_id: str, limit: int) -> list[Judging]:
        """The latest ``limit`` verdicts that later judgings stand before, in their order."""
        ...

    async def former_result(self, job_id: str, judging: int) -> Mapping[str, Any] | None:
        """The newest result before ``judging`` whose tests may be taken over: never a System Error, and none from
        before a judging that was to run in full."""
        ...

    async def order_rejudge(self, problem_id: int, *, by: str, in_full: bool) -> RejudgeOrder | None:
        """Orders a rejudge of all that has been submitted to a problem by now; None if there is no such problem. An
        order that is under way for the same version of the problem is the answer (``repeated``); one for an older
        version ends."""
        ...

    async def rejudge_order(self, problem_id: int) -> RejudgeOrder | None:
        """The newest order of a problem."""
        ...

    async def go_on_rejudging(self, limit: int, stream_key: str) -> RejudgeOrder | None:
        """One transaction: the next ``limit`` submissions of an order that nobody is at, as it is after that; None if
        there was nothing to do. Those without a verdict pass, for they will be judged by what the problem is now; those
        that somebody is judging are looked at again until they are not."""
        ...


class Auditor(Protocol):
    """Reading the rows and the ledger, a page at a time. Raises StoreUnavailable."""

    async def audit_page(self, after_id: int, limit: int) -> list[AuditedJob]:
        """The next ``limit`` submissions above ``after_id``; none: that was all."""
        ...

    async def audit_start(self, since: str) -> tuple[int, int]:
        """For the audit of what happened since an ISO 8601 time: the ids after which to read submissions, and the
        ledger."""
        ...

    async def audit_older(
        self, ledger_start: int, ledger_after: int, upto_id: int, limit: int
    ) -> tuple[list[AuditedJob], int | None]:
        """Submissions not above ``upto_id`` that the next ``limit`` events above ``ledger_after`` speak of, each only
        at its first event above ``ledger_start``; and how far that came, None at the ledger's end."""
        ...

    async def audit_rowless(
        self, ledger_start: int, ledger_after: int, limit: int
    ) -> tuple[list[tuple[str, AuditedEvent]], int | None]:
        """Of the next ``limit`` events above ``ledger_after``, those that are of no submission and no refusal, with
        the job id; each job only at the first such event above ``ledger_start``. And how far that came, as above."""
        ...


class Roster(Protocol):
    """Which languages the nodes have that judge now. Raises StoreUnavailable."""

    async def announce(self, node: str, languages: Mapping[str, str], lease_s: float) -> None:
        """Language key → version. Holds for ``lease_s``, in place of the node's earlier one."""
        ...

    async def live_languages(self) -> Mapping[str, tuple[str, ...]] | None:
        """Language key → versions, of all nodes whose announcement holds; None: there is no such node."""
        ...


class LiveResults(Protocol):
    """What is shown of judging while it is under way, beside the truth. Raises StoreUnavailable.

    Nothing here is needed for a verdict: what is lost of it shows when the job is done. Whoever watches is woken by a
    ring with the job's id (``LiveEars``), and looks.
    """

    async def tell_live(self, tests: Sequence[ToldTests], changed: Collection[str], over: Collection[str]) -> None:
        """One statement a node: keeps ``tests`` for lookers and rings for them, for the jobs ``changed`` and those
        whose judging is ``over``; what was kept of the latter is forgotten. Tests of an attempt that is no longer the
        one under way are passed over, and so are those told twice."""
        ...

    async def live(self, job_id: str, attempt_id: int, after: int) -> LiveJob | None:
        """Where a job stands, and what has been told of its present attempt's tests, in their order: those after the
        test ``after`` if that attempt is ``attempt_id``, else from the first. None: there is no such job."""
        ...

    async def sweep_live(self, keep_s: float, limit: int) -> int:
        """Forgets what was told ``keep_s`` ago: leftovers of nodes that died; returns how many rows."""
        ...


class LiveEars(Protocol):
    """Hears for everybody who watches something on this node. Called in Trio's thread; neither waits nor raises."""

    def ring(self, topic: str) -> None:
        """What is watched under this name (a job's id) may have changed."""
        ...

    def listens(self, *, well: bool) -> None:
        """Whether rings are heard from now on. What was missed until then is looked at by everybody."""
        ...


class Progress(Protocol):
    """Where judging says what it has come to. Neither method waits or fails: what cannot be told is dropped."""

    def test_ended(self, claim: Claim, index: int, count: int, test: TestResult) -> None:
        """Test ``index`` of ``count``, counted from 1, in order."""
        ...

    def changed(self, job_id: str, *, over: bool = False) -> None:
        """The job's state has changed in the database. ``over``: nobody judges it any more."""
        ...


class Webhooks(Protocol):
    """What callbacks have to be told. Raises StoreUnavailable.

    A delivery is written in the transaction that ends a judging (done or dead) of a submission with a callback. It is
    taken before it is tried, and settled after; who dies between only delays it. At least once: a receiver tells
    doubles by ``delivery_id``.
    """

    async def webhook_owners(self, after: int, limit: int) -> dict[int, bool]:
        """The next ``limit`` accounts after ``after`` with deliveries waiting, in the order of their ids, and whether
        any of theirs is due: a step each, however many wait."""
        ...

    async def due_webhooks(
        self, owners: Mapping[int, str], *, targets: int, each: int, without: Collection[str]
    ) -> list[DueHooks]:
        """The due deliveries of each account, by target, from behind its target in ``owners``: at most ``targets``
        targets of an account are looked at, a step each, and at most ``each`` deliveries of one returned. Targets in
        ``without`` are left out."""
        ...

    async def take_webhooks(self, ids: Sequence[int], lease_s: float) -> list[Hook]:
        """Takes those that are still due. A taken one is hidden from others for ``lease_s``."""
        ...

    async def settle_webhook(
        self,
        hook: Hook,
        status: HookStatus,
        *,
        http_status: int | None,
        failure: HookFailure | None,
        delay_s: float = 0.0,
        give_up_s: float = 0.0,
    ) -> HookStatus | None:
        """What came of a try. PENDING: it is due again in ``delay_s``, or given up if that is more than ``give_up_s``
        after it was sent round. Returns where it stands; None: somebody else has settled it, or is trying it. A late
        DELIVERED still counts as long as it waits."""
        ...

    async def webhooks_of_job(self, job_id: str, limit: int) -> list[HookStanding]:
        """The latest ``limit`` of a job, in their order."""
        ...

    async def given_up_webhooks(self, limit: int, before_id: int | None = None) -> list[HookStanding]:
        """A page, newest first, of those whose ``id`` is below ``before_id``."""
        ...

    async def redeliver_webhook(self, delivery_id: str) -> Redelivered | None:
        """Sends one round again that has ended; None: there is no such delivery."""
        ...

    async def forget_webhooks(self, keep_s: float, limit: int) -> int:
        """Deletes at most ``limit`` that ended ``keep_s`` ago."""
        ...

    async def webhook_secret_epoch(self, user_id: int) -> int:
        """How often the user's signing secret has been rotated."""
        ...

    async def rotate_webhook_secret(self, user_id: int, seen_epoch: int) -> int:
        """The epoch from then on; of two rotations that saw the same epoch one counts."""
        ...


class HookSender(Protocol):
    """Speaks HTTP with callbacks."""

    async def post(self, request: HookRequest) -> HookAnswer:
        """One POST, in bounded time, to an address that was checked. Raises nothing: whatever a receiver does is an
        answer."""
        ...


class OutboxBell(Protocol):
    """Wakes the dispatcher after a commit; a lost ring is harmless (a slow poll stands behind it)."""

    async def wait(self, timeout_s: float) -> bool:
        """True when rung, False after the timeout. A ring while nobody waits is remembered."""
        ...


class RunBell(Protocol):
    """Says in the stream that a custom run waits in the store. Raises StreamUnavailable."""

    async def ring_run(self, run_id: str, at_ms: int) -> str:
        """The id of an entry without a payload. Rung twice does no harm."""
        ...


class JobStream(RunBell, Protocol):
    """The Redis stream and its group. Raises StreamUnavailable. The group is created at 0 when it is missing."""

    async def publish(self, events: Sequence[OutboxEvent]) -> list[str]:
        """Pipelined: payload envelope with TTL, then XADD; entry ids in the order of ``events``. A raise leaves it
        unknown which of them arrived: publish them again, the claim refuses doubles."""
        ...

    async def read(self, count: int, block_ms: int) -> list[Entry | BadEntry]:
        """New entries for this consumer."""
        ...

    async def own_pending(self, count: int) -> list[Entry | BadEntry]:
        """Entries delivered to this consumer and never acked: read once at start (a cancelled blocking read can leave
        an entry pending unseen)."""
        ...

    async def ack(self, entry_ids: Sequence[str]) -> int: ...

    async def reclaim(self, min_idle_ms: int, cursor: str, count: int) -> tuple[str, list[Entry | BadEntry]]:
        """XAUTOCLAIM from ``cursor`` (``0-0`` to begin); returns the next cursor and what was taken over."""
        ...

    async def put_down(self, entry_ids: Sequence[str], idle_ms: int) -> None:
        """Entries that were read or taken over for nothing count as idle for so long already; what is not pending any
        more is passed over."""
        ...

    async def live_entries(self, entry_ids: Sequence[str]) -> set[str]:
        """Those that are there and undelivered, or there and pending in the group: somebody will meet them. A look at
        each costs the same however long the stream is."""
        ...

    async def trim(self, max_len: int) -> int:
        """By MINID, never past the oldest unfinished entry, and only when longer than ``max_len``."""
        ...

    async def undelivered(self, limit: int) -> int:
        """How many entries the group has not read yet, counted to at most ``limit``; never unknown, as a lag can be."""
        ...

    async def pressure(self) -> PressureSnapshot: ...

    async def live_consumers(self, idle_ms: int) -> int:
        """Consumers of the group that spoke to the server within the last ``idle_ms``."""
        ...

    async def forget_consumers(self, idle_ms: int) -> list[str]:
        """Takes consumers out of the group that have not spoken for ``idle_ms`` and have nothing pending; returns
        their names. One that has an entry pending is never taken out: the entry would be neither pending nor
        undelivered."""
        ...

    async def ping(self) -> None: ...


class Blobs(Protocol):
    """The object store. Raises BlobsUnavailable, BlobMissing."""

    async def put(self, key: str, source: Path) -> None:
        """Atomic: a reader sees the old object or the whole new one."""
        ...

    async def delete(self, key: str) -> None:
        """One that is not there is deleted already. Whoever is fetching it gets all of it, or a failure."""
        ...

    async def fetch(self, key: str, target: Path) -> None:
        """Writes the object to ``target``, which must not exist; a failure leaves nothing there."""
        ...

    async def ping(self) -> None: ...


class Box(Protocol):
    """The sandbox. Raises BoxBroken. Cancelling ``run`` kills the run and all its processes before it returns."""

    @property
    def isolation(self) -> Isolation: ...

    async def run(self, spec: RunSpec) -> RunOutcome: ...

    async def run_joined(
        self, program: RunSpec, interactor: RunSpec, *, is_settled: Callable[[RunOutcome], bool]
    ) -> Joined:
        """Runs both at once, the stdout of each a pipe that is the other's stdin; each has its own limits. Such a pair
        takes the place of one run, also in a box that has but one. Who ends closes his side, whatever he has left
        running; nobody is told of it by SIGPIPE as long as the pipe has room. ``is_settled`` is asked once, when the
        interactor ends before the program: whether the program need not go on. Cancelling kills both.

        Raises ValueError when a spec compiles, or names a ``stdin`` or a ``stdout_to``."""
        ...


class TestData(Protocol):
    """A problem's package on this node's disk. Raises BlobsUnavailable, BlobMissing, TestDataBroken."""

    async def prepare(self, problem: Problem) -> Prepared:
        """The files stay in place at least until ``release``."""
        ...

    async def release(self, problem: Problem) -> None:
        """Undoes one ``prepare``."""
        ...


TestData.__test__ = False  # type: ignore[attr-defined]  # not a pytest class, and no member of the protocol either


class Prepared(Protocol):
    """A package that is unpacked: what is to be judged, and where its files are."""

    @property
    def plan(self) -> Plan: ...

    def path(self, name: str) -> Path:
        """Where one of ``plan.files()`` stands; KeyError for any other name."""
        ...

    def digest(self, name: str) -> str:
        """The SHA-256 of one of ``plan.files()``, in hex; KeyError for any other name."""
        ...


class CompileCache(Protocol):
    """What compiling came to, by a digest of all that went into it. It is never needed: what the disk does not give or
    take is a miss. Raises StartRefused at the first call, if there is no place for it."""

    async def take(self, key: str, into: Path) -> CompileResult | None:
        """What was kept under ``key``; its files then stand in ``into``, whole, and may not be written to."""
        ...

    async def keep(self, key: str, result: CompileResult, files: Sequence[Path]) -> None:
        """``files``: what running needs, to stand under their names in another directory."""
        ...


class Counters(Protocol):
    """Requests counted in windows of time. Raises StreamUnavailable where they are counted for all nodes."""

    async def take(self, quotas: Sequence[Quota]) -> Overdrawn | None:
        """Counts one request against all of ``quotas``, in one step, or against none of them if one is used up: the
        answer is then the one whose window ends last. A window opens with the first request that is counted in it."""
        ...

    async def waits(self, quotas: Sequence[Quota]) -> Sequence[int]:
        """Counts nothing: for each of ``quotas`` the milliseconds until its window ends, 0 unless it is used up."""
        ...
