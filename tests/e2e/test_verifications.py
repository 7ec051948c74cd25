"""A node judges the submissions of a package below what people submit."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import House
from tests.e2e.nodes import ACCEPTED, VERDICT_S, package, until
from tests.e2e.test_rejudge import asked, audited

CASES = {
    "problem.yaml": "name: Sum\n",
    "data/secret/1.in": "1 2\n",
    "data/secret/1.ans": "3\n",
    "submissions/accepted/good.cpp": ACCEPTED,
    "submissions/wrong_answer/also_good.cpp": ACCEPTED,
    "submissions/compiler_error/broken.cpp": "int main({",
}


@pytest.mark.full
def test_a_package_is_verified_by_the_node_and_leaves_no_submission(house: House) -> None:
    node, token = house.node, house.node.token()
    problem_id = node.problem(token, data=package(CASES))
    path = f"/problems/{problem_id}/verification"
    assert asked(node, token, "POST", path)["total"] == 3

    def done() -> dict[str, Any]:
        body = asked(node, token, "GET", path)
        return body if body["state"] == "done" else {}

    body = until(done, within_s=VERDICT_S, what="the end of the verification")
    kept = {case["submission"].rpartition("/")[2]: (case["got"], case["status"]) for case in body["cases"]}
    assert kept == {
        "good.cpp": ("Accepted", "ok"),
        "also_good.cpp": ("Accepted", "differs"),
        "broken.cpp": ("Compile Error", "ok"),
    }
    assert (body["matched"], body["checked"], body["is_current"]) == (2, 3, True)
    assert asked(node, token, "GET", f"/submissions?problem_id={problem_id}")["submissions"] == []
    assert audited(house.home)["exceptions"] == []
