"""Running contests, as routes and pages do it.

What if we die here? Every change is one transaction.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from deepoj import observe
from deepoj.accounts.teams import MAX_TEXT_CHARS
from deepoj.api.body import text
from deepoj.api.codes import CodedError
from deepoj.api.contest_errors import ContestError
from deepoj.api.contest_sight import ContestSight, find_contest
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.upload import new_path
from deepoj.api.rights import Right, may, require
from deepoj.contests.awards import Medals, awards_of, standings_stamp
from deepoj.contests.cells import OpenedCell
from deepoj.contests.ledger import ContestLedger, Object
from deepoj.contests.views import CATEGORIES, JURY, PUBLIC
from deepoj.judging.languages import LANGUAGES
from deepoj.judging.outputs import OUTPUTS
from deepoj.packages.report import PackageReport, PackageReports
from deepoj.words.accounts import User
from deepoj.words.contests import (
    ID,
    ClarificationDraft,
    Contest,
    ContestKind,
    ContestProblem,
    ContestRefusal,
    ContestRules,
    ContestWaits,
    EventType,
)
from deepoj.words.names import is_line

#: contests of a list, and bytes of a list of teams
MAX_LISTED, MAX_LIST_BYTES = 200, 1024 * 1024
MAX_CLARIFICATION_CHARS = MAX_COMMENT_CHARS = 4000
#: the latest submissions, by which waits are measured
MAX_MEASURED = 1000
#: a label is a part of the ids of awards, which have 36 characters at most
_LABEL = re.compile(r"[a-zA-Z0-9_]([a-zA-Z0-9_.-]{0,19}[a-zA-Z0-9_-])?")
_RGB = re.compile(r"#[0-9a-fA-F]{6}")
MAX_DURATION_MS = 366 * 24 * 3_600_000
_MAX_ORDINAL = 1000
_MAX_SCORE = 1_000_000
_FIRST, _LAST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime(2200, 1, 1, tzinfo=dt.UTC)
#: times that awards are computed again, because something has happened meanwhile
_FINALIZE_TRIES = 5
#: submissions that an error sentence names; its details have all
_MAX_NAMED = 10
#: times that a change is made again, because another one came first
_CHANGE_TRIES = 5

REFUSALS: Mapping[ContestRefusal, CodedError] = MappingProxyType(
    {
        ContestRefusal.KEY_TAKEN: ContestError.CONTEST_KEY_TAKEN,
        ContestRefusal.UNKNOWN_CONTEST: ContestError.NO_SUCH_CONTEST,
        ContestRefusal.UNKNOWN_PROBLEM: ApiError.NO_SUCH_PROBLEM_TO_SUBMIT,
        ContestRefusal.UNKNOWN_ACCOUNT: ApiError.NO_SUCH_USER,
        ContestRefusal.UNKNOWN_CLARIFICATION: ContestError.NO_SUCH_CLARIFICATION,
        ContestRefusal.QUESTIONS_FULL: ContestError.CONTEST_QUESTIONS_FULL,
        ContestRefusal.PROBLEM_TWICE: ContestError.CONTEST_PROBLEM_TWICE,
        ContestRefusal.PROBLEM_USED: ContestError.CONTEST_PROBLEM_USED,
        ContestRefusal.HAS_STARTED: ContestError.CONTEST_START_PASSED,
        ContestRefusal.HAS_HAPPENED: ContestError.CONTEST_MOMENT_PASSED,
        ContestRefusal.TEAM_USED: ContestError.CONTEST_TEAM_USED,
        ContestRefusal.NOT_OVER: ContestError.CONTEST_NOT_OVER,
        ContestRefusal.REGISTRATION_CLOSED: ContestError.CONTEST_REGISTRATION_CLOSED,
        ContestRefusal.NOT_REGISTERED: ContestError.NOT_IN_CONTEST,
        ContestRefusal.UNJUDGED: ContestError.CONTEST_MOVED,
        ContestRefusal.UNANSWERED: ContestError.CONTEST_UNANSWERED,
        ContestRefusal.FINALIZED: ContestError.CONTEST_FINALIZED,
        ContestRefusal.UNVERIFIED: ContestError.CONTEST_UNVERIFIED,
        ContestRefusal.REJUDGING: ContestError.CONTEST_REJUDGING,
        ContestRefusal.MOVED: ContestError.CONTEST_MOVED,
        ContestRefusal.NOT_STARTED: ContestError.CONTEST_NOT_RUNNING,
        ContestRefusal.NOTHING_TO_DO: ContestError.CONTEST_CLOCK_SAME,
        ContestRefusal.UNKNOWN_INTERVAL: ContestError.NO_SUCH_INTERVAL,
        ContestRefusal.UNKNOWN_TEAM: ContestError.NO_SUCH_TEAM,
        ContestRefusal.UNKNOWN_PASSWORDS: ContestError.NO_SUCH_PASSWORDS,
    }
)


class Contesting:
    """Finds, makes, changes and finalizes contests. All methods raise Refused or StoreUnavailable."""

    def __init__(self, context: ApiContext) -> None:
        self._contests, self._ledgers = context.contests, context.ledgers
        self._problems = context.settings.problems
        self._stored, upload_dir = context.problems, context.settings.upload_dir
        self._reports = PackageReports(context.blobs, lambda: new_path(upload_dir), context.settings.problems.unzip)

    # -- reading

    async def listed(self, user: User | None) -> list[Contest]:
        """Return the newest contests that the caller sees."""
        return await self._contests.contests(
            None if user is None else user.id, sees_all=_is_jury(user), limit=MAX_LISTED
        )

    async def find(self, key: str, user: User | None) -> ContestSight:
        """Return a contest that the caller sees (``find_contest``)."""
        return await find_contest(self._contests, key, user)

    async def run(self, key: str, user: User) -> Contest:
        """Return a contest for an account that may run it."""
        require(user, Right.RUN_CONTESTS)
        return (await self.find(key, user)).contest

    async def waits(self, contest: Contest) -> ContestWaits:
        """Return how long the latest judged submissions took, for those who run the contest."""
        return await self._contests.waits(contest.id, MAX_MEASURED)

    async def ledger(self, contest: Contest) -> ContestLedger:
        """Return a contest's ledger as it is now (``ContestLedgers.ledger``)."""
        return await self._ledgers.ledger(contest)

    async def seen_until(self, sight: ContestSight) -> dt.datetime | None:
        """Return the time of the last event that those see who see a viewer's board."""
        _, view = await self._ledgers.view(sight.contest, JURY if sight.viewer.is_jury else PUBLIC)
        return view.at

    def is_kept(self, contest: Contest) -> bool:
        """Return whether this node keeps the contest's ledger (``ContestLedgers.is_kept``)."""
        return self._ledgers.is_kept(contest)

    async def hosts(self, sight: ContestSight, opened: OpenedCell) -> dict[str, str]:
        """Return the nodes that judged what is behind a cell, by judgement, for those who run the contest alone."""
        if not sight.viewer.is_jury:
            return {}
        jobs = {one.job_id: one.submission_id for one in opened.attempts if one.job_id}
        found = await self._contests.hosts(list(jobs)) if jobs else {}
        return {f"{jobs[job_id]}-{judging}": node for (job_id, judging), node in found.items()}

    async def problem_to_submit(self, sight: ContestSight, label: str) -> int:
        """Return the problem of a label for a member of a team; the store decides whether the contest runs."""
        if sight.viewer.team_id is None:
            raise Refused(ContestError.NOT_IN_CONTEST)
        ledger = await self.ledger(sight.contest)
        problem = ledger.of(EventType.PROBLEMS).get(label)
        if problem is None:
            # before the start the answer must not say which labels there are
            is_started = ledger.state.get("started_at") is not None
            raise Refused(ContestError.NOT_IN_CONTEST if is_started else ContestError.CONTEST_NOT_RUNNING)
        return int(problem["problem_id"])

    # -- changing

    async def create(self, key: str, kind: ContestKind, rules: ContestRules, user: User) -> Contest:
        """Make a contest."""
        if not ID.fullmatch(key):
            raise _invalid("key", "1 to 36 letters, digits and _, inside also - and .")
        made = await self._contests.create_contest(key, kind, checked_rules(rules, kind), by=user.id)
        return _changed("created", made, user)

    async def change(self, contest: Contest, user: User, **changes: object) -> Contest:
        """Change these fields of a contest's rules. Fields that somebody else changes meanwhile stay changed."""
        for _ in range(_CHANGE_TRIES):
            rules = replace(contest.rules, **changes)  # type: ignore[arg-type]  # the names are the caller's
            rules = checked_rules(rules, contest.kind)
            done = await self._contests.change_contest(contest.id, rules, before=contest.rules, by=user.id)
            if done is not ContestRefusal.MOVED:
                return _changed("changed", done, user)
            contest = (await self.find(contest.key, user)).contest
        raise Refused(ContestError.CONTEST_MOVED)

    async def remove(self, contest: Contest, user: User, *, force: bool) -> None:
        """Remove a contest with its ledger; one that has started needs ``force``."""
        if contest.started_at is not None and not force:
            raise Refused(ContestError.CONTEST_HAS_STARTED)
        if not await self._contests.remove_contest(contest.id, by=user.id):
            raise Refused(ContestError.NO_SUCH_CONTEST)
        _log("removed", contest, user)

    async def put_problem(self, contest: Contest, label: str, sent: Mapping[str, Any], user: User) -> None:
        """Add a problem, or change the fields of ``sent`` of the one with this label. Ordinal 0: it stays, or is last.

        Its tests are counted in its package as it is now. Raises BlobsUnavailable, too.
        """
        _require_label(label)
        there = (await self.ledger(contest)).of(EventType.PROBLEMS)
        if "problem_id" not in sent and label not in there:
            raise _invalid("problem_id", "the number of a problem: the contest has none with this label yet")
        fields = {"problem_id": there.get(label, {}).get("problem_id"), "ordinal": 0, **sent}
        problem = ContestProblem(label=label, **fields)
        if problem.rgb and not _RGB.fullmatch(problem.rgb):
            raise _invalid("rgb", "#rrggbb")
        if not 0 <= problem.ordinal <= _MAX_ORDINAL or not 0 < problem.problem_id < 2**31:
            raise _invalid("ordinal" if problem.problem_id > 0 else "problem_id", f"a number from 1 to {_MAX_ORDINAL}")
        for field, value in (("name", problem.name), ("color", problem.color)):
            checked_line(field, value)
        for field, limit, most in (
            ("time_limit_ms", problem.time_limit_ms, self._problems.max_time_limit_ms),
            ("memory_limit_mb", problem.memory_limit_mb, self._problems.max_memory_limit_mb),
        ):
            if limit is not None and not 0 < limit <= most:
                raise _invalid(field, f"1 to {most}; null: the problem's")
        if not 0 < problem.max_score <= _MAX_SCORE:
            raise _invalid("max_score", f"a number above 0, at most {_MAX_SCORE}")
        kept = {one.name for one in dataclasses.fields(ContestProblem)} - {"label", "tests", *sent}
        if problem.ordinal == 0:
            kept.add("ordinal")
            problem = replace(problem, ordinal=max((one["ordinal"] for one in there.values()), default=0) + 1)
        stored = await self._stored.problem(problem.problem_id)
        report = None if stored is None else await self._reports.report(stored)
        if isinstance(report, PackageReport):
            problem = replace(problem, tests=report.tests)
        require_done(await self._contests.put_problem(contest.id, problem, by=user.id, kept=kept))
        _log("problem", contest, user)

    async def remove_problem(self, contest: Contest, label: str, user: User) -> None:
        """Take a problem out of a contest; it is no fault if the contest does not have it."""
        _require_label(label)
        require_done(await self._contests.remove_problem(contest.id, label, by=user.id))
        _log("problem", contest, user)

    async def register(self, sight: ContestSight, user: User) -> str:
        """Make a team of one of the caller, and return it."""
        done = await self._contests.register(sight.contest.id, user.id)
        if isinstance(done, ContestRefusal):
            raise Refused(REFUSALS[done])
        _log("registered", sight.contest, user)
        return done

    async def withdraw(self, sight: ContestSight, user: User) -> None:
        """Delete the caller's team of one."""
        require_done(await self._contests.withdraw(sight.contest.id, user.id))
        _log("withdrawn", sight.contest, user)

    async def clarify(self, sight: ContestSight, draft: ClarificationDraft, *, to_all: bool = False) -> str:
        """Store a question of a team, or an answer or announcement of the jury, and return its id.

        An answer goes to the team that asked, or ``to_all``: then it begins with the question, which other teams do
        not see. It is about the problem and of the category of its question, unless the draft says others.
        ``draft.from_team_id`` is set here.
        """
        if not 1 <= len(text("text", draft.text).strip()) <= MAX_CLARIFICATION_CHARS:
            raise _invalid("text", f"1 to {MAX_CLARIFICATION_CHARS} characters")
        checked_line("category", draft.category)
        viewer, ledger = sight.viewer, await self.ledger(sight.contest)
        if not viewer.is_jury and viewer.team_id is None:
            raise Refused(ContestError.NOT_IN_CONTEST)
        if draft.problem_id is not None and draft.problem_id not in sight.objects(ledger, EventType.PROBLEMS):
            raise _invalid("problem", "the label of a problem of this contest")
        _require_category(draft.category, ledger)
        question = None
        if draft.reply_to_id is not None:
            question = sight.objects(ledger, EventType.CLARIFICATIONS).get(draft.reply_to_id)
            if question is None:
                raise Refused(ContestError.NO_SUCH_CLARIFICATION)
        draft = _answer_of(draft, question if viewer.is_jury else None, to_all=to_all)
        if not viewer.is_jury:
            if draft.to_team_ids is not None or to_all:
                raise _invalid("to_teams", "a team asks the jury alone")
            draft = replace(draft, from_team_id=viewer.team_id)
        elif to_all:
            draft = replace(draft, to_team_ids=None)
        elif draft.to_team_ids is not None:
            unknown = [team for team in draft.to_team_ids if team not in ledger.of(EventType.TEAMS)]
            if unknown or not draft.to_team_ids:
                raise _invalid("to_teams", "ids of teams of this contest")
        elif question is not None and question["from_team_id"] is not None:
            draft = replace(draft, to_team_ids=(question["from_team_id"],))
        stored = await self._contests.clarify(sight.contest.id, draft)
        if isinstance(stored, ContestRefusal):
            raise Refused(REFUSALS[stored])
        return stored

    async def finalize(
        self, contest: Contest, medals: Medals, user: User, *, comment: str = "", standings: str = ""
    ) -> Contest:
        """Finalize a contest with the awards that its jury board gives, and a comment for all who see it.

        ``standings``: those that the user has seen (``standings_stamp``); empty: it is not known.
        """
        comment = text("comment", comment).strip()
        if len(comment) > MAX_COMMENT_CHARS:
            raise _invalid("comment", f"at most {MAX_COMMENT_CHARS} characters")
        for _ in range(_FINALIZE_TRIES):
            ledger = await self.ledger(contest)
            if contest.ended_at is not None and (failed := ledger.judge_failures()):
                raise Refused(ContestError.CONTEST_JUDGE_FAILED, details=failed, submissions=_named(failed))
            if standings and standings != standings_stamp(ledger):
                raise Refused(ContestError.STANDINGS_MOVED)
            # it is refused if anything has happened since the ledger was read
            done = await self._contests.finalize(
                contest.id, awards_of(ledger, medals), ledger.last, by=user.id, comment=comment
            )
            if done is ContestRefusal.UNANSWERED:
                raise Refused(ContestError.CONTEST_UNANSWERED, count=ledger.unanswered())
            if done is ContestRefusal.UNVERIFIED:
                waiting = sum(map(ledger.to_verify, ledger.of(EventType.SUBMISSIONS)))
                raise Refused(ContestError.CONTEST_UNVERIFIED, count=waiting)
            if done is not ContestRefusal.UNJUDGED:
                return _changed("finalized", done, user)
            submissions = (await self.ledger(contest)).of(EventType.SUBMISSIONS)
            if waiting := sum(ledger.judgement_of(submission) is None for submission in submissions):
                raise Refused(ContestError.CONTEST_UNJUDGED, count=waiting)
        raise Refused(ContestError.CONTEST_MOVED)


