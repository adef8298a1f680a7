"""A message that comes over the bus was made by a node of this installation, for this channel, now, and once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery import bus_sealed
from gateway.delivery.bus_sealed import (
    WINDOW_MS,
    Batch,
    Sequences,
    Unsealed,
    encode_item,
    seal,
    sender,
    unseal,
)

SECRET = b"s" * 32
CHANNEL = b"gateway:tenant:acme"
NODE = "00112233445566ff"
NOW_MS = 1_800_000_000_000


def sealed(items: list[object], *, sequence: int = 1, sent_ms: int = NOW_MS, secret: bytes = SECRET) -> bytes:
    encoded = [encode_item(item) for item in items]
    return seal(secret, CHANNEL, node_id=NODE, sequence=sequence, sent_ms=sent_ms, items=encoded)


def batch(sequence: int, *, node_id: str = NODE, sent_ms: int = NOW_MS) -> Batch:
    return Batch(node_id, sequence, sent_ms, [])


@given(
    st.lists(
        st.tuples(
            st.lists(st.text()), st.binary(), st.none() | st.text(), st.booleans(), st.integers(0, 2**63)
        )
    )
)
def test_what_was_sealed_comes_out_with_its_sender(items: list[object]) -> None:
    opened = unseal(SECRET, CHANNEL, sealed(items, sequence=7))
    assert opened[:3] == (NODE, 7, NOW_MS)
    assert [tuple(item) for item in opened.items] == items


def test_the_sender_is_known_before_anything_is_opened() -> None:
    assert sender(sealed(["x"])) == NODE
    assert sender(b"") == sender(b"hello") == sender(b"\x02" + b"x" * 100) == ""


@given(st.data())
def test_a_message_with_any_bit_changed_is_not_taken(data: st.DataObject) -> None:
    message = bytearray(sealed([["ann"], b"payload"]))
    place = data.draw(st.integers(0, len(message) - 1))
    message[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Unsealed, match=r"^(forged|unknown)$"):
        unseal(SECRET, CHANNEL, bytes(message))


@given(st.binary(max_size=200))
def test_what_anybody_publishes_is_not_taken(message: bytes) -> None:
    with pytest.raises(Unsealed, match=r"^(forged|unknown)$"):
        unseal(SECRET, CHANNEL, message)


def test_another_installations_message_is_not_taken() -> None:
    with pytest.raises(Unsealed, match="forged"):
        unseal(SECRET, CHANNEL, sealed(["x"], secret=b"t" * 32))


def test_a_message_that_was_copied_to_another_channel_is_not_taken() -> None:
    with pytest.raises(Unsealed, match="forged"):
        unseal(SECRET, b"gateway:tenant:evil", sealed(["x"]))


def test_a_later_versions_message_is_not_taken_for_a_forgery() -> None:
    with pytest.raises(Unsealed, match="unknown"):
        unseal(SECRET, CHANNEL, b"\x02" + sealed(["x"])[1:])


class TestSequences:
    def test_numbers_rise_and_may_have_holes(self) -> None:
        sequences = Sequences()
        for number in (1, 2, 5, 100):
            sequences.check(CHANNEL, batch(number), now_ms=NOW_MS)

    @pytest.mark.parametrize("again", [1, 2, 3])
    def test_what_has_been_here_or_was_overtaken_is_refused(self, again: int) -> None:
        sequences = Sequences()
        for number in (1, 3):
            sequences.check(CHANNEL, batch(number), now_ms=NOW_MS)
        with pytest.raises(Unsealed, match="replayed"):
            sequences.check(CHANNEL, batch(again), now_ms=NOW_MS)

    def test_each_node_counts_for_itself_on_each_channel(self) -> None:
        sequences = Sequences()
        sequences.check(CHANNEL, batch(5), now_ms=NOW_MS)
        sequences.check(b"other", batch(4), now_ms=NOW_MS)
        sequences.check(CHANNEL, batch(4, node_id="aa" * 8), now_ms=NOW_MS)

    @pytest.mark.parametrize("off_ms", [-WINDOW_MS - 1, WINDOW_MS + 1])
    def test_what_is_not_of_now_is_refused(self, off_ms: int) -> None:
        with pytest.raises(Unsealed, match="stale"):
            Sequences().check(CHANNEL, batch(1, sent_ms=NOW_MS + off_ms), now_ms=NOW_MS)

    @pytest.mark.parametrize("off_ms", [-WINDOW_MS, WINDOW_MS])
    def test_clocks_may_differ(self, off_ms: int) -> None:
        Sequences().check(CHANNEL, batch(1, sent_ms=NOW_MS + off_ms), now_ms=NOW_MS)

    def test_memory_is_bounded_and_what_is_forgotten_first_is_too_old_to_be_replayed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bus_sealed, "REMEMBERED", 100)
        sequences = Sequences()
        for number in range(100):
            sequences.check(b"%d" % number, batch(1), now_ms=NOW_MS)
        later_ms = NOW_MS + 2 * WINDOW_MS + 1
        sequences.check(CHANNEL, batch(1, sent_ms=later_ms), now_ms=later_ms)
        for number in range(100):
            with pytest.raises(Unsealed, match="stale"):
                sequences.check(b"%d" % number, batch(1), now_ms=later_ms)
        with pytest.raises(Unsealed, match="replayed"):
            sequences.check(CHANNEL, batch(1, sent_ms=later_ms), now_ms=later_ms)

    def test_a_crowd_of_channels_at_once_pushes_out_the_longest_silent(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bus_sealed, "REMEMBERED", 100)
        sequences = Sequences()
        for number in range(150):
            sequences.check(b"%d" % number, batch(1), now_ms=NOW_MS + number)
        with pytest.raises(Unsealed, match="replayed"):
            sequences.check(b"149", batch(1), now_ms=NOW_MS + 150)
        sequences.check(b"0", batch(1), now_ms=NOW_MS + 150)
