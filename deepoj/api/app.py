"""The API application: its routes, error handlers, CORS, headers and OpenAPI document.

``create_app`` depends on its arguments only: it reads no globals and no environment, and it starts nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import TracebackType
from typing import Any

from quart import Response, request
from quart.ctx import AppContext
from quart.json.provider import DefaultJSONProvider
from quart.wrappers.base import BaseRequestWebsocket
from quart_schema import Info, QuartSchema
from quart_schema.openapi import HttpSecurityScheme
from quart_trio.wrappers import TrioResponse
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import MapAdapter

import deepoj
from deepoj.api.access import Guards
from deepoj.api.auth import Auth, Claims
from deepoj.api.contest_answers import Scoreboards
from deepoj.api.contest_callers import ContestCallers
from deepoj.api.context import ApiContext
from deepoj.api.counters import FallbackCounters
from deepoj.api.document import Document
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.address import networks
from deepoj.api.http.exchange import MeasuredApp, StartScheduler, request_id
from deepoj.api.http.limits import Limit, RequestLimits
from deepoj.api.http.refusals import prefers_chinese, refusal_of
from deepoj.api.http.upload import sweep
from deepoj.api.route import add_routes, is_page, limit_of
from deepoj.api.routes.accounts import AccountRoutes
from deepoj.api.routes.audits import AuditRoutes
from deepoj.api.routes.batches import BatchRoutes
from deepoj.api.routes.clics import ContestApiRoutes
from deepoj.api.routes.clics_changes import ContestApiChanges
from deepoj.api.routes.clics_webhooks import ContestWebhookRoutes
from deepoj.api.routes.contest_board import ContestBoardRoutes
from deepoj.api.routes.contest_clock import ContestClockRoutes
from deepoj.api.routes.contest_rejudges import ContestRejudgeRoutes
from deepoj.api.routes.contest_reviews import ContestReviewRoutes
from deepoj.api.routes.contest_setup import ContestSetupRoutes
from deepoj.api.routes.contest_statements import ContestStatementRoutes
from deepoj.api.routes.contests import ContestRoutes
from deepoj.api.routes.dlq import LetterRoutes
from deepoj.api.routes.documents import DocumentRoutes, IndexRoutes
from deepoj.api.routes.groups import GroupRoutes
from deepoj.api.routes.health import HealthRoutes
from deepoj.api.routes.languages import LanguageRoutes
from deepoj.api.routes.metrics import MetricsRoutes
from deepoj.api.routes.nodes import NodeRoutes
from deepoj.api.routes.oauth import GithubRoutes
from deepoj.api.routes.own_account import OwnAccountRoutes
from deepoj.api.routes.playground import PlaygroundRoutes
from deepoj.api.routes.previews import PreviewRoutes
from deepoj.api.routes.problems import ProblemRoutes
from deepoj.api.routes.rejudges import RejudgeRoutes
from deepoj.api.routes.reruns import RerunRoutes
from deepoj.api.routes.statements import StatementRoutes
from deepoj.api.routes.submission_lists import SubmissionListRoutes
from deepoj.api.routes.submissions import SubmissionRoutes
from deepoj.api.routes.users import UserRoutes
from deepoj.api.routes.verifications import VerificationRoutes
from deepoj.api.routes.webhooks import WebhookRoutes
from deepoj.api.settings import ApiSettings
from deepoj.api.signing_in import SigningIn
from deepoj.observe import Metrics, log
from deepoj.words.errors import BlobsUnavailable, StoreUnavailable, StreamUnavailable

_ALLOWED_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, X-Request-ID, traceparent, Accept-Language, Last-Event-ID"
)
_EXPOSED_HEADERS = "X-Request-ID, Retry-After, traceparent, Location"
_PREFLIGHT_MAX_AGE_S = "600"
_CONTEST_API = re.compile(r"(?:/clics|/api(?:/v4)?(?=/?\Z|/contests(?:/|\Z)))(?P<below>|/.*)")


class Api(MeasuredApp):
    """The quart application, with metrics, and with the errors of ``errors.ApiError``."""

    auth: Auth
    limits: RequestLimits
    #: returns what the cookie of a page's visitor says; None: there are no pages
    page_claims: Callable[[], Claims | None] | None = None

    def __init__(self, name: str, metrics: Metrics, settings: ApiSettings) -> None:
        super().__init__(name, metrics)
        self.starts = StartScheduler(networks(settings.trusted_proxies))
        # API clients should not be redirected to a path with or without a trailing slash
        self.url_map.strict_slashes = False
        self.url_map.merge_slashes = False
        self.register_error_handler(HTTPException, answer_refusal)
        self.register_error_handler(StoreUnavailable, _answer_db_down)
        self.register_error_handler(BlobsUnavailable, _answer_storage_down)
        self.register_error_handler(StreamUnavailable, _answer_queue_down)

    def create_url_adapter(self, request: BaseRequestWebsocket | None) -> MapAdapter | None:
        """Return what matches the request's path, which for the Contest API has other names, too."""
        adapter = super().create_url_adapter(request)
        if adapter is not None and (path := contest_api_path(adapter.path_info)) is not None:
            adapter.path_info = path
        return adapter

    def log_exception(  # type: ignore[override]  # quart's union of tuples in one word
        self, ctx: AppContext, exception_info: tuple[type[BaseException], BaseException, TracebackType]
    ) -> None:
        """Log the traceback of a bug; the client gets INTERNAL_ERROR."""
        rule = ctx.request.url_rule
        log(
            "http_error",
            level="error",
            request_id=request_id(ctx.request),
            method=ctx.request.method,
            path=rule.rule if rule is not None else "unmatched",
            exc_info=exception_info,
        )


