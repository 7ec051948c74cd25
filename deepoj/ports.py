"""The ports: what the steps need from outside, as Protocols. The docstrings are the contracts.

One contract suite (``tests/contract``) runs against every implementation, fakes included. Every method may raise the
breakage named at its class and no foreign exception: adapters translate those.
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
    """User accounts. Raises StoreUnavailable."""

    async def create_user(
        self, username: str, password_hash: str, email: str | None, *, is_admin: bool = False
    ) -> User | AccountRefusal:
        """Create an account. Names are unique without regard to case."""
        ...

    async def credentials(self, username: str) -> Credentials | None: ...

    async def credentials_by_id(self, user_id: int) -> Credentials | None:
        """Return the account and its current token epoch, which authorizing a token needs."""
        ...

    async def set_password(self, user_id: int, password_hash: str, *, temporary: bool = False) -> int:
        """Set the password and return the new token epoch: tokens of older epochs are revoked. ``temporary``: the
        account is marked so until its owner changes the password."""
        ...

    async def change_password(self, user_id: int, password_hash: str, *, epoch: int) -> int | None:
        """Change the owner's password. Return the new token epoch; None if the epoch is no longer ``epoch`` (another
        change was faster), or the account is disabled."""
        ...

    async def promote(self, username: str) -> User | None:
        """Make the account an administrator; None if there is no such account."""
        ...

    async def account(self, user_id: int) -> Account | None: ...

    async def accounts(self, limit: int, *, after: str = "", prefix: str = "") -> list[Account]:
        """Return the next ``limit`` accounts after the name ``after`` whose names begin with ``prefix``, without regard
        to case. The order is that of the lower-cased names, by code points."""
        ...

    async def change_rights(
        self, user_id: int, *, is_admin: bool | None = None, is_disabled: bool | None = None, by: int | None
    ) -> Account | RightsRefusal:
        """Change rights in one transaction; changes are serialized. None: unchanged. Disabling revokes all tokens.

        ``by``: the administrator who asks. He must still be one and can change other accounts only, so that there is
        always one left. None: an operator with the database's password, who cannot remove the last administrator."""
        ...

    # -- GitHub
    async def github_credentials(self, github_id: str, avatar_url: str | None) -> Credentials | None:
        """Return the account that belongs to this GitHub account, and set its picture to ``avatar_url``."""
        ...

    async def create_github_user(
        self, username: str, github_id: str, avatar_url: str | None
    ) -> Credentials | AccountRefusal:
        """Create an account without a password and without rights, or return the one with this ``github_id``.

        USERNAME_TAKEN is also the answer while another login of the same person is served. A second call, with any
        name, then finds the account."""
        ...

    async def database_time_s(self) -> float:
        """Return the database's clock, the only one that counts, in seconds since 1970."""
        ...

    async def spend_oauth_state(self, nonce: bytes, expires_at_s: float) -> bool:
        """Return True once per nonce, and only before ``expires_at_s`` by the database's clock; otherwise False."""
        ...


class Github(Protocol):
    """GitHub, or a GitHub Enterprise server, as an OAuth 2 provider. Raises GithubUnavailable."""

    def authorize_url(self, state: str, challenge: str) -> str:
        """Return the URL to send a browser to; ``challenge`` is PKCE's, S256."""
        ...

    async def person(self, code: str, verifier: str) -> GithubPerson | GithubRefusal:
        """Return the person who logged in and came back with ``code``; ``verifier`` is what ``challenge`` was made
        of."""
        ...


