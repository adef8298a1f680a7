"""Bytes that clients might send, good and bad, and ways to cut them."""

from __future__ import annotations

import zlib
from itertools import pairwise

from hypothesis import strategies as st

from tests.wire.client import masked

LIMIT = 600
"""Small, so that what is near it comes up often."""

payloads = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=20).map(str.encode),
    st.integers(120, LIMIT + 10).map(lambda size: b"x" * size),
    st.binary(max_size=40).map(lambda data: zlib.compress(data, wbits=-15)),
    st.integers(0, 70_000).map(lambda size: zlib.compress(bytes(size), wbits=-15) + b"\x00"),
    st.sampled_from((999, 1000, 1005, 3000, 5000)).map(lambda code: code.to_bytes(2, "big") + b"why"),
)
first_bytes = st.one_of(
    st.sampled_from((0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0xC1, 0xC2, 0x41, 0x42, 0x88, 0x89, 0x8A)),
    st.integers(0, 255),
)
masks = st.binary(min_size=4, max_size=4)
frames = st.builds(
    lambda first, payload, mask: masked(first, payload, mask=mask), first_bytes, payloads, masks
)
chunks = st.lists(st.one_of(frames, frames, frames, st.binary(max_size=20)))
streams = st.one_of(st.binary(), chunks.map(b"".join))


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(position % (len(data) + 1) for position in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]
