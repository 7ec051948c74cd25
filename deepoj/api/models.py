"""What goes in and comes out, as pydantic models: they validate bodies and become the OpenAPI document.

Unknown keys are ignored: old clients send more than we need. Types are strict: ``"1"`` and ``true`` are no numbers.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from quart_schema.pydantic import File

from deepoj.judging.languages import LANGUAGES
from deepoj.judging.outputs import OUTPUTS
from deepoj.words.results import Verdict

#: what a submission's language may be called: a key, or a number in text
_KEYS = [*LANGUAGES, OUTPUTS.key]
_NUMBERS = [language.id for language in LANGUAGES.values() if language.id is not None]
_LANGUAGES: list[JsonValue] = [*_KEYS, *map(str, _NUMBERS)]
_VERDICTS: list[JsonValue] = [verdict.value for verdict in Verdict if verdict is not Verdict.INVALID]
#: ``next`` of a page of submissions; what it says is ours, and may change
LIST_PLACE = "[0-9]{1,17}-[0-9]{1,18}"
#: visible ASCII
IDEMPOTENCY_KEY = "[!-~]{1,255}"


class _In(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Out(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorBody(_Out):
    """What every refusal looks like."""

    error: str = Field(description="one sentence, English or Chinese by Accept-Language")
    code: str = Field(description="the code word to branch on")
    details: Any | None = None


class RegisterBody(_In):
    """A new account."""

    username: str = Field(
        description="3 to 32 characters in NFKC, as which it is kept: letters and digits of any script, and _ . - "
        "(not first)",
        json_schema_extra={"minLength": 1},
    )
    password: str = Field(
        description="at least 6 characters, at most 1024 bytes in UTF-8", json_schema_extra={"minLength": 6}
    )
    email: str | None = Field(None, description="not checked beyond its form", json_schema_extra={"maxLength": 254})


class Registered(_Out):
    """The account that was made."""

    id: int
    username: str


class LoginBody(_In):
    """Who wants in."""

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
    github_id: str | None = Field(description="GitHub's number of the person; null for an account made here")
    avatar_url: str | None
    has_password: bool = Field(description="false for an account from GitHub that has set none")
    password_is_temporary: bool = Field(description="an administrator has set it: choose another")
    created_at: str


class PasswordBody(_In):
    """A new password for one's own account."""

    old_password: str | None = Field(None, description="the one that holds so far; left out where there is none")
    new_password: str = Field(description="at least 6 characters, at most 1024 bytes in UTF-8")


class Redirected(_Out):
    """Where to go: the same as the header Location."""

    location: str


class CallbackQuery(BaseModel):
    """What GitHub sends a browser back with."""

    state: str | None = Field(None, description="as it was sent there; must be the cookie oauth_state, too")
    code: str | None = Field(None, description="to be exchanged for who it is")
    error: str | None = Field(None, description="instead of a code: nobody was let in")


class AccountQuery(BaseModel):
    """Which accounts."""

    name: str | None = Field(None, max_length=64, description="only those whose names begin so, without regard to case")
    limit: int | None = Field(None, ge=1, le=200, description="at most so many; 50 if not given")
    after: str | None = Field(None, max_length=64, description="`next` of the page before this one")


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
    """Accounts, by name."""

    users: list[AccountView]
    next: str | None = Field(description="the value of ?after= that asks for the next page; null at the end")


class PasswordResetBody(_In):
    """A temporary password for somebody."""

    password: str | None = Field(None, description="left out: a random one is made")


class PasswordReset(_Out):
    """Whose password it is now."""

    id: int
    username: str
    password: str | None = Field(description="the one that was made; null where one was sent")


class ProblemForm(_In):
    """A new problem and its tests."""

    title: str | None = Field(None, description="1 to 200 characters; else the package's")
    file: File = Field(
        description="a zip of cases (1.in beside 1.out or 1.ans, in any folder), or a package of Kattis/ICPC, Polygon"
        " or DMOJ"
    )
    description: str = ""
    time_limit: int | None = Field(None, description="milliseconds of CPU a test; else the package's, then the default")
    memory_limit: int | None = Field(None, description="MB a test; else the package's, then the default")
    difficulty: str = ""
    compare: str | None = Field(
        None, description="tokens, exact, floats:abs=1e-9, …; where the package does not say it"
    )


class ProblemCreated(_Out):
    """The problem that was made."""

    id: int
    status: str
    minio_path: str
    unchecked: str | None = Field(None, description="only if so: why the package's programs have not been compiled yet")


class ProblemDeleted(_Out):
    """The problem that is gone."""

    id: int
    status: str


