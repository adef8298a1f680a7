"""Files that are arriving: counted, whole or gone."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import trio

from gateway.blobs.staging import LEFT_S, Staging
from gateway.errors import InvalidRequest, TooLarge, Unavailable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "arriving"
    path.mkdir()
    return path


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_a_file_is_there_whole_and_gone_afterwards(folder: Path) -> None:
    async with Staging(folder).receive(pieces(b"ab", b"", b"c" * 600_000), 600_002) as file:
        assert file.read_bytes() == b"ab" + b"c" * 600_000
    assert os.listdir(folder) == []


async def test_a_file_that_was_moved_away_is_not_missed(folder: Path, tmp_path: Path) -> None:
    async with Staging(folder).receive(pieces(b"abc"), 3) as file:
        file.rename(tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == b"abc"


async def test_bytes_beyond_the_size_are_refused_before_the_rest_is_read(folder: Path) -> None:
    asked = 0

    async def endless() -> AsyncGenerator[bytes, None]:
        nonlocal asked
        while True:
            asked += 1
            yield b"x" * 1_000

    async with aclosing(endless()) as chunks:
        with pytest.raises(TooLarge):
            async with Staging(folder).receive(chunks, 2_500):
                raise AssertionError("nothing can be complete")
    assert asked == 3
    assert os.listdir(folder) == []


async def test_too_few_bytes_leave_nothing(folder: Path) -> None:
    with pytest.raises(InvalidRequest):
        async with Staging(folder).receive(pieces(b"ab"), 3):
            raise AssertionError("nothing can be complete")
    assert os.listdir(folder) == []


async def test_a_sender_who_is_cut_off_leaves_nothing(folder: Path) -> None:
    begun = trio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield b"x" * 300_000
        begun.set()
        await trio.sleep_forever()

    async def receive() -> None:
        async with Staging(folder).receive(stuck(), 1_000_000):
            raise AssertionError("nothing can be complete")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await begun.wait()
        assert len(os.listdir(folder)) == 1
        nursery.cancel_scope.cancel()
    assert os.listdir(folder) == []


async def test_a_disk_that_refuses_is_said_to_be_away(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(Unavailable):
        async with Staging(tmp_path / "file" / "arriving").receive(pieces(b"abc"), 3):
            raise AssertionError("nothing can be complete")


async def test_what_a_killed_process_left_is_tidied_and_what_is_arriving_is_not(folder: Path) -> None:
    old, young = folder / "old.part", folder / "young.part"
    for path in (old, young):
        path.write_bytes(b"x")
    long_ago = time.time() - LEFT_S - 1
    os.utime(old, (long_ago, long_ago))
    await Staging(folder).tidy()
    assert os.listdir(folder) == ["young.part"]
