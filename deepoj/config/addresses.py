"""Rules for URLs and networks, and hiding passwords in URLs for error sentences and listings."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, quote, urlsplit

from deepoj.config.draft import ConfigError, SettingsDraft

MASK = "********"


def check_proxies(draft: SettingsDraft) -> None:
    """Refuse a trusted proxy that is neither an address nor a network."""
    for text in draft["api.trusted_proxies"]:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError as error:
            raise ConfigError(
                f'{draft.where("api.trusted_proxies")} contains "{text}", which is neither an address (127.0.0.1) nor '
                f"a network (10.0.0.0/8)."
            ) from error


def _join(parts: SplitResult) -> str:
    # The library's urlunsplit drops the empty authority of unix:///path.
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{parts.path}{query}"


def _stray_login(parts: SplitResult) -> bool:
    """Return whether the authority seems to end inside a password: with an unquoted ``/``, ``?`` or ``#`` in it, the
    password is parsed as a host with a path."""
    return bool(parts.netloc) and any("@" in part for part in (parts.path, parts.query, parts.fragment))


def mask_url(url: str) -> str:
    """Return the URL with its passwords hidden. Parts that could belong to a password are hidden too."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return MASK
    if _stray_login(parts):
        return f"{parts.scheme}://{MASK}"
    login, at, address = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    netloc = f"{user}:{MASK}@{address}" if at and colon else parts.netloc
    query = "&".join(
        f"{part.partition('=')[0]}={MASK}" if "password" in part.lower() else part for part in parts.query.split("&")
    )
    return _join(parts._replace(netloc=netloc, query=query))


def _split(draft: SettingsDraft, name: str, url: str, schemes: tuple[str, ...], allowed: str) -> SplitResult:
    """Return the parts of a URL with one of these schemes. ``allowed`` describes the valid forms in the error."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # evaluated here, so that a bad port gives this sentence instead of a traceback later
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in schemes:
        quoting = "; write /, ?, # and @ in a password as %2F, %3F, %23 and %40" if "@" in url else ""
        raise ConfigError(f'{name} is "{mask_url(url)}" ({draft.source(name)}); it must be {allowed}{quoting}.')
    if parts.netloc and ("@" in parts.path or "@" in parts.fragment):
        raise ConfigError(
            f'{name} is "{mask_url(url)}" ({draft.source(name)}), with an @ after the host: write '
            f"/, ?, # and @ in a password as %2F, %3F, %23 and %40."
        )
    return parts


def check_database_url(draft: SettingsDraft) -> None:
    """Refuse a database address that is no PostgreSQL URL."""
    name = "api.database_url"
    _split(draft, name, draft[name], ("postgres", "postgresql"), "postgres://… or postgresql://…")


def normalize_redis_urls(draft: SettingsDraft) -> None:
    """Make one URL of the address, TLS and password of Redis."""
    name = "api.redis_url"
    url, tls = draft[name], draft["redis.tls_enabled"]
    if url.startswith("/"):
        url = f"unix://{url}"
    elif "://" not in url:
        url = f"{'rediss' if tls else 'redis'}://{url}"
    parts = _split(draft, name, url, ("redis", "rediss", "unix"), "host:port, redis://…, rediss://… or unix:///path")
    if tls and parts.scheme == "redis":
        parts = parts._replace(scheme="rediss")
    if draft["redis.password"] and parts.password is None:
        login, _, address = parts.netloc.rpartition("@")
        parts = parts._replace(netloc=f"{login}:{quote(draft['redis.password'], safe='')}@{address}")
    for service in ("api", "scheduler", "worker"):
        draft.values[f"{service}.redis_url"] = _join(parts)


def normalize_minio(draft: SettingsDraft) -> None:
    """Derive ``secure`` from the scheme of the endpoint; refuse both if they contradict each other."""
    endpoint = draft["api.minio.endpoint"]
    # worker.minio may have been set alone: its values were copied by then, but not their sources
    is_secure_set, is_endpoint_set = (
        any(draft.is_set(f"{service}.minio.{name}") for service in ("api", "worker")) for name in ("secure", "endpoint")
    )
    scheme = endpoint.partition("://")[0] if "://" in endpoint else ""
    _split(
        draft,
        "api.minio.endpoint",
        endpoint if scheme else f"http://{endpoint}",
        ("http", "https"),
        "host:port, http://host:port or https://host:port",
    )
    secure = draft["api.minio.secure"] if not scheme else scheme == "https"
    if is_secure_set and is_endpoint_set and secure != draft["api.minio.secure"]:
        raise ConfigError(
            f"{draft.where('api.minio.endpoint')} says {scheme}, but {draft.where('api.minio.secure')} is "
            f"{str(draft['api.minio.secure']).lower()}: remove one of them."
        )
    if is_secure_set and not is_endpoint_set:
        secure = draft["api.minio.secure"]
    for service in ("api", "worker"):
        draft.values[f"{service}.minio.secure"] = secure


def check_private_networks(draft: SettingsDraft) -> None:
    """Refuse an entry of the private networks that is no network."""
    name = "api.webhooks.private_networks"
    for network in draft[name]:
        try:
            ipaddress.ip_network(network.strip())
        except ValueError as error:
            raise ConfigError(
                f"{draft.where(name)} contains {network!r}, which is not a network: {error}. Write it as 10.1.2.0/24."
            ) from error
