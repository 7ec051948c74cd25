"""Sessions by which tests query PostgreSQL behave like a ``psql`` for each query."""

from __future__ import annotations

import pytest

from tests.servers import PostgresServer


def test_rows_come_unaligned_of_every_statement(postgres: PostgresServer) -> None:
    assert postgres.psql("SELECT 1, NULL, true; SELECT 'é' FROM generate_series(1, 2)") == "1||t\né\né"
    assert postgres.psql("SELECT WHERE false") == ""


def test_a_refusal_is_told_and_leaves_nothing(postgres: PostgresServer, database: str) -> None:
    with pytest.raises(RuntimeError, match="division by zero"):
        postgres.psql("CREATE TABLE half (id int); SELECT 1 / 0", database)
    assert postgres.psql("SELECT to_regclass('half') IS NULL", database) == "t"
    with pytest.raises(RuntimeError, match="no_such_database"):
        postgres.psql("SELECT 1", "no_such_database")


@pytest.mark.parametrize("said", ["SET work_mem = '77kB'", "BEGIN; SET LOCAL work_mem = '77kB'"])
def test_nothing_is_left_for_the_next_question(postgres: PostgresServer, said: str) -> None:
    assert postgres.psql(f"{said}; SHOW work_mem") == "77kB"
    assert postgres.psql("SHOW work_mem") != "77kB"


def test_a_database_that_was_asked_can_be_cloned_and_dropped(postgres: PostgresServer) -> None:
    name = postgres.create_database()
    postgres.psql("CREATE TABLE more (id int)", name)
    clone = postgres.create_database(name)
    assert postgres.psql("SELECT to_regclass('more')", clone) == "more"
    for one in (name, clone):
        postgres.drop_database(one)
        with pytest.raises(RuntimeError, match="does not exist"):
            postgres.psql("SELECT 1", one)
