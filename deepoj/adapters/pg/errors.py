"""Translation of asyncpg's exceptions; none of them leaves the adapter.

A sentence never holds the DSN: the user name and the password stay out of logs and answers.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import asyncpg

from deepoj.words.errors import Breakage, StoreRefused, StoreUnavailable

#: the server goes away or is not up yet; the statement has had no lasting effect
_SERVER_LEAVES = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)

#: the server is up and refuses us: an operator has to fix it
_SERVER_REFUSES = (
    asyncpg.InvalidAuthorizationSpecificationError,  # also: wrong password
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
    asyncpg.InsufficientPrivilegeError,
)

#: SQLSTATE classes after which the same statement may succeed: rolled back, out of resources, intervention by an
#: operator (a cancelled statement too), system trouble
_PASSING_CLASSES = ("08", "40", "53", "55", "57", "58")
_READ_ONLY_TRANSACTION = "25006"
_SCHEMA_MISSING = ("42P01", "42703", "42883")

FOREIGN = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, EOFError)


def place_of(dsn: str) -> str:
    """Return host, port and database of a DSN, without user and password: for sentences."""
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    host = parts.hostname or query.get("host", ["the default socket"])[0]
    return f"{host}{f':{parts.port}' if parts.port else ''}{parts.path or '/'}"


def lost_connection(error: BaseException, *, connection_closed: bool) -> bool:
    """Return whether the connection failed rather than the statement."""
    if isinstance(error, TimeoutError):
        return False
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError):
        return connection_closed
    return isinstance(error, (*_SERVER_LEAVES, OSError, EOFError))


def translate(error: BaseException, place: str) -> Breakage:
    """Return the breakage for a foreign exception (one of ``FOREIGN``)."""
    if isinstance(error, TimeoutError):
        return StoreUnavailable(f"PostgreSQL at {place} did not answer in time, or all its connections were busy")
    if isinstance(error, _SERVER_REFUSES):
        return StoreRefused(f"PostgreSQL at {place} refuses us ({_reason(error)}): check user, password and database")
    if isinstance(error, OSError | EOFError):
        return StoreUnavailable(
            f"PostgreSQL at {place} cannot be reached ({error.__class__.__name__}): see that it is up, or set "
            "DATABASE_URL"
        )
    if isinstance(error, asyncpg.PostgresError):
        return _translate_answer(error, place)
    return StoreUnavailable(f"the connection to PostgreSQL at {place} is gone ({error.__class__.__name__})")


def _translate_answer(error: asyncpg.PostgresError, place: str) -> Breakage:
    state = error.sqlstate or ""
    if state in _SCHEMA_MISSING:
        return StoreUnavailable(
            f"PostgreSQL at {place} lacks a part of the schema ({_reason(error)}): run the migration"
        )
    if state.startswith(_PASSING_CLASSES) or state == _READ_ONLY_TRANSACTION:
        return StoreUnavailable(f"PostgreSQL at {place} could not do it now ({state}: {_reason(error)})")
    return Breakage(f"PostgreSQL at {place} refused a statement ({state}: {_reason(error)}): this is a bug of ours")


def _reason(error: BaseException) -> str:
    return (str(error).splitlines() or [error.__class__.__name__])[0]
