"""SQL files: queries, migrations and rollbacks are found and read."""

from __future__ import annotations

from pathlib import Path

import pytest

import deepoj
from deepoj.adapters.pg.sql_files import SqlFilesBroken, parse_queries, queries, read_migrations, read_queries, sql_root


def test_every_query_is_used_and_has_a_name_a_purpose_and_one_statement() -> None:
    found = queries()
    sources = "\n".join(path.read_text() for path in Path(deepoj.__file__).parent.rglob("*.py"))
    assert [name for name in found if f'"{name}"' not in sources] == []
    assert {"submit", "claim", "extend", "finalize", "give_back", "repair", "take_outbox"} <= found.keys()
    for name, query in found.items():
        assert query.name == name
        assert query.purpose[0].isupper()
        assert ";" not in query.sql
        assert "--" not in query.sql


def test_a_file_of_queries_is_read_in_parts() -> None:
    one = "-- name: one\n-- What for.\n--\n-- More words.\nSELECT 1\n-- and why\nFROM x;\n"
    text = f"{one}\n-- name: two\n-- Also.\nSELECT 2;\n"
    found = parse_queries(text, "x.sql")
    assert [(query.name, query.purpose, query.sql) for query in found.values()] == [
        ("one", "What for.", "SELECT 1\nFROM x"),
        ("two", "Also.", "SELECT 2"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SELECT 1;",
        "SELECT 0;\n-- name: one\n-- What for.\nSELECT 1;",
        "-- name: one\nSELECT 1;",
        "-- name: one\n-- What for.\nSELECT 1",
        "-- name: one\n-- What for.\nSELECT 1;\n-- name: one\n-- Again.\nSELECT 2;",
        "-- name: one\n-- What for.\nSELECT 1;\n-- name: two\nSELECT 2;",
    ],
)
def test_a_malformed_file_is_refused(text: str) -> None:
    with pytest.raises(SqlFilesBroken, match=r"x\.sql") as refused:
        parse_queries(text, "x.sql")
    assert refused.value.exit_code == 2


def make(root: Path, *names: str) -> Path:
    for directory in ("migrations", "rollbacks", "queries"):
        (root / directory).mkdir()
    for name in names:
        (root / "migrations" / name).write_text("SELECT 1;")
        (root / "rollbacks" / name).write_text("SELECT 2;")
    return root


def test_migrations_come_in_order_with_their_rollbacks(tmp_path: Path) -> None:
    found = read_migrations(make(tmp_path, "002_b.sql", "001_a.sql"))
    assert [(one.version, one.name, one.sql, one.rollback_sql) for one in found] == [
        (1, "a", "SELECT 1;", "SELECT 2;"),
        (2, "b", "SELECT 1;", "SELECT 2;"),
    ]
    assert found[0].checksum == found[1].checksum


@pytest.mark.parametrize(
    "names", [("001_a.sql", "003_c.sql"), ("001_a.sql", "001_b.sql"), ("1_a.sql",), ("002_a.sql",)]
)
def test_gaps_doubles_and_strange_names_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(SqlFilesBroken):
        read_migrations(make(tmp_path, *names))


def test_a_migration_without_rollback_is_refused(tmp_path: Path) -> None:
    root = make(tmp_path, "001_a.sql")
    (root / "rollbacks" / "001_a.sql").unlink()
    with pytest.raises(SqlFilesBroken, match="no rollback"):
        read_migrations(root)


def test_a_query_in_two_files_is_refused(tmp_path: Path) -> None:
    root = make(tmp_path)
    for name in ("a.sql", "b.sql"):
        (root / "queries" / name).write_text("-- name: one\n-- What for.\nSELECT 1;\n")
    with pytest.raises(SqlFilesBroken, match="another file"):
        read_queries(root)


def test_the_files_of_the_checkout_are_found() -> None:
    assert (sql_root() / "migrations" / "007_add_outbox_events.sql").is_file()
