"""The lines for cgroup files that limit what a program has a second."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deepoj.adapters.sandbox.rates import RateLines, Rates, rate_lines

#: path → device number
DEVICES = {
    "/usr": os.makedev(8, 1),
    "/srv": os.makedev(8, 2),
    "/var": os.makedev(253, 0),
    "/overlay": os.makedev(0, 42),
    "/gone": os.makedev(9, 9),
}


@pytest.fixture
def sys_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /sys with one disk of two partitions and one logical volume, and paths on them."""
    disk = tmp_path / "devices" / "sda"
    volume = tmp_path / "devices" / "dm-0"
    blocks = tmp_path / "dev" / "block"
    for directory in (disk, volume, blocks):
        directory.mkdir(parents=True)
    (disk / "dev").write_text("8:0\n")
    for number in (1, 2):
        partition = disk / f"sda{number}"
        partition.mkdir()
        (partition / "partition").write_text(f"{number}\n")
        (blocks / f"8:{number}").symlink_to(partition)
    (blocks / "253:0").symlink_to(volume)

    def device_of(path: str) -> int:
        if path not in DEVICES:
            raise FileNotFoundError(path)
        return DEVICES[path]

    monkeypatch.setattr("deepoj.adapters.sandbox.rates.device_of", device_of)
    return tmp_path


def test_rate_lines_without_rates_limit_nothing(sys_dir: Path) -> None:
    assert rate_lines(Rates(), ["/usr"], sys_dir) == RateLines()


@pytest.mark.parametrize(
    ("cores", "line"), [(0.01, "1000 100000"), (0.25, "25000 100000"), (1.0, "100000 100000"), (2.5, "250000 100000")]
)
def test_rate_lines_of_cores_are_a_share_of_each_period(cores: float, line: str, sys_dir: Path) -> None:
    assert rate_lines(Rates(cpu_cores=cores), ["/usr"], sys_dir) == RateLines(cpu_max=line)


def test_rate_lines_name_each_disk_once_and_never_a_partition(sys_dir: Path) -> None:
    lines = rate_lines(Rates(read_bps=1000, write_bps=2000, workspace=Path("/var")), ["/usr", "/srv"], sys_dir)
    assert lines == RateLines(io_max=("253:0 rbps=1000 wbps=2000", "8:0 rbps=1000 wbps=2000"))


def test_rate_lines_leave_out_a_rate_of_zero(sys_dir: Path) -> None:
    assert rate_lines(Rates(write_bps=7), ["/usr"], sys_dir).io_max == ("8:0 wbps=7",)
    assert rate_lines(Rates(read_bps=7), ["/usr"], sys_dir).io_max == ("8:0 rbps=7",)


def test_rate_lines_say_where_no_disk_can_be_limited(sys_dir: Path) -> None:
    lines = rate_lines(Rates(read_bps=1), ["/overlay", "/gone", "/absent"], sys_dir)
    assert (lines.io_max, "not limited" in lines.lack) == ((), True)
