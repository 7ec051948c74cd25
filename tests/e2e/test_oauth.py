"""Login with GitHub on a running node, against a provider over HTTP."""

from __future__ import annotations

import httpx

from tests.e2e.conftest import House
from tests.e2e.nodes import bearer
from tests.fakes.github import CLIENT_SECRET


def test_a_person_from_github_logs_in_and_is_disabled(house: House) -> None:
    node, github = house.node, house.github
    root = bearer(node.token())
    node.token("octocat", "somebody elses password")
    with httpx.Client(base_url=node.base, timeout=60, trust_env=False) as browser:
        sent = browser.get("/api/v1/auth/github/login")
        assert sent.status_code == httpx.codes.TEMPORARY_REDIRECT
        back = browser.get(sent.headers["Location"])
        assert back.headers["Location"].startswith(f"{github.redirect_url}?")
        here = f"/api/v1/auth/github/callback?{httpx.URL(back.headers['Location']).query.decode()}"
        entry = browser.get(here)
        assert entry.status_code == httpx.codes.OK, entry.text
        assert browser.get(here).status_code == httpx.codes.BAD_REQUEST
    person = entry.json()
    assert person["username"] == "octocat-2"
    mine = bearer(person["token"])
    assert node.client.get("/api/v1/users/me", headers=mine).json()["github_id"] == "583231"
    listed = node.client.get("/api/v1/admin/users?name=octo", headers=root).json()
    assert [user["username"] for user in listed["users"]] == ["octocat", "octocat-2"]
    off = node.client.post(f"/api/v1/admin/users/{person['user_id']}/disable", headers=root)
    assert off.status_code == httpx.codes.OK, off.text
    assert node.client.get("/api/v1/users/me", headers=mine).status_code == httpx.codes.UNAUTHORIZED
    log = node.log.read_text()
    assert github.tokens
    for secret in (CLIENT_SECRET, person["token"], *github.tokens):
        assert secret not in log
