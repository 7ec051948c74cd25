"""The messages between node and launcher: what cannot be asked is refused, what is no answer is never read as one."""

from __future__ import annotations

import os
import socket
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepoj import _sandbox
from deepoj.adapters.sandbox import launcher as launching
from deepoj.judging import run_bounds
from deepoj.words.errors import BoxBroken, StartRefused
from deepoj.words.sandbox import Isolation, Policy
from tests import host

LIMITS = (1, 1, 1, 1, 1, 1, 1, 1, 3)
type Limits = tuple[int, int, int, int, int, int, int, int, int]


def pack(
    limits: Limits = LIMITS,
    argv: tuple[bytes, ...] = (b"./main",),
    files_in: tuple[tuple[bytes, bool, bool], ...] = (),
    files_out: tuple[tuple[bytes, int], ...] = (),
    flags: int = 0,
) -> bytes:
    return _sandbox.pack_run(7, False, flags, limits, argv, (), files_in, files_out)


def test_a_request_can_be_packed() -> None:
    assert pack(files_in=((b"main", True, True),), files_out=((b"main", 5),)).startswith(b"DOJ1")


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"/etc/passwd", b"../x", b"x" * 256, b"a\0b"])
def test_a_name_that_leads_anywhere_is_refused(name: bytes) -> None:
    with pytest.raises(ValueError, match=r"plain|null byte"):
        pack(files_in=((name, False, False),))
    with pytest.raises(ValueError, match=r"plain|null byte"):
        pack(files_out=((name, 1),))


@pytest.mark.parametrize(
    "limits",
    [
        (0, 1, 1, 1, 1, 1, 1, 1, 3),
        (1, 0, 1, 1, 1, 1, 1, 1, 3),
        (1, 1, 0, 1, 1, 1, 1, 1, 3),
        (1, 1, 1, 1, 1, 1, 1, 0, 3),
        (1, 1, 1, 1, 1, 1, 1, 1, 2),
        (1 << 47, 1, 1, 1, 1, 1, 1, 1, 3),
        (1, 1, 1, 1, 1, 1, 1, (1 << 32) + 1, 3),
        (1, 1, 1, 1, 1, 1, 1, 1, (1 << 32) + 3),
        (1, 1, (1 << 64) - 1, 1, 1, 1, 1, 1, 3),
    ],
)
def test_limits_out_of_range_are_refused(limits: Limits) -> None:
    with pytest.raises(ValueError, match="out of range"):
        pack(limits)


def test_every_run_within_the_bounds_of_plans_can_be_asked_for() -> None:
    files = 2 * (run_bounds.MAX_SOURCES + run_bounds.MAX_INCLUDED) + run_bounds.MAX_EXTRA
    assert files <= _sandbox.FILES_IN
    assert 2 * run_bounds.MAX_WORDS <= _sandbox.ARGS
    names = tuple((b"%063d" % number, False, True) for number in range(files))
    word = b"x" * (run_bounds.MAX_WORDS_BYTES // run_bounds.MAX_WORDS)
    assert pack(argv=(word,) * 2 * run_bounds.MAX_WORDS, files_in=names)


def test_files_have_bounds() -> None:
    with pytest.raises(ValueError, match="more than 208 files in"):
        pack(files_in=((b"x", False, False),) * 209)
    with pytest.raises(ValueError, match="more than 32 files out"):
        pack(files_out=((b"x", 1),) * 33)


def test_arguments_have_bounds() -> None:
    with pytest.raises(ValueError, match="no arguments"):
        pack(argv=())
    with pytest.raises(ValueError, match="more than 512"):
        pack(argv=(b"x",) * 513)
    with pytest.raises(ValueError, match="more than 98304 bytes"):
        pack(argv=(b"x" * 100_000,))
    with pytest.raises(ValueError, match="null byte"):
        pack(argv=(b"a\0b",))


@given(st.binary(max_size=200))
def test_noise_is_no_answer(noise: bytes) -> None:
    with pytest.raises(ValueError, match="not a result"):
        _sandbox.unpack_result(noise)


def test_the_launcher_is_not_started_by_hand() -> None:
    done = subprocess.run([launching.LAUNCHER], capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stderr) == (2, "_launcher: started by the node, not by hand\n")


async def test_a_missing_launcher_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "LAUNCHER", launching.LAUNCHER.with_name("absent"))

    with pytest.raises(StartRefused, match="build it with `make build`") as refused:
        await launching.start(launching.Setting(slots=1, run_uid=65534, run_gid=65534, mounts=()))
    assert refused.value.exit_code == 2


async def test_a_launcher_that_says_nothing_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching.Setting, "command", lambda *_: ["_launcher"])

    with pytest.raises(BoxBroken, match="before it was up"):
        await launching.start(launching.Setting(slots=1, run_uid=65534, run_gid=65534, mounts=()))


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 200), flips=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 255)), max_size=4))
def test_a_slot_survives_or_leaves_on_any_message(cut: int, flips: list[tuple[int, int]]) -> None:
    """A spoilt request either is answered or ends the slot: it never hangs it."""
    import trio

    message = bytearray(pack(argv=(b"/bin/true",), files_in=((b"a", False, False),)))
    for place, mask in flips:
        message[place % len(message)] ^= mask
    spoilt = bytes(message[: len(message) - cut])

    null = os.open("/dev/null", os.O_RDWR)

    async def send() -> bytes:
        weak = host.asked() is Isolation.WEAK
        launcher = await launching.start(launching.Setting(slots=1, run_uid=65534, run_gid=65534, mounts=(), weak=weak))
        try:
            sock = launcher.free[0].socks[Policy.RUN]
            socket.send_fds(sock, [spoilt or b"x"], [null] * 4)
            # a well-formed cancel: an idle slot passes over it, a running one ends
            try:
                sock.send(_sandbox.pack_cancel(7))
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                return b""
            with trio.fail_after(60):
                await trio.lowlevel.wait_readable(sock)
                try:
                    return sock.recv(4096)
                except ConnectionError:
                    return b""
        finally:
            await launcher.close()

    try:
        answer = trio.run(send)
    finally:
        os.close(null)
    if answer:
        _sandbox.unpack_result(answer)
