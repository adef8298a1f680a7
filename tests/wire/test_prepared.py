"""Outbound packets in every form a transport needs, made once and shared."""

from __future__ import annotations

import zlib

from gateway.wire.frames import PING, frame
from gateway.wire.prepared import Prepared, join, prepare_binary, prepare_event, prepare_text


def inflated(data: bytes) -> list[bytes]:
    """The payloads of short compressed frames."""
    payloads = []
    while data:
        assert data[0] & 0x40
        length = data[1]
        assert length < 126
        payload, data = data[2 : 2 + length], data[2 + length :]
        payloads.append(zlib.decompressobj(wbits=-15).decompress(payload + b"\0\0\xff\xff"))
    return payloads


def test_text_is_the_packet_on_every_transport() -> None:
    item = prepare_text(b"4hello")
    assert (item.packet, item.frame, inflated(item.deflated)) == (b"4hello", b"\x81\x064hello", [b"4hello"])


def test_binary_is_base64_in_a_payload_only() -> None:
    item = prepare_binary(b"data")
    assert (item.packet, item.frame, inflated(item.deflated)) == (b"bZGF0YQ==", b"\x82\x04data", [b"data"])


def test_a_control_frame_is_never_compressed() -> None:
    ping = frame(PING, b"x" * 100)
    assert Prepared(ping).deflated == ping


def test_joined_packets_keep_their_order_in_every_form() -> None:
    item = join([prepare_text(b"4one"), prepare_binary(b"two"), prepare_text(b"4three")])
    assert item.packet == b"4one\x1ebdHdv\x1e4three"
    assert item.frame == b"\x81\x044one\x82\x03two\x81\x064three"
    assert inflated(item.deflated) == [b"4one", b"two", b"4three"]


def test_what_is_joined_may_be_joined_again() -> None:
    one, two = prepare_text(b"4one"), prepare_text(b"4two")
    item = join([join([one, two]), join([two])])
    assert item.packet == b"4one\x1e4two\x1e4two"
    assert inflated(item.deflated) == [b"4one", b"4two", b"4two"]


def test_one_alone_needs_no_joining() -> None:
    item = prepare_text(b"4one")
    assert join([item]) is item


def test_an_event_is_one_argument_on_the_root_namespace() -> None:
    assert prepare_event("room-read", b'{"a":1}').packet == b'42["room-read",{"a":1}]'


def test_an_offset_stands_behind_the_argument_or_apart_in_an_event_of_its_own() -> None:
    event = prepare_event("room-read", b'{"a":",\\"x-1\\"]"}', "e-17")

    assert event.packet == b'42["room-read",{"a":",\\"x-1\\"]"},"e-17"]'
    assert event.apart.packet == b'42["room-read",{"a":",\\"x-1\\"]"}]\x1e42["offset","e-17"]'
    assert event.apart is event.apart
    assert event.apart.apart is event.apart
    assert prepare_event("typing", b"{}").apart.packet == b'42["typing",{}]'


def test_compression_is_done_once_for_all() -> None:
    item = prepare_text(b"4" + b"x" * 100)
    first = item.deflated
    assert item.deflated is first
    assert len(first) < len(item.frame)
