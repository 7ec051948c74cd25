"""Pages of a ``House`` before a real browser, without a node: what the browser asks for is answered from memory.

So states are looked at that a node reaches rarely or for a moment: a dead letter, a verification that is under way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Route

from deepoj.web.assets import Assets
from tests.e2e.nodes import Node
from tests.web.browser import Look, Watcher, watched
from tests.web.pages import Who
from tests.web.site import Site

_BASE = "http://pages.test"
_SITE = Site(cast("Node", SimpleNamespace(base=_BASE)), sessions={}, ids={})


@dataclass(frozen=True, slots=True)
class Planted:
    """An answer: its body, and headers as a server gave them."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def planted(browser: Browser, answers: Mapping[str, Planted], look: Look | None = None) -> Iterator[Watcher]:
    """Open a page in a profile of its own. ``answers``: by path and query; other requests than those for scripts and
    styles, such as those of streams, wait until the end. AssertionError for each fault, at the end."""
    assets = Assets.load()
    unanswered: list[Route] = []

    def answer(route: Route) -> None:
        parts = urlsplit(route.request.url)
        found = answers.get(parts.path + (f"?{parts.query}" if parts.query else ""))
        file = assets.files.get(parts.path.removeprefix("/assets/"))
        if found is not None:
            route.fulfill(status=200, body=found.body, headers=dict(found.headers))
        elif file is not None:
            route.fulfill(status=200, body=file.data["identity"], headers={"Content-Type": file.content_type})
        else:
            unanswered.append(route)

    with watched(browser, _SITE, Who.STRANGER, look) as watcher:
        watcher.context.route("**/*", answer)
        yield watcher
        faults = list(watcher.faults)
        for route in unanswered:
            route.abort()
        watcher.faults[:] = faults  # without the console's complaints about these
