"""What holds for any packet: an independent client is understood and understands, and garbage has a named error."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from socketio.packet import Packet as ClientPacket

from gateway.wire.engineio import ProtocolError
from gateway.wire.socketio import (
    ACK,
    EVENT,
    RESERVED_EVENTS,
    Assembler,
    Packet,
    decode,
    encode_binary_ack,
    encode_binary_event,
)

texts = st.text(st.characters(codec="utf-8"), max_size=20)
keys = texts.filter(lambda key: key != "_placeholder")
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)


def json_with(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
        max_leaves=10,
    )


arguments = st.lists(json_with(st.one_of(scalars, st.binary(max_size=20))), max_size=3)
names = texts.filter(lambda name: name not in RESERVED_EVENTS)
namespaces = st.one_of(st.just("/"), st.text("abc/-_é", min_size=1, max_size=10).map(lambda name: "/" + name))
ids = st.integers(0, 2**53 - 1)


def receive(text: str, *attachments: bytes) -> Packet | None:
    assembler = Assembler(max_attachments=100)
    packet = assembler.text(text)
    for data in attachments:
        assert packet is None
        packet = assembler.binary(data)
    return packet


@given(name=names, args=arguments, namespace=namespaces, ack_id=st.none() | ids)
def test_events_of_a_client_are_understood(
    name: str, args: list[Any], namespace: str, ack_id: int | None
) -> None:
    sent = ClientPacket(EVENT, [name, *args], namespace=namespace, id=ack_id).encode()
    assert receive(*([sent] if isinstance(sent, str) else sent)) == Packet(
        EVENT, [name, *args], namespace, ack_id
    )


@given(args=arguments, namespace=namespaces, ack_id=ids)
def test_acks_of_a_client_are_understood(args: list[Any], namespace: str, ack_id: int) -> None:
    sent = ClientPacket(ACK, args, namespace=namespace, id=ack_id).encode()
    assert receive(*([sent] if isinstance(sent, str) else sent)) == Packet(ACK, args, namespace, ack_id)


@given(name=names, args=arguments, namespace=namespaces, ack_id=st.none() | ids)
def test_a_client_understands_our_events(
    name: str, args: list[Any], namespace: str, ack_id: int | None
) -> None:
    text, attachments = encode_binary_event(name, args, namespace=namespace, ack_id=ack_id)
    packet = ClientPacket(encoded_packet=text.decode())
    for data in attachments:
        packet.add_attachment(data)
    assert (packet.namespace or "/", packet.id, packet.data) == (namespace, ack_id, [name, *args])


@given(args=arguments, namespace=namespaces, ack_id=ids)
def test_a_client_understands_our_acks(args: list[Any], namespace: str, ack_id: int) -> None:
    text, attachments = encode_binary_ack(ack_id, args, namespace=namespace)
    packet = ClientPacket(encoded_packet=text.decode())
    for data in attachments:
        packet.add_attachment(data)
    assert (packet.namespace or "/", packet.id, packet.data) == (namespace, ack_id, args)


pieces = st.sampled_from(
    [
        *("0", "1", "2", "3", "4", "5", "6", "51-", "62-", "/", "/a", "?b=c", ",", "12", "-", ".5"),
        *("[", "]", '["a"', '["connect"]', "{", "}", '"foo"', '{"_placeholder":true,"num":0}', "null"),
        *("\ud800", "\x00", " "),
    ]
)
garbage = st.one_of(st.text(), st.lists(pieces).map("".join))


@given(garbage)
def test_any_text_is_a_packet_or_a_named_error(text: str) -> None:
    try:
        packet = decode(text)
    except ProtocolError as error:
        reason = error.reason
    else:
        reason = "none"
        assert packet.namespace.startswith("/")
        assert "?" not in packet.namespace
    assert reason in REASONS


@given(st.lists(st.one_of(garbage, st.binary(max_size=3))))
def test_any_sequence_of_messages_gives_packets_or_a_named_error(messages: list[str | bytes]) -> None:
    assembler = Assembler(max_attachments=2)
    reason = "none"
    for message in messages:
        try:
            packet = assembler.text(message) if isinstance(message, str) else assembler.binary(message)
        except ProtocolError as error:
            reason = error.reason
            break
        assert packet is None or packet.attachments == 0
    assert reason in REASONS


REASONS = (
    "none",
    "attachments_missing",
    "bad_ack_id",
    "bad_attachments",
    "bad_event",
    "bad_json",
    "bad_payload",
    "bad_placeholder",
    "reserved_event",
    "too_deep",
    "too_many_attachments",
    "unexpected_attachment",
    "unknown_packet_type",
)
