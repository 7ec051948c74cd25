"""The rights of each kind of caller on each route, as one table; rights are checked before the request."""

from __future__ import annotations

import base64
import hmac
import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deepoj.api.app import create_metrics_app
from deepoj.judging.result import as_result
from deepoj.words.accounts import User, UserRole
from deepoj.words.groups import UserGroup
from deepoj.words.jobs import Claim
from deepoj.words.playground import CustomStatus
from deepoj.words.results import Verdict
from tests.api.house import SECRET, House, forged, form, house, package, submission
from tests.api.test_runs import MEASURES, Setting
from tests.contract.labs import entry
from tests.unit.makers import a_report

_LATER = 4_000_000_000

#: who × route → status. Callers in the order of the rows' columns.
_CALLERS = ("anonymous", "bad", "owner", "other", "admin")
_ROUTES: tuple[tuple[str, str, tuple[int, int, int, int, int]], ...] = (
    ("GET", "/api/v1/health", (200, 200, 200, 200, 200)),
    ("GET", "/api/v1/ready", (200, 200, 200, 200, 200)),
    ("GET", "/api/v1/languages", (200, 200, 200, 200, 200)),
    ("GET", "/metrics", (403, 403, 403, 403, 403)),
    ("GET", "/openapi.json", (200, 200, 200, 200, 200)),
    ("GET", "/docs", (200, 200, 200, 200, 200)),
    ("GET", "/", (307, 307, 307, 307, 307)),
    ("POST", "/api/v1/auth/register", (409, 409, 409, 409, 409)),
    ("POST", "/api/v1/auth/login", (401, 401, 401, 401, 401)),
    ("GET", "/api/v1/problems/{problem}", (200, 200, 200, 200, 200)),
    ("GET", "/api/v1/problems/{problem}/statement", (200, 200, 200, 200, 200)),
    ("GET", "/api/v1/problems/{problem}/statement/{lang}", (404, 404, 404, 404, 404)),
    ("GET", "/api/v1/problems/{problem}/statement/files/{file}", (404, 404, 404, 404, 404)),
    ("GET", "/api/v1/problems/{problem}/attachments/{file}", (404, 404, 404, 404, 404)),
    ("GET", "/api/v1/problems/{problem}/statement/{lang}/source", (401, 401, 403, 403, 400)),
    ("PUT", "/api/v1/problems/{problem}/statement/{lang}", (401, 401, 403, 403, 409)),
    ("DELETE", "/api/v1/problems/{problem}/statement/{lang}", (401, 401, 403, 403, 409)),
    ("GET", "/api/v1/problems/{problem}/package", (401, 401, 403, 403, 400)),
    ("GET", "/api/v1/users/me", (401, 401, 200, 200, 200)),
    ("GET", "/api/v1/problems", (200, 200, 200, 200, 200)),
    ("PUT", "/api/v1/problems/{problem}", (401, 401, 403, 403, 200)),
    ("POST", "/api/v1/problems/{problem}/changes", (401, 401, 403, 403, 200)),
    ("GET", "/api/v1/problems/{problem}/rejudge", (401, 401, 403, 403, 404)),
    ("POST", "/api/v1/problems/{problem}/rejudge", (401, 401, 403, 403, 202)),
    ("POST", "/api/v1/submissions/{job}/rejudge", (401, 401, 403, 403, 409)),
    ("DELETE", "/api/v1/problems/{problem}", (401, 401, 403, 403, 409)),
    ("POST", "/api/v1/problems", (401, 401, 403, 403, 200)),
    ("POST", "/api/v1/submit", (401, 401, 200, 200, 200)),
    ("GET", "/api/v1/status/{job}", (401, 401, 200, 403, 200)),
    ("GET", "/api/v1/status/{ended}/events", (401, 401, 200, 403, 200)),
    ("POST", "/api/v1/run", (401, 401, 202, 202, 202)),
    ("GET", "/api/v1/run/{run}", (401, 401, 200, 403, 403)),
    ("GET", "/api/v1/run/{run}/events", (401, 401, 200, 403, 403)),
    ("GET", "/api/v1/submissions", (401, 401, 200, 200, 200)),
    ("GET", "/api/v1/submissions/batch", (401, 401, 200, 200, 200)),
    ("POST", "/api/v1/submissions/batch", (401, 401, 415, 415, 415)),
    ("GET", "/api/v1/submissions/batch/{batch}", (401, 401, 200, 403, 200)),
    ("GET", "/api/v1/submissions/batch/{batch}/results", (401, 401, 200, 403, 200)),
    ("POST", "/api/v1/submissions/batch/{batch}/cancel", (401, 401, 200, 403, 403)),
    ("GET", "/api/v1/submissions/{job}", (401, 401, 200, 403, 200)),
    ("GET", "/api/v1/admin/dlq", (401, 401, 403, 403, 200)),
    ("GET", "/api/v1/admin/dlq/{job}", (401, 401, 403, 403, 404)),
    ("POST", "/api/v1/admin/dlq/{job}/requeue", (401, 401, 403, 403, 409)),
    ("POST", "/api/v1/admin/dlq/{job}/discard", (401, 401, 403, 403, 409)),
    ("GET", "/api/v1/users/me/webhook-secret", (401, 401, 404, 404, 404)),  # disabled in this application
    ("POST", "/api/v1/users/me/webhook-secret/rotate", (401, 401, 404, 404, 404)),
    ("GET", "/api/v1/admin/webhooks", (401, 401, 403, 403, 200)),
    ("POST", "/api/v1/admin/webhooks/{job}/redeliver", (401, 401, 403, 403, 404)),
    ("POST", "/api/v1/users/me/password", (401, 401, 400, 400, 400)),
    ("GET", "/api/v1/admin/users", (401, 401, 403, 403, 200)),
    ("GET", "/api/v1/admin/users/{user}", (401, 401, 403, 403, 200)),
    ("POST", "/api/v1/admin/users/{user}/promote", (401, 401, 403, 403, 200)),
    ("POST", "/api/v1/admin/users/{user}/demote", (401, 401, 403, 403, 200)),
    ("POST", "/api/v1/admin/users/{user}/disable", (401, 401, 403, 403, 200)),
    ("POST", "/api/v1/admin/users/{user}/enable", (401, 401, 403, 403, 200)),
    ("PUT", "/api/v1/admin/users/{user}/roles", (401, 401, 403, 403, 200)),
    ("GET", "/api/v1/admin/groups", (401, 401, 403, 403, 200)),
    ("POST", "/api/v1/admin/groups", (401, 401, 403, 403, 200)),
    ("GET", "/api/v1/admin/groups/{group}", (401, 401, 403, 403, 200)),
    ("PUT", "/api/v1/admin/groups/{group}", (401, 401, 403, 403, 200)),
    ("POST", "/api/v1/admin/groups/{group}/members", (401, 401, 403, 403, 200)),
    ("DELETE", "/api/v1/admin/groups/{group}/members/{user}", (401, 401, 403, 403, 200)),
    ("DELETE", "/api/v1/admin/groups/{group}", (401, 401, 403, 403, 200)),
    ("POST", "/api/v1/admin/users/{user}/password", (401, 401, 403, 403, 200)),
    ("GET", "/api/v1/admin/nodes", (401, 401, 403, 403, 200)),
    ("GET", "/api/v1/admin/audit", (401, 401, 403, 403, 200)),
    ("POST", "/api/v1/admin/audit", (401, 401, 403, 403, 202)),
    ("POST", "/api/v1/problems/{problem}/verification", (401, 401, 403, 403, 400)),
    ("GET", "/api/v1/problems/{problem}/verification", (401, 401, 403, 403, 404)),
    ("DELETE", "/api/v1/problems/{problem}/verification", (401, 401, 403, 403, 404)),
    ("POST", "/api/v1/problems/{problem}/rejudge-previews", (401, 401, 403, 403, 400)),  # no verdict yet
    ("GET", "/api/v1/problems/{problem}/rejudge-previews/{preview}", (401, 401, 403, 403, 404)),
    ("POST", "/api/v1/problems/{problem}/rejudge-previews/{preview}/apply", (401, 401, 403, 403, 404)),
    ("POST", "/api/v1/problems/{problem}/rejudge-previews/{preview}/cancel", (401, 401, 403, 403, 404)),
    ("POST", "/api/v1/submissions/{job}/reruns", (401, 401, 403, 403, 400)),  # no test is named
    ("GET", "/api/v1/submissions/{job}/reruns/{rerun}", (401, 401, 403, 403, 404)),
    ("GET", "/api/v1/problems/{problem}/rejudges", (401, 401, 403, 403, 200)),
    # there are no contests in this store: see tests/contests/test_route_rights.py
    ("GET", "/api/v1/contests", (200, 200, 200, 200, 200)),
    ("POST", "/api/v1/contests", (401, 401, 403, 403, 400)),
    ("GET", "/api/v1/contests/{contest}", (404, 404, 404, 404, 404)),
    ("PATCH", "/api/v1/contests/{contest}", (401, 401, 403, 403, 404)),
    ("DELETE", "/api/v1/contests/{contest}", (401, 401, 403, 403, 404)),
    ("PUT", "/api/v1/contests/{contest}/problems/{label}", (401, 401, 403, 403, 404)),
    ("DELETE", "/api/v1/contests/{contest}/problems/{label}", (401, 401, 403, 403, 404)),
    ("GET", "/api/v1/contests/{contest}/teams", (404, 404, 404, 404, 404)),
    ("POST", "/api/v1/contests/{contest}/teams", (401, 401, 403, 403, 404)),
    ("GET", "/api/v1/contests/{contest}/waits", (401, 401, 403, 403, 404)),
    ("POST", "/api/v1/contests/{contest}/submit", (401, 401, 404, 404, 404)),
    ("POST", "/api/v1/contests/{contest}/registration", (401, 401, 404, 404, 404)),
    ("DELETE", "/api/v1/contests/{contest}/registration", (401, 401, 404, 404, 404)),
    ("GET", "/api/v1/contests/{contest}/clarifications", (404, 404, 404, 404, 404)),
    ("POST", "/api/v1/contests/{contest}/clarifications", (401, 401, 404, 404, 404)),
    ("GET", "/api/v1/contests/{contest}/scoreboard", (404, 404, 404, 404, 404)),
    ("GET", "/api/v1/contests/{contest}/scoreboard.csv", (404, 404, 404, 404, 404)),
    ("GET", "/api/v1/contests/{contest}/scoreboard.html", (404, 404, 404, 404, 404)),
    ("GET", "/api/v1/contests/{contest}/scoreboard/{team}/{label}", (404, 404, 404, 404, 404)),
    ("GET", "/api/v1/contests/{contest}/submissions", (404, 404, 404, 404, 404)),
    ("GET", "/api/v1/contests/{contest}/awards", (404, 404, 404, 404, 404)),
    ("GET", "/api/v1/contests/{contest}/clock", (401, 401, 403, 403, 404)),
    ("POST", "/api/v1/contests/{contest}/clock", (401, 401, 403, 403, 404)),
    ("POST", "/api/v1/contests/{contest}/finalize", (401, 401, 403, 403, 404)),
    ("POST", "/api/v1/contests/{contest}/copy", (401, 401, 403, 403, 404)),
    ("PATCH", "/api/v1/contests/{contest}/teams/{team}", (401, 401, 403, 403, 404)),
    ("DELETE", "/api/v1/contests/{contest}/teams/{team}", (401, 401, 403, 403, 404)),
    ("POST", "/api/v1/contests/{contest}/credentials", (401, 401, 403, 403, 404)),
    ("GET", "/api/v1/contests/{contest}/credentials", (401, 401, 403, 403, 404)),
    ("POST", "/api/v1/contests/{contest}/credentials/{set}/apply", (401, 401, 403, 403, 404)),
    ("DELETE", "/api/v1/contests/{contest}/credentials/{set}", (401, 401, 403, 403, 404)),
    ("POST", "/api/v1/contests/{contest}/practice", (401, 401, 403, 403, 404)),
    ("GET", "/api/v1/contests/{contest}/problems/{label}/statement", (401, 401, 404, 404, 404)),
    ("GET", "/api/v1/contests/{contest}/problems/{label}/statement/files/{file}", (401, 401, 404, 404, 404)),
    ("GET", "/api/v1/contests/{contest}/problems/{label}/statement/{lang}/source", (401, 401, 403, 403, 404)),
    ("PUT", "/api/v1/contests/{contest}/problems/{label}/statement/{lang}", (401, 401, 403, 403, 404)),
    ("DELETE", "/api/v1/contests/{contest}/problems/{label}/statement/{lang}", (401, 401, 403, 403, 404)),
    ("GET", "/api/v1/contests/{contest}/problems/{label}/attachments/{file}", (401, 401, 404, 404, 404)),
    ("GET", "/api/v1/contests/{contest}/rejudges", (401, 401, 403, 403, 404)),
    ("POST", "/api/v1/contests/{contest}/rejudges", (401, 401, 403, 403, 404)),
    ("GET", "/api/v1/contests/{contest}/rejudges/{preview}", (401, 401, 403, 403, 404)),
    ("POST", "/api/v1/contests/{contest}/rejudges/{preview}/apply", (401, 401, 403, 403, 404)),
    ("POST", "/api/v1/contests/{contest}/rejudges/{preview}/cancel", (401, 401, 403, 403, 404)),
    ("GET", "/api/v1/contests/{contest}/texts", (404, 404, 404, 404, 404)),
    ("PUT", "/api/v1/contests/{contest}/texts", (401, 401, 403, 403, 404)),
    ("GET", "/api/v1/contests/{contest}/reviews", (401, 401, 403, 403, 404)),
    ("GET", "/api/v1/contests/{contest}/results.tsv", (401, 401, 403, 403, 404)),
    ("GET", "/api/v1/contests/{contest}/results.json", (401, 401, 403, 403, 404)),
    ("GET", "/api/v1/contests/{contest}/submissions/{sent}/review", (401, 401, 403, 403, 404)),
    ("POST", "/api/v1/contests/{contest}/submissions/{sent}/review", (401, 401, 403, 403, 404)),
    ("GET", "/api/v1/users/me/export", (401, 401, 200, 200, 200)),
    ("GET", "/api/v1/users/me/tokens", (401, 401, 200, 200, 200)),
    ("POST", "/api/v1/users/me/tokens", (401, 401, 403, 403, 403)),  # the password is wrong
    ("DELETE", "/api/v1/users/me/tokens/{token}", (401, 401, 404, 404, 404)),
    ("DELETE", "/api/v1/users/me", (401, 401, 403, 403, 403)),  # the password is wrong
    ("DELETE", "/api/v1/admin/users/{user}", (401, 401, 403, 403, 200)),
    ("GET", "/api/v1/auth/github/login", (404, 404, 404, 404, 404)),
    ("GET", "/api/v1/auth/github/callback", (404, 404, 404, 404, 404)),
    # there are no contests here: tests/contract/test_contest_api.py
    ("GET", "/clics/", (200, 401, 200, 200, 200)),
    ("GET", "/clics/contests", (200, 401, 200, 200, 200)),
    ("GET", "/clics/contests/{contest}", (404, 401, 404, 404, 404)),
    ("PATCH", "/clics/contests/{contest}", (401, 401, 404, 404, 404)),
    ("GET", "/clics/contests/{contest}/event-feed", (404, 401, 404, 404, 404)),
    ("GET", "/clics/contests/{contest}/{endpoint}", (404, 401, 404, 404, 404)),
    ("GET", "/clics/contests/{contest}/{endpoint}/{object}", (404, 401, 404, 404, 404)),
    ("GET", "/clics/contests/{contest}/submissions/{object}/files", (404, 401, 404, 404, 404)),
    ("GET", "/clics/contests/{contest}/problems/{label}/statement/{lang}", (404, 401, 404, 404, 404)),
    ("POST", "/clics/contests/{contest}/submissions", (401, 401, 404, 404, 404)),
    ("POST", "/clics/contests/{contest}/clarifications", (401, 401, 404, 404, 404)),
    ("POST", "/clics/contests/{contest}/commentary", (401, 401, 404, 404, 404)),
    ("POST", "/clics/contests/{contest}/awards", (401, 401, 404, 404, 404)),
    ("PUT", "/clics/contests/{contest}/awards/{object}", (401, 401, 404, 404, 404)),
    ("PATCH", "/clics/contests/{contest}/awards/{object}", (401, 401, 404, 404, 404)),
    ("DELETE", "/clics/contests/{contest}/awards/{object}", (401, 401, 404, 404, 404)),
    ("GET", "/clics/webhooks", (401, 401, 200, 200, 200)),
    ("GET", "/clics/webhooks/{object}", (401, 401, 404, 404, 404)),
    ("POST", "/clics/webhooks", (401, 401, 400, 400, 400)),
    ("DELETE", "/clics/webhooks/{object}", (401, 401, 404, 404, 404)),
)


