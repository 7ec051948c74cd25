"""Request and response bodies as pydantic models: they validate requests and generate the OpenAPI document.

Unknown keys of requests are ignored, because old clients send more than the API needs. Types are strict: ``"1"`` and
``true`` are not numbers.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from quart_schema.pydantic import File

from deepoj.judging.languages import LANGUAGES
from deepoj.judging.outputs import OUTPUTS
from deepoj.words.results import Verdict

#: accepted values of a submission's ``language``: keys, and numbers as text
_KEYS = [*LANGUAGES, OUTPUTS.key]
_NUMBERS = [language.id for language in LANGUAGES.values() if language.id is not None]
_LANGUAGES: list[JsonValue] = [*_KEYS, *map(str, _NUMBERS)]
_VERDICTS: list[JsonValue] = [verdict.value for verdict in Verdict if verdict is not Verdict.INVALID]
#: pattern of ``next`` in a page of submissions; its contents are opaque to clients and may change
LIST_PLACE = "[0-9]{1,17}-[0-9]{1,18}"
#: visible ASCII
IDEMPOTENCY_KEY = "[!-~]{1,255}"


class _In(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Out(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorBody(_Out):
    """Body of every error response."""

    error: str = Field(description="one sentence, English or Chinese by Accept-Language")
    code: str = Field(description="error code, for clients to branch on")
    details: Any | None = None


class RegisterBody(_In):
    """A new account."""

    username: str = Field(
        description="3 to 32 characters, stored in NFKC form: letters and digits of any script, and _ . - (not first)",
        json_schema_extra={"minLength": 1},
    )
    password: str = Field(
        description="at least 6 characters, at most 1024 bytes in UTF-8", json_schema_extra={"minLength": 6}
    )
    email: str | None = Field(None, description="only its form is checked", json_schema_extra={"maxLength": 254})


class Registered(_Out):
    """The account that was created."""

    id: int
    username: str


class LoginBody(_In):
    """Login request."""

    username: str
    password: str


class LoggedIn(_Out):
    """A bearer token for the ``Authorization`` header."""

    token: str
    username: str
    user_id: int


class Profile(_Out):
    """The account that a token belongs to."""

    id: int
    username: str
    email: str | None
    is_admin: bool
    github_id: str | None = Field(description="the user's id at GitHub; null for an account registered here")
    avatar_url: str | None
    has_password: bool = Field(description="false for a GitHub account without a password of its own")
    password_is_temporary: bool = Field(description="true if an administrator set it: choose a new one")
    created_at: str


class PasswordBody(_In):
    """A new password for the user's own account."""

    old_password: str | None = Field(None, description="the current password; omit it if the account has none")
    new_password: str = Field(description="at least 6 characters, at most 1024 bytes in UTF-8")


class Redirected(_Out):
    """Redirect target, the same as the header Location."""

    location: str


class CallbackQuery(BaseModel):
    """Query parameters with which GitHub redirects the browser back."""

    state: str | None = Field(None, description="the state sent to GitHub; must equal the cookie oauth_state")
    code: str | None = Field(None, description="authorization code, exchanged for the user's identity")
    error: str | None = Field(None, description="sent instead of a code if the login was refused")


class AccountQuery(BaseModel):
    """Filter and page of accounts."""

    name: str | None = Field(None, max_length=64, description="only names that begin with this, case-insensitively")
    limit: int | None = Field(None, ge=1, le=200, description="maximum number of entries; default 50")
    after: str | None = Field(None, max_length=64, description="`next` of the previous page")


class AccountView(_Out):
    """An account as administrators see it."""

    id: int
    username: str
    email: str | None
    is_admin: bool
    is_disabled: bool
    github_id: str | None
    avatar_url: str | None
    has_password: bool
    password_is_temporary: bool
    created_at: str
    updated_at: str


class AccountPage(_Out):
    """Accounts, sorted by name."""

    users: list[AccountView]
    next: str | None = Field(description="value of ?after= for the next page; null on the last page")


class PasswordResetBody(_In):
    """A temporary password for another user's account."""

    password: str | None = Field(None, description="if omitted, a random one is generated")


class PasswordReset(_Out):
    """The account whose password was reset."""

    id: int
    username: str
    password: str | None = Field(description="the generated password; null if the request contained one")