class Problems(Protocol):
    """Problems and their packages' objects. Raises StoreUnavailable."""

    async def reserve_problem_id(self) -> int:
        """Return a new id. A reserved id that is never inserted is a harmless gap."""
        ...

    async def insert_problem(self, problem: Problem) -> None: ...

    async def problem(self, problem_id: int) -> Problem | None: ...

    async def problems(self, after_id: int, limit: int) -> list[Problem]:
        """Return the next ``limit`` problems above ``after_id``, by id."""
        ...

    async def update_problem(self, problem_id: int, change: ProblemChange) -> Problem | None:
        """Change a problem and return it; None if there is none. Its version grows by one if the change affects
        verdicts (data, limits, compare), so the same change twice counts once."""
        ...

    async def unchecked_problems(self, after_id: int, limit: int) -> list[Problem]:
        """Return the next ``limit`` problems above ``after_id``, by id, whose programs were not compiled yet."""
        ...

    async def tell_programs(self, problem_id: int, data_hash: str, broken: str | None) -> None:
        """Record that the programs of this package compile, or (``broken``) do not. Nothing happens if the problem has
        another package by now, or if it was recorded before."""
        ...

    async def note_object(self, key: str) -> None:
        """Note an object's key before the package is stored under it. A problem that names the object removes the note;
        when it no longer does, the note is made again."""
        ...

    async def loose_objects(self, keep_s: float, limit: int) -> list[str]:
        """Return keys that were noted ``keep_s`` ago and that no problem names, the oldest first."""
        ...

    async def forget_objects(self, keys: Sequence[str]) -> None:
        """Delete the notes of deleted objects."""
        ...

    async def delete_problem(self, problem_id: int) -> ProblemRefusal | None:
        """Delete a problem and return None. One with submissions is refused."""
        ...

    async def delete_submissions_of(self, problem_id: int, limit: int) -> int:
        """Delete ``limit`` submissions of a problem in any state, with their outbox events and ledger, in one
        transaction. A node that judges one of them is refused the verdict."""
        ...


