"""What is fuzzed, and how it is built. ``python -m tests.fuzz`` (``make fuzz``) runs libFuzzer on it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SANDBOX = HERE.parents[1] / "sandbox_ext"
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer")


@dataclass(frozen=True)
class Target:
    """``fuzz_<name>.c``, which feeds ``sandbox_ext/<name>.c`` what stands in ``corpus/<name>``, and more like it."""

    name: str

    @property
    def corpus(self) -> Path:
        return HERE / "corpus" / self.name

    def build(self, directory: Path, compiler: tuple[str, ...], more: tuple[Path, ...] = ()) -> Path:
        """The target as an executable in that directory. Raises CalledProcessError: it does not compile."""
        program = directory / f"fuzz_{self.name}"
        sources = (HERE / f"fuzz_{self.name}.c", SANDBOX / f"{self.name}.c", *more)
        flags = ("-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", *SANITIZERS, f"-I{SANDBOX}")
        subprocess.run((*compiler, *flags, "-o", program, *sources), check=True, timeout=300)
        return program


TARGETS = (Target("wire"), Target("proctext"))
