"""Filters of submissions that a request names."""

from __future__ import annotations

import datetime as dt

from quart import request

from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.paths import query_time
from deepoj.judging.outputs import language_of
from deepoj.words.rejudges import RejudgeScope
from deepoj.words.results import Verdict


def language_filter(word: str | None) -> str | None:
    """Return the key of a language that is named by its number or its key. Raises Refused."""
    if word is None:
        return None
    language = language_of(int(word) if word.isascii() and word.isdigit() and len(word) <= 3 else word)
    if language is None:
        raise Refused(ApiError.UNKNOWN_LANGUAGE)
    return language.key


def verdict_filter(word: str | None) -> Verdict | None:
    """Return the verdict of a word. Raises Refused."""
    known = [verdict for verdict in Verdict if verdict is not Verdict.INVALID]
    if word is not None and word not in known:
        raise Refused(ApiError.INVALID, field="verdict", problem=f"one of {', '.join(known)}")
    return None if word is None else Verdict(word)


def query_scope() -> RejudgeScope:
    """Return the scope of a rejudge that the query string names. Raises Refused."""
    return RejudgeScope(
        verdict=verdict_filter(request.args.get("verdict")),
        language=language_filter(request.args.get("language")),
        since=query_time("since"),
        until=query_time("until"),
    )


def scope_fields(scope: RejudgeScope) -> dict[str, str | None]:
    """Return a scope as the fields of an answer."""
    return {
        "verdict": scope.verdict,
        "language": scope.language,
        "since": _iso_time(scope.since),
        "until": _iso_time(scope.until),
    }


def _iso_time(time: dt.datetime | None) -> str | None:
    return None if time is None else time.isoformat()
