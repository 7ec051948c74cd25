"""From which site a browser sent a request. A form of another site goes with what the browser keeps for ours: cookies,
and the name and password of HTTP Basic (CSRF)."""

from __future__ import annotations

from werkzeug.datastructures import Headers

#: Sec-Fetch-Site of our pages, and of what the reader sends without a page; programs and old browsers send none
_OWN_SITES = frozenset({"same-origin", "none"})


def names_other_site(headers: Headers) -> bool:
    """Return whether the browser names another site as the sender by ``Sec-Fetch-Site``."""
    return headers.get("Sec-Fetch-Site", "none") not in _OWN_SITES


def is_of_other_site(headers: Headers) -> bool:
    """Return the same, by ``Origin`` without that header: browsers send it over TLS alone.

    Not for our forms, which have a token: a proxy may replace Host.
    """
    if "Sec-Fetch-Site" in headers or "Origin" not in headers:
        return names_other_site(headers)
    return headers["Origin"].partition("://")[2].lower() != headers.get("Host", "").lower()