class Jobs(Protocol):
    """Submissions, outbox and ledger, in the database, which decides everything. Raises StoreUnavailable.

    The lease contract. Only the database's clock counts. A lease is valid while ``lease_until > now()``; at equality it
    is over. ``attempt_id`` grows by one with every won claim and never falls. Only the holder of the current attempt
    with a valid lease may extend, finalize or give back; every other caller is refused and the row stays unchanged.
    Each claim and each outcome appends one ledger row in the same transaction as the change itself.
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
        """Store a submission in one transaction: the submissions row, its outbox row, NOTIFY.

        ``payload`` is the task JSON without job_id, time_limit, memory_limit, submit_time, which are filled in from the
        rows. At most ``inflight_cap`` submissions may be unfinished, as far as this node knows (``count_inflight``),
        and at most ``user_inflight_cap`` of this user, exactly, however many submit at once; neither counts rejudges.
        With both, a user who has no unfinished submission is accepted until twice ``inflight_cap`` are unfinished.
        ``direct``: no outbox row is written; the event is in the receipt, for the caller to send and then to
        ``mark_sent``."""
        ...

    async def count_inflight(self, cap: int) -> None:
        """Count the unfinished submissions, rejudges aside, up to twice ``cap``, for the cap of the following submits.
        A node that accepts submissions calls it a few times a second; it costs nothing while no user submits."""
        ...

    async def mark_sent(self, event: OutboxEvent, entry_id: str) -> None:
        """Record that a direct submit's event is in the stream, as a delivered event of the outbox."""
        ...

    async def submission(self, job_id: str) -> Submission | None:
        """Return the submission; None also if this is not a job id."""
        ...

    async def account_and_submission(self, user_id: int, job_id: str) -> tuple[Credentials | None, Submission | None]:
        """Return ``Accounts.credentials_by_id`` and ``submission`` by one statement: every request for a submission
        needs both."""
        ...

    # -- outbox
    async def take_outbox(
        self, limit: int, retry_base_s: float, retry_max_s: float, *, lanes: Mapping[Priority, int] | None = None
    ) -> list[OutboxEvent]:
        """Take due pending events, at most ``limit``: higher lanes first, within a lane the users in turn, and the
        events of one user in their order. ``lanes``: maximum number per lane, none of a lane that is not named; None:
        no such maximum. A taken event is hidden from other dispatchers for the backoff ``min(base * 2**(attempts-1),
        max)``. So a dispatcher that dies with it only delays it."""
        ...

    async def mark_delivered(self, delivered: Sequence[tuple[int, str]]) -> None:
        """Mark events as delivered: (event id, stream entry id) pairs."""
        ...

    async def mark_undelivered(self, event_ids: Sequence[int], error: str) -> None:
        """Record ``last_error``; the backoff that was set by taking them remains."""
        ...

    async def outbox_waiting(self, limit: int) -> OutboxWaiting:
        """Return the number of due events per lane, counted to ``limit``: the cost does not grow with the backlog."""
        ...

    async def outbox_pending(self) -> OutboxPending:
        """Return the numbers for gauges, counted to at most ten thousand per lane. Not for use in a request."""
        ...

    async def oldest_unfinished_age_ms(self) -> int | None:
        """Return the age of the oldest unfinished submission, since submitting or, for a rejudge, since the row's last
        change; None without one."""
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
        """Claim a batch in one statement; the answer is keyed by entry id. Pending rows, and processing rows whose
        lease is over, go to processing with attempt+1. A row that has used up ``max_attempts`` in this judging goes to
        dead instead. Of two entries of one job in a batch, one wins and the other is LEASED.

        ``yields``: a row that this owner has given back for others (``give_back``'s ``avoid_s``) is AVOIDED while that
        holds, and stays unchanged. ``languages``: a row in any other language is UNFIT, and stays unchanged; None: all
        languages are judged here."""
        ...

    async def extend(self, held: Sequence[Held], owner: str, lease_s: float) -> set[str]:
        """Extend the node's leases in one statement. Return the job ids whose lease was valid; the others are lost."""
        ...

    async def finalize(self, claim: Claim, report: Report, result: Mapping[str, object]) -> FinalizeRefusal | None:
        """Write the verdict, or explain the refusal, in one statement. None: the verdict is written."""
        ...

    async def give_back(
        self, claim: Claim, *, reason: str, counts: bool, delay_s: float = 0.0, avoid_s: float = 0.0
    ) -> FinalizeRefusal | None:
        """Release the lease and write an outbox event (due after ``delay_s``) in one transaction, so that another node
        starts at once. ``counts``: whether the attempt counts against the maximum. After None the old stream entry may
        be acked: the outbox event brings the job back. For ``avoid_s`` after it is due, a claim of the same owner with
        ``yields`` is refused; the next won claim ends that."""
        ...

    async def send_again(
        self, job_ids: Sequence[str], *, avoid_s: float = 0.0, unfit: bool = False
    ) -> dict[str, ClaimRefusal | None]:
        """Write one outbox event for each job that is not leased; rows stay unchanged. None: the event is written, and
        the job's old entry may be acked. Otherwise the reason why there is none.

        The event is due at once. If the job was given back with ``avoid_s`` and is still avoided, the event is due the
        later the longer it has been (up to 5 s). ``unfit``: the caller cannot judge the jobs; their events are due the
        later the longer they have waited (up to 2 s, or 38 s while no live node has announced their language)."""
        ...

    # -- recovery paths
    async def strays(self, after_id: int, min_age_s: float, limit: int) -> list[Stray]:
        """Return a page, by id, of unfinished rows above ``after_id`` that are older than ``min_age_s`` and not validly
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
        """Write one outbox event for each unfinished row that is older than ``min_age_s`` and has no live entry (is not
        in ``live_job_ids``), no undelivered outbox event and no valid lease. Return the job ids in the order of the
        rows.

        Only rows with ``after_id < id <= upto_id``. One node at a time, by an advisory lock: a node that does not get
        it returns nothing."""
        ...

    async def oldest_unfinished_entry_ids(self) -> list[str]: ...

    async def expired(self, after_id: int, keep_s: float, limit: int) -> Expired:
        """Return those of the next ``limit`` rows above ``after_id`` that were finished ``keep_s`` ago. The pages end
        at rows that were submitted later than that."""
        ...

    async def delete_expired(self, row_ids: Sequence[int], keep_s: float) -> int:
        """Delete, in one transaction, those rows that are still finished and old, with their outbox events and
        ledger."""
        ...


class CustomRuns(Protocol):
    """Custom runs, which wait here until a node has room, and their results for some minutes. Raises StoreUnavailable.

    The lease contract is that of ``Jobs``, without a ledger: attempts are numbered, a lease is valid by the database's
    clock, and only the holder of the current attempt with a valid lease may extend, finish or give back. A claim counts
    against ``max_attempts``, unless it is given back with ``counts=False``.
    """

    async def take_run(self, draft: CustomDraft, *, per_user: int) -> CustomReceipt | CustomRefusal:
        """Store a run. It is refused while the author has ``per_user`` unfinished runs, however many are sent at
        once."""
        ...

    async def drop_run(self, run_id: str) -> None:
        """Delete the run, as if it had never been stored. A node that has claimed it meanwhile is refused
        everything."""
        ...

    async def custom_run(self, run_id: str, keep_s: float) -> CustomRun | None:
        """Return the run; None also if this is no run's id, or if the run ended ``keep_s`` ago."""
        ...

    async def claim_run(
        self, owner: str, lease_s: float, max_attempts: int, languages: Collection[str]
    ) -> CustomClaim | None:
        """Claim the run that has been due longest in one of these languages; None: there is none. A run that has used
        up its attempts is never claimed."""
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
        """Write the result and delete code and input. None: it is stored. Older results of the author are deleted if
        all together would exceed ``user_max_bytes``."""
        ...

    async def give_back_run(
        self, claim: CustomClaim, *, counts: bool, delay_s: float, max_attempts: int
    ) -> FinalizeRefusal | None:
        """Make it due again after ``delay_s``; if the attempt counts and was the last, finish it as a System Error."""
        ...

    async def sweep_runs(self, max_attempts: int, max_wait_s: float, keep_s: float, limit: int) -> CustomSwept:
        """Finish due runs as a System Error that have used up their attempts or are older than ``max_wait_s``. Delete
        runs that ended ``keep_s`` ago. At most ``limit`` of each."""
        ...


