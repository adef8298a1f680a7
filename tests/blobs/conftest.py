"""The blob storages that the contract suite runs against: a folder, and a real S3 server."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.blobs.folder import FolderBlobs
from gateway.blobs.object_storage import ObjectBlobs, open_bucket
from gateway.blobs.ports import Blobs
from gateway.config import ObjectStorage
from tests.support.s3 import S3Server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture
def bucket(s3: S3Server) -> ObjectStorage:
    """A bucket of its own, under a prefix."""
    return s3.bucket(f"files-{secrets.token_hex(4)}", prefix="chat")


def folder(request: pytest.FixtureRequest) -> FolderBlobs:
    return FolderBlobs(request.getfixturevalue("tmp_path") / "blobs")


def object_storage(request: pytest.FixtureRequest) -> ObjectBlobs:
    return open_bucket(request.getfixturevalue("bucket"))


@pytest.fixture(params=[folder, object_storage], ids=["folder", "s3"])
def blobs(request: pytest.FixtureRequest) -> Blobs:
    made: Callable[[pytest.FixtureRequest], Blobs] = request.param
    return made(request)


@pytest.fixture
def local(tmp_path: Path) -> Callable[[bytes], Path]:
    """Makes local files."""

    def made(data: bytes) -> Path:
        path = tmp_path / secrets.token_hex(4)
        path.write_bytes(data)
        return path

    return made
