"""RFC 6455, what a server makes of a client's bytes, section by section."""

from __future__ import annotations

import sys

import pytest

from gateway.wire.frames import Close, Failure, FrameReader, Ping, Pong
from tests.wire.client import bytewise, masked, read

KOSME = "κόσμε".encode()


def test_an_idle_reader_is_smaller_than_200_bytes() -> None:
    reader = FrameReader(max_message=1_000_000)
    assert sys.getsizeof(reader) < 200
    assert not hasattr(reader, "__dict__")


class TestBaseFraming:
    """Section 5.2."""

    def test_the_example_of_the_rfc(self) -> None:
        assert read(bytes.fromhex("818537fa213d7f9f4d5158")) == ["Hello"]

    def test_the_fragmented_example_of_the_rfc_masked(self) -> None:
        assert read(bytes.fromhex("018300000000 48656c 808200000000 6c6f")) == ["Hello"]

    @pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
    def test_each_form_of_the_length(self, size: int) -> None:
        assert read(masked(0x82, b"x" * size)) == [b"x" * size]
        assert read(masked(0x81, b"x" * size)) == ["x" * size]

    @pytest.mark.parametrize("size", [0, 1, 125, 126, 65_536])
    def test_a_message_that_arrives_byte_by_byte(self, size: int) -> None:
        assert read(*bytewise(masked(0x81, b"x" * size))) == ["x" * size]

    def test_many_messages_in_one_piece(self) -> None:
        data = masked(0x81, b"one") + masked(0x82, b"two") + masked(0x89, b"three") + masked(0x81, b"")
        assert read(data) == ["one", b"two", Ping(b"three"), ""]

    def test_a_short_text_is_read_after_everything_else_too(self) -> None:
        short = masked(0x81, b"short")
        before = masked(0x81, b"x" * 200)
        assert read(before[:100], before[100:], short, short) == ["x" * 200, "short", "short"]

    def test_a_header_cut_anywhere_waits_for_its_rest(self) -> None:
        data = masked(0x82, b"x" * 70_000)
        for cut in range(1, 15):
            assert read(data[:cut], data[cut:]) == [b"x" * 70_000]

    def test_the_short_way_and_the_long_way_agree_on_every_length(self) -> None:
        """The short way looks at the number of bytes and two of them; here are all that could mislead it."""
        for size in range(140):
            for second in {(size + 122) % 256, 0x80 | min(size, 127), 127, 254, 255}:
                data = (bytes((0x81, second)) + b"x" * size)[:size]
                assert read(data) == read(*bytewise(data))
                assert read(data, max_message=50) == read(*bytewise(data), max_message=50)

    def test_bytes_that_look_like_a_whole_frame_may_be_the_rest_of_another(self) -> None:
        inner = masked(0x81, b"Hello")
        assert read(b"\x82", inner) == [b"\xb8", Failure(1002, "reserved bits are set")]
        outer = masked(0x82, inner)
        assert read(outer[:6], outer[6:]) == [inner]
        assert read(masked(0x82, inner, mask=bytes(4))[:6], inner) == [inner]
        assert read(masked(0x89, inner, mask=bytes(4))[:6], inner) == [Ping(inner)]
        assert read(masked(0x01, b"a"), inner) == [Failure(1002, "new message inside a fragmented one")]

    @pytest.mark.parametrize("bits", [0x10, 0x20, 0x30, 0x40, 0x70])
    @pytest.mark.parametrize("opcode", [0x1, 0x2, 0x8, 0x9, 0xA])
    def test_reserved_bits_are_refused(self, bits: int, opcode: int) -> None:
        assert read(masked(0x80 | bits | opcode)) == [Failure(1002, "reserved bits are set")]

    @pytest.mark.parametrize("opcode", [0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF])
    def test_reserved_opcodes_are_refused(self, opcode: int) -> None:
        assert read(masked(0x80 | opcode)) == [Failure(1002, "reserved opcode")]

    @pytest.mark.parametrize(
        "header",
        ["81fe 007d 00000000", "82fe 0000 00000000", "82ff 000000000000ffff 00000000"],
        ids=["125 in two bytes", "0 in two bytes", "65535 in eight bytes"],
    )
    def test_a_length_that_is_not_in_its_shortest_form_is_refused(self, header: str) -> None:
        assert read(bytes.fromhex(header)) == [Failure(1002, "length is not in its shortest form")]

    def test_a_length_with_the_highest_bit_set_is_refused(self) -> None:
        header = bytes.fromhex("82ff 8000000000000000 00000000")
        assert read(header) == [Failure(1002, "highest bit of the length is set")]

    def test_what_was_complete_before_the_violation_is_delivered(self) -> None:
        assert read(masked(0x81, b"good") + masked(0x83)) == ["good", Failure(1002, "reserved opcode")]

    def test_nothing_is_read_after_a_violation(self) -> None:
        reader = FrameReader(max_message=100)
        reader.feed(masked(0x83))
        assert reader.feed(masked(0x81, b"late")) == []
        assert reader.feed(masked(0x83)) == []


