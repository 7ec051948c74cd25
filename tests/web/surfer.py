"""A browser without scripts: it keeps cookies and sends forms with the token of the page that it has seen last."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from quart import Response

from tests.api.house import PASSWORD, House, form

_TOKEN = re.compile(r'name="form_token" value="([^"]*)"')


@dataclass
class Surfer:
    """One person's browser."""

    home: House
    cookies: dict[str, str] = field(default_factory=dict)
    #: the last page
    text: str = ""
    form_token: str = ""

    async def get(self, path: str, *, status: int = 200) -> str:
        """Return the page."""
        return await self._took(await self._ask("GET", path), status)

    async def post(self, path: str, fields: Mapping[str, str], *, status: int = 303, file: bytes | None = None) -> str:
        """Send a form; return where it leads, or the page that is shown instead."""
        sent = {"form_token": self.form_token, **fields}
        body, content_type = urlencode(sent).encode(), "application/x-www-form-urlencoded"
        if file is not None:
            body, content_type = form(sent, file)
        answer = await self._ask("POST", path, body, content_type)
        text = await self._took(answer, status)
        return answer.headers["Location"] if status == 303 else text

    async def _ask(self, method: str, path: str, body: bytes = b"", content_type: str = "") -> Response:
        headers = {
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            "Accept": "text/html",
        }
        if content_type:
            headers["Content-Type"] = content_type
        answer = await self.home.ask(method, path, headers=headers, data=body)
        for cookie in answer.headers.getlist("Set-Cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    async def _took(self, answer: Response, status: int) -> str:
        text = str(await answer.get_data(as_text=True))
        assert answer.status_code == status, (answer.status_code, answer.headers.get("Location"), text)
        if match := _TOKEN.search(text):
            self.text, self.form_token = text, match[1]
        return text


async def member(home: House, name: str, *, language: str = "en") -> Surfer:
    """Return the browser of a person who has just registered."""
    surfer = Surfer(home, {"deepoj_language": language})
    await surfer.get("/register")
    await surfer.post("/register", {"username": name, "password": PASSWORD, "email": ""})
    await surfer.get("/problems")
    return surfer
