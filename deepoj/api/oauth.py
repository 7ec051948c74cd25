"""The state of an OAuth login and its PKCE verifier, both without server-side storage.

The state is sent to the provider and set as a cookie; both must come back equal. It consists of a nonce and an expiry,
authenticated by an HMAC, so every node can verify it. The verifier is another HMAC of the nonce. It is kept secret
until it is sent to the provider together with the code. Both keys are derived from JWT_SECRET. The database decides
whether a state has expired or was already used, because all nodes share its clock.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from deepoj.accounts.names import clean_username, is_pseudonym, is_reserved

#: nonce, expiry in seconds since 1970
_BODY = struct.Struct(">16sd")
_MAC_BYTES = 32
#: the pages' callback, to which the API's sends a login that began on a page
PAGE_CALLBACK = "/login/github/callback"
#: a state of a login that began on a page begins so; base64url has no full stop
_OF_PAGES = "web."
#: number of numbered usernames to try before a random one
_NUMBERED = 9
_MAX_NAME_CHARS = 32


@dataclass(frozen=True, slots=True)
class LoginState:
    """The state of one login in progress."""

    #: sent to the provider and set as a cookie
    text: str
    nonce: bytes
    #: seconds since 1970 by the database's clock
    expires_at_s: float
    #: PKCE's code_verifier: 43 characters (RFC 7636 §4.1)
    verifier: str

    @property
    def challenge(self) -> str:
        """PKCE's code_challenge, S256."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())


class LoginStates:
    """Creates and verifies states. Nodes with the same JWT_SECRET accept each other's states."""

    def __init__(self, jwt_secret: str, *, is_of_pages: bool = False) -> None:
        """``is_of_pages``: for logins that begin on a page; a state is good for one of the two kinds only."""
        self._prefix = _OF_PAGES if is_of_pages else ""
        # the labels separate these keys from each other and from the key that signs tokens
        self._signing = hmac.digest(jwt_secret.encode(), b"deepoj oauth state", "sha256")
        self._verifying = hmac.digest(jwt_secret.encode(), b"deepoj oauth code verifier", "sha256")

    def new(self, expires_at_s: float) -> LoginState:
        """Return a new, unguessable state."""
        body = _BODY.pack(secrets.token_bytes(16), expires_at_s)
        return self._state(self._prefix + _text(body + self._mac(body)), body)

    def read(self, text: str | None, cookie: str | None) -> LoginState | None:
        """Return the state if parameter and cookie are equal and authentic, else None.

        The store then checks whether it has expired or was already used.
        """
        if (
            not text
            or not cookie
            or not hmac.compare_digest(text.encode(errors="replace"), cookie.encode(errors="replace"))
        ):
            return None
        raw = _raw(text.removeprefix(self._prefix)) if text.startswith(self._prefix) else None
        if raw is None or len(raw) != _BODY.size + _MAC_BYTES:
            return None
        body = raw[: _BODY.size]
        return self._state(text, body) if hmac.compare_digest(self._mac(body), raw[_BODY.size :]) else None

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._signing, self._prefix.encode() + body, "sha256")

    def _state(self, text: str, body: bytes) -> LoginState:
        nonce, expires_at_s = _BODY.unpack(body)
        return LoginState(text, nonce, expires_at_s, _text(hmac.digest(self._verifying, nonce, "sha256")))


def is_of_pages(state: str) -> bool:
    """Return whether a state, which may be forged, claims to be of a login that began on a page."""
    return state.startswith(_OF_PAGES)


def usernames(login: str, github_id: str, reserved: frozenset[str]) -> Iterator[str]:
    """Yield usernames to try for a GitHub user, best first: the GitHub name, numbered ones, unique ones.

    Names in ``reserved`` are skipped: a GitHub user called admin must not become an administrator here. The last name
    is random and therefore free.
    """
    stem = login[: _MAX_NAME_CHARS - 2]
    for name in (login[:_MAX_NAME_CHARS], *(f"{stem}-{n}" for n in range(2, _NUMBERED + 1)), f"github-{github_id}"):
        if clean_username(name) == name and not is_reserved(name, reserved) and not is_pseudonym(name):
            yield name
    yield f"github-{secrets.token_hex(10)}"


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _raw(text: str) -> bytes | None:
    """Decode base64url, or return None. Only the canonical encoding (``_text``) is accepted."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if _text(raw) == text else None
