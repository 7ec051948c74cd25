"""Decide which callback URLs may be called. This one policy is applied when a URL is submitted, before each try, and to
each address that the host's name resolves to by then.

By default the public internet may be called, on the ports of HTTP. Addresses that only this host or its network can
reach need the operator's permission: an internal service answers requests that come from us, so a callback that names
it would speak with our authority (SSRF). A name says nothing about the address that it resolves to later. So names are
only checked for plain mistakes; addresses decide.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from deepoj.words.webhooks import CallbackRefusal

#: no receiver needs longer URLs; RFC 9110 asks for at least 8000 octets of a request line
MAX_CHARS = 2000
#: only RFC 3986's characters: other ones must be sent escaped, so that no two parsers differ over them
_URL = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
#: a DNS host name, and the underscore that some use
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
#: forms that old address parsers also take for numbers: 0x7f.1, 0177.1, 2130706433
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
#: names that resolve to the own host or network, if at all (RFC 6761, 6762, 8375, ICANN's .internal)
_PRIVATE_NAMES = frozenset({"localhost", "local", "internal", "lan", "home", "corp", "intranet", "arpa"})
_PORTS = {"http": 80, "https": 443}
#: of lower ports only those two: a POST to a mail or remote shell server is an attack, not a callback
_FIRST_FREE_PORT = 1024
#: IPv6 addresses that carry an IPv4 address which a gateway may unpack
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
#: relays of 6to4, which Python counts as global: withdrawn (RFC 7526), so an answer there is some network's own
_RELAYS = ipaddress.IPv4Network("192.88.99.0/24")

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address
type Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback URL that may be called, in normalized form."""

    url: str
    scheme: str
    #: a name or an address, without brackets
    host: str
    port: int
    #: path and query
    path: str

    @property
    def target(self) -> str:
        """``scheme://host[:port]``: the key by which deliveries are counted."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")


@dataclass(frozen=True, slots=True)
class CallbackRules:
    """The operator's settings, parsed.

    Args:
      enabled: whether callbacks are enabled.
      hosts: patterns in lower case: ``host``, ``*.domain`` (any name below it), or either with ``:port``; empty: any.
      networks: networks that may be called besides public addresses.
    """

    enabled: bool = True
    hosts: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, *, enabled: bool, hosts: Sequence[str], networks: Sequence[str]) -> Self:
        """Parse the settings. Raises ValueError for an invalid network."""
        return cls(
            enabled=enabled,
            hosts=tuple(pattern.strip().lower().rstrip(".") for pattern in hosts if pattern.strip()),
            networks=tuple(ipaddress.ip_network(network.strip()) for network in networks),
        )

    def read(self, url: str) -> Callback | CallbackRefusal:
        """Return the normalized URL, or why it may not be called."""
        if not self.enabled:
            return CallbackRefusal.SWITCHED_OFF
        callback = _parse(url)
        if isinstance(callback, Callback):
            return self._refusal(callback) or callback
        return callback

    def permits(self, address: str) -> bool:
        """Whether a connection may be made to this address, in the form that a resolver returns."""
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return all(self._permits(one) for one in _real_addresses(parsed))

    def _permits(self, address: Address) -> bool:
        if any(address in network for network in self.networks):
            return True
        site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
        special = address.is_multicast or address.is_reserved or site_local or address in _RELAYS
        return address.is_global and not special

    def _refusal(self, callback: Callback) -> CallbackRefusal | None:
        if callback.port not in _PORTS.values() and callback.port < _FIRST_FREE_PORT:
            return CallbackRefusal.PORT
        if self.hosts and not any(_matches(pattern, callback) for pattern in self.hosts):
            return CallbackRefusal.HOST
        if _is_address(callback.host):
            return None if self.permits(callback.host) else CallbackRefusal.ADDRESS
        if not self.networks and callback.host.rpartition(".")[2] in _PRIVATE_NAMES:
            return CallbackRefusal.ADDRESS
        return None


def _parse(url: str) -> Callback | CallbackRefusal:
    if len(url) > MAX_CHARS or not _URL.fullmatch(url):
        return CallbackRefusal.MALFORMED
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return CallbackRefusal.MALFORMED
    scheme, host = parts.scheme.lower(), (parts.hostname or "").removesuffix(".")
    if scheme not in _PORTS:
        return CallbackRefusal.SCHEME if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", url) else CallbackRefusal.MALFORMED
    if "@" in parts.netloc:
        return CallbackRefusal.CREDENTIALS
    if "#" in url or not _is_host(host, bracketed="[" in parts.netloc) or port == 0:
        return CallbackRefusal.MALFORMED
    if _is_address(host):
        host = str(ipaddress.ip_address(host))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    callback = Callback("", scheme, host, port or _PORTS[scheme], path)
    return Callback(callback.target + path, scheme, host, callback.port, path)


def _is_host(host: str, *, bracketed: bool) -> bool:
    if bracketed or _is_address(host):
        return bracketed == (":" in host) and _is_address(host) and "%" not in host
    labels = host.split(".")
    return len(host) <= 253 and all(map(_LABEL.fullmatch, labels)) and not _NUMBER.fullmatch(labels[-1])


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _matches(pattern: str, callback: Callback) -> bool:
    host, colon, port = pattern.rpartition(":")
    if not (colon and port.isdecimal() and not _is_address(pattern)):
        host, port = pattern, ""
    if port and int(port) != callback.port:
        return False
    host = host.strip("[]")
    return callback.host.endswith(host[1:]) if host.startswith("*.") else callback.host == host


def _real_addresses(address: Address) -> tuple[Address, ...]:
    """Return the address and the IPv4 addresses that it may be translated to; a mapped one is only its IPv4 address."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        # the prefix itself counts as reserved: the IPv4 address is called
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    inner = [address.sixtofour, *(address.teredo or ())]
    return (address, *(one for one in inner if one is not None))
