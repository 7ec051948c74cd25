"""Who is who: password hashes, tokens, and the two questions that routes ask first.

Tokens are JWTs signed with HS256 and nothing else. They carry ``user_id``, ``username``, ``exp`` and ``epoch``; the
account's epoch in the database must be the same, so that a new password revokes every older token. What an account may
do is read from the database with each request, never from the token.
"""

from __future__ import annotations

import datetime as dt
import os
import unicodedata
from collections.abc import Awaitable, Callable

import argon2
import jwt
import pydantic
import trio
from argon2.exceptions import InvalidHashError, VerificationError
from quart import g, request

from deepoj.api.body import encodable
from deepoj.api.errors import Refused, Say
from deepoj.api.known_tokens import KnownTokens
from deepoj.api.settings import ApiSettings
from deepoj.ports import Accounts
from deepoj.words import Credentials, User

_ALGORITHM = "HS256"
MAX_PASSWORD_BYTES = 1024
MIN_PASSWORD_CHARS = 6
#: HMAC pads short keys with zero bytes itself (RFC 2104), so these change no signature; PyJWT would warn at each use
_MIN_KEY_BYTES = 32
#: logins that may wait for their hash; more are turned away at once
_MAX_WAITING = 64
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


class Passwords:
    """argon2id in threads, few at a time: a flood of logins must not take both cores from the judge."""

    def __init__(self, *, memory_kb: int = 19_456, time_cost: int = 2) -> None:
        self._hasher = argon2.PasswordHasher(time_cost=time_cost, memory_cost=memory_kb, parallelism=1)
        self._limiter = trio.CapacityLimiter(max(1, (os.cpu_count() or 1) // 2))
        # what an unknown user's password is compared with: the same work, so the time tells nothing
        self._nobody = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """Raises Refused when too many are waiting."""
        self._turn_away()
        return await trio.to_thread.run_sync(self._hasher.hash, password, limiter=self._limiter)

    async def verify(self, account: Credentials | None, password: str) -> bool:
        """Whether it is this account's password; as much work when there is no account."""
        self._turn_away()
        # an account without a password is nobody's to log in to either, and takes as long
        hashed = (account.password_hash if account is not None else "") or self._nobody
        matches = await trio.to_thread.run_sync(self._matches, hashed, password, limiter=self._limiter)
        return matches and account is not None and account.password_hash != ""

    def _matches(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):  # the latter: what was never a password's hash
            return False

    def _turn_away(self) -> None:
        if self._limiter.statistics().tasks_waiting >= _MAX_WAITING:
            raise Refused(Say.TOO_MANY_LOGINS)


class Auth:
    """The questions of every route that is not for all. Each raises Refused, or StoreUnavailable."""

    def __init__(self, accounts: Accounts, settings: ApiSettings) -> None:
        self._accounts = accounts
        self.tokens = Tokens(settings.jwt_secret, settings.jwt_expire_s)
        self.passwords = Passwords(memory_kb=settings.argon2_memory_kb, time_cost=settings.argon2_time_cost)

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

    def _required_claims(self) -> Claims:
        """What the request's token says; 401 unless it is one of ours."""
        if bearer(request.headers.get("Authorization")) is None:
            raise Refused(Say.NO_TOKEN)
        claims = self.claims()
        if claims is None or not 0 < claims.user_id < 2**63:
            raise Refused(Say.BAD_TOKEN)
        return claims

    async def admin(self) -> User:
        """The administrator who sent the request; 401 if nobody we know, 403 if somebody else."""
        user = await self.user()
        if not user.is_admin:
            raise Refused(Say.ADMIN_ONLY)
        return user

    async def verify(self, account: Credentials | None, password: str) -> bool:
        """Whether it is this account's password. One that is too long to be anybody's is not hashed; how long it is,
        its sender knows."""
        if not encodable(password) or len(password.encode()) > MAX_PASSWORD_BYTES:
            return False
        return await self.passwords.verify(account, password)


def new_password(field: str, raw: str) -> str:
    """A password as somebody chooses it. Raises Refused."""
    if not encodable(raw):
        raise Refused(Say.BAD_TEXT, field=field)
    if not is_password(raw):
        problem = f"at least {MIN_PASSWORD_CHARS} characters, at most {MAX_PASSWORD_BYTES} bytes"
        raise Refused(Say.INVALID, field=field, problem=problem)
    return raw


def is_password(raw: str) -> bool:
    """Whether it can be one."""
    return encodable(raw) and len(raw) >= MIN_PASSWORD_CHARS and len(raw.encode()) <= MAX_PASSWORD_BYTES


def _confirmed(claims: Claims, account: Credentials | None) -> Credentials:
    """The account, unless it is disabled or the token was revoked; 401 then."""
    if account is None or account.is_disabled:
        raise Refused(Say.BAD_TOKEN)
    if (account.user.username, account.token_epoch) != (claims.username, claims.epoch):
        raise Refused(Say.BAD_TOKEN)
    return account


def bearer(header: str | None) -> str | None:
    """The token of an ``Authorization: Bearer …`` header."""
    scheme, _, token = (header or "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None


def clean_username(raw: str) -> str | None:
    """The name as it is stored, None if it is none.

    3 to 32 characters after NFKC: letters, marks and digits of any script, and ``_ . -`` but not first. NFKC folds what
    merely looks different (full-width letters); separators, symbols and invisible characters are out, also those that
    Unicode counts among letters and marks. Scripts may be mixed: a name grants nothing, being an administrator is a
    column.
    """
    name = unicodedata.normalize("NFKC", raw)
    if not 3 <= len(name) <= 32 or unicodedata.category(name[0])[0] not in "LN":
        return None
    if any(letter not in "_.-" and unicodedata.category(letter) not in _NAME_CATEGORIES for letter in name):
        return None
    return None if _INVISIBLE.intersection(name) else name


def clean_prefix(raw: str) -> str:
    """The beginning of a name, as names are stored."""
    return unicodedata.normalize("NFKC", raw.strip())


_NAME_CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd", "Nl"})
#: letters and marks that are drawn as nothing: Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties, as far
#: as NFKC leaves them and the categories above let them pass
_INVISIBLE = frozenset(
    chr(number)
    for first, last in (
        (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180D), (0x180F, 0x180F), (0x3164, 0x3164),
        (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0100, 0xE01EF),
    )
    for number in range(first, last + 1)
)  # fmt: skip


def is_reserved(name: str, reserved: frozenset[str]) -> bool:
    """Whether a cleaned name is one of ``ADMIN_USERS``, whatever its case or form."""
    folded = _folded(name)
    return any(_folded(other) == folded for other in reserved)


def _folded(name: str) -> str:
    """Unicode's toNFKC_Casefold, as far as names go: folding can undo a normal form, so it is made anew."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name.strip()).casefold())