class ProblemForm(_In):
    """A new problem and its tests."""

    title: str | None = Field(None, description="1 to 200 characters; default: the package's title")
    file: File = Field(
        description="a zip of test cases (1.in beside 1.out or 1.ans, in any folder), or a Kattis/ICPC, Polygon or"
        " DMOJ package"
    )
    description: str = ""
    time_limit: int | None = Field(None, description="CPU ms per test; default: the package's, then the server's")
    memory_limit: int | None = Field(None, description="MB per test; default: the package's, then the server's")
    difficulty: str = ""
    compare: str | None = Field(
        None, description="tokens, exact, floats:abs=1e-9, …; only if the package does not define it"
    )


class ProblemCreated(_Out):
    """The problem that was created."""

    id: int
    status: str
    minio_path: str
    unchecked: str | None = Field(None, description="why the package's programs are not compiled yet; null otherwise")


class ProblemDeleted(_Out):
    """The problem that was deleted."""

    id: int
    status: str


class ProblemChangeForm(_In):
    """Changes of a problem; omitted fields stay unchanged."""

    title: str | None = Field(None, description="1 to 200 characters")
    file: File | None = Field(None, description="the new package")
    description: str | None = None
    time_limit: int | None = Field(None, description="CPU milliseconds per test; default: the new package's")
    memory_limit: int | None = Field(None, description="MB per test; default: the new package's")
    difficulty: str | None = None
    compare: str | None = Field(None, description="not allowed with a package that defines it")


class ProblemQuery(BaseModel):
    """Page of problems."""

    limit: int | None = Field(None, ge=1, le=200, description="maximum number of entries; default 50")
    after: int | None = Field(None, ge=1, lt=2**63, description="`next` of the previous page")


class ProblemItem(_Out):
    """A problem in a list."""

    id: int
    title: str
    difficulty: str
    time_limit: int = Field(description="CPU milliseconds per test")
    memory_limit: int = Field(description="MB per test")
    version: int


class ProblemPage(_Out):
    """Problems, sorted by id."""

    problems: list[ProblemItem]
    next: str | None = Field(description="value of ?after= for the next page; null on the last page")


class DeleteQuery(BaseModel):
    """Whether to delete the problem's submissions with it."""

    force: bool | None = Field(None, description="delete its submissions too")


class ProblemView(_Out):
    """The public view of a problem."""

    id: int
    title: str
    description: str
    difficulty: str
    time_limit: int = Field(description="CPU milliseconds per test")
    memory_limit: int = Field(description="MB per test")
    compare: str = Field(description="how outputs are compared; package: as the package defines, or by its checker")
    version: int
    unchecked: str | None = Field(
        description="why the programs of the package (checker, interactor) have not been compiled yet; null have"
    )
    broken: str | None = Field(description="which of these programs failed to compile later; null if none")


class LanguageView(_Out):
    """A language. Submissions name it by ``id`` or by ``key``."""

    id: int | None
    key: str
    name: str
    version: str | None
    compile: str
    run: str


class LanguageList(_Out):
    """All languages, in display order."""

    languages: list[LanguageView]


class SubmittedFile(_In):
    """One file of a submission with several files."""

    name: str = Field(description="1 to 64 letters, digits and _ . + - (not first: . + -); no folders")
    content: str = Field(description="text in UTF-8 without NUL")


class SubmitBody(_In):
    """A submission: ``code``, or ``files``, or ``archive``."""

    problem_id: int
    language: int | str = Field(
        description="number (1 C++, 2 Java, 3 Python, 4 Go) or key (cpp17, …); text: outputs",
        json_schema_extra={"enum": [*_NUMBERS, *_LANGUAGES]},
    )
    code: str | None = Field(None, description="source text, at most 65,536 bytes in UTF-8, without NUL")
    files: list[SubmittedFile] | None = Field(
        None, description="several files that are compiled together: at most 64, with at most 65,536 bytes in total"
    )
    archive: str | None = Field(None, description="the same files as a zip, in base64")
    entry_point: str | None = Field(
        None,
        description="the file that is compiled or run; may be omitted if there is only one file, or one with the "
        "language's usual name (main.cpp, main.py, …)",
    )
    callback_url: str | None = Field(
        None,
        description="http or https URL, at most 2000 characters, escaped: receives the verdict of each judging as a"
        " signed POST; see GET /api/v1/users/me/webhook-secret",
    )
    time_limit: Annotated[Any, Field(deprecated=True, description="ignored: the problem's limits apply")] = None
    memory_limit: Annotated[Any, Field(deprecated=True, description="ignored: the problem's limits apply")] = None


