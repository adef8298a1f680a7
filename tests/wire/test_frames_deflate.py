"""RFC 7692, permessage-deflate, as received; the literal payloads are the RFC's own examples (7.2.3)."""

from __future__ import annotations

import os
import tracemalloc
import zlib

import pytest

from gateway.wire.frames import Failure, Ping
from tests.wire.client import bytewise, masked, read

HELLO = bytes.fromhex("f248cdc9c90700")
CORRUPT = [Failure(1002, "compressed data is corrupt")]


def deflated(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


class TestExamples:
    def test_one_block(self) -> None:
        assert read(masked(0xC1, HELLO), inflate=True) == ["Hello"]

    def test_fragments(self) -> None:
        data = masked(0x41, HELLO[:3]) + masked(0x80, HELLO[3:])
        assert read(data, inflate=True) == ["Hello"]

    def test_a_block_without_compression(self) -> None:
        assert read(masked(0xC1, bytes.fromhex("000500faff48656c6c6f00")), inflate=True) == ["Hello"]

    def test_a_block_with_bfinal_set(self) -> None:
        assert read(masked(0xC1, bytes.fromhex("f348cdc9c9070000")), inflate=True) == ["Hello"]

    def test_two_blocks(self) -> None:
        assert read(masked(0xC1, bytes.fromhex("f248050000 00ffffcac9c90700")), inflate=True) == ["Hello"]

    def test_an_empty_message(self) -> None:
        assert read(masked(0xC1, b"\x00"), inflate=True) == [""]


class TestReserved1:
    """Section 6: the bit says "compressed", on the first frame of a message only."""

    def test_it_is_refused_unless_negotiated(self) -> None:
        assert read(masked(0xC1, HELLO)) == [Failure(1002, "reserved bits are set")]

    def test_it_is_refused_on_a_continuation(self) -> None:
        data = masked(0x41, HELLO[:3]) + masked(0xC0, HELLO[3:])
        assert read(data, inflate=True) == [Failure(1002, "reserved bits are set")]

    @pytest.mark.parametrize("first", [0xC8, 0xC9, 0xCA])
    def test_it_is_refused_on_control_frames(self, first: int) -> None:
        assert read(masked(first), inflate=True) == [Failure(1002, "reserved bits are set")]

    def test_messages_without_it_are_read_as_they_are(self) -> None:
        data = masked(0x81, b"plain") + masked(0xC2, HELLO) + masked(0x82, HELLO)
        assert read(data, inflate=True) == ["plain", b"Hello", HELLO]


class TestContext:
    def test_no_context_is_taken_over(self) -> None:
        """The second message points into the first, which ``client_no_context_takeover`` forbids."""
        second = bytes.fromhex("f200110000")  # 7.2.3.2
        assert read(masked(0xC1, HELLO) + masked(0xC1, second), inflate=True) == ["Hello", *CORRUPT]

    def test_each_message_stands_alone(self) -> None:
        assert read(*bytewise(masked(0xC1, HELLO) * 3), inflate=True) == ["Hello"] * 3

    def test_control_frames_come_between_compressed_fragments(self) -> None:
        data = masked(0x41, HELLO[:3]) + masked(0x89, b"p") + masked(0x80, HELLO[3:])
        assert read(data, inflate=True) == [Ping(b"p"), "Hello"]


class TestFaults:
    @pytest.mark.parametrize(
        "payload", [b"", b"\xff", HELLO[:3], HELLO + b"\xff", b"\x05\xe0\x81\x91", HELLO[:-1]]
    )
    def test_corrupt_data_is_refused(self, payload: bytes) -> None:
        assert read(masked(0xC1, payload), inflate=True) == CORRUPT

    def test_data_behind_the_end_of_the_stream_is_refused(self) -> None:
        stream = zlib.compressobj(wbits=-15)
        ended = stream.compress(b"Hello") + stream.flush()
        assert read(masked(0xC2, ended + b"\x00"), inflate=True) == [b"Hello"]
        assert read(masked(0xC2, ended + ended), inflate=True) == CORRUPT

    def test_text_is_checked_after_inflating(self) -> None:
        assert read(masked(0xC1, deflated(b"\xff")), inflate=True) == [Failure(1007, "text is not UTF-8")]
        assert read(masked(0xC2, deflated(b"\xff")), inflate=True) == [b"\xff"]


class TestSize:
    """The limit holds for the inflated message; nothing beyond it is inflated."""

    def test_the_limit_itself_is_allowed(self) -> None:
        data = masked(0xC2, deflated(bytes(1000)))
        assert read(data, inflate=True, max_message=1000) == [bytes(1000)]
        assert read(data, inflate=True, max_message=999) == [Failure(1009, "message too big")]

    def test_a_bomb_is_refused(self) -> None:
        bomb = deflated(bytes(100_000_000))
        assert len(bomb) < 100_000
        data = masked(0xC2, bomb)
        tracemalloc.start()
        try:
            assert read(data, inflate=True, max_message=100_000) == [Failure(1009, "message too big")]
            assert tracemalloc.get_traced_memory()[1] < 2_000_000
        finally:
            tracemalloc.stop()

    def test_data_that_does_not_compress(self) -> None:
        noise = os.urandom(50_000)
        assert read(masked(0xC2, deflated(noise)), inflate=True) == [noise]