class SubmissionLists(Protocol):
    """Lists of submissions. Raises StoreUnavailable."""

    async def submissions(self, query: SubmissionQuery, limit: int, before: ListPlace | None = None) -> SubmissionList:
        """Return the next ``limit`` that were submitted before the one at ``before``, newest first. The cost is
        bounded: only so many of those that the index finds (by user, else by problem, else all) are examined."""
        ...


class DeadLetters(Protocol):
    """Dead letters, about which an administrator decides. Raises StoreUnavailable."""

    async def dead_letters(self, limit: int, before_id: int | None = None) -> list[DeadLetter]:
        """Return a page, newest submission first, of those whose ``id`` is below ``before_id``."""
        ...

    async def dead_letter(self, job_id: str) -> DeadLetter | None: ...

    async def ledger_of(self, job_id: str, limit: int) -> list[LedgerEvent]:
        """Return the latest ``limit`` events of a job, in the ledger's order."""
        ...

    async def decide(
        self, decision: Decision, job_id: str, attempt_id: int, *, by: str, note: str, stream_key: str
    ) -> Decided | LetterRefusal:
        """Decide about a letter in one transaction, fenced by the attempt it died with; the ledger records who decided
        and why. The same decision about the same attempt twice counts once: the second answer is ``repeated``.

        REQUEUE: pending again with all its attempts, and an outbox event to ``stream_key``.
        DISCARD: done, System Error, finally."""
        ...

    async def count_dead_letters(self, upto: int) -> int: ...


class Rejudges(Protocol):
    """Rejudging submissions that have a verdict. Raises StoreUnavailable.

    A judging is opened in one transaction: the old verdict moves to the judgings, the row waits in the rejudge lane
    with all its attempts, and the ledger records who asked.
    """

    async def rejudge(
        self, job_id: str, judging: int | None, *, by: str, in_full: bool, stream_key: str
    ) -> Rejudged | RejudgeRefusal:
        """Open the judging after ``judging`` (None: after the job's latest). If it was asked for twice, it is opened
        once: the second answer is ``repeated``."""
        ...

    async def judgings(self, job_id: str, limit: int) -> list[Judging]:
        """Return the latest ``limit`` verdicts superseded by later judgings, in their order."""
        ...

    async def former_result(self, job_id: str, judging: int) -> Mapping[str, Any] | None:
        """Return the newest result before ``judging`` whose tests may be taken over: never a System Error, and none
        from before a judging that was to run in full."""
        ...

    async def order_rejudge(self, problem_id: int, *, by: str, in_full: bool) -> RejudgeOrder | None:
        """Order a rejudge of all submissions of a problem so far; None if there is no such problem. If an order for the
        same version of the problem is open, that one is returned (``repeated``); an order for an older version ends."""
        ...

    async def rejudge_order(self, problem_id: int) -> RejudgeOrder | None:
        """Return the newest order of a problem."""
        ...

    async def go_on_rejudging(self, limit: int, stream_key: str) -> RejudgeOrder | None:
        """Process, in one transaction, the next ``limit`` submissions of an order that no other node is processing.
        Return the order after that; None if there was nothing to do. Submissions without a verdict are passed over:
        they will be judged by the problem as it is now. Those that are being judged are looked at again until they are
        done."""
        ...


