"""An OAuth 2 provider like GitHub, over real HTTP on the loopback. It checks what GitHub checks, and can misbehave."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

CLIENT_ID = "Iv1.test"
CLIENT_SECRET = "the client's secret"

#: a handler that replaces the right answer
type Mood = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class FakeGithub:
    """The provider. ``moods`` maps ``token`` and ``user`` to handlers that misbehave."""

    url: str = ""
    redirect_url: str = ""
    person: dict[str, Any] = field(
        default_factory=lambda: {"id": 583231, "login": "octocat", "avatar_url": "https://avatars.example/1"}
    )
    moods: dict[str, Mood] = field(default_factory=dict)
    #: code → challenge, of codes that are not exchanged yet
    codes: dict[str, str] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    #: path of each request, in their order
    asked: list[str] = field(default_factory=list)
    #: set when the test is over: hanging requests may end
    over: threading.Event = field(default_factory=threading.Event)

    def authorize(self, query: dict[str, str]) -> str:
        """Return the address to which the browser is redirected after the user has agreed."""
        assert query["client_id"] == CLIENT_ID
        assert query["redirect_uri"] == self.redirect_url
        assert query["code_challenge_method"] == "S256"
        assert len(query["code_challenge"]) == 43
        code = secrets.token_hex(10)
        self.codes[code] = query["code_challenge"]
        return f"{self.redirect_url}?{urlencode({'code': code, 'state': query['state']})}"

    def exchange(self, form: dict[str, str]) -> dict[str, Any]:
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return {"error": "incorrect_client_credentials", "error_description": "The client_id … are incorrect."}
        challenge = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if challenge is None or base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != challenge:
            return {"error": "bad_verification_code", "error_description": "The code passed is incorrect or expired."}
        if form.get("redirect_uri") != self.redirect_url:
            return {"error": "redirect_uri_mismatch"}
        token = f"gho_{secrets.token_hex(18)}"
        self.tokens.add(token)
        return {"access_token": token, "scope": "", "token_type": "bearer"}


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def send_json(handler: BaseHTTPRequestHandler, value: object, status: int = 200) -> None:
    send(handler, status, json.dumps(value).encode(), Content_Type="application/json; charset=utf-8")


def _handler(fake: FakeGithub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            fake.asked.append(parts.path)
            if parts.path == "/login/oauth/authorize":
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                send(self, 302, b"", Location=fake.authorize(query))
            elif parts.path == "/api/user":
                self._or_mood("user", self._user)
            else:
                send(self, 404, b"")

        def do_POST(self) -> None:
            fake.asked.append(self.path)
            form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            if self.path != "/login/oauth/access_token":
                send(self, 404, b"")
                return
            # without the header GitHub answers in a form
            assert self.headers["Accept"] == "application/json"
            self._or_mood("token", lambda: send_json(self, fake.exchange(form)))

        def _user(self) -> None:
            scheme, _, token = self.headers.get("Authorization", "").partition(" ")
            if scheme != "Bearer" or token not in fake.tokens:
                send_json(self, {"message": "Bad credentials"}, 401)
            elif not self.headers.get("User-Agent"):
                send_json(self, {"message": "User-Agent is required"}, 403)
            else:
                send_json(self, fake.person)

        def _or_mood(self, what: str, rightly: Callable[[], None]) -> None:
            mood = fake.moods.get(what)
            # some moods are tests of a client that closes the connection within the answer
            with contextlib.suppress(ConnectionError):
                if mood is None:
                    rightly()
                else:
                    mood(self)

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    return Handler


@contextlib.contextmanager
def fake_github(redirect_url: str) -> Iterator[FakeGithub]:
    """Run a provider for an application whose callback is ``redirect_url``."""
    fake = FakeGithub(redirect_url=redirect_url)
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake)) as server:
        fake.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield fake
        finally:
            fake.over.set()
            server.shutdown()
            thread.join()
