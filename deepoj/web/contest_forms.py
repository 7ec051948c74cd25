"""Forms of contests: what is sent, as rules and problems, and what is, as the fields of a form."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from deepoj.api.contest_errors import ContestError
from deepoj.api.errors import ApiError, Refused
from deepoj.contests.clock import MS_PER_MINUTE, moment_of
from deepoj.web import forms
from deepoj.web.shown import contest_clock
from deepoj.words.contests import (
    Contest,
    ContestFeedback,
    ContestKind,
    ContestRegistration,
    ContestRules,
)
from deepoj.words.stamps import stamp_of

#: what the form of a problem shows; a field of colors is never empty
FIRST_RGB = "#e4572e"
#: what the form of a new contest offers
USUAL_FREEZE_MS = 60 * MS_PER_MINUTE
_LENGTH = re.compile(r"([0-9]{1,4}):([0-5][0-9])")
_POINTS = re.compile(r"[0-9]{1,7}(\.[0-9]{1,6})?")
_MINUTES = re.compile(r"[0-9]{1,6}")


def _(text: str) -> str:
    """Mark a sentence for the catalogue."""
    return text


#: what the fields of rules are called
RULE_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "name": _("Name"),
        "formal_name": _("Formal name"),
        "freeze": _("Frozen for the last … minutes"),
        "penalty": _("Penalty in minutes"),
        "late": _("Late submissions are taken for (h:mm)"),
        "late_percent": _("Late penalty in percent of the points"),
        "late_step": _("for each started period of (h:mm)"),
        "languages": _("Languages"),
        "feedback": _("Teams see their verdicts"),
        "is_verifying": _("Verdicts are shown when the jury has verified them"),
        "allows_custom_runs": _("Teams may run programs on inputs of their own"),
        "is_compile_error_free": _("A Compile Error costs nothing"),
        "is_open": _("Open registration, individuals"),
        "is_public": _("Everybody sees the contest and its board"),
    }
)
#: what a change of rules does as soon as it is made, and for good
_FREEZES = _("The board is frozen at once. This cannot be undone.")
_CLOSES = _("Late submissions end at once. This cannot be undone.")
_SHOWS = _("Teams see the verdicts that are hidden from them now. This cannot be undone.")
_CLOCK_HAS_IT = "the contest has started: its length is changed under Clock, with a reason"
#: ``Date.getTimezoneOffset``: minutes that UTC is ahead of the reader's time
_ZONE = re.compile(r"-?[0-9]{1,4}")


def kind_of(word: str) -> ContestKind:
    """Return the kind that a field says; an unknown word is the usual kind."""
    return ContestKind(word) if word in set(ContestKind) else ContestKind.ICPC


def rules_of(form: forms.SentForm, contest: Contest | None, kind: ContestKind) -> ContestRules:
    """Return the rules that a form of a kind says, for a contest or for a new one (None). Raises Refused.

    The form of a contest that has started shows neither start nor length. One from before may still be sent.
    """
    freeze, feedback = form.line("freeze"), form.get("feedback")
    former = None if contest is None else contest.rules
    has_times = contest is None or contest.started_at is None or "length" in form.fields
    rules = replace(
        former or ContestRules(name="", duration_ms=1),
        name=form.line("name"),
        formal_name=form.line("formal_name"),
        is_public=bool(form.get("is_public")),
        feedback=ContestFeedback(feedback) if feedback in set(ContestFeedback) else ContestFeedback.FULL,
        is_verifying=bool(form.get("is_verifying")),
        allows_custom_runs=bool(form.get("allows_custom_runs")),
        languages=tuple(key.strip() for key in form.line("languages").split(",") if key.strip()),
        registration=ContestRegistration.OPEN if form.get("is_open") else ContestRegistration.CLOSED,
    )
    if has_times:
        rules = replace(rules, start_at=moment_in(form, "start_at"), duration_ms=length_ms(form))
    if kind is ContestKind.HOMEWORK:
        rules = replace(
            rules,
            late_ms=length_ms(form, "late") if form.line("late") else 0,
            late_step_ms=length_ms(form, "late_step"),
            late_percent=whole_number(form, "late_percent"),
        )
    else:
        rules = replace(rules, freeze_ms=whole_number(form, "freeze") * MS_PER_MINUTE if freeze else None)
    if kind is ContestKind.ICPC:
        rules = replace(
            rules,
            penalty_ms=whole_number(form, "penalty") * MS_PER_MINUTE,
            is_compile_error_free=bool(form.get("is_compile_error_free")),
        )
    if former is None and rules.freeze_ms == USUAL_FREEZE_MS >= rules.duration_ms:
        rules = replace(rules, freeze_ms=None)  # the form of a new contest offers the usual freeze
    if former is not None:
        for name in ("duration_ms", "freeze_ms", "penalty_ms", "late_ms", "late_step_ms"):
            old, new = getattr(former, name), getattr(rules, name)
            if old is not None and new is not None and old // MS_PER_MINUTE == new // MS_PER_MINUTE:
                rules = replace(rules, **{name: old})  # the field has no seconds
    if former is not None and former.start_at is not None and rules.start_at == former.start_at.replace(microsecond=0):
        rules = replace(rules, start_at=former.start_at)  # the field has no fractions of a second
    if contest is not None and contest.started_at is not None:
        if rules.start_at != contest.rules.start_at:
            raise Refused(ContestError.CONTEST_START_PASSED)
        if rules.duration_ms != contest.rules.duration_ms:
            raise Refused(ApiError.INVALID, field="length", problem=_CLOCK_HAS_IT)
    return rules


@dataclass(frozen=True, slots=True)
class ChangedRule:
    """A rule that a form changes, as the form's field shows it."""

    field: str
    before: str | bool
    after: str | bool


