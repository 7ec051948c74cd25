"""Serves the OpenAPI document, and an HTML page of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from quart_trio.wrappers import TrioResponse

from deepoj.api.access import PUBLIC
from deepoj.api.conditional import UNCHANGED, add_etag
from deepoj.api.docs_page import POLICY, page_of
from deepoj.api.document import Document
from deepoj.api.route import Described, route

_HTML = "text/html; charset=utf-8"
#: max-age of Cache-Control
_MAX_AGE_S = 300


@dataclass(frozen=True, slots=True)
class _Text:
    """A prepared response body."""

    data: bytes
    content_type: str
    etag: str


class DocumentRoutes:
    """``/openapi.json`` and ``/docs``. Both texts are built on first request."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._openapi_text: _Text | None = None
        self._docs_text: _Text | None = None

    @route(
        "GET",
        "/openapi.json",
        access=PUBLIC,
        responses={
            200: Described(description="The document.", content_type="application/json"),
            304: UNCHANGED,
        },
    )
    async def openapi(self) -> TrioResponse:
        """Return the OpenAPI 3.1 document of this API."""
        if self._openapi_text is None:
            document = json.dumps(self._document.schema(), ensure_ascii=False)
            self._openapi_text = _text(document, "application/json")
        return _answer(self._openapi_text)

    @route(
        "GET",
        "/docs",
        access=PUBLIC,
        responses={
            200: Described(description="The page.", content_type="text/html"),
            304: UNCHANGED,
        },
    )
    async def docs(self) -> TrioResponse:
        """Return the OpenAPI document as an HTML page, without scripts or external resources."""
        if self._docs_text is None:
            self._docs_text = _text(page_of(self._document.schema()), _HTML)
        response = _answer(self._docs_text)
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        return response


class IndexRoutes:
    """``/`` of a node without pages, which redirects to ``/docs``."""

    @route(
        "GET",
        "/",
        access=PUBLIC,
        responses={307: Described(description="To the page.", headers={"Location": "/docs"})},
    )
    async def index(self) -> TrioResponse:
        """Redirect to ``/docs``."""
        return TrioResponse(status=307, headers={"Location": "/docs"})


def _text(text: str, content_type: str) -> _Text:
    data = text.encode()
    return _Text(data, content_type, hashlib.sha256(data).hexdigest()[:32])


def _answer(text: _Text) -> TrioResponse:
    """Return the text, or 304 if the client has it."""
    response = TrioResponse(text.data, content_type=text.content_type)
    response.headers["Cache-Control"] = f"public, max-age={_MAX_AGE_S}"
    add_etag(response, text.etag)
    return response
