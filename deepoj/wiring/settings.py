"""Convert the operator's settings into the settings of each part; pure, in the parts' own units."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from deepoj import observe
from deepoj.adapters.sandbox.rates import Rates
from deepoj.api.redact import HiddenSteps
from deepoj.api.settings import ApiSettings, RateLimit, RunRules
from deepoj.capacity.backpressure import BackpressureSettings, Threshold
from deepoj.config.model import Config
from deepoj.config.roles import Role
from deepoj.judging.exec_rules import MIB, JudgeSettings
from deepoj.judging.languages import Toolchain
from deepoj.packages.formats import UnzipLimits
from deepoj.packages.publish import ProblemRules
from deepoj.pipeline.claim import LeaseSettings
from deepoj.pipeline.outbox import OutboxSettings
from deepoj.pipeline.reclaim import ReclaimSettings
from deepoj.pipeline.repair import RepairSettings
from deepoj.pipeline.retention import RetentionSettings
from deepoj.playground.lease import RunKeeping, RunLeasing
from deepoj.webhooks.callback_urls import CallbackRules
from deepoj.webhooks.delivery import HookSettings
from deepoj.words.sessions import SessionLimits


def metrics_of(cfg: Config) -> observe.Metrics:
    """Return the process's metrics, with a service name per role."""

    def identity(service: str, instance: str) -> observe.Identity:
        return observe.Identity(cfg.observability.service_name or service, instance or cfg.instance_id)

    api, scheduler, worker = cfg.api.metrics, cfg.scheduler.metrics, cfg.worker.metrics
    return observe.Metrics(
        api=identity(api.service_name, api.instance_id),
        scheduler=identity(scheduler.service_name, scheduler.instance_id),
        worker=identity(worker.service_name, worker.instance_id),
    )


def toolchain(cfg: Config) -> Toolchain:
    return Toolchain(
        gxx=cfg.path.compiler_bin,
        max_errors=cfg.compile.max_errors,
        lean_headers=cfg.compile.lean_headers and cfg.compile.precompiled_headers,
    )


def toolchain_dir(cfg: Config) -> Path:
    """Return the directory of the toolchain archives."""
    return cfg.workspace / "kits"


def headers_dir(cfg: Config) -> Path | None:
    """Return the directory of precompiled headers; None: they are disabled."""
    return cfg.workspace / "headers" if cfg.compile.precompiled_headers else None


def judging(cfg: Config) -> JudgeSettings:
    return JudgeSettings(
        toolchain=toolchain(cfg),
        compile_cpu_ms=min(round(cfg.compile.cpu_limit_s * 1000), cfg.worker.timeouts.compile_ms),
        compile_wall_ms=round(cfg.compile.real_time_limit_s * 1000),
        compile_memory_bytes=cfg.compile.memory_limit_mb * MIB,
        compile_scratch_bytes=cfg.compile.tmpfs_size_mb * MIB,
        compile_output_bytes=cfg.compile.log_max_size_mb * MIB,
        run_output_bytes=cfg.runner.max_output_size,
        run_scratch_bytes=cfg.runner.tmpfs_size_mb * MIB,
        run_processes=cfg.runner.cgroup_pids_limit,
        check_cpu_ms=cfg.worker.checker_timeout_ms,
        stdout_limit_bytes=cfg.worker.executor.stdout_limit_bytes,
        stderr_limit_bytes=cfg.worker.executor.stderr_limit_bytes,
        custom_output_bytes=cfg.worker.executor.run_output_limit_bytes,
        borderline_percent=cfg.worker.judge.borderline_percent,
        borderline_wait_ms=cfg.worker.judge.borderline_wait_ms,
        keep_workdir=cfg.worker.keep_workdir,
    )


def rates(cfg: Config) -> Rates:
    section = cfg.runner
    return Rates(
        cpu_cores=section.cgroup_cpu_max_cores,
        read_bps=section.cgroup_io_read_bps,
        write_bps=section.cgroup_io_write_bps,
        workspace=cfg.workspace,
    )


