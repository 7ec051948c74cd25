"""A node with its embedded servers, and what its pages show: accounts, the sample, submissions of several verdicts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from deepoj.sample import accepted_source
from deepoj.web import assets
from tests.e2e.nodes import BROKEN, VERDICT_S, WRONG, Node, package, running, until
from tests.web.pages import Who

PASSWORD = "correct horse"
#: account of each visitor; registering the name `admin` gives an embedded node its administrator
NAMES = {Who.MEMBER: "alice", Who.OTHER: "bob", Who.ADMIN: "admin"}
_SESSION = "deepoj_session"
BUNDLE = Path(assets.__file__).parent / "static" / "manifest.json"
NO_BUNDLE = f"{BUNDLE} is missing: the pages have no scripts and no styles. Run `make build`; it says why."


@dataclass(frozen=True)
class Site:
    """The node, the sessions of its visitors, and the ids for the parts of paths."""

    node: Node
    sessions: Mapping[Who, str]
    ids: Mapping[str, str]

    @property
    def base(self) -> str:
        return self.node.base

    def path(self, pattern: str) -> str:
        return pattern.format(**self.ids)

    def client(self, who: Who) -> httpx.Client:
        """Return a client with the session of a visitor."""
        cookies = {_SESSION: self.sessions[who]} if who in self.sessions else {}
        headers = {"Accept": "text/html"}
        return httpx.Client(base_url=self.base, cookies=cookies, headers=headers, timeout=60, trust_env=False)


@contextmanager
def running_site(home: Path) -> Iterator[Site]:
    """Run a node as `make run` does, with its sample. AssertionError if it was built without scripts and styles."""
    assert BUNDLE.exists(), NO_BUNDLE
    kept = {"RESULT_TTL_SEC": "36000"}  # the looks at all pages take longer than a custom run is kept usually
    with running(home, "--sample", env=kept) as node:
        until(lambda: "Result: Accepted" in node.out.read_text(), within_s=VERDICT_S, what=f"the sample; {node.tail()}")
        sessions = {who: _session_of(node.base, name) for who, name in NAMES.items()}
        ids = _ids(node)
        yield Site(node, sessions, ids | {"staged": _staged(node.base, sessions[Who.ADMIN], ids["problem"])})


def _session_of(base: str, name: str) -> str:
    """Register an account by its page. Return the session's cookie."""
    with httpx.Client(base_url=base, timeout=60, trust_env=False) as client:
        found = re.search(r'name="form_token" value="([^"]+)"', client.get("/register").text)
        assert found is not None
        fields = {"form_token": found[1], "username": name, "password": PASSWORD, "email": f"{name}@example.com"}
        reply = client.post("/register", data=fields)
        assert reply.status_code == 303, reply.text
        return str(client.cookies[_SESSION])


def _staged(base: str, session: str, problem: str) -> str:
    """Upload another package of the problem, to be compared. Return its token."""
    path = f"/manage/problems/{problem}/replace"
    with httpx.Client(base_url=base, cookies={_SESSION: session}, timeout=60, trust_env=False) as client:
        found = re.search(r'name="form_token" value="([^"]+)"', client.get(path).text)
        assert found is not None
        reply = client.post(path, data={"form_token": found[1]}, files={"file": ("p.zip", package())})
        assert reply.status_code == 303, reply.text
        return reply.headers["Location"].partition("package=")[2]


def _ids(node: Node) -> dict[str, str]:
    account = {"username": NAMES[Who.MEMBER], "password": PASSWORD}
    token = str(node.client.post("/api/v1/auth/login", json=account).json()["token"])
    found = node.client.get("/api/v1/problems").json()
    problem = next(row["id"] for row in found["problems"] if "A+B" in row["title"])
    programs = {"accepted": accepted_source(), "wrong": WRONG, "broken": BROKEN}
    ids = {name: node.submit(token, problem, code) for name, code in programs.items()}
    for job in ids.values():
        node.verdict(token, job)
    bearer = {"Authorization": f"Bearer {token}"}
    # also shown as a run on the sample, whose output is 3
    body = {"language": "python3", "code": "print(4)"}
    run = node.client.post("/api/v1/run", json=body, headers=bearer).json()["run_id"]
    lines = [
        json.dumps({"problem_id": problem, "language": 1, "code": code}) for code in (WRONG, BROKEN, "int main() {}")
    ]
    batch_path = "/api/v1/submissions/batch"
    ndjson = {**bearer, "Content-Type": "application/x-ndjson"}
    sent = node.client.post(batch_path, content="\n".join(lines), headers=ndjson).raise_for_status()
    batch = json.loads(sent.text.splitlines()[-1])["batch_id"]
    node.client.get(f"{batch_path}/{batch}/results", headers=bearer, timeout=VERDICT_S).raise_for_status()
    user = node.client.get("/api/v1/users/me", headers=bearer).json()["id"]
    chief = {"username": NAMES[Who.ADMIN], "password": PASSWORD}
    admin = {"Authorization": f"Bearer {node.client.post('/api/v1/auth/login', json=chief).json()['token']}"}
    group = node.client.post("/api/v1/admin/groups", json={"name": "Class 7"}, headers=admin).json()["id"]
    people = {"usernames": [NAMES[Who.MEMBER]]}
    node.client.post(f"/api/v1/admin/groups/{group}/members", json=people, headers=admin).raise_for_status()
    catalog = {"tags": (None, "warm-up, two numbers"), "groups": (None, "Class 7")}
    node.client.put(f"/api/v1/problems/{problem}", files=catalog, headers=admin).raise_for_status()
    previews = f"/api/v1/problems/{problem}/rejudge-previews"
    preview = node.client.post(previews, headers=admin).raise_for_status().json()["id"]

    def is_ready() -> bool:
        return bool(node.client.get(f"{previews}/{preview}", headers=admin).json()["state"] == "ready")

    until(is_ready, within_s=VERDICT_S, what="the preview")
    reruns = f"/api/v1/submissions/{ids['wrong']}/reruns"
    judged = node.verdict(str(admin["Authorization"]).partition(" ")[2], ids["wrong"])["data"]["tests"]
    named = {"test": next(test["name"] for test in judged if test["status"] == "Wrong Answer")}
    rerun = node.client.post(reruns, json=named, headers=admin).raise_for_status().json()["id"]
    until(
        lambda: node.client.get(f"{reruns}/{rerun}", headers=admin).json()["state"] == "done",
        within_s=VERDICT_S,
        what="the rerun",
    )
    others = {
        "rerun": str(rerun),
        "group": str(group),
        "run": run,
        "batch": batch,
        "user": str(user),
        "member": NAMES[Who.MEMBER],
        "act": "disable",
    }
    others |= {"chapter": "2", "rerun": str(rerun)}
    return {"problem": str(problem), "preview": str(preview), "job": ids["accepted"], **ids, **others}
