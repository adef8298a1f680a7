"""Files while they arrive: each in a temporary file, with its bytes counted, gone unless it came whole."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import trio

from gateway.blobs.ports import CHUNK_BYTES
from gateway.errors import InvalidRequest, TooLarge, Unavailable

# What is older than this was left by a process that was killed: no request takes so long.
LEFT_S: Final = 86_400.0


class Staging:
    """A folder for files that are arriving.

    Args:
        folder: on the file system of the blobs, if those are in a folder: they are moved there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def receive(self, chunks: AsyncIterable[bytes], size_bytes: int) -> AsyncGenerator[Path, None]:
        """A file with exactly these bytes, durable; it is removed on leaving, if it is still there.

        What comes is written in the order in which it comes and as fast as the disk takes it: the sender
        waits meanwhile, and no more than a chunk is held.

        Raises:
            TooLarge: there are more bytes than ``size_bytes``; the rest was not read.
            InvalidRequest: there are fewer.
            Unavailable: the disk is full or broken.
        """
        path = self._folder / f"{secrets.token_hex(16)}.part"
        try:
            await self._write(path, chunks, size_bytes)
            yield path
        finally:
            with trio.CancelScope(shield=True):  # one system call
                await trio.to_thread.run_sync(_remove, path)

    async def _write(self, path: Path, chunks: AsyncIterable[bytes], size_bytes: int) -> None:
        try:
            await trio.to_thread.run_sync(lambda: self._folder.mkdir(parents=True, exist_ok=True))
            async with await trio.open_file(path, "xb", buffering=0) as file:
                waiting, received = bytearray(), 0
                async for chunk in chunks:
                    received += len(chunk)
                    if received > size_bytes:
                        raise TooLarge(f"This file was announced with {size_bytes} bytes.")
                    waiting += chunk
                    if len(waiting) >= CHUNK_BYTES:
                        await file.write(waiting)
                        waiting = bytearray()
                if received < size_bytes:
                    raise InvalidRequest(
                        f"This file was announced with {size_bytes} bytes, and {received} came."
                    )
                await file.write(waiting)
                await trio.to_thread.run_sync(os.fsync, file.fileno())
        except OSError as error:
            raise Unavailable("The file cannot be stored now.") from error

    async def tidy(self) -> None:
        """Remove what a process that was killed has left."""
        await trio.to_thread.run_sync(_remove_old, self._folder, time.time() - LEFT_S)


def _remove(path: Path) -> None:
    with suppress(OSError):  # what cannot be removed now is tidied up later
        path.unlink(missing_ok=True)


def _remove_old(folder: Path, before: float) -> None:
    for path in folder.glob("*.part"):
        try:
            if path.stat().st_mtime < before:
                path.unlink()
        except FileNotFoundError:
            pass  # it has arrived meanwhile