#: what the roles get that an account without any does not: the setter of the problem, another setter, the jury, an
#: operator. On all other routes they get what ``other`` gets.
_ROLE_CALLERS = ("setter", "other setter", "jury", "operator")
_ROLES: dict[tuple[str, str], tuple[int, int, int, int]] = {
    ("PUT", "/api/v1/problems/{problem}"): (200, 403, 403, 403),
    ("POST", "/api/v1/problems/{problem}/changes"): (200, 403, 403, 403),
    ("GET", "/api/v1/problems/{problem}/rejudge"): (404, 403, 404, 403),
    ("POST", "/api/v1/problems/{problem}/rejudge"): (202, 403, 202, 403),
    ("POST", "/api/v1/submissions/{job}/rejudge"): (409, 403, 409, 403),
    ("POST", "/api/v1/problems/{problem}/verification"): (400, 403, 400, 403),
    ("GET", "/api/v1/problems/{problem}/verification"): (404, 403, 404, 403),
    ("DELETE", "/api/v1/problems/{problem}/verification"): (404, 403, 404, 403),
    ("POST", "/api/v1/problems/{problem}/rejudge-previews"): (400, 403, 400, 403),
    ("GET", "/api/v1/problems/{problem}/rejudge-previews/{preview}"): (404, 403, 404, 403),
    ("POST", "/api/v1/problems/{problem}/rejudge-previews/{preview}/apply"): (404, 403, 404, 403),
    ("POST", "/api/v1/problems/{problem}/rejudge-previews/{preview}/cancel"): (404, 403, 404, 403),
    ("POST", "/api/v1/submissions/{job}/reruns"): (400, 403, 400, 403),
    ("GET", "/api/v1/submissions/{job}/reruns/{rerun}"): (404, 403, 404, 403),
    ("GET", "/api/v1/problems/{problem}/rejudges"): (200, 403, 200, 403),
    ("DELETE", "/api/v1/problems/{problem}"): (409, 403, 403, 403),
    ("POST", "/api/v1/problems"): (200, 200, 403, 403),
    ("GET", "/api/v1/status/{job}"): (200, 403, 200, 403),
    ("GET", "/api/v1/status/{ended}/events"): (403, 403, 200, 403),  # of another problem
    ("GET", "/api/v1/submissions/batch/{batch}"): (403, 403, 200, 403),
    ("GET", "/api/v1/submissions/batch/{batch}/results"): (403, 403, 200, 403),
    ("GET", "/api/v1/submissions/{job}"): (200, 403, 200, 403),
    ("GET", "/api/v1/problems/{problem}/statement/{lang}/source"): (400, 403, 403, 403),
    ("PUT", "/api/v1/problems/{problem}/statement/{lang}"): (409, 403, 403, 403),
    ("DELETE", "/api/v1/problems/{problem}/statement/{lang}"): (409, 403, 403, 403),
    ("GET", "/api/v1/problems/{problem}/package"): (400, 403, 403, 403),
    ("POST", "/api/v1/contests"): (403, 403, 400, 403),
    ("PATCH", "/api/v1/contests/{contest}"): (403, 403, 404, 403),
    ("DELETE", "/api/v1/contests/{contest}"): (403, 403, 404, 403),
    ("PUT", "/api/v1/contests/{contest}/problems/{label}"): (403, 403, 404, 403),
    ("GET", "/api/v1/contests/{contest}/problems/{label}/statement/{lang}/source"): (403, 403, 404, 403),
    ("PUT", "/api/v1/contests/{contest}/problems/{label}/statement/{lang}"): (403, 403, 404, 403),
    ("DELETE", "/api/v1/contests/{contest}/problems/{label}/statement/{lang}"): (403, 403, 404, 403),
    ("DELETE", "/api/v1/contests/{contest}/problems/{label}"): (403, 403, 404, 403),
    ("POST", "/api/v1/contests/{contest}/teams"): (403, 403, 404, 403),
    ("GET", "/api/v1/contests/{contest}/waits"): (403, 403, 404, 403),
    ("POST", "/api/v1/contests/{contest}/finalize"): (403, 403, 404, 403),
    ("POST", "/api/v1/contests/{contest}/copy"): (403, 403, 404, 403),
    ("PATCH", "/api/v1/contests/{contest}/teams/{team}"): (403, 403, 404, 403),
    ("DELETE", "/api/v1/contests/{contest}/teams/{team}"): (403, 403, 404, 403),
    ("POST", "/api/v1/contests/{contest}/practice"): (403, 403, 404, 403),
    ("GET", "/api/v1/contests/{contest}/rejudges"): (403, 403, 404, 403),
    ("POST", "/api/v1/contests/{contest}/rejudges"): (403, 403, 404, 403),
    ("GET", "/api/v1/contests/{contest}/rejudges/{preview}"): (403, 403, 404, 403),
    ("POST", "/api/v1/contests/{contest}/rejudges/{preview}/apply"): (403, 403, 404, 403),
    ("POST", "/api/v1/contests/{contest}/rejudges/{preview}/cancel"): (403, 403, 404, 403),
    ("PUT", "/api/v1/contests/{contest}/texts"): (403, 403, 404, 403),
    ("GET", "/api/v1/contests/{contest}/reviews"): (403, 403, 404, 403),
    ("GET", "/api/v1/contests/{contest}/results.tsv"): (403, 403, 404, 403),
    ("GET", "/api/v1/contests/{contest}/results.json"): (403, 403, 404, 403),
    ("GET", "/api/v1/contests/{contest}/submissions/{sent}/review"): (403, 403, 404, 403),
    ("POST", "/api/v1/contests/{contest}/submissions/{sent}/review"): (403, 403, 404, 403),
    ("GET", "/api/v1/contests/{contest}/clock"): (403, 403, 404, 403),
    ("POST", "/api/v1/contests/{contest}/clock"): (403, 403, 404, 403),
    ("GET", "/api/v1/admin/dlq"): (403, 403, 403, 200),
    ("GET", "/api/v1/admin/nodes"): (403, 403, 403, 200),
    ("GET", "/api/v1/admin/audit"): (403, 403, 403, 200),
    ("POST", "/api/v1/admin/audit"): (403, 403, 403, 202),
    ("GET", "/api/v1/admin/dlq/{job}"): (403, 403, 403, 404),
    ("POST", "/api/v1/admin/dlq/{job}/requeue"): (403, 403, 403, 409),
    ("POST", "/api/v1/admin/dlq/{job}/discard"): (403, 403, 403, 409),
    ("GET", "/api/v1/admin/webhooks"): (403, 403, 403, 200),
    ("POST", "/api/v1/admin/webhooks/{job}/redeliver"): (403, 403, 403, 404),
}


