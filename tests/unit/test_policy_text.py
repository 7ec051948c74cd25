"""The text of the seccomp policies: complete, explained, and the same table every time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sandbox_ext.make_policy import PolicyError, PolicyText, parse, table, write_table

SOURCE = Path(__file__).parents[2] / "sandbox_ext" / "policy.txt"
#: the kernel's headers: this architecture's numbers, and the names that all newer architectures share
HEADERS = (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm/unistd_64.h"))
GENERIC = Path("/usr/include/asm-generic/unistd.h")
#: calls that the headers of this host may be too old for (Linux 6.2 and newer)
YOUNG = frozenset(
    {
        *("cachestat", "fchmodat2", "map_shadow_stack", "futex_wake", "futex_wait", "futex_requeue", "statmount"),
        *("listmount", "lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules", "mseal", "uretprobe"),
        "uprobe",
        *("setxattrat", "getxattrat", "listxattrat", "removexattrat", "open_tree_attr", "file_getattr"),
        "file_setattr",
    }
)
#: Calls of the headers that the text does not name: they are answered as if the kernel did not have them. A newer
#: kernel's headers make the test below fail: name the call in the text, with a reason, or here.
UNNAMED: frozenset[str] = frozenset()
#: what may be allowed only with a word on why: powers over other processes, kernel memory, code, the host's state
NEEDS_A_REASON = frozenset(
    {
        *("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "fork", "vfork", "execve", "setsid"),
        *("setpgid", "mprotect", "mremap", "madvise", "mincore", "mlock", "membarrier", "fcntl", "flock", "epoll_ctl"),
        *("sendfile", "copy_file_range", "truncate", "ftruncate", "fallocate"),
        *("renameat2", "link", "linkat", "chmod", "fchmod", "fchmodat", "fchmodat2", "utime", "utimes", "futimesat"),
        *("utimensat", "futex", "timer_create", "setitimer", "bind", "connect", "arch_prctl", "sysinfo"),
        *("sched_getaffinity", "getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr"),
    }
)
#: what makes the host's disk or a dying thread work, for others to wait
MAKES_OTHERS_WAIT = frozenset(
    {"fsync", "fdatasync", "sync", "syncfs", "sync_file_range", "fadvise64", "set_robust_list"}
)


def names_of(header: Path) -> set[str]:
    return set(re.findall(r"#define __NR(?:3264)?_(\w+)", header.read_text()))


@pytest.fixture(scope="module")
def policy() -> PolicyText:
    return parse(SOURCE.read_text())


@pytest.fixture(scope="module")
def numbers() -> set[str]:
    found = next((header for header in HEADERS if header.exists()), None)
    if found is None:
        pytest.skip("these are not the headers of x86_64")
    return names_of(found)


def test_what_makes_others_wait_is_only_pretended(policy: PolicyText) -> None:
    found = {call.name: call.answer for call in (*policy.calls, *policy.weak) if call.name in MAKES_OTHERS_WAIT}
    assert found == dict.fromkeys(MAKES_OTHERS_WAIT, "pretend")


def test_every_call_of_the_kernel_is_decided(policy: PolicyText, numbers: set[str]) -> None:
    assert numbers - {call.name for call in policy.calls} == UNNAMED


def test_no_call_is_made_up(policy: PolicyText, numbers: set[str]) -> None:
    assert {call.name for call in policy.calls} - numbers <= YOUNG


def test_calls_of_x86_64_alone_are_marked(policy: PolicyText, numbers: set[str]) -> None:
    # there as __NR3264_fstatat and by two names for 32 bits, which no 64-bit architecture has
    generic = (names_of(GENERIC) | {"newfstatat"} | YOUNG) - {"stat", "lstat", "uretprobe", "uprobe"}
    marked = {call.name for call in policy.calls if call.x86_64_only}
    assert marked & generic == set()
    assert {call.name for call in policy.calls} - marked - generic == set()


def test_risky_calls_that_are_allowed_have_a_reason(policy: PolicyText) -> None:
    bare = {call.name for call in policy.calls if not call.reason}
    assert bare & NEEDS_A_REASON == set()
    assert {call.name for call in policy.calls} >= NEEDS_A_REASON


def test_compilers_are_allowed_no_more_than_a_few_calls(policy: PolicyText) -> None:
    assert {call.name for call in policy.calls if call.answer == "compile"} == {
        *("symlink", "symlinkat", "chown", "fchown", "lchown", "fchownat"),
    }


def test_the_table_is_the_same_every_time(tmp_path: Path, policy: PolicyText) -> None:
    header = tmp_path / "policy_table.h"
    write_table(SOURCE, header)
    made, changed_ns = header.read_text(), header.stat().st_mtime_ns
    write_table(SOURCE, header)

    assert header.stat().st_mtime_ns == changed_ns, "a table that stays the same compiles nothing again"
    assert made == table(policy)
    assert made.count("#ifdef __NR_") == made.count("#endif") == len(policy.calls) + len(policy.weak)
    assert "{__NR_clone, CLONE_CHECK}," in made
    assert made.index("weak_rules[]") < made.index("{__NR_socket, NO_SOCKET_CHECK},")
    assert "static const uint32_t socket_values[] = {AF_UNIX};" in made


GOOD = """\
= Bytes
read                allow
write               allow       as read
                                and a second line
