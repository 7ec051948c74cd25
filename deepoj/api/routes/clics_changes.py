"""Changes through the Contest API: start and thaw, submissions, clarifications, awards and commentary.

What is there beyond reading is what ``access`` names as capabilities, and awards for those who run the contest. An
award that finalizing computes is the server's: no client changes it.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from pydantic import BaseModel
from quart import Response, request
from quart_trio.wrappers import TrioResponse

from deepoj.api.body import read_json, text
from deepoj.api.contest_callers import ContestCallers
from deepoj.api.contest_errors import ContestError
from deepoj.api.contest_sources import domjudge_form, from_json
from deepoj.api.contesting import MAX_CLARIFICATION_CHARS
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.form import is_multipart
from deepoj.api.http.limits import RequestLimits
from deepoj.api.models.clics import (
    ContestAward,
    ContestClarification,
    ContestCommentary,
    ContestPatch,
    ContestSubmission,
)
from deepoj.api.routes.clics import answer_of, clics_route, contest_object, found_or_refused
from deepoj.api.sources import received_sources
from deepoj.api.submitting import new_trace_id, take_in
from deepoj.contests.awards import COMPUTED_AWARD
from deepoj.contests.clics import sees
from deepoj.contests.clics_log import encoded
from deepoj.contests.clock import moment_of
from deepoj.contests.ledger import ContestLedger
from deepoj.contests.views import JURY, ContestViewer
from deepoj.judging.outputs import language_of
from deepoj.words.accounts import User
from deepoj.words.contests import (
    ID,
    ClarificationDraft,
    ClockAct,
    ClockChange,
    CommentaryDraft,
    Contest,
    ContestObject,
    ContestRefusal,
    EventType,
)
from deepoj.words.submissions import Draft

_MOST_CHARS = 10_000
_MOST_TAGS = 100
#: so long before a start it is not moved any more, as the specification says
_START_MARGIN = dt.timedelta(seconds=30)


class ContestApiChanges:
    """``/clics``, all but GET."""

    def __init__(self, context: ApiContext, limits: RequestLimits, callers: ContestCallers) -> None:
        self._context, self._contests, self._ledgers = context, context.contests, context.ledgers
        self._limits, self._callers = limits, callers

    @clics_route("PATCH", "/contests/<contest_id>")
    async def change(self, contest_id: str) -> Response:
        """Set the start of a contest, or its thaw."""
        user, contest = await self._jury(contest_id)
        body = await read_json(ContestPatch, timeout_s=self._context.settings.read_timeout_s)
        if body.id != contest.key:
            raise Refused(ContestError.CONTEST_ID_DIFFERS)
        if body.changed() == {"scoreboard_thaw_time"}:
            return await self._thaw(user, contest, body)
        if body.changed() - {"countdown_pause_time"} != {"start_time"}:
            raise Refused(ApiError.INVALID, field="start_time", problem="send it, or scoreboard_thaw_time, and no more")
        return await self._start(user, contest, body)

    @clics_route("POST", "/contests/<contest_id>/submissions")
    async def submit(self, contest_id: str) -> Response:
        """Submit for the caller's team."""
        user = await self._callers.user()
        contest, viewer = await self._callers.contest(user, contest_id)
        if viewer.team_id is None:
            raise Refused(ContestError.NOT_IN_CONTEST)
        await self._limits.submit(user)
        settings = self._context.settings
        most, timeout_s = settings.submit_body_max_bytes, settings.read_timeout_s
        if is_multipart():
            program = await domjudge_form(max_bytes=most, timeout_s=timeout_s)
        else:
            body = await read_json(ContestSubmission, max_bytes=most, timeout_s=timeout_s)
            _require_absent(body, "id", "time", "contest_time")
            if body.team_id not in {None, viewer.team_id}:
                raise Refused(ApiError.INVALID, field="team_id", problem="it is not yours")
            program = from_json(body)
        ledger = await self._ledgers.ledger(contest)
        language = language_of(program.language_id)
        if language is None:
            raise Refused(ApiError.UNKNOWN_LANGUAGE)
        if not sees(ledger, viewer, EventType.PROBLEMS, program.problem_id):
            raise Refused(ApiError.NO_SUCH_PROBLEM_TO_SUBMIT)
        problem_id = int(ledger.of(EventType.PROBLEMS)[program.problem_id]["problem_id"])
        sources = received_sources(
            program.as_submit(problem_id, language), language, max_bytes=settings.submit_code_max_bytes
        )
        draft = Draft(
            user_id=user.id,
            problem_id=problem_id,
            language=language.key,
            code=sources.code,
            entry_point=sources.entry_point,
            beside=sources.beside,
            trace_id=new_trace_id(),
            contest_id=contest.id,
        )
        job = await take_in(self._context, draft)
        sent = (await self._ledgers.ledger(contest)).of(EventType.SUBMISSIONS)
        submission_id = next((each for each in reversed(list(sent)) if sent[each]["job_id"] == job.job_id), "")
        return await self._created(contest, viewer, EventType.SUBMISSIONS, submission_id)

    @clics_route("POST", "/contests/<contest_id>/clarifications")
    async def clarify(self, contest_id: str) -> Response:
        """Ask as the caller's team; answer or announce as the jury."""
        user = await self._callers.user()
        contest, viewer = await self._callers.contest(user, contest_id)
        if not viewer.is_jury and viewer.team_id is None:
            raise Refused(ContestError.NOT_IN_CONTEST)
        body = await read_json(
            ContestClarification, max_bytes=8 * MAX_CLARIFICATION_CHARS, timeout_s=self._context.settings.read_timeout_s
        )
        _require_absent(body, "id", "time", "contest_time")
        _require_absent(body, *(("from_team_id",) if viewer.is_jury else ("to_team_ids", "to_group_ids")))
        if body.from_team_id not in {None, viewer.team_id}:
            raise Refused(ApiError.INVALID, field="from_team_id", problem="it is not yours")
        if not 1 <= len(text("text", body.text).strip()) <= MAX_CLARIFICATION_CHARS:
            raise Refused(ApiError.INVALID, field="text", problem=f"1 to {MAX_CLARIFICATION_CHARS} characters")
        ledger = await self._ledgers.ledger(contest)
        _require_seen(ledger, viewer, "problem_id", EventType.PROBLEMS, [body.problem_id])
        _require_seen(ledger, viewer, "reply_to_id", EventType.CLARIFICATIONS, [body.reply_to_id])
        _require_seen(ledger, viewer, "to_team_ids", EventType.TEAMS, body.to_team_ids)
        _require_seen(ledger, viewer, "to_group_ids", EventType.GROUPS, body.to_group_ids)
        draft = ClarificationDraft(
            from_team_id=viewer.team_id,
            to_team_ids=_receivers(ledger, body),
            reply_to_id=body.reply_to_id,
            problem_id=body.problem_id,
            text=body.text.strip(),
        )
        made = await self._contests.clarify(contest.id, draft)
        if isinstance(made, ContestRefusal):
            raise _refused(made)
        return await self._created(contest, viewer, EventType.CLARIFICATIONS, made)

    @clics_route("POST", "/contests/<contest_id>/awards")
    async def add_award(self, contest_id: str) -> Response:
        """Give an award."""
        user, contest = await self._jury(contest_id)
        body = await self._award_body()
        _require_absent(body, "id")
        award_id = f"award-{secrets.token_hex(6)}"
        await self._put_award(user, contest, award_id, await self._whole_award(contest, body))
        return await self._created(contest, JURY, EventType.AWARDS, award_id)

    @clics_route("PUT", "/contests/<contest_id>/awards/<award_id>")
    async def put_award(self, contest_id: str, award_id: str) -> Response:
        """Give an award with an id, or replace it."""
        user, contest = await self._jury(contest_id)
        body = await self._award_body(award_id)
        if body.id is None:
            raise Refused(ApiError.INVALID, field="id", problem="the id of the address")
        return await self._put_award(user, contest, award_id, await self._whole_award(contest, body))

    @clics_route("PATCH", "/contests/<contest_id>/awards/<award_id>")
    async def change_award(self, contest_id: str, award_id: str) -> Response:
        """Change what is sent of an award."""
        user, contest = await self._jury(contest_id)
        body = await self._award_body(award_id)
        before = (await self._ledgers.ledger(contest)).of(EventType.AWARDS).get(award_id)
        if before is None:
            raise Refused(ApiError.NOT_FOUND)
        sent = {name: getattr(body, name) for name in body.model_fields_set - {"id"}}
        changed = await self._whole_award(contest, ContestAward(**{**before, **sent}))
        return await self._put_award(user, contest, award_id, changed)

    @clics_route("DELETE", "/contests/<contest_id>/awards/<award_id>")
    async def remove_award(self, contest_id: str, award_id: str) -> Response:
        """Take an award back."""
        user, contest = await self._jury(contest_id)
        if award_id not in (await self._ledgers.ledger(contest)).of(EventType.AWARDS):
            raise Refused(ApiError.NOT_FOUND)
        await self._tell_award(user, contest, ContestObject(EventType.AWARDS, award_id, None))
        return TrioResponse(b"", status=204)

    @clics_route("POST", "/contests/<contest_id>/commentary")
    async def comment(self, contest_id: str) -> Response:
        """Say something about what happens, for spectators."""
        _, contest = await self._jury(contest_id)
        body = await read_json(
            ContestCommentary, max_bytes=8 * _MOST_CHARS, timeout_s=self._context.settings.read_timeout_s
        )
        _require_absent(body, "id", "time", "contest_time", "source_id")
        if not 1 <= len(text("message", body.message).strip()) <= _MOST_CHARS:
            raise Refused(ApiError.INVALID, field="message", problem=f"1 to {_MOST_CHARS} characters")
        if len(body.tags) > _MOST_TAGS:
            raise Refused(ApiError.INVALID, field="tags", problem=f"{_MOST_TAGS} at most")
        ledger = await self._ledgers.ledger(contest)
        _require_seen(ledger, JURY, "team_ids", EventType.TEAMS, body.team_ids)
        _require_seen(ledger, JURY, "problem_ids", EventType.PROBLEMS, body.problem_ids)
        _require_seen(ledger, JURY, "submission_ids", EventType.SUBMISSIONS, body.submission_ids)
        draft = CommentaryDraft(
            message=body.message.strip(),
            tags=_once(text("tags", tag) for tag in body.tags),
            team_ids=_once(body.team_ids or ()),
            problem_ids=_once(body.problem_ids or ()),
            submission_ids=_once(body.submission_ids or ()),
        )
        made = await self._contests.comment(contest.id, draft)
        if isinstance(made, ContestRefusal):
            raise _refused(made)
        return await self._created(contest, JURY, EventType.COMMENTARY, made)

    async def _created(self, contest: Contest, viewer: ContestViewer, type_: EventType, object_id: str) -> Response:
        response = found_or_refused(await self._ledgers.object(contest, viewer, type_, object_id))
        response.headers["Location"] = f"{request.path.rstrip('/')}/{object_id}"
        return response

    async def _jury(self, contest_id: str) -> tuple[User, Contest]:
        """Return the caller, who may run the contest, and the contest. Raises Refused."""
        user = await self._callers.user()
        contest, viewer = await self._callers.contest(user, contest_id)
        if not viewer.is_jury:
            raise Refused(ApiError.NO_RIGHT)
        return user, contest

    async def _award_body(self, award_id: str | None = None) -> ContestAward:
        """Read an award. ``award_id``: of the address, which an id in the body repeats. Raises Refused."""
        body = await read_json(ContestAward, max_bytes=8 * _MOST_CHARS, timeout_s=self._context.settings.read_timeout_s)
        if award_id is not None and body.id not in {None, award_id}:
            raise Refused(ContestError.CONTEST_ID_DIFFERS)
        return body

    async def _whole_award(self, contest: Contest, body: ContestAward) -> Mapping[str, object]:
        """Return what the event of an award says. Raises Refused."""
        if body.citation is None or not 1 <= len(text("citation", body.citation).strip()) <= _MOST_CHARS:
            raise Refused(ApiError.INVALID, field="citation", problem=f"1 to {_MOST_CHARS} characters")
        if body.team_ids is None:
            raise Refused(ApiError.INVALID, field="team_ids", problem="a list of teams")
        ledger = await self._ledgers.ledger(contest)
        _require_seen(ledger, JURY, "team_ids", EventType.TEAMS, body.team_ids)
        return {"citation": body.citation.strip(), "team_ids": list(_once(body.team_ids))}

    async def _put_award(self, user: User, contest: Contest, award_id: str, data: Mapping[str, object]) -> Response:
        if not ID.fullmatch(award_id):
            raise Refused(ApiError.INVALID, field="id", problem="1 to 36 letters, digits and _, inside also - and .")
        await self._tell_award(user, contest, ContestObject(EventType.AWARDS, award_id, data))
        return found_or_refused(await self._ledgers.object(contest, JURY, EventType.AWARDS, award_id))

    async def _tell_award(self, user: User, contest: Contest, award: ContestObject) -> None:
        if COMPUTED_AWARD.fullmatch(award.id):
            raise Refused(ApiError.INVALID, field="id", problem="the server computes this award")
        done = await self._contests.put_objects(contest.id, [award], by=user.id)
        if isinstance(done, ContestRefusal):
            raise _refused(done)

    async def _start(self, user: User, contest: Contest, body: ContestPatch) -> Response:
        soon = dt.datetime.now(dt.UTC) + _START_MARGIN
        start_at = body.utc(body.start_time)
        left_ms = body.left_ms()
        if left_ms is not None and start_at is not None:
            raise Refused(ApiError.INVALID, field="countdown_pause_time", problem="with a start_time of null")
        if contest.started_at is not None or (contest.rules.start_at is not None and contest.rules.start_at <= soon):
            raise _unmoved("the contest has started, or starts within 30 seconds")
        if start_at is not None and start_at <= soon:
            raise _unmoved("the new start is past, or within 30 seconds")
        act = ClockAct.MOVE if left_ms is None else ClockAct.PAUSE
        change = ClockChange(act=act, start_at=start_at, left_ms=left_ms)
        changed = await self._contests.change_clock(contest.id, change, by=user.id)
        if isinstance(changed, ContestRefusal):
            raise _refused(changed)
        return answer_of(encoded(contest_object(changed)))

    async def _thaw(self, user: User, contest: Contest, body: ContestPatch) -> Response:
        asked, now = body.utc(body.scoreboard_thaw_time), dt.datetime.now(dt.UTC)
        end_at = moment_of(contest, contest.rules.duration_ms)
        if asked is None:
            raise Refused(ApiError.INVALID, field="scoreboard_thaw_time", problem="a time with a zone")
        if contest.rules.freeze_ms is None or contest.thawed_at is not None:
            raise _unmoved("the scoreboard is not frozen at all, or is thawed already")
        if end_at is None or max(asked, now) < end_at:
            raise _unmoved("the scoreboard is not thawed before the end of the contest")
        is_now = asked <= now
        at = now.replace(microsecond=now.microsecond // 1000 * 1000) if is_now else asked
        rules = replace(contest.rules, thaw_at=at)
        changed = await self._contests.change_contest(contest.id, rules, before=contest.rules, by=user.id)
        if isinstance(changed, ContestRefusal):
            raise _refused(changed)
        if is_now:
            await self._contests.advance()
            return answer_of(encoded(contest_object(changed)))
        return TrioResponse(b"", status=204)


def _require_absent(body: BaseModel, *fields: str) -> None:
    for field in fields:
        if getattr(body, field) is not None:
            raise Refused(ApiError.INVALID, field=field, problem="the server sets it: leave it out")


def _unmoved(problem: str) -> Refused:
    return Refused(ContestError.CONTEST_TIME_KEPT, problem=problem)


def _refused(refusal: ContestRefusal) -> Refused:
    if refusal is ContestRefusal.UNKNOWN_CONTEST:
        return Refused(ContestError.NO_SUCH_CONTEST)
    if refusal is ContestRefusal.QUESTIONS_FULL:
        return Refused(ContestError.CONTEST_QUESTIONS_FULL)
    return Refused(ContestError.CONTEST_CHANGE_REFUSED, problem=refusal.value.replace("_", " "))


def _require_seen(
    ledger: ContestLedger, viewer: ContestViewer, field: str, type_: EventType, ids: Collection[str | None] | None
) -> None:
    """Refuse ids that the viewer does not see; None: nothing is referred to."""
    if any(each is not None and not sees(ledger, viewer, type_, each) for each in ids or ()):
        raise Refused(ApiError.INVALID, field=field, problem="there is none with this id")


def _receivers(ledger: ContestLedger, body: ContestClarification) -> tuple[str, ...] | None:
    """Return the teams that a clarification names, by themselves or by their groups; None: it names none. Refused if
    the groups have no teams."""
    if body.to_team_ids is None and body.to_group_ids is None:
        return None
    groups = set(body.to_group_ids or ())
    members = (team for team, data in ledger.of(EventType.TEAMS).items() if groups & {*(data.get("group_ids") or ())})
    receivers = _once((*(body.to_team_ids or ()), *members))
    if not receivers:
        raise Refused(ApiError.INVALID, field="to_group_ids", problem="no team is in them")
    return receivers


def _once(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
