"""``MemoryStore``: the database in memory, for tests of the steps and of the API.

It keeps the contracts of ``deepoj.ports`` to the letter (``tests/contract/test_store_*.py`` runs the same tests against
it and against real PostgreSQL). Every method is atomic: it yields to the scheduler once, before it looks at anything.

Beside the ports it has, for tests only: ``rows``, ``outbox`` and ``ledger`` to look at; ``down`` (every call raises
``StoreUnavailable``); ``break_next(method, applied=…)`` (the next call of one method raises, with or without its
effect: an answer that was lost on the way).
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import trio

from deepoj.words.accounts import AccountRefusal, Credentials, User, UserRole
from deepoj.words.admin_events import AdminAct
from deepoj.words.errors import StoreUnavailable
from deepoj.words.jobs import Claim, ClaimRefusal, Expired, FinalizeRefusal, Held, State, Stray
from deepoj.words.ledger import (
    AuditedEvent,
    AuditedJob,
    ContestDrift,
    DeadLetter,
    Decided,
    Decision,
    LedgerEvent,
    LetterRefusal,
)
from deepoj.words.live import EndedTests, LiveJob, LiveTest
from deepoj.words.marks import SolvedProblem
from deepoj.words.names import name_key
from deepoj.words.outbox import LANES, WAITED_FOR, OutboxEvent, OutboxPending, OutboxWaiting, Priority
from deepoj.words.problems import Problem, ProblemChange, ProblemOrder, ProblemRefusal, ProblemSearch, Visibility
from deepoj.words.rejudges import (
    EVERYTHING,
    Judging,
    Rejudged,
    RejudgeOrder,
    RejudgeRefusal,
    RejudgeScope,
    VerdictChange,
)
from deepoj.words.results import Report, Verdict
from deepoj.words.roster import SILENT_S, AnnouncedNode, NodeFacts
from deepoj.words.statements import StatementEdits, StatementSet
from deepoj.words.stream import Entry
from deepoj.words.submissions import (
    Draft,
    ListPlace,
    Receipt,
    Submission,
    SubmissionItem,
    SubmissionList,
    SubmissionQuery,
    SubmitRefusal,
    TimeCount,
    VerdictCount,
)
from tests.fakes.access_tokens import AccessTokenRow
from tests.fakes.account_data import MemoryAccountData
from tests.fakes.batches import KeptBatches, MemoryBatches
from tests.fakes.groups import MemoryGroups
from tests.fakes.marks import MemoryMarks
from tests.fakes.ports import MemoryPorts
from tests.fakes.previews import MemoryPreviews, PreviewRow
from tests.fakes.reruns import MemoryReruns, RerunRow
from tests.fakes.runs import MemoryRuns
from tests.fakes.statements import MemoryStatements
from tests.fakes.verifications import MemoryVerifications, VerificationRow
from tests.fakes.webhooks import EPOCH, MemoryWebhooks


def _difficulty_rank(word: str) -> str:
    """Return what ``find_problems_by_difficulty`` sorts by."""
    if not word:
        return "3"
    if word.isascii() and word.isdigit():
        return f"1{word:0>32}"
    known = {"easy": " 1", "简单": " 1", "medium": " 2", "中等": " 2", "hard": " 3", "困难": " 3"}
    return "2" + known.get(word.lower(), word.lower())


@dataclass(kw_only=True)
class Row:
    """One row of ``submissions``; ``*_at`` and ``lease_until`` are readings of the injected clock, in seconds."""

    job_id: str
    draft: Draft
    code_hash: bytes
    stream_key: str
    created_at: float
    updated_at: float
    id: int = 0
    state: State = State.PENDING
    status: str = "pending"
    attempt_id: int = 0
    judging: int = 1
    judging_attempts: int = 0
    lease_owner: str | None = None
    lease_until: float | None = None
    error_code: str | None = None
    error_message: str | None = None
    result: Mapping[str, Any] | None = None
    avoid_owner: str | None = None
    avoid_until: float = 0.0
    deduplicates: bool = True
    in_batch: bool = False
    #: its source is gone, with its author's account
    is_erased: bool = False

    @property
    def unfinished(self) -> bool:
        return self.state in {State.PENDING, State.PROCESSING}


@dataclass(kw_only=True)
class OutboxRow:
    """One row of ``outbox_events``."""

    id: int
    job_id: str
    event_type: str
    stream_key: str
    payload: str
    created_at: float
    next_attempt_at: float
    priority: int = 0
    user_id: int = 0
    turn: int = 0
    status: str = "pending"
    attempts: int = 0
    last_error: str | None = None
    dispatched_at: float | None = None
    stream_entry_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class LedgerRow:
    """One row of ``attempts``; ``event`` is one of its CHECK's words."""

    job_id: str
    event: str
    judging: int
    attempt_id: int
    owner: str | None
    entry_id: str | None = None
    outcome: str | None = None
    detail: str | None = None
    lease_until: float | None = None
    at: float = 0.0
    isolation: str | None = None


@dataclass(kw_only=True)
class KeptRow:
    """One row of ``judgings``."""

    verdict: Judging
    replaced_in_full: bool


@dataclass(kw_only=True)
class OrderRow:
    """One row of ``rejudges``."""

    order: RejudgeOrder
    upto_id: int
    after_id: int = 0
    ordered_at: float = 0.0
    late: list[str] = field(default_factory=list)