def _named(submissions: Sequence[str]) -> str:
    """Return the first ids of a list for a sentence."""
    more = len(submissions) - _MAX_NAMED
    return ", ".join(submissions[:_MAX_NAMED]) + (f" (+{more})" if more > 0 else "")


def checked_rules(rules: ContestRules, kind: ContestKind) -> ContestRules:
    """Return rules as they are stored: with whole milliseconds. Raises Refused."""
    if not checked_line("name", rules.name):
        raise _invalid("name", f"1 to {MAX_TEXT_CHARS} printable characters")
    checked_line("formal_name", rules.formal_name)
    if not 0 < rules.duration_ms <= MAX_DURATION_MS:
        raise _invalid("duration_ms", f"1 to {MAX_DURATION_MS}")
    if rules.freeze_ms is not None and not 0 <= rules.freeze_ms <= rules.duration_ms:
        raise _invalid("freeze_ms", "0 to the duration; null: the board is never frozen")
    if not 0 <= rules.penalty_ms <= MAX_DURATION_MS:
        raise _invalid("penalty_ms", f"0 to {MAX_DURATION_MS}")
    if not 0 <= rules.late_ms <= MAX_DURATION_MS:
        raise _invalid("late_ms", f"0 to {MAX_DURATION_MS}")
    if rules.late_ms and kind is not ContestKind.HOMEWORK:
        raise _invalid("late_ms", "0: only contests of the kind homework take late submissions")
    if not 0 < rules.late_step_ms <= MAX_DURATION_MS:
        raise _invalid("late_step_ms", f"1 to {MAX_DURATION_MS}")
    if not 0 <= rules.late_percent <= 100:
        raise _invalid("late_percent", "0 to 100")
    if unknown := [key for key in rules.languages if key not in LANGUAGES and key != OUTPUTS.key]:
        raise _invalid("languages", f"keys of languages that /api/v1/languages lists, not {unknown[0]!r}")
    return replace(
        rules,
        start_at=checked_moment("start_at", rules.start_at),
        thaw_at=checked_moment("thaw_at", rules.thaw_at),
        languages=tuple(dict.fromkeys(rules.languages)),
    )


