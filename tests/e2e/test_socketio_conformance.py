"""Appendix C, Socket.IO: on a bare echo, and on the gateway where that makes a difference."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Peers
from tests.support.engine import SEPARATOR, Peer, ends, next_packet
from tests.support.raw import WebSocket


@pytest.fixture
def echo(peers: Peers) -> Peer:
    return peers["socket.io echo"]


@pytest.fixture(params=["socket.io echo", "gateway"])
def peer(request: pytest.FixtureRequest, peers: Peers) -> Peer:
    """Every endpoint that speaks Socket.IO."""
    return peers[request.param]


def connected(echo: Peer) -> WebSocket:
    """A socket in the main namespace of the echo, its greeting taken."""
    socket = echo.connected_websocket()
    assert next_packet(socket) == '42["auth",{}]'
    return socket


def opened(peer: Peer) -> WebSocket:
    socket, _ = peer.open_websocket()
    return socket


class TestConnect:
    @pytest.mark.parametrize(
        ("packet", "head", "greeting"),
        [
            ("40", "40", '42["auth",{}]'),
            ('40{"token":"123"}', "40", '42["auth",{"token":"123"}]'),
            ("40/custom,", "40/custom,", '42/custom,["auth",{}]'),
            ("40/custom", "40/custom,", '42/custom,["auth",{}]'),
            ('40/custom,{"token":"abc"}', "40/custom,", '42/custom,["auth",{"token":"abc"}]'),
            ("40/custom?a=b,", "40/custom,", '42/custom,["auth",{}]'),
        ],
    )
    def test_the_answer_has_a_sid_alone_and_comes_before_anything_else(
        self, echo: Peer, packet: str, head: str, greeting: str
    ) -> None:
        socket, handshake = echo.open_websocket()

        socket.send(packet)
        answer = next_packet(socket)

        assert answer.startswith(f"{head}{{")
        sid = json.loads(answer[len(head) :])
        assert sid.keys() == {"sid"}
        assert isinstance(sid["sid"], str)
        assert sid["sid"] != handshake["sid"], "the transport's id is a secret of the client's"
        assert next_packet(socket) == greeting
        socket.close()

    def test_an_unknown_namespace_is_refused_and_the_connection_lives_on(self, peer: Peer) -> None:
        socket = opened(peer)

        socket.send("40/random")
        assert next_packet(socket) == '44/random,{"message":"Invalid namespace"}'

        socket.send(peer.connect)
        assert next_packet(socket).startswith('40{"sid":')
        socket.close()

    def test_namespaces_are_joined_side_by_side(self, echo: Peer) -> None:
        socket = connected(echo)

        socket.send("40/custom,")
        assert next_packet(socket).startswith("40/custom,")
        assert next_packet(socket) == '42/custom,["auth",{}]'
        socket.send('42["message","main"]')
        socket.send('42/custom,["message","custom"]')

        assert next_packet(socket) == '42["message-back","main"]'
        assert next_packet(socket) == '42/custom,["message-back","custom"]'
        socket.close()

    def test_a_connection_that_never_connects_is_closed(self, echo: Peer) -> None:
        ends(opened(echo))

    @pytest.mark.parametrize("packet", ["4abc", "4", '42["early"]', "40[1]", "40nonsense", "49"])
    def test_anything_else_before_connect_closes_the_connection(self, peers: Peers, packet: str) -> None:
        socket = opened(peers["gateway"])  # the echo closes soon, whatever comes

        socket.send(packet)

        ends(socket)
        socket.close()

    def test_a_second_connect_of_a_namespace_closes_the_connection(self, peer: Peer) -> None:
        socket = peer.connected_websocket()

        socket.send(peer.connect)

        ends(socket)
        socket.close()

    def test_it_works_over_polling_alike(self, peer: Peer) -> None:
        polling = peer.polling()

        assert polling.post(peer.connect).status == 200
        packets = polling.packets()
        while len(packets) < 2:
            packets += polling.packets()

        assert packets[0].startswith('40{"sid":')
        assert packets[1].startswith('42["')
        polling.close()


class TestDisconnect:
    def test_it_leaves_the_namespace_and_the_transport_lives_on(self, peer: Peer) -> None:
        socket = peer.connected_websocket()

        socket.send("41")
        socket.send(peer.connect)

        packet = next_packet(socket)
        while not packet.startswith("40{"):
            packet = next_packet(socket)
        socket.close()

    def test_it_leaves_other_namespaces_alone(self, echo: Peer) -> None:
        socket = connected(echo)
        socket.send("40/custom")
        assert next_packet(socket).startswith("40/custom,")
        next_packet(socket)

        socket.send("41/custom")
        socket.send('42["message","message to main namespace"]')

        assert next_packet(socket) == '42["message-back","message to main namespace"]'
        socket.close()

    def test_pings_go_on_after_it(self, brisk_peers: Peers) -> None:
        socket = connected(brisk_peers["socket.io echo"])

        socket.send("41")

        assert socket.receive() == "2"
        socket.close()


class TestEvents:
    @pytest.mark.parametrize(
        "arguments",
        [
            '1,"2",{"3":[true]}',
            "null",
            "",
            '"ünï 😀 \\u2028"',
            '{"_placeholder":false}',
            "[[[[]]]]",
            "1e10,-0.5",
        ],
    )
    def test_any_arguments_come_back(self, echo: Peer, arguments: str) -> None:
        socket = connected(echo)

        socket.send(f'42["message"{"," if arguments else ""}{arguments}]')

        name, *received = json.loads(next_packet(socket)[2:])
        assert (name, received) == ("message-back", json.loads(f"[{arguments}]"))
        socket.close()

    @pytest.mark.parametrize("ack", ["0", "456", "9007199254740991"])
    def test_an_event_with_an_id_is_acknowledged_with_it(self, echo: Peer, ack: str) -> None:
        socket = connected(echo)

        socket.send(f'42{ack}["message-with-ack",1,"2",{{"3":[false]}}]')

        assert next_packet(socket) == f'43{ack}[1,"2",{{"3":[false]}}]'
        socket.close()

    def test_an_acknowledgement_names_its_namespace(self, echo: Peer) -> None:
        socket = connected(echo)
        socket.send("40/custom,")
        next_packet(socket)
        next_packet(socket)

        socket.send('42/custom,7["message-with-ack","x"]')

        assert next_packet(socket) == '43/custom,7["x"]'
        socket.close()

    def test_events_that_come_with_one_write_are_answered_in_order(self, echo: Peer) -> None:
        polling = echo.polling()
        polling.post("40")
        while not polling.packets()[-1].startswith('42["auth"'):
            pass

        polling.post(SEPARATOR.join(f'42["message",{number}]' for number in range(100)))

        assert polling.packets() == [f'42["message-back",{number}]' for number in range(100)]
        polling.close()

    @pytest.mark.parametrize(
        "packet",
        [
            "4abc",
            "42{}",
            '42abc["message-with-ack",1,"2",{"3":[false]}]',
            "42[]",
            "42[1]",
            "42",
            '42["message"',
            '42["message"]x',
            '42/custom,["not connected"]',
            "43[]",
            '44{"message":"from a client"}',
            "4" + "[" * 5_000,
            '42["message",' + "[" * 5_000 + "]" * 5_000 + "]",
            '42["message",NaN]',
        ],
    )
    def test_a_malformed_packet_closes_the_connection(self, peer: Peer, packet: str) -> None:
        socket = peer.connected_websocket()

        socket.send(packet)

        ends(socket)
        socket.close()

    @pytest.mark.parametrize("name", ["connect", "connect_error", "disconnect", "disconnecting"])
    def test_a_reserved_name_closes_the_connection(self, peer: Peer, name: str) -> None:
        socket = peer.connected_websocket()

        socket.send(f'42["{name}"]')

        ends(socket)
        socket.close()


class TestBinary:
    PLACEHOLDERS = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'

    def test_attachments_come_back_in_number_and_order(self, echo: Peer) -> None:
        socket = connected(echo)

        socket.send(f'452-["message",{self.PLACEHOLDERS}]')
        socket.send(b"\1\2\3")
        socket.send(b"\4\5\6")

        assert next_packet(socket) == f'452-["message-back",{self.PLACEHOLDERS}]'
        assert [socket.receive(), socket.receive()] == [b"\1\2\3", b"\4\5\6"]
        socket.close()

    def test_an_acknowledgement_carries_attachments_too(self, echo: Peer) -> None:
        socket = connected(echo)

        socket.send(f'452-789["message-with-ack",{self.PLACEHOLDERS}]')
        socket.send(b"\1\2\3")
        socket.send(b"\4\5\6")

        assert next_packet(socket) == f"462-789[{self.PLACEHOLDERS}]"
        assert [socket.receive(), socket.receive()] == [b"\1\2\3", b"\4\5\6"]
        socket.close()

    def test_attachments_go_over_polling_in_base64(self, echo: Peer) -> None:
        polling = echo.polling()
        polling.post("40")
        while not polling.packets()[-1].startswith('42["auth"'):
            pass

        polling.post(f'451-["message",{{"_placeholder":true,"num":0}}]{SEPARATOR}bAQIDBA==')

        assert polling.packets() == ['451-["message-back",{"_placeholder":true,"num":0}]', "bAQIDBA=="]
        polling.close()

    def test_placeholders_may_lie_anywhere(self, echo: Peer) -> None:
        socket = connected(echo)

        socket.send('451-["message",{"deep":[1,{"file":{"_placeholder":true,"num":0}}]}]')
        socket.send(b"\0" * 70_000)

        assert (
            next_packet(socket) == '451-["message-back",{"deep":[1,{"file":{"_placeholder":true,"num":0}}]}]'
        )
        assert socket.receive() == b"\0" * 70_000
        socket.close()

    @pytest.mark.parametrize(
        "packets",
        [
            pytest.param([b"\1"], id="an attachment of nothing"),
            pytest.param(['451-["m",{"_placeholder":true,"num":0}]', '42["message"]'], id="text instead"),
            pytest.param(['451-["m",{"_placeholder":true,"num":1}]', b"\1"], id="a number out of range"),
            pytest.param(['451-["m",{"_placeholder":true,"num":"0"}]', b"\1"], id="a number that is none"),
            pytest.param(['451-["m"]', b"\1"], id="no place for it"),
            pytest.param(['45-["m"]'], id="no count"),
            pytest.param(['45["m"]'], id="neither count nor dash"),
            pytest.param(['451000000-["m",{"_placeholder":true,"num":0}]'], id="a million of them"),
        ],
    )
    def test_anything_but_what_was_announced_closes_the_connection(
        self, echo: Peer, packets: list[str | bytes]
    ) -> None:
        socket = connected(echo)

        for packet in packets:
            socket.send(packet)

        ends(socket)
        socket.close()
