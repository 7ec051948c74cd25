"""Who may call a route. Each value is for the ``access`` of ``route.route``.

Most checks run before the handler, which gets the caller as its first argument. Rights are thus checked before anything
of the request is validated.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from quart import request

from deepoj.api.auth import Auth, bearer
from deepoj.api.errors import Refused
from deepoj.api.http.limits import RequestLimits
from deepoj.api.rights import Right, require_some
from deepoj.words.accounts import User


@dataclass(frozen=True, slots=True)
class Guards:
    """What the checks use."""

    auth: Auth
    limits: RequestLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may call a route."""

    #: returns the caller or raises Refused; None: nothing is checked before the handler, which gets no caller
    check: Callable[[Guards], Awaitable[object]] | None = None
    #: ``security`` of the operation in the OpenAPI document; empty: a public route
    security: Sequence[Mapping[str, list[str]]] = ()
    #: statuses of the check's errors, except 401, which every route with ``security`` has
    errors: tuple[int, ...] = ()


_TOKEN: Sequence[Mapping[str, list[str]]] = ({"bearer": []},)


async def _user(guards: Guards) -> User:
    return await guards.auth.user()


@functools.cache
def needs(right: Right) -> Access:
    """Return the access of accounts that have the right, be it to their own problems only. So where a right may reach
    own problems only (``rights.RIGHTS``), the handler also checks the problem, by ``rights.require``."""

    async def check(guards: Guards) -> User:
        user = await guards.auth.user()
        require_some(user, right)
        return user

    return Access(check=check, security=_TOKEN, errors=(403,))


async def _reader(guards: Guards) -> User | None:
    if bearer(request.headers.get("Authorization")) is None:
        return None
    try:
        return await guards.auth.user()
    except Refused:
        return None


async def _submitter(guards: Guards) -> User:
    try:
        user = await guards.auth.user()
    except Refused:
        await guards.limits.count_refused_submission(guards.auth.claims())
        raise
    await guards.limits.submit(user)
    return user


def by_login(access: Access) -> Access:
    """Return an access that takes no token that was made for a program: what the route gives would outlive the token
    in the hands of its thief."""
    before = access.check
    if before is None:
        raise ValueError("this access checks nothing before the handler, which calls require_login itself")

    async def check(guards: Guards) -> object:
        caller = await before(guards)
        guards.auth.require_login()
        return caller

    return replace(access, check=check, errors=tuple(sorted({*access.errors, 403})))


#: everybody, without a token
PUBLIC = Access()
#: everybody; the handler gets the user if there is a valid token, else None
READER = Access(check=_reader)
#: a user with a valid token
USER = Access(check=_user, security=_TOKEN)
#: a user with the token of a login
USER_BY_LOGIN = by_login(USER)
#: an administrator
ADMIN = needs(Right.MANAGE_PEOPLE)
#: an administrator with the token of a login
ADMIN_BY_LOGIN = by_login(ADMIN)
#: a user whose submission rate and whose turn allow one more submission; ``Limit.SUBMIT`` requires this access
SUBMITTER = Access(check=_submitter, security=_TOKEN)
#: a user whom the handler itself checks with ``Auth``, because it reads the account together with something else
CHECKED_BY_HANDLER = Access(security=_TOKEN)
#: everybody, as their account if they say which: the handlers of the Contest API check that (``ContestCallers``)
CONTEST_API = Access()
