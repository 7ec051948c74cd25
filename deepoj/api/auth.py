"""Authentication: issues and verifies tokens, and tells routes which account sent a request.

Tokens are JWTs, signed with HS256 only. They contain ``user_id``, ``username``, ``exp`` and ``epoch``. The epoch must
equal the account's epoch in the database, so a new password revokes all older tokens. Those that people make for
programs also have a ``token_id``, by which they can be ended one by one. The rights of an account are read from the
database with each request, never from the token.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable

import jwt
import pydantic
from quart import g, request

from deepoj.accounts.passwords import MAX_BYTES, MIN_CHARS, Passwords, TooManyWaiting, is_password
from deepoj.api.body import encodable
from deepoj.api.contest_errors import ContestError
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.address import Address, address_of, client_of, is_within, networks
from deepoj.api.known_tokens import KnownTokens
from deepoj.api.password_tries import PasswordTry
from deepoj.api.settings import ApiSettings
from deepoj.ports.access_tokens import AccessTokens
from deepoj.ports.accounts import Accounts
from deepoj.words.accounts import Credentials, User

_ALGORITHM = "HS256"
#: shorter keys are padded with zero bytes, as HMAC does itself (RFC 2104): signatures stay the same, and PyJWT does not
#: warn at each use
_MIN_KEY_BYTES = 32
#: key under which a request's verified claims are cached
_CLAIMS = "token_claims"


class Claims(pydantic.BaseModel):
    """The contents of a token that are used."""

    model_config = pydantic.ConfigDict(strict=True, extra="ignore")

    user_id: int
    username: str
    epoch: int
    #: of a token that its owner can end by itself (``ports.AccessTokens``); empty: of a login
    token_id: str = ""
    #: kind of the rate limit's counter: tokens and cookies of an account are counted apart
    counted_as: str = "api"


class Tokens:
    """Issues and verifies tokens."""

    def __init__(self, secret: str, expire_s: float) -> None:
        """Raises ValueError for an empty secret."""
        if not secret:
            raise ValueError("JWT_SECRET is empty")
        self._key = secret.encode().ljust(_MIN_KEY_BYTES, b"\0")
        self._expire = dt.timedelta(seconds=expire_s)
        self._known = KnownTokens[Claims]()

    def issue(self, account: Credentials, token_id: str = "") -> str:
        """Return a token for the account with its current epoch. ``token_id``: of one that is noted."""
        now = dt.datetime.now(dt.UTC)
        claims = {
            "user_id": account.user.id,
            "username": account.user.username,
            "epoch": account.token_epoch,
            "iat": now,
            "exp": now + self._expire,
        }
        if token_id:
            claims["token_id"] = token_id
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def read(self, token: str) -> Claims | None:
        """Return the token's claims, or None if its signature is invalid or it has expired."""
        known = self._known.get(token)
        if known is not None:
            return known
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                # iat comes from the issuing node's clock, which may be ahead of this one's: it is not checked
                options={"require": ["exp", "user_id", "username"], "verify_iat": False},
            )
            validated = Claims.model_validate(claims)
        except (jwt.PyJWTError, pydantic.ValidationError, ValueError, RecursionError):
            # the last two are raised by the JSON parser for the token's contents
            return None
        self._known.keep(token, validated, int(claims["exp"]))
        return validated


