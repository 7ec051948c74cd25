"""Serves the OpenAPI document, and an HTML page of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from quart import Blueprint, request
from quart_trio.wrappers import TrioResponse

from deepoj.api.docs_page import POLICY, page_of
from deepoj.api.document import Document, answers

_HTML = "text/html; charset=utf-8"
#: max-age of Cache-Control
_MAX_AGE_S = 300


@dataclass(frozen=True, slots=True)
class _Text:
    """A prepared response body."""

    data: bytes
    content_type: str
    etag: str


def blueprint(document: Document) -> Blueprint:
    """``/openapi.json``, ``/docs``, and ``/``, which redirects to ``/docs``. Both texts are built on first request."""
    routes = Blueprint("documents", __name__)
    made: dict[str, _Text] = {}

    @routes.get("/openapi.json")
    @answers(200, "application/json", "The document.")
    @answers(304, None, "Unchanged since the version in If-None-Match.")
    async def openapi() -> TrioResponse:
        """Return the OpenAPI 3.1 document of this API."""
        if "openapi" not in made:
            made["openapi"] = _text(json.dumps(document.schema(), ensure_ascii=False), "application/json")
        return _answer(made["openapi"])

    @routes.get("/docs")
    @answers(200, "text/html", "The page.")
    @answers(304, None, "Unchanged since the version in If-None-Match.")
    async def docs() -> TrioResponse:
        """Return the OpenAPI document as an HTML page, without scripts or external resources."""
        if "docs" not in made:
            made["docs"] = _text(page_of(document.schema()), _HTML)
        response = _answer(made["docs"])
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    @routes.get("/")
    @answers(307, None, "To the page.", headers={"Location": "/docs"})
    async def index() -> TrioResponse:
        """Redirect to ``/docs``."""
        return TrioResponse(status=307, headers={"Location": "/docs"})

    return routes


def _text(text: str, content_type: str) -> _Text:
    data = text.encode()
    return _Text(data, content_type, hashlib.sha256(data).hexdigest()[:32])


def _answer(text: _Text) -> TrioResponse:
    if request.if_none_match.contains(text.etag):
        response = TrioResponse(status=304)
    else:
        response = TrioResponse(text.data, content_type=text.content_type)
    response.set_etag(text.etag)
    response.headers["Cache-Control"] = f"public, max-age={_MAX_AGE_S}"
    return response
