"""Logging in with GitHub on a running node, against a provider over HTTP."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.e2e.nodes import bearer, running
from tests.fakes.github import CLIENT_ID, CLIENT_SECRET, fake_github

REDIRECT = "http://127.0.0.1:18080/api/v1/auth/github/callback"


def test_a_person_from_github_logs_in_and_is_disabled(tmp_path: Path) -> None:
    with fake_github(REDIRECT) as github:
        env = {
            "GITHUB_CLIENT_ID": CLIENT_ID,
            "GITHUB_CLIENT_SECRET": CLIENT_SECRET,
            "GITHUB_REDIRECT_URL": REDIRECT,
            "DEEPOJ_API_AUTH_OAUTH_GITHUB_BASE_URL": github.url,
            "DEEPOJ_API_AUTH_OAUTH_GITHUB_API_URL": f"{github.url}/api",
        }
        with running(tmp_path / "home", env=env) as node:
            root = bearer(node.token("admin", "an administrators password"))
            node.token("octocat", "somebody elses password")
            with httpx.Client(base_url=node.base, timeout=60, trust_env=False) as browser:
                sent = browser.get("/api/v1/auth/github/login")
                assert sent.status_code == httpx.codes.TEMPORARY_REDIRECT
                back = browser.get(sent.headers["Location"])
                here = back.headers["Location"].replace("http://127.0.0.1:18080", node.base)
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
        for secret in (CLIENT_SECRET, person["token"], *github.tokens):
            assert secret not in node.log.read_text()