def checked_moment(field: str, at: dt.datetime | None) -> dt.datetime | None:
    """Return a time with whole milliseconds. Raises Refused."""
    if at is None:
        return None
    if not _FIRST <= at <= _LAST:
        raise _invalid(field, f"a time from {_FIRST.year} to {_LAST.year}")
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def checked_line(field: str, value: str) -> str:
    """Return a text that must fit into one line. Raises Refused."""
    if len(text(field, value)) > MAX_TEXT_CHARS or (value and not is_line(value)):
        raise _invalid(field, f"at most {MAX_TEXT_CHARS} printable characters")
    return value.strip()


def _require_category(category: str, ledger: ContestLedger) -> None:
    """Raise Refused unless the contest has the category; one without a list has them all."""
    categories = ledger.of(EventType.TEXTS).get(CATEGORIES, {}).get("texts")
    if categories and category and category not in categories:
        raise _invalid("category", f"one of {', '.join(categories)}")


def _answer_of(draft: ClarificationDraft, question: Object | None, *, to_all: bool) -> ClarificationDraft:
    """Return an answer with what its readers need of the question; anything else as it is."""
    if question is None:
        return draft
    asked = question["text"] if to_all and question.get("from_team_id") is not None else ""
    quoted = "\n".join(f"> {line}" for line in asked.splitlines())
    return replace(
        draft,
        problem_id=draft.problem_id or question.get("problem_id"),
        category=draft.category or question.get("category") or "",
        text=f"{quoted}\n\n{draft.text}" if quoted else draft.text,
    )


def _is_jury(user: User | None) -> bool:
    return user is not None and may(user, Right.RUN_CONTESTS)


def _invalid(field: str, problem: str) -> Refused:
    return Refused(ApiError.INVALID, field=field, problem=problem)


def _require_label(label: str) -> None:
    if not _LABEL.fullmatch(label):
        raise _invalid("label", "1 to 21 letters, digits and _, inside also - and .")


def require_done(refusal: ContestRefusal | None) -> None:
    """Raise Refused for a refusal of the store."""
    if refusal is not None:
        raise Refused(REFUSALS[refusal])


def _changed(act: str, answer: Contest | ContestRefusal, user: User) -> Contest:
    if isinstance(answer, ContestRefusal):
        raise Refused(REFUSALS[answer])
    _log(act, answer, user)
    return answer


def _log(act: str, contest: Contest, user: User) -> None:
    observe.log("contest_changed", reason=act, contest_id=contest.id, by_user_id=user.id)
