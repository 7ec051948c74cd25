"""How the search for a launcher gives ground: step by step, never silently, and to an end."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from deepoj.adapters.sandbox import launcher as linux_box_launcher
from deepoj.adapters.sandbox import preflight
from deepoj.adapters.sandbox.launcher import Hello, Part, Setting
from deepoj.adapters.sandbox.preflight import next_attempt, reasons, settle
from deepoj.adapters.sandbox.rates import RateLines
from deepoj.words.sandbox import Isolation, SandboxError

WHOLE = Setting(slots=1, run_uid=65534, run_gid=65534, mounts=())
#: the form in which a level is held is told by other sentences: "limited by sampling", "limited by counting"
TOLD_OTHERWISE = frozenset({Part.CGROUP, Part.PROCESS_QUOTA, Part.COUNTING})


def fault(step: str) -> SandboxError:
    return SandboxError(step, errno.EPERM)


def all_attempts(step: str) -> list[Setting]:
    """Every setting that is tried where one step always fails."""
    attempts = [WHOLE]
    while len(attempts) < 2 * len(Part):
        weaker = next_attempt(attempts[-1], fault(step), grouped=Part.CGROUP not in attempts[-1].without)
        if weaker is None:
            return attempts
        attempts.append(weaker)
    raise AssertionError(f"no end: {attempts}")


@pytest.fixture(autouse=True)
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)


@pytest.mark.parametrize(
    ("step", "without"),
    [
        ("hostname", {Part.HOSTNAME}),
        ("uts_namespace", {Part.HOSTNAME}),
        ("ipc_namespace", {Part.IPC_NAMESPACE}),
        ("cgroup_namespace", {Part.CGROUP_NAMESPACE}),
        ("rootfs pivot", {Part.PIVOT}),
        ("proc", {Part.PROC}),
        ("process_quota", {Part.PROCESS_QUOTA}),
        ("user", {Part.ROOT}),
    ],
)
def test_next_attempt_after_a_known_step_does_without_it_and_keeps_namespaces(step: str, without: set[Part]) -> None:
    weaker = next_attempt(WHOLE, fault(step), grouped=False)
    assert weaker is not None
    assert weaker.without == without
    assert not weaker.weak


def test_next_attempt_after_a_scratch_fault_gives_up_root_only_where_its_uid_is_not_mapped() -> None:
    unmapped = next_attempt(WHOLE, SandboxError("scratch", errno.EINVAL), grouped=False)
    refused = next_attempt(WHOLE, SandboxError("scratch", errno.EPERM), grouped=False)
    assert unmapped is not None
    assert refused is not None
    assert (unmapped.weak, set(unmapped.without)) == (False, {Part.ROOT})
    assert (refused.weak, Part.ROOT in refused.without) == (True, False)


def test_next_attempt_after_a_fault_of_a_run_with_a_cgroup_gives_up_cgroups_first() -> None:
    weaker = next_attempt(WHOLE, fault("clone"), grouped=True)
    assert weaker is not None
    assert weaker.without == {Part.CGROUP}
    assert not weaker.weak


@pytest.mark.parametrize(
    "step", ["user_namespace", "rootfs mount_namespace", "net_namespace", "pid_namespace", "policy"]
)
def test_next_attempt_after_a_step_that_namespaces_need_is_weak(step: str) -> None:
    weaker = next_attempt(WHOLE, fault(step), grouped=False)
    assert weaker is not None
    assert weaker.weak


def test_next_attempt_at_weak_gives_up_root_once_and_only_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    weak = next_attempt(WHOLE, fault("user_namespace"), grouped=False)
    assert weak is not None
    without_root = next_attempt(weak, fault("scratch"), grouped=False)
    assert without_root is not None
    assert (without_root.weak, Part.ROOT in without_root.without) == (True, True)
    assert next_attempt(without_root, fault("scratch"), grouped=False) is None
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert next_attempt(weak, fault("landlock_version"), grouped=False) is None


@pytest.mark.parametrize("step", ["hostname", "proc", "process_quota", "user", "scratch", "exec", "user_namespace"])
def test_next_attempt_where_a_step_always_fails_ends_at_weak(step: str) -> None:
    attempts = all_attempts(step)
    assert attempts[-1].weak
    assert len(set(attempts)) == len(attempts)


@pytest.mark.parametrize("part", sorted(set(Part) - TOLD_OTHERWISE))
def test_reasons_name_each_part_that_is_missing(part: Part) -> None:
    hello = Hello(Isolation.NAMESPACES, True, True, "cgroup v2 is not mounted here")
    whole = reasons(WHOLE, hello)
    missing = reasons(Setting(slots=1, run_uid=1, run_gid=1, mounts=(), without=frozenset({part})), hello)
    assert len(missing) == len(whole) + 1
    assert set(whole) < set(missing)


class FakeLauncher:
    """A launcher that is up, with a cgroup for each run unless it does without."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        level = Isolation.NAMESPACES if Part.CGROUP in setting.without else Isolation.FULL
        self.hello = Hello(level, True, True, "cgroup v2 limits memory and processes")

    async def close(self) -> None:
        pass


async def test_settle_after_a_fault_that_costs_a_level_names_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    async def start(setting: Setting) -> FakeLauncher:
        return FakeLauncher(setting)

    async def trial(launcher: FakeLauncher) -> SandboxError | None:
        return None if Part.CGROUP in launcher.setting.without else fault("clone")

    monkeypatch.setattr(linux_box_launcher, "start", start)

    async def joined(_launcher: FakeLauncher) -> list[str]:
        return []

    monkeypatch.setattr(preflight, "_trial", trial)
    monkeypatch.setattr(preflight, "_lacks_of_joined", joined)
    _launcher, found = await settle(WHOLE)
    assert found.isolation is Isolation.NAMESPACES
    assert found.reasons[0].startswith("the set-up of a run fails at 'clone' with EPERM, ")


def test_next_attempt_after_a_refused_rate_keeps_the_cgroup_and_gives_up_the_rates() -> None:
    weaker = next_attempt(WHOLE, fault("rates"), grouped=True)
    assert weaker is not None
    assert (weaker.weak, weaker.without) == (False, frozenset({Part.RATES}))


def test_reasons_say_why_rates_that_were_asked_for_limit_nothing() -> None:
    hello = Hello(Isolation.FULL, True, True, "cgroup v2 limits memory and processes")
    asked = replace(WHOLE, rates=RateLines(cpu_max="50000 100000", lack="no disk is limited"))
    assert "no disk is limited" in reasons(asked, hello)
    assert "no disk is limited" not in reasons(WHOLE, hello)


def test_command_of_a_setting_with_rates_hands_their_lines_to_the_launcher() -> None:
    lines = RateLines(cpu_max="50000 100000", io_max=("8:0 rbps=1", "253:0 rbps=1"))
    words = replace(WHOLE, rates=lines).command(3, [])
    assert words[words.index("--cpu-max") + 1] == "50000 100000"
    assert [words[at + 1] for at, word in enumerate(words) if word == "--io-max"] == ["8:0 rbps=1", "253:0 rbps=1"]
    assert not {"--cpu-max", "--io-max"} & set(WHOLE.command(3, []))
