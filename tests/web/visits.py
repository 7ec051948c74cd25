"""A visitor of the pages without a browser: it keeps cookies and sends forms. For tests over ``tests.api.house``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

from werkzeug.datastructures import Headers

from deepoj.words.accounts import UserRole
from tests.api.house import PASSWORD, House, form

SESSION, VISIT = "deepoj_session", "deepoj_visit"
_FORM_TOKEN = re.compile(r'name="form_token" value="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Reply:
    """The response to a visit."""

    status: int
    headers: Headers
    text: str

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")

    @property
    def form_token(self) -> str:
        """The token of the page's forms; empty: it has none."""
        found = _FORM_TOKEN.search(self.text)
        return found[1] if found else ""

    @property
    def cookies(self) -> Mapping[str, Any]:
        """The cookies that it sets, with their attributes."""
        jar: SimpleCookie = SimpleCookie()
        for line in self.headers.getlist("Set-Cookie"):
            jar.load(line)
        return jar


@dataclass
class Visit:
    """A browser without scripts. ``headers`` go with each request."""

    home: House[Any]
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=lambda: {"Accept": "text/html", "User-Agent": "Visit"})
    peer: str = "127.0.0.1"
    #: cookies of a session or of a visit → the token of its forms
    _form_tokens: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        return await self._ask("GET", path, headers or {}, "")

    async def post(
        self,
        path: str,
        fields: Mapping[str, str] | None = None,
        *,
        form_token: str | None = None,
        headers: Mapping[str, str] | None = None,
        file: bytes | None = None,
    ) -> Reply:
        """Send a form, also with a ``file``. ``form_token``: None: that of this visitor's own pages."""
        if form_token is None:
            form_token = await self.form_token()
        if file is not None:
            body, content_type = form({**(fields or {}), "form_token": form_token}, file)
            return await self._ask("POST", path, {"Content-Type": content_type}, body)
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self._ask(
            "POST", path, kind | dict(headers or {}), urlencode({**(fields or {}), "form_token": form_token})
        )

    async def form_token(self) -> str:
        """Return the token of this visitor's pages: it is the same on all of them as long as the session is."""
        if self._secrets not in self._form_tokens:
            reply = await self.get("/")
            assert reply.form_token, reply.text
            self._form_tokens[self._secrets] = reply.form_token
        return self._form_tokens[self._secrets]

    @property
    def _secrets(self) -> tuple[str, str]:
        return self.cookies.get(SESSION, ""), self.cookies.get(VISIT, "")

    async def register(self, name: str, **fields: str) -> Reply:
        return await self.post("/register", {"username": name, "password": PASSWORD, "email": "", **fields})

    async def log_in(self, name: str, **fields: str) -> Reply:
        return await self.post("/login", {"username": name, "password": PASSWORD, "next": "/", **fields})

    async def _ask(self, method: str, path: str, headers: Mapping[str, str], data: str | bytes) -> Reply:
        sent = {**self.headers, **headers}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = await self.home.ask(method, path, headers=sent, data=data, peer=self.peer)
        text = str(await answer.get_data(as_text=True))
        reply = Reply(answer.status_code, Headers(answer.headers), text)
        for name, morsel in reply.cookies.items():
            if morsel.value:
                self.cookies[name] = morsel.value
            else:
                self.cookies.pop(name, None)
        return reply


async def registered(home: House[Any], name: str, **options: Any) -> Visit:
    """Return a visitor with a new account, logged in."""
    visit = Visit(home, **options)
    reply = await visit.register(name)
    assert reply.status == 303, reply.text
    return visit


async def with_role(home: House[Any], name: str, role: UserRole) -> Visit:
    """Return a visitor with a new account that has a role, logged in."""
    visit = await registered(home, name)
    account = await home.ports.accounts.credentials(name)
    assert account is not None
    await home.ports.accounts.change_rights(account.user.id, roles=[role], by=None)
    return visit


async def administrator(home: House[Any], name: str) -> Visit:
    """Return a visitor with a new account that is an administrator's, logged in."""
    visit = await registered(home, name)
    account = await home.ports.accounts.credentials(name)
    assert account is not None
    await home.ports.accounts.change_rights(account.user.id, is_admin=True, by=None)
    reply = await visit.log_in(name)
    assert reply.status == 303, reply.text
    return visit