async def _role_tokens(home: House, problem_id: int) -> dict[str, str]:
    """Return a token for each role; the first is that of the account which made the problem."""
    roles = (UserRole.SETTER, UserRole.SETTER, UserRole.JURY, UserRole.OPERATOR)
    tokens = {}
    for caller, role in zip(_ROLE_CALLERS, roles, strict=True):
        name = caller.replace(" ", "-")
        user = await home.account(name)
        await home.ports.accounts.change_rights(user.id, roles=[role], by=None)
        tokens[caller] = await home.token_of(name)
        if caller == "setter":
            problem = await home.ports.problems.problem(problem_id)
            assert problem is not None
            await home.ports.problems.insert_problem(replace(problem, created_by=user.id))
    return tokens


async def _setting(home: House) -> tuple[dict[str, str | None], dict[str, str]]:
    owner, other = await home.token("owner"), await home.token("other")
    problem = await home.problem()
    tokens = {
        "anonymous": None,
        "bad": "not.a.token",
        "owner": owner,
        "other": other,
        "admin": await home.token("root", is_admin=True),
    }
    subject = await home.account("subject")
    group = await home.ports.groups.create_group("class", by="root")
    assert isinstance(group, UserGroup)
    await home.ports.groups.add_members(group.id, ["subject"], by="root")
    return tokens, {
        "problem": str(problem), "job": await submission(home, owner, problem), "user": str(subject.id), "lang": "en",
        "file": "a.png", "group": str(group.id), "preview": "1", "rerun": "1", "contest": "finals", "label": "A",
        "set": "1", "team": "1", "token": "none", "endpoint": "teams", "object": "1", "sent": "1",
        # streams of ended jobs and of empty batches end at once
        "batch": await _batch(home, owner),
        "ended": await _ended(home, owner), "run": await _ended_run(home, owner),
    }  # fmt: skip


