"""Sends in one system call: where the kernel has io_uring they are, where it has not they go out all the same."""

from __future__ import annotations

import ctypes
import errno
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.net.multiplexer import BROKEN, Multiplexer
from gateway.net.native import Native
from gateway.wire.prepared import prepare_event
from tests.net.fakes import Adopter, Recorder
from tests.support.compiled import bound_anew, without_descriptors

LARGE = prepare_event("new-message", b'{"text":"%b"}' % (b"x" * 20_000))
IO_URING_SETUP = 425  # on every architecture


def rings() -> int:
    """How many this process has open."""
    return sum(str(entry.resolve()).endswith("[io_uring]") for entry in Path("/proc/self/fd").iterdir())


def is_refused() -> bool:
    """Whether the kernel lets nobody have one: it looks at that before it looks at the arguments."""
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall(IO_URING_SETUP, 1, None)
    return ctypes.get_errno() != errno.EFAULT


@pytest.mark.skipif(sys.platform != "linux" or is_refused(), reason="the kernel has no io_uring for us")
def test_a_ring_is_opened_for_the_sends_and_closed_with_them(compiled: Native) -> None:
    before = rings()
    another = bound_anew(compiled)
    assert rings() == before + 1
    del another
    assert rings() == before


@pytest.fixture(params=[bound_anew, without_descriptors], ids=["a ring", "no ring"])
def sending(request: pytest.FixtureRequest, compiled: Native) -> Native:
    made: Callable[[Native], Native] = request.param
    return made(compiled)


async def test_of_a_crowd_each_has_its_own_outcome(
    sending: Native, multiplexer: Multiplexer, adopt: Adopter
) -> None:
    crowd = [Recorder() for _ in range(8)]
    peers = [
        adopt(receiver, buffer_bytes=4_096 if place == 2 else None)[1] for place, receiver in enumerate(crowd)
    ]
    peers[5].close()
    sending.put_all([receiver.outbox for receiver in crowd], LARGE)
    links: list[Any] = [receiver.link for receiver in crowd]
    left = sending.flush(links.copy(), len(links))
    assert [(link, data) for link, data, _ in left] == [(links[5], LARGE.frame), (links[2], LARGE.frame)]
    assert left[0][2] == BROKEN
    assert 0 <= left[1][2] < len(LARGE.frame)
    for place, peer in enumerate(peers):
        if place not in (2, 5):
            assert peer.read() == LARGE.frame


async def test_a_connection_that_takes_nothing_is_not_waited_for(
    sending: Native, multiplexer: Multiplexer, adopt: Adopter
) -> None:
    crowd = [Recorder() for _ in range(6)]
    for receiver in crowd:
        link, _ = adopt(receiver, buffer_bytes=4_096)
        while True:  # until the kernel refuses
            try:
                link.sock.send(bytes(10_000))
            except BlockingIOError:
                break
    sending.put_all([receiver.outbox for receiver in crowd], LARGE)
    links: list[Any] = [receiver.link for receiver in crowd]
    left = sending.flush(links.copy(), len(links))
    assert left == [(link, LARGE.frame, 0) for link in reversed(links)]
    assert [receiver.outbox.size for receiver in crowd] == [len(LARGE.frame)] * len(crowd)
