"""The group ``api.limits``: sizes, rates, and bounds of problems, submissions and custom runs."""

from __future__ import annotations

from deepoj.config.fields import DAY_MS, DAY_SEC, GIB, Section, key, section, whole


class RateLimitSection(Section):
    """Maximum requests per window; 0 is no limit, and costs nothing."""

    ip_limit: int = whole(60, "RATE_LIMIT_IP_PER_WINDOW", ge=0, doc="Requests from one address in a window.")
    user_limit: int = whole(120, "RATE_LIMIT_USER_PER_WINDOW", ge=0, doc="Requests of one user in a window.")
    window_sec: float = key(60, "RATE_LIMIT_WINDOW_SEC", ge=0.1, le=DAY_SEC, doc="Seconds of the window.")


class AuthRateLimitSection(Section):
    ip_limit: int = whole(
        60,
        "AUTH_RATE_LIMIT_IP_PER_WINDOW",
        ge=0,
        doc="Logins and registrations from one address in a window.",
    )
    user_limit: int = whole(
        120,
        "AUTH_RATE_LIMIT_USER_PER_WINDOW",
        ge=0,
        doc="Logins and registrations of one name in a window.",
    )
    window_sec: float = key(
        60,
        "AUTH_RATE_LIMIT_WINDOW_SEC",
        ge=0.1,
        le=DAY_SEC,
        doc="Seconds of the window for logins and registrations.",
    )


class SubmitRateLimitSection(Section):
    ip_limit: int = whole(
        60,
        "SUBMIT_RATE_LIMIT_IP_PER_WINDOW",
        ge=0,
        doc="Submissions from one address in a window; raise it for a class behind one address. Embedded: 1200.",
    )
    user_limit: int = whole(120, "SUBMIT_RATE_LIMIT_USER_PER_WINDOW", ge=0, doc="Submissions of one user in a window.")
    window_sec: float = key(
        60,
        "SUBMIT_RATE_LIMIT_WINDOW_SEC",
        ge=0.1,
        le=DAY_SEC,
        doc="Seconds of the window for submissions.",
    )


class ProblemDefaults(Section):
    time_limit_ms: int = whole(
        1000,
        "PROBLEM_DEFAULT_TIME_LIMIT_MS",
        le=DAY_MS,
        doc="CPU milliseconds per test, for problems without a limit in package and upload.",
    )
    memory_limit_mb: int = whole(
        128,
        "PROBLEM_DEFAULT_MEMORY_LIMIT_MB",
        le=1024 * 1024,
        doc="MB of memory, for problems without a limit in package and upload.",
    )


class LimitSection(Section):
    submit_body_max_bytes: int = whole(
        1_048_576,
        "SUBMIT_BODY_MAX_BYTES",
        doc="Maximum bytes of the body of a submission.",
    )
    problem_zip_max_bytes: int = whole(
        52_428_800,
        "PROBLEM_ZIP_MAX_BYTES",
        le=64 * GIB,
        doc="Maximum bytes of an uploaded package; raise it for problems with large tests.",
    )
    submit_code_max_bytes: int = whole(
        65_536,
        "SUBMIT_CODE_MAX_BYTES",
        doc="Maximum bytes of the source of a submission.",
    )
    default_time_limit_ms: int = whole(
        1000,
        "SUBMIT_DEFAULT_TIME_LIMIT_MS",
        le=DAY_MS,
        doc="CPU limit of `deepoj judge` without -t, in milliseconds.",
    )
    max_time_limit_ms: int = whole(
        10_000,
        "SUBMIT_MAX_TIME_LIMIT_MS",
        le=DAY_MS,
        doc="Maximum CPU limit of a problem, in milliseconds.",
    )
    default_memory_limit_kb: int = whole(
        65_536,
        "SUBMIT_DEFAULT_MEMORY_LIMIT_KB",
        le=2**40,
        doc="Memory limit of `deepoj judge` without -m, in KB.",
    )
    #: problems' limits are whole megabytes: less than 1024 KB would allow no limit at all
    max_memory_limit_kb: int = whole(
        524_288,
        "SUBMIT_MAX_MEMORY_LIMIT_KB",
        ge=1024,
        le=2**40,
        doc="Maximum memory limit of a problem, in KB.",
    )
    inflight_ttl_sec: float = key(
        600,
        "SUBMIT_INFLIGHT_TTL_SEC",
        ge=0,
        le=30 * DAY_SEC,
        doc="Seconds during which resubmitting the same unfinished program returns the same submission; 0: never.",
    )
    rate_limit: RateLimitSection = section(RateLimitSection)
    auth_rate_limit: AuthRateLimitSection = section(AuthRateLimitSection)
    submit_rate_limit: SubmitRateLimitSection = section(SubmitRateLimitSection)
    #: 0 in the sources means 5000 with ``redis.key_env`` dev, else 500; here it is already decided
    submit_max_inflight: int = whole(
        500,
        "SUBMIT_MAX_INFLIGHT",
        ge=0,
        doc="Maximum unfinished submissions of all users; more are answered 429, except a user's first one, up to "
        "twice as many. 0: 5000 with redis.key_env dev, else 500.",
    )
    submit_max_inflight_per_user: int = whole(
        20,
        "SUBMIT_MAX_INFLIGHT_PER_USER",
        doc="Maximum unfinished submissions of one user, without rejudges; more are answered 429.",
    )
    submit_max_batch_per_user: int = whole(
        20_000,
        "SUBMIT_MAX_BATCH_PER_USER",
        le=1_000_000,
        doc="Maximum unfinished submissions of one user's batches; lines beyond it are refused. They count towards no "
        "other maximum of unfinished submissions.",
    )
    batch_body_max_bytes: int = whole(
        268_435_456,
        "BATCH_BODY_MAX_BYTES",
        le=64 * GIB,
        doc="Maximum bytes of the body of a batch of submissions, which is read line by line; a line may be as long as "
        "the body of a single submission.",
    )
    run_enabled: bool = key(
        True,
        "RUN_ENABLED",
        doc="Whether custom runs are accepted; off, no run can search a host for traces of judged programs.",
    )
    run_max_inflight: int = whole(2, "RUN_MAX_INFLIGHT", le=1000, doc="Maximum unfinished custom runs of one user.")
    run_stdin_max_bytes: int = whole(
        262_144, "RUN_STDIN_MAX_BYTES", ge=0, doc="Maximum bytes of a custom run's input, in UTF-8."
    )
    run_kept_max_bytes: int = whole(
        8_388_608,
        "RUN_KEPT_MAX_BYTES",
        ge=0,
        le=GIB,
        doc="Bytes kept of one user's custom runs (program, input, output); the oldest are removed to make room.",
    )
    run_max_wait_sec: float = key(
        120,
        "RUN_MAX_WAIT_SEC",
        ge=1,
        le=DAY_SEC,
        doc="Seconds a custom run waits for a node before it is given up.",
    )
    verify_max_running_per_setter: int = whole(
        3,
        "VERIFY_MAX_RUNNING_PER_SETTER",
        doc="Maximum running verifications of one setter's problems, and of previews of rejudges (429); the jury and "
        "administrators have no limit.",
    )
    problem_defaults: ProblemDefaults = section(ProblemDefaults)