class Auditor(Protocol):
    """Reads the rows and the ledger, a page at a time. Raises StoreUnavailable."""

    async def audit_page(self, after_id: int, limit: int) -> list[AuditedJob]:
        """Return the next ``limit`` submissions above ``after_id``; empty at the end."""
        ...

    async def audit_start(self, since: str) -> tuple[int, int]:
        """Return the ids after which to read submissions and the ledger, for an audit since an ISO 8601 time."""
        ...

    async def audit_older(
        self, ledger_start: int, ledger_after: int, upto_id: int, limit: int
    ) -> tuple[list[AuditedJob], int | None]:
        """Return the submissions not above ``upto_id`` that the next ``limit`` events above ``ledger_after`` name, each
        only at its first event above ``ledger_start``; and the last event id read, None at the ledger's end."""
        ...

    async def audit_rowless(
        self, ledger_start: int, ledger_after: int, limit: int
    ) -> tuple[list[tuple[str, AuditedEvent]], int | None]:
        """Return those of the next ``limit`` events above ``ledger_after`` that have no submission and are no refusal,
        with the job id; each job only at its first such event above ``ledger_start``. And the last event id read, as
        above."""
        ...


class Roster(Protocol):
    """The languages of the nodes that judge now. Raises StoreUnavailable."""

    async def announce(self, node: str, languages: Mapping[str, str], lease_s: float) -> None:
        """Announce the node's languages (language key → version) for ``lease_s``, in place of its earlier ones."""
        ...

    async def live_languages(self) -> Mapping[str, tuple[str, ...]] | None:
        """Return language key → versions of all nodes whose announcement is valid; None: there is no such node."""
        ...


class LiveResults(Protocol):
    """Progress of judging, shown to watchers. Raises StoreUnavailable.

    No verdict needs it: lost progress is replaced by the result when the job is done. Watchers are woken by a
    notification with the job's id (``LiveEars``), and then read.
    """

    async def tell_live(self, tests: Sequence[ToldTests], changed: Collection[str], over: Collection[str]) -> None:
        """In one statement per call, store ``tests`` and notify watchers of them, of the jobs ``changed``, and of those
        whose judging is ``over``; the stored tests of the latter are deleted. Tests of an attempt that is no longer the
        current one are ignored, and so are those that are stored already."""
        ...

    async def live(self, job_id: str, attempt_id: int, after: int) -> LiveJob | None:
        """Return a job's state and the stored tests of its current attempt in order: those after the test ``after`` if
        that attempt is ``attempt_id``, else all. None: there is no such job."""
        ...

    async def sweep_live(self, keep_s: float, limit: int) -> int:
        """Delete tests stored ``keep_s`` ago, leftovers of nodes that died. Return the number of rows."""
        ...


class LiveEars(Protocol):
    """Receives notifications for all watchers of this node. Called in Trio's thread; neither waits nor raises."""

    def ring(self, topic: str) -> None:
        """The topic (a job's id) may have changed."""
        ...

    def listens(self, *, well: bool) -> None:
        """Whether notifications arrive from now on. Missed ones are made up for: every watcher reads again."""
        ...


class Progress(Protocol):
    """Receives the progress of judging. Neither method waits or fails: progress that has no room is dropped."""

    def test_ended(self, claim: Claim, index: int, count: int, test: TestResult) -> None:
        """Test ``index`` of ``count`` has ended; 1-based, in order."""
        ...

    def changed(self, job_id: str, *, over: bool = False) -> None:
        """The job's state has changed in the database. ``over``: it is no longer being judged."""
        ...


