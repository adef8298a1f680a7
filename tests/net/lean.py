"""HTTP/1.1 connections on streams in memory."""

from __future__ import annotations

from collections.abc import Callable

import trio

from gateway.config import Http
from gateway.delivery.timers import Wheel
from gateway.net.heads import Head, parse_head
from gateway.net.http import Clock, HttpConnection

SETTINGS = Http(head_bytes=2_048, head_s=10, body_bytes=5_000, body_s=30, keep_alive_s=75, write_s=20)


def over(stream: trio.abc.Stream, wheel: Wheel, cancel: Callable[[], None] = lambda: None) -> HttpConnection:
    return HttpConnection(
        stream, settings=SETTINGS, wheel=wheel, clock=Clock(), peer="192.0.2.1", secure=False, cancel=cancel
    )


Pair = tuple[HttpConnection, trio.abc.Stream]


def head_of(*lines: str) -> Head:
    return parse_head("\r\n".join((*lines, "", "")).encode("latin-1"))