class Auth:
    """Finds out which account sent a request. All methods raise Refused or StoreUnavailable."""

    def __init__(self, accounts: Accounts, access_tokens: AccessTokens, settings: ApiSettings) -> None:
        self._accounts, self._access_tokens = accounts, access_tokens
        self.tokens = Tokens(settings.jwt_secret, settings.jwt_expire_s)
        self._trusted = networks(settings.trusted_proxies)
        self._passwords = Passwords(memory_kb=settings.argon2_memory_kb, time_cost=settings.argon2_time_cost)

    def claims(self) -> Claims | None:
        """Return the claims of the request's token if it is valid. Revocation is not checked."""
        if _CLAIMS not in g:
            token = bearer(request.headers.get("Authorization"))
            g.setdefault(_CLAIMS, None if token is None else self.tokens.read(token))
        claims: Claims | None = g.get(_CLAIMS)
        return claims

    async def user(self) -> User:
        """Return the user who sent the request. Refused with 401 without a valid token."""
        return (await self.account()).user

    async def account(self) -> Credentials:
        """Return the account that sent the request, including its password hash."""
        claims = self._required_claims()
        account = self._confirmed(claims, await self._accounts.credentials_by_id(claims.user_id))
        await self._require_not_ended(claims)
        return account

    async def user_reading[T](self, read: Callable[[int], Awaitable[tuple[Credentials | None, T]]]) -> tuple[User, T]:
        """Return the user and the result of ``read``, which fetches both in one round trip to the database."""
        claims = self._required_claims()
        found, result = await read(claims.user_id)
        account = self._confirmed(claims, found)
        await self._require_not_ended(claims)
        return account.user, result

    def recheck(self, is_allowed: Callable[[User], bool] = lambda _user: True) -> Callable[[], Awaitable[bool]]:
        """Return a function that checks the request's token again later, for event streams, and with ``is_allowed`` the
        account's rights. Refused with 401 if the token is invalid now.
        """
        claims, address = self._required_claims(), self.address()

        async def is_still_allowed() -> bool:
            account = await self._accounts.credentials_by_id(claims.user_id)
            if account is None or not is_confirmed(claims, account) or not is_allowed(account.user):
                return False
            if is_bound_elsewhere(account, address):
                return False
            return await self._is_not_ended(claims)

        return is_still_allowed

    async def _is_not_ended(self, claims: Claims) -> bool:
        """Return whether the token was not ended by itself. Tokens of logins cost no statement. Asked last: it notes a
        use of the token."""
        return not claims.token_id or await self._access_tokens.use_token(claims.user_id, claims.token_id)

    async def _require_not_ended(self, claims: Claims) -> None:
        if not await self._is_not_ended(claims):
            raise Refused(ApiError.BAD_TOKEN)

    def require_login(self, *, or_token: str = "") -> None:
        """Refuse with 403 a token that was made for a program (``ports.AccessTokens``): its thief could make another
        one, or a password, and keep the account when the token ends. ``or_token``: the id of one that is let through.
        """
        claims = self.claims()
        if claims is not None and claims.token_id not in {"", or_token}:
            raise Refused(ApiError.MADE_TOKEN)

    def _confirmed(self, claims: Claims, account: Credentials | None) -> Credentials:
        """Return the account. Refused with 401 if it is disabled or the token was revoked, and with 403 if a contest
        binds it to other addresses."""
        if account is None or not is_confirmed(claims, account):
            raise Refused(ApiError.BAD_TOKEN)
        if is_bound_elsewhere(account, self.address()):
            raise Refused(ContestError.LOGIN_ELSEWHERE)
        return account

    def _required_claims(self) -> Claims:
        """Return the claims of the request's token. Refused with 401 if it is missing or invalid."""
        if bearer(request.headers.get("Authorization")) is None:
            raise Refused(ApiError.NO_TOKEN)
        claims = self.claims()
        if claims is None or not 0 < claims.user_id < 2**63:
            raise Refused(ApiError.BAD_TOKEN)
        return claims

    def address(self) -> Address | None:
        """Return the address of the request's client; None: it is unknown."""
        return address_of(request, self._trusted)

    async def verify(self, attempt: PasswordTry, account: Credentials | None, password: str) -> bool:
        """Return whether the password is the account's. Refused (429) if the attempt's address has used up its tries.

        A password beyond the maximum length is not hashed. The shorter response time reveals only that length, which
        the sender knows.
        """
        if not encodable(password) or len(password.encode()) > MAX_BYTES:
            return False
        try:
            return await self._passwords.verify(
                account, password, client_of(request, self._trusted), admit=attempt.count
            )
        except TooManyWaiting:
            raise Refused(ApiError.TOO_MANY_LOGINS) from None

    async def hash(self, password: str) -> str:
        """Return the hash of the password. Raises Refused when too many hashes are waiting."""
        try:
            return await self._passwords.hash(password, client_of(request, self._trusted))
        except TooManyWaiting:
            raise Refused(ApiError.TOO_MANY_LOGINS) from None


def new_password(field: str, raw: str) -> str:
    """Return a newly chosen password if it is acceptable. Raises Refused."""
    if not encodable(raw):
        raise Refused(ApiError.BAD_TEXT, field=field)
    if not is_password(raw):
        problem = f"at least {MIN_CHARS} characters, at most {MAX_BYTES} bytes"
        raise Refused(ApiError.INVALID, field=field, problem=problem)
    return raw


def is_confirmed(claims: Claims, account: Credentials) -> bool:
    """Return whether the claims hold: the account is not disabled, and neither its name nor its epoch has changed."""
    is_current = (account.user.username, account.token_epoch) == (claims.username, claims.epoch)
    return is_current and not account.is_disabled


def is_bound_elsewhere(account: Credentials, address: Address | None) -> bool:
    """Return whether a running contest binds the account to other addresses than this one."""
    return any(not is_within(address, networks(bound)) for bound in account.networks)


def bearer(header: str | None) -> str | None:
    """Return the token of an ``Authorization: Bearer …`` header."""
    scheme, _, token = (header or "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None
