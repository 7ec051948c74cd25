"""What the text of the policies says is what a program in the box gets, call by call."""

from __future__ import annotations

import errno
import re
import subprocess
from dataclasses import dataclass
from fcntl import F_GETFL, F_NOTIFY, F_SETPIPE_SZ
from pathlib import Path

import pytest

from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.words.sandbox import FileIn, Isolation, Policy, RunSpec, RunVerdict
from sandbox_ext.make_policy import Call, parse
from tests.sandbox.bench import limits

HERE = Path(__file__).parent
POLICY = parse((HERE.parents[1] / "sandbox_ext" / "policy.txt").read_text())
#: arguments that are wrong everywhere: no descriptor, no address, no flags
WRONG = (-1,) * 6
F_SET_RW_HINT = 1036  # linux/fcntl.h
#: Arguments with which a call of the kernel's own reaches its answer: with WRONG it would say ENOSYS or EPERM too, or
#: do what would end the probe.
ARGUMENTS: dict[str, tuple[int, ...]] = {
    "futex": (-1, 1),  # FUTEX_WAKE at an odd address; of an unknown operation the kernel says ENOSYS
    "wait4": (-1, 0, 0, 0),
    "getpriority": (0, 0),
}
#: Calls that newer kernels ask no filter about, and their answers then: outside of the
#: trampolines that the kernel itself puts into a process, nothing. Their numbers are those of x86_64.
UNFILTERED = {335: "signal 4", 336: str(errno.ENXIO)}
SHUT = frozenset({str(errno.EPERM), str(errno.ENOSYS)})


@dataclass(frozen=True)
class Checked:
    """A call whose answer depends on arguments: one row of what may and what may not be."""

    name: str
    arguments: tuple[int, ...]
    #: the errno, or None for "the kernel answers", which is neither EPERM nor ENOSYS
    answer: int | None


