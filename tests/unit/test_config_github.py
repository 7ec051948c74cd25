"""What logging in with GitHub needs of the settings, before a node starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepoj.config.checks import require_startable
from deepoj.config.draft import ConfigError
from deepoj.config.loader import load
from deepoj.wiring.adapters import github_of
from deepoj.wiring.settings import serving

GITHUB = "DEEPOJ_API_AUTH_OAUTH_GITHUB_"
ASKED = {
    "JWT_SECRET": "0123456789abcdef0123456789abcdef",
    "GITHUB_CLIENT_ID": "Iv1.a",
    "GITHUB_CLIENT_SECRET": "s3cret",
}


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_login_with_github_is_off_without_a_client() -> None:
    cfg = load({}, {"JWT_SECRET": ASKED["JWT_SECRET"], "GITHUB_CLIENT_SECRET": "s3cret"})
    require_startable(cfg)
    assert github_of(cfg) is None


def test_with_one_the_settings_reach_those_who_need_them() -> None:
    told = {
        **ASKED, "GITHUB_REDIRECT_URL": "https://oj.example/cb", "OAUTH_STATE_TTL_SEC": "77",
        GITHUB + "BASE_URL": "https://git.example/", GITHUB + "API_URL": "https://git.example/api/v3/",
    }  # fmt: skip
    cfg = load({}, told)
    require_startable(cfg)
    assert not cfg.warnings
    door = github_of(cfg)
    assert door is not None
    assert door.authorize_url("st", "ch") == (
        "https://git.example/login/oauth/authorize?client_id=Iv1.a&redirect_uri=https%3A%2F%2Foj.example%2Fcb"
        "&response_type=code&state=st&code_challenge=ch&code_challenge_method=S256"
    )
    settings = serving(cfg, "x", "", "")
    assert (settings.oauth_state_ttl_s, settings.github_redirect_url) == (77.0, "https://oj.example/cb")


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"GITHUB_CLIENT_SECRET": ""}, "GITHUB_CLIENT_SECRET"),
        ({"GITHUB_REDIRECT_URL": "/api/v1/auth/github/callback"}, "redirect_url"),
        ({"GITHUB_REDIRECT_URL": "ftp://oj.example/cb"}, "redirect_url"),
        ({"GITHUB_REDIRECT_URL": "https://oj.example/cb?a=b"}, "redirect_url"),
        ({"GITHUB_REDIRECT_URL": "https://oj.example:port/cb"}, "redirect_url"),
        ({GITHUB + "BASE_URL": "github.com"}, "base_url"),
        ({GITHUB + "BASE_URL": "https://"}, "base_url"),
        ({GITHUB + "BASE_URL": "http://git.example"}, "base_url"),
        ({GITHUB + "API_URL": "http://10.0.0.1/api"}, "api_url"),
        ({GITHUB + "API_URL": "https://me:hunter2@git.example"}, "api_url"),
    ],
)
@pytest.mark.parametrize("embedded", ["true", "false"])
def test_a_login_that_could_not_work_or_would_leak_is_refused(told: dict[str, str], says: str, embedded: str) -> None:
    cfg = load({}, {**ASKED, **told, "DEEPOJ_EMBEDDED": embedded})
    with pytest.raises(ConfigError, match=says) as refused:
        require_startable(cfg)
    assert "hunter2" not in str(refused.value)
    # a node without the API logs no user in
    require_startable(load({"roles": "worker"}, {**ASKED, **told}))


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:1", "[::1]:9"])
def test_in_the_clear_on_this_host_only(host: str) -> None:
    require_startable(load({}, {**ASKED, GITHUB + "BASE_URL": f"http://{host}", GITHUB + "API_URL": f"http://{host}"}))
