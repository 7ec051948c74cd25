"""Filters of submissions that a request names, by verdict and by language."""

from __future__ import annotations

from deepoj.api.errors import ApiError, Refused
from deepoj.judging.outputs import language_of
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
