"""The vocabulary: ids, states, verdicts, refusals, breakages, and the frozen messages that the steps exchange.

Every other package of deepoj may import this module; it imports none of them. There are two kinds of "no":

* a *refusal* is an answer (an enum member that a step returns, matched exhaustively by its caller);
* a *breakage* is an exception (a store that cannot be reached, a sandbox that failed), and is raised.

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
    """The state of a submission in the database, which alone decides it."""

    #: waiting for a claim
    PENDING = "pending"
    #: claimed: a node holds its lease
    PROCESSING = "processing"
    #: has its final verdict
    DONE = "done"
    #: a dead letter: its attempts are used up, an administrator decides
    DEAD = "dead"


class Verdict(enum.StrEnum):
    """The verdict of a submission or a test. ``INVALID`` is the initial value, so that a forgotten verdict shows."""

    INVALID = "Invalid"
    ACCEPTED = "Accepted"
    WRONG_ANSWER = "Wrong Answer"
    #: only a checker may give it
    PRESENTATION_ERROR = "Presentation Error"
    COMPILE_ERROR = "Compile Error"
    TIME_LIMIT_EXCEEDED = "Time Limit Exceeded"
    MEMORY_LIMIT_EXCEEDED = "Memory Limit Exceeded"
    OUTPUT_LIMIT_EXCEEDED = "Output Limit Exceeded"
    RUNTIME_ERROR = "Runtime Error"
    #: a failure of the judge, never the contestant's
    SYSTEM_ERROR = "System Error"
    #: scored problems only
    PARTIAL = "Partial"


class RunVerdict(enum.StrEnum):
    """The verdict of one execution (judge protocol v1, contract §8). A checker decides whether the output is right."""

    OK = "OK"
    TLE = "TLE"
    MLE = "MLE"
    OLE = "OLE"
    RE = "RE"
    #: the sandbox failed, the program is not to blame
    SE = "SE"


class Isolation(enum.StrEnum):
    """How strongly an execution was contained (contract §8); recorded in each result."""

    WEAK = "weak"
    NAMESPACES = "namespaces"
    FULL = "full"

    @property
    def strength(self) -> int:
        """0 for weak, 1 for namespaces, 2 for full: compare these, not the values."""
        return list(Isolation).index(self)


class Policy(enum.StrEnum):
    """The seccomp policy and the set of mounts of an execution."""

    RUN = "run"
    COMPILE = "compile"


# ---------------------------------------------------------------------------------------------------------------------
# One execution in the sandbox

#: inside the sandbox: directory of ``FileIn.program``
PROGRAM_DIR = "/p"
#: inside the sandbox: directory of the node's own precompiled headers, read-only
HEADERS_DIR = "/h"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """The limits of one execution; the verdict is decided by comparing the measured figures with them."""

    cpu_ms: int
    wall_ms: int
    memory_bytes: int
    #: stdout and stderr together; above it the execution ends as OLE
    output_bytes: int
    #: tasks of this execution, not of the uid
    processes: int = 20
    #: writable scratch (a tmpfs) and the largest file in it
    scratch_bytes: int = 64 * 1024 * 1024
    open_files: int = 64


@dataclass(frozen=True, slots=True)
class FileIn:
    """A host file given to the execution under a plain name (no slash). It is a copy in the scratch directory; a
    ``program`` is not writable, and at ``PROGRAM_DIR/name``, where it stays for the next execution with the same
    file."""

    name: str
    path: Path
    executable: bool = False
    program: bool = False


@dataclass(frozen=True, slots=True)
class FileOut:
    """A regular file copied out of the scratch directory after the execution, unless absent or over ``max_bytes``."""

    name: str
    path: Path
    max_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One execution: command, files and limits. The working directory is the scratch directory."""

    #: argv[0] is an absolute path inside the sandbox, as ``PROGRAM_DIR/name``, or ``./name`` of a file in the scratch
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
    #: how long to wait for the sandbox's other executions to end, and keep new ones out, so that this one is alone;
    #: None: it need not be alone
    alone_within_s: float | None = None
    #: the program's author; None: the node's own work. Time that a user's programs had alone while others waited is
    #: rationed
    user_id: int | None = None


