"""Declares pages, and who may see them; ``api.route`` explains declarations."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from deepoj.api.access import Access, Guards
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit
from deepoj.api.rights import Right, refusal_for
from deepoj.api.route import Described, Handler, route
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.errors import StoreUnavailable

_PAGE = Described(description="A page.", content_type="text/html")


@dataclass(frozen=True, slots=True)
class PageGuards(Guards):
    """What the checks of pages use."""

    visitors: Visitors


async def _visitor(guards: Guards) -> Visitor:
    if not isinstance(guards, PageGuards):
        raise TypeError("a page was added without PageGuards")
    return await guards.visitors.visitor()


async def _member(guards: Guards) -> Visitor:
    visitor = await _visitor(guards)
    if visitor.account is None:
        raise Refused(ApiError.NO_TOKEN)
    return visitor


@functools.cache
def member_with(right: Right) -> Access:
    """Return the access of members who have the right, be it to their own problems only. So the handler also checks the
    problem, as ``api.access.needs`` says."""

    async def check(guards: Guards) -> Visitor:
        visitor = await _member(guards)
        if not visitor.may_some(right):
            raise Refused(refusal_for(right))
        return visitor

    return Access(check=check)


async def _visitor_or_stranger(guards: Guards) -> Visitor:
    try:
        return await _visitor(guards)
    except StoreUnavailable:
        if not isinstance(guards, PageGuards):
            raise
        return guards.visitors.stranger()


#: handlers get the ``Visitor`` as their first argument
ANYONE = Access(check=_visitor)
#: the same, also while the database is away: then as a stranger
ANYONE_WITHOUT_DATABASE = Access(check=_visitor_or_stranger)
#: others are sent to the login, and come back
MEMBER = Access(check=_member)


def page[H: Handler](method: str, path: str, *, access: Access, limit: Limit = Limit.API) -> Callable[[H], H]:
    """Declare the decorated method as the handler of a page. One of a POST must read its form with ``forms.read``,
    which checks that the form was ours."""
    return route(method, path, access=access, limit=limit, responses={200: _PAGE}, documented=False)