def unzipping(cfg: Config) -> UnzipLimits:
    section = cfg.worker.unzip_limits
    return UnzipLimits(section.max_bytes, section.max_files, section.max_file_bytes)


def problem_rules(cfg: Config) -> ProblemRules:
    limits = cfg.api.limits
    return ProblemRules(
        unzip=unzipping(cfg),
        default_time_limit_ms=limits.problem_defaults.time_limit_ms,
        max_time_limit_ms=limits.max_time_limit_ms,
        default_memory_limit_mb=limits.problem_defaults.memory_limit_mb,
        max_memory_limit_mb=limits.max_memory_limit_kb // 1024,
    )


def leasing(cfg: Config, languages: Collection[str]) -> LeaseSettings:
    """Return the settings of claiming. ``languages``: the node's, filled while it prepares."""
    return LeaseSettings(cfg.consumer, cfg.worker.stream.lease_sec, cfg.job_max_attempts, languages)


def dispatching(cfg: Config) -> OutboxSettings:
    section = cfg.api.outbox
    return OutboxSettings(section.dispatch_batch_size, section.retry_base_ms / 1000, section.retry_max_ms / 1000)


def reclaiming(cfg: Config) -> ReclaimSettings:
    section = cfg.worker.stream
    return ReclaimSettings(round((section.lease_sec + section.reclaim_grace_sec) * 1000), section.reclaim_count)


def pressing(cfg: Config) -> BackpressureSettings | None:
    """Return when the API refuses submissions; None: never."""
    section = cfg.api.backpressure
    if not section.enabled:
        return None
    return BackpressureSettings(
        lag=Threshold(section.lag_high, section.lag_low),
        pending=Threshold(section.pending_high, section.pending_low),
        oldest_age_s=Threshold(section.oldest_age_high_sec, section.oldest_age_low_sec),
        age_min_backlog=section.age_min_backlog,
        max_age_s=section.snapshot_max_age_sec,
        retry_after_s=section.retry_after_sec,
    )


def repairing(cfg: Config) -> RepairSettings:
    section = cfg.scheduler.control_plane
    return RepairSettings(section.repair_min_age_sec, section.repair_batch_size, cfg.stream_key)


def retaining(cfg: Config) -> RetentionSettings:
    section = cfg.scheduler.control_plane
    return RetentionSettings(
        section.db_retention_days * 86_400, section.db_delete_batch_size, section.db_delete_enabled
    )


def run_leasing(cfg: Config, languages: Collection[str]) -> RunLeasing:
    """``languages``: as for ``leasing``."""
    return RunLeasing(cfg.consumer, cfg.worker.stream.lease_sec, languages)


def run_keeping(cfg: Config) -> RunKeeping:
    return RunKeeping(cfg.api.limits.run_max_wait_sec, cfg.worker.result_ttl_sec)


def run_rules(cfg: Config) -> RunRules:
    limits = cfg.api.limits
    return RunRules(
        is_enabled=limits.run_enabled,
        default_time_limit_ms=limits.default_time_limit_ms,
        max_time_limit_ms=limits.max_time_limit_ms,
        default_memory_limit_kb=limits.default_memory_limit_kb,
        max_memory_limit_kb=limits.max_memory_limit_kb,
        stdin_max_bytes=limits.run_stdin_max_bytes,
        max_inflight=limits.run_max_inflight,
        keep_s=cfg.worker.result_ttl_sec,
    )


CALLBACKS_WAIT = "webhooks wait, because there is no secret to sign them with: set api.webhooks.secret"


def callbacks(cfg: Config, secret: str) -> CallbackRules:
    """Return the rules for callback URLs. Without a secret to sign with, callbacks are disabled."""
    section = cfg.api.webhooks
    return CallbackRules.of(
        enabled=section.enabled and bool(secret),
        hosts=section.allowed_hosts,
        networks=section.private_networks,
    )