class SubmitHeaders(BaseModel):
    """Header that makes repeated requests create one submission only."""

    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        pattern=f"^{IDEMPOTENCY_KEY}$",
        description="identifies the submission as long as it is kept; the same key with another problem, language,"
        " sources or callback is refused",
    )


class Submitted(_Out):
    """The job that judges the submission."""

    job_id: str
    status: str


class StatusView(_Out):
    """State and result of a job."""

    job_id: str
    status: str = Field(description="Queuing, Judging, then the verdict")
    state: str = Field(description="pending, processing, done or dead")
    data: dict[str, Any] | None = Field(
        description="the result, once there is one. Only administrators see all fields of hidden tests: for others,"
        " times and memory are rounded up, signals are reduced to signal_class (crashed, aborted or killed), and values"
        " that the program can choose freely (exit_code, stdout_len, …) are null"
    )
    waiting: ErrorBody | None = Field(default=None, description="why no node can judge it now; otherwise absent")


class LastEventHeaders(BaseModel):
    """Header with which a client resumes an event stream."""

    last_event_id: str | None = Field(None, alias="Last-Event-ID", description="id of the last event received")


class LiveStream(_Out):
    """Server-sent events, each of this shape."""

    #: replaces application/json in the OpenAPI document
    content_type: ClassVar[str] = "text/event-stream"

    id: str = Field(description="opaque; send it back as Last-Event-ID")
    event: str = Field(description="kind of the event", json_schema_extra={"enum": ["state", "test", "done"]})
    data: str = Field(description="one line of JSON", json_schema_extra={"contentMediaType": "application/json"})


class RunBody(_In):
    """A program and the input to run it on."""

    language: int | str = Field(
        description="number (1 C++, 2 Java, 3 Python, 4 Go) or key (cpp17, …)",
        json_schema_extra={"enum": [*_NUMBERS, *(name for name in _LANGUAGES if name != OUTPUTS.key)]},
    )
    code: str = Field(description="source text, at most 65,536 bytes in UTF-8, without NUL")
    stdin: str = Field("", description="the program's standard input in UTF-8: at most 262,144 bytes; NUL is allowed")
    time_limit: int | None = Field(
        None, ge=1, description="CPU milliseconds; default and maximum are set by the operator"
    )
    memory_limit: int | None = Field(None, ge=1, description="KB; as time_limit")


class RunTaken(_Out):
    """The run that was accepted."""

    run_id: str


class RunCompile(_Out):
    """Result of the compilation."""

    ok: bool
    time_ms: int
    output: str


class RunData(_Out):
    """Result of a run. Measurements are null if the program was not run."""

    attempt_id: int
    language: str
    time_limit: int = Field(description="CPU milliseconds, as applied")
    memory_limit: int = Field(description="KB, as applied")
    trace_id: str | None = None
    isolation: str | None = None
    compile: RunCompile | None = Field(None, description="null if the language has no compilation")
    time_used: int | None = Field(None, description="CPU milliseconds")
    wall_time: int | None = Field(None, description="milliseconds")
    memory_used: int | None = Field(None, description="KB")
    exit_code: int | None = None
    exit_signal: int | None = Field(None, description="0 if the program was not ended by a signal")
    stdout: str | None = Field(description="the part of the output that was kept; null if it is in stdout_base64")
    stdout_base64: str | None = Field(description="output that is not UTF-8 text; null if it is in stdout")
    stdout_len: int = Field(0, description="total bytes of output")
    truncated_stdout: bool = Field(False, description="true if only the beginning was kept")
    stderr: str | None = Field(description="as stdout")
    stderr_base64: str | None = Field(description="as stdout_base64")
    stderr_len: int = 0
    truncated_stderr: bool = False
    explanation: list[dict[str, Any]] = Field([], description="machine-readable reasons why a run did not finish")
    error_code: str | None = Field(
        description="for System Error: ATTEMPTS_EXHAUSTED (failed twice because of the system), or RUN_EXPIRED (no"
        " node had a free slot in time); send the run again"
    )