@dataclass(frozen=True, slots=True)
class RulesQuestion:
    """What a page asks before rules of a contest that is under way are changed."""

    changes: list[ChangedRule]
    #: sentences on what cannot be undone
    at_once: list[str]

    @property
    def stamp(self) -> str:
        """Return a text that no other question has. Until it is confirmed, somebody else may change the rules, or a
        time may pass: then another question is asked."""
        return stamp_of(self)


def rules_question(contest: Contest, rules: ContestRules) -> RulesQuestion | None:
    """Return what new rules change in a contest that has started; None: nothing."""
    before = contest.rules
    old, new = shown_rules(before, None), shown_rules(rules, None)
    changes = [ChangedRule(name, old[name], new[name]) for name in RULE_NAMES if old[name] != new[name]]
    is_shown = (before.feedback is ContestFeedback.HIDDEN and rules.feedback is not ContestFeedback.HIDDEN) or (
        before.is_verifying and not rules.is_verifying
    )
    found = (
        (_FREEZES, contest.frozen_at is None and contest.ended_at is None and _is_past(contest, rules.freeze_at_ms)),
        (_CLOSES, rules.late_ms < before.late_ms and _is_past(contest, rules.duration_ms + rules.late_ms)),
        (_SHOWS, is_shown),
    )
    return RulesQuestion(changes, [sentence for sentence, is_so in found if is_so]) if changes else None


def _is_past(contest: Contest, time_ms: int | None) -> bool:
    at = None if time_ms is None else moment_of(contest, time_ms)
    return at is not None and at <= dt.datetime.now(dt.UTC)


def length_ms(form: forms.SentForm, name: str = "length") -> int:
    """Return the length that a field says, in milliseconds. Raises Refused."""
    length = _LENGTH.fullmatch(form.line(name))
    if length is None:
        raise Refused(ApiError.INVALID, field=name, problem="hours and minutes, such as 5:00")
    return (int(length[1]) * 60 + int(length[2])) * MS_PER_MINUTE


def moment_in(form: forms.SentForm, name: str) -> dt.datetime | None:
    """Return the time of a field, in the zone that the form's script has told, or UTC. Raises Refused."""
    raw, zone = form.line(name), form.line("zone") or "0"
    if not raw:
        return None
    try:
        at = dt.datetime.fromisoformat(raw)
        if not _ZONE.fullmatch(zone):
            raise ValueError(zone)
        return (at + dt.timedelta(minutes=int(zone))).replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError) as error:
        raise Refused(ApiError.INVALID, field=name, problem="a time such as 2026-01-31T09:00") from error


