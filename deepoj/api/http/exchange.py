"""Runs one request in the application, and adds what all routes have in common.

That is ``X-Request-ID``, ``traceparent``, metrics, and the order in which waiting requests start.
"""

from __future__ import annotations

import functools
import random
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from typing import Any, cast
from urllib.parse import unquote

import trio
from prometheus_client import Counter, Histogram
from quart.typing import ResponseTypes
from quart.wrappers import Request as QuartRequest
from quart.wrappers.base import BaseRequestWebsocket
from quart_trio import QuartTrio
from quart_trio.wrappers import TrioRequest
from werkzeug.datastructures import Headers, LanguageAccept
from werkzeug.http import parse_accept_header
from werkzeug.routing import MapAdapter

from deepoj.accounts.passwords import FairTurns
from deepoj.api.http.address import Network, client_of
from deepoj.api.http.body import RequestBody
from deepoj.api.http.compression import Compressor
from deepoj.api.http.head import Head
from deepoj.api.http.trace import Trace, trace_of
from deepoj.observe import Metrics

#: monitoring must work while the node is busy: these paths are not limited, and not refused for lack of connections
PROBES = frozenset({"/api/v1/health", "/api/v1/ready", "/metrics"})
#: names of hosts that quart's router accepts; it decides about others
_HOST_NAME = re.compile(r"[0-9A-Za-z-]{1,63}(?:\.[0-9A-Za-z-]{1,63})*(?::[0-9]+)?")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: browsers send about 50 characters; werkzeug needs 10 ms to parse 16 KiB
_MAX_LANGUAGES_CHARS = 1024
#: number of requests in progress above which new ones wait for their turn, and how many start per scheduler turn
_BEGIN_FREELY, _BEGIN_AT_ONCE = 64, 4
#: nginx's status for a client that disconnected before its answer
_CLIENT_GONE = "499"
_STREAM = "text/event-stream"


#: host and port
type Address = tuple[str, int]


class Request(TrioRequest):
    """quart-trio's request with our ``RequestBody``."""

    body_class = RequestBody  # type: ignore[assignment]  # it implements only the methods that our routes call
    body: RequestBody  # type: ignore[assignment]

    @property
    def accept_languages(self) -> LanguageAccept:
        """Return the languages of ``Accept-Language``; empty if the header is too long."""
        sent = self.headers.get("Accept-Language", "")
        return parse_accept_header(sent if len(sent) <= _MAX_LANGUAGES_CHARS else "", LanguageAccept)


class StartScheduler:
    """Spreads the start of many requests over several scheduler turns; addresses take turns.

    All runnable tasks run in one scheduler turn: 600 simultaneous requests took 2 s, and ``/health`` waited for all of
    them. Only the start is delayed: a request that waits for its client, a password hash or events does not delay
    others. Probes start at once.
    """

    def __init__(self, trusted: Sequence[Network]) -> None:
        """``trusted``: trusted proxies, see ``address``."""
        self._trusted = trusted
        self._turns = FairTurns(_BEGIN_AT_ONCE)
        #: number of requests in progress
        self.in_progress = 0

    async def turn(self, request: QuartRequest) -> None:
        """Wait until ``request`` may start."""
        if self.in_progress < _BEGIN_FREELY or request.path in PROBES:
            return
        async with self._turns.turn(client_of(request, self._trusted)):
            await trio.lowlevel.checkpoint()