class TestMasking:
    """Section 5.3 and 5.1: a server must close the connection upon a frame that is not masked."""

    def test_an_unmasked_frame_is_refused_before_anything_else_arrives(self) -> None:
        assert read(bytes.fromhex("8105")) == [Failure(1002, "client frames must be masked")]

    @pytest.mark.parametrize("first", [0x81, 0x82, 0x88, 0x89, 0x8A])
    def test_an_empty_unmasked_frame_is_refused(self, first: int) -> None:
        assert read(bytes((first, 0))) == [Failure(1002, "client frames must be masked")]

    @pytest.mark.parametrize("cut", range(7, 20))
    def test_the_mask_goes_on_where_a_piece_ended(self, cut: int) -> None:
        data = masked(0x82, bytes(range(100)))
        assert read(data[:cut], data[cut : cut + 3], data[cut + 3 :]) == [bytes(range(100))]


class TestFragmentation:
    """Section 5.4."""

    def test_fragments_make_one_message(self) -> None:
        data = masked(0x01, b"a") + masked(0x00, b"") + masked(0x00, b"b") + masked(0x80, b"c")
        assert read(data) == ["abc"]
        assert read(*bytewise(data)) == ["abc"]

    def test_control_frames_may_come_between_fragments(self) -> None:
        data = masked(0x02, b"a") + masked(0x89, b"ping") + masked(0x8A) + masked(0x80, b"b")
        assert read(data) == [Ping(b"ping"), Pong(b""), b"ab"]

    def test_a_close_frame_may_come_between_fragments(self) -> None:
        assert read(masked(0x01, b"a") + masked(0x88) + masked(0x80, b"b")) == [Close(None, "")]

    @pytest.mark.parametrize("first", [0x00, 0x80])
    def test_a_continuation_of_nothing_is_refused(self, first: int) -> None:
        assert read(masked(first, b"a")) == [Failure(1002, "continuation of nothing")]

    def test_a_continuation_after_the_last_fragment_is_refused(self) -> None:
        data = masked(0x01, b"a") + masked(0x80, b"b") + masked(0x80, b"c")
        assert read(data) == ["ab", Failure(1002, "continuation of nothing")]

    @pytest.mark.parametrize("first", [0x01, 0x81, 0x02, 0x82])
    def test_a_new_message_inside_a_fragmented_one_is_refused(self, first: int) -> None:
        data = masked(0x01, b"a") + masked(first, b"b")
        assert read(data) == [Failure(1002, "new message inside a fragmented one")]

    def test_as_many_fragments_as_allowed(self) -> None:
        data = masked(0x02, b"a") + masked(0x00, b"a") * 65_534 + masked(0x80, b"a")
        assert read(data) == [b"a" * 65_536]

    def test_one_fragment_too_many_is_refused(self) -> None:
        data = masked(0x02, b"a") + masked(0x00) * 2 + masked(0x80, b"a")
        assert read(data, max_fragments=4) == [b"aa"]
        assert read(data, max_fragments=3) == [Failure(1009, "message in too many fragments")]


