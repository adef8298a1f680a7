"""What uploads need of a blob storage; every implementation passes ``tests/blobs`` unchanged."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final, Protocol

CHUNK_BYTES: Final = 262_144
"""How much of a file is in memory at once."""


class Blobs(Protocol):
    """Keeps files by key, a path of plain segments: ``tenant/2026/01/upload/number``.

    A blob never changes: it is there whole, or not at all.

    Raises (any method): ``Unavailable`` when the storage cannot be reached or has no room.
    """

    async def keep(self, key: str, file: Path) -> None:
        """Take in a local file, which may be moved away. When this returns the blob is durable."""
        ...

    def read(
        self, key: str, *, begin: int, end: int
    ) -> AbstractAsyncContextManager[AsyncGenerator[bytes, None]]:
        """The bytes from ``begin`` up to and without ``end``, in chunks of about ``CHUNK_BYTES``.

        Raises:
            NotFound: on entering: there is no such blob.
        """
        ...

    async def erase(self, key: str) -> None:
        """Remove a blob, or all below a folder of keys. What is not there is no error."""
        ...