def create_app(context: ApiContext) -> Api:
    """Build the API.

    Raises:
      ValueError: an empty JWT secret.
    """
    settings = context.settings
    app = Api("deepoj.api", context.metrics, settings)
    auth = app.auth = Auth(context.accounts, context.access_tokens, settings)
    limits = app.limits = RequestLimits(
        FallbackCounters(context.counters), context.backpressure, settings, context.metrics
    )
    signing_in = SigningIn(context, auth, limits)
    callers, boards = ContestCallers(context, auth, signing_in, limits), Scoreboards()
    groups: tuple[object, ...] = (
        HealthRoutes(context),
        MetricsRoutes(context.metrics, settings),
        AccountRoutes(context, auth, signing_in),
        GithubRoutes(context, auth),
        UserRoutes(context, auth, limits),
        GroupRoutes(context),
        OwnAccountRoutes(context, auth, limits),
        ProblemRoutes(context),
        StatementRoutes(context),
        LanguageRoutes(context),
        SubmissionRoutes(context, auth),
        BatchRoutes(context, auth, limits),
        PlaygroundRoutes(context, auth, limits),
        SubmissionListRoutes(context),
        RejudgeRoutes(context),
        LetterRoutes(context),
        DocumentRoutes(_document(app)),
        WebhookRoutes(context),
        AuditRoutes(context),
        NodeRoutes(context),
        VerificationRoutes(context),
        PreviewRoutes(context),
        RerunRoutes(context),
        ContestApiRoutes(context, callers),
        ContestApiChanges(context, limits, callers),
        ContestWebhookRoutes(context, callers, auth),
        ContestRejudgeRoutes(context),
        ContestRoutes(context, auth, boards),
        ContestBoardRoutes(context, boards),
        ContestReviewRoutes(context),
        ContestSetupRoutes(context, auth),
        ContestStatementRoutes(context),
        ContestClockRoutes(context),
    )
    for group in groups:
        add_routes(app, group, Guards(auth, limits))
    if not settings.has_pages:
        add_routes(app, IndexRoutes())
    app.on_drain = context.live.close
    _finish(app, settings)
    _limit(app, auth, limits, callers)
    sweep(settings.upload_dir)
    return app


def create_metrics_app(metrics: Metrics, settings: ApiSettings) -> Api:
    """Build an application with ``/metrics`` only. Without a token it serves this host."""
    app = Api("deepoj.metrics", metrics, settings)
    add_routes(app, MetricsRoutes(metrics, settings, has_own_port=True))
    _finish(app, settings)
    return app


def _document(app: Api) -> Document:
    """Build the OpenAPI document. quart-schema's own pages are off: they load scripts from the internet."""
    extension = QuartSchema(
        app,
        openapi_path=None,
        swagger_ui_path=None,
        redoc_ui_path=None,
        scalar_ui_path=None,
        info=Info(title="Deep-OJ", version=deepoj.__version__),
        security_schemes={
            "bearer": HttpSecurityScheme(scheme="bearer", bearer_format="JWT"),
            "metrics": HttpSecurityScheme(scheme="bearer"),
        },
        conversion_preference="pydantic",
    )
    return Document(app, extension)


