"""Serves the scripts and styles of the pages from memory.

A build makes them (``deploy/web_assets.py``) and leaves them in ``static/`` with a manifest. Names hold a hash of the
content, so that browsers keep a file for a year and never show an old one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from quart import request
from quart_trio.wrappers import TrioResponse
from werkzeug.datastructures import Accept

from deepoj.api.access import PUBLIC
from deepoj.api.http.limits import Limit
from deepoj.api.route import Described, route

STATIC = Path(__file__).parent / "static"
MISSING = (
    "The scripts and styles of the web pages are not in this installation: pages have no live parts and no editor."
    " Install Deep-OJ from a build that could make them: `python deploy/web_assets.py` says what it lacks."
)
_PREFIX = "/assets/"
_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
#: a Content-Encoding and the ending of the file that has it; the smallest first
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
_IDENTITY = "identity"


@dataclass(frozen=True, slots=True)
class AssetFile:
    """One file, in each encoding that there is."""

    content_type: str
    #: Content-Encoding → data; the smallest first, the file itself last
    data: Mapping[str, bytes]
    etag: str

    @classmethod
    def read(cls, path: Path, integrity: str) -> Self:
        """Raises FileNotFoundError; KeyError for a kind of file that has no content type here."""
        data = {
            encoding: compressed.read_bytes()
            for encoding, ending in _ENCODINGS
            if (compressed := path.with_name(path.name + ending)).exists()
        }
        etag = integrity.removeprefix("sha384-")[:32]
        return cls(_CONTENT_TYPES[path.suffix], MappingProxyType(data | {_IDENTITY: path.read_bytes()}), etag)


@dataclass(frozen=True, slots=True)
class Assets:
    """All files that the manifest names. There are none in an installation whose build could not make them."""

    #: name in the sources, such as ``app.js`` → path of its URL
    urls: Mapping[str, str] = MappingProxyType({})
    #: name in the URL → file
    files: Mapping[str, AssetFile] = MappingProxyType({})

    @classmethod
    def load(cls, directory: Path = STATIC) -> Self:
        """Read them into memory. Without a manifest whose files are all there, there are none: pages work without."""
        try:
            manifest: dict[str, dict[str, Any]] = json.loads((directory / "manifest.json").read_bytes())
            files = {
                entry["file"]: AssetFile.read(directory / entry["file"], entry["integrity"])
                for entry in manifest.values()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none was made, or half of one
            return cls()
        urls = {name: _PREFIX + entry["file"] for name, entry in manifest.items()}
        return cls(MappingProxyType(urls), MappingProxyType(files))

    @property
    def missing(self) -> str:
        """The sentence that says so where there are no files; else empty."""
        return "" if self.files else MISSING

    def url(self, name: str) -> str | None:
        """Return the path of a file's URL by its name in the sources; None if it is not there."""
        return self.urls.get(name)


class AssetRoutes:
    """``/assets/…``: known files only."""

    def __init__(self, assets: Assets) -> None:
        self._assets = assets

    @route(
        "GET",
        f"{_PREFIX}<path:name>",
        access=PUBLIC,
        limit=Limit.NONE,
        documented=False,
        responses={200: Described(description="The file."), 304: Described(description="Unchanged.")},
    )
    async def asset(self, name: str) -> TrioResponse:
        """Return a file in the best encoding that the client accepts."""
        file = self._assets.files.get(name)
        if file is None:
            # no page, for which the store would be asked who the visitor is
            return TrioResponse("There is no such file.\n", status=404, content_type="text/plain; charset=utf-8")
        encoding = best_encoding(file.data, request.accept_encodings)
        etag = file.etag if encoding == _IDENTITY else f"{file.etag}-{encoding}"
        if request.if_none_match.contains(etag):
            response = TrioResponse(status=304)
        else:
            response = TrioResponse(file.data[encoding], content_type=file.content_type)
            if encoding != _IDENTITY:
                response.headers["Content-Encoding"] = encoding
        response.set_etag(etag)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        response.headers["Vary"] = "Accept-Encoding"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def best_encoding(available: Mapping[str, bytes], accepted: Accept) -> str:
    """Return the encoding that the client likes best; of equal ones the first, which is the smallest.

    A client that names none of them gets the file itself.
    """
    best = max(available, key=accepted.quality)
    return best if accepted.quality(best) > 0 else _IDENTITY