async def _batch(home: House[Any], token: str) -> str:
    answer = await home.ask("GET", "/api/v1/users/me", token=token)
    return await home.ports.batches.open_batch((await answer.get_json())["id"], "night")


async def _ended(home: House, token: str) -> str:
    job_id = await submission(home, token, await home.problem())
    claim = (await home.store.claim([entry(job_id)], "node", 60.0, 5))["1-1"]
    assert isinstance(claim, Claim)
    report = a_report(Verdict.ACCEPTED)
    assert await home.store.finalize(claim, report, as_result(claim, report)) is None
    return job_id


async def _ended_run(home: House[Any], token: str) -> str:
    setting = Setting(home, token)
    run_id = await setting.taken()
    await home.ports.run_leases.finish_run(
        await setting.claimed(), CustomStatus.FINISHED, MEASURES, b"", b"", user_max_bytes=10**6
    )
    return run_id


#: end of a path → a body that is taken
_BODIES: dict[str, dict[str, Any]] = {
    "/users/me": {},
    "/contests": {"key": "finals"},
    "/review": {"act": "claim"},
    "/groups": {"name": "another class"},
    "/{group}": {"name": "class"},
    "/members": {"usernames": ["owner", "subject"]},
    "/roles": {"roles": ["jury"]},
    "/statement/{lang}": {"format": "md", "source": "x", "revision": "e9"},
    "/requeue": {},
    "/discard": {},
    "/password": {},
    "/reruns": {"test": ""},
    "/tokens": {"name": "x", "password": "wrong"},
}


