"""One read of a socket, in Python and compiled: what of it is read already, and what is left to the frame reader."""

from __future__ import annotations

import gc
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.net.multiplexer import receive
from gateway.net.native import Native
from gateway.wire.frames import FrameReader, Item
from tests.net.fakes import text
from tests.support.compiled import BOTH
from tests.wire.client import masked, read
from tests.wire.streams import LIMIT, chunks, cut

SHORT_BELOW = FrameReader(max_message=1_000).short_below


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    server, client = socket.socketpair()
    server.setblocking(False)
    with server, client:
        yield server, client


def received(native: Native | None, pieces: list[bytes], reader: FrameReader) -> list[Item]:
    """What the reader and whoever reads for it make of these pieces, each of which comes alone."""
    server, client = socket.socketpair()
    server.setblocking(False)
    items: list[Item] = []
    with server, client:
        for piece in pieces:
            client.sendall(piece)
            while came := (receive if native is None else native.receive)(
                server.fileno(), reader.short_below
            ):
                for one in came:
                    items += [one] if isinstance(one, str) else reader.feed(one)
    return items


@BOTH
@given(pieces=chunks, cuts=st.lists(st.integers(0, 2_000)), inflate=st.booleans())
def test_any_bytes_cut_anyhow_give_the_items_that_the_frame_reader_gives(
    pieces: list[bytes], cuts: list[int], inflate: bool, native: Native | None
) -> None:
    data = b"".join(pieces)
    whole = read(data, max_message=LIMIT, max_fragments=3, inflate=inflate)
    for cutting in ([data], pieces, cut(data, cuts)):
        reader = FrameReader(max_message=LIMIT, max_fragments=3, inflate=inflate)
        assert received(native, [piece for piece in cutting if piece], reader) == whole


@BOTH
@given(message=st.text(max_size=200), most=st.integers(0, 200))
def test_the_longest_message_holds_for_short_texts_too(
    message: str, most: int, native: Native | None
) -> None:
    data = text(message)
    assert received(native, [data], FrameReader(max_message=most)) == read(data, max_message=most)


@BOTH
class TestEnds:
    def test_nothing_has_come(self, ends: tuple[socket.socket, socket.socket], native: Native | None) -> None:
        assert len((receive if native is None else native.receive)(ends[0].fileno(), SHORT_BELOW)) == 0

    def test_the_end_is_no_bytes(
        self, ends: tuple[socket.socket, socket.socket], native: Native | None
    ) -> None:
        ends[1].close()
        assert list((receive if native is None else native.receive)(ends[0].fileno(), SHORT_BELOW)) == [b""]

    def test_a_socket_that_is_closed_here_has_ended(self, native: Native | None) -> None:
        assert list((receive if native is None else native.receive)(-1, SHORT_BELOW)) == [b""]


def test_the_compiled_form_reads_short_texts_and_leaves_the_rest_as_it_came(
    ends: tuple[socket.socket, socket.socket], compiled: Native
) -> None:
    server, client = ends
    one, two, ping = text("one"), text("zw\u00f6lf"), masked(0x89, b"?")
    for stream, expected in (
        (one + two, ["one", "zw\u00f6lf"]),
        (one + two[:5], ["one", two[:5]]),
        (one + ping + two, ["one", ping + two]),
        (masked(0x81, b"\xff") + one, [masked(0x81, b"\xff") + one]),
        (text("x" * 125) + text("x" * 126), ["x" * 125, text("x" * 126)]),
    ):
        client.sendall(stream)
        assert compiled.receive(server.fileno(), SHORT_BELOW) == expected
    client.sendall(one)
    assert compiled.receive(server.fileno(), 0) == [one]  # the reader has something pending


def test_nothing_is_kept_of_what_was_read(
    ends: tuple[socket.socket, socket.socket], compiled: Native
) -> None:
    server, client = ends
    stream = text("one") * 3 + masked(0x81, b"\xff")

    def talk() -> None:
        for _ in range(100):
            client.sendall(stream)
            compiled.receive(server.fileno(), SHORT_BELOW)
            compiled.receive(server.fileno(), SHORT_BELOW)

    talk()
    before = sys.getallocatedblocks()
    talk()
    assert sys.getallocatedblocks() - before < 50  # a leak would be hundreds


def test_a_finalizer_that_fails_amid_a_read_does_not_make_it_the_end(
    ends: tuple[socket.socket, socket.socket], compiled: Native
) -> None:
    collected = []

    class Stray:
        def __init__(self) -> None:
            self.ring = self  # so that only a collection finds it

        def __del__(self) -> None:
            collected.append(True)
            with suppress(OSError):
                os.stat("")

    # Until 3.12 a collection begins with whatever is made: here, the list of what was read.
    kept: list[list[object]] = [[] for _ in range(200)]  # or a list that is lying about would be taken
    thresholds = gc.get_threshold()
    gc.disable()
    gc.set_threshold(1)
    try:
        Stray()
        gc.enable()
        found = compiled.receive(ends[0].fileno(), SHORT_BELOW)
    finally:
        gc.set_threshold(*thresholds)
        gc.enable()
    assert found == []
    assert collected == [True] or sys.version_info >= (3, 12)
    del kept


def test_arguments_of_another_kind_are_refused(compiled: Native) -> None:
    wrong: Any = compiled
    calls: list[Callable[[], object]] = [
        lambda: wrong.receive(1),
        lambda: wrong.receive("1", 1),
        lambda: wrong.receive(1, None),
        lambda: wrong.receive(1, 1 << 70),
    ]
    for call in calls:
        with pytest.raises((TypeError, OverflowError)):
            call()
