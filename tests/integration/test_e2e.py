#!/usr/bin/env python3
"""Submit an A+B solution to a running Deep-OJ and wait for "Accepted": chapters 0 and 3 of deploy/runbook.md.

    python3 tests/integration/test_e2e.py

Runs on Python 3.9 without any package, because a host that only runs containers has nothing else. Each run leaves a
problem and a submission behind. pytest finds no tests here; tests/unit/test_e2e_script.py tests this script.

Environment:
    API_BASE       address of the server (http://127.0.0.1:18080)
    E2E_USERNAME   an administrator, registered if the server allows it (admin)
    E2E_PASSWORD   the administrator's password (password)
    E2E_TIMEOUT_S  seconds to wait for the server and the verdict together (120)

Exit codes: 0 Accepted, 1 anything else, 2 a wrong setting, 3 no answer from the server.
"""

from __future__ import annotations

import http.client
import io
import json
import math
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
import zipfile
from typing import Any

ACCEPTED, FAILED, WRONG_SETTING, UNREACHABLE = range(4)
INTERRUPTED = 130

CODE = "#include <iostream>\nint main(){int a,b;std::cin>>a>>b;std::cout<<(a+b);return 0;}"
CPP17 = 1
TIME_LIMIT_MS = 1000
MEMORY_LIMIT_MB = 128

POLL_S = 0.5
REQUEST_TIMEOUT_S = 30.0
#: HTTP statuses of a server that is starting or busy
BUSY = (429, 502, 503, 504)
#: the server's error code while no worker has registered yet
NO_WORKER = "LANGUAGE_UNAVAILABLE"


class Failure(Exception):
    """The check failed. The message is one sentence: what failed, where, and what to do."""

    def __init__(self, sentence: str, exit_code: int = FAILED) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


class Api:
    """The HTTP API of a server. Repeats a request while the server is starting or busy, until the time is up."""

    def __init__(self, base: str, timeout_s: float) -> None:
        self.base = base
        self.timeout_s = timeout_s
        self.token = ""
        self._deadline = time.monotonic() + timeout_s
        self._has_said_waiting = False
        # A proxy from the environment can't reach this host's loopback.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def is_time_up(self) -> bool:
        return time.monotonic() >= self._deadline

    def request(
        self, method: str, path: str, body: bytes | None = None, content_type: str = "application/json"
    ) -> tuple[int, dict[str, Any]]:
        """Return the status and the JSON object of the answer. Every request of this script may be sent twice.

        Raises Failure if the server is away or busy until the time is up.
        """
        while True:
            try:
                status, answer = self._send(method, path, body, content_type)
                if status not in BUSY and answer.get("code") != NO_WORKER:
                    return status, answer
                reason, exit_code, repair = f"{status}: {answer.get('error')}", FAILED, "read the server's log"
            except (OSError, http.client.HTTPException) as error:
                reason, exit_code = str(getattr(error, "reason", error) or type(error).__name__), UNREACHABLE
                repair = "start a server (make run, or docker compose -f deploy/compose.yaml up -d) or set API_BASE"
            if self.is_time_up():
                raise Failure(
                    f"{method} {self.base}{path} got no useful answer within E2E_TIMEOUT_S={self.timeout_s:g} s"
                    f" ({reason}): {repair}.",
                    exit_code,
                )
            if not self._has_said_waiting:
                self._has_said_waiting = True
                say(f"Waiting up to {self.timeout_s:g} s for {self.base} ({reason}).")
            time.sleep(POLL_S)

    def value(self, key: str, method: str, path: str, *body: Any, if_refused: dict[int, str] | None = None) -> Any:
        """Send a request and return one value of the answer.

        ``if_refused``: what to do, by HTTP status. Raises Failure if the server refuses the request.
        """
        status, answer = self.request(method, path, *body)
        if status != http.client.OK or key not in answer:
            raise self.refusal(method, path, status, answer, (if_refused or {}).get(status))
        return answer[key]

    def refusal(self, method: str, path: str, status: int, answer: dict[str, Any], repair: str | None) -> Failure:
        repair = repair or f"check that API_BASE={self.base} is a Deep-OJ server, and its settings"
        return Failure(f"{method} {self.base}{path} answered {status} ({answer.get('error')}): {repair}.")

    def _send(self, method: str, path: str, body: bytes | None, content_type: str) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(self.base + path, data=body, method=method)
        if body is not None:
            request.add_header("Content-Type", content_type)
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            response = self._opener.open(request, timeout=REQUEST_TIMEOUT_S)
        except urllib.error.HTTPError as refusal:
            response = refusal
        with response:
            raw = response.read()
        try:
            answer = json.loads(raw)
        except ValueError:
            answer = None
        return response.status, answer if isinstance(answer, dict) else {"error": "the answer is no JSON object"}


def say(line: str) -> None:
    print(f"test_e2e: {line}", file=sys.stderr, flush=True)