SOL_SOCKET, MSG_OOB, SCHED_FIFO = 1, 1, 1
PRIVATE_ANONYMOUS, SHARED_ANONYMOUS, SHARED_VALIDATE_ANONYMOUS, HUGE = 0x22, 0x21, 0x23, 0x40022
RLIMIT_CORE, RLIMIT_NOFILE = 4, 7
CLONE_REFUSED = {
    "NEWNS": 0x20000,
    "NEWCGROUP": 0x2000000,
    "NEWUTS": 0x4000000,
    "NEWIPC": 0x8000000,
    "NEWUSER": 0x10000000,
    "NEWPID": 0x20000000,
    "NEWNET": 0x40000000,
    "PARENT": 0x8000,
    "PTRACE": 0x2000,
}
ROWS = (
    *(Checked("clone", (flag | 17, 0, 0, 0, 0), errno.EPERM) for flag in CLONE_REFUSED.values()),
    Checked("clone", (17, 0, 0, 0, 0), None),
    Checked("clone", (0x4111, 0, 0, 0, 0), None),  # CLONE_VM, CLONE_VFORK
    Checked("clone", (0x4011, 0, 0, 0, 0), errno.EPERM),  # CLONE_VFORK alone: a copy that looks like the same memory
    Checked("clone", (0x0111, 0, 0, 0, 0), errno.EPERM),  # CLONE_VM alone
    Checked("clone", (0x0911, 0, 0, 0, 0), errno.EPERM),  # CLONE_VM, CLONE_SIGHAND
    *(Checked("socket", (family, 1, 0), errno.EAFNOSUPPORT) for family in (0, 2, 10, 16, 17, 38, 40, 44)),
    *(Checked("socketpair", (family, 1, 0, -1), errno.EAFNOSUPPORT) for family in (2, 16, 40)),
    Checked("socket", (1, 1, 0), None),
    Checked("socketpair", (1, 1, 0, -1), None),
    *(Checked("ioctl", (-1, request, -1), errno.ENOTTY) for request in (0x5412, 0x541C, 0x5402, 0x4004667F)),
    Checked("ioctl", (-1, 0x5401, -1), None),
    Checked("ioctl", (-1, 0x541B, -1), None),
    *(Checked("prctl", (option, 0, 0, 0, 0), errno.EPERM) for option in (4, 8, 22, 24, 28, 41, 47, 53, 0x59616D61)),
    Checked("prctl", (15, -1, 0, 0, 0), None),  # PR_SET_NAME
    Checked("prctl", (38, 1, 0, 0, 0), None),  # PR_SET_NO_NEW_PRIVS
    Checked("mmap", (0, 4096, 3, PRIVATE_ANONYMOUS, -1, 0), None),
    *(
        Checked("mmap", (0, 4096, 3, flags, -1, 0), errno.EPERM)
        for flags in (SHARED_ANONYMOUS, SHARED_VALIDATE_ANONYMOUS, HUGE)
    ),
    Checked("mmap", (0, 4096, 3, 1, -1, 0), None),
    Checked("personality", (0xFFFFFFFF,), None),
    Checked("personality", (0,), None),
    *(Checked("personality", (persona,), errno.EPERM) for persona in (0x0040000, 0x0400000, 8)),
    Checked("prlimit64", (0, RLIMIT_NOFILE, 0, 0), None),
    Checked("prlimit64", (0, RLIMIT_CORE, 0, 0), None),
    Checked("prlimit64", (0, RLIMIT_CORE, -1, 0), errno.EPERM),
    Checked("prlimit64", (0, RLIMIT_CORE, 1 << 32, 0), errno.EPERM),
    Checked("prlimit64", (1, RLIMIT_NOFILE, 0, 0), errno.EPERM),
    Checked("setrlimit", (RLIMIT_CORE, -1), errno.EPERM),
    Checked("setrlimit", (RLIMIT_NOFILE, -1), None),
    Checked("sched_getattr", (0, -1, 48, 0), None),
    Checked("sched_getattr", (1, -1, 48, 0), errno.EPERM),
    Checked("sched_setscheduler", (-1, 0, -1), None),  # success, and nothing is done
    Checked("sched_setscheduler", (0, SCHED_FIFO, -1), errno.EPERM),
    Checked("setsockopt", (-1, SOL_SOCKET, 2, -1, 4), None),
    *(Checked("setsockopt", (-1, SOL_SOCKET, option, -1, 4), errno.EPERM) for option in (7, 8, 26, 32, 33, 50, 51, 52)),
    *(Checked(name, (-1, 0, 0, MSG_OOB, 0, 0), errno.EPERM) for name in ("sendto", "recvfrom")),
    *(Checked(name, (-1, 0, 0, 0, 0, 0), None) for name in ("sendto", "recvfrom")),
    *(Checked(name, (-1, 0, MSG_OOB), errno.EPERM) for name in ("sendmsg", "recvmsg")),
    *(Checked(name, (-1, 0, 0), None) for name in ("sendmsg", "recvmsg")),
    *(Checked("fcntl", (-1, command, 1 << 20), errno.EPERM) for command in (F_SETPIPE_SZ, F_NOTIFY, F_SET_RW_HINT)),
    Checked("fcntl", (-1, F_GETFL, 0), None),
)
#: in the place of others where the section "At weak, instead" holds
O_TMPFILE = 0o20000000
F_SETLEASE = 1024
WEAK_ROWS = (
    *(row for row in ROWS if row.name != "socket"),
    *(Checked("socketpair", (1, kind, 0, -1), errno.EPERM) for kind in (0, 2, 3, 4, 6, 2 | 0o4000, 3 | 0o2000000)),
    *(Checked("socketpair", (1, kind, 0, -1), None) for kind in (1, 5, 1 | 0o4000, 5 | 0o2000000)),
    *(Checked("socket", (family, 1, 0), errno.EAFNOSUPPORT) for family in (0, 1, 2, 10, 16, 17, 38, 40, 44)),
    Checked("open", (0, O_TMPFILE, 0), errno.EOPNOTSUPP),
    Checked("open", (0, 0, 0), None),
    Checked("openat", (-1, 0, O_TMPFILE, 0), errno.EOPNOTSUPP),
    Checked("openat", (-1, 0, 0, 0), None),
    Checked("fcntl", (-1, F_SETLEASE, 0), errno.EPERM),
)


def calls_of(box: LinuxBox) -> list[Call]:
    instead = {call.name: call for call in POLICY.weak} if box.isolation is Isolation.WEAK else {}
    return [instead.get(call.name, call) for call in POLICY.calls]


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``syscalls.c``, compiled."""
    program = tmp_path_factory.mktemp("policy") / "syscalls"
    subprocess.run(("gcc", "-O1", "-o", program, HERE / "syscalls.c"), check=True, timeout=600)
    return program


@pytest.fixture(scope="module")
def numbers() -> dict[str, int]:
    """The numbers of this architecture, from the compiler's own headers."""
    source = "#include <asm/unistd.h>\n"
    done = subprocess.run(
        ("gcc", "-E", "-dM", "-"), input=source, capture_output=True, text=True, check=True, timeout=60
    )
    lines = re.findall(r"#define __NR_(\w+) (\w+)", done.stdout)
    plain = {name: int(value) for name, value in lines if value.isdigit()}
    return {**plain, **{name: plain[value[5:]] for name, value in lines if value[:5] == "__NR_"}}


def input_of(calls: list[tuple[int, tuple[int, ...]]]) -> str:
    """The input of the probe that asks for these calls."""
    rows = (f"{number} {' '.join(map(str, (*arguments, 0, 0, 0, 0, 0, 0)[:6]))}\n" for number, arguments in calls)
    return "".join(rows)


