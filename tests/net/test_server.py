"""The listening port: who is let in, and who is turned away."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator

import pytest
import trio
import trustme

from gateway.errors import ConfigError
from gateway.net.door import CROWDED_S
from gateway.net.server import ACCEPTS_PER_TURN, HANDSHAKE_S, Listener, listen
from tests.net.doors import Front, parse_answers, request
from tests.net.fakes import Peer, settle

API = request("GET", "/v1/x")


class Port:
    """A listening port on loopback, and clients that call it."""

    def __init__(self, front: Front, nursery: trio.Nursery) -> None:
        self.listeners = listen("127.0.0.1", 0)
        self._front = front
        self._nursery = nursery
        self._clients: list[socket.socket] = []

    def open(self, *, most: int = 100, tls: ssl.SSLContext | None = None) -> None:
        listener = Listener(door=self._front.door, connections=self._nursery, tls=tls, most=most)
        self._nursery.start_soon(listener.run, self.listeners[0])

    def call(self) -> Peer:
        client = socket.create_connection(self.listeners[0].getsockname())
        self._clients.append(client)
        return Peer(client)

    def close(self) -> None:
        for sock in (*self.listeners, *self._clients):
            sock.close()


@pytest.fixture
async def port(front: Front, nursery: trio.Nursery) -> AsyncIterator[Port]:
    port = Port(front, nursery)
    yield port
    port.close()


class TestListening:
    def test_a_name_may_stand_for_several_addresses_with_one_port(self) -> None:
        listeners = listen("localhost", 0)
        try:
            assert len({sock.getsockname()[1] for sock in listeners}) == 1
            assert not any(sock.getblocking() for sock in listeners)
        finally:
            for sock in listeners:
                sock.close()

    def test_a_port_in_use_is_an_error_and_nothing_stays_open(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError, match="in use"):
            listen("127.0.0.1", taken.getsockname()[1])

    def test_an_address_of_another_machine_is_an_error(self) -> None:
        with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1"):
            listen("192.0.2.1", 0)


class TestAccepting:
    async def test_everybody_who_calls_at_once_is_served(self, port: Port) -> None:
        port.open()
        peers = [port.call() for _ in range(90)]
        for peer in peers:
            peer.send(API)
        await settle()
        assert all(parse_answers(peer.read())[0].status == 200 for peer in peers)

    async def test_beyond_the_most_they_are_turned_away_and_the_others_stay(self, port: Port) -> None:
        port.open(most=3)
        peers = [port.call() for _ in range(5)]
        await settle()
        for peer in peers[:3]:
            peer.send(API)
        await settle()
        assert [len(parse_answers(peer.read())) for peer in peers] == [1, 1, 1, 0, 0]
        assert [peer.ended for peer in peers] == [False, False, False, True, True]

    async def test_when_one_goes_there_is_room_for_another(self, port: Port) -> None:
        port.open(most=1)
        port.call().close()
        await settle()
        peer = port.call()
        peer.send(API)
        await settle()
        assert len(parse_answers(peer.read())) == 1

    async def test_one_that_has_gone_before_it_was_accepted_does_no_harm(self, port: Port) -> None:
        gone = port.call()
        gone.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        gone.close()
        port.open()
        peer = port.call()
        peer.send(API)
        await settle()
        assert len(parse_answers(peer.read())) == 1


class TestTls:
    @pytest.fixture
    def tls(self, authority: trustme.CA) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("h").configure_cert(context)
        return context

    async def test_requests_are_answered(
        self, port: Port, tls: ssl.SSLContext, authority: trustme.CA
    ) -> None:
        port.open(tls=tls)
        context = ssl.create_default_context()
        authority.configure_trust(context)
        transport = trio.SocketStream(trio.socket.from_stdlib_socket(port.call().sock))
        stream = trio.SSLStream(transport, context, server_hostname="h", https_compatible=True)
        await stream.send_all(API)
        assert parse_answers(bytes(await stream.receive_some()))[0].status == 200

    async def test_a_client_that_does_not_shake_hands_is_dropped(
        self, port: Port, tls: ssl.SSLContext, front: Front
    ) -> None:
        port.open(tls=tls)
        peer = port.call()
        await trio.sleep(HANDSHAKE_S - 1)
        assert (peer.read(), peer.ended) == (b"", False)
        await trio.sleep(2)
        assert (peer.read(), peer.ended) == (b"", True)
        assert front.door.load == 0

    async def test_one_that_is_cancelled_while_it_shakes_hands_is_closed(
        self, front: Front, tls: ssl.SSLContext
    ) -> None:
        async with trio.open_nursery() as nursery:
            port = Port(front, nursery)
            port.open(tls=tls)
            peer = port.call()
            await settle()
            nursery.cancel_scope.cancel()
        assert (peer.read(), peer.ended) == (b"", True)
        port.close()

    async def test_one_that_shakes_hands_counts(self, port: Port, tls: ssl.SSLContext) -> None:
        port.open(most=1, tls=tls)
        shaking = port.call()
        await settle()
        another = port.call()
        await settle()
        assert (another.read(), another.ended) == (b"", True)
        assert (shaking.read(), shaking.ended) == (b"", False)

    @pytest.mark.parametrize("sent", [API, b"\x16\x03\x01\x00\x05hello"])
    async def test_a_client_that_speaks_something_else_is_dropped(
        self, port: Port, tls: ssl.SSLContext, front: Front, sent: bytes
    ) -> None:
        port.open(tls=tls)
        peer = port.call()
        peer.send(sent)
        await trio.sleep(1)
        peer.read()
        assert peer.ended
        assert front.door.load == 0


class TestStorms:
    async def test_when_more_wait_than_are_accepted_at_a_time_the_door_is_crowded_for_a_moment(
        self, port: Port, front: Front
    ) -> None:
        for _ in range(ACCEPTS_PER_TURN + 1):
            port.call()
        assert not front.door.is_crowded
        port.open()
        await settle()
        assert front.door.is_crowded
        await trio.sleep(CROWDED_S)
        assert not front.door.is_crowded

    async def test_a_few_at_once_are_no_crowd(self, port: Port, front: Front) -> None:
        for _ in range(10):
            port.call()
        port.open()
        await settle()
        assert not front.door.is_crowded