class MeasuredApp(QuartTrio):
    """A QuartTrio that measures its requests."""

    request_class = Request
    metrics: Metrics
    starts: StartScheduler
    #: called when the server begins to drain: ends requests that would never end by themselves
    on_drain: Callable[[], None] | None = None
    #: returns the group of pages of a request, for the metrics; None: it is for no page
    page_group: Callable[[QuartRequest], str | None] = staticmethod(lambda _: None)

    def __init__(self, name: str, metrics: Metrics) -> None:
        super().__init__(name, static_folder=None, template_folder=None)
        self.metrics = metrics
        self.compressor = Compressor()
        #: (path, method, status) → metrics with these labels: as many as the registry has
        self._measures: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        self._async_functions: set[object] = set()
        #: for ids of requests, which must differ and are no secrets. The kernel's randomness costs a system call, and
        #: at each the thread of the bridge may take the interpreter from the one that serves requests
        self._chance = random.Random()  # noqa: S311 - the comment above

    def new_request_id(self) -> str:
        """Return a new UUID (version 4)."""
        digits = f"{self._chance.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def create_url_adapter(self, request: BaseRequestWebsocket | None) -> MapAdapter | None:
        """Return what matches the request's path, as quart does. It also parses the name of the host, which no rule
        has here and no URL is built of."""
        if request is None or not _HOST_NAME.fullmatch(request.headers.get("Host", "")):
            return super().create_url_adapter(request)
        return MapAdapter(
            self.url_map, "", "/", "", request.scheme, request.path, request.method, request.query_string.decode()
        )

    def ensure_async(self, func: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        """Return an async function, as quart does, which inspects the same functions several times in each request."""
        function = getattr(func, "__func__", func)
        if function in self._async_functions:
            return func
        found = super().ensure_async(func)
        if found is func:
            self._async_functions.add(function)
        return found

    def measures_of(self, path: str, method: str, status: str) -> tuple[Counter, Histogram]:
        """Return the number and the duration of the requests with these labels. Both are kept: each request needs them,
        and prometheus_client looks a child up by sorted names under a lock."""
        key = path, method, status
        if key not in self._measures:
            labels = {"method": method, "path": path, "status": status}
            self._measures[key] = (
                self.metrics.http_requests.labels(**labels),
                self.metrics.http_request_duration_seconds.labels(**labels),
            )
        return self._measures[key]


class Exchange:
    """One request and its answer."""

    def __init__(self, app: MeasuredApp, head: Head, client: Address) -> None:
        self._app = app
        self._began = trio.current_time()
        #: whether the request's turn has come
        self.is_begun = False
        #: status for the metrics
        self.status = _CLIENT_GONE
        self._has_page_stream = False
        self.request = _request_of(head, client)
        self._request_id = request_id_of(self.request.headers.get("X-Request-ID"), app.new_request_id)
        self._trace = trace_of(self.request.headers.get("traceparent"))
        self._at_end: list[Callable[[], None]] = []
        # routes and log lines read these from the scope
        state = {
            "request_id": self._request_id, "trace": self._trace, "at_end": self._at_end, "began": self._began,
        }  # fmt: skip
        cast("dict[str, Any]", self.request.scope)["state"] = state

    async def response(self) -> ResponseTypes:
        """Wait for the request's turn and return the application's response."""
        starts = self._app.starts
        await starts.turn(self.request)
        starts.in_progress += 1
        self.is_begun = True
        response = await self._app.handle_request(self.request)
        await self._app.compressor.apply(self.request, response)
        self.status = str(response.status_code)
        if response.mimetype == _STREAM and self._app.page_group(self.request) is not None:
            self._has_page_stream = True
            self._app.metrics.web_live_streams.inc()
        response.headers["X-Request-ID"] = self._request_id
        if self._trace is not None:
            response.headers["traceparent"] = self._trace.traceparent
        return response

    def end(self) -> None:
        """Finish the request, after its answer was sent or given up."""
        self._app.starts.in_progress -= self.is_begun
        for call in self._at_end:
            call()
        method = self.request.method if self.request.method in _METHODS else "OTHER"
        took_s = trio.current_time() - self._began
        count, duration = self._app.measures_of(template_of(self.request), method, self.status)
        count.inc()
        duration.observe(took_s)
        self._measure_page(took_s)

    def _measure_page(self, took_s: float) -> None:
        metrics, group = self._app.metrics, self._app.page_group(self.request)
        if group is None:
            return
        metrics.web_requests.labels(group=group, status=self.status).inc()
        if self._has_page_stream:
            metrics.web_live_streams.dec()
        else:  # a stream lasts as long as its reader stays
            metrics.web_request_duration_seconds.labels(group=group).observe(took_s)


def _request_of(head: Head, client: Address) -> Request:
    path, _, query = head.target.partition(b"?")
    headers = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in head.request.headers])
    version, method = head.request.http_version.decode(), head.request.method.decode()
    scope: Any = {"type": "http", "client": client, "server": None}
    return Request(
        method, "http", unquote(path.decode()), query, headers, "", version, scope, send_push_promise=_push_nothing
    )


async def _push_nothing(_path: str, _headers: Headers) -> None:
    """HTTP/1.1 pushes nothing."""


def request_id_of(sent: str | None, new_id: Callable[[], str]) -> str:
    """Return the client's ``X-Request-ID`` if it is safe to log, else a new one."""
    return sent if sent is not None and _REQUEST_ID.fullmatch(sent) else new_id()


def encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return ``headers`` and the date in h11's format."""
    date = (b"date", _date(int(time.time())))
    return [*((name.lower().encode(), value.encode()) for name, value in headers.items()), date]


@functools.lru_cache(maxsize=1)
def _date(now_s: int) -> bytes:
    return formatdate(now_s, usegmt=True).encode()


def template_of(request: QuartRequest) -> str:
    """Return the route's template (``/api/v1/status/{job_id}``) instead of the path, to bound the number of labels."""
    rule = request.url_rule
    return "unmatched" if rule is None else _template(rule.rule)


@functools.cache
def _template(rule: str) -> str:
    return re.sub(r"<(?:[^:>]*:)?([^>]+)>", r"{\1}", rule)


def at_end(request: QuartRequest, call: Callable[[], None]) -> None:
    """Call ``call`` when the request is over: answered, refused, or abandoned by its client."""
    request.scope["state"]["at_end"].append(call)


def request_id(request: QuartRequest) -> str:
    """Return the id of the request, as sent in ``X-Request-ID``."""
    return str(request.scope["state"]["request_id"])


def began_at(request: QuartRequest) -> float:
    """Return when the head of the request was read, on trio's clock."""
    return float(request.scope["state"]["began"])


def trace_in(request: QuartRequest) -> Trace | None:
    """Return the client's trace, if it sent a valid ``traceparent``."""
    trace: Trace | None = request.scope["state"]["trace"]
    return trace