class TestControlFrames:
    """Section 5.5."""

    @pytest.mark.parametrize("size", [0, 1, 125])
    def test_pings_and_pongs_with_their_payload(self, size: int) -> None:
        data = masked(0x89, b"\x00" * size) + masked(0x8A, b"\xff" * size)
        assert read(data) == read(*bytewise(data)) == [Ping(b"\x00" * size), Pong(b"\xff" * size)]

    @pytest.mark.parametrize("opcode", [0x8, 0x9, 0xA])
    def test_a_payload_over_125_bytes_is_refused_by_its_header(self, opcode: int) -> None:
        assert read(bytes((0x80 | opcode, 0xFE))) == [Failure(1002, "control frame over 125 bytes")]
        assert read(bytes((0x80 | opcode, 0xFF))) == [Failure(1002, "control frame over 125 bytes")]

    @pytest.mark.parametrize("opcode", [0x8, 0x9, 0xA])
    def test_a_fragmented_control_frame_is_refused(self, opcode: int) -> None:
        assert read(masked(opcode, b"")) == [Failure(1002, "fragmented control frame")]

    def test_the_size_limit_is_for_messages_alone(self) -> None:
        assert read(masked(0x89, b"x" * 125), max_message=1) == [Ping(b"x" * 125)]


class TestClose:
    """Sections 5.5.1, 7.1.5, 7.1.6 and 7.4."""

    def test_an_empty_close_frame_has_no_code(self) -> None:
        assert read(masked(0x88)) == [Close(None, "")]

    def test_a_code_and_a_reason(self) -> None:
        assert read(masked(0x88, b"\x03\xe9" + KOSME)) == [Close(1001, "κόσμε")]

    def test_a_reason_of_123_bytes(self) -> None:
        assert read(masked(0x88, b"\x03\xe8" + b"x" * 123)) == [Close(1000, "x" * 123)]

    def test_half_a_code_is_refused(self) -> None:
        assert read(masked(0x88, b"\x03")) == [Failure(1002, "close frame with half a code")]

    @pytest.mark.parametrize(
        "code", [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999], ids=str
    )
    def test_codes_that_may_be_sent(self, code: int) -> None:
        assert read(masked(0x88, code.to_bytes(2, "big"))) == [Close(code, "")]

    @pytest.mark.parametrize(
        "code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535], ids=str
    )
    def test_codes_that_may_not_be_sent(self, code: int) -> None:
        assert read(masked(0x88, code.to_bytes(2, "big"))) == [Failure(1002, "close code is not allowed")]

    def test_a_reason_that_is_not_utf8_is_refused(self) -> None:
        assert read(masked(0x88, b"\x03\xe8\xce\xba\xed\xa0\x80")) == [Failure(1007, "text is not UTF-8")]

    def test_nothing_is_read_after_it(self) -> None:
        reader = FrameReader(max_message=100)
        assert reader.feed(masked(0x88) + masked(0x81, b"late") + masked(0x83)) == [Close(None, "")]
        assert reader.feed(masked(0x81, b"later")) == []


