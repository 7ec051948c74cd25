"""An API over fakes: the application, requests to it, and its accounts."""

from __future__ import annotations

import io
import json
import socket
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import h11
import httpx
import jwt
import trio
from quart import Response
from quart_trio.wrappers import TrioResponse
from werkzeug.datastructures import Headers

from deepoj.api.app import Api, create_app
from deepoj.api.auth import Tokens
from deepoj.api.contest_ledgers import ContestLedgers
from deepoj.api.context import ApiContext
from deepoj.api.http.server import Server, serve
from deepoj.api.live.events import Live
from deepoj.api.settings import ApiSettings, RateLimit
from deepoj.capacity.backpressure import Backpressure, BackpressureSettings, Threshold
from deepoj.judging.problem import Plan
from deepoj.nursery.scopes import with_background_tasks
from deepoj.observe import Metrics
from deepoj.packages.formats import PackageFault
from deepoj.packages.statements.publisher import RenderEdits
from deepoj.packages.vetting import Vetted
from deepoj.ports.accounts import Github
from deepoj.web.app import add_pages
from deepoj.web.assets import Assets
from deepoj.words.accounts import User
from deepoj.words.problems import Problem
from deepoj.words.readiness import PartState, Readiness
from deepoj.words.stream import PressureSnapshot
from deepoj.words.submissions import Receipt
from tests.fakes.blobs import MemoryBlobs
from tests.fakes.ports import Store
from tests.fakes.settings import api_settings
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream

SECRET = "a secret for tests that is long enough"
PASSWORD = "correct horse"
#: deadline of short waits, on a busy machine
PATIENCE_S = 300


@dataclass
class House[S = MemoryStore]:
    """The application and the fakes behind it."""

    app: Api
    store: S
    #: those of the store
    ports: Store
    blobs: MemoryBlobs
    metrics: Metrics
    settings: ApiSettings
    #: its event streams; the store notifies them
    streams: Live
    parts: dict[str, PartState] = field(default_factory=lambda: {"postgres": PartState.UP})
    #: languages of live nodes; None: no node is known
    live: list[Mapping[str, tuple[str, ...]] | None] = field(default_factory=lambda: [None])
    #: stream that is notified of custom runs
    stream: MemoryStream = field(default_factory=MemoryStream)
    #: result of compiling the programs of an uploaded package
    vetted: list[Vetted | PackageFault] = field(default_factory=lambda: [Vetted()])

    #: of parts that are not up, "on purpose" if none is here
    reasons: dict[str, str] = field(default_factory=dict)
    #: the last pressure snapshot, if there is one
    pressed: list[PressureSnapshot] = field(default_factory=list)
    #: what the routes and pages use
    context: ApiContext = field(kw_only=True)
    #: a snapshot above all thresholds
    backlog = PressureSnapshot(
        ts_ms=0, stream_key="s", group="g", xlen=9, pending=0, lag=9, oldest_age_ms=0, oldest_age_source="backlog",
        approx=True,
    )  # fmt: skip

    async def ask(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        peer: str = "127.0.0.1",
        json: object = None,
        data: bytes | str = b"",
    ) -> Response:
        """Send one request on a connection of its own. ``peer``: the client address that the server sees."""
        body = data.encode() if isinstance(data, str) else data
        sent = {"Host": "localhost", "Connection": "close", **(headers or {})}
        if json is not None:
            body, sent["Content-Type"] = as_json(json), "application/json"
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if body or method in {"POST", "PUT", "PATCH"}:
            sent["Content-Length"] = str(len(body))
        lines = [(name.encode(), value.strip().encode("latin-1")) for name, value in sent.items()]
        request = h11.Request(method=method, target=quote(path, safe="/%?&=+:,"), headers=lines)
        async with self.connected(peer) as stream:
            return await _answer(stream, request, body)

    @asynccontextmanager
    async def connected(self, peer: str = "127.0.0.1") -> AsyncIterator[trio.SocketStream]:
        """Open a connection to the server over a socket pair, without a port."""
        near, far = socket.socketpair()
        async with trio.open_nursery() as nursery:
            server = Server(self.app, self.settings, max_connections=1)
            far_stream, near_stream = (trio.SocketStream(trio.socket.from_stdlib_socket(one)) for one in (far, near))
            nursery.start_soon(server.serve_connection, far_stream, (peer, 40000))
            async with near_stream:
                yield near_stream

    async def account(self, name: str, *, is_admin: bool = False) -> User:
        user = await self.ports.accounts.create_user(name, "no password", None, is_admin=is_admin)
        assert isinstance(user, User)
        return user

    async def token(self, name: str, *, is_admin: bool = False) -> str:
        """Create an account and return its token."""
        await self.account(name, is_admin=is_admin)
        return await self.token_of(name)

    async def token_of(self, name: str) -> str:
        account = await self.ports.accounts.credentials(name)
        assert account is not None
        return Tokens(SECRET, 3600).issue(account)

    async def named_token(self, name: str, token_id: str) -> str:
        """Make a token of the account that can be ended by itself."""
        account = await self.ports.accounts.credentials(name)
        assert account is not None
        await self.ports.access_tokens.add_token(token_id, account, name=token_id, expires_s=3600.0)
        return Tokens(SECRET, 3600).issue(account, token_id)

    async def problem(self) -> int:
        number = await self.ports.problems.reserve_problem_id()
        await self.ports.problems.insert_problem(
            Problem(
                id=number,
                title="A+B",
                description="add",
                difficulty="easy",
                time_limit_ms=1000,
                memory_limit_mb=128,
                compare="tokens",
                data_path=f"problems/{number}.zip",
                data_hash="00",
            )
        )
        return number


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


