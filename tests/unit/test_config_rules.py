"""Rules between settings: roles, repeated keys, defaults that follow others, contradictions."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from deepoj.config.draft import ConfigError
from deepoj.config.loader import load
from deepoj.config.model import Config
from deepoj.config.object_store import Minio
from deepoj.config.roles import Role
from deepoj.words.sandbox import Isolation

WORKER = {Role.CONSUMER, Role.RECLAIM}
SCHEDULER = {Role.REPAIR, Role.GC}


def read(file: Path | None = None, /, **environ: str) -> Config:
    return load({}, environ, file)


def refusal(file: Path | None = None, /, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(file, **environ)
    return str(caught.value)


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def yaml(tmp_path: Path) -> Path:
    return tmp_path / "settings.yaml"


@pytest.mark.parametrize(
    ("roles", "without", "expected"),
    [
        (None, None, set(Role)),
        ("all", None, set(Role)),
        ("worker", None, WORKER),
        ("scheduler", None, SCHEDULER),
        ("worker, scheduler", None, WORKER | SCHEDULER),
        ("api", None, {Role.API, Role.DISPATCHER}),
        ("api", ["dispatcher"], {Role.API}),
        ("dispatcher", None, {Role.DISPATCHER}),
        (["api", "gc"], None, {Role.API, Role.DISPATCHER, Role.GC}),
        (None, ["api", "dispatcher"], WORKER | SCHEDULER),
        (None, ["worker"], {Role.API, Role.DISPATCHER} | SCHEDULER),
    ],
)
def test_roles_and_their_aliases(roles: object, without: object, expected: set[Role]) -> None:
    assert load({"roles": roles, "without_roles": without}, {}).roles == expected


def test_a_node_without_any_role_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"roles .*leaves no role"):
        load({"roles": "gc", "without_roles": "gc"}, {})
    with pytest.raises(ConfigError, match=r"roles .*leaves no role"):
        read(DEEPOJ_ROLES=" , ")


# -- repeated keys


@pytest.mark.parametrize(
    ("one", "other", "a", "b"),
    [
        ("api: {database_url: %s}", "worker: {database_url: %s}", "postgres://a/x", "postgres://b/x"),
        ("scheduler: {redis_url: %s}", "worker: {redis_url: %s}", "redis://a:1", "redis://b:1"),
        ("api: {minio: {bucket: %s}}", "worker: {minio: {bucket: %s}}", "aaa", "bbb"),
        ("api: {stream: {stream_key: %s}}", "worker: {stream: {stream_key: %s}}", "a", "b"),
        ("path: {workspace_root: %s}", "worker: {workspace: %s}", "/a", "/b"),
    ],
)
def test_repeated_keys_may_agree_and_may_not_differ(yaml: Path, one: str, other: str, a: str, b: str) -> None:
    yaml.write_text(f"{one % a}\n{other % a}\n")
    agreed = read(yaml)
    yaml.write_text(f"{one % a}\n")
    assert (read(yaml).database_url, read(yaml).redis_url, read(yaml).minio, read(yaml).stream_key) == (
        agreed.database_url, agreed.redis_url, agreed.minio, agreed.stream_key,
    )  # fmt: skip
    yaml.write_text(f"{one % a}\n{other % b}\n")
    sentence = refusal(yaml)
    assert "differ" in sentence
    assert sentence.count(str(yaml)) == 2


def test_one_repetition_speaks_for_all_and_the_environment_beats_it(yaml: Path) -> None:
    yaml.write_text("worker: {database_url: postgres://file/x}\n")
    cfg = read(yaml)
    assert {cfg.api.database_url, cfg.scheduler.database_url, cfg.worker.database_url} == {"postgres://file/x"}
    assert cfg.sources["api.database_url"] == "default (follows worker.database_url)"
    assert read(yaml, DATABASE_URL="postgres://env/x").database_url == "postgres://env/x"


# -- names


def test_names_follow_the_namespace() -> None:
    cfg = read(REDIS_KEY_ENV="dev")
    assert (cfg.namespace, cfg.stream_key, cfg.stream_group) == ("deepoj:dev", "deepoj:dev:jobs", "deepoj:dev:workers")
    assert cfg.api.stream.stream_key == cfg.worker.stream.stream_key
    cfg = read(REDIS_KEY_PREFIX="other", JOB_STREAM_KEY="mine")
    assert (cfg.namespace, cfg.stream_key, cfg.stream_group) == ("other", "mine", "other:workers")


def test_the_consumer_is_named_by_itself_else_by_the_worker_else_by_host_and_pid() -> None:
    assert read(JOB_STREAM_CONSUMER="c", WORKER_ID="w").consumer == "c"
    assert read(WORKER_ID="w").consumer == "w"
    assert read().consumer == f"{socket.gethostname()}-{os.getpid()}"


def test_names_in_metrics() -> None:
    cfg = read()
    assert cfg.scheduler.metrics.instance_id == "scheduler-1"
    assert read(SCHEDULER_ID="s").scheduler.metrics.instance_id == "s"
    assert read(SCHEDULER_ID="s", INSTANCE_ID="i").scheduler.metrics.instance_id == "i"
    assert read(DEEPOJ_OBSERVABILITY_INSTANCE_ID="o").worker.metrics.instance_id == "o"
    assert read(DEEPOJ_OBSERVABILITY_SERVICE_NAME="n").api.metrics.service_name == "n"
    assert (cfg.instance_id, read(WORKER_ID="w").instance_id) == (socket.gethostname(), "w")


# -- places


def test_home_is_absolute_and_the_workspace_follows_it(tmp_path: Path) -> None:
    assert read().home == tmp_path / ".deepoj"
    assert read().workspace == tmp_path / ".deepoj" / "workspace"
    assert read(DEEPOJ_HOME="/srv/oj").workspace == Path("/srv/oj/workspace")
    assert read(DEEPOJ_HOME="/srv/oj", WORKSPACE="w").workspace == tmp_path / "w"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "redis://localhost:6379"),
        ({"REDIS_URL": "h:1"}, "redis://h:1"),
        ({"REDIS_URL": "h:1", "REDIS_TLS": "true"}, "rediss://h:1"),
        ({"REDIS_URL": "redis://h:1/2", "REDIS_TLS": "true"}, "rediss://h:1/2"),
        ({"REDIS_URL": "redis://h:1", "REDIS_PASSWORD": "p@/s"}, "redis://:p%40%2Fs@h:1"),
        ({"REDIS_URL": "redis://u@h:1", "REDIS_PASSWORD": "p"}, "redis://u:p@h:1"),
        ({"REDIS_URL": "redis://:own@h:1", "REDIS_PASSWORD": "p"}, "redis://:own@h:1"),
        ({"REDIS_URL": "/run/redis.sock"}, "unix:///run/redis.sock"),
        ({"REDIS_URL": "unix:///run/redis.sock?db=1", "REDIS_PASSWORD": "p"}, "unix://:p@/run/redis.sock?db=1"),
    ],
)
def test_forms_of_the_redis_address(environ: dict[str, str], expected: str) -> None:
    assert read(None, **environ).redis_url == expected


@pytest.mark.parametrize(
    ("environ", "endpoint", "secure"),
    [
        ({}, "localhost:9000", False),
        ({"MINIO_ENDPOINT": "h:1"}, "h:1", False),
        ({"MINIO_ENDPOINT": "h:1", "MINIO_SECURE": "true"}, "h:1", True),
        ({"MINIO_ENDPOINT": "https://h:1/"}, "h:1", True),
        ({"MINIO_SECURE": "true"}, "localhost:9000", True),
    ],
)
def test_forms_of_the_object_stores_address(environ: dict[str, str], endpoint: str, secure: bool) -> None:
    assert read(None, **environ).minio == Minio(endpoint, "change_me", "change_me", "deep-oj-problems", secure)


def test_the_workers_object_store_alone_speaks_for_the_api_too(yaml: Path) -> None:
    yaml.write_text("worker: {minio: {secure: true}}\n")
    assert (read(yaml).minio.secure, read(yaml).worker.minio.secure) == (True, True)
    yaml.write_text("worker: {minio: {endpoint: 'https://h:1'}}\n")
    assert (read(yaml).minio.endpoint, read(yaml).minio.secure) == ("h:1", True)
    yaml.write_text("worker: {minio: {endpoint: 'https://h:1', secure: false}}\n")
    assert "remove one of them" in refusal(yaml)


def test_a_scheme_and_secure_may_not_differ() -> None:
    assert "remove one of them" in refusal(MINIO_ENDPOINT="http://h:1", MINIO_SECURE="true")
    assert "remove one of them" in refusal(MINIO_ENDPOINT="https://h:1", MINIO_SECURE="false")
    assert "must be host:port" in refusal(MINIO_ENDPOINT="ftp://h:1")


# -- limits


def test_the_inflight_cap_of_0_depends_on_the_environment_name() -> None:
    assert read(SUBMIT_MAX_INFLIGHT="0").api.limits.submit_max_inflight == 500
    assert read(SUBMIT_MAX_INFLIGHT="0", REDIS_KEY_ENV="dev").api.limits.submit_max_inflight == 5000
    assert read(SUBMIT_MAX_INFLIGHT="7", REDIS_KEY_ENV="dev").api.limits.submit_max_inflight == 7


@pytest.mark.parametrize(("told", "got"), [("-3", 1), ("0", 1), ("1", 1), ("1000000", os.process_cpu_count())])
def test_the_pool_is_clamped_to_the_cpus(told: str, got: int) -> None:
    assert read(WORKER_POOL_SIZE=told).worker.pool_size == got


@pytest.mark.parametrize(
    ("slots", "told", "got"),
    [(1, "0", 1), (2, "0", 1), (4, "0", 2), (5, "0", 2), (4, "1", 1), (4, "3", 2), (1, "9", 1)],
)
def test_custom_runs_have_at_most_half_of_the_slots(
    slots: int, told: str, got: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "process_cpu_count", lambda: 64)
    assert read(WORKER_POOL_SIZE=str(slots), WORKER_RUN_SLOTS=told).worker.run_slots == got


@pytest.mark.parametrize(("slots", "told", "got"), [(1, "1", 0), (4, "0", 0), (4, "2", 2), (4, "9", 3)])
def test_contests_keep_at_most_all_slots_but_one(
    slots: int, told: str, got: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "process_cpu_count", lambda: 64)
    assert read(WORKER_POOL_SIZE=str(slots), WORKER_CONTEST_SLOTS=told).worker.contest_slots == got


def test_special_rate_limits_follow_the_general_one() -> None:
    limits = read(RATE_LIMIT_IP_PER_WINDOW="7", AUTH_RATE_LIMIT_IP_PER_WINDOW="8").api.limits
    assert (limits.rate_limit.ip_limit, limits.auth_rate_limit.ip_limit, limits.submit_rate_limit.ip_limit) == (7, 8, 7)


def test_leases_may_be_fractions_and_heartbeats_follow() -> None:
    stream = read(JOB_LEASE_SEC="0.6").worker.stream
    assert stream.lease_sec == 0.6
    assert stream.heartbeat_sec == pytest.approx(0.2)
    assert "at most half of the lease" in refusal(JOB_LEASE_SEC="10", JOB_HEARTBEAT_SEC="6")


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ("SUBMIT_DEFAULT_TIME_LIMIT_MS", "SUBMIT_MAX_TIME_LIMIT_MS"),
        ("PROBLEM_DEFAULT_TIME_LIMIT_MS", "SUBMIT_MAX_TIME_LIMIT_MS"),
        ("OUTBOX_RETRY_BASE_MS", "OUTBOX_RETRY_MAX_MS"),
        ("PG_MIN_CONNS", "PG_MAX_CONNS"),
        ("REDIS_MIN_IDLE_CONNS", "REDIS_POOL_SIZE"),
    ],
)
def test_a_floor_may_not_be_above_its_ceiling(small: str, large: str) -> None:
    sentence = refusal(**{small: "9", large: "8"})
    assert small in sentence
    assert large in sentence
    read(**{small: "8", large: "8"})


def test_a_smaller_pool_takes_its_floor_along() -> None:
    cfg = read(PG_MAX_CONNS="1", REDIS_POOL_SIZE="1")
    assert (cfg.postgres.min_conns, cfg.redis.min_idle_conns) == (1, 1)


def test_the_memory_of_a_problem_may_not_be_above_its_ceiling_in_another_unit() -> None:
    sentence = refusal(PROBLEM_DEFAULT_MEMORY_LIMIT_MB="65", SUBMIT_MAX_MEMORY_LIMIT_KB="66559")
    assert "api.limits.problem_defaults.memory_limit_mb (environment PROBLEM_DEFAULT_MEMORY_LIMIT_MB) is 65" in sentence
    assert "api.limits.max_memory_limit_kb (environment SUBMIT_MAX_MEMORY_LIMIT_KB) is 66559" in sentence
    assert "api.limits.max_memory_limit_kb (default)" in refusal(PROBLEM_DEFAULT_MEMORY_LIMIT_MB="513")
    read(PROBLEM_DEFAULT_MEMORY_LIMIT_MB="65", SUBMIT_MAX_MEMORY_LIMIT_KB="66560")


def test_a_lower_ceiling_takes_the_defaults_of_problems_along() -> None:
    limits = read(SUBMIT_MAX_TIME_LIMIT_MS="500", SUBMIT_MAX_MEMORY_LIMIT_KB="2047").api.limits
    assert (limits.problem_defaults.time_limit_ms, limits.problem_defaults.memory_limit_mb) == (500, 1)
    assert (limits.default_time_limit_ms, limits.default_memory_limit_kb) == (500, 2047)
    assert "from 1024 to" in refusal(SUBMIT_MAX_MEMORY_LIMIT_KB="1023")


@pytest.mark.parametrize("told", ["proxy.example", "127.0.0.1, 10.0.0.0/33"])
def test_a_trusted_proxy_is_an_address_or_a_network(told: str) -> None:
    assert told.rpartition(" ")[2] in refusal(TRUSTED_PROXIES=told)


# -- settings without an effect yet


def test_a_setting_without_effect_is_told_to_who_sets_it(yaml: Path) -> None:
    for plain in (read(), read(DEEPOJ_EMBEDDED="true"), load({"embedded": True}, {})):
        assert not [warning for warning in plain.warnings if "no effect" in warning]
    assert read(WORKER_BACKPRESSURE_SLEEP_MS="9").warnings == (
        "This has no effect yet: worker.stream.backpressure_sleep_ms (environment WORKER_BACKPRESSURE_SLEEP_MS).",
    )
    yaml.write_text("redis: {min_idle_conns: 3}\n")
    assert read(yaml, WORKER_BACKPRESSURE_SLEEP_MS="9").warnings == (
        "These have no effect yet: worker.stream.backpressure_sleep_ms (environment WORKER_BACKPRESSURE_SLEEP_MS), "
        f"redis.min_idle_conns ({yaml}:redis.min_idle_conns).",
    )


# -- isolation


def test_a_cpu_share_below_the_kernels_smallest_is_refused() -> None:
    assert "0 means unlimited" in refusal(DEEPOJ_RUNNER_CGROUP_CPU_MAX_CORES="0.009")
    assert read(DEEPOJ_RUNNER_CGROUP_CPU_MAX_CORES="0.01").runner.cgroup_cpu_max_cores == 0.01


def test_requiring_cgroups_means_full_isolation() -> None:
    assert read().sandbox_min_isolation is Isolation.NAMESPACES
    assert read(REQUIRE_CGROUPS_V2="true").sandbox_min_isolation is Isolation.FULL
    assert read(REQUIRE_CGROUPS_V2="true", SANDBOX_MIN_ISOLATION="full").sandbox_min_isolation is Isolation.FULL
    assert "remove one of them" in refusal(REQUIRE_CGROUPS_V2="true", SANDBOX_MIN_ISOLATION="weak")


# -- embedded


def test_an_embedded_node_opens_the_door_for_its_administrator_and_says_so() -> None:
    cfg = read(DEEPOJ_EMBEDDED="true")
    assert (cfg.api.auth.admin_users, cfg.api.auth.admin_registration) == (("admin",), "open")
    assert any("set ADMIN_REGISTRATION=closed" in warning for warning in cfg.warnings)
    closed = read(DEEPOJ_EMBEDDED="true", ADMIN_REGISTRATION="closed")
    assert closed.api.auth.admin_registration == "closed"
    assert not closed.warnings
    plain = read()
    assert (plain.api.auth.admin_users, plain.api.auth.admin_registration) == ((), "closed")


def test_an_embedded_node_says_which_addresses_it_does_not_use() -> None:
    cfg = read(DEEPOJ_EMBEDDED="true", DATABASE_URL="postgres://a/b", ADMIN_REGISTRATION="closed")
    assert cfg.warnings == (
        "api.database_url (environment DATABASE_URL) is not used: this node is embedded and starts its own servers.",
    )
