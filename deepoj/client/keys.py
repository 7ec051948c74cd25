"""Chooses the server, and stores the tokens of the servers that the user has logged in to.

``$XDG_CONFIG_HOME/deepoj`` (``~/.config/deepoj``), mode 0700: a file for each server, mode 0600, and ``current``, the
URL of the last login. ``DEEPOJ_URL`` and ``DEEPOJ_TOKEN`` override both. A file that other users can read is refused:
they may know its token.
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

from deepoj.words.errors import StartRefused

DEFAULT_URL = "http://127.0.0.1:18080"
_USAGE = 2
#: a token has less than one KB
_MAX_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class ClientAccount:
    """An account at a server. The token is in no repr."""

    url: str
    username: str
    token: str = field(repr=False)


def server_url(text: str) -> str:
    """Return a URL in the form in which it is compared and stored: scheme, host, port unless default, path.

    Without a scheme it is https, or http for this machine. Raises StartRefused.
    """
    text = text.strip()
    if "://" not in text:
        text = f"{'http' if is_loopback(f'http://{text}') else 'https'}://{text}"
    if "@" in text:
        raise StartRefused("A server's URL must not contain a name or a password: log in with `deepoj login`.", _USAGE)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        raise StartRefused(f"{text!r} is not a server's URL; it should look like https://judge.example.org.", _USAGE)
    url_host = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{url_host}{'' if port in {None, default} else f':{port}'}{parts.path.rstrip('/')}"


def is_loopback(url: str) -> bool:
    """Return whether a URL leads to this machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def in_the_clear(url: str) -> bool:
    """Return whether the connection is not encrypted, so that others on the network can read the token."""
    return url.startswith("http://") and not is_loopback(url)


@dataclass(frozen=True, slots=True)
class Keyring:
    """The stored tokens of a user. ``environ_*``: DEEPOJ_URL and DEEPOJ_TOKEN; empty if they are not set."""

    directory: Path
    environ_url: str = ""
    environ_token: str = field(default="", repr=False)

    @classmethod
    def of_user(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Return the keyring in the user's configuration directory. Raises StartRefused."""
        environ = os.environ if environ is None else environ
        config_home = environ.get("XDG_CONFIG_HOME", "")
        # the XDG standard: a relative path is ignored
        absolute = config_home.startswith("/")
        top = Path(config_home) if absolute else Path(environ.get("HOME") or Path.home()) / ".config"
        token = environ.get("DEEPOJ_TOKEN", "").strip()
        if not (token.isascii() and token.isprintable()):
            raise StartRefused("DEEPOJ_TOKEN is not a token: it contains characters that tokens do not have.", _USAGE)
        return cls(top / "deepoj", environ.get("DEEPOJ_URL", ""), token)

    def url(self, named: str | None = None) -> str:
        """Return the server to use: ``named``, else ``DEEPOJ_URL``, else that of the last login, else this machine's.

        Raises StartRefused.
        """
        return server_url(named or self.environ_url or self._read("current").strip() or DEFAULT_URL)

    def token(self, url: str) -> str:
        """Return the token for that server; "" before the first login. Raises StartRefused."""
        return self.environ_token or ((account := self.account(url)) is not None and account.token) or ""

    def account(self, url: str) -> ClientAccount | None:
        """Return the account stored by ``deepoj login`` for that server. Raises StartRefused."""
        name = _file_of(url)
        text = self._read(name)
        if not text:
            return None
        try:
            stored = json.loads(text)
            account = ClientAccount(stored["url"], stored["username"], stored["token"])
        except (ValueError, KeyError, TypeError):
            raise StartRefused(f"{self.directory / name} is damaged: delete it and log in again.", _USAGE) from None
        return account if account.url == url else None

    def keep(self, account: ClientAccount) -> None:
        """Store an account and make its server the current one. Raises StartRefused."""
        stored = {"url": account.url, "username": account.username, "token": account.token}
        self._write(_file_of(account.url), json.dumps(stored) + "\n")
        self._write("current", account.url + "\n")

    def forget(self, url: str) -> bool:
        """Delete the stored token; return whether there was one. Raises StartRefused."""
        file = self.directory / _file_of(url)
        try:
            file.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StartRefused(f"{file} cannot be deleted: {error.strerror}.", _USAGE) from error
        return True

    def _read(self, name: str) -> str:
        """Return the contents of a file, "" if there is none. Raises StartRefused if other users can access it."""
        file = self.directory / name
        try:
            opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise StartRefused(f"{file} cannot be read: {error.strerror}.", _USAGE) from error
        with os.fdopen(opened, "rb") as reader:
            status = os.fstat(opened)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
                raise StartRefused(
                    f"{file} is accessible to other users: delete it, log in again, and change your password if they"
                    " could read it.",
                    _USAGE,
                )
            return reader.read(_MAX_BYTES).decode("utf-8", "replace")

    def _write(self, name: str, text: str) -> None:
        """Write a file completely or not at all; it is never readable by others, not even for a moment."""
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
            raise StartRefused(f"The token cannot be stored in {self.directory}: {error.strerror}.", _USAGE) from error


def _file_of(url: str) -> str:
    return f"server-{hashlib.sha256(url.encode()).hexdigest()[:24]}.json"
