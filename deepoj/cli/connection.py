"""The options and the connection of the commands that talk to a server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click

from deepoj.cli import errors
from deepoj.client import ApiClient
from deepoj.client.keys import Keyring, in_the_clear
from deepoj.client.server import RETRY_FOR_S

AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON line.")
URL = click.option("--url", help="The server (default: DEEPOJ_URL, else that of the last login, else this machine).")
RETRY_FOR = click.option(
    "--retry-for",
    "retry_for_s",
    type=click.FloatRange(min=0),
    default=RETRY_FOR_S,
    show_default=True,
    metavar="SECONDS",
    help="How long to retry a request while the server is busy or unreachable.",
)


@contextlib.contextmanager
def connected(url: str | None, retry_for_s: float) -> Iterator[ApiClient]:
    """Open the server at ``url``, else that of the environment or of the last login, with the stored token."""
    keyring = Keyring.of_user()
    base = keyring.url(url)
    warn_if_clear(base)
    with ApiClient(base, keyring.token(base), retry_for_s=retry_for_s, notice=errors.say) as server:
        yield server


def warn_if_clear(url: str) -> None:
    """Print a warning if the connection to a server is not encrypted."""
    if in_the_clear(url):
        errors.say(f"{url} is not encrypted: others on the network can read your password and your token.")
