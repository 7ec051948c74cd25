"""Who is calling: the client's address behind proxies, and whether it is this very machine.

A forwarding header is believed only when it comes from a trusted proxy, and then from the right: each proxy appends
the address it saw, so the last one that is no trusted proxy is the client.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from quart import Request
from werkzeug.datastructures import Headers

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address
type Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: a request with one of these came through somebody
_FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Forwarded-Host", "X-Forwarded-Proto", "Via")


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """``127.0.0.1``, ``10.0.0.0/8`` … as networks. Raises ValueError for anything else."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def parse(text: str) -> Address | None:
    """An address in any of the forms that proxies write (``::ffff:1.2.3.4``, ``[::1]:80``, ``1.2.3.4:80``)."""
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
    """The client's address, None if it cannot be told (a unix socket, nonsense from a trusted proxy)."""
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
    """Whom a limit counts: an IPv4 address; of IPv6 its /64, which one customer has whole; all unknown ones as one."""
    if address is None:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def is_untrusted(peer: str | None, headers: Headers, trusted: Sequence[Network]) -> bool:
    """Whether ``peer`` names a client and is not believed: an attacker, or a proxy that TRUSTED_PROXIES lacks."""
    return "X-Forwarded-For" in headers and not is_within(parse(peer) if peer else None, trusted)


def client_of(request: Request, trusted: Sequence[Network]) -> str:
    """Whom a limit counts for a request."""
    peer = request.scope.get("client")
    return subject_of(client_address(peer[0] if peer else None, request.headers, trusted))


def is_loopback(peer: str | None, headers: Headers) -> bool:
    """Whether a program on this machine calls us itself. What came through a proxy does not, whoever began it."""
    address = parse(peer) if peer else None
    return address is not None and address.is_loopback and not any(name in headers for name in _FORWARDED)


def is_within(address: Address | None, nets: Sequence[Network]) -> bool:
    return address is not None and any(address in net for net in nets if net.version == address.version)
