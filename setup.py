"""Builds the sandbox: the extension ``deepoj._sandbox`` and, beside it, the executables ``deepoj/_launcher`` and
``deepoj/_meter``, with which the bench measures; and ``deepoj._account``, which the embedded PostgreSQL is started with
where its user has no name. Into a wheel go the SQL files, as ``deepoj/_sql``, and the runbook, as ``deepoj/_docs``: a
checkout reads them where they stand. ``testlib.h`` is fetched (``deploy/testlib_header.py``), and the web pages'
scripts and styles are made (``deploy/web_assets.py``).

``DEEPOJ_SANITIZE=1`` builds all with AddressSanitizer and UndefinedBehaviorSanitizer. The executables are linked
statically where the C library allows it: they then start faster and weigh less in every run.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.errors import CompileError, LinkError

sys.path.insert(0, str(Path(__file__).parent))  # an isolated build runs this file without its directory
from deploy import testlib_header, web_assets
from sandbox_ext.make_policy import write_table

SOURCE = Path("sandbox_ext")
SQL = Path("sql")
RUNBOOKS = [Path("deploy/runbook.md"), Path("deploy/runbook.zh.md")]
LAUNCHER_SOURCES = [
    "launcher",
    "launcher_options",
    "launcher_setup",
    "slot",
    "run",
    "run_cores",
    "run_cpu",
    "run_limits",
    "run_result",
    "run_start",
    "run_watch",
    "hold",
    "stream",
    "cell",
    "bare",
    "bare_guard",
    "bare_home",
    "bare_paths",
    "bare_scratch",
    "bare_user",
    "file_tree",
    "uids",
    "unlinked",
    "mould",
    "disown",
    "watch",
    "init",
    "child",
    "shed",
    "landlock",
    "rootfs",
    "scratch",
    "sampler",
    "sampler_cores",
    "sampler_cpu",
    "sampler_memory",
    "sampler_pipes",
    "sampler_processes",
    "proctext",
    "cgroup",
    "cgroup_base",
    "cgroup_run",
    "policy",
    "wire",
    "sys",
]
EXECUTABLES = {"_launcher": LAUNCHER_SOURCES, "_meter": ["meter", "stream", "wire", "sys"]}
SANITIZE = os.environ.get("DEEPOJ_SANITIZE") == "1"

WARNINGS = [f"@{SOURCE}/warnings.txt"]  # the compiler reads its options there, and so do the tests
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
HARDENING = ["-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2", "-fPIE"]
COMPILE_ARGS = [*WARNINGS, "-std=gnu11", "-O2", "-g", *(SANITIZERS if SANITIZE else [])]
LAUNCHER_ARGS = [*COMPILE_ARGS, *([] if SANITIZE else HARDENING)]
RELRO = ["-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack"]


class BuildSandbox(build_ext):  # type: ignore[misc]  # setuptools has no types
    """``build_ext`` that also makes the executables, in place (editable) or into the build directory (wheel)."""

    def run(self) -> None:
        # among the sources, where whoever compiles them by hand finds it
        write_table(SOURCE / "policy.txt", SOURCE / "policy_table.h")
        super().run()
        for name, sources in EXECUTABLES.items():
            self.executable(name, sources)

    def executable(self, name: str, sources: list[str]) -> None:
        target = self.executable_path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        compiler: Any = self.compiler
        objects = compiler.compile(
            [str(SOURCE / f"{source}.c") for source in sources],
            output_dir=str(Path(self.build_temp) / "launcher"),
            extra_preargs=LAUNCHER_ARGS,
            depends=[str(header) for header in SOURCE.glob("*.h")],
        )
        self.link(compiler, objects, target)
        target.chmod(0o755)

    def link(self, compiler: Any, objects: list[str], target: Path) -> None:
        """Statically if that can be had, else against the shared C library."""
        forms = [[*SANITIZERS]] if SANITIZE else [["-static-pie", *RELRO], ["-pie", *RELRO]]
        for number, form in enumerate(forms, 1):
            fresh = target.with_name(target.name + ".new")  # the file of a running one cannot be written
            try:
                compiler.link_executable(objects, fresh.name, output_dir=str(fresh.parent), extra_postargs=form)
            except (CompileError, LinkError):
                if number == len(forms):
                    raise
                continue
            fresh.replace(target)
            return

    def executable_path(self, name: str) -> Path:
        base = Path() if self.inplace else Path(self.build_lib)
        return base / "deepoj" / name

    def get_outputs(self) -> list[str]:
        return [*super().get_outputs(), *(str(self.executable_path(name)) for name in EXECUTABLES)]


class BuildWithData(build_py):  # type: ignore[misc]  # setuptools has no types
    """``build_py`` that fetches ``testlib.h`` and makes the web pages' scripts, if they can be had, and copies ``sql/``
    and the runbook beside the modules; an editable install has them in the checkout."""

    def run(self) -> None:
        if fault := testlib_header.fetch():
            self.warn(testlib_header.warning(fault))
        if fault := web_assets.make():
            self.warn(web_assets.warning(fault))
        super().run()
        if not self.editable_mode:
            for source, target in self.data_files_of_checkout():
                self.mkpath(str(target.parent))
                self.copy_file(str(source), str(target))

    def data_files_of_checkout(self) -> list[tuple[Path, Path]]:
        base = Path(self.build_lib) / "deepoj"
        sql = [(source, base / "_sql" / source.relative_to(SQL)) for source in sorted(SQL.rglob("*.sql"))]
        return [*sql, *((source, base / "_docs" / source.name) for source in RUNBOOKS)]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        copied = [] if self.editable_mode else [str(target) for _, target in self.data_files_of_checkout()]
        return [*super().get_outputs(include_bytecode), *copied]


setup(
    ext_modules=[
        Extension(
            "deepoj._sandbox",
            sources=[str(SOURCE / f"{name}.c") for name in ("module", "codec", "wire")],
            depends=[str(header) for header in SOURCE.glob("*.h")],
            extra_compile_args=COMPILE_ARGS,
            extra_link_args=SANITIZERS if SANITIZE else RELRO,
        ),
        # no module: a library to preload, which goes wherever an extension goes
        Extension(
            "deepoj._account",
            sources=["deepoj/adapters/embedded/account.c"],
            extra_compile_args=[*WARNINGS, "-std=gnu11", "-O2"],
            extra_link_args=RELRO,
        ),
    ],
    cmdclass={"build_ext": BuildSandbox, "build_py": BuildWithData},
)