ptrace              refuse      looks into processes
= list clone: refused flags
CLONE_NEWNS
= list fcntl: refused commands
F_SETPIPE_SZ
= list ioctl: allowed requests
TCGETS              isatty
= list prctl: allowed options
PR_SET_NAME
= list setsockopt: refused options
SO_SNDBUF
= list socket: allowed families
AF_UNIX
"""


def test_a_reason_goes_on_in_the_next_line() -> None:
    found = parse(GOOD)
    assert [(call.name, call.answer, call.reason) for call in found.calls] == [
        ("read", "allow", ""),
        ("write", "allow", "as read and a second line"),
        ("ptrace", "refuse", "looks into processes"),
    ]
    assert found.lists["ioctl"] == ["TCGETS"]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("ptrace              refuse", "read                refuse", "5: 'read' stands here a second time"),
        ("      looks into processes", "", "5: 'ptrace' needs a reason for 'refuse'"),
        ("refuse ", "forbid ", "5: unknown answer 'forbid'"),
        ("refuse ", "check:x", "5: unknown answer 'check:x'"),
        ("as read", "as reed", "3: 'write' is explained by 'reed', which stands nowhere"),
        ("= Bytes\n", "", "1: expected a call and an answer"),
        ("read                allow\n", "read\n", "2: expected a call and an answer"),
        ("read                allow\n", "Read allow\n", "2: expected a call and an answer"),
        ("read                allow\n", "read\tallow\n", "2: a line is at most"),
        ("read                allow\n", "read allow \n", "2: a line is at most"),
        ("= Bytes\n", "= Bytes\n    what goes on?\n", "2: there is no call here"),
        ("AF_UNIX\n", "AF_UNIX\nAF_UNIX\n", "is not a constant, or is already in this list"),
        ("AF_UNIX\n", "1\n", "is not a constant"),
        ("AF_UNIX\n", "", "0: no values for socket"),
        ("list socket", "list read", "no check, or not once, goes by the list 'read'"),
        ("list socket", "list prctl", "no check, or not once, goes by the list 'prctl'"),
    ],
)
def test_a_text_that_is_no_policy_is_refused(before: str, after: str, message: str, tmp_path: Path) -> None:
    assert GOOD.count(before) == 1, "the row changes one thing"
    (tmp_path / "policy.txt").write_text(GOOD.replace(before, after))

    with pytest.raises(PolicyError, match=re.escape(message)) as refused:
        write_table(tmp_path / "policy.txt", tmp_path / "policy_table.h")
    assert str(refused.value).startswith(f"{tmp_path}/policy.txt:")
    assert not (tmp_path / "policy_table.h").exists()