class TestText:
    """Section 8.1: text is UTF-8, and the connection fails where it is known not to be."""

    @pytest.mark.parametrize(
        "text",
        ["", "κόσμε", "\x00", "\x7f", "\x80", "߿", "ࠀ", "퟿", "\ue000", "�", "￿", "\U00010000", "\U0010ffff"],
    )
    def test_any_text(self, text: str) -> None:
        data = masked(0x81, text.encode())
        assert read(data) == read(*bytewise(data)) == [text]

    @pytest.mark.parametrize("cut", range(len(KOSME) + 1))
    def test_a_character_cut_between_fragments(self, cut: int) -> None:
        assert read(masked(0x01, KOSME[:cut]) + masked(0x80, KOSME[cut:])) == ["κόσμε"]

    @pytest.mark.parametrize(
        "bad",
        [
            "80", "bf", "c0af", "c1bf", "c3", "c328", "e08080", "e282", "eda080", "edbfbf",
            "f0808080", "f09f98", "f4908080", "f5808080", "f888808080", "fe", "ff", "cebaedb0806564",
        ],
    )  # fmt: skip
    def test_what_is_not_utf8_is_refused_however_it_comes(self, bad: str) -> None:
        payload = bytes.fromhex(bad)
        whole, split = masked(0x81, payload), masked(0x01, payload[:1]) + masked(0x80, payload[1:])
        refused = [Failure(1007, "text is not UTF-8")]
        assert read(whole) == read(*bytewise(whole)) == read(split) == refused
        assert read(masked(0x81, b"x" * 200 + payload)) == refused

    def test_a_bad_fragment_is_refused_before_the_message_ends(self) -> None:
        reader = FrameReader(max_message=100)
        assert reader.feed(masked(0x01, KOSME + b"\xf4")) == []
        assert reader.feed(masked(0x00, b"\x90")) == [Failure(1007, "text is not UTF-8")]

    def test_a_bad_byte_is_refused_before_its_frame_ends(self) -> None:
        data = masked(0x81, KOSME + b"\xf4\x90\x80\x80edited")
        reader = FrameReader(max_message=100)
        at = 6 + len(KOSME) + 1
        assert reader.feed(data[:at]) == []
        assert reader.feed(data[at : at + 1]) == [Failure(1007, "text is not UTF-8")]

    def test_a_character_that_does_not_end_with_its_message_is_refused(self) -> None:
        data = masked(0x01, KOSME[:1]) + masked(0x80, b"")
        assert read(data) == [Failure(1007, "text is not UTF-8")]

    def test_binary_may_be_anything(self) -> None:
        assert read(masked(0x82, b"\xff\xfe"), masked(0x02, b"\xff"), masked(0x80, b"\xc3")) == [
            b"\xff\xfe",
            b"\xff\xc3",
        ]


class TestSize:
    """Section 10.4: a limit on messages, told with 1009."""

    @pytest.mark.parametrize("limit", [0, 1, 100, 125, 126, 300])
    def test_the_limit_itself_is_allowed(self, limit: int) -> None:
        assert read(masked(0x81, b"x" * limit), max_message=limit) == ["x" * limit]
        assert read(masked(0x81, b"x" * (limit + 1)), max_message=limit) == [Failure(1009, "message too big")]

    def test_the_header_is_enough_to_refuse(self) -> None:
        header = masked(0x82, b"x" * 70_000)[:14]
        assert read(header, max_message=69_999) == [Failure(1009, "message too big")]

    def test_the_limit_stays_what_it_is(self) -> None:
        half = masked(0x82, b"12345")
        data = [half[:7], half[7:], masked(0x81, b"67890"), masked(0x81, b"123456")]
        assert read(*data, max_message=5) == [b"12345", "67890", Failure(1009, "message too big")]

    def test_fragments_count_together(self) -> None:
        data = masked(0x02, b"x" * 60) + masked(0x80, b"x" * 41)
        assert read(data, max_message=101) == [b"x" * 101]
        assert read(data, max_message=100) == [Failure(1009, "message too big")]

    def test_the_largest_length_there_is(self) -> None:
        header = bytes.fromhex("82ff 7fffffffffffffff 00000000")
        assert read(header) == [Failure(1009, "message too big")]

    def test_16_mebibytes_in_pieces(self) -> None:
        payload = bytes(1 << 24)
        data = b"\x82\xff" + len(payload).to_bytes(8, "big") + bytes(4) + payload
        pieces = [data[i : i + 1000] for i in range(0, len(data), 1000)]
        assert read(*pieces, max_message=1 << 24) == [payload]
