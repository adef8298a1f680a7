"""Blobs in a folder: one file each, moved in whole."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import trio

from gateway.blobs.ports import CHUNK_BYTES
from gateway.errors import NotFound, Unavailable


class FolderBlobs:
    """``gateway.blobs.ports.Blobs`` on a file system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def keep(self, key: str, file: Path) -> None:
        try:
            await trio.to_thread.run_sync(_move, file, self._folder / key)
        except OSError as error:
            raise Unavailable("The file cannot be stored now.") from error

    @asynccontextmanager
    async def read(
        self, key: str, *, begin: int, end: int
    ) -> AsyncGenerator[AsyncGenerator[bytes, None], None]:
        try:
            file = await trio.open_file(self._folder / key, "rb", buffering=0)
        except FileNotFoundError as error:
            raise NotFound("There is no such file.") from error
        except OSError as error:
            raise Unavailable("The file cannot be read now.") from error

        async def chunks() -> AsyncGenerator[bytes, None]:
            await file.seek(begin)
            left = end - begin
            while left > 0:
                chunk = await file.read(min(CHUNK_BYTES, left))
                if not chunk:
                    return
                left -= len(chunk)
                yield chunk

        async with file, aclosing(chunks()) as opened:
            yield opened

    async def erase(self, key: str) -> None:
        try:
            await trio.to_thread.run_sync(_erase, self._folder / key)
        except OSError as error:
            raise Unavailable("The file cannot be removed now.") from error


def _move(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        file.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # The staging folder is on another file system: copied beside the target first, so that it appears whole.
        beside = target.with_name(f"{target.name}.part")
        shutil.copyfile(file, beside)
        with beside.open("rb") as copied:
            os.fsync(copied.fileno())
        beside.replace(target)
    # A rename is durable when its folder is.
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _erase(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
