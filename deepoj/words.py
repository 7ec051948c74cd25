"""The vocabulary: ids, states, verdicts, refusals, breakages, and the frozen messages handed from step to step.

Everything else in the package may import this room; it imports nothing of ours. Two kinds of "no" are told apart for
good here:

* a *refusal* is an answer (an enum member that a step returns, matched exhaustively by its caller);
* a *breakage* is an exception (a store that cannot be reached, a sandbox that fell over), raised through.

Units are part of every name: ``_s`` seconds, ``_ms`` milliseconds, ``_kb`` KiB, ``_bytes`` bytes.
"""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

# ---------------------------------------------------------------------------------------------------------------------
# States and verdicts (contract §3)


class State(enum.StrEnum):
    """Where a submission stands in the database; the only truth there is."""

    #: waiting for a claim
    PENDING = "pending"
    #: claimed: somebody holds its lease
    PROCESSING = "processing"
    #: has its verdict, for ever
    DONE = "done"
    #: a dead letter: its attempts are used up, a person decides
    DEAD = "dead"


class Verdict(enum.StrEnum):
    """The final word on a submission or on one test. ``INVALID`` is where judging starts: to forget a verdict shows."""

    INVALID = "Invalid"
    ACCEPTED = "Accepted"
    WRONG_ANSWER = "Wrong Answer"
    #: only a checker may say so
    PRESENTATION_ERROR = "Presentation Error"
    COMPILE_ERROR = "Compile Error"
    TIME_LIMIT_EXCEEDED = "Time Limit Exceeded"
    MEMORY_LIMIT_EXCEEDED = "Memory Limit Exceeded"
    OUTPUT_LIMIT_EXCEEDED = "Output Limit Exceeded"
    RUNTIME_ERROR = "Runtime Error"
    #: ours, never the contestant's
    SYSTEM_ERROR = "System Error"
    #: scored problems only
    PARTIAL = "Partial"


class RunVerdict(enum.StrEnum):
    """What one run in the sandbox came to (judge protocol v1, contract §8); right or wrong is a checker's business."""

    OK = "OK"
    TLE = "TLE"
    MLE = "MLE"
    OLE = "OLE"
    RE = "RE"
    #: the sandbox failed, the program is not to blame
    SE = "SE"


class Isolation(enum.StrEnum):
    """How strongly a run was contained (contract §8); stamped on each result."""

    WEAK = "weak"
    NAMESPACES = "namespaces"
    FULL = "full"

    @property
    def strength(self) -> int:
        """0 for weak, 1 for namespaces, 2 for full: compare these, not the words."""
        return list(Isolation).index(self)


class Policy(enum.StrEnum):
    """Which seccomp policy and which set of mounts a run gets."""

    RUN = "run"
    COMPILE = "compile"


# ---------------------------------------------------------------------------------------------------------------------
# One run in the sandbox

#: inside the box: where ``FileIn.program`` stands
PROGRAM_DIR = "/p"
#: inside the box: where the node's own precompiled headers stand, read-only
HEADERS_DIR = "/h"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """What one run may use; the verdict is decided from the measured figures against these."""

    cpu_ms: int
    wall_ms: int
    memory_bytes: int
    #: stdout and stderr together; past it the run ends as OLE
    output_bytes: int
    #: tasks of this run, never of the uid
    processes: int = 20
    #: writable scratch (a tmpfs) and the largest file in it
    scratch_bytes: int = 64 * 1024 * 1024
    open_files: int = 64


@dataclass(frozen=True, slots=True)
class FileIn:
    """A host file brought to the run under a plain name (no slash): a copy in its scratch, or, of a ``program``, one
    that the run cannot write, at ``PROGRAM_DIR/name``. The next run with the same file finds that one still there."""

    name: str
    path: Path
    executable: bool = False
    program: bool = False


