"""The group ``minio`` of the API and the worker: the object store with the test data."""

from __future__ import annotations

from dataclasses import dataclass

from deepoj.config.fields import Section, key


class MinioSection(Section):
    endpoint: str = key(
        "http://localhost:9000",
        "MINIO_ENDPOINT",
        min_length=1,
        doc="Address of the S3 object store with the test data.",
    )
    access_key: str = key("change_me", "MINIO_ACCESS_KEY", doc="User name for the object store.")
    secret_key: str = key(
        "change_me",
        "MINIO_SECRET_KEY",
        secret=True,
        doc="Password for the object store; preferably set in the environment.",
    )
    bucket: str = key(
        "deep-oj-problems",
        "MINIO_BUCKET",
        min_length=3,
        doc="Bucket of the test data; created at the start if it does not exist.",
    )
    secure: bool = key(False, "MINIO_SECURE", doc="Use TLS for the object store; also implied by an https:// endpoint.")


@dataclass(frozen=True, slots=True)
class Minio:
    """The object store in the form of minio-py: ``endpoint`` is host:port without a scheme."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    secure: bool

    def __repr__(self) -> str:
        return f"Minio(endpoint={self.endpoint!r}, access_key={self.access_key!r}, bucket={self.bucket!r}, …)"
