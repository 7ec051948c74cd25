"""The W3C's HTML checker (vnu): ``python -m tests.web.html_checker`` installs it, as ``make test`` does.

npm has it as vnu-jar, a program for Java. No script of the package runs: it would fetch a Java of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from deploy import web_assets

ROOT = Path(__file__).parents[2]
_PACKAGE = Path(__file__).parent / "checker"
_BUILD = ROOT / "build" / "html-checker"
JAR = _BUILD / "node_modules" / "vnu-jar" / "build" / "dist" / "vnu.jar"
_PATIENCE_S = 300


def install() -> None:
    """Install what package-lock.json names, unless it is there."""
    lock, installed = _PACKAGE / "package-lock.json", _BUILD / "installed-lock.json"
    if JAR.exists() and installed.exists() and installed.read_bytes() == lock.read_bytes():
        return
    _BUILD.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(_PACKAGE / name, _BUILD / name)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    subprocess.run([*web_assets.npm(), "ci", *options], cwd=_BUILD, check=True, timeout=_PATIENCE_S)
    shutil.copyfile(lock, installed)


def errors_of(documents: Mapping[str, str]) -> list[str]:
    """Return the errors in documents, each with the name of its document."""
    assert JAR.exists(), f"{JAR} is missing: deploy/scripts/build.sh --test installs the HTML checker"
    with tempfile.TemporaryDirectory() as directory:
        for name, html in documents.items():
            (Path(directory) / f"{name}.html").write_text(html)
        options = ["--format", "json", "--errors-only", "--exit-zero-always"]
        done = subprocess.run(
            ["java", "-Xss4m", "-jar", JAR, *options, directory],
            capture_output=True, text=True, timeout=_PATIENCE_S, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [
        f"{Path(message['url']).stem}, line {message.get('lastLine', '?')}: {message['message']}"
        f" {message.get('extract', '')!r}"
        for message in json.loads(done.stderr)["messages"]
    ]


if __name__ == "__main__":
    install()
    sys.stdout.write(f"{JAR}\n")