@dataclass(frozen=True, slots=True)
class FileOut:
    """A regular file copied out of the scratch after the run; absent or over ``max_bytes`` it is not copied."""

    name: str
    path: Path
    max_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One run: what to execute, with which files, under which limits. The working directory is the scratch."""

    #: argv[0] is an absolute path inside the box, such as ``PROGRAM_DIR/name``, or ``./name`` of a file in the scratch
    argv: tuple[str, ...]
    limits: RunLimits
    policy: Policy = Policy.RUN
    #: a host file; None is /dev/null
    stdin: Path | None = None
    files_in: tuple[FileIn, ...] = ()
    files_out: tuple[FileOut, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    #: every byte of stdout up to ``limits.output_bytes`` goes to this host file, for comparing
    stdout_to: Path | None = None
    #: how much of each stream the outcome keeps
    keep_stdout_bytes: int = 262_144
    keep_stderr_bytes: int = 1_048_576
    #: how long to wait for the box's other runs to end, and keep new ones out, so that this one is alone; None: it need
    #: not be
    alone_within_s: float | None = None
    #: whose program runs; None: the node's own work. Time that a user's runs had alone while others waited is rationed
    user_id: int | None = None


@dataclass(frozen=True, slots=True)
class SandboxError:
    """The step of the sandbox that failed and its errno; told out of band, so no program can forge one."""

    step: str
    errno: int

    def __str__(self) -> str:
        return f"{self.step}: errno {self.errno}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """What one run came to, decided from measured figures."""

    verdict: RunVerdict
    #: which rule decided: ok, cpu, wall, memory, output, signal, exit, sandbox
    rule: str
    exit_code: int
    exit_signal: int
    #: of the whole tree of the run
    cpu_ms: int
    wall_ms: int
    memory_kb: int
    stdout: bytes
    stdout_len: int
    truncated_stdout: bool
    stderr: bytes
    stderr_len: int
    truncated_stderr: bool
    isolation: Isolation
    #: kills by the kernel's memory controller, where there is one
    oom_kill: int = 0
    #: names of ``files_out`` that were copied
    files_out: tuple[str, ...] = ()
    #: set exactly when ``verdict`` is SE
    sandbox_error: SandboxError | None = None
    #: of ``wall_ms``: other programs kept this one from running, for at least so long; the wall limit does not count it
    delay_ms: int = 0
    #: asked for, and granted: no other run of the box was under way at the same time
    alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Two runs that spoke with each other through pipes. ``stdout_len`` of both is what the kernel counted of all their
    writes but those to stderr, when they were last looked at: no less than what a flood is worth, but not exact."""

    program: RunOutcome
    interactor: RunOutcome
    #: who ended, or passed a limit, before the other did: the one that followed is never taken for the first
    interactor_first: bool
    #: between the two ends
    apart_ms: int
    #: bytes in the pipes when the program had ended: what it had said and nobody had read, and the other way round
    unread_by_interactor: int
    unread_by_program: int
    #: the program was ended because nothing hung on it any more: of its outcome only the figures mean something
    program_cut: bool


# ---------------------------------------------------------------------------------------------------------------------
# Accounts and problems


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account, without its secret."""

    id: int
    username: str
    email: str | None
    is_admin: bool


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account with what login needs: the argon2id hash and the epoch that older tokens do not carry."""

    user: User
    #: empty: the account has no password
    password_hash: str
    token_epoch: int
    #: switched off by an administrator: nobody gets in
    is_disabled: bool = False


class AccountRefusal(enum.StrEnum):
    """Why an account was not made."""

    USERNAME_TAKEN = "USERNAME_TAKEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account as its owner and administrators see it. Times are ISO 8601."""

    user: User
    #: GitHub's number of the person, None for an account that was registered here
    github_id: str | None
    avatar_url: str | None
    has_password: bool
    #: somebody else has set it and its owner has not changed it yet
    password_is_temporary: bool
    is_disabled: bool
    created_at: str
    updated_at: str

    def flat(self) -> dict[str, Any]:
        """All of it in one level."""
        user = self.user
        rest = {part.name: getattr(self, part.name) for part in fields(self) if part.name != "user"}
        return {"id": user.id, "username": user.username, "email": user.email, "is_admin": user.is_admin} | rest


class RightsRefusal(enum.StrEnum):
    """Why an account's rights were not changed."""

    UNKNOWN_USER = "UNKNOWN_USER"
    #: whoever asked is no administrator, or no longer
    NOT_ADMINISTRATOR = "NOT_ADMINISTRATOR"
    #: administrators do not demote or disable themselves: so there is always one left
    OWN_ACCOUNT = "OWN_ACCOUNT"
    #: nobody would be left
    LAST_ADMINISTRATOR = "LAST_ADMINISTRATOR"


@dataclass(frozen=True, slots=True)
class GithubPerson:
    """Who GitHub says has logged in. ``login`` may be another's tomorrow, ``github_id`` (decimal) never."""

    github_id: str
    login: str
    avatar_url: str | None