@dataclass(frozen=True, slots=True)
class SandboxError:
    """The failed step of the sandbox and its errno. Reported on a separate channel, so no program can forge it."""

    step: str
    errno: int

    def __str__(self) -> str:
        return f"{self.step}: errno {self.errno}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """The outcome of one execution, decided from measured figures."""

    verdict: RunVerdict
    #: the rule that decided: ok, cpu, wall, memory, output, signal, exit, sandbox
    rule: str
    exit_code: int
    exit_signal: int
    #: of all processes of the execution
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
    #: part of ``wall_ms`` in which other programs kept this one from running, at least; the wall limit excludes it
    delay_ms: int = 0
    #: requested and granted: no other execution of the sandbox ran at the same time
    alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Two executions connected by pipes. ``stdout_len`` of both is the kernel's count of all their writes except those
    to stderr, when last read: not exact, but never less than what a flood of output must be charged for."""

    program: RunOutcome
    interactor: RunOutcome
    #: which one ended, or passed a limit, first; if one only followed the other, it is never taken for the first
    interactor_first: bool
    #: time between the two ends
    apart_ms: int
    #: bytes in the pipes when the program had ended: its output not read by the interactor, and the reverse
    unread_by_interactor: int
    unread_by_program: int
    #: the program was ended because it could no longer change the result: of its outcome only the figures are valid
    program_cut: bool


# ---------------------------------------------------------------------------------------------------------------------
# Accounts and problems


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account without its secret."""

    id: int
    username: str
    email: str | None
    is_admin: bool


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account with what login needs: the argon2id hash and the token epoch, which invalidates older tokens."""

    user: User
    #: empty: the account has no password
    password_hash: str
    token_epoch: int
    #: disabled by an administrator: login is refused
    is_disabled: bool = False


class AccountRefusal(enum.StrEnum):
    """Why an account was not created."""

    USERNAME_TAKEN = "USERNAME_TAKEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account as its owner and administrators see it. Times are ISO 8601."""

    user: User
    #: GitHub's id of the person, None for an account that was registered here
    github_id: str | None
    avatar_url: str | None
    has_password: bool
    #: set by an administrator, and not yet changed by the owner
    password_is_temporary: bool
    is_disabled: bool
    created_at: str
    updated_at: str

    def flat(self) -> dict[str, Any]:
        """Return all fields in one level."""
        user = self.user
        rest = {part.name: getattr(self, part.name) for part in fields(self) if part.name != "user"}
        return {"id": user.id, "username": user.username, "email": user.email, "is_admin": user.is_admin} | rest


class RightsRefusal(enum.StrEnum):
    """Why an account's rights were not changed."""

    UNKNOWN_USER = "UNKNOWN_USER"
    #: the caller is no administrator, or no longer
    NOT_ADMINISTRATOR = "NOT_ADMINISTRATOR"
    #: administrators cannot demote or disable themselves, so there is always one left
    OWN_ACCOUNT = "OWN_ACCOUNT"
    #: no administrator would be left
    LAST_ADMINISTRATOR = "LAST_ADMINISTRATOR"


@dataclass(frozen=True, slots=True)
class GithubPerson:
    """The person whom GitHub has logged in. ``login`` may pass to another one, ``github_id`` (decimal) never."""

    github_id: str
    login: str
    avatar_url: str | None


class GithubRefusal(enum.StrEnum):
    """Why GitHub did not name the person."""

    #: the code is wrong, too old, used before, or another login's
    BAD_CODE = "BAD_CODE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem as the pipeline needs it. ``data_hash`` is the SHA-256 of its package and names the version."""

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
    #: why the package's programs have not been compiled yet, in a sentence for all users; None: no remark
    unchecked: str | None = None
    #: which program does not compile, as a node found later; None: no remark
    broken: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemChange:
    """The changes to a problem; None: unchanged. ``data_path`` and ``data_hash`` go together."""

    title: str | None = None
    description: str | None = None
    difficulty: str | None = None
    time_limit_ms: int | None = None
    memory_limit_mb: int | None = None
    compare: str | None = None
    data_path: str | None = None
    data_hash: str | None = None
    #: goes with these two: None then means no remark
    unchecked: str | None = None


