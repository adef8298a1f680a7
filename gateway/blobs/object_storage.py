"""Blobs in S3, or in a server that speaks it, by ``obstore``.

Its calls wait in threads, a bounded number of them, and each has an end: what the storage does not answer
within ``TIMEOUT`` is tried again a few times and then given up.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import trio

from gateway.config import ObjectStorage
from gateway.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from obstore.store import S3Store

T = TypeVar("T")

TIMEOUT: Final = "30s"
PART_BYTES: Final = 8 * 1024 * 1024  # of a file that is sent: S3 wants at least 5 MiB
RANGE_BYTES: Final = 1024 * 1024  # of one that is read; each is a request, so that no client holds one open
THREADS: Final = 16


class ObjectBlobs:
    """``gateway.blobs.ports.Blobs`` in a bucket. Made by :func:`open_bucket`."""

    def __init__(self, store: S3Store) -> None:
        self._store = store
        self._threads = trio.CapacityLimiter(THREADS)

    async def keep(self, key: str, file: Path) -> None:
        import obstore

        await self._run(
            lambda: obstore.put(self._store, key, file, chunk_size=PART_BYTES, max_concurrency=2),
            refusal="The file cannot be stored now.",
        )

    @asynccontextmanager
    async def read(
        self, key: str, *, begin: int, end: int
    ) -> AsyncGenerator[AsyncGenerator[bytes, None], None]:
        first = await self._range(key, begin, min(begin + RANGE_BYTES, end))

        async def chunks() -> AsyncGenerator[bytes, None]:
            chunk, position = first, begin
            while chunk:
                yield chunk
                position += len(chunk)
                chunk = b""  # let go of it before the next one comes
                if position < end:
                    chunk = await self._range(key, position, min(position + RANGE_BYTES, end))

        async with aclosing(chunks()) as opened:
            yield opened

    async def erase(self, key: str) -> None:
        import obstore

        def erase() -> None:
            for page in obstore.list(self._store, prefix=key):
                obstore.delete(self._store, [found["path"] for found in page])
            obstore.delete(self._store, key)

        with suppress(NotFound):
            await self._run(erase, refusal="The file cannot be removed now.")

    async def _range(self, key: str, begin: int, end: int) -> bytes:
        import obstore

        return await self._run(
            lambda: bytes(obstore.get_range(self._store, key, start=begin, end=end)),
            refusal="The file cannot be read now.",
        )

    async def _run(self, call: Callable[[], T], *, refusal: str) -> T:
        from obstore.exceptions import BaseError

        try:
            return await trio.to_thread.run_sync(call, limiter=self._threads)
        except FileNotFoundError as error:
            raise NotFound("There is no such file.") from error
        except (BaseError, OSError) as error:
            raise Unavailable(refusal) from error


def open_bucket(settings: ObjectStorage) -> ObjectBlobs:
    """The bucket that the settings name; it is not asked whether it is there.

    Raises:
        ImportError: the extra ``s3`` is not installed.
    """
    from obstore.store import S3Store

    given = {
        "endpoint": settings.endpoint,
        "access_key_id": settings.access_key_id,
        "secret_access_key": settings.secret_access_key,
    }
    store = S3Store(
        settings.bucket,
        prefix=settings.prefix or None,
        region=settings.region,
        client_options={
            "timeout": TIMEOUT,
            "connect_timeout": "5s",
            "allow_http": (settings.endpoint or "").startswith("http:"),
        },
        retry_config={"max_retries": 3},
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )
    return ObjectBlobs(store)
