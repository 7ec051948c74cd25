"""Lists of texts of a contest that its director writes: categories of questions, and usual answers of the jury."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deepoj.accounts.teams import MAX_TEXT_CHARS
from deepoj.api.body import text
from deepoj.api.contest_errors import ContestError
from deepoj.api.contest_sight import ContestSight
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.contests.ledger import ContestLedger
from deepoj.contests.views import ANSWERS, CATEGORIES
from deepoj.words.accounts import User
from deepoj.words.contests import Contest, ContestObject, ContestRefusal, EventType
from deepoj.words.names import is_line

#: texts of a list
MAX_TEXTS = 50


def texts_of(sight: ContestSight, ledger: ContestLedger) -> dict[str, list[str]]:
    """Return the lists that the viewer sees: ``categories``, and for the jury ``answers``; empty: there are none."""
    shown = sight.objects(ledger, EventType.TEXTS)
    return {name: list(shown.get(name, {}).get("texts") or ()) for name in (CATEGORIES, ANSWERS)}


async def put_texts(context: ApiContext, contest: Contest, lists: Mapping[str, Sequence[str]], user: User) -> None:
    """Replace these lists of a contest. Raises Refused or StoreUnavailable."""
    objects = []
    for name, texts in lists.items():
        kept = [text(name, one).strip() for one in texts]
        if len(kept) > MAX_TEXTS or not all(_is_line(one) for one in kept):
            problem = f"at most {MAX_TEXTS} lines of 1 to {MAX_TEXT_CHARS} printable characters"
            raise Refused(ApiError.INVALID, field=name, problem=problem)
        objects.append(ContestObject(EventType.TEXTS, name, {"texts": list(dict.fromkeys(kept))}))
    done = await context.contests.put_objects(contest.id, objects, by=user.id)
    if isinstance(done, ContestRefusal):
        is_final = done is ContestRefusal.FINALIZED
        raise Refused(ContestError.CONTEST_FINALIZED if is_final else ContestError.NO_SUCH_CONTEST)


def _is_line(one: str) -> bool:
    return 0 < len(one) <= MAX_TEXT_CHARS and is_line(one)