class RunView(_Out):
    """State and result of a run."""

    run_id: str
    status: str = Field(
        description="Queuing, Running, then Finished, Compile Error, Runtime Error, Time Limit Exceeded, Memory Limit"
        " Exceeded, Output Limit Exceeded or System Error"
    )
    state: str = Field(description="pending, processing or done")
    data: RunData | None = Field(description="the result, once there is one")


class FileView(_Out):
    """One file of a submission."""

    name: str
    content: str


class SubmissionView(_Out):
    """A submission with its sources, as its author sees it."""

    job_id: str
    user_id: int
    problem_id: int
    language: str
    code: str = Field(description="the source; for several files, the entry point's")
    entry_point: str | None = Field(description="null for a single source")
    files: list[FileView] = Field(description="all files, the entry point first; empty for a single source")
    status: str
    state: str
    attempt_id: int
    judging: int
    error_code: str | None
    error_message: str | None = Field(description="for administrators")
    created_at: str
    updated_at: str
    data: dict[str, Any] | None
    judgings: list[JudgingView] = Field(description="the verdicts of the latest 20 judgings, in order")
    callback_url: str | None = Field(default=None, description="URL that receives the verdicts")
    webhooks: list[WebhookView] = Field(default=[], description="the latest 20 deliveries to callback_url")


class WebhookView(_Out):
    """The delivery of one verdict to the callback."""

    delivery_id: str = Field(description="value of the header X-DeepOJ-Delivery, the same in every try")
    job_id: str
    judging: int
    event: str = Field(description="submission.done, or submission.dead: a dead letter")
    target: str = Field(description="scheme, host and port of the callback")
    status: str = Field(description="pending, delivered or given_up")
    attempts: int
    http_status: int | None = Field(description="status of the latest response")
    error: str | None = Field(
        description="why the latest try failed: name, forbidden, connection, tls, timeout, protocol, http or gone"
    )
    next_attempt_at: str | None
    created_at: str
    ended_at: str | None


class WebhookQuery(BaseModel):
    """Page of deliveries."""

    limit: int | None = Field(None, ge=1, le=200, description="maximum number of entries; default 50")
    before: int | None = Field(None, ge=1, lt=2**63, description="`next` of the previous page")


class WebhookPage(_Out):
    """Deliveries that were given up, newest first."""

    webhooks: list[WebhookView]
    next: str | None = Field(description="value of ?before= for the next page; null on the last page")


class RedeliveredView(_Out):
    """A delivery that will be tried again."""

    delivery_id: str
    job_id: str
    repeated: bool = Field(description="true if it was already waiting")


class WebhookSecret(_Out):
    """Secret with which the user's webhooks are signed."""

    secret: str


class SubmissionListQuery(BaseModel):
    """Filter and page of submissions."""

    limit: int | None = Field(None, ge=1, le=200, description="maximum number of entries; default 50")
    before: str | None = Field(None, pattern=f"^{LIST_PLACE}$", description="`next` of the previous page")
    problem_id: int | None = Field(None, ge=1, lt=2**63, description="submissions to this problem")
    user_id: int | None = Field(None, ge=1, lt=2**63, description="of this account; others' require an administrator")
    verdict: str | None = Field(None, json_schema_extra={"enum": _VERDICTS}, description="finished with this verdict")
    language: str | None = Field(None, json_schema_extra={"enum": _LANGUAGES}, description="number or key")
    since: dt.datetime | None = Field(None, description="submitted at or after this time (RFC 3339, with + as %2B)")
    until: dt.datetime | None = Field(None, description="submitted before this time")


class SubmissionItemView(_Out):
    """A submission in a list."""

    job_id: str
    user_id: int
    username: str
    problem_id: int
    language: str
    status: str = Field(description="Queuing, Judging, then the verdict")
    state: str = Field(description="pending, processing, done or dead")
    judging: int
    score: float | None = Field(description="null until there is a result")
    time_used: int | None = Field(
        description="CPU milliseconds of the slowest test; rounded up, except for administrators"
    )
    memory_used: int | None = Field(description="maximum KB of all tests; rounded up, except for administrators")
    created_at: str
    updated_at: str