def whole_number(form: forms.SentForm, name: str) -> int:
    """Return the number of a field. Raises Refused."""
    if not _MINUTES.fullmatch(form.line(name)):
        raise Refused(ApiError.INVALID, field=name, problem="a whole number")
    return int(form.line(name))


def problem_of(form: forms.SentForm, former: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a problem that a form changes.

    ``former``: the problem's event; empty: the label is new. The form of a problem (``is_shown``) shows its fields: an
    empty one is emptied. In the form for any label an empty field stays as it is. Raises Refused.
    """
    is_shown = bool(form.get("is_shown"))
    is_chosen = bool(form.get("has_color")) or form.line("rgb") not in ("", FIRST_RGB, former.get("rgb"))
    sent: dict[str, Any] = {name: form.line(name) for name in ("name", "color")}
    sent["rgb"] = form.line("rgb") if is_chosen else ""
    for name in ("time_limit_ms", "memory_limit_mb"):
        sent[name] = whole_number(form, name) if form.line(name) else None
    if form.line("max_score"):
        sent["max_score"] = _points(form.line("max_score"))
    untouched = form.untouched()
    if "has_color" not in untouched:
        untouched -= {"rgb"}
    changed = {name: value for name, value in sent.items() if value != former.get(name) and name not in untouched}
    if not is_shown:
        changed = {name: value for name, value in changed.items() if value not in ("", None)}
    if form.line("problem_id"):
        changed["problem_id"] = whole_number(form, "problem_id")
    return changed


def _points(line: str) -> float:
    if not _POINTS.fullmatch(line):
        raise Refused(ApiError.INVALID, field="max_score", problem="a number above 0")
    return float(line)


def latest_rules(form: forms.SentForm, contest: Contest) -> forms.SentForm:
    """Return a form of rules with what its sender has left alone as it is now (``SentForm.on_top_of``)."""
    fields = dict(form.fields)
    if "start_at" in fields:
        with contextlib.suppress(Refused):  # rules_of says what is wrong with it
            fields |= {"start_at": _field_of(moment_in(form, "start_at")), "zone": "0"}
    return forms.SentForm(fields).on_top_of(shown_rules(contest.rules, None))


def shown_rules(shown: ContestRules, sent: Mapping[str, str] | None) -> dict[str, Any]:
    """Return the fields of the form of rules: what was sent, or what is."""
    names = (
        "key", "name", "formal_name", "length", "freeze", "penalty", "is_public", "is_compile_error_free", "late",
        "late_step", "late_percent", "feedback", "is_verifying", "allows_custom_runs", "languages",
        "is_open",
    )  # fmt: skip
    if sent:
        fields = {name: sent.get(name, "") for name in names}
        try:
            start_at = moment_in(forms.SentForm(sent), "start_at")
        except Refused:
            start_at = None
        return {**fields, "start_at": _field_of(start_at)}
    return {
        "key": "",
        "name": shown.name,
        "formal_name": shown.formal_name,
        "length": contest_clock(shown.duration_ms),
        "freeze": "" if shown.freeze_ms is None else str(shown.freeze_ms // MS_PER_MINUTE),
        "penalty": str(shown.penalty_ms // MS_PER_MINUTE),
        "is_public": shown.is_public,
        "is_compile_error_free": shown.is_compile_error_free,
        "late": contest_clock(shown.late_ms) if shown.late_ms else "",
        "late_step": contest_clock(shown.late_step_ms),
        "late_percent": str(shown.late_percent),
        "feedback": shown.feedback.value,
        "is_verifying": shown.is_verifying,
        "allows_custom_runs": shown.allows_custom_runs,
        "languages": ", ".join(shown.languages),
        "is_open": shown.registration is ContestRegistration.OPEN,
        "start_at": _field_of(shown.start_at),
    }


def _field_of(at: dt.datetime | None) -> str:
    return "" if at is None else at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