async def _answer(stream: trio.SocketStream, request: h11.Request, body: bytes) -> Response:
    """Send ``request`` while reading, and return the answer."""
    protocol = h11.Connection(h11.CLIENT)
    raw = protocol.send(request) + protocol.send(h11.Data(data=body)) + protocol.send(h11.EndOfMessage())

    async def send() -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await stream.send_all(raw)

    status, headers, found = 0, Headers(), bytearray()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        while not isinstance(event := protocol.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                protocol.receive_data(await stream.receive_some())
            elif isinstance(event, h11.Response):
                status = event.status_code
                headers = Headers([(name.decode(), value.decode("latin-1")) for name, value in event.headers])
            elif isinstance(event, h11.Data):
                found += event.data
        nursery.cancel_scope.cancel()
    return TrioResponse(bytes(found), status=status, headers=headers)


def settings_for(tmp_path: Path, **changes: Any) -> ApiSettings:
    """Return settings with cheap hashes, all files under ``tmp_path``, no rate limits, and without pages."""
    lifted = RateLimit(ip_limit=0, user_limit=0, window_s=60.0)
    base = api_settings(
        SECRET,
        upload_dir=tmp_path / "uploads",
        argon2_memory_kb=64,
        argon2_time_cost=1,
        auth_rate=lifted,
        submit_rate=lifted,
        rate=lifted,
        has_pages=False,
    )
    return replace(base, **changes)


def house(
    tmp_path: Path,
    *,
    outbox: bool = True,
    github: Github | None = None,
    store: MemoryStore | None = None,
    render_edits: RenderEdits | None = None,
    **changes: Any,
) -> House:
    """Return an application with ``changes`` to the default settings. ``store``: shared with another house.
    ``render_edits``: of a node that renders edited statements."""
    memory = store or MemoryStore()
    home = _house(tmp_path, memory, memory.ports, outbox=outbox, github=github, render_edits=render_edits, **changes)
    home.store.ears.append(home.streams.notify)
    return home


def house_on(tmp_path: Path, store: Store, *, metrics: Metrics | None = None, **changes: Any) -> House[Store]:
    """Return the same over an existing store."""
    return _house(tmp_path, store, store, outbox=True, github=None, metrics=metrics, **changes)


def _house[S](
    tmp_path: Path,
    store: S,
    ports: Store,
    *,
    outbox: bool,
    github: Github | None,
    render_edits: RenderEdits | None = None,
    metrics: Metrics | None = None,
    **changes: Any,
) -> House[S]:
    blobs, metrics, settings = MemoryBlobs(), metrics or Metrics(), settings_for(tmp_path, **changes)
    streams = Live(settings, metrics)
    streams.listens(well=True)
    stream = MemoryStream()
    parts = {"postgres": PartState.UP}
    reasons: dict[str, str] = {}
    live: list[Mapping[str, tuple[str, ...]] | None] = [None]

    def ready() -> Readiness:
        down = [name for name, at in parts.items() if at != "up"]
        return Readiness(parts=parts, reasons={name: reasons.get(name, "on purpose") for name in down})

    vetted: list[Vetted | PackageFault] = [Vetted()]

    async def vet(_package: Path, _plan: Plan) -> Vetted | PackageFault:
        await trio.lowlevel.checkpoint()
        return vetted[0]

    pressed: list[PressureSnapshot] = []
    nothing, some = Threshold(0, 0), Threshold(9, 8)
    pressing = BackpressureSettings(
        lag=some, pending=nothing, oldest_age_s=nothing, age_min_backlog=0, max_age_s=9, retry_after_s=7
    )

    context = ApiContext(
        accounts=ports.accounts, account_data=ports.account_data, sessions=ports.sessions, groups=ports.groups,
        access_tokens=ports.access_tokens,
        problems=ports.problems, batches=ports.batches,
        statements=ports.statements, submissions=ports.submissions, lists=ports.lists, letters=ports.letters,
        rejudges=ports.rejudges, roster=ports.roster, runs=ports.runs, results=ports.live, marks=ports.marks,
        admin_events=ports.admin_events, system=ports.system, webhooks=ports.webhooks, run_notifier=stream, blobs=blobs,
        ready=ready, settings=settings, metrics=metrics, with_tasks=with_background_tasks,
        verifications=ports.verifications, previews=ports.previews,
        reruns=ports.reruns,
        contests=ports.contests, contest_rejudges=ports.contest_rejudges, contest_setup=ports.contest_setup,
        contest_webhooks=ports.contest_webhooks,
        ledgers=ContestLedgers(ports.contests),
        live_languages=lambda: live[0], github=github, live=streams, vet=vet, render_edits=render_edits,
        stream=None if outbox else stream,
        backpressure=Backpressure(lambda _: pressed[-1] if pressed else None, pressing),
    )  # fmt: skip
    app = create_app(context)
    if settings.has_pages:
        add_pages(app, context, Assets())
    return House(
        app,
        store,
        ports,
        blobs,
        metrics,
        settings,
        streams,
        parts,
        live,
        stream,
        vetted,
        reasons,
        pressed,
        context=context,
    )


@asynccontextmanager
async def served[S](home: House[S], *, patience_s: float = PATIENCE_S) -> AsyncIterator[tuple[str, trio.CancelScope]]:
    """Serve the application on a real socket: its URL, and the scope whose cancel starts the drain."""
    with trio.fail_after(patience_s):
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()

            async def run(task_status: trio.TaskStatus[Sequence[str]]) -> None:
                with scope:
                    await serve(home.app, host="127.0.0.1", port=0, settings=home.settings, task_status=task_status)

            urls = await nursery.start(run)
            try:
                yield str(urls[0]), scope
            finally:
                scope.cancel()


def client(url: str) -> httpx.AsyncClient:
    """Return a client on trio with long timeouts."""
    return httpx.AsyncClient(base_url=url, timeout=PATIENCE_S, trust_env=False)


def package(files: Mapping[str, str] | None = None) -> bytes:
    """Return a zip of tests."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in (files or {"1.in": "1 2\n", "1.out": "3\n"}).items():
            archive.writestr(name, content)
    return out.getvalue()


def form(fields: Mapping[str, str], file: bytes | None = None, *, boundary: str = "frontier") -> tuple[bytes, str]:
    """Return a multipart body and its content type."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    if file is not None:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="p.zip"\r\n\r\n'
        parts.append(head.encode() + file + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def forged(claims: Mapping[str, Any], key: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(dict(claims), key, algorithm=algorithm)


async def submission(home: House[Any], token: str, problem_id: int, code: str = "int main(){}") -> str:
    answer = await home.ask(
        "POST", "/api/v1/submit", token=token, json={"problem_id": problem_id, "language": 1, "code": code}
    )
    assert answer.status_code == 200, await answer.get_data()
    found = await answer.get_json()
    return str(Receipt(found["job_id"]).job_id)