def _sent(path: str, ids: dict[str, str]) -> dict[str, Any]:
    if path.endswith(("/problems", "/{problem}", "/changes")):
        body, content_type = form({"title": "t"}, package())
        return {"data": body, "headers": {"Content-Type": content_type}}
    if path == "/clics/webhooks":
        return {"json": {"url": "https://example.org/", "token": "t"}}  # callbacks are disabled on this server
    if path.endswith("/submit"):
        return {"json": {"problem_id": int(ids["problem"]), "language": 1, "code": "x"}}
    if path.endswith("/run"):
        return {"json": {"language": "python3", "code": "x"}}
    if "/auth/" in path:
        # the name is taken, the password is wrong
        return {"json": {"username": "owner", "password": "not the password"}}
    return next(({"json": body} for ending, body in _BODIES.items() if path.endswith(ending)), {})


async def test_the_matrix(tmp_path: Path) -> None:
    home = house(tmp_path)
    tokens, ids = await _setting(home)
    for method, path, statuses in _ROUTES:
        for caller, expected in zip(_CALLERS, statuses, strict=True):
            answer = await home.ask(method, path.format(**ids), token=tokens[caller], **_sent(path, ids))
            assert answer.status_code == expected, (method, path, caller, await answer.get_data())
            if expected == 401:
                scheme = "Basic" if path.startswith("/clics") else "Bearer"
                assert answer.headers["WWW-Authenticate"].split()[0] == scheme


