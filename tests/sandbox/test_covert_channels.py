"""Channels between two runs that are closed stay closed; what is open is measured by ``tests.covert_channels``."""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.covert_channels import CHANNELS, CLOSED, TRAINING, compile_covert, errors_in, is_chance, numbers_of, played
from tests.sandbox.bench import Bench
from tests.sandbox.lent import LentBox

FILE = Path("/usr/bin/env")
ROOT_IN_MEMORY = Path(__file__).parents[2] / "deploy" / "scripts" / "root_in_memory.sh"
BY_NAME = {channel.name: channel for channel in CHANNELS}
#: a receiver sees the same for every message, or is refused
CLOSED_EVERYWHERE = ("files", "atime", "sysv", "mqueue", "abstract", "ports")
BITS = "01" * 12
#: bits of which both ends know what they are, and as many again
KNOWN = "0110" * (TRAINING // 2)
TRIES = 5


@pytest.fixture(scope="module")
def bench(lent: LentBox, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    directory = tmp_path_factory.mktemp("covert")
    compile_covert(directory)
    for path in (directory, directory / "covert"):
        path.chmod(0o755)
    return Bench(lent, directory, directory)


async def is_closed(bench: Bench, name: str) -> bool:
    _, receiver, _ = await played(bench, BY_NAME[name], FILE, BITS)
    if receiver.exit_code == CLOSED:
        return True
    numbers = numbers_of(receiver)
    assert len(numbers) == len(BITS), receiver
    return len(set(numbers)) == 1


@pytest.mark.parametrize("name", CLOSED_EVERYWHERE)
async def test_a_closed_channel_carries_nothing(bench: Bench, name: str) -> None:
    assert await is_closed(bench, name)


async def test_sizes_of_pipes_carry_nothing_where_pipes_are_kept_apart(bench: Bench) -> None:
    # at `weak` without root all runs are one user's
    assert (bench.weak and bench.shares_user) or await is_closed(bench, "pipe-size")


async def test_proc_carries_nothing_where_there_are_no_namespaces(bench: Bench) -> None:
    assert not bench.weak or await is_closed(bench, "proc-stat")


@pytest.mark.needs("namespaces")
async def test_process_ids_carry_nothing_where_there_are_namespaces(bench: Bench) -> None:
    # at `weak` they are the host's, and others fork as well
    assert bench.weak or await is_closed(bench, "pids")


@pytest.mark.measured
@pytest.mark.needs("namespaces")
def test_root_in_memory_shows_copies_that_carry_no_names(bench: Bench, tmp_path: Path) -> None:
    """``deploy/scripts/root_in_memory.sh``, which needs what a box needs that is more than `weak`."""
    if bench.weak:
        return
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "file").write_text("content")
    (shared / "link").symlink_to("file")
    covert, channel = bench.programs / "covert", BY_NAME["dentries"]
    bits = "".join(secrets.choice("01") for _ in range(channel.bits))
    ends = [shlex.join([str(covert), end, "dentries", str(shared / "file"), "0", "1", bits, str(len(bits))])
            for end in ("send", "feel")]  # fmt: skip
    script = f"stat -fc %T {shared} && cat {shared}/link && echo && {' && '.join(ends)}; touch {shared}/new"
    done = subprocess.run(
        ("unshare", "--user", "--map-root-user", ROOT_IN_MEMORY, "sh", "-c", script),
        env={"PATH": os.environ["PATH"], "IN_MEMORY": f"{shared} {tmp_path}/missing"},
        check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    kind, content, *numbers = done.stdout.split()
    assert (kind, content, len(numbers)) == ("tmpfs", "content", len(bits))
    assert not (shared / "new").exists()
    assert is_chance(errors_in([float(number) for number in numbers], bits), len(bits) - TRAINING)


async def test_an_open_channel_is_seen(bench: Bench) -> None:
    """So that "closed" above is no fault of the two ends. A loaded machine gets more than one try."""
    slow = replace(BY_NAME["flock"], symbol_us=50_000)
    errors = []
    for _ in range(TRIES):
        _, receiver, _ = await played(bench, slow, FILE, KNOWN)
        errors.append(errors_in(numbers_of(receiver), KNOWN))
        if errors[-1] <= len(KNOWN) // 16:
            return
    pytest.fail(f"errors in {len(KNOWN) - TRAINING} bits: {errors}")
