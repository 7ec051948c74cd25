"""What every command needs: the global options and the settings that come of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deepoj.config import Config, load

if TYPE_CHECKING:
    from deepoj.adapters.aio_bridge import AioBridge
    from deepoj.adapters.pg import PgStore
    from deepoj.adapters.redis_stream import RedisStream


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """``deepoj --config FILE --home DIR``."""

    config_file: Path | None = None
    home: Path | None = None


def settings(flags: Mapping[str, object] | None = None) -> Config:
    """The settings of the running command. ``flags``: its own options under the keys of the settings file (None for
    an option not given). Raises ConfigError."""
    context = click.get_current_context(silent=True)
    options = context.find_object(GlobalOptions) if context is not None else None
    options = options or GlobalOptions()
    return load({"home": options.home, **(flags or {})}, config_file=options.config_file)


def database_url(cfg: Config) -> str:
    """The database that commands speak to: the one an operator has set, else that of the embedded home, which needs no
    telling. Raises StartRefused when the home is there and cannot be read."""
    from deepoj.adapters.embedded.home import EmbeddedHome  # noqa: PLC0415 - commands without a database stay light

    told = not cfg.sources["api.database_url"].startswith("default")
    embedded = None if told else EmbeddedHome.find(cfg.home)
    return cfg.database_url if embedded is None else embedded.database_url


def with_store[T](work: Callable[[PgStore], Awaitable[T]]) -> T:
    """What ``work`` makes of the database that commands speak to, over one connection."""
    import trio  # noqa: PLC0415 - as above

    from deepoj import observe  # noqa: PLC0415
    from deepoj.adapters.aio_bridge import AioBridge  # noqa: PLC0415
    from deepoj.adapters.pg import PgStore  # noqa: PLC0415

    observe.configure(level="warning")  # the answer is what is printed

    async def go(dsn: str) -> T:
        async with AioBridge.open() as bridge, PgStore.open(bridge, dsn, min_conns=0, max_conns=1) as store:
            return await work(store)

    return trio.run(go, database_url(settings()))


def redis_target(cfg: Config) -> tuple[str, str, bool]:
    """URL, password and whether over TLS, of the Redis that commands speak to; found as ``database_url`` is."""
    from deepoj.adapters.embedded.home import EmbeddedHome  # noqa: PLC0415 - as above

    told = not cfg.sources["api.redis_url"].startswith("default")
    embedded = None if told else EmbeddedHome.find(cfg.home)
    if embedded is None:
        return cfg.redis_url, cfg.redis.password, cfg.redis.tls_enabled
    return embedded.redis_url, embedded.valkey_password, False


def reachable(url: str) -> str:
    """Where a client on this machine finds a server that listens on ``url``: one bound to every address is at home."""
    return url.replace("://0.0.0.0:", "://127.0.0.1:").replace("://[::]:", "://[::1]:")


def open_stream(cfg: Config, bridge: AioBridge) -> AbstractAsyncContextManager[RedisStream]:
    """The stream that commands look at, and do not read."""
    from deepoj.adapters.redis_stream import RedisStream  # noqa: PLC0415

    url, password, tls = redis_target(cfg)
    return RedisStream.open(
        bridge,
        url,
        password=password,
        tls=tls,
        stream_key=cfg.stream_key,
        group=cfg.stream_group,
        consumer="looker-on",
        connect_timeout_s=cfg.redis.dial_timeout_ms / 1000,
        read_timeout_s=cfg.redis.read_timeout_ms / 1000,
    )


def print_json(value: object) -> None:
    """Exactly one line on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
    sys.stdout.flush()