async def ask(
    box: LinuxBox, probe: Path, policy: Policy, tmp_path: Path, calls: list[tuple[int, tuple[int, ...]]]
) -> list[str]:
    """What each call was answered, in order."""
    (tmp_path / "in").write_text(input_of(calls))
    outcome = await box.run(
        RunSpec(
            argv=("./main",),
            policy=policy,
            limits=limits(),
            stdin=tmp_path / "in",
            files_in=(FileIn("main", probe, executable=True),),
        )
    )
    assert outcome.verdict is RunVerdict.OK, outcome
    answers = [line.split(" ", 1) for line in outcome.stdout.decode().splitlines()]
    assert [int(number) for number, _ in answers] == [number for number, _ in calls]
    return [
        str(errno.ENOSYS) if UNFILTERED.get(number) == answer else answer
        for (number, _), (_, answer) in zip(calls, answers, strict=True)
    ]


def answers_outside(probe: Path, tmp_path: Path, calls: list[tuple[int, tuple[int, ...]]]) -> list[str]:
    """What a process outside of the box is answered: a container's own filter refuses some calls."""
    done = subprocess.run(
        (probe,), input=input_of(calls), cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    return [line.split(" ", 1)[1] for line in done.stdout.splitlines()]


def said_of(call: Call, policy: Policy) -> str:
    """The text's answer to a call under a policy."""
    if call.answer == "compile":
        return "allow" if policy is Policy.COMPILE else "refuse"
    if call.answer == "compile-pretend":
        return "pretend" if policy is Policy.COMPILE else "refuse"
    return call.answer


def is_right(call: Call, policy: Policy, answer: str) -> bool:
    """Whether an answer to WRONG or ARGUMENTS is what the text says."""
    said = said_of(call, policy)
    if said == "refuse":
        return answer == str(errno.EPERM)
    if said == "pretend":
        return answer == "0"
    if said == "absent":
        return answer == str(errno.ENOSYS)
    return said != "allow" or answer not in SHUT


@pytest.mark.parametrize("policy", list(Policy))
async def test_every_line_of_the_text_holds(
    box: LinuxBox, probe: Path, numbers: dict[str, int], tmp_path: Path, policy: Policy
) -> None:
    calls = [call for call in calls_of(box) if call.name in numbers]
    assert len(calls) > 300
    asked = [(numbers[call.name], ARGUMENTS.get(call.name, WRONG)) for call in calls]

    answers = await ask(box, probe, policy, tmp_path, asked)

    wrong = [
        (call, request, answer)
        for call, request, answer in zip(calls, asked, answers, strict=True)
        if not is_right(call, policy, answer)
    ]
    allowed = [(call, request, answer) for call, request, answer in wrong if said_of(call, policy) == "allow"]
    outside = answers_outside(probe, tmp_path, [request for _, request, _ in allowed])
    by_host = [call for (call, _, answer), refused in zip(allowed, outside, strict=True) if answer == refused]
    assert [f"{call.name}: {answer}" for call, _, answer in wrong if call not in by_host] == []


@pytest.mark.parametrize("policy", list(Policy))
async def test_calls_that_the_policy_does_not_name_give_enosys(
    box: LinuxBox, probe: Path, numbers: dict[str, int], tmp_path: Path, policy: Policy
) -> None:
    named = {numbers[call.name] for call in POLICY.calls if call.name in numbers}
    unnamed = [number for number in (*range(700), 4000, 0x3FFFFFFF) if number not in named]

    answers = await ask(box, probe, policy, tmp_path, [(number, WRONG) for number in unnamed])

    assert set(answers) == {str(errno.ENOSYS)}


@pytest.mark.parametrize("policy", list(Policy))
async def test_calls_are_decided_by_their_arguments(
    box: LinuxBox, probe: Path, numbers: dict[str, int], tmp_path: Path, policy: Policy
) -> None:
    rows = WEAK_ROWS if box.isolation is Isolation.WEAK else ROWS
    answers = await ask(box, probe, policy, tmp_path, [(numbers[row.name], row.arguments) for row in rows])

    wrong = [
        f"{row.name} {row.arguments}: {answer}"
        for row, answer in zip(rows, answers, strict=True)
        if (answer in SHUT if row.answer is None else answer != str(row.answer))
    ]
    assert wrong == []


def test_every_check_has_a_row_of_each_kind() -> None:
    checked = {call.name for call in POLICY.calls if call.answer.startswith("check:")}
    assert {row.name for row in ROWS if row.answer is None} >= checked
    assert {row.name for row in ROWS if row.answer is not None} >= checked
    narrowed = {call.name for call in POLICY.weak if call.answer.startswith("check:")}
    assert {row.name for row in WEAK_ROWS if row.answer is None} >= (checked | narrowed) - {"socket"}
    assert {row.name for row in WEAK_ROWS if row.answer is not None} >= checked | narrowed
