"""Which server is meant, and the tokens of those that one has logged in to.

``$XDG_CONFIG_HOME/deepoj`` (``~/.config/deepoj``), mode 0700: a file for each server, mode 0600, and ``current``, the
URL of the server that was logged in to last. ``DEEPOJ_URL`` and ``DEEPOJ_TOKEN`` beat both. A file that others can read
is refused: its token may be known to them.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from deepoj.words import StartRefused

DEFAULT_URL = "http://127.0.0.1:18080"
_USAGE = 2
#: a token is under one KB
_MAX_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Account:
    """Who one is at a server. The token shows in no repr."""

    url: str
    username: str
    token: str = field(repr=False)


def server_url(text: str) -> str:
    """A URL as it is compared and kept: scheme, host, port if it is no default, path. Without a scheme it is https, or
    on this machine http. Raises StartRefused."""
    text = text.strip()
    if "://" not in text:
        text = f"{'http' if is_loopback(f'http://{text}') else 'https'}://{text}"
    if "@" in text:
        raise StartRefused("A server's URL carries no name and no password: log in with `deepoj login`.", _USAGE)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        raise StartRefused(f"{text!r} is no server's URL: it looks like https://judge.example.org.", _USAGE)
    shown = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{shown}{'' if port in {None, default} else f':{port}'}{parts.path.rstrip('/')}"


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine itself."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def in_the_clear(url: str) -> bool:
    """Whether everybody on the way can read what goes there, token and all."""
    return url.startswith("http://") and not is_loopback(url)


@dataclass(frozen=True, slots=True)
class Keyring:
    """The tokens of one person. ``told_*``: from the environment, where empty counts as not set."""

    directory: Path
    told_url: str = ""
    told_token: str = field(default="", repr=False)

    @classmethod
    def of_user(cls, environ: Mapping[str, str] | None = None) -> Self:
        environ = os.environ if environ is None else environ
        told = environ.get("XDG_CONFIG_HOME", "")
        # the standard: a relative one is to be ignored
        top = Path(told) if told.startswith("/") else Path(environ.get("HOME") or Path.home()) / ".config"
        token = environ.get("DEEPOJ_TOKEN", "").strip()
        if not (token.isascii() and token.isprintable()):
            raise StartRefused("DEEPOJ_TOKEN is no token: it has characters that no token has.", _USAGE)
        return cls(top / "deepoj", environ.get("DEEPOJ_URL", ""), token)

    def url(self, named: str | None = None) -> str:
        """The server that is meant: the one that was named, ``DEEPOJ_URL``, the one logged in to last, or this
        machine's. Raises StartRefused."""
        return server_url(named or self.told_url or self._read("current").strip() or DEFAULT_URL)

    def token(self, url: str) -> str:
        """What to say to that server; "" as long as one has not logged in. Raises StartRefused."""
        return self.told_token or ((account := self.account(url)) is not None and account.token) or ""

    def account(self, url: str) -> Account | None:
        """Who one is there by ``deepoj login``. Raises StartRefused."""
        name = _file_of(url)
        text = self._read(name)
        if not text:
            return None
        try:
            said = json.loads(text)
            account = Account(said["url"], said["username"], said["token"])
        except (ValueError, KeyError, TypeError):
            raise StartRefused(f"{self.directory / name} is damaged: delete it and log in again.", _USAGE) from None
        return account if account.url == url else None

    def keep(self, account: Account) -> None:
        """From now on one is this at that server, and it is the one that is meant. Raises StartRefused."""
        said = {"url": account.url, "username": account.username, "token": account.token}
        self._write(_file_of(account.url), json.dumps(said) + "\n")
        self._write("current", account.url + "\n")

    def forget(self, url: str) -> bool:
        """Whether there was a token to forget. Raises StartRefused."""
        file = self.directory / _file_of(url)
        try:
            file.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StartRefused(f"{file} cannot be deleted: {error.strerror}.", _USAGE) from error
        return True

    def _read(self, name: str) -> str:
        file = self.directory / name
        try:
            opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise StartRefused(f"{file} cannot be read: {error.strerror}.", _USAGE) from error
        with os.fdopen(opened, "rb") as reader:
            seen = os.fstat(opened)
            if not stat.S_ISREG(seen.st_mode) or seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
                raise StartRefused(
                    f"{file} is not yours alone: delete it, log in again, and change your password if others could"
                    " read it.",
                    _USAGE,
                )
            return reader.read(_MAX_BYTES).decode("utf-8", "replace")

    def _write(self, name: str, text: str) -> None:
        """Whole or not at all, and never readable by others, not even for a moment."""
        new = self.directory / f".{name}.{secrets.token_hex(8)}"
        try:
            self.directory.parent.mkdir(parents=True, exist_ok=True)
            self.directory.mkdir(mode=0o700, exist_ok=True)
            self.directory.chmod(0o700)
            opened = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                with os.fdopen(opened, "w", encoding="utf-8") as writer:
                    writer.write(text)
                    writer.flush()
                    os.fsync(opened)
                new.replace(self.directory / name)
            except OSError:
                new.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise StartRefused(f"The token cannot be kept in {self.directory}: {error.strerror}.", _USAGE) from error


def _file_of(url: str) -> str:
    return f"server-{hashlib.sha256(url.encode()).hexdigest()[:24]}.json"
