"""A person with a browser that runs no scripts, before the pages of a ``House``."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from werkzeug.datastructures import Headers
from werkzeug.http import parse_cookie

from deepoj.accounts.passwords import Passwords
from deepoj.words.accounts import User
from tests.api.house import House, house

PASSWORD = "correct horse"
_FORM_TOKEN = re.compile(r'name="form_token" value="([^"]*)"')
_HASHER = Passwords(memory_kb=64, time_cost=1)


@dataclass(frozen=True)
class Shown:
    """A page, or a file."""

    status: int
    text: str
    headers: Headers

    @property
    def location(self) -> str:
        """Where a redirect leads."""
        return self.headers.get("Location", "")

    @property
    def words(self) -> str:
        """The text without tags, with single spaces. A name's own element parts no words."""
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", re.sub(r"</?bdi>", "", self.text))).split())


@dataclass
class Person:
    """Keeps cookies, and the form token of the last page."""

    home: House
    language: str = "en"
    cookies: dict[str, str] = field(default_factory=dict)
    form_token: str = ""
    #: sent besides
    headers: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str) -> Shown:
        return await self._send("GET", path, b"", "")

    async def post(self, path: str, fields: Mapping[str, str], *, form_token: str | None = None) -> Shown:
        """Send a form; ``form_token``: another one than that of the last page."""
        sent = {"form_token": self.form_token if form_token is None else form_token, **fields}
        return await self._send("POST", path, urlencode(sent).encode(), "application/x-www-form-urlencoded")

    async def upload(self, path: str, fields: Mapping[str, str], content: bytes, name: str = "list.csv") -> Shown:
        """Send a form with a file."""
        parts = [
            f'--edge\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
            for key, value in {"form_token": self.form_token, **fields}.items()
        ]
        head = f'--edge\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        body = b"".join(parts) + head.encode() + content + b"\r\n--edge--\r\n"
        return await self._send("POST", path, body, "multipart/form-data; boundary=edge")

    async def log_in(self, name: str, password: str = PASSWORD) -> Shown:
        await self.get("/login")
        return await self.post("/login", {"username": name, "password": password})

    async def _send(self, method: str, path: str, body: bytes, content_type: str) -> Shown:
        headers = {"Accept": "text/html", "Accept-Language": self.language, **self.headers}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if content_type:
            headers["Content-Type"] = content_type
        answer = await self.home.ask(method, path, headers=headers, data=body)
        for cookie in answer.headers.getlist("Set-Cookie"):
            self.cookies.update(parse_cookie(cookie.partition(";")[0]))
        text = (await answer.get_data(as_text=False)).decode()
        if found := _FORM_TOKEN.search(text):
            self.form_token = html.unescape(found[1])
        return Shown(answer.status_code, text, answer.headers)


async def member(home: House, name: str, *, is_admin: bool = False, language: str = "en") -> tuple[Person, User]:
    """Create an account, and return a person who is logged in to it."""
    password_hash = await _HASHER.hash(PASSWORD)
    user = await home.ports.accounts.create_user(name, password_hash, f"{name}@example.com", is_admin=is_admin)
    assert isinstance(user, User)
    person = Person(home, language)
    assert (await person.log_in(name)).status == 303
    return person, user


def pages_house(tmp_path: Path) -> House:
    """Return a house that serves pages."""
    return house(tmp_path, has_pages=True)
