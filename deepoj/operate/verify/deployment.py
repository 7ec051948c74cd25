"""A running deployment: its HTTP API, its metrics, its Redis and its database, for the checks."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import trio
from prometheus_client.parser import text_string_to_metric_families

from deepoj import sample
from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgStore
from deepoj.adapters.redis.look import RedisLook
from deepoj.config.model import Config
from deepoj.wiring.targets import database_url, metrics_headers, reachable, redis_target
from deepoj.words.exits import CheckFailed

POLL_S = 0.1
#: timeout of operations that take milliseconds on an idle machine
WITHIN_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The addresses of a deployment, and the options of the checks."""

    cfg: Config
    tree: Path
    api_metrics: str
    scheduler_metrics: str
    worker_metrics: str
    problem_id: int | None
    token: str | None
    within_s: float | None


def deployment_of(
    cfg: Config,
    *,
    api_metrics: str | None,
    scheduler_metrics: str | None,
    worker_metrics: str | None,
    problem_id: int | None,
    token: str | None,
    within_s: float | None,
    tree: Path,
) -> Deployment:
    """Return the deployment of the settings. Values that are not None override them."""
    api = api_of(cfg)
    return Deployment(
        cfg=cfg,
        tree=tree,
        api_metrics=api_metrics or f"{api}/metrics",
        scheduler_metrics=scheduler_metrics or f"http://127.0.0.1:{cfg.scheduler.metrics_port}/metrics",
        worker_metrics=worker_metrics or f"http://127.0.0.1:{cfg.worker.metrics_port}/metrics",
        problem_id=problem_id,
        token=token,
        within_s=within_s,
    )


def api_of(cfg: Config) -> str:
    """Return the URL of the API of these settings."""
    return reachable(_recorded_api(cfg.home) or f"http://127.0.0.1:{cfg.api.port}")


def _recorded_api(home: Path) -> str | None:
    """Return the URL of the API that the node of this home has recorded; None if there is none."""
    try:
        url: str | None = json.loads((home / "node.json").read_text())["api"]
    except (OSError, ValueError, KeyError):
        return None
    return url


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A deployment with clients of its parts, which connect on first use."""

    deployment: Deployment
    http: httpx.AsyncClient
    redis: RedisLook
    store: PgStore

    @property
    def api(self) -> str:
        return self.deployment.api_metrics.removesuffix("/metrics")

    async def metrics(self, url: str) -> Mapping[str, float]:
        """Return each metric's sum over its labels, by its declared name, also of metrics that never changed."""
        answer = await self.http.get(url, headers=metrics_headers(self.deployment.cfg))
        if not answer.is_success:
            raise CheckFailed(f"{url} answers {answer.status_code}: {answer.text[:200].strip()}")
        sums = {}
        for family in text_string_to_metric_families(answer.text):
            is_counter = family.type == "counter" and not family.name.endswith("_total")
            name = f"{family.name}_total" if is_counter else family.name
            sums[name] = sum(sample.value for sample in family.samples)
        return sums

    async def submitted(self) -> str:
        """Submit a program to the chosen problem, and return its job id."""
        token = self.deployment.token or await self._new_account()
        body = {
            "problem_id": self.deployment.problem_id,
            "language": sample.LANGUAGE,
            # unique, because an identical unfinished submission would be returned instead
            "code": f"{sample.accepted_source()}\n// {secrets.token_hex(8)}\n",
        }
        answer = await self._post("/api/v1/submit", body, token)
        job_id: str = answer["job_id"]
        return job_id

    async def _new_account(self) -> str:
        account = {"username": f"verify-{secrets.token_hex(6)}", "password": secrets.token_urlsafe(16)}
        await self._post("/api/v1/auth/register", account)
        return str((await self._post("/api/v1/auth/login", account))["token"])

    async def _post(self, path: str, body: Mapping[str, object], token: str = "") -> Mapping[str, str]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = await self.http.post(f"{self.api}{path}", json=body, headers=headers)
        if not answer.is_success:
            raise CheckFailed(f"{self.api}{path} answers {answer.status_code}: {answer.text[:200].strip()}")
        fields: Mapping[str, str] = answer.json()
        return fields

    async def until[T](self, ask: Callable[[], Awaitable[T | None]], fault: str, within_s: float = WITHIN_S) -> T:
        """Call ``ask`` until it returns something. Raises CheckFailed(``fault``) after the timeout."""
        within_s = within_s if self.deployment.within_s is None else self.deployment.within_s
        with trio.move_on_after(within_s):
            while True:
                answer = await ask()
                if answer is not None:
                    return answer
                await trio.sleep(POLL_S)
        raise CheckFailed(f"{fault} within {within_s:g} s")


@asynccontextmanager
async def open_deployment(deployment: Deployment) -> AsyncIterator[Running]:
    """Context of a deployment with clients of its parts, which connect on first use."""
    cfg = deployment.cfg
    url, password, tls = redis_target(cfg)
    async with (
        httpx.AsyncClient(timeout=30, trust_env=False) as http,
        AioBridge.open() as bridge,
        PgStore.open(bridge, database_url(cfg), min_conns=0, max_conns=1) as store,
        RedisLook.open(bridge, url, password=password, tls=tls) as redis,
    ):
        yield Running(deployment=deployment, http=http, redis=redis, store=store)
