"""SQL for tests, asked over sessions that stay open, one a database.

A test asks its database dozens of times, to set a scene and to look at what has come of it. A ``psql`` for each took
much of the suite's time: its own start, and the server's new process that had to learn the catalogs.
"""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult

#: what the server calls our sessions
NAME = "tests"
_CONNECT_S = 60


class Sessions:
    """Sessions of ``user`` with the server whose unix socket is in ``directory``."""

    def __init__(self, directory: Path, user: str) -> None:
        self._directory, self._user = directory, user
        self._open: dict[str, psycopg.Connection] = {}

    def ask(self, sql: str, database: str) -> str:
        """What ``psql -A -t -c`` would print of ``sql``; more statements than one are one transaction, as there.

        Raises RuntimeError when the server refuses one, or is away.
        """
        try:
            if database not in self._open:
                self._open[database] = self._connect(database)
            session = self._open[database]
            answer, told = _printed(session.execute(sql))
        except psycopg.Error as error:
            self.forget(database)
            raise RuntimeError(str(error)) from error
        if "SET" in told or session.info.transaction_status != TransactionStatus.IDLE:
            self.forget(database)  # it is for these statements only, as it was with a psql of theirs
        return answer

    def forget(self, *databases: str) -> None:
        """Closes the sessions with these; with all if none is named. A database with sessions cannot be a template."""
        for database in databases or tuple(self._open):
            session = self._open.pop(database, None)
            if session is not None:
                session.close()

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self._directory),
            user=self._user,
            dbname=database,
            application_name=NAME,
            connect_timeout=_CONNECT_S,
            autocommit=True,
            prepare_threshold=None,
        )


def _printed(cursor: psycopg.Cursor) -> tuple[str, set[str]]:
    """The rows of every statement, and the commands that these were."""
    lines: list[str] = []
    told: set[str] = set()
    while True:
        result = cursor.pgresult
        if result is not None:
            told.add((result.command_status or b"").decode())
            lines += ["|".join(_fields(result, row)) for row in range(result.ntuples)]
        if not cursor.nextset():
            return "\n".join(lines).strip(), told


def _fields(result: PGresult, row: int) -> list[str]:
    return [(result.get_value(row, column) or b"").decode() for column in range(result.nfields)]