async def test_the_matrix_of_roles(tmp_path: Path) -> None:
    home = house(tmp_path)
    _tokens, ids = await _setting(home)
    tokens = await _role_tokens(home, int(ids["problem"]))
    assert {(method, path) for method, path, _ in _ROUTES} > _ROLES.keys()
    for method, path, (*_, other, _admin) in _ROUTES:
        for caller, expected in zip(_ROLE_CALLERS, _ROLES.get((method, path), (other,) * 4), strict=True):
            answer = await home.ask(method, path.format(**ids), token=tokens[caller], **_sent(path, ids))
            assert answer.status_code == expected, (method, path, caller, await answer.get_data())


async def test_a_role_acts_at_once_and_shows_whole_results(tmp_path: Path) -> None:
    home = house(tmp_path)
    _tokens, ids = await _setting(home)
    tokens = await _role_tokens(home, int(ids["problem"]))

    async def counts(path: str) -> list[int]:
        answers = [await home.ask("GET", path, token=tokens[caller]) for caller in _ROLE_CALLERS]
        return [len((await answer.get_json())["submissions"]) for answer in answers]

    assert await counts("/api/v1/submissions") == [0, 0, 2, 0]
    assert await counts(f"/api/v1/submissions?problem_id={ids['problem']}") == [1, 0, 1, 0]
    seen = []
    for token in (tokens["jury"], await home.token_of("root"), await home.token_of("owner")):
        answer = await home.ask("GET", f"/api/v1/status/{ids['ended']}", token=token)
        seen.append((await answer.get_json())["data"])
    assert seen[0] == seen[1] != seen[2], "the author sees less"
    account = await home.ports.accounts.credentials("jury")
    assert account is not None
    await home.ports.accounts.change_rights(account.user.id, roles=(), by=None)
    assert (await home.ask("GET", f"/api/v1/status/{ids['ended']}", token=tokens["jury"])).status_code == 403


