"""Migrations on real servers: up, down, up; each file twice; one node at a time; changed files are refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace

import asyncpg
import pytest
import trio
from click.testing import CliRunner

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgStore
from deepoj.adapters.pg.migrations import Direction, MigrationRefused, Migrator, needed_version
from deepoj.adapters.pg.sql_files import Migration, read_migrations, sql_root
from deepoj.words.batches import BatchLine
from deepoj.words.errors import Breakage, StoreRefused, StoreUnavailable
from deepoj.words.submissions import Receipt
from tests.contract.labs import draft
from tests.servers import PostgresServer

NEWEST = needed_version()
USER_AND_PROBLEM = (
    "INSERT INTO users (username, password_hash) VALUES ('alice', 'h'); "
    "INSERT INTO problems (title, description, time_limit_ms, memory_limit_mb, testcase_minio_path, testcase_hash) "
    "VALUES ('A', '', 1, 1, 'p', 'h'); "
)


@pytest.fixture
def empty(postgres: PostgresServer) -> Iterator[str]:
    """The name of a database without any schema."""
    name = postgres.create_database()
    yield name
    postgres.drop_database(name)


def version_of(name: str) -> int:
    """Return the number of a migration: others may get another one before they are released."""
    [version] = [one.version for one in read_migrations(sql_root()) if one.name == name]
    return version


def schema(server: PostgresServer, database: str) -> str:
    """Return all that a migration can create as one text."""
    selects = [
        "SELECT table_name, ordinal_position, column_name, data_type, is_nullable, column_default, is_identity "
        "FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'schema_migrations'",
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace AND conrelid <> coalesce(to_regclass('schema_migrations'), 0)",
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'schema_migrations'",
        "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
        "SELECT relname, relkind, reloptions FROM pg_class WHERE relnamespace = 'public'::regnamespace "
        "AND relname NOT LIKE 'schema_migrations%'",
    ]
    texts = [f"(SELECT string_agg(r::text, E'\\n' ORDER BY r::text) FROM ({one}) AS r)" for one in selects]
    # in one call: most of its time is the start of psql
    return server.psql(f"SELECT concat_ws(E'\\n\\n', {', '.join(texts)})", database)


def without_positions(text: str) -> list[str]:
    """Remove column numbers, of which a dropped column leaves a gap; the order of columns counts."""
    lines = [line.split(",") for line in text.splitlines()]
    return [
        ",".join(line[:1] + line[2:]) if len(line) > 2 and line[1].isdecimal() else ",".join(line) for line in lines
    ]


async def test_up_down_up_gives_the_same_schema(postgres: PostgresServer, empty: str, bridge: AioBridge) -> None:
    migrator = Migrator(bridge, postgres.dsn(empty))
    nothing = schema(postgres, empty)
    assert await migrator.schema_version() == 0
    up = await migrator.migrate()
    assert [step.migration.version for step in up] == list(range(1, NEWEST + 1))
    assert await migrator.schema_version() == NEWEST == migrator.needed_version
    there = schema(postgres, empty)
    assert "outbox_events" in there
    assert await migrator.migrate() == []
    down = await migrator.rollback(0)
    assert [step.migration.version for step in down] == list(range(NEWEST, 0, -1))
    assert {step.direction for step in down} == {Direction.DOWN}
    assert await migrator.schema_version() == 0
    assert schema(postgres, empty) == nothing
    await migrator.migrate()
    assert schema(postgres, empty) == there


async def test_each_rollback_takes_back_exactly_its_own_migration(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    migrator = Migrator(bridge, postgres.dsn(empty))
    stages = [schema(postgres, empty)]
    for version in range(1, NEWEST + 1):
        assert [step.migration.version for step in await migrator.migrate(version)] == [version]
        stages.append(schema(postgres, empty))
    assert len(set(stages)) == NEWEST + 1
    for version in range(NEWEST, 0, -1):
        assert [step.migration.version for step in await migrator.rollback()] == [version]
        assert without_positions(schema(postgres, empty)) == without_positions(stages[version - 1])
    assert await migrator.rollback() == []


async def test_each_file_can_be_run_twice(postgres: PostgresServer, empty: str) -> None:
    migrations = read_migrations(sql_root())
    for migration in migrations:
        postgres.psql(migration.sql, empty)
        once = schema(postgres, empty)
        postgres.psql(migration.sql, empty)
        assert schema(postgres, empty) == once, migration.title
    for migration in reversed(migrations):
        postgres.psql(migration.rollback_sql, empty)
        once = schema(postgres, empty)
        postgres.psql(migration.rollback_sql, empty)
        assert schema(postgres, empty) == once, migration.title


async def test_migrations_applied_by_hand_are_applied_again_without_harm(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    migrator = Migrator(bridge, postgres.dsn(empty))
    await migrator.migrate()
    there = schema(postgres, empty)
    postgres.psql("INSERT INTO users (username, password_hash) VALUES ('alice', 'h')", empty)
    postgres.psql("DELETE FROM schema_migrations", empty)
    assert len(await migrator.migrate()) == NEWEST
    assert schema(postgres, empty) == there
    assert postgres.psql("SELECT username FROM users", empty) == "alice"


async def test_the_names_of_the_contract() -> None:
    assert read_migrations(sql_root())[6].title == "007_add_outbox_events"


async def test_a_dry_run_changes_nothing(postgres: PostgresServer, empty: str, bridge: AioBridge) -> None:
    migrator = Migrator(bridge, postgres.dsn(empty))
    before = schema(postgres, empty)
    assert len(await migrator.migrate(dry_run=True)) == NEWEST
    assert schema(postgres, empty) == before
    assert postgres.psql("SELECT to_regclass('schema_migrations') IS NULL", empty) == "t"
    await migrator.migrate()
    there = schema(postgres, empty)
    assert len(await migrator.rollback(0, dry_run=True)) == NEWEST
    assert schema(postgres, empty) == there
    assert await migrator.schema_version() == NEWEST


async def test_of_many_nodes_that_start_at_once_one_migrates(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    done: list[int] = []

    async def node() -> None:
        done.append(len(await Migrator(bridge, postgres.dsn(empty)).migrate()))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(node)
    assert sorted(done) == [0, 0, 0, 0, NEWEST]


async def test_a_file_that_changed_after_it_was_applied_is_refused(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    migrations = list(read_migrations(sql_root()))
    await Migrator(bridge, postgres.dsn(empty)).migrate()
    migrations[2] = replace(migrations[2], sql=migrations[2].sql + "-- a word more\n")
    changed = Migrator(bridge, postgres.dsn(empty), migrations=migrations)
    with pytest.raises(MigrationRefused, match=r"003_create_submissions\.sql was changed") as refused:
        await changed.migrate()
    assert refused.value.exit_code == 2
    with pytest.raises(MigrationRefused):
        await changed.rollback(0)
    formerly = f"-- formerly {read_migrations(sql_root())[2].checksum}\n"
    migrations[2] = replace(migrations[2], sql=migrations[2].sql + formerly)
    assert await Migrator(bridge, postgres.dsn(empty), migrations=migrations).migrate() == []


async def test_a_database_newer_than_the_program_is_refused(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    await Migrator(bridge, postgres.dsn(empty)).migrate()
    older = Migrator(bridge, postgres.dsn(empty), migrations=read_migrations(sql_root())[:-1])
    with pytest.raises(MigrationRefused, match="does not know"):
        await older.migrate()
    with pytest.raises(MigrationRefused, match="no migration 99"):
        await Migrator(bridge, postgres.dsn(empty)).migrate(99)


async def test_a_step_that_fails_leaves_the_steps_before_it_and_nothing_of_itself(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    good = Migration(1, "good", "CREATE TABLE IF NOT EXISTS good (id int);", "DROP TABLE IF EXISTS good;")
    bad = Migration(2, "bad", "CREATE TABLE half (id int); SELECT 1 / 0;", "DROP TABLE IF EXISTS half;")
    with pytest.raises(Breakage, match="division by zero"):
        await Migrator(bridge, postgres.dsn(empty), migrations=[good, bad]).migrate()
    assert postgres.psql("SELECT to_regclass('good'), to_regclass('half') IS NULL", empty) == "good|t"
    assert await Migrator(bridge, postgres.dsn(empty), migrations=[good, bad]).schema_version() == 1
    mended = replace(bad, sql="CREATE TABLE IF NOT EXISTS half (id int);")
    assert len(await Migrator(bridge, postgres.dsn(empty), migrations=[good, mended]).migrate()) == 1


async def test_wait_for_a_migrating_node_ends_at_its_deadline(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    slow = Migration(1, "slow", "SELECT pg_sleep(600);", "SELECT 1;")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Migrator(bridge, postgres.dsn(empty), migrations=[slow]).migrate)
        with trio.fail_after(60):
            while postgres.psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'", empty) == "0":
                await trio.sleep(0.01)
        with pytest.raises(StoreUnavailable, match="another node"):
            await Migrator(bridge, postgres.dsn(empty), lock_timeout_s=0.2).migrate()
        nursery.cancel_scope.cancel()
    assert len(await Migrator(bridge, postgres.dsn(empty)).migrate()) == NEWEST


async def test_a_database_that_is_not_there_is_refused(postgres: PostgresServer, bridge: AioBridge) -> None:
    with pytest.raises(StoreRefused, match="no_such_database"):
        await Migrator(bridge, postgres.dsn("no_such_database")).migrate()


def run_command(monkeypatch: pytest.MonkeyPatch, dsn: str, *options: str) -> tuple[int, str]:
    from deepoj.cli.migrate import migrate

    assert threading.current_thread() is threading.main_thread()
    monkeypatch.setenv("DATABASE_URL", dsn)
    result = CliRunner().invoke(migrate, list(options), catch_exceptions=False)
    return result.exit_code, result.stdout


def test_the_command_goes_up_says_so_and_comes_back(
    postgres: PostgresServer, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = postgres.dsn(empty)
    code, said = run_command(monkeypatch, dsn, "--dry-run", "--json")
    assert (code, json.loads(said)["version"], len(json.loads(said)["steps"])) == (0, 0, NEWEST)
    code, said = run_command(monkeypatch, dsn, "--to", "7")
    assert code == 0
    assert said.splitlines()[-2:] == ["up 007_add_outbox_events", "the schema is at version 7"]
    assert len(run_command(monkeypatch, dsn)[1].splitlines()) == NEWEST - 7 + 1
    assert run_command(monkeypatch, dsn) == (0, f"the schema is at version {NEWEST}: nothing to do\n")
    code, said = run_command(monkeypatch, dsn, "--rollback", "--json")
    told = json.loads(said)
    assert (code, told["version"], told["dry_run"]) == (0, NEWEST - 1, False)
    assert [step["direction"] for step in told["steps"]] == ["down"]
    assert run_command(monkeypatch, dsn, "--rollback", "--to", "0")[1].endswith("at version 0\n")


async def test_rollback_that_drops_files_leaves_no_job_to_judge_without_them(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    migrator = Migrator(bridge, postgres.dsn(empty))
    await migrator.migrate(version_of("add_submission_files"))
    columns = "job_id, problem_id, user_id, code, language, time_limit, memory_limit, entry_point, files"
    postgres.psql(
        "INSERT INTO users (id, username, password_hash) VALUES (1, 'alice', 'h');"
        "INSERT INTO problems (id, title, time_limit_ms, memory_limit_mb, testcase_minio_path, testcase_hash)"
        " VALUES (1, 't', 1000, 128, 'p', 'h');"
        f"INSERT INTO submissions ({columns}) VALUES (gen_random_uuid(), 1, 1, 'x', 'cpp17', 1, 1, NULL, NULL);"
        f"INSERT INTO submissions ({columns}) VALUES (gen_random_uuid(), 1, 1, 'x', 'cpp17', 1, 1, 'a.cpp', '[]')",
        empty,
    )
    await migrator.rollback(version_of("add_submission_files") - 1)
    assert postgres.psql("SELECT string_agg(state, ' ' ORDER BY id) FROM submissions", empty) == "pending dead"
    told = (
        "SELECT s.state || ' ' || a.event || ' ' || a.outcome FROM submissions AS s JOIN attempts AS a USING (job_id)"
    )
    assert postgres.psql(told, empty) == "dead dead FILES_LOST"


async def test_deliveries_that_wait_get_their_owner(postgres: PostgresServer, empty: str, bridge: AioBridge) -> None:
    """Deliveries from before the migration, after it, and after its rollback."""
    migrator = Migrator(bridge, postgres.dsn(empty))
    await migrator.migrate(version_of("bound_runs"))
    postgres.psql(
        "INSERT INTO users (id, username, password_hash) VALUES (1, 'alice', 'h'), (2, 'bob', 'h');"
        "INSERT INTO problems (id, title, time_limit_ms, memory_limit_mb, testcase_minio_path, testcase_hash)"
        " VALUES (1, 't', 1000, 128, 'p', 'h')",
        empty,
    )
    columns = "job_id, problem_id, user_id, code, language, time_limit, memory_limit, callback_url"
    end = "UPDATE submissions SET state = 'done', status = 'Accepted', result = '{}' WHERE state = 'pending'"

    def finish_one_of_each() -> None:
        for user_id in (1, 2):
            postgres.psql(
                f"INSERT INTO submissions ({columns}) VALUES (gen_random_uuid(), 1, {user_id}, 'x', 'cpp17', 1, 1,"
                f" 'https://h{user_id}.example/x'); {end}",
                empty,
            )

    finish_one_of_each()
    one_has_ended = "UPDATE webhook_deliveries SET status = 'delivered', ended_at = now() WHERE target LIKE '%h2%'"
    postgres.psql(one_has_ended, empty)
    await migrator.migrate(version_of("add_webhook_owners"))
    finish_one_of_each()
    owners = "SELECT string_agg(user_id || substring(target FROM '//h(.)'), ' ' ORDER BY id) FROM webhook_deliveries"
    assert postgres.psql(owners, empty) == "11 22 11 22"
    await migrator.rollback(version_of("add_webhook_owners") - 1)
    finish_one_of_each()
    assert postgres.psql("SELECT count(*) FROM webhook_deliveries", empty) == "6"
    await migrator.migrate()
    assert postgres.psql(owners, empty) == "11 22 11 22 11 22"


async def test_problems_from_before_statements_are_marked_for_rendering_and_survive_its_rollback(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    """Also where a node of the version before replaces the package: it does not know the mark."""
    migrator = Migrator(bridge, postgres.dsn(empty))
    await migrator.migrate(version_of("add_solved_marks"))
    postgres.psql(
        "INSERT INTO problems (id, title, time_limit_ms, memory_limit_mb, testcase_minio_path, testcase_hash)"
        " VALUES (1, 't', 1000, 128, 'p', 'h'), (2, 'u', 1000, 128, 'q', 'i')",
        empty,
    )
    await migrator.migrate(version_of("add_statements"))
    marks = "SELECT string_agg(statements_by::text, ' ' ORDER BY id) FROM problems"
    assert postgres.psql(marks, empty) == "0 0"
    postgres.psql(
        "UPDATE problems SET statements_by = 1;"
        "INSERT INTO problem_texts (problem_id, data_hash, samples, notes) VALUES (1, 'h', '[]', '[]');"
        "INSERT INTO problem_statements (problem_id, language, place, title, kind, html)"
        " VALUES (1, 'en', 0, 't', 'html', 'x');"
        "INSERT INTO problem_files (problem_id, kind, name, media_type, content)"
        " VALUES (1, 'shown', 'a', 'b', '\\x00');"
        "UPDATE problems SET title = 'v', testcase_hash = testcase_hash WHERE id = 1;"
        "UPDATE problems SET testcase_hash = 'other' WHERE id = 2",
        empty,
    )
    assert postgres.psql(marks, empty) == "1 0"
    await migrator.rollback(version_of("add_statements") - 1)
    assert postgres.psql("SELECT string_agg(title, ' ' ORDER BY id) FROM problems", empty) == "v u"
    await migrator.migrate()
    assert postgres.psql(marks, empty) == "0 0"
    assert postgres.psql("SELECT count(*) FROM problem_texts", empty) == "0"


async def test_rollback_of_rejudge_scopes_ends_the_orders_that_would_become_whole(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    migrator = Migrator(bridge, postgres.dsn(empty))
    await migrator.migrate(version_of("add_rejudge_scopes"))
    order = "INSERT INTO rejudges (problem_id, problem_version, in_full, ordered_by, submissions, upto_id"
    postgres.psql(
        "INSERT INTO problems (id, title, time_limit_ms, memory_limit_mb, testcase_minio_path, testcase_hash)"
        " VALUES (1, 't', 1000, 128, 'p', 'h'), (2, 'u', 1000, 128, 'q', 'i'), (3, 'v', 1000, 128, 'r', 'j');"
        f"{order}) VALUES (1, 1, false, 'root', 9, 9);"
        f"{order}, verdict) VALUES (2, 1, false, 'root', 9, 9, 'Accepted');"
        f"{order}, until) VALUES (3, 1, false, 'root', 9, 9, now())",
        empty,
    )
    await migrator.rollback(version_of("add_rejudge_scopes") - 1)
    assert postgres.psql("SELECT problem_id FROM rejudges WHERE finished_at IS NULL", empty) == "1"
    assert postgres.psql("SELECT count(*) FROM rejudges", empty) == "3"
    await migrator.migrate()
    assert postgres.psql("SELECT count(*) FROM rejudges WHERE verdict IS NULL", empty) == "3"


async def test_problems_from_before_the_catalog_are_listed_and_survive_its_rollback(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    migrator = Migrator(bridge, postgres.dsn(empty))
    await migrator.migrate(version_of("add_node_facts"))
    postgres.psql(
        "INSERT INTO users (id, username, password_hash) VALUES (1, 'alice', 'h');"
        "INSERT INTO groups (id, name) VALUES (1, 'class');"
        "INSERT INTO problems (id, title, time_limit_ms, memory_limit_mb, testcase_minio_path, testcase_hash)"
        " VALUES (1, 't', 1000, 128, 'p', 'h'), (2, 'u', 1000, 128, 'q', 'i')",
        empty,
    )
    await migrator.migrate(version_of("add_problem_catalog"))
    seen = "SELECT string_agg(title, ' ' ORDER BY id) FROM open_problems(1)"
    assert postgres.psql(seen, empty) == "t u"
    hide = "UPDATE problems SET visibility = 'private', tags = '{dp}', languages = '{c17}' WHERE id = 2;"
    postgres.psql(f"{hide} INSERT INTO problem_groups VALUES (2, 1)", empty)
    assert postgres.psql(seen, empty) == "t"
    await migrator.rollback(version_of("add_problem_catalog") - 1)
    assert postgres.psql("SELECT string_agg(title, ' ' ORDER BY id) FROM problems", empty) == "t u"
    assert postgres.psql("SELECT name FROM groups", empty) == "class"
    await migrator.migrate(version_of("add_problem_catalog"))
    assert postgres.psql(seen, empty) == "t u"
    postgres.psql(f"{hide} INSERT INTO problem_groups VALUES (2, 1); INSERT INTO group_members VALUES (1, 1)", empty)
    assert postgres.psql(seen, empty) == "t u"


async def test_verifications_go_with_their_rollback_and_problems_stay(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    migrator = Migrator(bridge, postgres.dsn(empty))
    await migrator.migrate()
    postgres.psql(
        "INSERT INTO problems (id, title, time_limit_ms, memory_limit_mb, testcase_minio_path, testcase_hash)"
        " VALUES (1, 't', 1000, 128, 'p', 'h');"
        "INSERT INTO verifications (problem_id, problem_version, time_limit_ms, points, left_out)"
        " VALUES (1, 1, 1000, 'shares', 0);"
        "INSERT INTO verified_examples (verification_id, place, example, language, code, beside)"
        " SELECT id, 1, '{}', 'cpp17', 'x', '[]' FROM verifications",
        empty,
    )
    await migrator.rollback(version_of("add_verifications") - 1)
    assert postgres.psql("SELECT to_regclass('verifications') IS NULL", empty) == "t"
    assert postgres.psql("SELECT title FROM problems", empty) == "t"
    await migrator.migrate()
    assert postgres.psql("SELECT count(*) FROM verified_examples", empty) == "0"


async def test_previews_go_with_their_rollback_and_submissions_stay(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    migrator = Migrator(bridge, postgres.dsn(empty))
    await migrator.migrate()
    postgres.psql(
        "INSERT INTO problems (id, title, time_limit_ms, memory_limit_mb, testcase_minio_path, testcase_hash)"
        " VALUES (1, 't', 1000, 128, 'p', 'h');"
        "INSERT INTO users (id, username, password_hash) VALUES (1, 'u', 'x');"
        "INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit, state, status,"
        " result) VALUES (gen_random_uuid(), 1, 1, 'x', 'cpp17', 1, 1, 'done', 'Accepted', '{}');"
        "INSERT INTO previews (problem_id, problem_version, in_full, submissions, ordered_by)"
        " VALUES (1, 1, false, 1, 1);"
        "INSERT INTO preview_jobs (preview_id, place, job_id, judging, base_attempt_id, old_status, language)"
        " SELECT p.id, 1, s.job_id, 1, 1, 'Accepted', 'cpp17' FROM previews AS p, submissions AS s",
        empty,
    )
    [version] = [one.version for one in read_migrations(sql_root()) if one.name == "add_previews"]
    await migrator.rollback(version - 1)
    assert postgres.psql("SELECT to_regclass('previews') IS NULL", empty) == "t"
    assert postgres.psql("SELECT status FROM submissions", empty) == "Accepted"
    await migrator.migrate()
    assert postgres.psql("SELECT count(*) FROM preview_jobs", empty) == "0"


async def test_the_rollback_of_erasures_leaves_no_source_of_an_erased_account(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    """Without the columns no later round would find them."""
    number = version_of("add_account_privacy")
    migrator = Migrator(bridge, postgres.dsn(empty))
    await migrator.migrate(number - 1)
    postgres.psql(
        "INSERT INTO users (id, username, password_hash) VALUES (1, 'alice', 'h'), (2, 'bob', 'h');"
        "INSERT INTO problems (id, title, time_limit_ms, memory_limit_mb, testcase_minio_path, testcase_hash)"
        " VALUES (1, 't', 1000, 128, 'p', 'h');"
        "INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit, state, status,"
        " result) SELECT gen_random_uuid(), 1, n, 'code', 'cpp17', 1, 1, 'done', 'Accepted', '{}'"
        " FROM generate_series(1, 2) AS n",
        empty,
    )
    await migrator.migrate(number)
    assert postgres.psql("SELECT string_agg(profile_for, ' ' ORDER BY id) FROM users", empty) == "members members"
    postgres.psql("UPDATE users SET is_being_erased = true, erased_at = now() WHERE id = 1", empty)
    await migrator.rollback(number - 1)
    kept = "SELECT string_agg(user_id || code || status, ' ' ORDER BY user_id) FROM submissions"
    assert postgres.psql(kept, empty) == "1Accepted 2codeAccepted"
    await migrator.migrate()
    assert postgres.psql(kept, empty) == "1Accepted 2codeAccepted"


async def test_edited_statements_are_lost_by_the_rollback_and_nothing_else(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    migrator = Migrator(bridge, postgres.dsn(empty))
    await migrator.migrate(version_of("add_statement_edits"))
    postgres.psql(
        "INSERT INTO problems (id, title, time_limit_ms, memory_limit_mb, testcase_minio_path, testcase_hash,"
        " statement_edition, statements_until) VALUES (1, 't', 1000, 128, 'p', 'h', 1, now());"
        "INSERT INTO statement_edits (problem_id, language, kind, source, version) VALUES (1, 'en', 'md', 'x', 1);"
        "INSERT INTO problem_texts (problem_id, data_hash, samples, notes) VALUES (1, 'h', '[]', '[]')",
        empty,
    )
    await migrator.rollback(version_of("add_statement_edits") - 1)
    assert postgres.psql("SELECT count(*) FROM problem_texts", empty) == "1"
    await migrator.migrate()
    assert postgres.psql("SELECT count(*) FROM statement_edits", empty) == "0"
    assert postgres.psql("SELECT statement_edition FROM problems", empty) == "0"


async def test_tokens_of_people_go_with_their_rollback_and_accounts_stay(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    [version] = [one.version for one in read_migrations(sql_root()) if one.name == "add_access_tokens"]
    migrator = Migrator(bridge, postgres.dsn(empty))
    await migrator.migrate()
    postgres.psql(
        "INSERT INTO users (id, username, password_hash) VALUES (1, 'alice', 'h');"
        "INSERT INTO access_tokens (id, user_id, token_epoch, name, expires_at) VALUES ('a', 1, 0, 'x', now())",
        empty,
    )
    await migrator.rollback(version - 1)
    assert postgres.psql("SELECT to_regclass('access_tokens') IS NULL", empty) == "t"
    assert postgres.psql("SELECT username FROM users", empty) == "alice"
    await migrator.migrate()
    assert postgres.psql("SELECT count(*) FROM access_tokens", empty) == "0"


async def test_step_that_waits_for_a_table_lets_others_pass(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    """A dump keeps its tables for its whole time. Logins must not wait behind a step that waits for it."""
    step = Migration(1, "one", "ALTER TABLE kept ADD COLUMN more text;", "SELECT 1;")
    postgres.psql("CREATE TABLE kept (id int)", empty)
    dsn = postgres.dsn(empty)
    migrators = [
        Migrator(bridge, dsn, migrations=[step], table_wait_s=0.05, table_tries=tries) for tries in (2, 10_000)
    ]
    keeper, reader = [await bridge.run(asyncpg.connect, dsn) for _ in range(2)]
    await bridge.run(keeper.execute, "BEGIN; SELECT FROM kept")
    with trio.fail_after(60):
        with pytest.raises(StoreUnavailable, match=r"migration 1 of .* could not lock a table"):
            await migrators[0].migrate()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(migrators[1].migrate)
            while not await bridge.run(reader.fetchval, "SELECT count(*) FROM pg_locks WHERE NOT granted"):
                pass
            await bridge.run(reader.fetch, "SELECT FROM kept")
            await bridge.run(keeper.execute, "COMMIT")
    for connection in (keeper, reader):
        await bridge.run(connection.close)
    assert postgres.psql("SELECT count(more) FROM kept", empty) == "0"


async def test_contests_go_with_their_rollback_and_submissions_stay_with_their_marks(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    migrator = Migrator(bridge, postgres.dsn(empty))
    await migrator.migrate()
    postgres.psql(
        "INSERT INTO problems (id, title, time_limit_ms, memory_limit_mb, testcase_minio_path, testcase_hash)"
        " VALUES (1, 't', 1000, 128, 'p', 'h');"
        "INSERT INTO users (id, username, password_hash) VALUES (1, 'u', 'x');"
        "INSERT INTO contests (id, key, kind, name, is_public, start_at, duration_ms, freeze_ms, penalty_ms,"
        " is_compile_error_free) VALUES (1, 'k', 'icpc', 'n', true, now(), 3600000, 3600000, 0, true);"
        "INSERT INTO contest_counters (contest_id) VALUES (1);"
        "INSERT INTO contest_problems VALUES (1, 1, 'A'); INSERT INTO contest_members VALUES (1, 1, 't');"
        "INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit, contest_id,"
        " contest_team) VALUES (gen_random_uuid(), 1, 1, 'x', 'cpp17', 1, 1, 1, 't');"
        "UPDATE submissions SET state = 'processing', status = 'running', attempt_id = 1, lease_owner = 'n',"
        " lease_until = now();"
        "UPDATE submissions SET state = 'done', status = 'Accepted', result = '{}', lease_owner = NULL,"
        " lease_until = NULL",
        empty,
    )
    assert postgres.psql("SELECT string_agg(type, ' ' ORDER BY number) FROM contest_events", empty) == (
        "submissions judgements"
    )
    assert postgres.psql("SELECT count(*) FROM solved", empty) == "0", "it is frozen"
    await migrator.rollback(version_of("add_contests") - 1)
    assert postgres.psql("SELECT to_regclass('contests') IS NULL", empty) == "t"
    assert postgres.psql("SELECT status FROM submissions", empty) == "Accepted"
    assert postgres.psql("SELECT count(*) FROM solved", empty) == "1"
    await migrator.migrate()
    assert postgres.psql("SELECT count(*) FROM contest_events", empty) == "0"


async def test_batches_go_with_their_rollback_and_their_submissions_wait_as_single_ones(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    migrator = Migrator(bridge, postgres.dsn(empty))
    await migrator.migrate()
    postgres.psql(
        USER_AND_PROBLEM
        + "INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit, in_batch) "
        "SELECT gen_random_uuid(), p.id, u.id, 'x', 'cpp17', 1, 1, true FROM users AS u, problems AS p; "
        "INSERT INTO batches (id, user_id, idempotency_key) SELECT gen_random_uuid(), id, 'k' FROM users; "
        "INSERT INTO batch_lines SELECT b.id, 1, s.job_id FROM batches AS b, submissions AS s",
        empty,
    )
    lane = "SELECT submission_priority(s) || ' ' || inflight_of(user_id, 9) FROM submissions AS s"
    assert postgres.psql(lane, empty) == "-1 0"
    await migrator.rollback(version_of("add_batches") - 1)
    assert postgres.psql(lane, empty) == "0 1"
    await migrator.migrate()
    assert postgres.psql("SELECT count(*) FROM batches", empty) == "0"
    assert postgres.psql("SELECT count(*) FROM submissions", empty) == "1"


async def test_backlogs_of_batches_are_counted_again_after_their_rollback(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    migrator = Migrator(bridge, postgres.dsn(empty))
    await migrator.migrate(version_of("bound_batch_backlogs") - 1)
    postgres.psql(
        USER_AND_PROBLEM
        + "INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit, in_batch) "
        "SELECT gen_random_uuid(), p.id, u.id, n::text, 'cpp17', 1, 1, true "
        "FROM users AS u, problems AS p, generate_series(1, 3) AS n",
        empty,
    )
    ids = postgres.psql("SELECT u.id || ' ' || p.id FROM users AS u, problems AS p", empty)
    user_id, problem_id = map(int, ids.split())
    for number in (1, 2):
        await migrator.migrate()
        async with PgStore.open(bridge, postgres.dsn(empty)) as store:
            batch_id = await store.batches.open_batch(user_id, f"night-{number}")
            lines = [BatchLine(line, draft(user_id, problem_id, f"// {number}.{line}")) for line in (1, 2)]
            answers = await store.batches.submit_lines(
                batch_id, user_id, lines, dedup_window_s=600.0, quota=2 + 2 * number, stream_key="deepoj:jobs"
            )
        assert [isinstance(one, Receipt) for one in answers] == [True, False]
        await migrator.rollback(version_of("bound_batch_backlogs") - 1)
        # an older node stores one, and no bound
        postgres.psql(
            "INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit, in_batch)"
            f" VALUES (gen_random_uuid(), {problem_id}, {user_id}, 'older', 'cpp17', 1, 1, true)",
            empty,
        )


async def test_new_passwords_that_wait_go_with_their_rollback_and_those_that_hold_stay(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    migrator = Migrator(bridge, postgres.dsn(empty))
    await migrator.migrate(version_of("add_pending_passwords") - 1)
    postgres.psql(
        "INSERT INTO users (username, password_hash) SELECT 'a' || n, 'h' FROM generate_series(1, 500) AS n; "
        "INSERT INTO contests (key, kind, name, is_public, duration_ms, penalty_ms, is_compile_error_free) "
        "VALUES ('c', 'icpc', 'C', true, 1, 1, true)",
        empty,
    )
    await migrator.migrate(version_of("add_pending_passwords"))
    postgres.psql(
        "INSERT INTO pending_passwords (set_id, user_id, contest_id, password_hash) "
        "SELECT 's', u.id, c.id, 'new' FROM users AS u, contests AS c",
        empty,
    )
    await migrator.rollback(version_of("add_pending_passwords") - 1)
    assert postgres.psql("SELECT to_regclass('pending_passwords') IS NULL", empty) == "t"
    assert postgres.psql("SELECT count(*) FROM users WHERE password_hash = 'h'", empty) == "500"
    await migrator.migrate()
    assert postgres.psql("SELECT count(*) FROM pending_passwords", empty) == "0"


async def test_webhooks_of_contests_go_with_their_rollback(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    migrator = Migrator(bridge, postgres.dsn(empty))
    await migrator.migrate()
    postgres.psql(
        "INSERT INTO users (username, password_hash) VALUES ('alice', 'h'); "
        "INSERT INTO contests (key, kind, name, is_public, duration_ms, penalty_ms, is_compile_error_free, created_by) "
        "SELECT 'c', 'icpc', 'C', true, 1, 1, true, id FROM users; "
        "INSERT INTO contest_webhooks (user_id, url, target, token, endpoints, contest_ids) "
        "SELECT id, 'https://a/', 'https://a', 't', '{}', '{}' FROM users; "
        "INSERT INTO contest_webhook_places SELECT w.id, c.id, 1, NULL FROM contest_webhooks AS w, contests AS c",
        empty,
    )
    await migrator.rollback(version_of("add_contest_webhooks") - 1)
    assert postgres.psql("SELECT to_regclass('contest_webhooks') IS NULL", empty) == "t"
    assert postgres.psql("SELECT count(*) FROM contests", empty) == "1"
    await migrator.migrate()
    assert postgres.psql("SELECT count(*) FROM contest_webhooks", empty) == "0"


async def test_announcements_from_before_every_node_announced_itself_stay_and_the_rollback_removes_the_others(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    migrator = Migrator(bridge, postgres.dsn(empty))
    await migrator.migrate(version_of("announce_all_nodes") - 1)
    postgres.psql(
        "INSERT INTO node_languages (node, languages, live_until) VALUES"
        " ('live', '{\"cpp17\": \"g++\"}', now() + interval '1 minute'), ('silent', '{}', now() - interval '1 minute')",
        empty,
    )
    await migrator.migrate(version_of("announce_all_nodes"))
    async with PgStore.open(bridge, postgres.dsn(empty)) as store:
        await store.roster.announce("judges", {}, 60.0)
        await store.roster.announce("serves", {}, 60.0, takes_work=False)
        found = [(one.node, one.is_live, one.takes_work) for one in await store.roster.announced_nodes(9)]
    assert found == [
        ("judges", True, True), ("live", True, True), ("serves", True, False), ("silent", False, False),
    ]  # fmt: skip
    await migrator.rollback(version_of("announce_all_nodes") - 1)
    left = "SELECT string_agg(node, ' ' ORDER BY node) FROM node_languages"
    assert postgres.psql(left, empty) == "judges live silent"


async def test_active_days_count_unfinished_submissions_of_contests_once_through_the_migration_and_its_rollback(
    postgres: PostgresServer, empty: str, bridge: AioBridge
) -> None:
    migrator, version = Migrator(bridge, postgres.dsn(empty)), version_of("hide_ends_of_withheld_judgings")
    await migrator.migrate(version - 1)

    def insert(code: str) -> None:
        postgres.psql(
            "INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit,"
            f" contest_id, contest_team) SELECT gen_random_uuid(), p.id, u.id, '{code}', 'cpp17', 1, 1, c.id, 't'"
            " FROM users AS u, problems AS p, contests AS c",
            empty,
        )

    def end(code: str) -> None:
        postgres.psql(
            "UPDATE submissions SET state = 'processing', status = 'running', attempt_id = 1, lease_owner = 'n',"
            f" lease_until = now() WHERE code = '{code}';"
            "UPDATE submissions SET state = 'done', status = 'Accepted', result = '{}', lease_owner = NULL,"
            f" lease_until = NULL WHERE code = '{code}'",
            empty,
        )

    def counted() -> str:
        return postgres.psql("SELECT sum(submissions) FROM daily_activity", empty)

    postgres.psql(
        USER_AND_PROBLEM
        + "INSERT INTO contests (key, kind, name, is_public, start_at, duration_ms, penalty_ms, is_compile_error_free) "
        "VALUES ('k', 'icpc', 'n', true, now(), 3600000, 0, true); "
        "INSERT INTO contest_counters (contest_id) SELECT id FROM contests; "
        "INSERT INTO contest_problems SELECT c.id, p.id, 'A' FROM contests AS c, problems AS p; "
        "INSERT INTO contest_members SELECT c.id, u.id, 't' FROM contests AS c, users AS u",
        empty,
    )
    for code in ("ended", "waits", "waits still"):
        insert(code)
    end("ended")
    assert counted() == "1"
    await migrator.migrate(version)
    assert counted() == "3"
    end("waits")
    insert("new")
    assert counted() == "4"
    await migrator.rollback(version - 1)
    assert counted() == "2"
    end("new")
    assert counted() == "3"