class GithubRefusal(enum.StrEnum):
    """Why GitHub would not say who it is."""

    #: the code is wrong, too old, used before, or another login's
    BAD_CODE = "BAD_CODE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem as the walk needs it. ``data_hash`` is the SHA-256 of its package and names the version."""

    id: int
    title: str
    description: str
    difficulty: str
    time_limit_ms: int
    memory_limit_mb: int
    #: how answers are compared: ``tokens`` by default
    compare: str
    #: object key of the package, ``problems/<id>.zip``
    data_path: str
    #: hex
    data_hash: str
    #: 1, 2, … as the package or its limits change
    version: int = 1
    #: why the package's programs have not been compiled yet, a sentence for everybody; None: nothing to say
    unchecked: str | None = None
    #: which of them a node has found since not to compile; None: nothing to say
    broken: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemChange:
    """What becomes of a problem; None: as it is. ``data_path`` and ``data_hash`` go together."""

    title: str | None = None
    description: str | None = None
    difficulty: str | None = None
    time_limit_ms: int | None = None
    memory_limit_mb: int | None = None
    compare: str | None = None
    data_path: str | None = None
    data_hash: str | None = None
    #: goes with these two: None then says that there is nothing to say
    unchecked: str | None = None


class ProblemRefusal(enum.StrEnum):
    """Why a problem was not deleted."""

    UNKNOWN_PROBLEM = "unknown_problem"
    HAS_SUBMISSIONS = "has_submissions"


# ---------------------------------------------------------------------------------------------------------------------
# Submitting


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One of a submission's several files. ``name`` is plain: no folder, nothing that a shell or a compiler obeys."""

    name: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What a contestant wrote: one text, or several files."""

    #: the source; of several files the entry point's text
    code: str
    #: the name of the file that is ``code``; None: one source was sent, which gets the name that its language wants
    entry_point: str | None = None
    #: the others, in the order in which they were sent
    beside: tuple[SourceFile, ...] = ()

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """All files, the entry point first; none where one source was sent."""
        return () if self.entry_point is None else (SourceFile(self.entry_point, self.code), *self.beside)

    def digest(self) -> bytes:
        """Names what was sent: another text, name or entry point is another digest."""
        told = self.code
        if self.entry_point is not None:
            # no text begins with NUL, so this is no single source's
            told = "\0" + json.dumps([self.entry_point, sorted((file.name, file.content) for file in self.files)])
        return hashlib.sha256(told.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft(Sources):
    """A submission as its author sent it, already well-formed (types, sizes, UTF-8)."""

    user_id: int
    problem_id: int
    #: a language key such as ``cpp17``
    language: str
    trace_id: str
    idempotency_key: str | None = None
    #: who is told of the verdict over HTTP, normalized (``pipeline.callback_urls``)
    callback_url: str | None = None

    def digest(self) -> bytes:
        """As of the sources; with another callback it is another submission, or the second caller would never hear."""
        sources = Sources.digest(self)
        if self.callback_url is None:
            return sources
        return hashlib.sha256(sources + self.callback_url.encode()).digest()


class SubmitRefusal(enum.StrEnum):
    """Why a draft was not taken; the member's value is the HTTP code word."""

    PROBLEM_NOT_FOUND = "PROBLEM_NOT_FOUND"
    INFLIGHT_CAP_REACHED = "INFLIGHT_CAP_REACHED"
    USER_INFLIGHT_CAP_REACHED = "USER_INFLIGHT_CAP_REACHED"
    #: the key stands for a submission that was something else
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A draft that was taken. ``repeated``: an unfinished identical one of the same user already stood."""

    job_id: str
    repeated: bool = False
    #: of a direct submit: what its sender has to bring to the stream
    event: OutboxEvent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission(Sources):
    """A submission as its owner may read it back."""

    job_id: str
    user_id: int
    problem_id: int
    language: str
    state: State
    #: ``pending``, ``running`` or a verdict
    status: str
    attempt_id: int
    judging: int
    error_code: str | None
    error_message: str | None
    #: the result object of contract §3, once there is one
    result: Mapping[str, Any] | None
    #: ISO 8601, the database's clock
    created_at: str
    updated_at: str
    callback_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionItem:
    """A submission in a list: no source, and of its result only the sum."""

    job_id: str
    user_id: int
    username: str
    problem_id: int
    language: str
    state: State
    #: ``pending``, ``running`` or a verdict
    status: str
    judging: int
    #: of the result, once there is one
    score: float | None
    time_used_ms: int | None
    memory_used_kb: int | None
    #: ISO 8601, the database's clock
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class ListPlace:
    """Where a page of submissions ends: the database's time of a submission in microseconds since 1970, and its id."""

    created_us: int
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionQuery:
    """Which submissions; None: any. ``since`` counts, ``until`` does not; both have a time zone."""

    user_id: int | None = None
    problem_id: int | None = None
    language: str | None = None
    verdict: Verdict | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class SubmissionList:
    """A page, newest first. ``next``: where the following one begins; None: there is none. A page whose query has to
    pass over many others may be short, even empty, and still have a next one."""

    items: tuple[SubmissionItem, ...]
    next: ListPlace | None


