"""Settings: every key of the contract, the order of sources, and a sentence for everything that is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepoj.config import reference
from deepoj.config.checks import NO_EFFECT_YET, require_startable
from deepoj.config.draft import ConfigError
from deepoj.config.keys import effective, leaves, mask, value_of
from deepoj.config.loader import load
from deepoj.config.model import Config
from deepoj.config.roles import Role
from deepoj.words.errors import StartRefused
from deepoj.words.sandbox import Isolation

#: contract §6, word for word: key, default, environment name (``-``: DEEPOJ_ and the key in capitals)
CONTRACT = """
path.compiler_bin '/usr/bin/g++' -
path.mount_dirs ['/lib', '/lib64', '/usr', '/bin', '/etc/alternatives'] -
path.mount_files ['/etc/localtime', '/dev/null', '/dev/zero', '/dev/random', '/dev/urandom'] -
compile.cpu_limit_s 10 -
compile.real_time_limit_s 15 -
compile.memory_limit_mb 1024 -
compile.tmpfs_size_mb 128 -
compile.log_max_size_mb 16 -
compile.max_errors 10 -
runner.max_output_size 10485760 -
runner.output_buffer_size 2097152 -
runner.tmpfs_size_mb 64 -
runner.cgroup_pids_limit 20 -
runner.cgroup_cpu_max_cores 1.0 -
runner.cgroup_io_read_bps 104857600 -
runner.cgroup_io_write_bps 104857600 -
security.run_as_uid 65534 -
security.run_as_gid 65534 -
observability.service_name '' -
observability.instance_id '' -
api.port 18080 PORT
api.reuse_port False API_REUSE_PORT
api.database_url 'postgres://deep_oj:change_me@localhost:5432/deep_oj?sslmode=disable' DATABASE_URL
api.minio.endpoint 'http://localhost:9000' MINIO_ENDPOINT
api.minio.access_key 'change_me' MINIO_ACCESS_KEY
api.minio.secret_key 'change_me' MINIO_SECRET_KEY
api.minio.bucket 'deep-oj-problems' MINIO_BUCKET
api.minio.secure False MINIO_SECURE
api.auth.jwt_secret '' JWT_SECRET
api.auth.jwt_expire_hours 24 JWT_EXPIRE_HOURS
api.auth.oauth_state_ttl_sec 300 OAUTH_STATE_TTL_SEC
api.auth.admin_users [] ADMIN_USERS
api.auth.oauth.github.client_id '' GITHUB_CLIENT_ID
api.auth.oauth.github.client_secret '' GITHUB_CLIENT_SECRET
api.auth.oauth.github.redirect_url 'http://localhost:18080/api/v1/auth/github/callback' GITHUB_REDIRECT_URL
api.limits.submit_body_max_bytes 1048576 SUBMIT_BODY_MAX_BYTES
api.limits.problem_zip_max_bytes 52428800 PROBLEM_ZIP_MAX_BYTES
api.limits.submit_code_max_bytes 65536 SUBMIT_CODE_MAX_BYTES
api.limits.default_time_limit_ms 1000 SUBMIT_DEFAULT_TIME_LIMIT_MS
api.limits.max_time_limit_ms 10000 SUBMIT_MAX_TIME_LIMIT_MS
api.limits.default_memory_limit_kb 65536 SUBMIT_DEFAULT_MEMORY_LIMIT_KB
api.limits.max_memory_limit_kb 524288 SUBMIT_MAX_MEMORY_LIMIT_KB
api.limits.inflight_ttl_sec 600 SUBMIT_INFLIGHT_TTL_SEC
api.limits.rate_limit.ip_limit 60 RATE_LIMIT_IP_PER_WINDOW
api.limits.rate_limit.user_limit 120 RATE_LIMIT_USER_PER_WINDOW
api.limits.rate_limit.window_sec 60 RATE_LIMIT_WINDOW_SEC
api.limits.auth_rate_limit.ip_limit 60 AUTH_RATE_LIMIT_IP_PER_WINDOW
api.limits.auth_rate_limit.user_limit 120 AUTH_RATE_LIMIT_USER_PER_WINDOW
api.limits.auth_rate_limit.window_sec 60 AUTH_RATE_LIMIT_WINDOW_SEC
api.limits.submit_rate_limit.ip_limit 60 SUBMIT_RATE_LIMIT_IP_PER_WINDOW
api.limits.submit_rate_limit.user_limit 120 SUBMIT_RATE_LIMIT_USER_PER_WINDOW
api.limits.submit_rate_limit.window_sec 60 SUBMIT_RATE_LIMIT_WINDOW_SEC
api.limits.submit_max_inflight 500 SUBMIT_MAX_INFLIGHT
api.limits.submit_max_inflight_per_user 20 SUBMIT_MAX_INFLIGHT_PER_USER
api.limits.submit_max_batch_per_user 20000 SUBMIT_MAX_BATCH_PER_USER
api.limits.batch_body_max_bytes 268435456 BATCH_BODY_MAX_BYTES
api.limits.run_enabled True RUN_ENABLED
api.limits.run_max_inflight 2 RUN_MAX_INFLIGHT
api.limits.run_kept_max_bytes 8388608 RUN_KEPT_MAX_BYTES
api.limits.run_stdin_max_bytes 262144 RUN_STDIN_MAX_BYTES
api.limits.run_max_wait_sec 120 RUN_MAX_WAIT_SEC
api.limits.verify_max_running_per_setter 3 VERIFY_MAX_RUNNING_PER_SETTER
api.limits.problem_defaults.time_limit_ms 1000 PROBLEM_DEFAULT_TIME_LIMIT_MS
api.limits.problem_defaults.memory_limit_mb 128 PROBLEM_DEFAULT_MEMORY_LIMIT_MB
api.metrics.service_name 'deep-oj-api' SERVICE_NAME
api.metrics.instance_id '' INSTANCE_ID
api.max_connections 1000 API_MAX_CONNECTIONS
api.max_connections_per_address 750 API_MAX_CONNECTIONS_PER_ADDRESS
api.unsent_max_bytes 33554432 API_UNSENT_MAX_BYTES
api.shutdown_timeout_sec 5 API_SHUTDOWN_TIMEOUT_SEC
api.stream.stream_key 'deepoj:jobs' JOB_STREAM_KEY
api.stream.stream_maxlen 200000 JOB_STREAM_MAXLEN
api.stream.job_payload_ttl_sec 86400 JOB_PAYLOAD_TTL_SEC
api.trusted_proxies ['127.0.0.1'] TRUSTED_PROXIES
api.cors_allowed_origins [] CORS_ALLOWED_ORIGINS
api.metrics_token '' METRICS_TOKEN
api.timeouts.read_header_sec 5 API_READ_HEADER_TIMEOUT_SEC
api.timeouts.read_sec 15 API_READ_TIMEOUT_SEC
api.timeouts.write_sec 30 API_WRITE_TIMEOUT_SEC
api.timeouts.idle_sec 60 API_IDLE_TIMEOUT_SEC
api.live.max_streams 600 API_LIVE_MAX_STREAMS
api.live.max_streams_per_user 20 API_LIVE_MAX_STREAMS_PER_USER
api.live.max_streams_per_address 400 API_LIVE_MAX_STREAMS_PER_ADDRESS
api.hidden_tests.time_step_ms 100 HIDDEN_TESTS_TIME_STEP_MS
api.hidden_tests.memory_step_kb 16384 HIDDEN_TESTS_MEMORY_STEP_KB
api.outbox.enabled True OUTBOX_ENABLED
api.outbox.dispatch_interval_ms 200 OUTBOX_DISPATCH_INTERVAL_MS
api.outbox.dispatch_batch_size 100 OUTBOX_DISPATCH_BATCH_SIZE
api.outbox.retry_base_ms 500 OUTBOX_RETRY_BASE_MS
api.outbox.retry_max_ms 10000 OUTBOX_RETRY_MAX_MS
api.web.enabled True WEB_ENABLED
api.web.session_idle_hours 72 WEB_SESSION_IDLE_HOURS
api.web.session_max_hours 720 WEB_SESSION_MAX_HOURS
api.web.cookie_secure 'auto' WEB_COOKIE_SECURE
api.webhooks.enabled True WEBHOOKS_ENABLED
api.webhooks.secret '' WEBHOOKS_SECRET
api.webhooks.allowed_hosts [] WEBHOOKS_ALLOWED_HOSTS
api.webhooks.private_networks [] WEBHOOKS_PRIVATE_NETWORKS
api.webhooks.timeout_sec 10 WEBHOOKS_TIMEOUT_SEC
api.webhooks.concurrency 16 WEBHOOKS_CONCURRENCY
api.webhooks.per_target 4 WEBHOOKS_PER_TARGET
api.webhooks.poll_interval_ms 1000 WEBHOOKS_POLL_INTERVAL_MS
api.webhooks.retry_base_ms 5000 WEBHOOKS_RETRY_BASE_MS
api.webhooks.retry_max_ms 3600000 WEBHOOKS_RETRY_MAX_MS
api.webhooks.give_up_sec 86400 WEBHOOKS_GIVE_UP_SEC
api.webhooks.keep_days 14 WEBHOOKS_KEEP_DAYS
scheduler.database_url 'postgres://deep_oj:change_me@localhost:5432/deep_oj?sslmode=disable' DATABASE_URL
scheduler.scheduler_id 'scheduler-1' SCHEDULER_ID
scheduler.metrics_port 9091 SCHEDULER_METRICS_PORT
scheduler.metrics_poll_ms 1000 SCHEDULER_METRICS_POLL_INTERVAL_MS
scheduler.metrics.service_name 'deep-oj-scheduler' SERVICE_NAME
scheduler.metrics.instance_id 'scheduler-1' INSTANCE_ID
scheduler.control_plane.repair_enabled True SCHEDULER_REPAIR_ENABLED
scheduler.control_plane.repair_interval_ms 30000 SCHEDULER_REPAIR_INTERVAL_MS
scheduler.control_plane.repair_batch_size 200 SCHEDULER_REPAIR_BATCH_SIZE
scheduler.control_plane.repair_min_age_sec 60 SCHEDULER_REPAIR_MIN_AGE_SEC
scheduler.control_plane.gc_enabled False SCHEDULER_GC_ENABLED
scheduler.control_plane.gc_interval_ms 600000 SCHEDULER_GC_INTERVAL_MS
scheduler.control_plane.stream_trim_maxlen 200000 SCHEDULER_STREAM_TRIM_MAXLEN
scheduler.control_plane.object_retention_days 14 SCHEDULER_OBJECT_RETENTION_DAYS
scheduler.control_plane.db_retention_days 14 SCHEDULER_DB_RETENTION_DAYS
scheduler.control_plane.db_delete_enabled False SCHEDULER_DB_DELETE_ENABLED
scheduler.control_plane.db_delete_batch_size 500 SCHEDULER_DB_DELETE_BATCH_SIZE
worker.id '' WORKER_ID
worker.database_url 'postgres://deep_oj:change_me@localhost:5432/deep_oj?sslmode=disable' DATABASE_URL
worker.stream.stream_key 'deepoj:jobs' JOB_STREAM_KEY
worker.stream.group 'deepoj:workers' JOB_STREAM_GROUP
worker.stream.read_count 16 JOB_STREAM_READ_COUNT
worker.stream.block_ms 2000 JOB_STREAM_BLOCK_MS
worker.stream.lease_sec 60 JOB_LEASE_SEC
worker.stream.heartbeat_sec 10 JOB_HEARTBEAT_SEC
worker.stream.reclaim_interval_sec 5 JOB_RECLAIM_INTERVAL_SEC
worker.stream.reclaim_count 16 JOB_RECLAIM_COUNT
worker.stream.reclaim_grace_sec 15 JOB_RECLAIM_GRACE_SEC
worker.stream.log_throttle_sec 10 WORKER_LOG_THROTTLE_SEC
worker.stream.backpressure_sleep_ms 50 WORKER_BACKPRESSURE_SLEEP_MS
worker.minio.endpoint 'http://localhost:9000' MINIO_ENDPOINT
worker.minio.access_key 'change_me' MINIO_ACCESS_KEY
worker.minio.secret_key 'change_me' MINIO_SECRET_KEY
worker.minio.bucket 'deep-oj-problems' MINIO_BUCKET
worker.minio.secure False MINIO_SECURE
worker.keep_workdir False KEEP_WORKDIR
worker.timeouts.compile_ms 10000 COMPILE_TIMEOUT_MS
worker.timeouts.exec_buffer_ms 500 EXEC_TIMEOUT_BUFFER_MS
worker.timeouts.download_ms 60000 DOWNLOAD_TIMEOUT_MS
worker.timeouts.unzip_ms 30000 UNZIP_TIMEOUT_MS
worker.testcase_cache.max 100 TESTCASE_CACHE_MAX
worker.testcase_cache.ttl_sec 3600 TESTCASE_CACHE_TTL_SEC
worker.unzip_limits.max_bytes 268435456 UNZIP_MAX_BYTES
worker.unzip_limits.max_files 2000 UNZIP_MAX_FILES
worker.unzip_limits.max_file_bytes 67108864 UNZIP_MAX_FILE_BYTES
worker.result_ttl_sec 600 RESULT_TTL_SEC
worker.checker_timeout_ms 2000 CHECKER_TIMEOUT_MS
worker.cleanup_timeout_sec 5 CLEANUP_TIMEOUT_SEC
worker.require_cgroups_v2 False REQUIRE_CGROUPS_V2
worker.metrics.service_name 'deep-oj-worker' SERVICE_NAME
worker.metrics.instance_id '' INSTANCE_ID
worker.metrics_port 9092 WORKER_METRICS_PORT
worker.executor.stdout_limit_bytes 262144 JUDGE_STDOUT_LIMIT_BYTES
worker.executor.stderr_limit_bytes 1048576 JUDGE_STDERR_LIMIT_BYTES
worker.executor.run_output_limit_bytes 262144 RUN_OUTPUT_LIMIT_BYTES
redis.pool_size 10 REDIS_POOL_SIZE
redis.min_idle_conns 3 REDIS_MIN_IDLE_CONNS
redis.dial_timeout_ms 5000 REDIS_DIAL_TIMEOUT_MS
redis.read_timeout_ms 3000 REDIS_READ_TIMEOUT_MS
redis.write_timeout_ms 3000 REDIS_WRITE_TIMEOUT_MS
redis.password '' REDIS_PASSWORD
redis.tls_enabled False REDIS_TLS
redis.key_prefix 'deepoj' REDIS_KEY_PREFIX
redis.key_env '' REDIS_KEY_ENV
postgres.max_conns 10 PG_MAX_CONNS
postgres.min_conns 2 PG_MIN_CONNS
postgres.max_conn_lifetime_min 60 PG_MAX_CONN_LIFETIME_MIN
postgres.max_conn_idle_min 30 PG_MAX_CONN_IDLE_MIN
"""

#: keys whose default depends on the host or is written another way; tested by themselves below
BY_THEMSELVES = {
    "path.workspace_root": "WORKSPACE",
    "worker.workspace": "WORKSPACE",
    "worker.pool_size": "WORKER_POOL_SIZE",
    "worker.stream.consumer": "JOB_STREAM_CONSUMER",
    "api.redis_url": "REDIS_URL",
    "scheduler.redis_url": "REDIS_URL",
    "worker.redis_url": "REDIS_URL",
    # beyond the original
    "roles": "DEEPOJ_ROLES",
    "without_roles": None,
    "home": "DEEPOJ_HOME",
    "embedded": "DEEPOJ_EMBEDDED",
    "migrate_on_start": "MIGRATE_ON_START",
    "job_max_attempts": "JOB_MAX_ATTEMPTS",
    "compile.cache_max_mb": "DEEPOJ_COMPILE_CACHE_MAX_MB",
    "compile.precompiled_headers": "DEEPOJ_COMPILE_PRECOMPILED_HEADERS",
    "compile.lean_headers": "DEEPOJ_COMPILE_LEAN_HEADERS",
    "compile.archives_at_start": "DEEPOJ_COMPILE_ARCHIVES_AT_START",
    "worker.judge.borderline_percent": "JUDGE_BORDERLINE_PERCENT",
    "worker.judge.borderline_wait_ms": "JUDGE_BORDERLINE_WAIT_MS",
    "worker.run_slots": "WORKER_RUN_SLOTS",
    "worker.contest_slots": "WORKER_CONTEST_SLOTS",
    "worker.parallel_tests": "WORKER_PARALLEL_TESTS",
    "sandbox_min_isolation": "SANDBOX_MIN_ISOLATION",
    **{
        f"api.backpressure.{name}": f"API_BACKPRESSURE_{name}".upper()
        for name in (
            "enabled",
            "lag_high",
            "lag_low",
            "pending_high",
            "pending_low",
            "oldest_age_high_sec",
            "oldest_age_low_sec",
            "age_min_backlog",
            "snapshot_max_age_sec",
            "retry_after_sec",
        )
    },
    "api.host": "API_HOST",
    "api.auth.admin_registration": "ADMIN_REGISTRATION",
    "api.auth.oauth.github.base_url": "DEEPOJ_API_AUTH_OAUTH_GITHUB_BASE_URL",
    "api.auth.oauth.github.api_url": "DEEPOJ_API_AUTH_OAUTH_GITHUB_API_URL",
    "api.auth.oauth.github.timeout_sec": "DEEPOJ_API_AUTH_OAUTH_GITHUB_TIMEOUT_SEC",
}

SECRET = "0123456789abcdef0123456789abcdef"


def contract() -> list[tuple[str, object, str]]:
    rows = []
    for line in CONTRACT.strip().splitlines():
        key, rest = line.split(" ", 1)
        default, env = rest.rsplit(" ", 1)
        name = env if env != "-" else f"DEEPOJ_{key}".upper().replace(".", "_")
        rows.append((key, eval(default), name))
    return rows


def read(
    environ: Mapping[str, str] | None = None, flags: Mapping[str, object] | None = None, file: Path | None = None
) -> Config:
    return load(flags, environ or {}, file)


def refusal(environ: Mapping[str, str] | None = None, **more: object) -> str:
    with pytest.raises(ConfigError) as caught:
        read(environ, **more)  # type: ignore[arg-type]
    assert caught.value.exit_code == 2
    assert isinstance(caught.value, StartRefused)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith((".", "?"))
    return sentence


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    return path


# -- the table


@pytest.mark.parametrize(("key", "default", "env"), contract())
def test_a_key_has_the_contracts_default_and_environment_name(key: str, default: object, env: str) -> None:
    value = value_of(read(), key)
    assert (list(value) if isinstance(value, tuple) else value) == default
    assert leaves()[key].env == env


def test_no_key_is_missing_from_the_table_and_none_is_beyond_it() -> None:
    assert {key for key, _, _ in contract()} | set(BY_THEMSELVES) == set(leaves())
    for key, env in BY_THEMSELVES.items():
        assert leaves()[key].env == env


def sample_of(key: str) -> tuple[str, object]:
    """Another valid value for a key, as text and as typed."""
    special: dict[str, tuple[str, object]] = {
        "roles": ("worker", frozenset({Role.CONSUMER, Role.RECLAIM})),
        "home": ("/srv/elsewhere", Path("/srv/elsewhere")),
        "sandbox_min_isolation": ("weak", Isolation.WEAK),
        "api.auth.admin_registration": ("open", "open"),
        "api.web.cookie_secure": ("always", "always"),
        "api.auth.jwt_secret": (SECRET, SECRET),
        "api.webhooks.secret": (SECRET, SECRET),
        "api.webhooks.private_networks": ("10.1.0.0/16, ::1", ("10.1.0.0/16", "::1")),
        "worker.pool_size": ("1", 1),
        "runner.cgroup_cpu_max_cores": ("0.5", 0.5),
        "runner.cgroup_io_read_bps": ("1000", 1000),
        "runner.cgroup_io_write_bps": ("1000", 1000),
        "api.trusted_proxies": ("10.0.0.0/8, ::1", ("10.0.0.0/8", "::1")),
    }
    endings: dict[str, tuple[str, object]] = {
        "database_url": ("postgres://u@h:1/d", "postgres://u@h:1/d"),
        "redis_url": ("redis://h:1/2", "redis://h:1/2"),
        "endpoint": ("https://h:1", "https://h:1"),
        "workspace": ("/srv/w", "/srv/w"),
        "workspace_root": ("/srv/w", "/srv/w"),
    }
    chosen = special.get(key) or endings.get(key.rpartition(".")[2])
    return chosen or another_than(value_of(read(), key))


def another_than(default: object) -> tuple[str, object]:
    if isinstance(default, bool):
        return str(not default).lower(), not default
    if isinstance(default, tuple):
        return "one, two", ("one", "two")
    if isinstance(default, int | float):
        # The next smaller one stays inside every range and below every ceiling.
        smaller = default - 1 if default > 1 else default
        return f"{smaller:g}" if isinstance(default, float) else str(smaller), smaller
    return "another", "another"


@pytest.mark.parametrize("key", [key for key, leaf in leaves().items() if leaf.env])
def test_the_environment_reaches_its_key_and_a_flag_beats_it(key: str) -> None:
    text, value = sample_of(key)
    env = leaves()[key].env
    assert env is not None
    told = read({env: text})
    assert value_of(told, key) == value
    assert told.sources[key] == f"environment {env}" or told.sources[key].startswith("default (follows ")
    flagged = read({env: "nonsense"}, {other: text for other, leaf in leaves().items() if leaf.env == env})
    assert value_of(flagged, key) == value


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    file = write(tmp_path, "api: {port: 1, host: 0.0.0.0}\nworker: {id: w}\n")
    cfg = read({"PORT": "2", "API_HOST": "::1"}, {"api.port": 3, "api.host": None}, file)
    assert (cfg.api.port, cfg.api.host, cfg.worker.id, cfg.job_max_attempts) == (3, "::1", "w", 5)
    assert cfg.sources["api.port"] == "flag"
    assert cfg.sources["api.host"] == "environment API_HOST"
    assert cfg.sources["worker.id"] == f"{file}:worker.id"
    assert cfg.sources["job_max_attempts"] == "default"


# -- the file


def test_config_yaml_of_the_current_directory_is_read_and_app_config_beats_it(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("api: {port: 1}\n")
    assert read().api.port == 1
    other = tmp_path / "other.yaml"
    other.write_text("api: {port: 2}\n")
    assert read({"APP_CONFIG": str(other)}).api.port == 2
    assert read({"APP_CONFIG": ""}).api.port == 1


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    assert "nowhere.yaml cannot be read" in refusal({"APP_CONFIG": str(tmp_path / "nowhere.yaml")})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("api: {prot: 1}", r"no setting api\.prot \(.*settings\.yaml:api\.prot\)\. Did you mean port\?"),
        ("port: 1", r"no setting port .* Did you mean api\.port\?"),
        ("without_roles: [gc]", r"no setting without_roles"),
        ("sources: {}", r"no setting sources"),
        ("api: 3", r"api \(.*\) is a group of settings, not a value"),
        ("- a", r"must hold keys and values"),
        ("a: [", r"is not valid YAML"),
        ("api: {port: 1, port: 2}", r'the key "port" is given twice'),
        ("api: {port: yes}", r'api\.port is "True" \(.*:api\.port\); it must be a whole number from 0 to 65535'),
        ("api: {port: [1]}", r"api\.port is .* it must be a whole number"),
        ("path: {mount_dirs: [{a: 1}]}", r"path\.mount_dirs is .* it must be a list of texts"),
        ("? [a]\n: 1", r"is not valid YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(tmp_path: Path, text: str, sentence: str) -> None:
    assert re.search(sentence, refusal(file=write(tmp_path, text)))


def test_empty_groups_and_values_in_the_file_are_not_set(tmp_path: Path) -> None:
    cfg = read(file=write(tmp_path, "api:\nworker: {id: }\n"))
    assert cfg.worker.id == ""
    assert read(file=write(tmp_path, "")).api.port == 18080


def test_a_number_where_a_text_is_meant_is_taken_as_text(tmp_path: Path) -> None:
    assert read(file=write(tmp_path, "redis: {password: 12345}\n")).redis.password == "12345"


# -- the environment


def test_an_empty_variable_is_not_set() -> None:
    cfg = read({"PORT": "", "JWT_SECRET": "", "ADMIN_USERS": ""})
    assert cfg.api.port == 18080
    assert cfg.sources["api.port"] == "default"


def test_unrelated_variables_are_tolerated() -> None:
    assert read({"PATH": "/bin", "POSTGRES_PASSWORD": "x", "STREAM_KEY": "y"}).api.port == 18080
    assert read({"DEEPOJ_SANITIZE": "1", "DEEPOJ_TEST_ISOLATION": "full"}).api.port == 18080


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("DEEPOJ_HOEM", "Did you mean DEEPOJ_HOME?"),
        ("DEEPOJ_API_PORT", "api.port is set by PORT."),
        ("DEEPOJ_XYZZY_QUUX", "DEEPOJ_XYZZY_QUUX."),
    ],
)
def test_an_unknown_variable_of_ours_is_refused(name: str, hint: str) -> None:
    assert hint in refusal({name: "1"})


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"PORT": "eighty"}, 'api.port is "eighty" (environment PORT); it must be a whole number from 0 to 65535.'),
        ({"PORT": "65536"}, 'api.port is "65536" (environment PORT); it must be a whole number from 0 to 65535.'),
        (
            {"OUTBOX_ENABLED": "perhaps"},
            'api.outbox.enabled is "perhaps" (environment OUTBOX_ENABLED); it must be true or false.',
        ),
        (
            {"SANDBOX_MIN_ISOLATION": "ful"},
            'sandbox_min_isolation is "ful" (environment SANDBOX_MIN_ISOLATION); it must be one of weak, namespaces, '
            "full.",
        ),
        (
            {"ADMIN_REGISTRATION": "ajar"},
            'api.auth.admin_registration is "ajar" (environment ADMIN_REGISTRATION); it must be one of open, closed.',
        ),
        (
            {"JOB_LEASE_SEC": "nan"},
            'worker.stream.lease_sec is "nan" (environment JOB_LEASE_SEC); it must be a number from 0.05 to 86400.',
        ),
        (
            {"DEEPOJ_ROLES": "apo"},
            'roles (environment DEEPOJ_ROLES): "apo" is not a role; the roles are api, dispatcher, consumer, reclaim, '
            "repair, gc, worker, scheduler, all.",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_name_source_value_and_range(environ: dict[str, str], sentence: str) -> None:
    assert refusal(environ) == sentence


def test_an_unknown_flag_key_is_refused() -> None:
    assert "api.prot" in refusal(flags={"api.prot": 1})


@given(st.sampled_from(sorted(leaf.env for leaf in leaves().values() if leaf.env)), st.text(min_size=1, max_size=30))
def test_any_text_in_any_variable_is_taken_or_refused_in_one_line(name: str, text: str) -> None:
    try:
        cfg = load({}, {name: text})
    except ConfigError as error:
        assert name in str(error) or "home" in str(error)
    else:
        assert effective(cfg)


# -- secrets


@pytest.mark.parametrize("environ", [{"MINIO_SECRET_KEY": "hunter2-hunter2"}, {"METRICS_TOKEN": "hunter2-hunter2"}])
def test_secrets_are_masked_wherever_settings_are_shown(environ: dict[str, str]) -> None:
    cfg = read({**environ, "JWT_SECRET": "hunter2-hunter2-hunter2", "REDIS_PASSWORD": "hunter2",
                "DATABASE_URL": "postgres://u:hunter2@h/d?password=hunter2"})  # fmt: skip
    for shown in (repr(effective(cfg)), repr(cfg), str(cfg), f"{cfg}", repr(cfg.minio)):
        assert "hunter2" not in shown
    by_key = {item.key: item.value for item in effective(cfg)}
    assert by_key["api.auth.jwt_secret"] == "********"
    assert by_key["api.database_url"] == "postgres://u:********@h/d?password=********"
    assert by_key["api.redis_url"] == "redis://:********@localhost:6379"
    assert by_key["api.auth.oauth.github.client_secret"] == ""


def test_a_wrong_secret_or_address_does_not_show_its_password() -> None:
    assert "hunter2" not in refusal({"JWT_SECRET": "hunter2"})
    assert "hunter2" not in refusal({"DATABASE_URL": "mysql://u:hunter2@h/d"})
    assert "hunter2" not in refusal({"REDIS_URL": "http://u:hunter2@h/d"})
    assert "hunter2" not in refusal({"DATABASE_URL": "postgres://u:hunter2@h:port/d"})
    assert mask("api.redis_url", "redis://[:hunter2@") == "********"


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:hun/ter2@h:5432/d",  # reads as the host u with a port that is none
        "postgres://u:123/ter2@h/d",  # as the host u at port 123, and would be asked for there
        "postgres://u:123#ter2@h/d",
        "postgres://u:ter2",
    ],
)
def test_a_password_that_was_not_quoted_is_refused_and_not_shown(url: str) -> None:
    said = refusal({"DATABASE_URL": url})
    assert "ter2" not in said and "123" not in said
    assert "@" not in url or "%2F" in said
    assert "ter2" not in str(mask("api.database_url", url))
    assert "ter2" not in str(mask("api.database_url", url.replace("/ter2", "?ter2")))


def test_a_short_jwt_secret_is_refused_and_an_example_warned_about() -> None:
    assert "needs at least 16" in refusal({"JWT_SECRET": "short"})
    assert "needs at least 16" in refusal({"WEBHOOKS_SECRET": "short"})
    assert "not a network" in refusal({"WEBHOOKS_PRIVATE_NETWORKS": "10.0.0.0/8, here"})
    assert "not a network" in refusal({"WEBHOOKS_PRIVATE_NETWORKS": "10.1.2.3/8"})
    example = read({"JWT_SECRET": "deepoj_dev_jwt_secret_change_me"})
    assert any("example" in warning for warning in example.warnings)
    assert not read({"JWT_SECRET": SECRET}).warnings


@pytest.mark.parametrize("roles", ["all", "api"])
def test_an_api_needs_a_jwt_secret_to_start_unless_embedded(roles: str) -> None:
    with pytest.raises(ConfigError, match="JWT_SECRET"):
        require_startable(read({"DEEPOJ_ROLES": roles}))
    require_startable(read({"DEEPOJ_ROLES": roles, "JWT_SECRET": SECRET}))
    require_startable(read({"DEEPOJ_ROLES": roles, "DEEPOJ_EMBEDDED": "true"}))
    require_startable(read({"DEEPOJ_ROLES": "worker,scheduler"}))


def test_embedded_node_trusts_no_proxy_unless_told() -> None:
    assert read().api.trusted_proxies == ("127.0.0.1",)
    assert read({"DEEPOJ_EMBEDDED": "true"}).api.trusted_proxies == ()
    assert read({"DEEPOJ_EMBEDDED": "true", "TRUSTED_PROXIES": "127.0.0.1"}).api.trusted_proxies == ("127.0.0.1",)


def test_embedded_node_takes_submissions_of_a_class_behind_one_address() -> None:
    def ip_limit(**told: str) -> int:
        return read(told).api.limits.submit_rate_limit.ip_limit

    assert ip_limit() == 60
    assert ip_limit(DEEPOJ_EMBEDDED="true") == 1200
    assert ip_limit(DEEPOJ_EMBEDDED="true", SUBMIT_RATE_LIMIT_IP_PER_WINDOW="60") == 60
    assert ip_limit(DEEPOJ_EMBEDDED="true", RATE_LIMIT_IP_PER_WINDOW="90") == 90


def test_parts_of_the_connections_follow_their_number() -> None:
    api = read({"API_MAX_CONNECTIONS": "5000"}).api
    assert (api.max_connections_per_address, api.live.max_streams, api.live.max_streams_per_address) == (
        3750,
        3000,
        2000,
    )
    told = read({"API_MAX_CONNECTIONS": "5000", "API_LIVE_MAX_STREAMS": "10"}).api
    assert (told.live.max_streams, told.max_connections_per_address) == (10, 3750)
    assert "9 in 10" in refusal({"API_MAX_CONNECTIONS": "600", "API_LIVE_MAX_STREAMS": "600"})


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read().api.port = 1


def test_the_example_file_names_every_key_and_changes_nothing() -> None:
    example = Path(__file__).parents[2] / "config.example.yaml"
    told, plain = read(file=example), read()
    assert {key: value_of(told, key) for key in leaves()} == {key: value_of(plain, key) for key in leaves()}
    text = example.read_text()
    for key, leaf in leaves().items():
        if leaf.env:
            assert re.search(rf"^[ #]*{key.rpartition('.')[2]}:.* # {leaf.env}; ", text, re.MULTILINE), key


def test_the_example_file_marks_what_has_no_effect_yet() -> None:
    marked = [
        (match[1], match[2])
        for line in (Path(__file__).parents[2] / "config.example.yaml").read_text().splitlines()
        if line.endswith("; no effect yet") and (match := re.match(r"[ #]*([a-z_]+):.* # (\w+); ", line))
    ]
    assert sorted(marked) == sorted((key.rpartition(".")[2], str(leaves()[key].env)) for key in NO_EFFECT_YET)


# -- the reference


@pytest.mark.parametrize("key", leaves())
def test_every_setting_has_one_sentence(key: str) -> None:
    sentence = leaves()[key].info.description or ""
    assert re.fullmatch(r"[A-Z].{10,160}\.", sentence), f"deepoj/config/: {key} wants doc='One sentence.'"


def test_the_reference_is_up_to_date() -> None:
    kept = (Path(__file__).parents[2] / "deploy" / "configuration.md").read_text()
    assert kept == reference.markdown(), "deepoj config reference > deploy/configuration.md"


def test_the_reference_tells_every_setting_and_nothing_of_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {str(row["key"]): row for row in reference.as_json()}
    assert list(told) == list(leaves())
    assert set(reference.FOLLOWS) <= set(leaves())
    by_default = read()
    for key, row in told.items():
        assert row["environment"] == leaves()[key].env
        source = by_default.sources[key]
        if source == "default" and key not in reference.FOLLOWS and key not in BY_THEMSELVES:
            value = value_of(by_default, key)
            assert row["default"] == (list(value) if isinstance(value, tuple) else value), key
    assert (
        told["roles"]["allowed"] == "a list of api, dispatcher, consumer, reclaim, repair, gc, worker, scheduler, all"
    )
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("JWT_SECRET", SECRET)
    assert {str(row["key"]): row for row in reference.as_json()} == told
    assert sorted(key for key, row in told.items() if not row["effect"]) == sorted(NO_EFFECT_YET)
