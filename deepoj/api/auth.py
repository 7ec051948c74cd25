"""Who is who: tokens, and the two questions that routes ask first.

Tokens are JWTs signed with HS256 and nothing else. They carry ``user_id``, ``username``, ``exp`` and ``epoch``; the
account's epoch in the database must be the same, so that a new password revokes every older token. What an account may
do is read from the database with each request, never from the token.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable

import jwt
import pydantic
from quart import g, request

from deepoj.accounts.passwords import MAX_BYTES, MIN_CHARS, Passwords, TooManyWaiting, is_password
from deepoj.api.body import encodable
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.address import client_of, networks
from deepoj.api.known_tokens import KnownTokens
from deepoj.api.settings import ApiSettings
from deepoj.ports.accounts import Accounts
from deepoj.words.accounts import Credentials, User

_ALGORITHM = "HS256"
#: HMAC pads short keys with zero bytes itself (RFC 2104), so these change no signature; PyJWT would warn at each use
_MIN_KEY_BYTES = 32
#: where a request's token is kept once it was read
_CLAIMS = "token_claims"


class Claims(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True, extra="ignore")

    user_id: int
    username: str
    epoch: int


class Tokens:
    """Makes and reads tokens."""

    def __init__(self, secret: str, expire_s: float) -> None:
        """Raises ValueError for an empty secret."""
        if not secret:
            raise ValueError("JWT_SECRET is empty")
        self._key = secret.encode().ljust(_MIN_KEY_BYTES, b"\0")
        self._expire = dt.timedelta(seconds=expire_s)
        self._known = KnownTokens[Claims]()

    def issue(self, account: Credentials) -> str:
        """A token for this account at its present epoch."""
        now = dt.datetime.now(dt.UTC)
        claims = {
            "user_id": account.user.id,
            "username": account.user.username,
            "epoch": account.token_epoch,
            "iat": now,
            "exp": now + self._expire,
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def read(self, token: str) -> Claims | None:
        """What a token says, None unless it is ours and has not run out."""
        known = self._known.get(token)
        if known is not None:
            return known
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                # iat is by the clock of the node that issued it, which may be ahead of ours: it decides nothing
                options={"require": ["exp", "user_id", "username"], "verify_iat": False},
            )
            read = Claims.model_validate(claims)
        except (jwt.PyJWTError, pydantic.ValidationError, ValueError, RecursionError):
            # the last two: JSON inside a token that the parser itself gives up on
            return None
        self._known.keep(token, read, int(claims["exp"]))
        return read


class Auth:
    """The questions of every route that is not for all. Each raises Refused, or StoreUnavailable."""

    def __init__(self, accounts: Accounts, settings: ApiSettings) -> None:
        self._accounts = accounts
        self.tokens = Tokens(settings.jwt_secret, settings.jwt_expire_s)
        self._trusted = networks(settings.trusted_proxies)
        self._passwords = Passwords(memory_kb=settings.argon2_memory_kb, time_cost=settings.argon2_time_cost)

    def claims(self) -> Claims | None:
        """What the request's token says, if it is one of ours; whether it was revoked is not looked up."""
        if _CLAIMS not in g:
            token = bearer(request.headers.get("Authorization"))
            g.setdefault(_CLAIMS, None if token is None else self.tokens.read(token))
        found: Claims | None = g.get(_CLAIMS)
        return found

    async def user(self) -> User:
        """Who sent the request; 401 if nobody we know."""
        return (await self.account()).user

    async def account(self) -> Credentials:
        """The same, with the secrets that its owner may change."""
        claims = self._required_claims()
        return _confirmed(claims, await self._accounts.credentials_by_id(claims.user_id))

    async def user_reading[T](self, read: Callable[[int], Awaitable[tuple[Credentials | None, T]]]) -> tuple[User, T]:
        """The user, and what ``read`` finds along with the account of that id: one way to the database for both."""
        claims = self._required_claims()
        account, found = await read(claims.user_id)
        return _confirmed(claims, account).user, found

    def welcome(self, *, is_admin: bool = False) -> Callable[[], Awaitable[bool]]:
        """What tells, also after the request, whether its token still holds, and with ``is_admin`` whether its account
        is still an administrator's. 401 if the token holds no more already."""
        claims = self._required_claims()

        async def holds() -> bool:
            account = await self._accounts.credentials_by_id(claims.user_id)
            if account is None or not _is_confirmed(claims, account):
                return False
            return account.user.is_admin or not is_admin

        return holds

    def _required_claims(self) -> Claims:
        """What the request's token says; 401 unless it is one of ours."""
        if bearer(request.headers.get("Authorization")) is None:
            raise Refused(ApiError.NO_TOKEN)
        claims = self.claims()
        if claims is None or not 0 < claims.user_id < 2**63:
            raise Refused(ApiError.BAD_TOKEN)
        return claims

    async def admin(self) -> User:
        """The administrator who sent the request; 401 if nobody we know, 403 if somebody else."""
        user = await self.user()
        if not user.is_admin:
            raise Refused(ApiError.ADMIN_ONLY)
        return user

    async def verify(self, account: Credentials | None, password: str) -> bool:
        """Whether it is this account's password. One that is too long to be anybody's is not hashed; how long it is,
        its sender knows."""
        if not encodable(password) or len(password.encode()) > MAX_BYTES:
            return False
        try:
            return await self._passwords.verify(account, password, client_of(request, self._trusted))
        except TooManyWaiting:
            raise Refused(ApiError.TOO_MANY_LOGINS) from None

    async def hashed(self, password: str) -> str:
        """Raises Refused when too many are waiting."""
        try:
            return await self._passwords.hash(password, client_of(request, self._trusted))
        except TooManyWaiting:
            raise Refused(ApiError.TOO_MANY_LOGINS) from None


def new_password(field: str, raw: str) -> str:
    """A password as somebody chooses it. Raises Refused."""
    if not encodable(raw):
        raise Refused(ApiError.BAD_TEXT, field=field)
    if not is_password(raw):
        problem = f"at least {MIN_CHARS} characters, at most {MAX_BYTES} bytes"
        raise Refused(ApiError.INVALID, field=field, problem=problem)
    return raw


def _confirmed(claims: Claims, account: Credentials | None) -> Credentials:
    """The account, unless it is disabled or the token was revoked; 401 then."""
    if account is None or not _is_confirmed(claims, account):
        raise Refused(ApiError.BAD_TOKEN)
    return account


def _is_confirmed(claims: Claims, account: Credentials) -> bool:
    same = (account.user.username, account.token_epoch) == (claims.username, claims.epoch)
    return same and not account.is_disabled


def bearer(header: str | None) -> str | None:
    """The token of an ``Authorization: Bearer …`` header."""
    scheme, _, token = (header or "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None
