"""The sections ``path``, ``compile``, ``runner`` and ``security``: programs are compiled and run with them."""

from __future__ import annotations

from deepoj.config.fields import GIB, Section, key, whole


class PathSection(Section):
    workspace_root: str = key(
        "",
        "WORKSPACE",
        doc="Directory of attempts, test data, compiled programs and uploads; put it on a fast local disk.",
    )
    compiler_bin: str = key("/usr/bin/g++", min_length=1, doc="The g++ that compiles C++ submissions and checkers.")
    mount_dirs: tuple[str, ...] = key(
        ("/lib", "/lib64", "/usr", "/bin", "/etc/alternatives"),
        doc="Host directories visible in the sandbox, read-only; add directories of a language's tools, but none with "
        "sockets, which programs could reach.",
    )
    mount_files: tuple[str, ...] = key(
        ("/etc/localtime", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"),
        doc="Host files visible in the sandbox.",
    )


class CompileSection(Section):
    cpu_limit_s: float = key(
        10,
        ge=0.1,
        le=3600,
        doc="CPU seconds one compilation may use; the smaller of this and worker.timeouts.compile_ms applies.",
    )
    real_time_limit_s: float = key(
        15,
        ge=0.1,
        le=3600,
        doc="Wall-clock seconds one compilation may take; raise it if compilers wait for a slow disk.",
    )
    memory_limit_mb: int = whole(
        1024,
        ge=64,
        le=1024 * 1024,
        doc="MB one compilation may use; raise it for template-heavy C++ or languages with heavy compilers.",
    )
    tmpfs_size_mb: int = whole(128, le=1024 * 1024, doc="MB of scratch space for one compilation.")
    log_max_size_mb: int = whole(16, le=1024, doc="Maximum MB a compiler may write, including the compiled program.")
    max_errors: int = whole(
        10,
        le=10_000,
        doc="Maximum number of compiler errors reported; keeps the output for contestants short.",
    )
    cache_max_mb: int = whole(
        1024,
        ge=0,
        le=1024 * 1024,
        doc="MB of the cache of compiled programs, for later submissions of the same source; 0 disables it.",
    )
    precompiled_headers: bool = key(
        True,
        doc="Precompile common C++ headers at the start, which speeds up C++ compilations; off saves disk space.",
    )
    lean_headers: bool = key(
        False,
        doc="Compile C++ sources that begin with bits/stdc++.h without <future> and <filesystem> if they name nothing"
        " of them; quicker, but not byte by byte the same.",
    )
    archives_at_start: bool = key(
        True,
        doc="Build Go's library and Java's archive of compiler classes after the start; off lets the first Go"
        " submission wait for its library.",
    )


class RunnerSection(Section):
    max_output_size: int = whole(
        10_485_760,
        le=64 * GIB,
        doc="Maximum bytes a program may print; more is Output Limit Exceeded.",
    )
    output_buffer_size: int = whole(2_097_152, le=GIB, doc="Bytes of a program's output held in memory.")
    tmpfs_size_mb: int = whole(64, le=1024 * 1024, doc="MB of scratch space for one execution.")
    cgroup_pids_limit: int = whole(
        20,
        le=100_000,  # what the sandbox takes (limits_sane in wire.c)
        doc="Maximum processes and threads of one execution; raise it for runtimes that start many threads.",
    )
    cgroup_cpu_max_cores: float = key(
        1.0,
        ge=0,
        le=1024,
        doc="CPUs one program may use at a time, at isolation full; 0: unlimited. Below 1, verdicts take longer.",
    )
    cgroup_io_read_bps: int = whole(
        104_857_600,
        ge=0,
        le=2**53,
        doc="Bytes per second one program may read from each disk, at isolation full; 0: unlimited.",
    )
    cgroup_io_write_bps: int = whole(
        104_857_600,
        ge=0,
        le=2**53,
        doc="Bytes per second one program may write to each disk, at isolation full; 0: unlimited. "
        "The files it creates are in memory.",
    )


class SecuritySection(Section):
    run_as_uid: int = whole(
        65534,
        le=2**32 - 2,
        doc="User id that programs run as; a node that is root takes unused ones below it, three for each slot. They"
        " must not own anything on the host.",
    )
    run_as_gid: int = whole(
        65534,
        le=2**32 - 2,
        doc="Group id that programs run as; it must not own anything on the host.",
    )
