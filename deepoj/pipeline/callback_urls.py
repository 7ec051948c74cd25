"""Which callbacks may be called: one policy, asked when a URL is submitted, before each try, and of each address that
the host's name leads to by then.

What may be called by default is the public internet, on the ports of HTTP. Everything that only this host or its
network can reach needs the operator's word: an address inside ours answers requests that come from us, and whoever
names it as a callback speaks with our voice (SSRF). A name says nothing about the address that it leads to later, so
names are only looked at for what is plainly wrong; addresses decide.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from deepoj.words import CallbackRefusal

#: longer ones no receiver needs; RFC 9110 asks for at least 8000 octets of a request line
MAX_CHARS = 2000
#: RFC 3986's characters and no other: what needs escaping is sent escaped, so that no two parsers differ over it
_URL = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
#: a host name of DNS, and the underscore that some use
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
#: what the old parsers of addresses also take for numbers: 0x7f.1, 0177.1, 2130706433
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
#: names that lead to the own host or network, if anywhere (RFC 6761, 6762, 8375, ICANN's .internal)
_PRIVATE_NAMES = frozenset({"localhost", "local", "internal", "lan", "home", "corp", "intranet", "arpa"})
_PORTS = {"http": 80, "https": 443}
#: below it only those two: a POST to a mail or a remote shell server is an attack, not a callback
_FIRST_FREE_PORT = 1024
#: addresses of IPv6 that carry one of IPv4 which a gateway may unpack
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
#: relays of 6to4, which Python counts as global: withdrawn (RFC 7526), so an answer there is some network's own
_RELAYS = ipaddress.IPv4Network("192.88.99.0/24")

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address
type Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback URL that may be called, in its one form."""

    url: str
    scheme: str
    #: a name or an address, without brackets
    host: str
    port: int
    #: path and query
    path: str

    @property
    def target(self) -> str:
        """``scheme://host[:port]``: what deliveries are counted by."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")


@dataclass(frozen=True, slots=True)
class CallbackRules:
    """The operator's settings, parsed.

    Args:
      enabled: whether there are callbacks at all.
      hosts: patterns in small letters: ``host``, ``*.domain`` (any name below it), or either with ``:port``; none: any.
      networks: what may be called beside public addresses.
    """

    enabled: bool = True
    hosts: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, *, enabled: bool, hosts: Sequence[str], networks: Sequence[str]) -> Self:
        """Raises ValueError for what is no network."""
        return cls(
            enabled=enabled,
            hosts=tuple(pattern.strip().lower().rstrip(".") for pattern in hosts if pattern.strip()),
            networks=tuple(ipaddress.ip_network(network.strip()) for network in networks),
        )

    def read(self, url: str) -> Callback | CallbackRefusal:
        """The URL in its one form, or why it may not be called."""
        if not self.enabled:
            return CallbackRefusal.SWITCHED_OFF
        found = _parse(url)
        if isinstance(found, Callback):
            return self._refusal(found) or found
        return found

    def permits(self, address: str) -> bool:
        """Whether a connection may be made to this address, as a resolver wrote it."""
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return all(self._permits(one) for one in _meant(parsed))

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
    found = Callback("", scheme, host, port or _PORTS[scheme], path)
    return Callback(found.target + path, scheme, host, found.port, path)


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


def _meant(address: Address) -> tuple[Address, ...]:
    """The address, and those of IPv4 that it may be turned into on the way; mapped, it is only that one."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        # the prefix itself counts as reserved: the address of IPv4 is what is called
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    inner = [address.sixtofour, *(address.teredo or ())]
    return (address, *(one for one in inner if one is not None))
