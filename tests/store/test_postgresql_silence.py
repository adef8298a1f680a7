"""A PostgreSQL whose machine has lost its power: nothing more comes from it, not even the end of a connection."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator

import psycopg
import pytest
import trio

from gateway.store.postgresql.session import (
    PROBE_AFTER_S,
    PROBE_EVERY_S,
    PROBES,
    Session,
    connect,
)
from tests.support.cuts import SOCKET
from tests.support.postgresql import Server


@pytest.fixture
def url(postgresql: Server) -> Iterator[str]:
    with postgresql.database() as url:
        yield url


@pytest.mark.skipif(sys.platform != "linux", reason="other systems name these settings otherwise")
async def test_it_is_asked_whether_it_lives_and_given_up_after_some_seconds(
    url: str, nursery: trio.Nursery
) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(url)

    async def pass_on(client: trio.SocketStream) -> None:
        async with (
            await trio.open_unix_socket(f"{parts['host']}/{SOCKET}") as server,
            trio.open_nursery() as both,
        ):
            both.start_soon(_copy, client, server)
            await _copy(server, client)
            both.cancel_scope.cancel()

    listeners = await nursery.start(trio.serve_tcp, pass_on, 0)
    port = listeners[0].socket.getsockname()[1]
    over_tcp = psycopg.conninfo.make_conninfo(url, host="127.0.0.1", port=port, gssencmode="disable")
    session: Session = await trio.to_thread.run_sync(connect, over_tcp)
    with socket.socket(fileno=os.dup(session._server.socket)) as sock:
        asked = [
            sock.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        ]
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert asked == [PROBE_AFTER_S, PROBE_EVERY_S, PROBES]
    session.close()
    nursery.cancel_scope.cancel()


async def _copy(source: trio.SocketStream, target: trio.SocketStream) -> None:
    async for data in source:
        await target.send_all(data)