class SubmissionPage(_Out):
    """Submissions, newest first."""

    submissions: list[SubmissionItemView]
    next: str | None = Field(
        description="value of ?before= for the next page; null on the last page. A page can be short or even empty "
        "before the end if many submissions did not match the filter"
    )


class RejudgeQuery(BaseModel):
    """Options of rejudging a submission."""

    full: bool | None = Field(None, description="run every test again, including unchanged ones")
    judging: int | None = Field(
        None,
        ge=1,
        lt=2**31,
        description="the judging whose verdict is to be replaced: repeated requests with the same number open one"
        " rejudge only",
    )


class RejudgeProblemQuery(BaseModel):
    """Options of rejudging all submissions of a problem."""

    full: bool | None = Field(None, description="run every test again, including unchanged ones")


class RejudgedView(_Out):
    """The judging that was opened."""

    job_id: str
    judging: int
    repeated: bool = Field(description="true if this judging or a later one was already open")


class RejudgeOrderView(_Out):
    """A rejudge of a problem and its progress."""

    problem_id: int
    problem_version: int = Field(description="the problem's version when the rejudge was ordered")
    full: bool
    ordered_by: str
    submissions: int = Field(description="number of submissions when the rejudge was ordered")
    opened: int = Field(description="number of judgings opened so far")
    passed: int = Field(description="number of skipped submissions: not judged yet, or dead letters")
    finished: bool
    repeated: bool = Field(description="true if the same rejudge was already ordered")


class JudgingView(_Out):
    """The verdict of one judging."""

    judging: int
    attempt_id: int
    status: str
    error_code: str | None
    finished_at: str
    data: dict[str, Any] | None


class LetterView(_Out):
    """A dead letter: a submission whose attempts are used up. An administrator requeues or discards it."""

    job_id: str
    user_id: int
    username: str
    problem_id: int
    language: str
    judging: int
    attempt_id: int = Field(description="its last attempt; send it with the decision")
    attempts: int = Field(description="number of attempts counted against the limit")
    error_code: str | None
    error_message: str | None
    trace_id: str
    created_at: str
    died_at: str


class LetterQuery(BaseModel):
    """Page of dead letters."""

    limit: int | None = Field(None, ge=1, le=200, description="maximum number of entries; default 50")
    before: int | None = Field(None, ge=1, lt=2**63, description="`next` of the previous page")


class LetterPage(_Out):
    """Dead letters, newest submission first."""

    letters: list[LetterView]
    next: str | None = Field(description="value of ?before= for the next page; null on the last page")


class LedgerEventView(_Out):
    """One event of a job in the ledger."""

    judging: int
    attempt_id: int
    event: str
    node: str | None
    outcome: str | None
    detail: str | None
    isolation: str | None
    stream_entry_id: str | None
    lease_until: str | None
    created_at: str


class LetterTold(_Out):
    """A dead letter and its history."""

    letter: LetterView
    events: list[LedgerEventView] = Field(description="the latest 200 events of the ledger, oldest first")


class DecisionBody(_In):
    """An administrator's decision about a dead letter."""

    attempt_id: int | None = Field(
        None,
        description="the last attempt of the dead letter: repeating the same decision is then answered with repeated",
        json_schema_extra={"minimum": 0, "maximum": 2**63 - 1},
    )
    note: str = Field(
        "", description="reason, at most 500 characters; kept in the ledger", json_schema_extra={"maxLength": 500}
    )


class DecisionView(_Out):
    """The decision in force."""

    job_id: str
    attempt_id: int
    decision: str = Field(description="requeued or discarded")
    repeated: bool = Field(description="true if it had been made before")


class Health(_Out):
    """The process is alive."""

    status: str


class PartView(BaseModel):
    """State of one dependency or role."""

    state: str
    reason: str | None = None


class ReadyView(_Out):
    """Readiness of the node, with the state of each dependency and role."""

    ready: bool
    parts: dict[str, PartView]


def reply(model: _Out) -> dict[str, Any]:
    """Return the response model as a JSON object."""
    return model.model_dump(mode="json")