def _finish(app: Api, settings: ApiSettings) -> None:
    if isinstance(app.json, DefaultJSONProvider):
        app.json.sort_keys = False  # people read it too: keep the order of the models, most important first
    # Routes return plain JSON values (models.reply). quart-schema would build a pydantic TypeAdapter for each response
    # to check that. CPU of a submit: 1.79 ms with it, 1.65 ms without (``deepoj bench api``, 20 alternating rounds).
    vars(app).pop("make_response", None)

    @app.before_request
    async def preflight() -> Response | None:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        return TrioResponse(status=204)

    @app.after_request
    async def headers(response: Response) -> Response:
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["X-Content-Type-Options"] = "nosniff"
        if settings.cors_allowed_origins:
            response.headers.add("Vary", "Origin")
            _allow_origin(response, settings)
        if contest_api_path(request.path) is not None:  # its specification wants every origin to be allowed
            response.headers["Access-Control-Allow-Origin"] = "*"
            _allow_methods(response)
        return response


def _limit(app: Api, auth: Auth, limits: RequestLimits, callers: ContestCallers) -> None:
    @app.before_request  # registered after the CORS preflight handler, so preflights are not counted
    async def count() -> None:
        limit, claims = limit_of(app, request.endpoint), auth.claims() or callers.claims()
        if app.page_claims is not None and is_page(app, request.endpoint):
            claims = app.page_claims()
            if claims is not None and limit is Limit.PASSWORD:
                limit = Limit.API  # the session is read before the password is counted
        await limits.admit(limit, claims)


def _allow_origin(response: Response, settings: ApiSettings) -> None:
    """Add the CORS headers if the request's origin is exactly one of the allowed ones."""
    origin = request.headers.get("Origin", "")
    if origin not in settings.cors_allowed_origins:
        return
    response.headers["Access-Control-Allow-Origin"] = origin
    _allow_methods(response)


def _allow_methods(response: Response) -> None:
    response.headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
        response.headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = _PREFLIGHT_MAX_AGE_S


async def answer_refusal(error: HTTPException) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Return the answer of a route that refused."""
    refused = refusal_of(error)
    headers = refused.extra_headers()
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers["Allow"] = ", ".join(sorted(error.valid_methods))
    if contest_api_path(request.path) is not None:
        return _contest_api_refusal(refused, headers)
    return refused.body(prefers_chinese(request.accept_languages)), refused.api_error.status, headers


def contest_api_path(path: str) -> str | None:
    """Return the path below ``/clics`` for a path of the Contest API; None: it is another path.

    Clients that know a host alone guess the paths of DOMjudge, as do its own ``submit`` and the tools of the ICPC.
    """
    match = _CONTEST_API.fullmatch(path)
    return None if match is None else f"/clics{match['below']}"


def _contest_api_refusal(refused: Refused, headers: dict[str, str]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Return the answer in the form of the Contest API's specification, which has HTTP Basic."""
    if "WWW-Authenticate" in headers:
        headers["WWW-Authenticate"] = 'Basic realm="Deep-OJ", charset="UTF-8"'
    status, message = refused.api_error.status, refused.body(chinese=False)["error"]
    return {"code": status, "message": message}, status, headers


async def _answer_db_down(error: StoreUnavailable) -> tuple[dict[str, Any], int, dict[str, str]]:
    return await _answer_breakage(error, ApiError.DB_DOWN)


async def _answer_storage_down(error: BlobsUnavailable) -> tuple[dict[str, Any], int, dict[str, str]]:
    return await _answer_breakage(error, ApiError.STORAGE_DOWN)


async def _answer_queue_down(error: StreamUnavailable) -> tuple[dict[str, Any], int, dict[str, str]]:
    return await _answer_breakage(error, ApiError.QUEUE_DOWN)


async def _answer_breakage(error: Exception, api_error: ApiError) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Log the failure of a store in its own words; answer with our error sentence."""
    log(
        "http_unavailable",
        level="warning",
        request_id=request_id(request),
        error=str(error),
        reason=api_error.code.value,
    )
    return await answer_refusal(Refused(api_error))