# ---------------------------------------------------------------------------------------------------------------------
# Rejudging


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """The verdict of a judging that a later one stands before."""

    judging: int
    attempt_id: int
    status: str
    error_code: str | None
    error_message: str | None
    result: Mapping[str, Any]
    #: ISO 8601
    finished_at: str


@dataclass(frozen=True, slots=True)
class Rejudged:
    """A judging that was opened. ``repeated``: it, or a later one, stood already."""

    job_id: str
    judging: int
    repeated: bool = False


class RejudgeRefusal(enum.StrEnum):
    """Why no judging was opened."""

    UNKNOWN_JOB = "unknown_job"
    #: it has no verdict yet that could be replaced
    NOT_FINISHED = "not_finished"
    #: a dead letter: a person decides about that first
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class RejudgeOrder:
    """An order to rejudge all that had been submitted to a problem when it was given, and how far it has come."""

    id: int
    problem_id: int
    #: the problem's, when the order was given
    problem_version: int
    #: every test is run again
    in_full: bool
    ordered_by: str
    #: how many there are
    submissions: int
    #: judgings opened so far
    opened: int
    #: submissions that needed none: not judged yet, or dead letters
    passed: int
    finished: bool
    #: the same order stood already
    repeated: bool = False


# ---------------------------------------------------------------------------------------------------------------------
# Outbox and stream


class Priority(enum.IntEnum):
    """The lane of an outbox event; a greater one goes first (pipeline/outbox)."""

    CONTEST = 1
    #: somebody waits for the verdict
    INTERACTIVE = 0
    #: many submissions at once, whose verdicts are read later
    BATCH = -1
    REJUDGE = -2


#: every lane, the first to go first
LANES: tuple[Priority, ...] = tuple(sorted(Priority, reverse=True))


@dataclass(frozen=True, slots=True)
class OutboxWaiting:
    """What the outbox has for the next round of the dispatcher."""

    #: events that may go now, of each lane that has any, counted to a limit
    due: Mapping[Priority, int]
    #: whether any event is undelivered, due or not
    is_waiting: bool


