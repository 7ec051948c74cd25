"""A used test database is reused if it can be emptied, and dropped if its schema was changed."""

from __future__ import annotations

import pytest

from tests.postgres import FIRST_IDS, fresh_database
from tests.servers import PostgresServer

USER = "INSERT INTO users (username, password_hash) VALUES ('somebody', 'x')"


def used(server: PostgresServer, *statements: str) -> str:
    """Run statements in a test database. Return its name."""
    with fresh_database(server) as name:
        for statement in statements:
            server.psql(statement, name)
    return name


def test_database_with_rows_is_emptied_for_reuse(postgres: PostgresServer) -> None:
    name = used(postgres, USER)
    with fresh_database(postgres) as again:
        assert again == name
        assert postgres.psql("SELECT count(*) FROM users", again) == "0"
        assert postgres.psql(f"{USER} RETURNING id", again) == str(FIRST_IDS["users"])


def test_sequences_are_reset_for_reuse(postgres: PostgresServer) -> None:
    """A failed insert takes a number of the sequence without leaving a row."""
    name = used(postgres, "SELECT nextval('users_id_seq')", "SELECT nextval('runs_id_seq')")
    with fresh_database(postgres) as again:
        assert again == name
        assert postgres.psql("SELECT nextval('users_id_seq')", again) == str(FIRST_IDS["users"])
        assert postgres.psql("SELECT nextval('runs_id_seq')", again) == "1"


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE more (id int)",
        "ALTER TABLE runs RENAME TO walks",
        "ALTER TABLE users ADD COLUMN more int",
        "ALTER TABLE users ALTER COLUMN username SET DEFAULT 'x'",
        "DROP INDEX idx_problems_object",
        "CREATE INDEX more ON users (username)",
        "ALTER TABLE users ADD CONSTRAINT more CHECK (id > 0)",
        "ALTER TABLE problems DISABLE TRIGGER problems_object",
        "CREATE FUNCTION more() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TYPE more AS ENUM ('x')",
        "ALTER SEQUENCE users_id_seq INCREMENT 2",
        f"{USER}; ANALYZE users",
        "UPDATE schema_migrations SET name = 'another' WHERE version = 1",
        "DELETE FROM schema_migrations WHERE version = 1",
        "CREATE SCHEMA more",
        "GRANT SELECT ON users TO stranger",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 64', current_database()); END $$",
    ],
)
def test_database_with_a_changed_schema_is_dropped(postgres: PostgresServer, change: str) -> None:
    name = used(postgres, change)
    assert name not in postgres.emptied
    assert postgres.psql(f"SELECT count(*) FROM pg_database WHERE datname = '{name}'") == "0"
