"""Determines the client's address behind proxies, and whether the client is on this host.

A forwarding header is trusted only if a trusted proxy sent it. It is read from the right: each proxy appends the
address of its client, so the last address that is not a trusted proxy is the client.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from quart import Request
from werkzeug.datastructures import Headers

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address
type Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: headers of requests that came through a proxy
_FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Forwarded-Host", "X-Forwarded-Proto", "Via")


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Parse addresses and networks (``127.0.0.1``, ``10.0.0.0/8``). Raises ValueError for other texts."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def parse(text: str) -> Address | None:
    """Parse an address in any form used by proxies (``::ffff:1.2.3.4``, ``[::1]:80``, ``1.2.3.4:80``)."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def client_address(peer: str | None, headers: Headers, trusted: Sequence[Network]) -> Address | None:
    """Return the client's address; None if it is unknown (a unix socket, garbage from a trusted proxy)."""
    address = parse(peer) if peer else None
    if not is_within(address, trusted):
        return address
    hops = [hop for line in headers.getlist("X-Forwarded-For") for hop in line.split(",")]
    for hop in reversed(hops):
        address = parse(hop)
        if not is_within(address, trusted):
            return address
    return address


def subject_of(address: Address | None) -> str:
    """Return the subject of limits: an IPv4 address, or the /64 of an IPv6 address, which belongs to one customer. All
    unknown addresses share one subject."""
    if address is None:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def is_untrusted(peer: str | None, headers: Headers, trusted: Sequence[Network]) -> bool:
    """Return whether an untrusted peer sent a forwarding header: an attacker, or a proxy missing in
    TRUSTED_PROXIES."""
    return "X-Forwarded-For" in headers and not is_within(parse(peer) if peer else None, trusted)


def client_of(request: Request, trusted: Sequence[Network]) -> str:
    """Return the subject of limits for a request."""
    return subject_of(address_of(request, trusted))


def address_of(request: Request, trusted: Sequence[Network]) -> Address | None:
    """Return the address of a request's client; None: it is unknown."""
    peer = request.scope.get("client")
    return client_address(peer[0] if peer else None, request.headers, trusted)


def is_loopback(peer: str | None, headers: Headers) -> bool:
    """Return whether a program on this host sent the request directly. Requests through a proxy never count."""
    address = parse(peer) if peer else None
    return address is not None and address.is_loopback and not any(name in headers for name in _FORWARDED)


def is_within(address: Address | None, nets: Sequence[Network]) -> bool:
    return address is not None and any(address in net for net in nets if net.version == address.version)
