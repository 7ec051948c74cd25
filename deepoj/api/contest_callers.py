"""Who calls the Contest API: Bearer with a token of ours, HTTP Basic with a name and a password, or the public.

Clients of the Contest API send name and password with each request. Hashing a password takes 50 ms of CPU. So a right
password is remembered as a keyed digest, for the address that sent it, until the account's epoch changes (a new
password, a disabled account). Each request reads the account from the database: its epoch, and the addresses to which a
contest binds it. The key belongs to this process and is never stored, so a digest that leaks tells nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from quart import request

from deepoj.api.auth import Auth, Claims, bearer, is_bound_elsewhere, is_confirmed
from deepoj.api.contest_sight import feed_viewer, find_contest
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.address import Address
from deepoj.api.http.limits import RequestLimits
from deepoj.api.http.sites import is_of_other_site
from deepoj.api.signing_in import SigningIn
from deepoj.contests.views import ContestViewer
from deepoj.words.accounts import User
from deepoj.words.contests import Contest

#: passwords that are remembered
_MOST = 4096
_READING = frozenset({"GET", "HEAD"})


class ContestCallers:
    """Finds out who calls, and as whom. All methods but ``claims`` raise StoreUnavailable."""

    def __init__(self, context: ApiContext, auth: Auth, signing_in: SigningIn, limits: RequestLimits) -> None:
        self._accounts, self._contests, self._ledgers = context.accounts, context.contests, context.ledgers
        self._limits = limits
        self._auth, self._signing_in = auth, signing_in
        self._allowed_origins = context.settings.cors_allowed_origins
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, Claims] = OrderedDict()

    def claims(self) -> Claims | None:
        """Return whom the request's remembered password names, for the rate limits. Its end is not checked."""
        sent = _basic(request.headers.get("Authorization"))
        return None if sent is None else self._known.get(self._digest(*sent))

    async def caller(self) -> User | None:
        """Return the account that calls; None: the request names none. Refused (401) for a wrong token or password,
        and (403) for a change with HTTP Basic that a page of another site sends."""
        header = request.headers.get("Authorization")
        if header is None:
            return None
        if bearer(header) is not None:
            return await self._auth.user()
        sent = _basic(header)
        if sent is None:
            raise Refused(ApiError.BAD_TOKEN)
        # a browser sends what it keeps with the form of any site; a token is sent by those alone who have it
        is_allowed = request.method in _READING or request.headers.get("Origin") in self._allowed_origins
        if not is_allowed and is_of_other_site(request.headers):
            raise Refused(ApiError.OTHER_SITE)
        digest = self._digest(*sent)
        known = self._known.get(digest)
        if known is not None:
            account = await self._accounts.credentials_by_id(known.user_id)
            if account is not None and is_confirmed(known, account):
                self._signing_in.require_admitted(account)
                self._known.move_to_end(digest)
                return account.user
            self._known.pop(digest, None)
        async with self._signing_in.password_try() as attempt:
            account = await self._signing_in.verified(attempt, *sent)
            self._signing_in.require_admitted(account)
        self._known[digest] = Claims(user_id=account.user.id, username=account.user.username, epoch=account.token_epoch)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return account.user

    async def user(self) -> User:
        """Return the account that calls. Refused with 401 without one."""
        user = await self.caller()
        if user is None:
            raise Refused(ApiError.NO_TOKEN)
        return user

    async def contest(self, user: User | None, key: str) -> tuple[Contest, ContestViewer]:
        """Return a contest that the caller sees, and as whom. Refused with 404, and with 429 for too many first looks
        at contests, each of which folds all events of one."""
        sight = await find_contest(self._contests, key, user)
        if not self._ledgers.is_kept(sight.contest):
            await self._limits.count_costly(None if user is None else self._auth.claims() or self.claims())
        return sight.contest, sight.feed_viewer

    async def viewer(self, user: User | None, contest: Contest) -> ContestViewer | None:
        """Return as whom an account sees a contest; None: it does not see it. One of the jury is of no team here."""
        return await feed_viewer(self._contests, user, contest)

    def recheck(self, user: User | None, contest: Contest, viewer: ContestViewer) -> Callable[[], Awaitable[bool]]:
        """Return a function that checks again later whether the request's account still sees the contest so."""
        claims, address = self._auth.claims() or self.claims(), self._auth.address()
        token_holds = None if self._auth.claims() is None else self._auth.recheck()

        async def is_still_allowed() -> bool:
            if token_holds is not None and not await token_holds():
                return False
            still = None if claims is None else await self._still(claims, address)
            if still is None and user is not None:
                return False
            now = await self._contests.contest(contest.key)
            return now is not None and now.id == contest.id and await self.viewer(still, now) == viewer

        return is_still_allowed

    async def _still(self, claims: Claims, address: Address | None) -> User | None:
        """Return the account as it is now; None: its password has changed, or it is disabled, deleted, or bound to
        other addresses."""
        account = await self._accounts.credentials_by_id(claims.user_id)
        if account is None or not is_confirmed(claims, account) or is_bound_elsewhere(account, address):
            return None
        return account.user

    def _digest(self, username: str, password: str) -> bytes:
        sent = f"{self._auth.address()} {len(username)}:{username}{password}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(sent, key=self._key, digest_size=32).digest()


def _basic(header: str | None) -> tuple[str, str] | None:
    """Return the name and password of an ``Authorization: Basic …`` header."""
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        username, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (username, password) if colon else None
