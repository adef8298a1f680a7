"""What every blob storage promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from gateway.blobs.object_storage import PART_BYTES, open_bucket
from gateway.blobs.ports import Blobs
from gateway.config import ObjectStorage
from gateway.errors import NotFound, Unavailable
from tests.support.s3 import S3Server

Local: TypeAlias = Callable[[bytes], Path]
KEY = "tenant/2026/01/upload/1"


async def read(blobs: Blobs, key: str, begin: int, end: int) -> bytes:
    async with blobs.read(key, begin=begin, end=end) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def test_what_was_kept_is_read_whole_and_in_ranges(blobs: Blobs, local: Local) -> None:
    data = bytes(range(256)) * 20_000  # several chunks and ranges
    await blobs.keep(KEY, local(data))
    assert await read(blobs, KEY, 0, len(data)) == data
    assert await read(blobs, KEY, 7, 8) == data[7:8]
    assert await read(blobs, KEY, 1_000_000, 3_500_000) == data[1_000_000:3_500_000]
    assert await read(blobs, KEY, len(data) - 10, len(data)) == data[-10:]


async def test_a_reader_may_stop_in_the_middle(blobs: Blobs, local: Local) -> None:
    await blobs.keep(KEY, local(b"x" * 3_000_000))
    async with blobs.read(KEY, begin=0, end=3_000_000) as chunks:
        assert await anext(chunks)


async def test_what_is_not_there_is_not_found_before_anything_is_sent(blobs: Blobs) -> None:
    with pytest.raises(NotFound):
        async with blobs.read(KEY, begin=0, end=10):
            raise AssertionError("nothing can be open")


async def test_a_blob_is_erased_alone_and_a_folder_with_all_that_is_in_it(blobs: Blobs, local: Local) -> None:
    keys = [f"tenant/upload-{upload}/{number}" for upload in "ab" for number in range(2)]
    for key in keys:
        await blobs.keep(key, local(b"data"))
    await blobs.erase(keys[0])
    with pytest.raises(NotFound):
        await read(blobs, keys[0], 0, 4)
    assert await read(blobs, keys[1], 0, 4) == b"data"
    await blobs.erase("tenant/upload-a")
    with pytest.raises(NotFound):
        await read(blobs, keys[1], 0, 4)
    assert await read(blobs, keys[2], 0, 4) == b"data"


async def test_a_name_is_no_beginning_of_another(blobs: Blobs, local: Local) -> None:
    await blobs.keep("tenant/upload-1/x", local(b"data"))
    await blobs.keep("tenant/upload-10/x", local(b"data"))
    await blobs.erase("tenant/upload-1")
    assert await read(blobs, "tenant/upload-10/x", 0, 4) == b"data"


async def test_what_is_not_there_can_be_erased(blobs: Blobs) -> None:
    await blobs.erase(KEY)
    await blobs.erase("nobody")


async def test_a_file_of_several_parts_arrives_whole(blobs: Blobs, local: Local) -> None:
    data = b"0123456789abcdef" * ((2 * PART_BYTES + 1_000) // 16)
    await blobs.keep(KEY, local(data))
    assert await read(blobs, KEY, len(data) - 100, len(data)) == data[-100:]


async def test_keys_lie_below_the_prefix(s3: S3Server, bucket: ObjectStorage, local: Local) -> None:
    await open_bucket(bucket).keep(KEY, local(b"data"))
    assert bucket.bucket is not None
    assert s3.keys(bucket.bucket) == [f"chat/{KEY}"]


async def test_a_bucket_that_is_not_there_is_no_reason_to_lose_a_file_silently(
    s3: S3Server, local: Local
) -> None:
    elsewhere = ObjectStorage(
        bucket="nowhere", endpoint=s3.url, access_key_id="test", secret_access_key="test"
    )
    with pytest.raises((Unavailable, NotFound)):
        await open_bucket(elsewhere).keep(KEY, local(b"data"))
