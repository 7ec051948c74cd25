"""Who asks for a page: sessions in a cookie, and the token that proves that a form came from one of our pages.

The cookie ``deepoj_session`` is ``<user id>.<token epoch>.<begun>.<secret>.<mac>``. The secret is random; the database
keeps its SHA-256 (``ports.Sessions``). The MAC lets a node count requests by account before it asks the database, so a
school behind one address is not counted as one client. A visitor without a session has the cookie ``deepoj_visit``
with a secret of its own, as soon as a page with a form is shown.

A form's token is a MAC of the visitor's secret, masked in each answer. A login makes a new secret, so neither a session
nor a token that somebody else has planted before stays valid. The API never reads these cookies.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from quart import g, request
from werkzeug.datastructures import Headers
from werkzeug.http import dump_cookie

from deepoj.api.auth import Claims, is_bound_elsewhere
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.address import Address, address_of, client_of, is_within, networks, parse
from deepoj.api.http.refusals import prefers_chinese
from deepoj.api.http.sites import names_other_site
from deepoj.api.rights import Right, may, reach
from deepoj.api.settings import ApiSettings
from deepoj.judging.languages import LANGUAGES as JUDGED
from deepoj.ports.sessions import Sessions
from deepoj.words.accounts import Credentials, User

SESSION, VISIT = "deepoj_session", "deepoj_visit"
#: of the interface, of programs
LANGUAGE, PROGRAMMED, THEME = "deepoj_language", "deepoj_programmed", "deepoj_theme"
LANGUAGES = {"en": "English", "zh": "中文"}
THEMES = ("auto", "light", "dark")
_SECRET_BYTES = 24
_YEAR_S = 365 * 86_400
_MAX_CLIENT_CHARS = 200
#: key under which a request's visitor is cached
_VISITOR = "visitor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """The person behind a request. ``secret``: of the cookie; empty: none was sent."""

    account: Credentials | None
    secret: str
    #: the token of this visitor's forms, masked: another one in each answer
    form_token: str
    #: a key of ``LANGUAGES``
    language: str
    #: one of ``THEMES``
    theme: str
    #: language key of the last program; empty: none yet
    programmed: str
    #: from which the request came; None: it is unknown
    address: Address | None

    @property
    def user(self) -> User | None:
        return None if self.account is None else self.account.user

    @property
    def member(self) -> User:
        """The user, on pages for members."""
        if self.account is None:
            raise TypeError("this page is shown to members only")
        return self.account.user

    @property
    def is_admin(self) -> bool:
        return self.account is not None and self.account.user.is_admin

    def may(self, right: str, created_by: int | None = None) -> bool:
        """Return whether the visitor has the right to a problem, for templates (``api.rights.may``)."""
        return self.account is not None and may(self.account.user, Right(right), created_by)

    def may_some(self, right: str) -> bool:
        """Return whether the visitor has the right to anything, for templates."""
        return self.account is not None and reach(self.account.user, Right(right)) is not None

    @property
    def is_chinese(self) -> bool:
        return self.language == "zh"

    @property
    def digest(self) -> bytes:
        return _digest(self.secret)


class Visitors:
    """Finds the visitor of a request, and begins and ends sessions. Raises StoreUnavailable."""

    def __init__(self, sessions: Sessions, settings: ApiSettings) -> None:
        self._sessions, self._limits = sessions, settings.sessions
        self._trusted, self._always_encrypted = networks(settings.trusted_proxies), settings.always_encrypted
        self._key = hashlib.sha256(b"deepoj web\0" + settings.jwt_secret.encode()).digest()

    async def visitor(self) -> Visitor:
        """Return the visitor of the current request."""
        known: Visitor | None = g.get(_VISITOR)
        if known is None:
            known = await self._read()
            setattr(g, _VISITOR, known)
        return known

    def claims(self) -> Claims | None:
        """Return what the session's cookie says, for counting requests: whether the session has ended is not asked."""
        sent = self._sent()
        return None if sent is None else sent[1]

    async def begin(self, account: Credentials, response_headers: Headers) -> None:
        """Begin a session of the account, and end the one of this request."""
        before = await self.visitor()
        if before.account is not None:
            await self._sessions.close_session(before.account.user.id, before.digest)
        secret = _new_secret()
        client = request.headers.get("User-Agent", "")[:_MAX_CLIENT_CHARS]
        address = client_of(request, self._trusted)
        await self._sessions.open_session(_digest(secret), account, client=client, address=address)
        value = f"{account.user.id}.{account.token_epoch}.{int(time.time())}.{secret}"
        self._set(response_headers, SESSION, f"{value}.{self._mac('session', value)}", self._limits.max_age_s)
        self._set(response_headers, VISIT, "", 0)

    async def end(self, response_headers: Headers) -> None:
        """End the session of this request."""
        visitor = await self.visitor()
        if visitor.account is not None:
            await self._sessions.close_session(visitor.account.user.id, visitor.digest)
        self._set(response_headers, SESSION, "", 0)

    async def user_now(self, visitor: Visitor) -> User | None:
        """Return the user with the rights of now, not of when the request began; None: the session has ended."""
        account = await self._account(visitor.secret, visitor.address)
        return None if account is None else account.user

    async def remains(self, visitor: Visitor, is_allowed: Callable[[User], bool] = lambda _user: True) -> bool:
        """Return whether the session still holds, and the account's rights by ``is_allowed``."""
        user = await self.user_now(visitor)
        return user is not None and is_allowed(user)

    def remember(
        self,
        response_headers: Headers,
        *,
        language: str | None = None,
        theme: str | None = None,
        programmed: str | None = None,
    ) -> None:
        """Remember what the visitor has chosen in this browser. ``programmed``: the language of a program."""
        if programmed is not None and programmed in JUDGED:
            self._set(response_headers, PROGRAMMED, programmed, _YEAR_S)
        if language in LANGUAGES:
            self._set(response_headers, LANGUAGE, language, _YEAR_S)
        if theme in THEMES:
            self._set(response_headers, THEME, theme, _YEAR_S)

    def introduce(self, visitor: Visitor, response_headers: Headers) -> Visitor:
        """Give a visitor without a secret one, before a form is shown."""
        if visitor.secret:
            return visitor
        secret = _new_secret()
        self._set(response_headers, VISIT, secret, None)
        return replace(visitor, secret=secret, form_token=self._form_token(secret))

    def require_form_token(self, visitor: Visitor, sent: str) -> None:
        """Raise Refused unless the token of the form is the visitor's, and the browser names no other site as sender.

        The token alone would do; a site that has learned one, as from a page that was saved, is refused all the same.
        """
        wanted = self._mac("form", visitor.secret).encode()
        is_right = visitor.secret and hmac.compare_digest(wanted, _unmasked(sent))
        if not is_right or names_other_site(request.headers):
            raise Refused(ApiError.FORM_EXPIRED)

    def stranger(self) -> Visitor:
        """Return the visitor without asking the database: for the page that says it is away."""
        return self._visitor(None, request.cookies.get(VISIT, "")[:64])

    async def _read(self) -> Visitor:
        sent, account = self._sent(), None
        secret = request.cookies.get(VISIT, "")[:64]
        if sent is not None:
            account = await self._account(sent[0], address_of(request, self._trusted))
        if sent is not None and account is not None:
            secret = sent[0]
        return self._visitor(account, secret)

    async def _account(self, secret: str, address: Address | None) -> Credentials | None:
        """Return the account of a session; None: it has ended, or a contest binds the account to other addresses."""
        account = await self._sessions.session(_digest(secret), self._limits)
        return None if account is None or is_bound_elsewhere(account, address) else account

    def _visitor(self, account: Credentials | None, secret: str) -> Visitor:
        language, theme = request.cookies.get(LANGUAGE, ""), request.cookies.get(THEME, "")
        programmed = request.cookies.get(PROGRAMMED, "")
        if language not in LANGUAGES:
            language = "zh" if prefers_chinese(request.accept_languages) else "en"
        return Visitor(
            account=account,
            secret=secret,
            form_token=self._form_token(secret),
            language=language,
            theme=theme if theme in THEMES else THEMES[0],
            programmed=programmed if programmed in JUDGED else "",
            address=address_of(request, self._trusted),
        )

    def _sent(self) -> tuple[str, Claims] | None:
        """Return the secret and the claims of the session's cookie, if we have made it."""
        value, _, mac = request.cookies.get(SESSION, "").rpartition(".")
        if not value or not hmac.compare_digest(self._mac("session", value).encode(), mac.encode()):
            return None
        user_id, epoch, begun_at, secret = value.split(".")
        if time.time() - int(begun_at) > self._limits.max_age_s:
            return None
        return secret, Claims(user_id=int(user_id), username="", epoch=int(epoch), counted_as="web")

    def _form_token(self, secret: str) -> str:
        """Return the token of a visitor's forms, with a new mask. Without one, the sizes of compressed pages that hold
        a guess beside the token would tell the token (BREACH)."""
        return _masked(self._mac("form", secret).encode())

    def _mac(self, what: str, value: str) -> str:
        mac = hmac.digest(self._key, f"{what}\0{value}".encode(), "sha256")
        return base64.urlsafe_b64encode(mac[:18]).decode()

    def _set(self, headers: Headers, name: str, value: str, max_age_s: float | None) -> None:
        cookie = dump_cookie(
            name,
            value,
            max_age=None if max_age_s is None else int(max_age_s),
            path="/",
            httponly=True,
            samesite="Lax",
            secure=self.is_encrypted(),
        )
        headers.add("Set-Cookie", cookie)

    def is_encrypted(self) -> bool:
        """Return whether the browser of the current request speaks TLS with the proxy in front of us."""
        if self._always_encrypted:
            return True
        schemes = request.headers.get("X-Forwarded-Proto", "").split(",")  # the first is the browser's
        # asked with every answer: to parse the peer's address first took 2 % of a status read's CPU
        if schemes[0].strip().lower() != "https":
            return False
        peer = request.scope.get("client")
        return is_within(parse(peer[0]) if peer else None, self._trusted)


def _new_secret() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _masked(token: bytes) -> str:
    """Return a random mask and, behind it, the token XOR the mask."""
    mask = secrets.token_bytes(len(token))
    return base64.urlsafe_b64encode(mask + _xor(mask, token)).decode()


def _unmasked(sent: str) -> bytes:
    """Return the token of ``_masked``; empty for other texts."""
    try:
        both = base64.b64decode(sent.encode("ascii"), altchars=b"-_", validate=True)
    except ValueError:
        return b""
    half, odd = divmod(len(both), 2)
    return b"" if odd else _xor(both[:half], both[half:])


def _xor(mask: bytes, text: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(mask, text, strict=True))