class Webhooks(Protocol):
    """Deliveries to webhooks. Raises StoreUnavailable.

    A delivery is written in the transaction that ends a judging (done or dead) of a submission with a callback. It is
    taken before it is tried, and settled after; a node that dies between the two only delays it. Delivery is at least
    once: a receiver recognizes doubles by ``delivery_id``.
    """

    async def webhook_owners(self, after: int, limit: int) -> dict[int, bool]:
        """Return the next ``limit`` accounts after ``after`` with waiting deliveries, in the order of their ids, and
        whether any of theirs is due. The cost is one index step per account, however many deliveries wait."""
        ...

    async def due_webhooks(
        self, owners: Mapping[int, str], *, targets: int, each: int, without: Collection[str]
    ) -> list[DueHooks]:
        """Return the due deliveries of each account by target, beginning after its target in ``owners``. At most
        ``targets`` targets of an account are looked up, one index step each, and at most ``each`` deliveries of a
        target are returned. Targets in ``without`` are left out."""
        ...

    async def take_webhooks(self, ids: Sequence[int], lease_s: float) -> list[Hook]:
        """Take those that are still due. A taken one is hidden from other nodes for ``lease_s``."""
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
        """Record the outcome of a try. PENDING: it is due again in ``delay_s``, or given up if that is more than
        ``give_up_s`` after its round began. Return its status; None: another node has settled it, or is trying it. A
        late DELIVERED still counts while it is waiting."""
        ...

    async def webhooks_of_job(self, job_id: str, limit: int) -> list[HookStanding]:
        """Return the latest ``limit`` deliveries of a job, in their order."""
        ...

    async def given_up_webhooks(self, limit: int, before_id: int | None = None) -> list[HookStanding]:
        """Return a page of given-up deliveries, newest first, of those whose ``id`` is below ``before_id``."""
        ...

    async def redeliver_webhook(self, delivery_id: str) -> Redelivered | None:
        """Begin another round of a delivery that has ended; None: there is no such delivery."""
        ...

    async def forget_webhooks(self, keep_s: float, limit: int) -> int:
        """Delete at most ``limit`` deliveries that ended ``keep_s`` ago."""
        ...

    async def webhook_secret_epoch(self, user_id: int) -> int:
        """Return how often the user's signing secret has been rotated."""
        ...

    async def rotate_webhook_secret(self, user_id: int, seen_epoch: int) -> int:
        """Rotate the secret and return the new epoch; of two rotations that saw the same epoch one counts."""
        ...


class HookSender(Protocol):
    """Sends requests to callback URLs over HTTP."""

    async def post(self, request: HookRequest) -> HookAnswer:
        """Send one POST, in bounded time, to an address that was checked. It raises no exception: any behaviour of a
        receiver is an answer."""
        ...


class OutboxBell(Protocol):
    """Wakes the dispatcher after a commit. A lost notification is harmless, because the dispatcher also polls
    slowly."""

    async def wait(self, timeout_s: float) -> bool:
        """Return True when notified, False after the timeout. A notification while no task waits is remembered."""
        ...


class RunBell(Protocol):
    """Announces in the stream that a custom run waits in the store. Raises StreamUnavailable."""

    async def ring_run(self, run_id: str, at_ms: int) -> str:
        """Add an entry without a payload and return its id. Calling it twice does no harm."""
        ...


