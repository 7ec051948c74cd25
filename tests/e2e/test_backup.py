"""Backup, wipe, restore, audit: all verdicts, accounts and packages are restored, and judging goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from minio import Minio

from tests.e2e.cluster import Deployment, Servers, deployed
from tests.e2e.nodes import ACCEPTED, WRONG, bearer, package
from tests.e2e.typed import typed


def deepoj(env: Mapping[str, str], *args: str, code: int = 0) -> str:
    done = typed(*args, env={"PATH": "/usr/bin:/bin", **env})
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def store_of(deployment: Deployment) -> Minio:
    objects = deployment.servers.objects
    return Minio(objects.endpoint, objects.access_key, objects.secret_key, secure=False)


def objects_of(deployment: Deployment) -> set[str]:
    found = store_of(deployment).list_objects(deployment.env["MINIO_BUCKET"], recursive=True)
    return {one.object_name for one in found if one.object_name}


def wipe(deployment: Deployment) -> None:
    """Delete all rows, objects and the stream of the deployment."""
    deployment.ask("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    for key in objects_of(deployment):
        store_of(deployment).remove_object(deployment.env["MINIO_BUCKET"], key)
    with deployment.servers.redis.client() as client:
        for key in client.scan_iter(f"{deployment.database}:*"):
            client.delete(key)


def test_wiped_deployment_is_restored_and_judges(servers: Servers, tmp_path: Path) -> None:
    deployment, saved = deployed(servers), tmp_path / "saved"
    with deployment.node(tmp_path / "before") as node:
        token = node.token()
        problem_id = node.problem(token)
        right = node.judged(token, problem_id, ACCEPTED)
        wrong = node.judged(token, problem_id, WRONG)
        replaced = node.problem(token)
        files = {"file": ("problem.zip", package({"1.in": "4 4\n", "1.out": "8\n"}), "application/zip")}
        answer = node.client.put(f"/api/v1/problems/{replaced}", files=files, headers=bearer(token))
        assert answer.is_success, answer.text
        made = json.loads(deepoj(deployment.env, "backup", str(saved), "--json"))  # the node runs during the backup
        assert made["objects"] == 3  # of two problems, and the older one that a dump might have named
        late = node.judged(token, problem_id, ACCEPTED + "// after the backup")
    before = objects_of(deployment)
    wipe(deployment)
    assert objects_of(deployment) == set()

    told = deepoj(deployment.env, "restore", str(saved))
    assert "3 objects" in told
    assert objects_of(deployment) == before
    assert json.loads(deepoj(deployment.env, "audit", "--json"))["clean"] is True
    with deployment.node(tmp_path / "after") as node:
        assert node.token() != ""  # the account and its password
        assert node.status(token, right["job_id"]) == right
        assert node.status(token, wrong["job_id"]) == wrong
        gone = node.client.get(f"/api/v1/status/{late['job_id']}", headers=bearer(token))
        assert gone.status_code == 404
        again = node.client.post(f"/api/v1/submissions/{wrong['job_id']}/rejudge", headers=bearer(token))
        assert again.is_success, again.text
        assert node.verdict(token, wrong["job_id"])["status"] == "Wrong Answer"
        assert node.judged(token, replaced, ACCEPTED)["status"] == "Accepted"
        assert node.judged(token, problem_id, ACCEPTED + "// new")["status"] == "Accepted"
    assert json.loads(deepoj(deployment.env, "audit", "--json"))["clean"] is True


@pytest.mark.full
def test_job_unfinished_at_the_backup_is_judged_after_the_restore(servers: Servers, tmp_path: Path) -> None:
    """Its stream entry is lost: repair sends the job again."""
    deployment, saved = deployed(servers), tmp_path / "saved"
    with deployment.node(tmp_path / "before", "--roles", "api") as node:
        token = node.token()
        job_id = node.submit(token, node.problem(token), ACCEPTED)
        deepoj(deployment.env, "backup", str(saved))
    wipe(deployment)
    deepoj(deployment.env, "restore", str(saved))
    fast = {"SCHEDULER_REPAIR_INTERVAL_MS": "300", "SCHEDULER_REPAIR_MIN_AGE_SEC": "1"}
    with deployment.node(tmp_path / "after", env=fast) as node:
        assert node.verdict(token, job_id)["status"] == "Accepted"


@pytest.mark.full
def test_backup_over_a_backup_and_restore_over_tables_are_refused(servers: Servers, tmp_path: Path) -> None:
    deployment, saved = deployed(servers), tmp_path / "saved"
    with deployment.node(tmp_path / "home", "--roles", "api") as node:
        node.problem(node.token())
    deepoj(deployment.env, "backup", str(saved))
    assert (saved.stat().st_mode & 0o777, list(tmp_path.glob("*.part"))) == (0o700, [])
    assert "exists already" in deepoj(deployment.env, "backup", str(saved), code=2)
    assert "holds tables already" in deepoj(deployment.env, "restore", str(saved), code=1)
    store = store_of(deployment)
    (key,) = objects_of(deployment)
    store.remove_object(deployment.env["MINIO_BUCKET"], key)
    assert key in deepoj(deployment.env, "backup", str(tmp_path / "hole"), code=3)
    assert not (tmp_path / "hole").exists()
    wipe(deployment)
    (saved / "objects" / key).unlink()
    assert key in deepoj(deployment.env, "restore", str(saved), code=1)
    (saved / "backup.json").unlink()
    assert "not a complete backup" in deepoj(deployment.env, "restore", str(saved), code=2)
    away = {"DATABASE_URL": "postgres://x:y@127.0.0.1:9/z"}
    line = deepoj(deployment.env | away, "backup", str(tmp_path / "none"), code=3)
    assert "pg_dump" in line
    assert ":y@" not in line
