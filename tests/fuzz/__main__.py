"""libFuzzer on every target: ``python -m tests.fuzz [--seconds N]``. Needs clang.

What it finds stands in the working directory as ``crash-…``, ``timeout-…`` or ``leak-…``; what covers more than the
corpus is kept in ``.fuzz/<target>``, so that the next time goes on from there.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    seconds = parser.parse_args().seconds
    if shutil.which("clang") is None:
        sys.exit("make fuzz needs clang and its run-time library: apt-get install clang libclang-rt-19-dev")
    worst = 0
    for target in TARGETS:
        grown = Path(".fuzz") / target.name
        grown.mkdir(parents=True, exist_ok=True)
        program = target.build(Path(".fuzz"), ("clang", "-fsanitize=fuzzer"))
        options = [f"-max_total_time={seconds}", "-max_len=8192", "-print_final_stats=1"]
        command = [str(program.resolve()), *options, str(grown), str(target.corpus)]
        worst = max(worst, subprocess.run(command, check=False).returncode)
    return 1 if worst else 0


if __name__ == "__main__":
    sys.exit(main())
