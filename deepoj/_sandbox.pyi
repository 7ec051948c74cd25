RESULT_BYTES: int
WALL_STRETCH: int
FILES_IN: int
ARGS: int
STDOUT_TO: int
STDOUT_PIPE: int

def pack_run(
    serial: int,
    compile_policy: bool,
    # 0, STDOUT_TO or STDOUT_PIPE
    flags: int,
    # cpu_us, wall_us, memory_bytes, output_bytes, scratch_bytes, keep_stdout_bytes, keep_stderr_bytes, processes,
    # open_files
    limits: tuple[int, int, int, int, int, int, int, int, int],
    argv: tuple[bytes, ...],
    env: tuple[bytes, ...],
    # name, executable, program
    files_in: tuple[tuple[bytes, bool, bool], ...],
    files_out: tuple[tuple[bytes, int], ...],
    /,
) -> bytes:
    """ValueError when a limit or flag is out of range, a file name is not plain, or the whole is too long."""

def pack_cancel(serial: int, /) -> bytes: ...
def unpack_result(
    message: bytes, /
) -> tuple[int, str, int, int, int, int, int, int, int, int, int, int, int, int, int, int, int]:
    """serial, step, errno, ended_by, exit_code, exit_signal, oom_kill, files_out bits, cpu_us, wall_us, memory_bytes,
    stdout_len, stderr_len, slot_us, busy_us, delay_us, ended_us. ValueError when the message is anything else."""