class ProblemChangeForm(_In):
    """What becomes of a problem; what is left out stays as it is."""

    title: str | None = Field(None, description="1 to 200 characters")
    file: File | None = Field(None, description="the new package")
    description: str | None = None
    time_limit: int | None = Field(None, description="milliseconds of CPU a test; else the new package's")
    memory_limit: int | None = Field(None, description="MB a test; else the new package's")
    difficulty: str | None = None
    compare: str | None = Field(None, description="not with a package that says it itself")


class ProblemQuery(BaseModel):
    """Which problems."""

    limit: int | None = Field(None, ge=1, le=200, description="at most so many; 50 if not given")
    after: int | None = Field(None, ge=1, lt=2**63, description="`next` of the page before this one")


class ProblemItem(_Out):
    """A problem in a list."""

    id: int
    title: str
    difficulty: str
    time_limit: int = Field(description="milliseconds of CPU a test")
    memory_limit: int = Field(description="MB a test")
    version: int


class ProblemPage(_Out):
    """Problems, by id."""

    problems: list[ProblemItem]
    next: str | None = Field(description="the value of ?after= that asks for the next page; null at the end")


class DeleteQuery(BaseModel):
    """Whether to delete what hangs on it."""

    force: bool | None = Field(None, description="delete its submissions, too")


class ProblemView(_Out):
    """A problem as everybody sees it."""

    id: int
    title: str
    description: str
    difficulty: str
    time_limit: int = Field(description="milliseconds of CPU a test")
    memory_limit: int = Field(description="MB a test")
    compare: str = Field(description="how outputs are compared; package: as the package says, or by its checker")
    version: int
    unchecked: str | None = Field(
        description="why the programs of the package (checker, interactor) have not been compiled yet; null: nothing to"
        " say"
    )
    broken: str | None = Field(description="which of them was found since not to compile; null: nothing to say")


class LanguageView(_Out):
    """A language that submissions may name by ``id`` or by ``key``."""

    id: int | None
    key: str
    name: str
    version: str | None
    compile: str
    run: str


class LanguageList(_Out):
    """All languages, in the order to show them."""

    languages: list[LanguageView]


class SubmittedFile(_In):
    """One of several files."""

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
        None, description="several files, which are compiled together: at most 64, and 65,536 bytes in all"
    )
    archive: str | None = Field(None, description="the same files as a zip, in base64")
    entry_point: str | None = Field(
        None,
        description="which of the files is compiled or run; may be left out where there is only one, or one that is "
        "called as the language calls a single source (main.cpp, main.py, …)",
    )
    callback_url: str | None = Field(
        None,
        description="http or https, at most 2000 characters, escaped: told of the verdict of each judging by a signed"
        " POST; see GET /api/v1/users/me/webhook-secret",
    )
    time_limit: Annotated[Any, Field(deprecated=True, description="ignored: the problem's limits rule")] = None
    memory_limit: Annotated[Any, Field(deprecated=True, description="ignored: the problem's limits rule")] = None


class SubmitHeaders(BaseModel):
    """What makes a submit that is sent twice one."""

    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        pattern=f"^{IDEMPOTENCY_KEY}$",
        description="stands for the submission as long as that is kept; with anything else (problem, language, sources,"
        " callback) it is refused",
    )


class Submitted(_Out):
    """The job that will bring the verdict."""

    job_id: str
    status: str


class StatusView(_Out):
    """Where a job stands."""

    job_id: str
    status: str = Field(description="Queuing, Judging, then the verdict")
    state: str = Field(description="pending, processing, done or dead")
    data: dict[str, Any] | None = Field(
        description="the result, once there is one. Of hidden tests only administrators see everything: for others"
        " times and memory are rounded up, signals are told by signal_class (crashed, aborted or killed), and what the"
        " program chooses freely (exit_code, stdout_len, …) is null"
    )
    waiting: ErrorBody | None = Field(default=None, description="only there while no node can judge it: why")


class LastEventHeaders(BaseModel):
    """How far a client of an event stream has come."""

    last_event_id: str | None = Field(
        None, alias="Last-Event-ID", description="the id of the last event that was received"
    )


class LiveStream(_Out):
    """Server-sent events, each of this shape."""

    #: instead of JSON
    content_type: ClassVar[str] = "text/event-stream"

    id: str = Field(description="opaque; sent back as Last-Event-ID")
    event: str = Field(description="what it tells", json_schema_extra={"enum": ["state", "test", "done"]})
    data: str = Field(description="one line of JSON", json_schema_extra={"contentMediaType": "application/json"})


