"""``POST /problems/{id}/changes``, and ``changes`` in the answer of ``PUT /problems/{id}``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.api.house import House, form, house, package

OLD = {"1.in": "1 2\n", "1.out": "3\n"}
NEW = OLD | {"1.out": "4\n", "2.in": "0 0\n", "2.out": "0\n"}


async def sent(
    home: House, method: str, path: str, fields: dict[str, str], file: bytes | None
) -> tuple[int, dict[str, Any]]:
    body, kind = form(fields, file)
    token = await home.token_of("root")
    answer = await home.ask(method, f"/api/v1{path}", token=token, data=body, headers={"Content-Type": kind})
    return answer.status_code, await answer.get_json()


@pytest.fixture
async def home(tmp_path: Path) -> House:
    home = house(tmp_path)
    await home.account("root", is_admin=True)
    return home


async def test_comparison_changes_nothing_and_put_answers_the_same(home: House) -> None:
    _, made = await sent(home, "POST", "/problems", {"title": "Sum"}, package(OLD))
    path, before = f"/problems/{made['id']}", await home.store.problem(made["id"])
    status, changes = await sent(home, "POST", f"{path}/changes", {"time_limit": "2000"}, package(NEW))
    assert status == 200
    assert [(one["kind"], one["after"]["name"], one["parts"]) for one in changes["tests"]] == [
        ("changed", "1", ["answer"]), ("added", "2", []),
    ]  # fmt: skip
    assert changes["rules"] == [{"rule": "time_limit", "before": "1000 ms", "after": "2000 ms"}]
    assert (changes["added"], changes["changed"], changes["unchanged"]) == (1, 1, 0)
    assert changes["may_change_verdicts"] is True
    assert await home.store.problem(made["id"]) == before
    assert list(home.blobs.objects) == [f"problems/{made['id']}.zip"]
    status, changed = await sent(home, "PUT", path, {"time_limit": "2000"}, package(NEW))
    assert (status, changed["version"], changed["changes"]) == (200, 2, changes)
    status, changed = await sent(home, "PUT", path, {"title": "Sums"}, None)
    assert (status, changed["changes"]) == (200, None)


async def test_lost_package_is_replaced_without_a_comparison(home: House) -> None:
    number = await home.problem()
    status, body = await sent(home, "POST", f"/problems/{number}/changes", {}, package(NEW))
    assert (status, body["code"]) == (400, "INVALID_PACKAGE")
    assert "missing in the object store" in body["error"]
    status, changed = await sent(home, "PUT", f"/problems/{number}", {}, package(NEW))
    assert (status, changed["version"], changed["changes"]) == (200, 2, None)


async def test_comparison_wants_a_package_and_a_problem(home: House) -> None:
    number = await home.problem()
    assert (await sent(home, "POST", f"/problems/{number}/changes", {"time_limit": "1"}, None))[0] == 400
    assert (await sent(home, "POST", "/problems/999999/changes", {}, package(NEW)))[0] == 404