def packed_json(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def package() -> bytes:
    """A zip with the one test of the A+B problem."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("1.in", "1 2\n")
        archive.writestr("1.out", "3\n")
    return packed.getvalue()


def multipart(fields: dict[str, str], file: bytes) -> tuple[bytes, str]:
    """The body of a form with an upload named ``file``, and its Content-Type."""
    boundary = uuid.uuid4().hex
    heads = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields.items()]
    heads.append(
        'Content-Disposition: form-data; name="file"; filename="problem.zip"\r\nContent-Type: application/zip\r\n\r\n'
    )
    body = "".join(f"--{boundary}\r\n{head}" for head in heads).encode() + file + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def log_in(api: Api, username: str, password: str) -> None:
    """Register the account unless it exists, and log in. Raises Failure if the password is not this account's."""
    path = "/api/v1/auth/register"
    account = packed_json(username=username, password=password)
    status, answer = api.request("POST", path, account)
    # 409: the name exists, or ADMIN_REGISTRATION is closed for it
    if status not in (http.client.CREATED, http.client.CONFLICT):
        raise api.refusal("POST", path, status, answer, None)
    wrong = (
        f"{username} has another password, or does not exist and can't be registered (ADMIN_REGISTRATION=closed);"
        " set E2E_USERNAME and E2E_PASSWORD to an administrator's, whom `deepoj admin create-user NAME` makes"
    )
    api.token = api.value("token", "POST", "/api/v1/auth/login", account, if_refused={401: wrong})


def create_problem(api: Api, username: str) -> int:
    """Upload the A+B problem and return its id. Raises Failure if the account is no administrator."""
    limits = {"time_limit": str(TIME_LIMIT_MS), "memory_limit": str(MEMORY_LIMIT_MB)}
    form, content_type = multipart({"title": "A+B Problem", **limits}, package())
    no_admin = (
        f"{username} is no administrator; promote the account with `deepoj admin create-user {username}`, or set"
        " E2E_USERNAME and E2E_PASSWORD to an administrator's"
    )
    problem_id: int = api.value("id", "POST", "/api/v1/problems", form, content_type, if_refused={403: no_admin})
    return problem_id


def submit(api: Api, problem_id: int) -> str:
    """Submit the solution and return the job's id."""
    fields = {"problem_id": problem_id, "language": CPP17, "code": CODE}
    limits = {"time_limit": TIME_LIMIT_MS, "memory_limit": MEMORY_LIMIT_MB}
    job_id: str = api.value("job_id", "POST", "/api/v1/submit", packed_json(**fields, **limits))
    return job_id


def verdict(api: Api, job_id: str) -> str:
    """Wait for the verdict. Raises Failure if there is none when the time is up."""
    path = f"/api/v1/status/{job_id}"
    while api.value("state", "GET", path) not in ("done", "dead"):
        if api.is_time_up():
            raise Failure(
                f"job {job_id} at {api.base} has no verdict within E2E_TIMEOUT_S={api.timeout_s:g} s: see whether a"
                f" worker is up (its log; {api.base}/api/v1/ready), or set E2E_TIMEOUT_S higher."
            )
        time.sleep(POLL_S)
    status: str = api.value("status", "GET", path)
    return status


def settings() -> tuple[str, str, str, float]:
    """API_BASE, E2E_USERNAME, E2E_PASSWORD and E2E_TIMEOUT_S. Raises Failure if one of them is wrong."""
    base = os.environ.get("API_BASE") or "http://127.0.0.1:18080"
    try:
        parts = urllib.parse.urlsplit(base)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise Failure(f"API_BASE={base} must be an address such as http://127.0.0.1:18080.", WRONG_SETTING)
    given = os.environ.get("E2E_TIMEOUT_S") or "120"
    try:
        timeout_s = float(given)
    except ValueError:
        timeout_s = math.nan
    if not 0 <= timeout_s < math.inf:
        raise Failure(f"E2E_TIMEOUT_S={given} must be a number of seconds.", WRONG_SETTING)
    username, password = os.environ.get("E2E_USERNAME") or "admin", os.environ.get("E2E_PASSWORD") or "password"
    return base.rstrip("/"), username, password, timeout_s


def check() -> None:
    """Walk from the account to the verdict. Raises Failure if the verdict is not Accepted."""
    base, username, password, timeout_s = settings()
    api = Api(base, timeout_s)
    log_in(api, username, password)
    job_id = submit(api, create_problem(api, username))
    print(f"Submitted, Job ID: {job_id}", flush=True)
    result = verdict(api, job_id)
    print(f"Result: {result}", flush=True)
    if result != "Accepted":
        raise Failure(
            f"job {job_id} at {base} is a right solution and was judged {result}: read the result at"
            f" {base}/api/v1/submissions/{job_id} and the worker's log, and run `deepoj doctor` where the worker runs."
        )


def main() -> int:
    try:
        check()
    except Failure as failure:
        say(str(failure))
        return failure.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    return ACCEPTED


if __name__ == "__main__":
    sys.exit(main())
