"""schemathesis over the whole document, against a real server: each answer is as documented, for every role.

Without a token over the store in memory; as a contestant and as an administrator over PostgreSQL. Data are the same
every time. Each run is some thousand requests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import trio

from deepoj.api.examples import JOB_ID
from deepoj.words.accounts import User
from deepoj.words.problems import Problem
from deepoj.words.submissions import Receipt
from tests.api.house import House, house, house_on, served
from tests.contract.labs import PgLab, draft, submit

_HERE = Path(__file__).parent
#: of each operation and phase
_EXAMPLES = 10
#: a run takes some 20 s; a loaded machine may take much longer
_PATIENCE_S = 900.0


async def _furnish[S](home: House[S]) -> tuple[str, str]:
    """What the document's examples speak of: a problem, and a submission of the contestant's. Returns the tokens of a
    contestant and an administrator."""
    alice, root = await home.account("alice"), await home.account("root", is_admin=True)
    assert isinstance(alice, User)
    assert isinstance(root, User)
    for number in range(1000, 1010):
        await home.ports.problems.insert_problem(
            Problem(
                id=number,
                title="A+B",
                description="Add them.",
                difficulty="easy",
                time_limit_ms=1000,
                memory_limit_mb=128,
                compare="tokens",
                data_path=f"problems/{number}.zip",
                data_hash="00",
            )
        )
    receipt = await submit(home.ports, draft(alice.id, 1000))
    assert isinstance(receipt, Receipt)
    return await home.token_of("alice"), await home.token_of("root")


async def _run(url: str, token: str | None, directory: Path) -> subprocess.CompletedProcess[bytes]:
    identity = [] if token is None else ["-H", f"Authorization: Bearer {token}"]
    words = [
        sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()",
        "--config-file", str(_HERE / "schemathesis.toml"), "run", f"{url}/openapi.json",
        "--checks", "all", "--max-examples", str(_EXAMPLES), "--continue-on-failure", "--no-color",
        "--generation-deterministic", *identity,
    ]  # fmt: skip
    with trio.fail_after(_PATIENCE_S):
        # in a directory of its own: it keeps what has failed, and would begin with that the next time
        return await trio.run_process(
            words,
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=False,
            cwd=directory,
            env=os.environ | {"PYTHONPATH": str(_HERE.parents[1])},
        )


async def _holds[S](home: House[S], token: str | None, tmp_path: Path) -> None:
    async with served(home, patience_s=_PATIENCE_S) as (url, _):
        done = await _run(url, token, tmp_path)
    told = done.stdout.decode()
    assert done.returncode == 0, told
    operations = sum(len(methods) for methods in (await _document(home))["paths"].values())
    # all but GET /openapi.json, which it loads by itself
    assert f"Tested: {operations - 1}\n" in told, told


async def _document[S](home: House[S]) -> Mapping[str, Mapping[str, Mapping[str, object]]]:
    found: Mapping[str, Mapping[str, Mapping[str, object]]] = await (await home.ask("GET", "/openapi.json")).get_json()
    return found


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event stream of what is unfinished ends after its first look; the tool waits for the end of each answer."""
    monkeypatch.setattr("deepoj.api.live.events.MAX_AGE_S", 0.0)


async def test_answers_without_a_token_are_as_documented(tmp_path: Path) -> None:
    home = house(tmp_path)
    await _furnish(home)
    await _holds(home, None, tmp_path)


@pytest.mark.parametrize("who", ["contestant", "administrator"])
async def test_with_an_account(who: str, real: PgLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = iter([JOB_ID])
    home = house_on(tmp_path, real.store)
    with monkeypatch.context() as patch:
        patch.setattr("deepoj.adapters.pg.submissions.new_job_id", lambda: next(ids))
        alice, root = await _furnish(home)
    await _holds(home, alice if who == "contestant" else root, tmp_path)