class JobStream(RunBell, Protocol):
    """The Redis stream and its group. Raises StreamUnavailable. The group is created at 0 when it is missing."""

    async def publish(self, events: Sequence[OutboxEvent]) -> list[str]:
        """Publish in a pipeline: payload envelope with TTL, then XADD. Return entry ids in the order of ``events``.
        After an exception it is unknown which of them arrived: publish them again, the claim refuses doubles."""
        ...

    async def read(self, count: int, block_ms: int) -> list[Entry | BadEntry]:
        """Return new entries for this consumer."""
        ...

    async def own_pending(self, count: int) -> list[Entry | BadEntry]:
        """Return entries delivered to this consumer and never acked. Read once at the start, because a cancelled
        blocking read can leave an entry pending unseen."""
        ...

    async def ack(self, entry_ids: Sequence[str]) -> int: ...

    async def reclaim(self, min_idle_ms: int, cursor: str, count: int) -> tuple[str, list[Entry | BadEntry]]:
        """XAUTOCLAIM from ``cursor`` (``0-0`` to begin); return the next cursor and the entries taken over."""
        ...

    async def put_down(self, entry_ids: Sequence[str], idle_ms: int) -> None:
        """Set the idle time of entries that were read or taken over in vain. Entries that are no longer pending are
        ignored."""
        ...

    async def live_entries(self, entry_ids: Sequence[str]) -> set[str]:
        """Return those that exist and are undelivered, or exist and are pending in the group: a consumer will get them.
        The cost per entry does not depend on the stream's length."""
        ...

    async def trim(self, max_len: int) -> int:
        """Trim by MINID, never past the oldest unfinished entry, and only when longer than ``max_len``."""
        ...

    async def undelivered(self, limit: int) -> int:
        """Count the entries that the group has not read yet, up to ``limit``; never unknown, as a lag can be."""
        ...

    async def pressure(self) -> PressureSnapshot: ...

    async def live_consumers(self, idle_ms: int) -> int:
        """Count the group's consumers that spoke to the server within the last ``idle_ms``."""
        ...

    async def forget_consumers(self, idle_ms: int) -> list[str]:
        """Remove consumers from the group that were silent for ``idle_ms`` and have no pending entry. Return their
        names. One with a pending entry is never removed: the entry would be neither pending nor undelivered."""
        ...

    async def ping(self) -> None: ...


class Blobs(Protocol):
    """The object store. Raises BlobsUnavailable, BlobMissing."""

    async def put(self, key: str, source: Path) -> None:
        """Store an object atomically: a reader sees the old object or the complete new one."""
        ...

    async def delete(self, key: str) -> None:
        """Delete an object; one that does not exist counts as deleted. A concurrent fetch gets all of it, or fails."""
        ...

    async def fetch(self, key: str, target: Path) -> None:
        """Write the object to ``target``, which must not exist; a failure leaves nothing there."""
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
        """Run both at once, the stdout of each a pipe that is the other's stdin; each has its own limits.

        Such a pair takes one slot, even in a sandbox that has only one. A program that ends closes its side, even if it
        has left processes running; the other gets no SIGPIPE as long as the pipe has room. ``is_settled`` is called
        once, when the interactor ends before the program: whether the program need not go on. Cancelling kills both.

        Raises ValueError if a spec compiles, or names a ``stdin`` or a ``stdout_to``."""
        ...


class TestData(Protocol):
    """A problem's package on this node's disk. Raises BlobsUnavailable, BlobMissing, TestDataBroken."""

    async def prepare(self, problem: Problem) -> Prepared:
        """Return the unpacked package. Its files stay in place at least until ``release``."""
        ...

    async def release(self, problem: Problem) -> None:
        """Undo one ``prepare``."""
        ...


TestData.__test__ = False  # type: ignore[attr-defined]  # not a pytest class, and no member of the protocol either


class Prepared(Protocol):
    """An unpacked package: its plan, and the paths of its files."""

    @property
    def plan(self) -> Plan: ...

    def path(self, name: str) -> Path:
        """Return the path of one of ``plan.files()``; KeyError for any other name."""
        ...

    def digest(self, name: str) -> str:
        """Return the SHA-256 of one of ``plan.files()``, in hex; KeyError for any other name."""
        ...


class CompileCache(Protocol):
    """Results of compilations, by a digest of everything that decides them. It is only a cache: a failure of the disk
    is a miss. Raises StartRefused at the first call if its directory cannot be made."""

    async def take(self, key: str, into: Path) -> CompileResult | None:
        """Return the result kept under ``key``. Its files are then in ``into``, complete, and must not be written
        to."""
        ...

    async def keep(self, key: str, result: CompileResult, files: Sequence[Path]) -> None:
        """Keep a result. ``files``: those that running needs, to be put under their names into another directory."""
        ...


class Counters(Protocol):
    """Counts requests in windows of time. Raises StreamUnavailable where they are counted for all nodes."""

    async def take(self, quotas: Sequence[Quota]) -> Overdrawn | None:
        """Count one request against all of ``quotas``, in one step, or against none of them if one is used up. Then the
        used-up quota whose window ends last is returned. A window begins with the first request counted in it."""
        ...

    async def waits(self, quotas: Sequence[Quota]) -> Sequence[int]:
        """Return the milliseconds until each quota's window ends, 0 unless it is used up. Counts nothing."""
        ...