class RunBody(_In):
    """A program to run on an input of one's own."""

    language: int | str = Field(
        description="number (1 C++, 2 Java, 3 Python, 4 Go) or key (cpp17, …)",
        json_schema_extra={"enum": [*_NUMBERS, *(name for name in _LANGUAGES if name != OUTPUTS.key)]},
    )
    code: str = Field(description="source text, at most 65,536 bytes in UTF-8, without NUL")
    stdin: str = Field("", description="what it reads, as UTF-8: at most 262,144 bytes; NUL is allowed")
    time_limit: int | None = Field(
        None, ge=1, description="milliseconds of CPU; the operator's default if left out, and never more than allowed"
    )
    memory_limit: int | None = Field(None, ge=1, description="KB; as time_limit")


class RunTaken(_Out):
    """The run that was taken."""

    run_id: str


class RunCompile(_Out):
    """How the compiler fared."""

    ok: bool
    time_ms: int
    output: str


class RunData(_Out):
    """What a run came to. Measures are null where it was not run."""

    attempt_id: int
    language: str
    time_limit: int = Field(description="milliseconds of CPU, as it was applied")
    memory_limit: int = Field(description="KB, as it was applied")
    trace_id: str | None = None
    isolation: str | None = None
    compile: RunCompile | None = Field(None, description="null where there is nothing to compile")
    time_used: int | None = Field(None, description="milliseconds of CPU")
    wall_time: int | None = Field(None, description="milliseconds")
    memory_used: int | None = Field(None, description="KB")
    exit_code: int | None = None
    exit_signal: int | None = Field(None, description="0 if no signal ended it")
    stdout: str | None = Field(description="what was kept of it; null where stdout_base64 has it")
    stdout_base64: str | None = Field(description="of output that is no UTF-8 text; null where stdout has it")
    stdout_len: int = Field(0, description="bytes in all")
    truncated_stdout: bool = Field(False, description="there was more than is kept")
    stderr: str | None = Field(description="as stdout")
    stderr_base64: str | None = Field(description="as stdout_base64")
    stderr_len: int = 0
    truncated_stderr: bool = False
    explanation: list[dict[str, Any]] = Field([], description="machine-readable reasons of a run that did not finish")
    error_code: str | None = Field(
        description="of a System Error: ATTEMPTS_EXHAUSTED (it failed twice for a reason of ours), or RUN_EXPIRED (no"
        " node had room for too long); send it again"
    )


class RunView(_Out):
    """Where a run stands."""

    run_id: str
    status: str = Field(
        description="Queuing, Running, then Finished, Compile Error, Runtime Error, Time Limit Exceeded, Memory Limit"
        " Exceeded, Output Limit Exceeded or System Error"
    )
    state: str = Field(description="pending, processing or done")
    data: RunData | None = Field(description="once it is done")


class FileView(_Out):
    """One of a submission's several files."""

    name: str
    content: str


class SubmissionView(_Out):
    """A submission as its author reads it back."""

    job_id: str
    user_id: int
    problem_id: int
    language: str
    code: str = Field(description="the source; of several files the entry point's")
    entry_point: str | None = Field(description="null where one source was sent")
    files: list[FileView] = Field(description="all files, the entry point first; empty where one source was sent")
    status: str
    state: str
    attempt_id: int
    judging: int
    error_code: str | None
    error_message: str | None = Field(description="for administrators")
    created_at: str
    updated_at: str
    data: dict[str, Any] | None
    judgings: list[JudgingView] = Field(description="the verdict of each judging, in their order; the latest 20")
    callback_url: str | None = Field(default=None, description="who is told of the verdicts")
    webhooks: list[WebhookView] = Field(default=[], description="what became of telling it; the latest 20")


class WebhookView(_Out):
    """What became of telling a callback of one verdict."""

    delivery_id: str = Field(description="the header X-DeepOJ-Delivery, the same at every try")
    job_id: str
    judging: int
    event: str = Field(description="submission.done, or submission.dead: a dead letter")
    target: str = Field(description="scheme, host and port of the callback")
    status: str = Field(description="pending, delivered or given_up")
    attempts: int
    http_status: int | None = Field(description="of the latest answer")
    error: str | None = Field(
        description="why the latest try failed: name, forbidden, connection, tls, timeout, protocol, http or gone"
    )
    next_attempt_at: str | None
    created_at: str
    ended_at: str | None


class WebhookQuery(BaseModel):
    """Which deliveries."""

    limit: int | None = Field(None, ge=1, le=200, description="at most so many; 50 if not given")
    before: int | None = Field(None, ge=1, lt=2**63, description="`next` of the page before this one")


class WebhookPage(_Out):
    """Deliveries that were given up, newest first."""

    webhooks: list[WebhookView]
    next: str | None = Field(description="the value of ?before= that asks for the next page; null at the end")


class RedeliveredView(_Out):
    """A delivery that goes round again."""

    delivery_id: str
    job_id: str
    repeated: bool = Field(description="it was waiting anyway")


class WebhookSecret(_Out):
    """What one's webhooks are signed with."""

    secret: str