async def test_the_matrix_names_every_route(tmp_path: Path) -> None:
    home = house(tmp_path)
    named = {(method, re.sub(r"{\w+}", "*", path)) for method, path, _ in _ROUTES}
    there = {
        (method, re.sub(r"<[^>]+>", "*", rule.rule))
        for rule in home.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert there == named


#: routes that take no token which was made for a program: what they give would outlive it
_BY_LOGIN = {
    ("POST", "/api/v1/users/me/tokens"),
    ("DELETE", "/api/v1/users/me/tokens/{token}"),
    ("GET", "/api/v1/users/me/webhook-secret"),
    ("POST", "/api/v1/users/me/webhook-secret/rotate"),
    ("POST", "/clics/webhooks"),
    ("POST", "/api/v1/admin/users/{user}/promote"),
    ("PUT", "/api/v1/admin/users/{user}/roles"),
    ("POST", "/api/v1/admin/users/{user}/password"),
    ("POST", "/api/v1/contests/{contest}/credentials"),
    ("POST", "/api/v1/contests/{contest}/credentials/{set}/apply"),
}
#: other routes that answer with a secret: of a login, for a password, or, by a login alone, of accounts that are made
_SECRET_ANYWAY = {
    ("POST", "/api/v1/auth/login"),
    ("GET", "/api/v1/auth/github/callback"),
    ("POST", "/api/v1/users/me/password"),
    ("POST", "/api/v1/contests/{}/teams"),
}


async def test_a_token_for_programs_gets_nothing_that_outlives_it(tmp_path: Path) -> None:
    home = house(tmp_path)
    _tokens, ids = await _setting(home)
    made = await home.named_token("root", "build")
    refused = set()
    for method, path, _ in _ROUTES:
        answer = await home.ask(method, path.format(**ids), token=made, **_sent(path, ids))
        if answer.status_code == 403 and "made for a program" in (await answer.get_data(as_text=True)):
            refused.add((method, path))

    assert refused == _BY_LOGIN


async def test_routes_that_answer_with_a_secret_are_known(tmp_path: Path) -> None:
    home = house(tmp_path)
    document = await (await home.ask("GET", "/openapi.json")).get_json()
    told = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                if status in {"200", "201"} and _fields(document, response) & {"secret", "token", "password"}:
                    told.add((method.upper(), re.sub(r"{\w+}", "{}", path)))

    assert told - {(method, re.sub(r"{\w+}", "{}", path)) for method, path in _BY_LOGIN} == _SECRET_ANYWAY


def _fields(document: dict[str, Any], node: object) -> set[str]:
    """Return the names of all fields that an answer may have, at any depth."""
    if isinstance(node, list):
        return set().union(*(_fields(document, one) for one in node))
    if not isinstance(node, dict):
        return set()
    names = set(node.get("properties", {}))
    if isinstance(reference := node.get("$ref"), str):
        kind, name = reference.split("/")[-2:]
        names |= _fields(document, document["components"][kind][name])
    return names.union(*(_fields(document, one) for key, one in node.items() if key not in {"example", "examples"}))


def _tampered(token: str) -> str:
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["user_id"] = 1
    claims["username"] = "root"
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{head}.{changed}.{signature}"


def _unsigned(claims: dict[str, Any], algorithm: str) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims)}."


def _resigned(header: dict[str, Any], claims: dict[str, Any], key: str) -> str:
    """Sign by HMAC-SHA256 with ``key`` under any header, which a verifier that trusts the header would accept."""
    head, body, _ = _unsigned(claims, "").split(".")
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    mac = hmac.new(key.encode(), f"{head}.{body}".encode(), "sha256").digest()
    return f"{head}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


async def _bad_tokens(home: House, root: User) -> dict[str, str]:
    """Return forged tokens of ``root`` by their defect."""
    revoked = await home.token_of(root.username)
    await home.store.set_password(root.id, "no password either")
    account = await home.store.credentials(root.username)
    assert account is not None
    good: dict[str, Any] = {"user_id": root.id, "username": root.username, "epoch": account.token_epoch, "exp": _LATER}
    answer = await home.ask("GET", "/api/v1/users/me", token=forged(good))
    assert answer.status_code == 200, "the table can fail"

    def without(claim: str) -> str:
        return forged({name: value for name, value in good.items() if name != claim})

    return {
        "expired": forged({**good, "exp": int(time.time()) - 1}),
        "not yet": forged({**good, "nbf": _LATER}),
        "no exp": without("exp"),
        "no user_id": without("user_id"),
        "no username": without("username"),
        "no epoch": without("epoch"),
        "revoked by a new password": revoked,
        "older epoch": forged({**good, "epoch": account.token_epoch - 1}),
        "later epoch": forged({**good, "epoch": account.token_epoch + 1}),
        "other key": forged(good, key="another secret of sufficient length"),
        "empty key": _resigned({"alg": "HS256"}, good, ""),
        "HS512": forged(good, key=SECRET * 2, algorithm="HS512"),
        "HS384, our key": forged(good, key=SECRET.ljust(48, "\0"), algorithm="HS384"),
        "RS256, signed by our key": _resigned({"alg": "RS256"}, good, SECRET),
        "RS256, signed by its own public key": _resigned({"alg": "RS256", "jwk": _PUBLIC}, good, json.dumps(_PUBLIC)),
        "HS256, signed by a public key": _resigned({"alg": "HS256", "jwk": _PUBLIC}, good, json.dumps(_PUBLIC)),
        "a key file that is empty": _resigned({"alg": "HS256", "kid": "../../../../dev/null"}, good, ""),
        "a critical header": _resigned({"alg": "HS256", "crit": ["x"], "x": 1}, good, SECRET),
        "alg none": _unsigned(good, "none"),
        "alg NONE": _unsigned(good, "NONE"),
        "alg HS256, no signature": _unsigned(good, "HS256"),
        "changed claims": _tampered(await home.token("mallory")),
        "changed signature": forged(good)[:-4] + "AAAA",
        "unknown user": forged({**good, "user_id": 77}),
        "other name": forged({**good, "username": "alice"}),
        "user_id is text": forged({**good, "user_id": str(root.id)}),
        "user_id is true": forged({**good, "user_id": True}),
        "user_id is a fraction": forged({**good, "user_id": root.id + 0.5}),
        "user_id is huge": forged({**good, "user_id": 2**70}),
        "user_id is negative": forged({**good, "user_id": -root.id}),
        "username is a list": forged({**good, "username": [root.username]}),
        "epoch is text": forged({**good, "epoch": str(account.token_epoch)}),
        "exp is text": _resigned({"alg": "HS256"}, {**good, "exp": "never"}, SECRET),
        "exp is null": _resigned({"alg": "HS256"}, {**good, "exp": None}, SECRET),
        "claims are a list": _resigned({"alg": "HS256"}, [good], SECRET),  # type: ignore[arg-type]
        "nonsense": "x",
        "dots": "..",
        "not ASCII": "é.é.é",
        "long": "a" * 10_000,
        "deep": f"{'W1tb' * 1000}.{'W1tb' * 1000}.x",
    }


