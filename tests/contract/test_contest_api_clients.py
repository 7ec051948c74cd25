"""Clients that know a host alone: DOMjudge's ``submit`` and the tools of the ICPC, by the calls that they make."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.contract.test_contest_api import Scene, basic, scene

__all__ = ["scene"]

_CPP = "int main() { return 0; }\n"


async def asked(scene: Scene, path: str, name: str = "alice") -> tuple[int, Any]:
    """Ask as ``requests`` does with a netrc."""
    answer = await scene.home.ask(
        "GET", path, headers={**basic(name), "Accept": "*/*", "User-Agent": "domjudge-submit"}
    )
    body = await answer.get_data()
    return answer.status_code, json.loads(body) if answer.content_type == "application/json" else body


def form(fields: dict[str, str], files: Sequence[tuple[str, str]], field: str = "code[]") -> tuple[bytes, str]:
    """Return body and type as ``requests.post(url, data=…, files=[("code[]", …)])`` sends them."""
    parts = [f'--b\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in fields.items()]
    parts += [
        f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n{content}\r\n'
        for name, content in files
    ]
    return "".join([*parts, "--b--\r\n"]).encode(), "multipart/form-data; boundary=b"


async def submitted(
    scene: Scene, url: str, fields: dict[str, str], files: Sequence[tuple[str, str]], name: str = "alice", **more: str
) -> tuple[int, Any]:
    body, content_type = form(fields, files, **more)
    headers = {**basic(name), "Accept": "*/*", "Content-Type": content_type}
    answer = await scene.home.ask("POST", url, headers=headers, data=body)
    return answer.status_code, json.loads(await answer.get_data())


@pytest.mark.parametrize("base", ["/api/", "/api/v4/"])
async def test_submit_of_domjudge_finds_the_contest_and_submits(scene: Scene, base: str) -> None:
    """The calls of ``submit -u HOST B.cc``, in their order, and what it checks of each answer."""
    status, contests = await asked(scene, f"{base}contests")
    assert status == 200
    assert [one["shortname"] for one in contests] == [one["id"] for one in contests] == ["finals"]
    status, languages = await asked(scene, f"{base}contests/finals/languages")
    assert status == 200
    assert all(one["id"] and one["extensions"] for one in languages)
    assert not any(one["entry_point_required"] or None in one.values() for one in languages)
    (language, *_) = [one["id"] for one in languages if "cc" in {each.lower() for each in one["extensions"]}]
    status, problems = await asked(scene, f"{base}contests/finals/problems")
    assert (status, [(one["id"], one["label"]) for one in problems]) == (200, [("A", "A")])
    fields = {"problem": "A", "language": language}
    status, sent = await submitted(scene, f"{base}contests/finals/submissions", fields, [("A.cc", _CPP)])
    assert status == 200, sent
    assert (sent["problem_id"], sent["language_id"], sent["team_id"]) == ("A", language, "t-alice")
    assert isinstance(sent["id"], str)
    assert dt.datetime.fromisoformat(sent["time"]).tzinfo is not None
    (row,) = scene.real.rows("SELECT code, entry_point FROM submissions")
    assert (row["code"], row["entry_point"]) == (_CPP, "A.cc")


@pytest.mark.parametrize(
    ("fields", "files", "entry_point"),
    [
        ({"language": "cpp17"}, [("b.cpp", _CPP), ("a.cpp", "int a;\n")], "b.cpp"),
        ({"language": "java", "entry_point": "org.Hello"}, [("X.java", "x"), ("Hello.java", "x")], "Hello.java"),
        ({"language": "python3", "entry_point": "two.py"}, [("one.py", "1"), ("two.py", "2")], "two.py"),
        ({"language_id": "java", "entry_point": "A"}, [("A.java", "class A {}")], "A.java"),
    ],
)
async def test_form_of_several_files_names_the_main_one(
    scene: Scene, fields: dict[str, str], files: list[tuple[str, str]], entry_point: str
) -> None:
    status, sent = await submitted(scene, "/api/contests/finals/submissions", {"problem_id": "A", **fields}, files)
    assert status == 200, sent
    (row,) = scene.real.rows("SELECT entry_point FROM submissions")
    assert row["entry_point"] == entry_point


@pytest.mark.parametrize(
    ("name", "fields", "files", "status"),
    [
        ("alice", {"problem": "Z", "language": "cpp17"}, [("A.cc", _CPP)], 400),
        ("alice", {"problem": "A", "language": "intercal"}, [("A.cc", _CPP)], 400),
        ("alice", {"problem": "A"}, [("A.cc", _CPP)], 400),
        ("alice", {"problem": "A", "language": "cpp17"}, [], 400),
        ("alice", {"problem": "A", "language": "cpp17"}, [("../A.cc", _CPP), ("b.cc", _CPP)], 400),
        ("alice", {"problem": "A", "language": "cpp17"}, [("A.cc", "")], 400),
        ("carol", {"problem": "A", "language": "cpp17"}, [("A.cc", _CPP)], 403),
        ("root", {"problem": "A", "language": "cpp17"}, [("A.cc", _CPP)], 403),
    ],
)
async def test_form_that_is_refused_stores_nothing(
    scene: Scene, name: str, fields: dict[str, str], files: list[tuple[str, str]], status: int
) -> None:
    answer, body = await submitted(scene, "/api/contests/finals/submissions", fields, files, name)
    assert (answer, set(body)) == (status, {"code", "message"}), body
    assert scene.real.rows("SELECT job_id FROM submissions") == []


async def test_tools_of_the_icpc_find_the_contest_below_the_host(scene: Scene) -> None:
    """``ContestAPIHelper`` takes a base that has a version, or looks for a list at ``api/contests``."""
    status, root = await asked(scene, "/api", "root")
    assert (status, {"version", "version_url"} <= set(root)) == (200, True)
    status, listed = await asked(scene, "/api/contests", "root")
    assert (status, [one["id"] for one in listed]) == (200, ["finals"])
    for path in ("", "/state", "/teams/t-bob", "/scoreboard", "/access", "/event-feed"):
        found = await asked(scene, f"/api/contests/finals{path}", "root")
        assert found == await asked(scene, f"/clics/contests/finals{path}", "root"), path
    assert "shortname" not in (await asked(scene, "/clics/contests"))[1][0], "the specification does not have it"
    for path in ("/api/contests/none", "/api/v4/contests/finals/none"):
        status, body = await asked(scene, path)
        assert (status, body["code"]) == (404, 404), "errors of the specification"
    wrong = await scene.home.ask("GET", "/api/contests", headers=basic("alice", "wrong"))
    assert (wrong.status_code, wrong.headers["WWW-Authenticate"].split(" ")[0]) == (401, "Basic")
    for path in ("/api/v3/contests", "/api/contestsx", "/api/v1", "/apicontests"):
        assert (await asked(scene, path))[0] == 404, path