def calls_nobody_back(cfg: Config, secret: str) -> bool:
    """Whether this node would send webhooks, but lacks the secret: they wait for another node."""
    return Role.DISPATCHER in cfg.roles and cfg.api.webhooks.enabled and not secret


def calling_back(cfg: Config, secret: str) -> HookSettings:
    section = cfg.api.webhooks
    return HookSettings(
        secret=secret.encode(),
        rules=callbacks(cfg, secret),
        timeout_s=section.timeout_sec,
        retry_base_s=section.retry_base_ms / 1000,
        retry_max_s=section.retry_max_ms / 1000,
        give_up_s=section.give_up_sec,
    )


def hidden_steps(cfg: Config) -> HiddenSteps:
    section = cfg.api.hidden_tests
    return HiddenSteps(time_ms=section.time_step_ms, memory_kb=section.memory_step_kb)


def session_limits(cfg: Config) -> SessionLimits:
    section = cfg.api.web
    return SessionLimits(idle_s=section.session_idle_hours * 3600, max_age_s=section.session_max_hours * 3600)


def serving(cfg: Config, jwt_secret: str, webhook_secret: str, metrics_token: str) -> ApiSettings:
    """Return the API's settings. The secrets are the operator's, or those that an embedded home made for itself."""
    section, limits, timeouts = cfg.api, cfg.api.limits, cfg.api.timeouts
    auth, submit, rate = limits.auth_rate_limit, limits.submit_rate_limit, limits.rate_limit
    return ApiSettings(
        jwt_secret=jwt_secret,
        jwt_expire_s=section.auth.jwt_expire_hours * 3600,
        admin_users=frozenset(section.auth.admin_users),
        admin_registration_open=section.auth.admin_registration == "open",
        oauth_state_ttl_s=section.auth.oauth_state_ttl_sec,
        github_redirect_url=section.auth.oauth.github.redirect_url,
        metrics_token=metrics_token,
        trusted_proxies=section.trusted_proxies,
        cors_allowed_origins=frozenset(section.cors_allowed_origins),
        submit_body_max_bytes=limits.submit_body_max_bytes,
        submit_code_max_bytes=limits.submit_code_max_bytes,
        problem_zip_max_bytes=limits.problem_zip_max_bytes,
        auth_rate=RateLimit(ip_limit=auth.ip_limit, user_limit=auth.user_limit, window_s=auth.window_sec),
        submit_rate=RateLimit(ip_limit=submit.ip_limit, user_limit=submit.user_limit, window_s=submit.window_sec),
        rate=RateLimit(ip_limit=rate.ip_limit, user_limit=rate.user_limit, window_s=rate.window_sec),
        problems=problem_rules(cfg),
        background_per_setter=limits.verify_max_running_per_setter,
        upload_dir=cfg.workspace / "uploads",
        inflight_cap=limits.submit_max_inflight,
        user_inflight_cap=limits.submit_max_inflight_per_user,
        user_batch_quota=limits.submit_max_batch_per_user,
        batch_body_max_bytes=limits.batch_body_max_bytes,
        inflight_ttl_s=limits.inflight_ttl_sec,
        stream_key=cfg.stream_key,
        hidden_steps=hidden_steps(cfg),
        has_pages=section.web.enabled,
        sessions=session_limits(cfg),
        always_encrypted=section.web.cookie_secure == "always",
        runs=run_rules(cfg),
        callbacks=callbacks(cfg, webhook_secret),
        webhook_secret=webhook_secret.encode(),
        read_header_timeout_s=timeouts.read_header_sec,
        read_timeout_s=timeouts.read_sec,
        write_timeout_s=timeouts.write_sec,
        idle_timeout_s=timeouts.idle_sec,
        shutdown_timeout_s=section.shutdown_timeout_sec,
        max_connections=section.max_connections,
        max_connections_per_address=section.max_connections_per_address,
        unsent_max_bytes=section.unsent_max_bytes,
        max_streams=section.live.max_streams,
        max_streams_per_user=section.live.max_streams_per_user,
        max_streams_per_address=section.live.max_streams_per_address,
    )
