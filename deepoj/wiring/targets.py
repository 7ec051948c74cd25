"""The addresses of the database and of Redis that the settings of this host lead to, and what opens its metrics."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from deepoj.config.model import Config

if TYPE_CHECKING:
    from deepoj.adapters.aio_bridge import AioBridge
    from deepoj.adapters.embedded.home import EmbeddedHome
    from deepoj.adapters.redis.stream import RedisStream


def database_url(cfg: Config) -> str:
    """Return the URL of the database that is set, else of the embedded home's, which needs no setting.

    Raises StartRefused if the home is there and cannot be read."""
    embedded = _embedded(cfg, "api.database_url")
    return cfg.database_url if embedded is None else embedded.database_url


def redis_target(cfg: Config) -> tuple[str, str, bool]:
    """Return the URL and the password of Redis, and whether TLS is used; chosen as ``database_url`` is."""
    embedded = _embedded(cfg, "api.redis_url")
    if embedded is None:
        return cfg.redis_url, cfg.redis.password, cfg.redis.tls_enabled
    return embedded.redis_url, embedded.valkey_password, False


def metrics_token(cfg: Config, home: EmbeddedHome | None) -> str:
    """Return the operator's token for ``/metrics``, or that of the embedded home, which makes one once; empty: none."""
    return cfg.api.metrics_token or (home.secret("metrics_token") if home else "")


def metrics_headers(cfg: Config) -> dict[str, str]:
    """Return the headers by which a command reads the metrics of this host's node.

    Raises StartRefused if the home is there and cannot be read."""
    home = _embedded(cfg, "api.database_url")
    token = cfg.api.metrics_token or (home.made_secret("metrics_token") if home else "")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _embedded(cfg: Config, setting: str) -> EmbeddedHome | None:
    """Return the home of embedded servers, unless the setting names another server."""
    from deepoj.adapters.embedded.home import EmbeddedHome  # noqa: PLC0415 - commands without a database stay light

    return EmbeddedHome.find(cfg.home) if cfg.sources[setting].startswith("default") else None


def reachable(url: str) -> str:
    """Return the URL at which a client of this machine reaches a server that listens on ``url``."""
    return url.replace("://0.0.0.0:", "://127.0.0.1:").replace("://[::]:", "://[::1]:")


def open_stream(cfg: Config, bridge: AioBridge) -> AbstractAsyncContextManager[RedisStream]:
    """Open the stream for commands that ask for its figures and read no entries."""
    from deepoj.adapters.redis.stream import RedisStream  # noqa: PLC0415

    url, password, tls = redis_target(cfg)
    return RedisStream.open(
        bridge,
        url,
        password=password,
        tls=tls,
        stream_key=cfg.stream_key,
        group=cfg.stream_group,
        consumer="command",
        connect_timeout_s=cfg.redis.dial_timeout_ms / 1000,
        read_timeout_s=cfg.redis.read_timeout_ms / 1000,
    )