class ProblemRefusal(enum.StrEnum):
    """Why a problem was not deleted."""

    UNKNOWN_PROBLEM = "unknown_problem"
    HAS_SUBMISSIONS = "has_submissions"


# ---------------------------------------------------------------------------------------------------------------------
# Submitting


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One of a submission's several files. ``name`` is plain: no directory, no special meaning to shell or compiler."""

    name: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """A contestant's sources: one text, or several files."""

    #: the source; of several files the entry point's text
    code: str
    #: the name of the file that is ``code``; None: one source was sent, and the language gives its name
    entry_point: str | None = None
    #: the other files, in the order in which they were sent
    beside: tuple[SourceFile, ...] = ()

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """All files, the entry point first; empty if one source was sent."""
        return () if self.entry_point is None else (SourceFile(self.entry_point, self.code), *self.beside)

    def digest(self) -> bytes:
        """Return a digest of the sources: it differs for another text, name or entry point."""
        content = self.code
        if self.entry_point is not None:
            # no text begins with NUL, so this cannot be a single source's
            content = "\0" + json.dumps([self.entry_point, sorted((file.name, file.content) for file in self.files)])
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft(Sources):
    """A submission as its author sent it, already well-formed (types, sizes, UTF-8)."""

    user_id: int
    problem_id: int
    #: a language key such as ``cpp17``
    language: str
    trace_id: str
    idempotency_key: str | None = None
    #: URL that receives the verdict over HTTP, normalized (``pipeline.callback_urls``)
    callback_url: str | None = None

    def digest(self) -> bytes:
        """As that of the sources. It differs for another callback: otherwise the second one would never be called."""
        sources = Sources.digest(self)
        if self.callback_url is None:
            return sources
        return hashlib.sha256(sources + self.callback_url.encode()).digest()


class SubmitRefusal(enum.StrEnum):
    """Why a draft was refused; the member's value is the HTTP error code."""

    PROBLEM_NOT_FOUND = "PROBLEM_NOT_FOUND"
    INFLIGHT_CAP_REACHED = "INFLIGHT_CAP_REACHED"
    USER_INFLIGHT_CAP_REACHED = "USER_INFLIGHT_CAP_REACHED"
    #: the key belongs to a submission with other contents
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A draft that was stored. ``repeated``: an unfinished identical one of the same user already existed."""

    job_id: str
    repeated: bool = False
    #: of a direct submit: the event that its caller has to publish
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
    """A submission in a list: without source, and with a summary of its result."""

    job_id: str
    user_id: int
    username: str
    problem_id: int
    language: str
    state: State
    #: ``pending``, ``running`` or a verdict
    status: str
    judging: int
    #: from the result, once there is one
    score: float | None
    time_used_ms: int | None
    memory_used_kb: int | None
    #: ISO 8601, the database's clock
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class ListPlace:
    """The end of a page of submissions: the database's time of a submission in microseconds since 1970, and its id."""

    created_us: int
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionQuery:
    """Filters of submissions; None: any. ``since`` is included, ``until`` is not; both have a time zone."""

    user_id: int | None = None
    problem_id: int | None = None
    language: str | None = None
    verdict: Verdict | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class SubmissionList:
    """A page, newest first. ``next``: where the following page begins; None: there is none. A page of a query that has
    to pass over many submissions may be short, even empty, and still have a next one."""

    items: tuple[SubmissionItem, ...]
    next: ListPlace | None


# ---------------------------------------------------------------------------------------------------------------------
# Rejudging


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """A verdict superseded by a later judging."""

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
    """A judging that was opened. ``repeated``: it, or a later one, existed already."""

    job_id: str
    judging: int
    repeated: bool = False


class RejudgeRefusal(enum.StrEnum):
    """Why no judging was opened."""

    UNKNOWN_JOB = "unknown_job"
    #: it has no verdict yet that could be replaced
    NOT_FINISHED = "not_finished"
    #: a dead letter: an administrator decides about that first
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class RejudgeOrder:
    """An order to rejudge all submissions that a problem had when it was given, and its progress."""

    id: int
    problem_id: int
    #: the problem's version when the order was given
    problem_version: int
    #: every test is run again
    in_full: bool
    ordered_by: str
    #: number of submissions in the order
    submissions: int
    #: judgings opened so far
    opened: int
    #: submissions that needed no new judging: not judged yet, or dead letters
    passed: int
    finished: bool
    #: the same order existed already
    repeated: bool = False