class SubmissionListQuery(BaseModel):
    """Which submissions."""

    limit: int | None = Field(None, ge=1, le=200, description="at most so many; 50 if not given")
    before: str | None = Field(None, pattern=f"^{LIST_PLACE}$", description="`next` of the page before this one")
    problem_id: int | None = Field(None, ge=1, lt=2**63, description="to this problem")
    user_id: int | None = Field(None, ge=1, lt=2**63, description="of this account; others' need an administrator")
    verdict: str | None = Field(None, json_schema_extra={"enum": _VERDICTS}, description="finished with this verdict")
    language: str | None = Field(None, json_schema_extra={"enum": _LANGUAGES}, description="number or key")
    since: dt.datetime | None = Field(None, description="sent at this time (RFC 3339, with + as %2B) or later")
    until: dt.datetime | None = Field(None, description="sent before this time")


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
    score: float | None = Field(description="once there is a result")
    time_used: int | None = Field(
        description="milliseconds of CPU, of the worst test; rounded up, but for administrators"
    )
    memory_used: int | None = Field(description="KB, of the worst test; rounded up, but for administrators")
    created_at: str
    updated_at: str


class SubmissionPage(_Out):
    """Submissions, newest first."""

    submissions: list[SubmissionItemView]
    next: str | None = Field(
        description="the value of ?before= that asks for the next page; null at the end. A page that had to pass over "
        "many others may be short, even empty, before the end"
    )


class RejudgeQuery(BaseModel):
    """How to judge a submission anew."""

    full: bool | None = Field(None, description="run every test again, also those that nothing has changed of")
    judging: int | None = Field(
        None,
        ge=1,
        lt=2**31,
        description="the judging whose verdict is to be replaced: asked twice about the same it is opened once",
    )


class RejudgeProblemQuery(BaseModel):
    """How to judge a problem's submissions anew."""

    full: bool | None = Field(None, description="run every test again, also those that nothing has changed of")


class RejudgedView(_Out):
    """The judging that was opened."""

    job_id: str
    judging: int
    repeated: bool = Field(description="it, or a later one, stood already")


class RejudgeOrderView(_Out):
    """A rejudge of a problem, and how far it has come."""

    problem_id: int
    problem_version: int = Field(description="the problem's, when it was ordered")
    full: bool
    ordered_by: str
    submissions: int = Field(description="how many there were when it was ordered")
    opened: int = Field(description="judgings opened so far")
    passed: int = Field(description="submissions that needed none: not judged yet, or dead letters")
    finished: bool
    repeated: bool = Field(description="the same order stood already")


class JudgingView(_Out):
    """The verdict of one judging."""

    judging: int
    attempt_id: int
    status: str
    error_code: str | None
    finished_at: str
    data: dict[str, Any] | None


class LetterView(_Out):
    """A dead letter: its attempts are used up, an administrator decides."""

    job_id: str
    user_id: int
    username: str
    problem_id: int
    language: str
    judging: int
    attempt_id: int = Field(description="the attempt it died with; name it when you decide")
    attempts: int = Field(description="how many attempts counted against the bound")
    error_code: str | None
    error_message: str | None
    trace_id: str
    created_at: str
    died_at: str


class LetterQuery(BaseModel):
    """Which dead letters."""

    limit: int | None = Field(None, ge=1, le=200, description="at most so many; 50 if not given")
    before: int | None = Field(None, ge=1, lt=2**63, description="`next` of the page before this one")


class LetterPage(_Out):
    """Dead letters, newest submission first."""

    letters: list[LetterView]
    next: str | None = Field(description="the value of ?before= that asks for the next page; null at the end")


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
    """A dead letter and how it came to be one."""

    letter: LetterView
    events: list[LedgerEventView] = Field(description="the ledger's, oldest first, the latest 200")


class DecisionBody(_In):
    """What an administrator decides about a dead letter."""

    attempt_id: int | None = Field(
        None,
        description="the attempt it died with: the same decision again is then answered with repeated",
        json_schema_extra={"minimum": 0, "maximum": 2**63 - 1},
    )
    note: str = Field(
        "", description="why; kept in the ledger; at most 500 characters", json_schema_extra={"maxLength": 500}
    )


class DecisionView(_Out):
    """The decision that stands."""

    job_id: str
    attempt_id: int
    decision: str = Field(description="requeued or discarded")
    repeated: bool = Field(description="it stood already")


class Health(_Out):
    """The process lives."""

    status: str


class PartView(BaseModel):
    """One dependency or role."""

    state: str
    reason: str | None = None


class ReadyView(_Out):
    """Each dependency and role with its state."""

    ready: bool
    parts: dict[str, PartView]


def reply(model: _Out) -> dict[str, Any]:
    """The JSON object of an answer."""
    return model.model_dump(mode="json")
