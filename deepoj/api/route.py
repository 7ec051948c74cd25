"""Declares routes and adds them to the application.

A group of routes is a class. Its constructor takes what its handlers use; its handlers are methods with a ``@route``,
as in ``routes/dlq.py``::

    class LetterRoutes:
        def __init__(self, context: ApiContext) -> None:
            self._letters = DecidingLetters(context)

        @route("GET", "/api/v1/admin/dlq/<job_id>", access=needs(Right.OPERATE), responses={200: LetterHistory})
        async def letter(self, _user: User, job_id: str) -> LetterHistory:
            \"\"\"Return one dead letter with its events in the ledger.

            For operators and administrators.
            \"\"\"
            history = await self._letters.history(job_id)
            events = [LedgerEventView(**dataclasses.asdict(event)) for event in history.events]
            return LetterHistory(letter=_view(history.letter), events=events)

``app.create_app`` adds it: ``add_routes(app, LetterRoutes(context), guards)``. The OpenAPI document is generated from
the declaration: the first line of the docstring is the operation's summary, the others are its description.

The handler gets the caller, if ``access`` checks one, then the parts of the path by name. It reads the body and the
query itself (``body.read_json``, ``http.paths``), because some routes refuse a request before they read its body. It
returns a model or a JSON object, sent with the first status of ``responses``, or a whole ``Response``. It raises
``Refused`` for everything else.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from quart import Quart, Response
from quart_schema import (
    DataSource,
    document_headers,
    document_querystring,
    document_request,
    document_response,
    hide,
    security_scheme,
)

from deepoj.api.access import SUBMITTER, Access, Guards
from deepoj.api.http.limits import Limit
from deepoj.api.models.base import ErrorBody

_DECLARATION = "_deepoj_route"
#: a part of a path, such as ``<job_id>``
_PART = re.compile(r"<(?:[^:>]*:)?(\w+)>")

type Answer = BaseModel | dict[str, Any] | Response
type Handler = Callable[..., Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A response that needs more than a model in the OpenAPI document: a text, a page, headers, or no body."""

    description: str
    model: type[BaseModel] | None = None
    #: type of a body without a model; None: there is no body
    content_type: str | None = None
    #: name → description
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The declaration of a route; ``route`` explains the fields."""

    method: str
    path: str
    access: Access
    limit: Limit
    responses: Mapping[int, type[BaseModel] | Described]
    errors: tuple[int, ...]
    body: type[BaseModel] | None
    form: type[BaseModel] | None
    query: type[BaseModel] | None
    headers: type[BaseModel] | None
    documented: bool
    specified: bool
    lines: str | None


def route[H: Handler](
    method: str,
    path: str,
    *,
    access: Access,
    responses: Mapping[int, type[BaseModel] | Described],
    errors: tuple[int, ...] = (),
    limit: Limit = Limit.API,
    body: type[BaseModel] | None = None,
    form: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    headers: type[BaseModel] | None = None,
    documented: bool = True,
    specified: bool = False,
    lines: str | None = None,
) -> Callable[[H], H]:
    """Declare the decorated method as the handler of a route.

    ``access``: who may call it. ``responses``: the responses without errors, by status; the first is the usual one.
    ``errors``: statuses of its own errors. ``document`` adds the errors of all routes, of those with a body, with an id
    in the path, and with this access. ``limit``: the rate limit that counts its requests. ``body``, ``form``, ``query``
    and ``headers``: models of the request. ``documented``: whether it is in the OpenAPI document; pages for people are
    not. ``specified``: it is not there either, because a specification of others describes it, also its errors.
    ``lines``: the description of a body of JSON lines.
    """
    declaration = Route(
        method=method, path=path, access=access, limit=limit, responses=responses, errors=errors, body=body, form=form,
        query=query, headers=headers, documented=documented, specified=specified,
        lines=lines,
    )  # fmt: skip

    def declare(handler: H) -> H:
        handler.__dict__[_DECLARATION] = declaration
        return handler

    return declare


def declaration_of(view: Callable[..., Any]) -> Route | None:
    """Return the declaration of a handler or of a view function of the application, if it has one."""
    declaration: Route | None = getattr(view, _DECLARATION, None)
    return declaration


def limit_of(app: Quart, endpoint: str | None) -> Limit:
    """Return the rate limit of an endpoint; None: the request matches no route."""
    declaration = None if endpoint is None else declaration_of(app.view_functions[endpoint])
    return Limit.API if declaration is None else declaration.limit


def is_page(app: Quart, endpoint: str | None) -> bool:
    """Return whether an endpoint is a page for people: whether it is missing in the document."""
    declaration = None if endpoint is None else declaration_of(app.view_functions[endpoint])
    return declaration is not None and not declaration.documented


def add_routes(app: Quart, handlers: object, guards: Guards | None = None) -> None:
    """Add every declared method of ``handlers`` to the application, in the order of their definition.

    Raises:
      TypeError: a handler's parameters do not match its declaration, its access is checked and there are no guards, or
        its limit is that of submissions and its access does not count them.
    """
    for name, function in vars(type(handlers)).items():
        declaration = declaration_of(function)
        if declaration is not None:
            # a full stop in an endpoint would mean a blueprint
            endpoint = f"{type(handlers).__name__}:{name}"
            view = _view(declaration, getattr(handlers, name), guards)
            app.add_url_rule(declaration.path, endpoint, view, methods=[declaration.method])


def _view(declaration: Route, handler: Handler, guards: Guards | None) -> Callable[..., Awaitable[Any]]:
    """Return the view function of a handler: it checks the access and gives a model its status."""
    _require_parameters(declaration, handler)
    check, (status, *_) = declaration.access.check, declaration.responses
    if declaration.limit is Limit.SUBMIT and declaration.access is not SUBMITTER:
        raise TypeError(
            f"{declaration.method} {declaration.path}: its requests with a token are not counted: Limit.SUBMIT needs"
            " access=SUBMITTER"
        )
    if check is not None and guards is None:
        raise TypeError(f"{declaration.method} {declaration.path}: its access is checked, so it needs guards")

    @functools.wraps(handler)
    async def view(**parts: str) -> Any:
        caller = () if check is None or guards is None else (await check(guards),)
        answer = await handler(*caller, **parts)
        if isinstance(answer, BaseModel):
            answer = answer.model_dump(mode="json")
        return (answer, status) if isinstance(answer, dict) else answer

    _document(declaration, view)
    return view


def _require_parameters(declaration: Route, handler: Handler) -> None:
    """Raise TypeError unless the handler takes the caller, if one is checked, and then the parts of the path."""
    caller, parts = declaration.access.check is not None, set(_PART.findall(declaration.path))
    parameters = list(inspect.signature(handler).parameters)
    if len(parameters) != caller + len(parts) or set(parameters[caller:]) != parts:
        wanted = ["the caller"] * caller + sorted(parts)
        raise TypeError(f"{declaration.method} {declaration.path}: its handler must take {wanted}, not {parameters}")


def _document(declaration: Route, view: Callable[..., Any]) -> None:
    """Hand the declaration to quart-schema, which generates the OpenAPI document from its marks on the view."""
    if not declaration.documented or declaration.specified:
        hide(view)
        return
    if declaration.access.security:
        security_scheme([dict(scheme) for scheme in declaration.access.security])(view)
    if declaration.query is not None:
        document_querystring(declaration.query)(view)
    if declaration.headers is not None:
        document_headers(declaration.headers)(view)
    if declaration.body is not None:
        document_request(declaration.body)(view)
    if declaration.form is not None:
        document_request(declaration.form, source=DataSource.FORM_MULTIPART)(view)
    for status, response in declaration.responses.items():
        model = response.model if isinstance(response, Described) else response
        if model is not None:
            document_response(model, status)(view)
    for status in (*declaration.errors, *declaration.access.errors):
        document_response(ErrorBody, status)(view)
