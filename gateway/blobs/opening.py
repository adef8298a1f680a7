"""The blob storage that the settings name."""

from __future__ import annotations

from pathlib import Path

from gateway.blobs.folder import FolderBlobs
from gateway.blobs.object_storage import open_bucket
from gateway.blobs.ports import Blobs
from gateway.blobs.staging import Staging
from gateway.config import Uploads


def open_blobs(settings: Uploads, *, data: Path) -> tuple[Blobs, Staging]:
    """Where files lie, and where they arrive.

    Args:
        data: the gateway's own folder.

    Raises:
        ImportError: a bucket is configured, and the extra ``s3`` is not installed.
    """
    folder = settings.folder or data / "uploads"
    staging = Staging(folder / "arriving")
    if settings.s3.bucket is not None:
        return open_bucket(settings.s3), staging
    return FolderBlobs(folder), staging
