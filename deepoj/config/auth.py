"""The group ``api.auth``: login tokens, administrators, and login by GitHub."""

from __future__ import annotations

from typing import Literal

from deepoj.config.fields import DAY_SEC, Section, key, section


class GithubSection(Section):
    client_id: str = key("", "GITHUB_CLIENT_ID", doc="Client id of the OAuth application at GitHub.")
    client_secret: str = key(
        "",
        "GITHUB_CLIENT_SECRET",
        secret=True,
        doc="Client secret of the OAuth application at GitHub; preferably set in the environment.",
    )
    redirect_url: str = key(
        "http://localhost:18080/api/v1/auth/github/callback",
        "GITHUB_REDIRECT_URL",
        doc="Public URL of this API's callback, to which GitHub redirects browsers after login.",
    )
    base_url: str = key(
        "https://github.com",
        min_length=1,
        doc="URL of the GitHub login; change it for GitHub Enterprise.",
    )
    api_url: str = key("https://api.github.com", min_length=1, doc="URL of the GitHub API, for the user's identity.")
    timeout_sec: float = key(10, ge=0.1, le=60, doc="Timeout of one request to GitHub, in seconds.")


class OauthSection(Section):
    github: GithubSection = section(GithubSection)


class AuthSection(Section):
    jwt_secret: str = key(
        "",
        "JWT_SECRET",
        secret=True,
        doc="Key that signs login tokens, at least 16 characters, the same on every node with the API; "
        "changing it ends all logins.",
    )
    jwt_expire_hours: float = key(24, "JWT_EXPIRE_HOURS", ge=0.001, le=24 * 365, doc="Hours until a login expires.")
    oauth_state_ttl_sec: float = key(
        300,
        "OAUTH_STATE_TTL_SEC",
        ge=1,
        le=DAY_SEC,
        doc="Maximum seconds between the redirect to GitHub and the callback.",
    )
    admin_users: tuple[str, ...] = key((), "ADMIN_USERS", doc="Usernames reserved for administrators.")
    #: whether names in ``admin_users`` can be registered over HTTP
    admin_registration: Literal["open", "closed"] = key(
        "closed",
        "ADMIN_REGISTRATION",
        doc="Whether names in admin_users can be registered over HTTP; open only until you have yours.",
    )
    oauth: OauthSection = section(OauthSection)
