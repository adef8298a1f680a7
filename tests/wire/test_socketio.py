"""Socket.IO 5: packets as they are on the wire, type by type."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire.engineio import ProtocolError
from gateway.wire.socketio import (
    ACK,
    BINARY_ACK,
    BINARY_EVENT,
    CONNECT,
    CONNECT_ERROR,
    DISCONNECT,
    EVENT,
    Assembler,
    Packet,
    decode,
    encode_ack,
    encode_binary_ack,
    encode_binary_event,
    encode_connect,
    encode_connect_error,
    encode_disconnect,
)


def refusal(text: str) -> str:
    with pytest.raises(ProtocolError) as raised:
        decode(text)
    return raised.value.reason


class TestConnect:
    def test_with_and_without_data(self) -> None:
        assert decode("0") == Packet(CONNECT)
        assert decode('0{"token":"123"}') == Packet(CONNECT, {"token": "123"})
        assert decode("0{}") == Packet(CONNECT, {})

    def test_on_a_namespace(self) -> None:
        assert decode("0/admin,") == decode("0/admin") == Packet(CONNECT, namespace="/admin")
        assert decode('0/admin,{"token":"123"}') == Packet(CONNECT, {"token": "123"}, "/admin")
        assert decode("0/,{}") == Packet(CONNECT, {})

    def test_a_query_string_behind_the_namespace_is_dropped(self) -> None:
        assert decode("0/admin?token=1234&uid=abcd,") == Packet(CONNECT, namespace="/admin")
        assert decode('0/admin?a=b,{"c":1}') == Packet(CONNECT, {"c": 1}, "/admin")

    @pytest.mark.parametrize("text", ["0[]", '0"token"', "0null", "0true", "0/admin,[]"])
    def test_data_that_is_no_object_is_refused(self, text: str) -> None:
        assert refusal(text) == "bad_payload"

    def test_an_ack_id_is_refused(self) -> None:
        assert refusal("01{}") == "bad_ack_id"

    def test_the_answer_carries_what_it_is_given(self) -> None:
        assert encode_connect({"sid": "oSO0OpakMV_3jnilAAAA"}) == b'0{"sid":"oSO0OpakMV_3jnilAAAA"}'
        assert encode_connect({"sid": "x"}, namespace="/admin") == b'0/admin,{"sid":"x"}'
        assert encode_connect() == b"0"


class TestConnectError:
    def test_an_object_or_a_string(self) -> None:
        assert decode('4{"message":"no"}') == Packet(CONNECT_ERROR, {"message": "no"})
        assert decode('4/admin,"no"') == Packet(CONNECT_ERROR, "no", "/admin")

    @pytest.mark.parametrize("text", ["4", "4[]", "41{}", "4null"])
    def test_anything_else_is_refused(self, text: str) -> None:
        assert refusal(text) in ("bad_payload", "bad_ack_id")

    def test_the_refusal_of_an_unknown_namespace(self) -> None:
        refused = encode_connect_error("Invalid namespace", namespace="/random")
        assert refused == b'4/random,{"message":"Invalid namespace"}'

    def test_with_data(self) -> None:
        assert encode_connect_error("no", data={"code": 1}) == b'4{"message":"no","data":{"code":1}}'


class TestDisconnect:
    def test_without_data(self) -> None:
        assert decode("1") == Packet(DISCONNECT)
        assert decode("1/admin,") == Packet(DISCONNECT, namespace="/admin")

    @pytest.mark.parametrize("text", ["1{}", "1null", '1"bye"', "1[]"])
    def test_data_is_refused(self, text: str) -> None:
        assert refusal(text) == "bad_payload"

    def test_written(self) -> None:
        assert encode_disconnect() == b"1"
        assert encode_disconnect(namespace="/admin") == b"1/admin,"


class TestEvent:
    def test_name_and_arguments(self) -> None:
        assert decode('2["foo"]') == Packet(EVENT, ["foo"])
        assert decode('2["foo",{"a":[1,null]},"b"]') == Packet(EVENT, ["foo", {"a": [1, None]}, "b"])
        assert decode('2/admin,["bar"]') == Packet(EVENT, ["bar"], "/admin")

    def test_with_an_ack_id(self) -> None:
        assert decode('212["foo"]') == Packet(EVENT, ["foo"], id=12)
        assert decode('2/admin,0["foo"]') == Packet(EVENT, ["foo"], "/admin", 0)
        assert decode('29007199254740991["foo"]').id == 2**53 - 1

    @pytest.mark.parametrize(
        "text", ["2", "2{}", '2"foo"', "2[]", "2[1]", "2[null]", '2[["foo"]]', "212", "2/a,{}"]
    )
    def test_without_a_name_it_is_refused(self, text: str) -> None:
        assert refusal(text) in ("bad_event", "bad_payload")

    @pytest.mark.parametrize("name", ["connect", "connect_error", "disconnect", "disconnecting"])
    def test_a_reserved_name_is_refused(self, name: str) -> None:
        assert refusal(f'2["{name}"]') == "reserved_event"
        assert refusal(f'2/admin,1["{name}",1]') == "reserved_event"
        assert refusal(f'51-["{name}",{{"_placeholder":true,"num":0}}]') == "reserved_event"

    @pytest.mark.parametrize(
        "text", ['2abc["foo"]', '2["foo"', '2["foo"]x', '2["foo",NaN]', '2["\\ud800"]', '2-1["foo"]']
    )
    def test_bad_json_is_refused(self, text: str) -> None:
        assert refusal(text) == "bad_json"

    @pytest.mark.parametrize("number", ["1" * 5_000, "-" + "1" * 5_000, "1e999", "1e" + "9" * 50])
    def test_a_number_out_of_range_is_refused(self, number: str) -> None:
        assert refusal(f'2["foo",{number}]') == "bad_json"

    @pytest.mark.parametrize("head", ["2", '2["foo",', "2/admin,1", "0", "31"])
    @pytest.mark.parametrize("nested", ["[", '{"a":'])
    def test_endless_depth_is_refused(self, head: str, nested: str) -> None:
        assert refusal(head + nested * 100_000) == "too_deep"

    def test_an_ack_id_no_client_can_count_to_is_refused(self) -> None:
        assert refusal("2" + "1" * 17 + '["foo"]') == "bad_ack_id"
        assert refusal("2" + "1" * 100_000 + '["foo"]') == "bad_ack_id"

    def test_digits_of_other_scripts_are_no_ack_id(self) -> None:
        assert refusal('2٣["foo"]') == "bad_json"


class TestAck:
    def test_id_and_arguments(self) -> None:
        assert decode("312[]") == Packet(ACK, [], id=12)
        assert decode('3/admin,0["bar",1]') == Packet(ACK, ["bar", 1], "/admin", 0)

    def test_without_an_id_it_is_refused(self) -> None:
        assert refusal("3[]") == refusal("3/admin,[]") == "bad_ack_id"

    @pytest.mark.parametrize("text", ["31", "31{}", '31"bar"', "31null"])
    def test_without_an_array_it_is_refused(self, text: str) -> None:
        assert refusal(text) == "bad_payload"

    def test_written(self) -> None:
        assert encode_ack(12) == b"312[]"
        assert encode_ack(0, b'"bar"', b"1", namespace="/admin") == b'3/admin,0["bar",1]'


@pytest.mark.parametrize("text", ["", "7", "9[]", "abc", "-1", "[]", " 2[]", "٢[]"])
def test_an_unknown_type_is_refused(text: str) -> None:
    assert refusal(text) == "unknown_packet_type"


class TestBinaryHeader:
    def test_count_namespace_and_id(self) -> None:
        placeholder = {"_placeholder": True, "num": 0}
        assert decode('51-["baz",{"_placeholder":true,"num":0}]') == Packet(
            BINARY_EVENT, ["baz", placeholder], attachments=1
        )
        assert decode('61-/admin,456[{"_placeholder":true,"num":0}]') == Packet(
            BINARY_ACK, [placeholder], "/admin", 456, 1
        )

    @pytest.mark.parametrize(
        "text",
        ["6", '5["a"]', '50-["a"]', '5-["a"]', '5-1-["a"]', '51["a"]', '5a-["a"]', '51.5-["a"]', '5 1-["a"]']
        + [f'5{"1" * digits}-["a"]' for digits in (7, 30, 100_000)],
    )
    def test_a_bad_count_is_refused(self, text: str) -> None:
        assert refusal(text) == "bad_attachments"

    def test_other_types_have_no_attachments(self) -> None:
        assert refusal('21-["a"]') == refusal("31-[]") == "bad_json"


class TestAssembler:
    def test_attachments_take_their_places(self) -> None:
        assembler = Assembler(max_attachments=10)
        header = '52-/admin,7["file",{"x":[{"_placeholder":true,"num":1}]},{"_placeholder":true,"num":0},"y"]'
        assert assembler.text(header) is None
        assert assembler.binary(b"zero") is None
        assert assembler.binary(b"one") == Packet(EVENT, ["file", {"x": [b"one"]}, b"zero", "y"], "/admin", 7)

    def test_an_ack_with_attachments(self) -> None:
        assembler = Assembler(max_attachments=10)
        assert assembler.text('61-15["bar",{"_placeholder":true,"num":0}]') is None
        assert assembler.binary(b"\x01") == Packet(ACK, ["bar", b"\x01"], id=15)

    def test_one_packet_after_the_other(self) -> None:
        assembler = Assembler(max_attachments=1)
        for data in (b"a", b"b"):
            assert assembler.text('2["plain"]') == Packet(EVENT, ["plain"])
            assert assembler.text('51-["foo",{"_placeholder":true,"num":0}]') is None
            assert assembler.binary(data) == Packet(EVENT, ["foo", data])

    def test_an_attachment_nobody_announced_is_refused(self) -> None:
        with pytest.raises(ProtocolError) as raised:
            Assembler(max_attachments=10).binary(b"")
        assert raised.value.reason == "unexpected_attachment"

    def test_one_attachment_too_many_is_refused(self) -> None:
        assembler = Assembler(max_attachments=10)
        assembler.text('51-["foo",{"_placeholder":true,"num":0}]')
        assembler.binary(b"")
        with pytest.raises(ProtocolError) as raised:
            assembler.binary(b"")
        assert raised.value.reason == "unexpected_attachment"

    def test_a_text_before_the_last_attachment_is_refused(self) -> None:
        assembler = Assembler(max_attachments=10)
        assembler.text('52-["foo",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
        assembler.binary(b"")
        with pytest.raises(ProtocolError) as raised:
            assembler.text('2["foo"]')
        assert raised.value.reason == "attachments_missing"

    def test_more_attachments_than_allowed_are_refused_when_announced(self) -> None:
        assembler = Assembler(max_attachments=2)
        with pytest.raises(ProtocolError) as raised:
            assembler.text('53-["foo"]')
        assert raised.value.reason == "too_many_attachments"

    @pytest.mark.parametrize(
        "placeholders",
        [
            '{"_placeholder":true,"num":0}',
            '{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}',
            '{"_placeholder":true,"num":0},{"_placeholder":true,"num":2}',
            '{"_placeholder":true,"num":0},{"_placeholder":true,"num":-1}',
            '{"_placeholder":true,"num":0},{"_placeholder":true,"num":"1"}',
            '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1.0}',
            '{"_placeholder":true,"num":0},{"_placeholder":true,"num":true}',
            '{"_placeholder":true,"num":0},{"_placeholder":true}',
            '{"_placeholder":true,"num":0},{"_placeholder":false,"num":1}',
            '{"_placeholder":true,"num":0},{"_placeholder":true,"num":[]}',
        ],
    )
    def test_placeholders_that_do_not_match_the_attachments_are_refused(self, placeholders: str) -> None:
        assembler = Assembler(max_attachments=10)
        assert assembler.text(f'52-["foo",{placeholders}]') is None
        assembler.binary(b"")
        with pytest.raises(ProtocolError) as raised:
            assembler.binary(b"")
        assert raised.value.reason == "bad_placeholder"

    def test_a_placeholder_may_lie_as_deep_as_json_goes(self) -> None:
        depth = 200
        assembler = Assembler(max_attachments=10)
        header = f'51-["foo",{"[" * depth}{{"_placeholder":true,"num":0}}{"]" * depth}]'
        assert assembler.text(header) is None
        packet = assembler.binary(b"deep")
        assert packet is not None
        value = packet.data[1]
        for _ in range(depth):
            (value,) = value
        assert value == b"deep"


class TestBinaryWritten:
    def test_bytes_become_attachments_in_order(self) -> None:
        packet, attachments = encode_binary_event(
            "baz", [b"one", {"x": [b"two", 1]}], namespace="/admin", ack_id=4
        )
        assert packet[:13] == b'52-/admin,4["'
        assert json.loads(packet[11:]) == [
            "baz",
            {"_placeholder": True, "num": 0},
            {"x": [{"_placeholder": True, "num": 1}, 1]},
        ]
        assert attachments == [b"one", b"two"]

    def test_an_ack(self) -> None:
        packet, attachments = encode_binary_ack(456, [b"bar"])
        assert packet == b'61-456[{"_placeholder":true,"num":0}]'
        assert attachments == [b"bar"]

    def test_without_bytes_it_is_an_ordinary_packet(self) -> None:
        assert encode_binary_event("foo", [1, {"a": None}]) == (b'2["foo",1,{"a":null}]', [])
        assert encode_binary_ack(1, []) == (b"31[]", [])

    def test_arguments_too_deep_to_write_are_refused(self) -> None:
        deep: list[object] = []
        for _ in range(5_000):
            deep = [deep]
        with pytest.raises(ProtocolError) as raised:
            encode_binary_event("foo", deep)
        assert raised.value.reason == "too_deep"


class TestDecodingByTheApplication:
    """Its own records of the events it knows; whatever it does not take is as any other event, right or wrong."""

    @staticmethod
    def decode_event(text: str) -> str:
        if text == '["deep"]':
            raise RecursionError
        if text.startswith('["known"'):
            return "known"
        raise ValueError

    @pytest.mark.parametrize(("text", "id"), [('2["known",1]', None), ('217["known"]', 17)])
    def test_what_it_takes_is_the_data(self, text: str, id: int | None) -> None:
        assert decode(text, self.decode_event) == Packet(EVENT, "known", "/", id)

    @pytest.mark.parametrize(
        "text",
        ['2["other",1]', '217["other"]', '2["deep"]', '2/chat,["known"]', '3["known"]', '31["known"]', "0"],
    )
    def test_what_it_does_not_take_is_as_without_it(self, text: str) -> None:
        def result(*application: Any) -> Packet | str:
            try:
                return decode(text, *application)
            except ProtocolError as error:
                return error.reason

        assert result(self.decode_event) == result()

    @pytest.mark.parametrize(
        ("text", "reason"),
        [("2[", "bad_json"), ('2["connect"]', "reserved_event"), ('2%s["known"]' % ("1" * 17), "bad_ack_id")],
    )
    def test_the_protocol_is_the_protocol(self, text: str, reason: str) -> None:
        with pytest.raises(ProtocolError) as caught:
            decode(text, self.decode_event)
        assert caught.value.reason == reason
