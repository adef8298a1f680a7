"""Engine.IO 4: packets and payloads as they are on the wire."""

from __future__ import annotations

import json

import pytest
from engineio.packet import Packet as ClientPacket  # type: ignore[import-untyped]
from engineio.payload import Payload as ClientPayload  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.engineio import (
    CLOSE,
    MESSAGE,
    NOOP,
    PING,
    PONG,
    UPGRADE,
    Packet,
    ProtocolError,
    decode_packet,
    decode_payload,
    encode_binary,
    encode_packet,
    encode_payload,
    open_packet,
)


class TestPacket:
    @pytest.mark.parametrize(
        ("text", "packet"),
        [
            ("4hello", Packet(MESSAGE, "hello")),
            ("4", Packet(MESSAGE, "")),
            ("4€\x1e", Packet(MESSAGE, "€\x1e")),
            ("2probe", Packet(PING, "probe")),
            ("3", Packet(PONG, "")),
            ("5", Packet(UPGRADE, "")),
            ("1", Packet(CLOSE, "")),
            ("6", Packet(NOOP, "")),
        ],
    )
    def test_text(self, text: str, packet: Packet) -> None:
        assert decode_packet(text) == packet
        assert isinstance(packet.data, str)
        assert encode_packet(packet.type, packet.data.encode()) == text.encode()

    def test_binary_is_a_message_whatever_its_bytes(self) -> None:
        assert decode_packet(b"") == Packet(MESSAGE, b"")
        assert decode_packet(b"1\xff") == Packet(MESSAGE, b"1\xff")

    def test_an_empty_text_is_no_packet(self) -> None:
        with pytest.raises(ProtocolError) as raised:
            decode_packet("")
        assert raised.value.reason == "empty_packet"

    @pytest.mark.parametrize("text", ["7", "abc", "bAQID", "/", " 4", "٤", "-1", "\x1e"])
    def test_an_unknown_type_is_refused(self, text: str) -> None:
        with pytest.raises(ProtocolError) as raised:
            decode_packet(text)
        assert raised.value.reason == "unknown_packet_type"


class TestPayload:
    def test_the_example_of_the_protocol(self) -> None:
        body = b"4hello\x1e2\x1e4world\x1ebAQIDBA=="
        packets = [
            Packet(MESSAGE, "hello"),
            Packet(PING, ""),
            Packet(MESSAGE, "world"),
            Packet(MESSAGE, b"\x01\x02\x03\x04"),
        ]
        assert decode_payload(body, max_packets=4) == packets
        written = [encode_packet("4", b"hello"), encode_packet("2"), encode_packet("4", b"world")]
        assert encode_payload([*written, encode_binary(b"\x01\x02\x03\x04")]) == body

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (b"", "empty_packet"),
            (b"\x1e", "empty_packet"),
            (b"4a\x1e", "empty_packet"),
            (b"\x1e4a", "empty_packet"),
            (b"abc", "unknown_packet_type"),
            (b"4a\x1e9", "unknown_packet_type"),
            (b"4\xff", "bad_utf8"),
            (b"4\xed\xa0\x80", "bad_utf8"),
            (b"b?", "bad_base64"),
            (b"bAQI", "bad_base64"),
            (b"bAQ==ID", "bad_base64"),
            ("bä".encode(), "bad_base64"),
        ],
    )
    def test_a_malformed_payload_is_refused(self, body: bytes, reason: str) -> None:
        with pytest.raises(ProtocolError) as raised:
            decode_payload(body, max_packets=10)
        assert raised.value.reason == reason

    def test_too_many_packets_are_refused(self) -> None:
        assert len(decode_payload(b"\x1e".join([b"4"] * 16), max_packets=16)) == 16
        with pytest.raises(ProtocolError) as raised:
            decode_payload(b"\x1e".join([b"4"] * 17), max_packets=16)
        assert raised.value.reason == "too_many_packets"

    @given(
        st.lists(
            st.one_of(st.text(st.characters(exclude_characters="\x1e", codec="utf-8")), st.binary()),
            min_size=1,
        )
    )
    def test_an_independent_client_writes_what_is_read_and_reads_what_is_written(
        self, messages: list[str | bytes]
    ) -> None:
        body = ClientPayload([ClientPacket(4, message) for message in messages]).encode().encode()
        assert decode_payload(body, max_packets=len(messages)) == [Packet(MESSAGE, data) for data in messages]
        written = [
            encode_packet(MESSAGE, data.encode()) if isinstance(data, str) else encode_binary(data)
            for data in messages
        ]
        assert encode_payload(written) == body

    @given(
        st.one_of(
            st.binary(),
            st.lists(st.sampled_from([b"4a", b"b", b"AQID", b"2", b"\x1e", b"=", b"\xe2"])).map(b"".join),
        )
    )
    def test_any_body_is_packets_or_a_named_error(self, body: bytes) -> None:
        try:
            count = len(decode_payload(body, max_packets=5))
        except ProtocolError:
            count = 1  # the one error there may be; anything else fails this test
        assert 1 <= count <= 5


class TestHandshake:
    def test_exactly_the_keys_of_the_protocol_and_numbers_as_they_are(self) -> None:
        packet = open_packet(
            sid="lv_VI97HAXpY6yYWAAAC",
            upgrades=["websocket"],
            ping_interval_ms=300,
            ping_timeout_ms=200,
            max_payload=1_000_000,
        )
        assert packet[:1] == b"0"
        assert json.loads(packet[1:]) == {
            "sid": "lv_VI97HAXpY6yYWAAAC",
            "upgrades": ["websocket"],
            "pingInterval": 300,
            "pingTimeout": 200,
            "maxPayload": 1_000_000,
        }