# ---------------------------------------------------------------------------------------------------------------------
# Outbox and stream


class Priority(enum.IntEnum):
    """The lane of an outbox event; a greater one goes first (pipeline/outbox)."""

    CONTEST = 1
    #: a user waits for the verdict
    INTERACTIVE = 0
    #: many submissions at once, whose verdicts are read later
    BATCH = -1
    REJUDGE = -2


#: every lane, the first to go first
LANES: tuple[Priority, ...] = tuple(sorted(Priority, reverse=True))


@dataclass(frozen=True, slots=True)
class OutboxWaiting:
    """The events that the outbox has for the next round of the dispatcher."""

    #: number of due events per lane that has any, counted to a limit
    due: Mapping[Priority, int]
    #: whether any event is undelivered, due or not
    is_waiting: bool


@dataclass(frozen=True, slots=True)
class OutboxPending:
    """The number of undelivered events per lane that has any."""

    of_lane: Mapping[Priority, int]
    #: of the oldest event except rejudges; None without one
    oldest_age_ms: int | None = None

    @property
    def total(self) -> int:
        return sum(self.of_lane.values())

    @property
    def submitted(self) -> int:
        """The number without rejudges, which wait by design and are not submitted."""
        return self.total - self.of_lane.get(Priority.REJUDGE, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEvent:
    """A row of ``outbox_events`` that a dispatcher has taken and must publish to the stream."""

    id: int
    job_id: str
    stream_key: str
    enqueue_ts_ms: int
    priority: int
    #: the task JSON of contract §5, as text
    payload: str
    #: how often it has been taken, this time included
    attempts: int
    #: why it was written: ``submit``, ``repair``, ``give_back``, ``hand_over``, ``requeue``, ``rejudge``
    event_type: str = "submit"
    trace_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxStanding:
    """The delivery status of an outbox event."""

    status: str
    attempts: int
    last_error: str | None
    stream_entry_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A stream entry as read. It tells a worker to look at a job and decides nothing."""

    entry_id: str
    job_id: str
    enqueue_ts_ms: int
    payload_ref: str
    priority: int
    event_id: int

    @property
    def of_run(self) -> bool:
        """Whether it announces a custom run, which waits in the store, and not a submission."""
        return self.job_id.startswith(RUN_ID_PREFIX)


@dataclass(frozen=True, slots=True)
class BadEntry:
    """An entry that arrived and cannot be decoded."""

    entry_id: str
    reason: str


# ---------------------------------------------------------------------------------------------------------------------
# Claim, lease, finalize


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim(Sources):
    """A won claim: the right to judge one attempt of one job while the lease is valid.

    ``attempt_id`` is the fencing token: it only grows, over all judgings of the job.
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
    #: a node holds a valid lease: never ack, because the entry may still be needed to bring the job back
    LEASED = "leased"
    #: this node has just failed at it for an infrastructure reason: left to another node, if there is one
    AVOIDED = "avoided"
    #: this node does not have its language: left to another node
    UNFIT = "unfit"


@dataclass(frozen=True, slots=True)
class Held:
    """A claim's key in the heartbeat."""

    job_id: str
    attempt_id: int


class FinalizeRefusal(enum.StrEnum):
    """Why a verdict was not written (fencing); the row is unchanged."""

    STALE_ATTEMPT = "stale_attempt"
    ALREADY_FINISHED = "already_finished"
    NOT_IN_EXPECTED_STATE = "not_in_expected_state"
    LEASE_LOST = "lease_lost_or_owner_mismatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileResult:
    """The compiler's result; ``output`` is its output, truncated."""

    ok: bool
    #: CPU time of the compilation, also if it was an earlier one
    time_ms: int
    output: str
    #: the result is of an earlier compilation of the same sources
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
    #: whether the run that counts had the node's sandbox to itself
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
    #: its input and answer are not secret
    sample: bool = False
    #: set if it was run twice
    borderline: Borderline | None = None
    #: of everything that decides the test (``judging.reuse``); empty: unknown, so the test cannot be taken over
    fingerprint: str = ""
    #: the attempt that ran it, if the test was taken over from an earlier judging
    reused_attempt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupResult:
    """One test group of a submission (``groups[]``); the root group has the empty name."""

    name: str
    #: None: no test of it failed, and not all of them were judged
    status: Verdict | None
    score: float
    #: None: the package sets no bound
    max_score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of judging one attempt: the body of the verdict."""

    status: Verdict
    score: float
    #: highest CPU time of a test
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
    #: costs of judging besides the program's own time: for metrics, not part of the result
    compile_wall_ms: int = 0
    run_wall_ms: int = 0


@dataclass(frozen=True, slots=True)
class Infra:
    """Judging failed for an infrastructure reason: to be tried again, never the contestant's fault.

    ``outage``: a dependency is away, for this job as for every other. Such an attempt does not count against the job's
    maximum. Otherwise an object store that is away for some minutes would turn every waiting job into a dead letter.
    """

    code: str
    message: str
    outage: bool = False


# ---------------------------------------------------------------------------------------------------------------------
# Custom runs (``POST /api/v1/run``): a program run on its author's input, without a problem

#: the prefix of a run's id: a stream entry with such a ``job_id`` only wakes a node that has room for a run
RUN_ID_PREFIX = "run-"


class CustomStatus(enum.StrEnum):
    """The status of a custom run. Its output is not compared, so it is neither accepted nor wrong."""

    #: the program ended by itself with exit code 0
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
    """A custom run that was stored, and when, by the database's clock."""

    run_id: str
    at_ms: int


class CustomRefusal(enum.StrEnum):
    """Why a custom run was refused; the member's value is the HTTP error code."""

    INFLIGHT_CAP_REACHED = "INFLIGHT_CAP_REACHED"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomRun:
    """A custom run as its author may read it back."""

    run_id: str
    user_id: int
    language: str
    time_limit_ms: int
    memory_limit_kb: int
    #: never ``dead``: a run has no dead letter
    state: State
    #: ``pending``, ``running`` or a ``CustomStatus``
    status: str
    attempt_id: int
    #: ``ATTEMPTS_EXHAUSTED``, or ``RUN_EXPIRED``: it waited too long
    error_code: str | None = None
    #: measured figures (``judging.custom_runs``), once it was run
    result: Mapping[str, Any] | None = None
    #: the kept part of its output
    stdout: bytes = b""
    stderr: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomClaim(Sources):
    """The right to make one attempt at a custom run while the lease is valid."""

    run_id: str
    attempt_id: int
    lease_owner: str
    user_id: int
    language: str
    stdin: bytes
    time_limit_ms: int
    memory_limit_kb: int
    trace_id: str
    #: when the run was stored, and the time between that and this claim; by the database's clock
    at_ms: int
    waited_ms: int

    @property
    def job_id(self) -> str:
        """The run's id under the name that leases and directories use for every job."""
        return self.run_id


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomReport:
    """The result of running it."""

    status: CustomStatus
    isolation: Isolation
    compile: CompileResult | None
    limits: RunLimits
    #: None: the program did not compile
    outcome: RunOutcome | None
    explanation: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class CustomSwept:
    """The result of a round of the sweeper: the ids of the runs it ended, and how many it deleted."""

    ended: tuple[str, ...]
    deleted: int


# ---------------------------------------------------------------------------------------------------------------------
# Dead letters and the ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A submission whose attempts are used up, which an administrator decides about. Times are ISO 8601, by the
    database's clock."""

    #: the row's id; pages are ordered by it, newest first
    id: int
    job_id: str
    user_id: int
    username: str
    problem_id: int
    language: str
    judging: int
    #: the attempt it died with: a decision about the letter names it
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
    """An administrator's decision about a dead letter; the value is the ledger's event."""

    REQUEUE = "requeued"
    DISCARD = "discarded"


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision that was made. ``repeated``: it had been made already."""

    job_id: str
    attempt_id: int
    repeated: bool = False


class LetterRefusal(enum.StrEnum):
    """Why no decision about a dead letter was made."""

    UNKNOWN_JOB = "unknown_job"
    #: it is not, or no longer, a dead letter
    NOT_DEAD = "not_dead"
    #: it has died again since, with a later attempt than the named one
    STALE_ATTEMPT = "stale_attempt"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedEvent:
    """A row of the ledger, as the audit needs it."""

    judging: int
    attempt_id: int
    event: str
    node: str | None
    outcome: str | None
    #: whether it was written before the end of the lease that it names; None if it names none
    in_lease: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedJob:
    """A submission with all its ledger events, in the ledger's order, as of one moment."""

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
    #: the attempt and the job that the result names
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
    #: not a URL, or one that two parsers may read in two ways
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
    """The status of a delivery."""

    PENDING = "pending"
    #: the receiver has answered 2xx
    DELIVERED = "delivered"
    #: it is not tried any more; an administrator may redeliver it
    GIVEN_UP = "given_up"


class HookFailure(enum.StrEnum):
    """Why a try to deliver failed. These codes only: a receiver's own words are not kept."""

    #: no name server knows the host
    NAME = "name"
    #: the host has an address that may not be called, or the URL is not allowed any more
    FORBIDDEN = "forbidden"
    CONNECTION = "connection"
    TLS = "tls"
    TIMEOUT = "timeout"
    #: it answered, but not in HTTP
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
    #: the id in the request, the same for all tries
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
    #: how often it was taken, this time included; the outcome is settled under this number
    attempts: int
    #: how often since it was last sent by an administrator, or at first
    tries: int
    #: rotations of the owner's signing secret
    secret_epoch: int
    owner_is_disabled: bool
    #: the database's clock when it was taken, Unix seconds
    sent_at_s: int
    #: ISO 8601
    created_at: str


@dataclass(frozen=True, slots=True)
class HookRequest:
    """The request that is POSTed."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """The outcome of one POST. ``failure`` is None exactly for a 2xx."""

    failure: HookFailure | None
    #: None: there was no answer
    http_status: int | None = None
    #: the seconds in the answer's ``Retry-After``
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
    """A delivery as users see it. Times are ISO 8601, the database's clock."""

    #: pages are ordered by it
    id: int
    delivery_id: str
    job_id: str
    judging: int
    event: str
    target: str
    status: HookStatus
    attempts: int
    http_status: int | None
    #: a value of HookFailure
    last_error: str | None
    next_attempt_at: str | None
    created_at: str
    ended_at: str | None


@dataclass(frozen=True, slots=True)
class Redelivered:
    """A delivery that is sent again. ``repeated``: it was waiting already."""

    job_id: str
    repeated: bool = False


# ---------------------------------------------------------------------------------------------------------------------
# Recovery paths


@dataclass(frozen=True, slots=True)
class Expired:
    """A page of rows past their retention, by row id, and where the next page begins; 0: there is none."""

    row_ids: tuple[int, ...]
    next_after_id: int


@dataclass(frozen=True, slots=True)
class Stray:
    """An unfinished row that repair examines, and the latest stream entries that were made for it."""

    id: int
    job_id: str
    entry_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PressureSnapshot:
    """How much waits, and for how long (runbook 4.3). A ``lag`` of None is unknown, never zero.

    The oldest age is that of the oldest entry read and not acked (``pending``), or else of the oldest unread entry
    (``backlog``), or else of the oldest unfinished row, which has no entry (``database``), or there is none (``none``).
    An event that has waited longer in the outbox takes precedence (``outbox``). A rejudge waits by design before it is
    sent: its age counts from then.
    """

    ts_ms: int
    stream_key: str
    group: str
    xlen: int
    pending: int
    lag: int | None
    oldest_age_ms: int | None
    oldest_age_source: str
    #: the age is derived from unread entries, from an entry's id, or from a row
    approx: bool
    #: counted to at most ten thousand per lane; None: not asked for
    outbox: OutboxPending | None = None

    @property
    def outbox_pending(self) -> int | None:
        """The number of undelivered events."""
        return None if self.outbox is None else self.outbox.total

    @property
    def waiting(self) -> int | None:
        """Submissions that no worker has read, in the outbox or in the stream; unknown with the lag. The stream holds a
        small window only, so its lag alone does not show how much there is to do."""
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
        """Entries that are unread or not acked; unknown with the lag."""
        return None if self.lag is None else self.lag + self.pending

    @property
    def oldest_age_s(self) -> float:
        """0 if nothing waits."""
        return (self.oldest_age_ms or 0) / 1000


# ---------------------------------------------------------------------------------------------------------------------
# Limits


@dataclass(frozen=True, slots=True)
class Quota:
    """At most ``limit`` requests of one ``subject`` (an address, a user) in a window that begins with the first one."""

    #: what is counted, and per what: ``submit:ip``
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
    """The state of one dependency or role, as ``ready`` shows it."""

    UP = "up"
    STARTING = "starting"
    RESTARTING = "restarting"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Readiness:
    """The readiness of the whole node: it is ready when every part is up."""

    parts: Mapping[str, PartState] = field(default_factory=dict)
    #: a sentence for each part that is not up
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        return all(state is PartState.UP for state in self.parts.values())


# ---------------------------------------------------------------------------------------------------------------------
# Live results: the progress of judging, shown to watchers


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldTests:
    """Successive tests of one attempt that have ended, each as an element of ``data.tests[]`` (contract §3)."""

    job_id: str
    attempt_id: int
    #: 1-based index of the first one
    first: int
    #: number of all tests
    count: int
    tests: tuple[Mapping[str, Any], ...]

    @property
    def last(self) -> int:
        return self.first + len(self.tests) - 1


@dataclass(frozen=True, slots=True)
class LiveTest:
    """One test that has ended; ``index`` is 1-based, ``count`` is the number of all tests."""

    index: int
    count: int
    test: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveJob:
    """A job's state, and tests of its current attempt; none unless it is being judged."""

    state: State
    status: str
    judging: int
    attempt_id: int
    tests: tuple[LiveTest, ...] = ()


# ---------------------------------------------------------------------------------------------------------------------
# Breakages: raised; a child declares after which of them it may be restarted


class Breakage(Exception):
    """A part of the system, or a dependency, is broken. The message is one sentence: what, where, what to do."""


class StoreUnavailable(Breakage):
    """PostgreSQL cannot be reached, or the connection was lost: the outcome of the current statement is unknown."""


class StoreRefused(StoreUnavailable):
    """PostgreSQL answers and refuses us: wrong password, no such database, no rights. An operator has to fix it."""


class StreamUnavailable(Breakage):
    """Redis cannot be reached or lost the connection."""


class StreamRefused(StreamUnavailable):
    """Redis answers and refuses us: a wrong password, a missing right, a key of another type. Trying again does not
    help, so a node that gets it at the start refuses to start."""


class BlobsUnavailable(Breakage):
    """The object store cannot be reached."""


class BlobsRefused(BlobsUnavailable):
    """The object store answers and refuses us: wrong keys, a missing right. Trying again does not help, so a node that
    gets it at the start refuses to start."""


class BlobMissing(Breakage):
    """The object store answers, and has no such object."""


class GithubUnavailable(Breakage):
    """GitHub cannot be reached, is too slow, or gives an answer that is not an OAuth provider's."""


class TestDataBroken(Breakage):
    """A problem's package, on this node or in the object store, violates its hash or the rules."""

    __test__ = False  # not a pytest class


class BoxBroken(Breakage):
    """The sandbox launcher is gone or violates its protocol; executions in it have no outcome."""


class BoxAway(BoxBroken):
    """No sandbox launcher is available now, for any job: the execution was never begun, so the job is not to blame."""


class ServerFell(Breakage):
    """A supervised server ended by itself."""


class StartRefused(Exception):
    """The requested process cannot start. ``str()`` is the message for the user, ``exit_code`` 2 (configuration), 3 (a
    dependency), or of a benchmark 1 (the measured operation failed)."""

    def __init__(self, sentence: str, exit_code: int) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


class LeaseLost(Exception):
    """This attempt's lease is lost: another node may own the job now. It ends this job's judge and nothing else."""
