"""Choose the sandbox in which a node compiles the programs of packages and renders their statements: the one that it
judges in, or, on a node that does not judge, one of its own, which exists only while it is needed. Either has at least
``SANDBOX_MIN_ISOLATION``; without that no package is compiled."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from deepoj import observe
from deepoj.config.model import Config
from deepoj.execution.compiling import Compiler
from deepoj.execution.toolchain_cache import ToolchainCache
from deepoj.packages.statements.publisher import StatementPublisher
from deepoj.packages.vetting import Bench, Vetting
from deepoj.ports.statements import StatementStore
from deepoj.wiring import settings
from deepoj.words.errors import BoxBroken, StartRefused

#: subdirectory of the workspace
ROOMS = "vetting"
#: share of a node's slots, as a divisor, in which programs of packages may be compiled
_SHARE = 4


def vetting_of(
    cfg: Config, versions: Mapping[str, str], metrics: observe.Metrics, *, compiler: Compiler | None, workdir: Path
) -> Vetting:
    """``compiler``: that of the sandbox in which the node judges, if it does. It waits for a slot as every run does."""
    return Vetting(
        bench=_own_box(cfg, metrics) if compiler is None else _of(compiler),
        workdir=workdir,
        unzip=settings.unzipping(cfg),
        settings=settings.judging(cfg),
        versions=versions,
        at_once=1 if compiler is None else max(1, cfg.worker.pool_size // _SHARE),
    )


def publisher_of(
    cfg: Config, statements: StatementStore, metrics: observe.Metrics, *, compiler: Compiler | None, workdir: Path
) -> StatementPublisher:
    """``compiler``: as in ``vetting_of``; statements are rendered in its sandbox."""
    return StatementPublisher(
        statements=statements,
        bench=_own_box(cfg, metrics) if compiler is None else _of(compiler),
        workdir=workdir,
        unzip=settings.unzipping(cfg),
        metrics=metrics,
    )


def _of(compiler: Compiler) -> Bench:
    @asynccontextmanager
    async def bench() -> AsyncIterator[Compiler | str]:
        yield compiler

    return bench


def _own_box(cfg: Config, metrics: observe.Metrics) -> Bench:
    options = settings.judging(cfg)

    @asynccontextmanager
    async def bench() -> AsyncIterator[Compiler | str]:
        from deepoj.adapters.sandbox.box import LinuxBox  # noqa: PLC0415 - only a node that compiles needs the extension

        async with AsyncExitStack() as stack:
            try:
                box = await stack.enter_async_context(
                    LinuxBox.open(
                        1,
                        run_uid=cfg.security.run_as_uid,
                        run_gid=cfg.security.run_as_gid,
                        min_isolation=cfg.sandbox_min_isolation,
                        mounts=cfg.path.mount_dirs,
                    )
                )
            except (StartRefused, BoxBroken) as refused:
                compiler: Compiler | str = str(refused)
            else:
                toolchain_cache = ToolchainCache(box=box, cache_dir=settings.toolchain_dir(cfg), settings=options)
                compiler = Compiler(box, settings=options, metrics=metrics, toolchain_cache=toolchain_cache)
            yield compiler

    return bench