@dataclass
class MemoryStore(MemoryRuns, MemoryMarks, MemoryWebhooks, MemoryAccountData, MemoryGroups):
    """Implements every port of the database (``ports``) and ``OutboxNotifications``. ``clock`` counts seconds."""

    down: bool = False
    rows: dict[str, Row] = field(default_factory=dict)
    outbox: dict[int, OutboxRow] = field(default_factory=dict)
    ledger: list[LedgerRow] = field(default_factory=list)
    #: node → its languages, and until when they hold
    nodes: dict[str, tuple[dict[str, str], float]] = field(default_factory=dict)
    node_facts: dict[str, NodeFacts] = field(default_factory=dict)
    #: time and end of the last announcement
    nodes_seen: dict[str, tuple[float, float]] = field(default_factory=dict)
    #: (job, attempt) → portions by their last test, and when they were told
    told: dict[tuple[str, int], dict[int, tuple[EndedTests, float]]] = field(default_factory=dict)
    #: called with every notification of live results
    ears: list[Callable[[str], object]] = field(default_factory=list)
    kept: dict[str, list[KeptRow]] = field(default_factory=dict)
    orders: list[OrderRow] = field(default_factory=list)
    _problems: dict[int, Problem] = field(default_factory=dict)
    #: problem → ids of its groups
    groups_of_problem: dict[int, set[int]] = field(default_factory=dict)
    #: problem → package, version of the renderer, statements
    kept_statements: dict[int, tuple[str, int, StatementSet]] = field(default_factory=dict)
    kept_verifications: list[VerificationRow] = field(default_factory=list)
    kept_previews: list[PreviewRow] = field(default_factory=list)
    kept_reruns: list[RerunRow] = field(default_factory=list)
    kept_batches: KeptBatches = field(default_factory=KeptBatches)
    token_rows: dict[str, AccessTokenRow] = field(default_factory=dict)
    statement_edits: dict[int, StatementEdits] = field(default_factory=dict)
    #: problem → until when a node renders its statements
    statement_leases: dict[int, float] = field(default_factory=dict)
    #: objects that no problem names → since when
    loose: dict[str, float] = field(default_factory=dict)
    _keys: dict[tuple[int, str], str] = field(default_factory=dict)
    _next_id: dict[str, int] = field(
        default_factory=lambda: {
            "user": 1000,
            "group": 1,
            "problem": 2000,
            "submission": 3000,
            "outbox": 4000,
            "verification": 1,
            "preview": 1,
            "rerun": 1,
        }
    )
    _broken: dict[str, bool] = field(default_factory=dict)
    _notified: trio.Event = field(default_factory=trio.Event)

    # -- for tests

    @property
    def statements(self) -> MemoryStatements:
        """The table of statements."""
        return MemoryStatements(self)

    @property
    def verifications(self) -> MemoryVerifications:
        """The table of verifications."""
        return MemoryVerifications(self, self.kept_verifications)

    @property
    def previews(self) -> MemoryPreviews:
        """The tables of previews."""
        return MemoryPreviews(self, self.kept_previews)

    @property
    def batches(self) -> MemoryBatches:
        """The tables of batches."""
        return MemoryBatches(self, self.kept_batches)

    @property
    def reruns(self) -> MemoryReruns:
        """The table of reruns."""
        return MemoryReruns(self, self.kept_reruns)

    @property
    def ports(self) -> MemoryPorts:
        """An object for each port, as ``PgStore`` has them."""
        return MemoryPorts(self)

    def break_next(self, method: str, *, applied: bool) -> None:
        """The next call of ``method`` raises StoreUnavailable; ``applied``: after it has had its effect."""
        self._broken[method] = applied

    async def _enter(self, method: str) -> bool:
        """One checkpoint, then the injected faults; True if the answer of this call gets lost after its effect."""
        await trio.lowlevel.checkpoint()
        if self.down or self._broken.get(method) is False:
            self._broken.pop(method, None)
            raise StoreUnavailable("the database (in memory) cannot be reached")
        return self._broken.pop(method, False)

    @staticmethod
    def _answer[T](answer: T, lost: bool) -> T:
        if lost:
            raise StoreUnavailable("the database (in memory) lost the connection before it answered")
        return answer

    def _take_id(self, table: str) -> int:
        self._next_id[table] += 1
        return self._next_id[table] - 1

    def _dated(self, at: float) -> dt.datetime:
        return EPOCH + dt.timedelta(seconds=at)

    # -- accounts: more of them in MemoryAccountRecords

    async def create_user(
        self,
        username: str,
        password_hash: str,
        email: str | None,
        *,
        is_admin: bool = False,
        by: str | None = None,
    ) -> User | AccountRefusal:
        lost = await self._enter("create_user")
        if self._by_name(username) is not None:
            return self._answer(AccountRefusal.USERNAME_TAKEN, lost)
        user = User(id=self._take_id("user"), username=username, email=email, is_admin=is_admin)
        self._put_new(user, password_hash)
        self._log(by, AdminAct.ACCOUNT_CREATED, username, user_id=user.id, is_admin=is_admin)
        return self._answer(user, lost)

    async def credentials(self, username: str) -> Credentials | None:
        lost = await self._enter("credentials")
        found = self._by_name(username)
        return self._answer(None if found is None or self._is_erased(found.user.id) else found, lost)

    async def credentials_by_id(self, user_id: int) -> Credentials | None:
        lost = await self._enter("credentials_by_id")
        return self._answer(self._users.get(user_id), lost)

    async def promote(self, username: str, *, by: str) -> User | None:
        lost = await self._enter("promote")
        old = self._by_name(username)
        if old is None or self._is_erased(old.user.id):
            return self._answer(None, lost)
        user = replace(old.user, is_admin=True)
        self._put_changed(replace(old, user=user))
        if not old.user.is_admin:
            self._log(by, AdminAct.PROMOTED, user.username, user_id=user.id)
        return self._answer(user, lost)

    # -- problems

    async def reserve_problem_id(self) -> int:
        lost = await self._enter("reserve_problem_id")
        return self._answer(self._take_id("problem"), lost)

    async def insert_problem(self, problem: Problem, *, by: str | None = None) -> None:
        lost = await self._enter("insert_problem")
        if problem.id not in self._problems:
            self._log(by, AdminAct.PROBLEM_CREATED, problem.id, title=problem.title)
        self._problems[problem.id] = problem
        self.loose.pop(problem.data_path, None)
        self._answer(None, lost)

    async def problem(self, problem_id: int) -> Problem | None:
        lost = await self._enter("problem")
        return self._answer(self._problems.get(problem_id), lost)

    def _open_problems(self, viewer: int | None) -> dict[int, Problem]:
        """Return what the function of this name returns in PostgreSQL."""
        account = None if viewer is None else self._users.get(viewer)
        sees_all = account is not None and (account.user.is_admin or UserRole.JURY in account.user.roles)
        groups = {one for one, members in self.group_members.items() if viewer in members}

        def is_open(one: Problem) -> bool:
            is_own = viewer is not None and one.created_by == viewer
            if sees_all or is_own or one.visibility is Visibility.LISTED:
                return True
            return one.visibility is Visibility.PRIVATE and bool(groups & self.groups_of_problem.get(one.id, set()))

        return {number: one for number, one in self._problems.items() if is_open(one)}

    async def open_problem(self, problem_id: int, viewer: int | None) -> Problem | None:
        lost = await self._enter("open_problem")
        return self._answer(self._open_problems(viewer).get(problem_id), lost)

    async def newest_problems(self, limit: int) -> list[Problem]:
        lost = await self._enter("newest_problems")
        listed = [number for number, one in self._problems.items() if one.visibility is Visibility.LISTED]
        return self._answer([self._problems[number] for number in sorted(listed, reverse=True)[:limit]], lost)

    async def problems(self, after_id: int, limit: int) -> list[Problem]:
        lost = await self._enter("problems")
        found = [self._problems[number] for number in sorted(self._problems) if number > after_id]
        return self._answer(found[:limit], lost)

    async def problems_of(self, user_id: int, after_id: int, limit: int) -> list[Problem]:
        lost = await self._enter("problems_of")
        found = [one for _, one in sorted(self._problems.items()) if one.created_by == user_id and one.id > after_id]
        return self._answer(found[:limit], lost)

    async def find_problems(self, query: ProblemSearch, after_id: int, limit: int) -> list[Problem]:
        lost = await self._enter("find_problems")

        def place(one: Problem) -> tuple[str, int]:
            match query.order:
                case ProblemOrder.NUMBER:
                    return ("", one.id)
                case ProblemOrder.TITLE:
                    return (one.title.lower(), one.id)
                case ProblemOrder.DIFFICULTY:
                    return (_difficulty_rank(one.difficulty), one.id)

        sought, start = query.search.lower(), self._open_problems(query.viewer).get(after_id)
        seen = [one for one in self._open_problems(query.viewer).values() if query.tag in ("", *one.tags)]
        found = [one for one in seen if sought in one.title.lower() or one.id == query.number]
        if query.difficulty:
            found = [one for one in found if one.difficulty.lower() == query.difficulty.lower()]
        if query.unsolved:
            found = [one for one in found if (query.viewer, one.id) not in self.marks]
        if query.order is not ProblemOrder.NUMBER:
            found = [one for one in found if start is None or place(one) > place(start)]
        else:
            found = [one for one in found if one.id > after_id]
        return self._answer(sorted(found, key=place)[:limit], lost)

    async def problem_titles(self, problem_ids: Collection[int], viewer: int | None) -> dict[int, str]:
        lost = await self._enter("problem_titles")
        seen = self._open_problems(viewer)
        return self._answer({one: seen[one].title for one in problem_ids if one in seen}, lost)

    async def newest_titles(self, viewer: int, limit: int) -> dict[int, str]:
        lost = await self._enter("newest_titles")
        seen = self._open_problems(viewer)
        return self._answer({one: seen[one].title for one in sorted(seen, reverse=True)[:limit]}, lost)

    async def update_problem(self, problem_id: int, change: ProblemChange, *, by: str | None = None) -> Problem | None:
        lost = await self._enter("update_problem")
        old = self._problems.get(problem_id)
        if old is None:
            return self._answer(None, lost)
        said = {name: value for name, value in asdict(change).items() if value is not None}
        if change.data_hash is not None:
            said |= {"unchecked": change.unchecked, "broken": None}
        if said.get("data_hash", old.data_hash) == old.data_hash:
            said.pop("data_path", None)
        new = replace(old, **said)
        decides = ("time_limit_ms", "memory_limit_mb", "compare", "data_hash")
        if any(getattr(new, name) != getattr(old, name) for name in decides):
            new = replace(new, version=old.version + 1)
        self._problems[problem_id] = new
        logged = {
            "title": "title", "description": "description", "difficulty": "difficulty", "time_limit_ms": "time_limit",
            "memory_limit_mb": "memory_limit", "compare": "compare", "data_hash": "package",
            "visibility": "visibility", "tags": "tags", "languages": "languages",
        }  # fmt: skip
        changed = [word for name, word in logged.items() if getattr(new, name) != getattr(old, name)]
        if changed:
            self._log(by, AdminAct.PROBLEM_CHANGED, problem_id, fields=changed, version=new.version)
        if new.data_path != old.data_path:
            self.loose[old.data_path] = self.clock()
            self.loose.pop(new.data_path, None)
        return self._answer(new, lost)

    async def problem_groups(self, problem_id: int) -> list[str]:
        lost = await self._enter("problem_groups")
        groups = [self._groups[one].name for one in self.groups_of_problem.get(problem_id, ()) if one in self._groups]
        return self._answer(sorted(groups, key=name_key), lost)

    async def unknown_groups(self, names: Sequence[str]) -> frozenset[str]:
        lost = await self._enter("unknown_groups")
        known = {group.name.lower() for group in self._groups.values()}
        return self._answer(frozenset(name for name in names if name.lower() not in known), lost)

    async def set_problem_groups(self, problem_id: int, names: Sequence[str], *, by: str | None = None) -> None:
        lost = await self._enter("set_problem_groups")
        lowered = {name.lower() for name in names}
        wanted = {group.id for group in self._groups.values() if group.name.lower() in lowered}
        problem = self._problems.get(problem_id)
        if problem is not None and wanted != self.groups_of_problem.get(problem_id, set()):
            self.groups_of_problem[problem_id] = wanted
            self._log(by, AdminAct.PROBLEM_CHANGED, problem_id, fields=["groups"], version=problem.version)
        self._answer(None, lost)

    async def note_object(self, key: str) -> None:
        lost = await self._enter("note_object")
        self.loose[key] = self.clock()
        self._answer(None, lost)

    async def loose_objects(self, keep_s: float, limit: int) -> list[str]:
        lost = await self._enter("loose_objects")
        named = {one.data_path for one in self._problems.values()}
        old = [key for key, since in self.loose.items() if since < self.clock() - keep_s and key not in named]
        return self._answer(sorted(old, key=self.loose.__getitem__)[:limit], lost)

    async def forget_objects(self, keys: Sequence[str]) -> None:
        lost = await self._enter("forget_objects")
        for key in keys:
            self.loose.pop(key, None)
        self._answer(None, lost)

    async def unchecked_problems(self, after_id: int, limit: int) -> list[Problem]:
        lost = await self._enter("unchecked_problems")
        found = [one for _, one in sorted(self._problems.items()) if one.id > after_id and one.unchecked is not None]
        return self._answer(found[:limit], lost)

    async def tell_programs(self, problem_id: int, data_hash: str, broken: str | None) -> None:
        lost = await self._enter("tell_programs")
        old = self._problems.get(problem_id)
        if old is not None and old.data_hash == data_hash and old.unchecked is not None:
            self._problems[problem_id] = replace(old, unchecked=None, broken=broken)
        self._answer(None, lost)

    async def delete_problem(self, problem_id: int, *, by: str | None = None) -> ProblemRefusal | None:
        lost = await self._enter("delete_problem")
        if problem_id not in self._problems:
            return self._answer(ProblemRefusal.UNKNOWN_PROBLEM, lost)
        if any(row.draft.problem_id == problem_id for row in self.rows.values()):
            return self._answer(ProblemRefusal.HAS_SUBMISSIONS, lost)
        self._log(by, AdminAct.PROBLEM_DELETED, problem_id, title=self._problems[problem_id].title)
        self.loose[self._problems.pop(problem_id).data_path] = self.clock()
        self.groups_of_problem.pop(problem_id, None)
        self._unmark(problem_id)
        self.orders = [one for one in self.orders if one.order.problem_id != problem_id]
        self.kept_verifications[:] = [one for one in self.kept_verifications if one.draft.problem_id != problem_id]
        self.kept_previews[:] = [one for one in self.kept_previews if one.problem_id != problem_id]
        return self._answer(None, lost)

    async def delete_submissions_of(self, problem_id: int, limit: int) -> int:
        lost = await self._enter("delete_submissions_of")
        gone = [row.job_id for row in self.rows.values() if row.draft.problem_id == problem_id][:limit]
        self._forget(set(gone))
        return self._answer(len(gone), lost)

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
        hidden_s: float | None = None,
    ) -> Receipt | SubmitRefusal:
        lost = await self._enter("submit")
        notified = self._notified
        self._notified = trio.Event() if hidden_s is not None else notified  # a hidden event notifies no task
        answer = self._submit(draft, inflight_cap, user_inflight_cap, dedup_window_s, payload, stream_key)
        self._notified = notified
        if hidden_s is not None and isinstance(answer, Receipt) and not answer.repeated:
            (row,) = [row for row in self.outbox.values() if row.job_id == answer.job_id]
            row.next_attempt_at, row.attempts = self.clock() + hidden_s, 1
            answer = replace(answer, event=self._event(row))
        if direct and isinstance(answer, Receipt) and not answer.repeated:
            (row,) = [row for row in self.outbox.values() if row.job_id == answer.job_id]
            del self.outbox[row.id]
            answer = replace(answer, event=self._event(row))
        return self._answer(answer, lost)

    async def count_inflight(self, cap: int) -> None:
        """Nothing to do: here every submit counts."""
        self._answer(None, await self._enter("count_inflight"))

    async def mark_sent(self, event: OutboxEvent, entry_id: str) -> None:
        lost = await self._enter("mark_sent")
        if event.job_id in self.rows and event.id not in self.outbox:
            self.outbox[event.id] = OutboxRow(
                id=event.id,
                job_id=event.job_id,
                event_type=event.event_type,
                stream_key=event.stream_key,
                payload=event.payload,
                created_at=self.clock(),
                next_attempt_at=self.clock(),
                priority=event.priority,
                status="delivered",
                attempts=1,
                dispatched_at=self.clock(),
                stream_entry_id=entry_id,
            )
        return self._answer(None, lost)

    def _submit(  # noqa: PLR0911, PLR0917 - one for each answer of the statement
        self,
        draft: Draft,
        cap: int,
        user_cap: int | None,
        window_s: float,
        payload: Mapping[str, object],
        stream_key: str,
        *,
        in_batch: bool = False,
    ) -> Receipt | SubmitRefusal:
        now = self.clock()
        if draft.idempotency_key is not None and (draft.user_id, draft.idempotency_key) in self._keys:
            first = self.rows[self._keys[draft.user_id, draft.idempotency_key]]
            if (first.draft.problem_id, first.draft.language, first.code_hash) != (
                draft.problem_id,
                draft.language,
                draft.digest(),
            ):
                return SubmitRefusal.IDEMPOTENCY_KEY_REUSED
            return Receipt(first.job_id, repeated=True)
        problem = self._open_problems(draft.user_id).get(draft.problem_id)
        if problem is None:
            return SubmitRefusal.PROBLEM_NOT_FOUND
        if problem.languages and draft.language not in problem.languages:
            return SubmitRefusal.LANGUAGE_NOT_ALLOWED
        code_hash = draft.digest()
        for row in self.rows.values():
            same = (row.draft.user_id, row.draft.problem_id, row.draft.language, row.code_hash) == (
                draft.user_id,
                draft.problem_id,
                draft.language,
                code_hash,
            )
            if same and row.unfinished and row.deduplicates and row.in_batch and not in_batch:
                row.deduplicates = False
            elif same and row.unfinished and row.deduplicates and row.created_at > now - window_s:
                if draft.idempotency_key is not None:
                    self._keys[draft.user_id, draft.idempotency_key] = row.job_id
                return Receipt(row.job_id, repeated=True)
        inflight = [
            row for row in self.rows.values() if row.unfinished and row.judging == 1 and row.in_batch == in_batch
        ]
        of_user = sum(row.draft.user_id == draft.user_id for row in inflight)
        if user_cap is not None and of_user >= user_cap:
            return SubmitRefusal.USER_INFLIGHT_CAP_REACHED
        if len(inflight) >= (cap if user_cap is None or of_user else 2 * cap):
            return SubmitRefusal.INFLIGHT_CAP_REACHED
        job_id = str(uuid.uuid4())
        row = Row(
            job_id=job_id,
            draft=draft,
            code_hash=code_hash,
            stream_key=stream_key,
            created_at=now,
            updated_at=now,
            id=self._take_id("submission"),
            in_batch=in_batch,
        )
        self.rows[job_id] = row
        if draft.idempotency_key is not None:
            self._keys[draft.user_id, draft.idempotency_key] = job_id
        self._send(row, "submit", 0.0, self._task(row) if in_batch else payload)
        return Receipt(job_id)

    def _send(self, row: Row, event_type: str, delay_s: float, payload: Mapping[str, object]) -> None:
        now = self.clock()
        problem = self._problems[row.draft.problem_id]
        task = dict(payload) | {
            "job_id": row.job_id,
            "time_limit": problem.time_limit_ms,
            "memory_limit": problem.memory_limit_mb * 1024,
            "submit_time": int(row.created_at * 1000),
        }
        first = Priority.BATCH if row.in_batch else Priority.INTERACTIVE
        priority = first if row.judging == 1 else Priority.REJUDGE
        event = OutboxRow(
            id=self._take_id("outbox"),
            job_id=row.job_id,
            user_id=row.draft.user_id,
            turn=self._turn(row.draft.user_id, priority),
            event_type=event_type,
            stream_key=row.stream_key,
            payload=json.dumps(task),
            created_at=now,
            next_attempt_at=now + delay_s,
            priority=priority,
        )
        self.outbox[event.id] = event
        self._notified.set()

    def _turn(self, user_id: int, priority: int) -> int:
        """The round in which a new event goes (migration 021)."""
        waiting = [one for one in self.outbox.values() if one.status == "pending" and one.priority == priority]
        served = min((one.turn for one in waiting if one.next_attempt_at <= self.clock()), default=0)
        return 1 + max(served, max((one.turn for one in waiting if one.user_id == user_id), default=0))

    async def account_and_submission(self, user_id: int, job_id: str) -> tuple[Credentials | None, Submission | None]:
        return await self.credentials_by_id(user_id), await self.submission(job_id)

    async def count_before(self, job_id: str, most: int) -> int | None:
        lost = await self._enter("count_before")
        row = self.rows.get(job_id)
        waiting = [one for one in self.rows.values() if one.state is State.PENDING and one.judging == 1]
        if row not in waiting:
            return self._answer(None, lost)
        waiting = [one for one in waiting if not one.in_batch or one.draft.user_id == row.draft.user_id]
        sooner = sum(one.id < row.id if one.in_batch == row.in_batch else row.in_batch for one in waiting)
        return self._answer(min(most, sooner), lost)

    async def submission(self, job_id: str) -> Submission | None:
        lost = await self._enter("submission")
        row = self.rows.get(job_id)
        if row is None:
            return self._answer(None, lost)
        return self._answer(self._as_submission(row), lost)

    def _as_submission(self, row: Row) -> Submission:
        return Submission(
            job_id=row.job_id,
            user_id=row.draft.user_id,
            problem_id=row.draft.problem_id,
            language=row.draft.language,
            code=row.draft.code,
            entry_point=row.draft.entry_point,
            beside=row.draft.beside,
            state=row.state,
            status=row.status,
            attempt_id=row.attempt_id,
            judging=row.judging,
            error_code=row.error_code,
            error_message=row.error_message,
            result=row.result,
            created_at=(EPOCH + dt.timedelta(seconds=row.created_at)).isoformat(),
            updated_at=(EPOCH + dt.timedelta(seconds=row.updated_at)).isoformat(),
            callback_url=row.draft.callback_url,
        )

    async def submissions(self, query: SubmissionQuery, limit: int, before: ListPlace | None = None) -> SubmissionList:
        lost = await self._enter("submissions")

        def place(row: Row) -> ListPlace:
            sent = EPOCH + dt.timedelta(seconds=row.created_at)
            return ListPlace((sent - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1), row.id)

        def asked_for(row: Row) -> bool:
            sent = EPOCH + dt.timedelta(seconds=row.created_at)
            return (
                query.user_id in (None, row.draft.user_id)
                and query.problem_id in (None, row.draft.problem_id)
                and query.language in (None, row.draft.language)
                and (query.group_id is None or row.draft.user_id in self.group_members.get(query.group_id, ()))
                and (query.verdict is None or (row.status == query.verdict and not row.unfinished))
                and (row.unfinished or not query.is_unfinished)
                and (query.since is None or query.since <= sent)
                and (query.until is None or sent < query.until)
                and (before is None or (place(row).created_us, row.id) < (before.created_us, before.id))
            )

        found = sorted(filter(asked_for, self.rows.values()), key=lambda row: (row.created_at, row.id), reverse=True)
        page = found[:limit]
        following = place(page[-1]) if len(found) > limit else None
        return self._answer(SubmissionList(tuple(map(self._listed, page)), following), lost)

    async def verdict_counts(self, problem_id: int, limit: int) -> list[VerdictCount]:
        lost = await self._enter("verdict_counts")
        theirs = [row for row in self.rows.values() if row.draft.problem_id == problem_id]
        theirs.sort(key=lambda row: (row.created_at, row.id), reverse=True)
        counts = Counter((row.state, row.status) for row in theirs[:limit])
        found = [VerdictCount(state, status, count) for (state, status), count in counts.items()]
        return self._answer(sorted(found, key=lambda one: (-one.count, one.state, one.status)), lost)

    async def time_counts(self, problem_id: int, limit: int) -> list[TimeCount]:
        lost = await self._enter("time_counts")
        theirs = [row for row in self.rows.values() if row.draft.problem_id == problem_id]
        theirs.sort(key=lambda row: (row.created_at, row.id), reverse=True)
        counts = Counter(
            (min(int(10 * used / self._problems[problem_id].time_limit_ms), 10), row.status == "Accepted")
            for row in theirs[:limit]
            if row.state is State.DONE
            and row.status not in ("Compile Error", "System Error")
            and (used := (row.result or {}).get("time_used")) is not None
        )
        return self._answer([TimeCount(*key, count) for key, count in sorted(counts.items())], lost)

    def _listed(self, row: Row) -> SubmissionItem:
        result = row.result or {}
        return SubmissionItem(
            job_id=row.job_id,
            user_id=row.draft.user_id,
            username=self._users[row.draft.user_id].user.username,
            problem_id=row.draft.problem_id,
            language=row.draft.language,
            state=row.state,
            status=row.status,
            judging=row.judging,
            score=result.get("score"),
            time_used_ms=result.get("time_used"),
            memory_used_kb=result.get("memory_used"),
            created_at=(EPOCH + dt.timedelta(seconds=row.created_at)).isoformat(),
            updated_at=(EPOCH + dt.timedelta(seconds=row.updated_at)).isoformat(),
        )

    def _event(self, event: OutboxRow) -> OutboxEvent:
        return OutboxEvent(
            id=event.id,
            job_id=event.job_id,
            stream_key=event.stream_key,
            enqueue_ts_ms=int(event.created_at * 1000),
            priority=event.priority,
            payload=event.payload,
            attempts=event.attempts,
            event_type=event.event_type,
            trace_id=self.rows[event.job_id].draft.trace_id,
        )

    # -- outbox

    async def take_outbox(
        self, limit: int, retry_base_s: float, retry_max_s: float, *, lanes: Mapping[Priority, int] | None = None
    ) -> list[OutboxEvent]:
        lost = await self._enter("take_outbox")
        now = self.clock()
        due = [event for event in self.outbox.values() if event.status == "pending" and event.next_attempt_at <= now]
        taken: list[OutboxRow] = []
        for lane in LANES:
            of_lane = sorted((one for one in due if one.priority == lane), key=lambda one: (one.turn, one.id))
            taken += of_lane[: limit if lanes is None else lanes.get(lane, 0)]
        del taken[limit:]
        for event in taken:
            event.attempts += 1
            event.next_attempt_at = now + min(retry_base_s * 2.0 ** min(event.attempts - 1, 30), retry_max_s)
        return self._answer([self._event(event) for event in taken], lost)

    async def mark_delivered(self, delivered: Sequence[tuple[int, str]]) -> None:
        lost = await self._enter("mark_delivered")
        for event_id, entry_id in delivered:
            event = self.outbox.get(event_id)
            if event is not None and event.status == "pending":
                event.status, event.stream_entry_id, event.dispatched_at = "delivered", entry_id, self.clock()
                event.last_error = None
        self._answer(None, lost)

    async def mark_undelivered(self, event_ids: Sequence[int], error: str) -> None:
        lost = await self._enter("mark_undelivered")
        for event_id in event_ids:
            event = self.outbox.get(event_id)
            if event is not None and event.status == "pending":
                event.last_error = error
        self._answer(None, lost)

    async def outbox_waiting(self, limit: int) -> OutboxWaiting:
        lost = await self._enter("outbox_waiting")
        waiting = [event for event in self.outbox.values() if event.status == "pending"]
        due = Counter(Priority(event.priority) for event in waiting if event.next_attempt_at <= self.clock())
        return self._answer(
            OutboxWaiting({lane: min(limit, count) for lane, count in due.items()}, bool(waiting)), lost
        )

    async def outbox_pending(self) -> OutboxPending:
        lost = await self._enter("outbox_pending")
        waiting = [event for event in self.outbox.values() if event.status == "pending"]
        since = [event.created_at for event in waiting if event.priority in WAITED_FOR]
        unfinished = [row for row in self.rows.values() if row.unfinished and not row.in_batch]
        row_since = min((row.created_at if row.judging == 1 else row.updated_at for row in unfinished), default=None)
        return self._answer(
            OutboxPending(
                Counter(Priority(event.priority) for event in waiting),
                None if not since else int((self.clock() - min(since)) * 1000),
                None if row_since is None else round((self.clock() - row_since) * 1000),
            ),
            lost,
        )

    def notify(self) -> None:
        self._notified.set()

    async def wait(self, timeout_s: float) -> bool:
        """``submit``, ``give_back`` and ``repair`` notify."""
        notified = self._notified
        with trio.move_on_after(timeout_s):
            await notified.wait()
        if notified.is_set() and notified is self._notified:
            self._notified = trio.Event()
        return notified.is_set()

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
        lost = await self._enter("claim")
        seen: set[str] = set()
        answers: dict[str, Claim | ClaimRefusal] = {}
        for entry in entries:
            row = self.rows.get(entry.job_id)
            if row is None:
                answers[entry.entry_id] = ClaimRefusal.UNKNOWN_JOB
            elif row.state is State.DONE:
                answers[entry.entry_id] = ClaimRefusal.ALREADY_DONE
            elif row.state is State.DEAD:
                answers[entry.entry_id] = ClaimRefusal.DEAD
            elif self._leased(row):
                answers[entry.entry_id] = ClaimRefusal.LEASED
            elif row.judging_attempts < max_attempts and languages is not None and row.draft.language not in languages:
                answers[entry.entry_id] = ClaimRefusal.UNFIT
            elif yields and self._avoids(row, owner) and row.judging_attempts < max_attempts:
                answers[entry.entry_id] = ClaimRefusal.AVOIDED
            elif entry.job_id in seen:
                answers[entry.entry_id] = ClaimRefusal.LEASED
            else:
                answers[entry.entry_id] = self._claim(row, entry, owner, lease_s, max_attempts)
            seen.add(entry.job_id)
        return self._answer(answers, lost)

    def _avoids(self, row: Row, owner: str) -> bool:
        return row.avoid_owner == owner and row.avoid_until > self.clock()

    def _leased(self, row: Row) -> bool:
        return row.state is State.PROCESSING and row.lease_until is not None and row.lease_until > self.clock()

    def _claim(self, row: Row, entry: Entry, owner: str, lease_s: float, max_attempts: int) -> Claim | ClaimRefusal:
        now = self.clock()
        if row.state is State.PROCESSING:
            self._note(row, "lost", row.lease_owner, None, None)
        since = row.created_at if row.judging == 1 else row.updated_at
        row.updated_at = now
        if row.judging_attempts >= max_attempts:
            row.state, row.status = State.DEAD, Verdict.SYSTEM_ERROR
            row.error_code = "ATTEMPTS_EXHAUSTED"
            last = f", at last: {row.error_message}" if row.error_message else ""
            row.error_message = f"judging was begun {row.judging_attempts} times and gave no verdict{last}"
            row.lease_owner = row.lease_until = None
            self._note(row, "dead", owner, entry.entry_id, "ATTEMPTS_EXHAUSTED")
            self._call_back(row)
            return ClaimRefusal.DEAD
        row.state, row.status = State.PROCESSING, "running"
        row.attempt_id += 1
        row.judging_attempts += 1
        row.lease_owner, row.lease_until = owner, now + lease_s
        row.avoid_owner, row.avoid_until = None, 0.0
        self._note(row, "claimed", owner, entry.entry_id, None)
        return Claim(
            job_id=row.job_id,
            attempt_id=row.attempt_id,
            judging=row.judging,
            lease_owner=owner,
            entry_id=entry.entry_id,
            user_id=row.draft.user_id,
            language=row.draft.language,
            code=row.draft.code,
            entry_point=row.draft.entry_point,
            beside=row.draft.beside,
            trace_id=row.draft.trace_id,
            problem=self._problems[row.draft.problem_id],
            waited_ms=int((now - since) * 1000),
        )

    def _note(self, row: Row, event: str, owner: str | None, entry_id: str | None, outcome: str | None) -> None:
        self.ledger.append(
            LedgerRow(
                job_id=row.job_id,
                event=event,
                judging=row.judging,
                attempt_id=row.attempt_id,
                owner=owner,
                entry_id=entry_id,
                outcome=outcome,
                lease_until=row.lease_until,
                at=self.clock(),
            )
        )

    async def extend(self, held: Sequence[Held], owner: str, lease_s: float) -> set[str]:
        lost = await self._enter("extend")
        kept = set()
        for one in held:
            row = self.rows.get(one.job_id)
            if row is None or not self._leased(row) or (row.lease_owner, row.attempt_id) != (owner, one.attempt_id):
                continue
            row.lease_until = max(row.lease_until or 0.0, self.clock() + lease_s)
            row.updated_at = self.clock()
            kept.add(one.job_id)
        return self._answer(kept, lost)

    def _refusal(self, claim: Claim) -> FinalizeRefusal | None:
        row = self.rows.get(claim.job_id)
        if row is None:
            return FinalizeRefusal.NOT_IN_EXPECTED_STATE
        if row.attempt_id != claim.attempt_id:
            return FinalizeRefusal.STALE_ATTEMPT
        if row.state is State.DONE:
            return FinalizeRefusal.ALREADY_FINISHED
        if row.state is not State.PROCESSING:
            return FinalizeRefusal.NOT_IN_EXPECTED_STATE
        if not self._leased(row) or row.lease_owner != claim.lease_owner:
            return FinalizeRefusal.LEASE_LOST
        return None

    def _note_of(
        self, claim: Claim, event: str, outcome: str, lease_until: float | None = None, isolation: str | None = None
    ) -> None:
        self.ledger.append(
            LedgerRow(
                job_id=claim.job_id,
                event=event,
                judging=claim.judging,
                attempt_id=claim.attempt_id,
                owner=claim.lease_owner,
                entry_id=claim.entry_id,
                outcome=outcome,
                lease_until=lease_until,
                at=self.clock(),
                isolation=isolation,
            )
        )

    async def finalize(self, claim: Claim, report: Report, result: Mapping[str, object]) -> FinalizeRefusal | None:
        if report.status is Verdict.INVALID:
            raise ValueError("Invalid is where judging starts, it cannot be a verdict")
        lost = await self._enter("finalize")
        refusal = self._refusal(claim)
        if refusal is not None:
            self._note_of(claim, "refused", refusal)
            return self._answer(refusal, lost)
        row = self.rows[claim.job_id]
        row.state, row.status, row.result = State.DONE, report.status, json.loads(json.dumps(result))
        row.error_code = row.error_message = None
        until = row.lease_until
        row.lease_owner = row.lease_until = None
        row.updated_at = self.clock()
        self._note_of(claim, "finalized", report.status, until, report.isolation.value)
        self._call_back(row)
        self._mark(row, self.rows.values())
        return self._answer(None, lost)

    async def give_back(
        self, claim: Claim, *, reason: str, counts: bool, delay_s: float = 0.0, avoid_s: float = 0.0
    ) -> FinalizeRefusal | None:
        lost = await self._enter("give_back")
        refusal = self._refusal(claim)
        if refusal is not None:
            self._note_of(claim, "refused", refusal)
            return self._answer(refusal, lost)
        row = self.rows[claim.job_id]
        row.state, row.status = State.PENDING, "pending"
        until = row.lease_until
        row.lease_owner = row.lease_until = None
        row.judging_attempts -= 0 if counts else 1
        row.error_message = reason
        row.updated_at = self.clock()
        row.avoid_owner = claim.lease_owner if avoid_s > 0 else None
        row.avoid_until = self.clock() + delay_s + avoid_s if avoid_s > 0 else 0.0
        self._note_of(claim, "given_back", reason, until)
        self._notify_live(row.job_id)
        self._send(row, "give_back", delay_s, self._task(row))
        return self._answer(None, lost)

    async def hand_over(
        self, job_ids: Sequence[str], *, avoid_s: float = 0.0, unfit: bool = False
    ) -> dict[str, ClaimRefusal | None]:
        lost = await self._enter("hand_over")
        answers: dict[str, ClaimRefusal | None] = {}
        for job_id in dict.fromkeys(job_ids):
            row = self.rows.get(job_id)
            if row is None:
                answers[job_id] = ClaimRefusal.UNKNOWN_JOB
            elif not row.unfinished:
                answers[job_id] = ClaimRefusal.ALREADY_DONE if row.state is State.DONE else ClaimRefusal.DEAD
            elif self._leased(row):
                answers[job_id] = ClaimRefusal.LEASED
            else:
                answers[job_id] = None
                left_s = row.avoid_until - self.clock()
                delay_s = min(4.0, max(0.0, avoid_s - left_s) / 2) if left_s > 0 else 0.0
                if unfit:
                    delay_s = min(1.5 if self._can_be_judged(row) else 30.0, 0.1 + (self.clock() - row.updated_at) / 2)
                self._send(row, "hand_over", delay_s, self._task(row))
        return self._answer(answers, lost)

    # -- roster

    def _can_be_judged(self, row: Row) -> bool:
        return any(row.draft.language in has and until > self.clock() for has, until in self.nodes.values())

    async def withdraw(self, node: str) -> None:
        lost = await self._enter("withdraw")
        self.nodes.pop(node, None)
        self._answer(None, lost)

    async def announce(
        self,
        node: str,
        languages: Mapping[str, str],
        lease_s: float,
        facts: NodeFacts | None = None,
        *,
        takes_work: bool | None = True,
    ) -> None:
        lost = await self._enter("announce")
        live_until = self.clock() + (lease_s if takes_work else 0)
        if takes_work is None and node in self.nodes:
            live_until = self.nodes[node][1]
        self.node_facts[node] = facts or NodeFacts()
        self.nodes_seen[node] = (self.clock(), self.clock() + lease_s)
        self.nodes[node] = (dict(languages), live_until)
        self._answer(None, lost)

    def live_now(self) -> set[str] | None:
        """Return the languages of the live nodes; None: there are none."""
        live = [languages for languages, until in self.nodes.values() if until > self.clock()]
        return {key for languages in live for key in languages} if live else None

    async def live_languages(self) -> Mapping[str, tuple[str, ...]] | None:
        lost = await self._enter("live_languages")
        live = [languages for languages, until in self.nodes.values() if until > self.clock()]
        keys = dict.fromkeys(key for languages in live for key in languages)
        found = {key: tuple(sorted({has[key] for has in live if key in has})) for key in keys}
        return self._answer(found if live else None, lost)

    async def announced_nodes(self, limit: int) -> list[AnnouncedNode]:
        lost = await self._enter("announced_nodes")
        judged = {row.owner: row for row in self.ledger if row.isolation is not None}
        found = [
            AnnouncedNode(
                node=node,
                languages=languages,
                is_live=min(self.nodes_seen[node][1], self.nodes_seen[node][0] + SILENT_S) > self.clock(),
                takes_work=min(until, self.nodes_seen[node][0] + SILENT_S) > self.clock(),
                seen_at=self._dated(self.nodes_seen[node][0]).isoformat(),
                isolation=self.node_facts[node].isolation or (judged[node].isolation if node in judged else None),
                judged_at=self._dated(judged[node].at).isoformat() if node in judged else None,
                facts=self.node_facts[node],
            )
            for node, (languages, until) in sorted(self.nodes.items())
            if self.nodes_seen[node][1] > self.clock() - 86_400
        ]
        found.sort(key=lambda one: not one.is_live)
        return self._answer(found[:limit], lost)

    # -- live results

    def _notify_live(self, job_id: str) -> None:
        for notify in self.ears:
            notify(job_id)

    def _under_way(self, job_id: str, attempt_id: int) -> bool:
        row = self.rows.get(job_id)
        return row is not None and row.state is State.PROCESSING and row.attempt_id == attempt_id

    async def tell_live(self, tests: Sequence[EndedTests], changed: Collection[str], over: Collection[str]) -> None:
        lost = await self._enter("tell_live")
        notified = {*changed, *over}
        for one in tests:
            if self._under_way(one.job_id, one.attempt_id):
                portions = self.told.setdefault((one.job_id, one.attempt_id), {})
                portions.setdefault(one.last, (one, self.clock()))
                notified.add(one.job_id)
        for key in [key for key in self.told if key[0] in over and not self._under_way(*key)]:
            del self.told[key]
        for job_id in notified:
            self._notify_live(job_id)
        self._answer(None, lost)

    async def live(self, job_id: str, attempt_id: int, after: int) -> LiveJob | None:
        lost = await self._enter("live")
        row = self.rows.get(job_id)
        if row is None:
            return self._answer(None, lost)
        portions = self.told.get((job_id, row.attempt_id), {}) if row.state is State.PROCESSING else {}
        start = after if attempt_id == row.attempt_id else 0
        tests = [
            LiveTest(portion.first + at, portion.count, json.loads(json.dumps(test)))
            for _, (portion, _) in sorted(portions.items())
            for at, test in enumerate(portion.tests)
            if portion.first + at > start
        ]
        live = LiveJob(
            state=row.state,
            status=row.status,
            judging=row.judging,
            attempt_id=row.attempt_id,
            tests=tuple(tests),
            finished=self._as_submission(row) if row.state in {State.DONE, State.DEAD} else None,
        )
        return self._answer(live, lost)

    async def sweep_live(self, keep_s: float, limit: int) -> int:
        lost = await self._enter("sweep_live")
        old = sorted(
            (at, key, last)
            for key, portions in self.told.items()
            for last, (_, at) in portions.items()
            if at <= self.clock() - keep_s
        )[:limit]
        for _, key, last in old:
            del self.told[key][last]
        return self._answer(len(old), lost)

    @staticmethod
    def _task(row: Row) -> dict[str, object]:
        """What the database rebuilds of the task JSON; the rest is filled in by ``_send``."""
        task: dict[str, object] = {
            "language": row.draft.language,
            "problem_id": row.draft.problem_id,
            "trace_id": row.draft.trace_id,
            "cache_key": row.code_hash.hex(),
            "code": base64.b64encode(row.draft.code.encode()).decode(),
        }
        if row.draft.entry_point is not None:
            task["entry_point"] = row.draft.entry_point
            task["files"] = [{"name": file.name, "content": file.content} for file in row.draft.beside]
        return task

    # -- ways back

    def _strayed(self, row: Row, before: float) -> bool:
        return row.unfinished and row.updated_at <= before and not self._leased(row)

    async def strays(self, after_id: int, min_age_s: float, limit: int) -> list[Stray]:
        lost = await self._enter("strays")
        before = self.clock() - min_age_s
        found = []
        for row in self.rows.values():
            if row.id > after_id and self._strayed(row, before):
                events = [event for event in self.outbox.values() if event.job_id == row.job_id]
                ids = [event.stream_entry_id for event in reversed(events) if event.stream_entry_id is not None]
                found.append(Stray(row.id, row.job_id, tuple(ids[:8])))
        return self._answer(found[:limit], lost)

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
        lost = await self._enter("repair")
        before = self.clock() - min_age_s
        repaired = [
            row
            for row in self.rows.values()
            if after_id < row.id <= upto_id
            and self._strayed(row, before)
            and row.job_id not in live_job_ids
            and not any(
                event.job_id == row.job_id and (event.status == "pending" or (event.dispatched_at or 0.0) > before)
                for event in self.outbox.values()
            )
        ][:limit]
        for row in repaired:
            row.stream_key = stream_key
            self._send(row, "repair", 0.0, self._task(row))
        return self._answer([row.job_id for row in repaired], lost)

    async def expired(self, after_id: int, keep_s: float, limit: int) -> Expired:
        lost = await self._enter("expired")
        before = self.clock() - keep_s
        page = [row for row in self.rows.values() if row.id > after_id][:limit]
        old = tuple(row.id for row in page if row.state is State.DONE and row.updated_at <= before)
        more = len(page) == limit and page[-1].created_at <= before
        return self._answer(Expired(old, page[-1].id if more else 0), lost)

    async def delete_expired(self, row_ids: Sequence[int], keep_s: float) -> int:
        lost = await self._enter("delete_expired")
        before = self.clock() - keep_s
        gone = {
            row.job_id
            for row in self.rows.values()
            if row.id in row_ids and row.state is State.DONE and row.updated_at <= before
        }
        self._forget(gone)
        return self._answer(len(gone), lost)

    def _forget(self, gone: set[str]) -> None:
        self._settle(self.rows[job_id] for job_id in gone)
        for job_id in gone:
            del self.rows[job_id]
            self.kept.pop(job_id, None)
        self.outbox = {event.id: event for event in self.outbox.values() if event.job_id not in gone}
        self.hooks = {hook.id: hook for hook in self.hooks.values() if hook.job_id not in gone}
        self._keys = {key: job_id for key, job_id in self._keys.items() if job_id not in gone}
        self.ledger[:] = [row for row in self.ledger if row.job_id not in gone]
        self.previews.forget_jobs(gone)
        self.reruns.forget_jobs(gone)
        self.batches.forget(gone)

    # -- dead letters

    async def dead_letters(self, limit: int, before_id: int | None = None) -> list[DeadLetter]:
        lost = await self._enter("dead_letters")
        found = [self._letter(row) for row in self.rows.values() if row.state is State.DEAD]
        below = [letter for letter in reversed(found) if before_id is None or letter.id < before_id]
        return self._answer(below[:limit], lost)

    async def dead_letter(self, job_id: str) -> DeadLetter | None:
        lost = await self._enter("dead_letter")
        row = self.rows.get(job_id)
        return self._answer(self._letter(row) if row is not None and row.state is State.DEAD else None, lost)

    def _letter(self, row: Row) -> DeadLetter:
        account = self._users.get(row.draft.user_id)
        return DeadLetter(
            id=row.id,
            job_id=row.job_id,
            user_id=row.draft.user_id,
            username=account.user.username if account is not None else "",
            problem_id=row.draft.problem_id,
            language=row.draft.language,
            judging=row.judging,
            attempt_id=row.attempt_id,
            attempts=row.judging_attempts,
            error_code=row.error_code,
            error_message=row.error_message,
            trace_id=row.draft.trace_id,
            created_at=(EPOCH + dt.timedelta(seconds=row.created_at)).isoformat(),
            died_at=(EPOCH + dt.timedelta(seconds=row.updated_at)).isoformat(),
        )

    async def ledger_of(self, job_id: str, limit: int) -> list[LedgerEvent]:
        lost = await self._enter("ledger_of")
        found = [
            LedgerEvent(
                judging=row.judging,
                attempt_id=row.attempt_id,
                event=row.event,
                node=row.owner,
                outcome=row.outcome,
                detail=row.detail,
                isolation=row.isolation,
                stream_entry_id=row.entry_id,
                lease_until=None
                if row.lease_until is None
                else (EPOCH + dt.timedelta(seconds=row.lease_until)).isoformat(),
                created_at=(EPOCH + dt.timedelta(seconds=row.at)).isoformat(),
            )
            for row in self.ledger
            if row.job_id == job_id
        ]
        return self._answer(found[-limit:], lost)

    async def decide(
        self, decision: Decision, job_id: str, attempt_id: int, *, by: str, note: str, stream_key: str
    ) -> Decided | LetterRefusal:
        lost = await self._enter("decide")
        row = self.rows.get(job_id)
        if row is None:
            return self._answer(LetterRefusal.UNKNOWN_JOB, lost)
        if row.state is not State.DEAD or row.attempt_id != attempt_id:
            done = any((one.job_id, one.attempt_id, one.event) == (job_id, attempt_id, decision) for one in self.ledger)
            if done:
                return self._answer(Decided(job_id, attempt_id, repeated=True), lost)
            refusal = LetterRefusal.STALE_ATTEMPT if row.state is State.DEAD else LetterRefusal.NOT_DEAD
            return self._answer(refusal, lost)
        outcome = None
        row.updated_at = self.clock()
        if decision is Decision.REQUEUE:
            row.state, row.status, row.judging_attempts, row.deduplicates = State.PENDING, "pending", 0, False
            row.error_code = row.error_message = row.avoid_owner = None
            row.stream_key = stream_key
            self._send(row, "requeue", 0.0, self._task(row))
        else:
            row.state, row.status, outcome = State.DONE, Verdict.SYSTEM_ERROR, Verdict.SYSTEM_ERROR
            row.error_code = "DISCARDED"
            row.error_message = f"discarded by {by}{f': {note}' if note else ''} ({row.error_message})"
            row.result = {
                "job_id": job_id,
                "attempt_id": attempt_id,
                "status": "System Error",
                "explanation": [{"rule": "discarded", "attempts": row.judging_attempts}],
            }
            self._call_back(row)
            self._mark(row, self.rows.values())
        self.ledger.append(
            LedgerRow(
                job_id=job_id, event=decision, judging=row.judging, attempt_id=attempt_id, owner=by, outcome=outcome,
                detail=note, at=self.clock(),
            )
        )  # fmt: skip
        act = AdminAct.LETTER_REQUEUED if decision is Decision.REQUEUE else AdminAct.LETTER_DISCARDED
        self._log(by, act, job_id, attempt_id=attempt_id, note=note)
        return self._answer(Decided(job_id, attempt_id), lost)

    async def count_dead_letters(self, upto: int) -> int:
        lost = await self._enter("count_dead_letters")
        return self._answer(min(upto, sum(row.state is State.DEAD for row in self.rows.values())), lost)

    # -- marks: more of them in MemoryMarks

    async def solved_problems(
        self, user_id: int, after_id: int, limit: int, *, viewer: int | None
    ) -> list[SolvedProblem]:
        return await self._solved(user_id, after_id, limit, self._open_problems(viewer))

    async def count_solved(self, user_id: int, *, viewer: int | None) -> int:
        return await self._count_solved(user_id, self._open_problems(viewer))

    async def user_verdicts(self, user_id: int, limit: int) -> list[tuple[str, int]]:
        return await self._counted(user_id, limit, self.rows.values())

    # -- rejudging

    async def rejudge(
        self, job_id: str, judging: int | None, *, by: str, in_full: bool, stream_key: str
    ) -> Rejudged | RejudgeRefusal:
        lost = await self._enter("rejudge")
        row = self.rows.get(job_id)
        if row is None:
            return self._answer(RejudgeRefusal.UNKNOWN_JOB, lost)
        if row.judging > judging if judging is not None else row.judging > 1 and row.unfinished:
            return self._answer(Rejudged(job_id, row.judging, repeated=True), lost)
        if row.state is State.DEAD:
            return self._answer(RejudgeRefusal.DEAD, lost)
        if row.is_erased:
            return self._answer(RejudgeRefusal.ERASED, lost)
        if row.state is not State.DONE or (judging is not None and row.judging < judging):
            return self._answer(RejudgeRefusal.NOT_FINISHED, lost)
        self._open(row, by, in_full, stream_key)
        self._log(by, AdminAct.SUBMISSION_REJUDGED, job_id, judging=row.judging, in_full=in_full)
        return self._answer(Rejudged(job_id, row.judging), lost)

    def _keep_verdict(self, row: Row, *, in_full: bool) -> None:
        assert row.result is not None
        verdict = Judging(
            judging=row.judging,
            attempt_id=row.attempt_id,
            status=row.status,
            error_code=row.error_code,
            error_message=row.error_message,
            result=row.result,
            finished_at=(EPOCH + dt.timedelta(seconds=row.updated_at)).isoformat(),
        )
        self.kept.setdefault(row.job_id, []).append(KeptRow(verdict=verdict, replaced_in_full=in_full))

    def _drop_previews(self, job_id: str) -> None:
        self.previews.drop_source(job_id)
        self.reruns.forget_jobs((job_id,))

    def _note_preview(self, row: Row, event: str, preview_id: int, *, owner: str | None, isolation: str | None) -> None:
        is_opening, is_end = event == "rejudged", event == "finalized"
        self.ledger.append(
            LedgerRow(
                job_id=row.job_id, event=event, judging=row.judging, attempt_id=row.attempt_id - is_opening,
                owner=owner, outcome=row.status if is_end else None, isolation=isolation if is_end else None,
                detail=f"preview {preview_id}", at=self.clock(),
                lease_until=None if is_opening else self.clock() + 60.0,
            )
        )  # fmt: skip

    def _open(self, row: Row, by: str, in_full: bool, stream_key: str) -> None:
        self._keep_verdict(row, in_full=in_full)
        row.state, row.status, row.judging, row.judging_attempts = State.PENDING, "pending", row.judging + 1, 0
        row.result = row.error_code = row.error_message = row.avoid_owner = None
        row.deduplicates, row.stream_key, row.updated_at = False, stream_key, self.clock()
        self.ledger.append(
            LedgerRow(
                job_id=row.job_id, event="rejudged", judging=row.judging, attempt_id=row.attempt_id, owner=by,
                detail="in full" if in_full else None, at=self.clock(),
            )
        )  # fmt: skip
        self._send(row, "rejudge", 0.0, self._task(row))

    async def judgings(self, job_id: str, limit: int) -> list[Judging]:
        lost = await self._enter("judgings")
        return self._answer([one.verdict for one in self.kept.get(job_id, [])][-limit:], lost)

    async def former_result(self, job_id: str, judging: int) -> Mapping[str, Any] | None:
        lost = await self._enter("former_result")
        for one in reversed([kept for kept in self.kept.get(job_id, []) if kept.verdict.judging < judging]):
            if one.replaced_in_full:
                break
            if one.verdict.status != Verdict.SYSTEM_ERROR:
                return self._answer(one.verdict.result, lost)
        return self._answer(None, lost)

    async def order_rejudge(
        self, problem_id: int, *, by: str, in_full: bool, scope: RejudgeScope = EVERYTHING
    ) -> RejudgeOrder | None:
        lost = await self._enter("order_rejudge")
        problem = self._problems.get(problem_id)
        if problem is None:
            return self._answer(None, lost)
        full = in_full
        for one in self.orders:
            if one.order.problem_id != problem_id or one.order.finished:
                continue
            is_covered = one.order.scope in (EVERYTHING, scope) and (one.order.in_full or not in_full)
            if one.order.problem_version == problem.version and is_covered:
                return self._answer(replace(one.order, repeated=True), lost)
            full = full or one.order.in_full
            scope = scope if one.order.scope == scope else EVERYTHING
            one.order = replace(one.order, finished=True)
        theirs = [row for row in self.rows.values() if row.draft.problem_id == problem_id and not row.is_erased]
        ids = [row.id for row in theirs if self._asked(row, scope)]
        order = RejudgeOrder(
            id=len(self.orders) + 1, problem_id=problem_id, problem_version=problem.version, in_full=full,
            ordered_by=by, submissions=len(ids), opened=0, passed=0, finished=False, scope=scope,
        )  # fmt: skip
        self.orders.append(OrderRow(order=order, upto_id=max(ids, default=0), ordered_at=self.clock()))
        filters = {
            "verdict": scope.verdict and scope.verdict.value, "language": scope.language,
            "since": scope.since and scope.since.isoformat(), "until": scope.until and scope.until.isoformat(),
        }  # fmt: skip
        named = {name: value for name, value in filters.items() if value is not None}
        self._log(by, AdminAct.PROBLEM_REJUDGED, problem_id, submissions=len(ids), in_full=full, **named)
        return self._answer(order, lost)

    @staticmethod
    def _asked(row: Row, scope: RejudgeScope) -> bool:
        sent = EPOCH + dt.timedelta(seconds=row.created_at)
        has_verdict = row.state is State.DONE and row.status == scope.verdict
        return (
            (scope.verdict is None or row.state is State.PROCESSING or has_verdict)
            and scope.language in (None, row.draft.language)
            and (scope.since is None or scope.since <= sent)
            and (scope.until is None or sent < scope.until)
        )

    async def rejudge_order(self, problem_id: int) -> RejudgeOrder | None:
        lost = await self._enter("rejudge_order")
        found = [one.order for one in self.orders if one.order.problem_id == problem_id]
        return self._answer(found[-1] if found else None, lost)

    async def verdict_changes(self, order_id: int, limit: int) -> list[VerdictChange]:
        lost = await self._enter("verdict_changes")
        counts: Counter[tuple[str, str | None]] = Counter()
        for one in self.orders:
            if one.order.id != order_id:
                continue
            theirs = [row for row in self.rows.values() if row.draft.problem_id == one.order.problem_id]
            newest = sorted((row for row in theirs if row.id <= one.upto_id), key=lambda row: row.id)[-limit:]
            opened = {
                at.job_id: at.judging
                for at in self.ledger
                if at.event == "rejudged" and at.at >= one.ordered_at and not (at.detail or "").startswith("preview ")
            }
            for row in newest:
                kept = {old.verdict.judging: old.verdict.status for old in self.kept.get(row.job_id, [])}
                if row.job_id in opened:
                    judging, now = opened[row.job_id], None if row.unfinished else row.status
                    counts[kept[judging - 1], kept[judging] if judging < row.judging else now] += 1
        found = [VerdictChange(before, after, count) for (before, after), count in counts.items()]
        return self._answer(sorted(found, key=lambda it: (-it.count, it.before, it.after or "~")), lost)

    async def go_on_rejudging(self, limit: int, stream_key: str) -> RejudgeOrder | None:
        lost = await self._enter("go_on_rejudging")
        under_way = [one for one in self.orders if not one.order.finished]
        if not under_way:
            return self._answer(None, lost)
        one = min(under_way, key=lambda it: (it.after_id >= it.upto_id, it.order.id))
        left_out = 0
        if one.after_id < one.upto_id:
            theirs = [row for row in self.rows.values() if row.draft.problem_id == one.order.problem_id]
            page = [row for row in theirs if one.after_id < row.id <= one.upto_id and not row.is_erased][:limit]
            one.after_id = page[-1].id if len(page) == limit else one.upto_id
        else:
            page, one.late = [self.rows[job_id] for job_id in one.late if job_id in self.rows], []
            left_out = sum(not self._asked(row, one.order.scope) for row in page)
        page = [row for row in page if self._asked(row, one.order.scope)]
        one.late += [row.job_id for row in page if row.state is State.PROCESSING]
        passed = sum(row.state in {State.PENDING, State.DEAD} for row in page) + left_out
        done = [row for row in page if row.state is State.DONE and not row.is_erased]
        for row in done:
            self._open(row, one.order.ordered_by, one.order.in_full, stream_key)
        one.order = replace(
            one.order,
            opened=one.order.opened + len(done),
            passed=one.order.passed + passed,
            finished=one.after_id >= one.upto_id and not one.late,
        )
        return self._answer(one.order, lost)

    # -- audit

    def _audited(self, row: Row) -> AuditedJob:
        now = self.clock()
        named = {name: str(value) for name, value in (row.result or {}).items()}
        return AuditedJob(
            id=row.id,
            job_id=row.job_id,
            state=row.state,
            status=row.status,
            judging=row.judging,
            attempt_id=row.attempt_id,
            lease_owner=row.lease_owner,
            leased=self._leased(row),
            result_status=named.get("status"),
            result_attempt=named.get("attempt_id"),
            result_job=named.get("job_id"),
            age_s=now - row.created_at,
            events=tuple(self._audited_event(one) for one in self.ledger if one.job_id == row.job_id),
        )

    @staticmethod
    def _audited_event(one: LedgerRow) -> AuditedEvent:
        return AuditedEvent(
            judging=one.judging,
            attempt_id=one.attempt_id,
            event=one.event,
            node=one.owner,
            outcome=one.outcome,
            in_lease=None if one.lease_until is None else one.at < one.lease_until,
        )

    async def audit_page(self, after_id: int, limit: int) -> list[AuditedJob]:
        lost = await self._enter("audit_page")
        page = [row for row in self.rows.values() if row.id > after_id][:limit]
        return self._answer([self._audited(row) for row in page], lost)

    async def audit_start(self, since: str) -> tuple[int, int]:
        lost = await self._enter("audit_start")
        at = (dt.datetime.fromisoformat(since) - EPOCH).total_seconds()
        rows = [row.id - 1 for row in self.rows.values() if row.created_at >= at]
        events = [number for number, one in enumerate(self.ledger) if one.at >= at]
        return self._answer((min(rows, default=2**62), min(events, default=2**62)), lost)

    async def audit_older(
        self, ledger_start: int, ledger_after: int, upto_id: int, limit: int
    ) -> tuple[list[AuditedJob], int | None]:
        lost = await self._enter("audit_older")
        page = self.ledger[ledger_after : ledger_after + limit]
        before = {one.job_id for one in self.ledger[ledger_start:ledger_after]}
        job_ids = [one.job_id for one in page if one.job_id not in before and one.job_id in self.rows]
        rows = [self.rows[job_id] for job_id in dict.fromkeys(job_ids)]
        found = [self._audited(row) for row in rows if row.id <= upto_id]
        return self._answer((found, ledger_after + len(page) if page else None), lost)

    async def audit_rowless(
        self, ledger_start: int, ledger_after: int, limit: int
    ) -> tuple[list[tuple[str, AuditedEvent]], int | None]:
        lost = await self._enter("audit_rowless")
        page = self.ledger[ledger_after : ledger_after + limit]
        told = {one.job_id for one in self.ledger[ledger_start:ledger_after] if one.event != "refused"}
        found: dict[str, AuditedEvent] = {}
        for one in page:
            if one.event != "refused" and one.job_id not in self.rows and one.job_id not in told:
                found.setdefault(one.job_id, self._audited_event(one))
        return self._answer((list(found.items()), ledger_after + len(page) if page else None), lost)

    async def audit_contests(self, since: str | None) -> list[int]:
        return []

    async def audit_contest(self, contest_id: int, limit: int) -> list[ContestDrift]:
        raise AssertionError("contests need PostgreSQL")