_PUBLIC = {"kty": "RSA", "e": "AQAB", "n": "sXchqY2v1xJ0yqVb0WqFhyG8yDdZ0iS9"}


async def test_no_forged_token_passes(tmp_path: Path) -> None:
    home = house(tmp_path)
    root = await home.account("root", is_admin=True)
    for name, token in (await _bad_tokens(home, root)).items():
        answer = await home.ask("GET", "/api/v1/users/me", token=token)
        assert answer.status_code == 401, name
        assert (await answer.get_json())["code"] == "UNAUTHORIZED"


@pytest.mark.parametrize("share", [4, pytest.param(1, marks=pytest.mark.full)])
async def test_no_forged_token_opens_any_route(tmp_path: Path, share: int) -> None:
    """A forged token gets what a word that is no token gets. A route is tried with a share of them, its neighbour with
    the next ones."""
    home = house(tmp_path)
    tokens, ids = await _setting(home)
    root = await home.store.credentials("root")
    assert root is not None
    bad = await _bad_tokens(home, root.user)
    for number, (method, path, (_, no_token, *_)) in enumerate(_ROUTES):
        for name, token in [*bad.items()][number % share :: share]:
            answer = await home.ask(method, path.format(**ids), token=token, **_sent(path, ids))
            assert answer.status_code == no_token, (method, path, name)
    assert tokens["owner"] is not None
    assert (await home.ask("GET", f"/api/v1/status/{ids['job']}", token=tokens["owner"])).status_code == 200


async def test_the_word_before_a_token(tmp_path: Path) -> None:
    home = house(tmp_path)
    good = await home.token("root", is_admin=True)
    for scheme in ("Basic", "Token", ""):
        headers = {"Authorization": f"{scheme} {good}"}
        assert (await home.ask("GET", "/api/v1/users/me", headers=headers)).status_code == 401
    headers = {"Authorization": f"bearer  {good} "}
    assert (await home.ask("GET", "/api/v1/users/me", headers=headers)).status_code == 200


async def test_rights_come_before_validation(tmp_path: Path) -> None:
    home = house(tmp_path)
    token = await home.token("alice")
    nonsense: tuple[dict[str, Any], ...] = (
        {"data": b"{", "headers": {"Content-Type": "application/json"}},
        {"data": b"\xff" * 2_000_000, "headers": {"Content-Type": "text/plain"}},
        {"data": b"x", "headers": {"Content-Type": "multipart/form-data"}},
        {},
    )
    for kwargs in nonsense:
        assert (await home.ask("POST", "/api/v1/submit", **kwargs)).status_code == 401
        assert (await home.ask("POST", "/api/v1/problems", **kwargs)).status_code == 401
        assert (await home.ask("POST", "/api/v1/problems", token=token, **kwargs)).status_code == 403
    for path in ("/api/v1/status/nothing", "/api/v1/submissions/nothing"):
        assert (await home.ask("GET", path)).status_code == 401


@pytest.mark.parametrize("token", ["", "s3cret"])
@pytest.mark.parametrize(
    ("peer", "headers", "without_token"),
    [
        ("127.0.0.1", {}, 200),
        ("127.9.9.9", {}, 200),
        ("::1", {}, 200),
        ("::ffff:127.0.0.1", {}, 200),
        ("192.0.2.7", {}, 403),
        ("<local>", {}, 403),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}, 403),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 403),
        ("127.0.0.1", {"Forwarded": "for=127.0.0.1"}, 403),
        ("192.0.2.7", {"X-Forwarded-For": "127.0.0.1"}, 403),
    ],
)
async def test_metrics_guard(
    tmp_path: Path, token: str, peer: str, headers: dict[str, str], without_token: int
) -> None:
    """Without a token, only the ports of metrics alone answer this host: the API's port may be behind a proxy."""
    home = house(tmp_path, metrics_token=token)
    of_metrics = replace(home, app=create_metrics_app(home.metrics, home.settings))
    for port, refused in ((home, 403), (of_metrics, without_token)):
        answer = await port.ask("GET", "/metrics", peer=peer, headers=headers)
        assert answer.status_code == (401 if token else refused)
        for wrong in ("s3cre", "s3crets", "é", "S3CRET"):
            answer = await port.ask("GET", "/metrics", peer=peer, headers=headers, token=wrong)
            assert answer.status_code == (401 if token else refused)
        if token:
            assert (await port.ask("GET", "/metrics", peer=peer, headers=headers, token=token)).status_code == 200


async def test_a_token_of_a_node_whose_clock_is_ahead_passes(tmp_path: Path) -> None:
    """The clocks of nodes differ, so a token that is issued in the future by our clock is valid."""
    home = house(tmp_path)
    user = await home.account("ahead")
    account = await home.store.credentials("ahead")
    assert account is not None
    claims = {"user_id": user.id, "username": "ahead", "epoch": account.token_epoch, "exp": _LATER, "iat": _LATER - 600}
    assert (await home.ask("GET", "/api/v1/users/me", token=forged(claims))).status_code == 200