@dataclass(frozen=True, slots=True)
class OutboxPending:
    """How many events were not delivered yet, of each lane that has any."""

    of_lane: Mapping[Priority, int]
    #: of the oldest event that is no rejudge; None without one
    oldest_age_ms: int | None = None

    @property
    def total(self) -> int:
        return sum(self.of_lane.values())

    @property
    def submitted(self) -> int:
        """Rejudges aside, which wait by design and come by no submit."""
        return self.total - self.of_lane.get(Priority.REJUDGE, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEvent:
    """A row of ``outbox_events`` that a dispatcher has taken and must bring to the stream."""

    id: int
    job_id: str
    stream_key: str
    enqueue_ts_ms: int
    priority: int
    #: the task JSON of contract §5, as text
    payload: str
    #: how often it has been taken, this time included
    attempts: int
    #: ``submit``, ``repair``, ``give_back``, ``hand_over``, ``requeue``, ``rejudge``: why it was written
    event_type: str = "submit"
    trace_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxStanding:
    """How far an outbox event has come."""

    status: str
    attempts: int
    last_error: str | None
    stream_entry_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A stream entry as read: it drives, it proves nothing."""

    entry_id: str
    job_id: str
    enqueue_ts_ms: int
    payload_ref: str
    priority: int
    event_id: int

    @property
    def of_run(self) -> bool:
        """It says that a custom run waits in the store, and is no submission's."""
        return self.job_id.startswith(RUN_ID_PREFIX)


@dataclass(frozen=True, slots=True)
class BadEntry:
    """An entry that arrived and cannot be decoded: the only kind of poison there is."""

    entry_id: str
    reason: str


# ---------------------------------------------------------------------------------------------------------------------
# Claim, lease, finalize


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim(Sources):
    """A won claim: the right, for as long as the lease lives, to judge one attempt of one job.

    ``attempt_id`` is the fencing token: it only ever grows, over all judgings of the job.
    """

    job_id: str
    attempt_id: int
    judging: int
    lease_owner: str
    entry_id: str
    user_id: int
    language: str
    trace_id: str
    problem: Problem
    #: milliseconds between submit (of a rejudge: the last change of the row) and this claim, by the database's clock
    waited_ms: int


class ClaimRefusal(enum.StrEnum):
    """Why a claim was not won."""

    #: the row has its verdict: ack
    ALREADY_DONE = "already_done"
    #: attempts used up, the row is (now) dead: ack
    DEAD = "dead"
    #: no such row: ack
    UNKNOWN_JOB = "unknown_job"
    #: somebody holds a valid lease: never ack, it may yet be needed to bring the job back
    LEASED = "leased"
    #: we have just failed at it for a reason of ours: another node's turn, if there is one
    AVOIDED = "avoided"
    #: this node does not have its language: another node's turn
    UNFIT = "unfit"


@dataclass(frozen=True, slots=True)
class Held:
    """A claim as the heartbeat names it."""

    job_id: str
    attempt_id: int


class FinalizeRefusal(enum.StrEnum):
    """Why a verdict was not written (fencing); the row is as it was."""

    STALE_ATTEMPT = "stale_attempt"
    ALREADY_FINISHED = "already_finished"
    NOT_IN_EXPECTED_STATE = "not_in_expected_state"
    LEASE_LOST = "lease_lost_or_owner_mismatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileResult:
    """How the compiler fared; ``output`` is what it said, cut."""

    ok: bool
    #: CPU time of the compilation, whenever it was
    time_ms: int
    output: str
    #: the same sources had been compiled before, and this is what came of it then
    cached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Borderline:
    """Runs of a test whose CPU time was close to its limit: the first, and the last one, which counts."""

    first_ms: int
    first_status: Verdict
    again_ms: int
    again_status: Verdict
    limit_ms: int
    margin_percent: float
    #: whether the run that counts had the node's box to itself
    alone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """One test of a submission (contract §3, ``tests[]``)."""

    __test__ = False  # not a pytest class

    name: str
    status: Verdict
    group: str = ""
    score: float = 0.0
    cpu_ms: int = 0
    wall_ms: int = 0
    memory_kb: int = 0
    exit_code: int = 0
    exit_signal: int = 0
    reason: str = ""
    checker_message: str = ""
    stdout_len: int = 0
    truncated_stdout: bool = False
    stderr_len: int = 0
    truncated_stderr: bool = False
    #: its input and answer are no secret
    sample: bool = False
    #: set if it was run twice
    borderline: Borderline | None = None
    #: of everything that decided it (``judging.reuse``); empty: it is not known, so nobody may take the test over
    fingerprint: str = ""
    #: the attempt that ran it, of a test that was taken over from an earlier judging
    reused_attempt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupResult:
    """One test group of a submission (``groups[]``); the root group has the empty name."""

    name: str
    #: None: nothing of it failed, and not all of it was judged
    status: Verdict | None
    score: float
    #: None: the package sets no bound
    max_score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What judging one attempt found: the body of the verdict."""

    status: Verdict
    score: float
    #: worst CPU of a test
    time_used_ms: int
    memory_used_kb: int
    wall_ms: int
    language: str
    problem_version: str
    isolation: Isolation
    compile: CompileResult | None
    tests: tuple[TestResult, ...] = ()
    groups: tuple[GroupResult, ...] = ()
    explanation: tuple[Mapping[str, Any], ...] = ()
    #: what judging cost us beside the program's own time: for measuring, not part of the result
    compile_wall_ms: int = 0
    run_wall_ms: int = 0


@dataclass(frozen=True, slots=True)
class Infra:
    """Judging could not be carried out for a reason of ours: to be tried again, never the contestant's fault.

    ``outage``: something under us is away, for this job as for every other. Such an attempt does not count against the
    job's bound, or an object store that is away for some minutes would turn every waiting job into a dead letter.
    """

    code: str
    message: str
    outage: bool = False


# ---------------------------------------------------------------------------------------------------------------------
# Custom runs (``POST /api/v1/run``): a program on an input of its author's, judged by nobody

#: what a run's id begins with: a stream entry's ``job_id`` that does is a run's, and wakes whoever has room for one
RUN_ID_PREFIX = "run-"


class CustomStatus(enum.StrEnum):
    """What a custom run came to. Nothing is compared, so nothing is accepted or wrong."""

    #: it ended by itself with exit code 0
    FINISHED = "Finished"
    COMPILE_ERROR = "Compile Error"
    TIME_LIMIT_EXCEEDED = "Time Limit Exceeded"
    MEMORY_LIMIT_EXCEEDED = "Memory Limit Exceeded"
    OUTPUT_LIMIT_EXCEEDED = "Output Limit Exceeded"
    RUNTIME_ERROR = "Runtime Error"
    SYSTEM_ERROR = "System Error"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomDraft:
    """A custom run as its author sent it, already well-formed, its limits within the operator's."""

    user_id: int
    #: a language key such as ``cpp17``
    language: str
    code: str
    stdin: bytes
    time_limit_ms: int
    memory_limit_kb: int
    trace_id: str


@dataclass(frozen=True, slots=True)
class CustomReceipt:
    """A custom run that was taken, and when, by the database's clock."""

    run_id: str
    at_ms: int


class CustomRefusal(enum.StrEnum):
    """Why a custom run was not taken; the member's value is the HTTP code word."""

    INFLIGHT_CAP_REACHED = "INFLIGHT_CAP_REACHED"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomRun:
    """A custom run as its author may read it back."""

    run_id: str
    user_id: int
    language: str
    time_limit_ms: int
    memory_limit_kb: int
    #: never ``dead``: nobody decides about a run
    state: State
    #: ``pending``, ``running`` or a ``CustomStatus``
    status: str
    attempt_id: int
    #: ``ATTEMPTS_EXHAUSTED``, or ``RUN_EXPIRED``: it waited too long
    error_code: str | None = None
    #: measures (``judging.custom_runs``), once it was run
    result: Mapping[str, Any] | None = None
    #: what was kept of what it printed
    stdout: bytes = b""
    stderr: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomClaim(Sources):
    """The right, for as long as the lease lives, to make one attempt at a custom run."""

    run_id: str
    attempt_id: int
    lease_owner: str
    user_id: int
    language: str
    stdin: bytes
    time_limit_ms: int
    memory_limit_kb: int
    trace_id: str
    #: when it was taken, and between that and this claim; the database's clock
    at_ms: int
    waited_ms: int

    @property
    def job_id(self) -> str:
        """As whatever is in hand is called: in leases and directories."""
        return self.run_id


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomReport:
    """What came of running it."""

    status: CustomStatus
    isolation: Isolation
    compile: CompileResult | None
    limits: RunLimits
    #: None: it was not compiled
    outcome: RunOutcome | None
    explanation: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class CustomSwept:
    """What a round of the broom did: the ids of the runs it ended, how many it deleted."""

    ended: tuple[str, ...]
    deleted: int


# ---------------------------------------------------------------------------------------------------------------------
# Dead letters and the ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A submission whose attempts are used up, waiting for a person. Times are ISO 8601, the database's clock."""

    #: the row's; pages go by it, newest first
    id: int
    job_id: str
    user_id: int
    username: str
    problem_id: int
    language: str
    judging: int
    #: the attempt it died with: what is decided about it names this one
    attempt_id: int
    #: how many attempts of this judging counted
    attempts: int
    error_code: str | None
    error_message: str | None
    trace_id: str
    created_at: str
    died_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEvent:
    """One row of the ledger (contract §4, ``attempts``)."""

    judging: int
    attempt_id: int
    event: str
    node: str | None
    outcome: str | None
    detail: str | None
    isolation: str | None
    stream_entry_id: str | None
    #: ISO 8601
    lease_until: str | None
    created_at: str


class Decision(enum.StrEnum):
    """What a person may decide about a dead letter; the value is the ledger's event."""

    REQUEUE = "requeued"
    DISCARD = "discarded"


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision that stands. ``repeated``: it stood already."""

    job_id: str
    attempt_id: int
    repeated: bool = False


class LetterRefusal(enum.StrEnum):
    """Why nothing was decided about a dead letter."""

    UNKNOWN_JOB = "unknown_job"
    #: it is not, or no longer, a dead letter
    NOT_DEAD = "not_dead"
    #: it has died again since, with a later attempt than the one that was named
    STALE_ATTEMPT = "stale_attempt"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedEvent:
    """A row of the ledger, as the audit needs it."""

    judging: int
    attempt_id: int
    event: str
    node: str | None
    outcome: str | None
    #: whether it was written before the end of the lease that it names; None where it names none
    in_lease: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedJob:
    """A submission and all that the ledger says of it, in the ledger's order, as of one moment."""

    id: int
    job_id: str
    state: str
    status: str
    judging: int
    attempt_id: int
    lease_owner: str | None
    #: whether its lease is valid
    leased: bool
    result_status: str | None
    #: as the result has them: which attempt of which job it is of
    result_attempt: str | None
    result_job: str | None
    age_s: float
    events: tuple[AuditedEvent, ...]


# ---------------------------------------------------------------------------------------------------------------------
# Webhooks


class CallbackRefusal(enum.StrEnum):
    """Why a callback URL is not acceptable."""

    #: no secret to sign with, or switched off
    SWITCHED_OFF = "switched_off"
    #: no URL, or one that two parsers may read in two ways
    MALFORMED = "malformed"
    #: neither http nor https
    SCHEME = "scheme"
    #: it carries a user or a password
    CREDENTIALS = "credentials"
    #: a port of another service
    PORT = "port"
    #: not on the list of allowed hosts
    HOST = "host"
    #: not a public address
    ADDRESS = "address"


class HookStatus(enum.StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    #: the receiver has answered 2xx
    DELIVERED = "delivered"
    #: nobody tries any more; an administrator may send it round again
    GIVEN_UP = "given_up"


class HookFailure(enum.StrEnum):
    """Why a try to deliver failed. Words of ours only: what a receiver says is kept nowhere."""

    #: no name server knows the host
    NAME = "name"
    #: the host has an address that may not be called, or the URL is not allowed any more
    FORBIDDEN = "forbidden"
    CONNECTION = "connection"
    TLS = "tls"
    TIMEOUT = "timeout"
    #: it answered, but not as HTTP does
    PROTOCOL = "protocol"
    #: it answered, but not 2xx
    HTTP = "http"
    #: it answered 410: never again
    GONE = "gone"
    #: the submission's owner is disabled: not tried
    ACCOUNT_DISABLED = "account_disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A delivery that has been taken and is to be tried."""

    id: int
    #: what the receiver knows it by, the same over all tries
    delivery_id: str
    job_id: str
    judging: int
    attempt_id: int
    #: ``done`` or ``dead``
    event: str
    #: the submission's ``status`` at that moment
    verdict: str
    error_code: str | None
    #: ``scheme://host[:port]`` of ``url``
    target: str
    url: str
    user_id: int
    problem_id: int
    language: str
    trace_id: str
    #: the result object of that judging, in full; None: a dead letter
    result: Mapping[str, Any] | None
    #: takings, this one included: what comes of it is settled under this number
    attempts: int
    #: of these, those since it was sent round the last time
    tries: int
    #: rotations of the owner's signing secret
    secret_epoch: int
    owner_is_disabled: bool
    #: the database's clock at the taking, Unix seconds
    sent_at_s: int
    #: ISO 8601
    created_at: str


@dataclass(frozen=True, slots=True)
class HookRequest:
    """What is POSTed."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """What came of one POST. ``failure`` is None exactly for a 2xx."""

    failure: HookFailure | None
    #: None: there was no answer
    http_status: int | None = None
    #: what a ``Retry-After`` in seconds asks for
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class DueHooks:
    """Due deliveries of one account to one target, earliest first. ``is_last``: the search ended here, not at the
    account's last target."""

    user_id: int
    target: str
    ids: tuple[int, ...]
    is_last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HookStanding:
    """A delivery as people see it. Times are ISO 8601, the database's clock."""

    #: pages go by it
    id: int
    delivery_id: str
    job_id: str
    judging: int
    event: str
    target: str
    status: HookStatus
    attempts: int
    http_status: int | None
    #: a word of HookFailure
    last_error: str | None
    next_attempt_at: str | None
    created_at: str
    ended_at: str | None


@dataclass(frozen=True, slots=True)
class Redelivered:
    """A delivery that goes round again. ``repeated``: it was waiting anyway."""

    job_id: str
    repeated: bool = False


# ---------------------------------------------------------------------------------------------------------------------
# Ways back


@dataclass(frozen=True, slots=True)
class Expired:
    """A page of rows past their retention, by row id, and where the next page begins; 0: there is none."""

    row_ids: tuple[int, ...]
    next_after_id: int


@dataclass(frozen=True, slots=True)
class Stray:
    """An unfinished row that repair looks at, and the latest stream entries that were made for it."""

    id: int
    job_id: str
    entry_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PressureSnapshot:
    """How much waits, and for how long (runbook 4.3). A ``lag`` of None is unknown, never zero.

    The oldest age is that of the oldest entry that was read and not acked (``pending``), or else of the oldest unread
    one (``backlog``), or else of the oldest unfinished row, which has no entry (``database``), or there is none
    (``none``). An event that has waited longer in the outbox stands before these (``outbox``). A rejudge waits by
    design before it is sent: its age counts from there.
    """

    ts_ms: int
    stream_key: str
    group: str
    xlen: int
    pending: int
    lag: int | None
    oldest_age_ms: int | None
    oldest_age_source: str
    #: the age is derived from what nobody has read, from an entry's id, or from a row
    approx: bool
    #: counted to at most ten thousand of each lane; None: not asked for
    outbox: OutboxPending | None = None

    @property
    def outbox_pending(self) -> int | None:
        """Events that were not delivered yet."""
        return None if self.outbox is None else self.outbox.total

    @property
    def waiting(self) -> int | None:
        """Submissions that no worker has read, in the outbox or in the stream; unknown with the lag. The stream holds a
        small window only, so its lag alone says nothing about how much there is to do."""
        return None if self.lag is None else self.lag + (0 if self.outbox is None else self.outbox.submitted)

    @property
    def waiting_at_most(self) -> int:
        """An upper bound of ``waiting`` that is always known."""
        return self.xlen + (0 if self.outbox is None else self.outbox.submitted)

    @property
    def lag_valid(self) -> bool:
        return self.lag is not None

    @property
    def backlog(self) -> int | None:
        """What nobody has read or nobody has acked; unknown with the lag."""
        return None if self.lag is None else self.lag + self.pending

    @property
    def oldest_age_s(self) -> float:
        """0 without anything that waits."""
        return (self.oldest_age_ms or 0) / 1000


# ---------------------------------------------------------------------------------------------------------------------
# Limits


@dataclass(frozen=True, slots=True)
class Quota:
    """At most ``limit`` requests of one ``subject`` (an address, a user) in a window that the first of them opens."""

    #: what is counted, and by what: ``submit:ip``
    kind: str
    subject: str
    limit: int
    window_ms: int

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.subject}"


@dataclass(frozen=True, slots=True)
class Overdrawn:
    """A quota that is used up; its window ends in ``wait_ms`` (1 at least)."""

    quota: Quota
    wait_ms: int


# ---------------------------------------------------------------------------------------------------------------------
# Readiness


class PartState(enum.StrEnum):
    """One dependency or role, as ``ready`` shows it."""

    UP = "up"
    STARTING = "starting"
    RESTARTING = "restarting"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Readiness:
    """The whole node's readiness as a value: ready when every part is up."""

    parts: Mapping[str, PartState] = field(default_factory=dict)
    #: a sentence for each part that is not up
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        return all(state is PartState.UP for state in self.parts.values())


# ---------------------------------------------------------------------------------------------------------------------
# Live results: what is shown of judging while it is under way


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldTests:
    """Tests of one attempt that ended one after the other, each as an element of ``data.tests[]`` (contract §3)."""

    job_id: str
    attempt_id: int
    #: of the first one, counted from 1
    first: int
    #: how many tests there are in all
    count: int
    tests: tuple[Mapping[str, Any], ...]

    @property
    def last(self) -> int:
        return self.first + len(self.tests) - 1


@dataclass(frozen=True, slots=True)
class LiveTest:
    """One test that has ended; ``index`` counts from 1, ``count`` is how many there are in all."""

    index: int
    count: int
    test: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveJob:
    """Where a job stands, and tests of its present attempt; none unless it is being judged."""

    state: State
    status: str
    judging: int
    attempt_id: int
    tests: tuple[LiveTest, ...] = ()


# ---------------------------------------------------------------------------------------------------------------------
# Breakages: raised, declared by the children that may be restarted after them


class Breakage(Exception):
    """Something of ours or under us is broken. The message is one sentence: what, where, what to do."""


class StoreUnavailable(Breakage):
    """PostgreSQL cannot be reached or lost the connection: nothing is known about the statement under way."""


class StoreRefused(StoreUnavailable):
    """PostgreSQL answers and says no to us: wrong password, no such database, no rights. A person has to mend it."""


class StreamUnavailable(Breakage):
    """Redis cannot be reached or lost the connection."""


class StreamRefused(StreamUnavailable):
    """Redis answers and does not let us in or does not let us do it: a wrong password, a missing right, a key of
    another type. Trying again does not help, so a node that meets it at start refuses to start."""


class BlobsUnavailable(Breakage):
    """The object store cannot be reached."""


class BlobsRefused(BlobsUnavailable):
    """The object store answers and does not let us in or does not let us do it: wrong keys, a missing right. Trying
    again does not help, so a node that meets it at start refuses to start."""


class BlobMissing(Breakage):
    """The object store answers, and has no such object."""


class GithubUnavailable(Breakage):
    """GitHub cannot be reached, is too slow, or answers what no such provider answers."""


class TestDataBroken(Breakage):
    """A problem's package on this node, or in the object store, is not what its hash or its rules say."""

    __test__ = False  # not a pytest class


class BoxBroken(Breakage):
    """The sandbox launcher is gone or out of step; runs on it have no outcome."""


class BoxAway(BoxBroken):
    """No sandbox launcher can be had just now, for any job: the run was never begun, so the job is not to blame."""


class ServerFell(Breakage):
    """A supervised server ended by itself."""


class StartRefused(Exception):
    """What was asked for cannot begin: ``str()`` is the one clear line, ``exit_code`` 2 (configuration), 3 (a
    dependency), or of a bench 1 (what it measures went wrong)."""

    def __init__(self, sentence: str, exit_code: int) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


class LeaseLost(Exception):
    """This attempt's lease is gone: somebody else may own the job now. Ends that job's judge and nothing else."""
