"""Which problems a reader finds, as routes and pages show them.

The store decides who sees a problem (``open_problems`` in migration 032), so that lists, reads and submissions agree.
"""

from __future__ import annotations

from collections.abc import Sequence

from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.paths import problem_id_of
from deepoj.api.rights import Right, RightScope, reach
from deepoj.judging.languages import Language
from deepoj.judging.outputs import language_of
from deepoj.ports.problems import Problems
from deepoj.words.accounts import User
from deepoj.words.problems import Problem


async def problem_for(problems: Problems, problem_id: str, reader: User | None) -> Problem:
    """Return the problem with an id from a path. Raises Refused unless the reader sees it; None: without an account."""
    number = problem_id_of(problem_id)
    viewer = None if reader is None else reader.id
    problem = None if number is None else await problems.open_problem(number, viewer)
    if problem is None:
        raise Refused(ApiError.NO_SUCH_PROBLEM)
    return problem


def allowed(problem: Problem, languages: Sequence[Language]) -> list[Language]:
    """Return those of the languages that the problem takes."""
    return [language for language in languages if not problem.languages or language.key in problem.languages]


def language_refused(problem: Problem, language: str) -> Refused:
    """Return the refusal of a program in a language that the problem does not take."""
    taken = [_named(key) for key in problem.languages]
    return Refused(ApiError.LANGUAGE_NOT_ALLOWED, language=_named(language), allowed=", ".join(taken))


def _named(key: str) -> str:
    """Return the name with the key, such as ``C++17 (cpp17)``; the key alone of a language that is gone."""
    language = language_of(key)
    return key if language is None else f"{language.name} ({key})"


async def maker_of(problems: Problems, user: User, right: Right, problem_id: int) -> int | None:
    """Return who made the problem, if the user's right depends on it: for others it costs no query."""
    if reach(user, right) is not RightScope.OWN:
        return None
    problem = await problems.problem(problem_id)
    return None if problem is None else maker_with(right, problem)


def maker_with(right: Right, problem: Problem) -> int | None:
    """Return who made the problem; None while a contest keeps from its maker what the right is about."""
    is_kept = problem.hides_results and right in {Right.READ_RESULTS, Right.REJUDGE}
    return None if is_kept else problem.created_by
