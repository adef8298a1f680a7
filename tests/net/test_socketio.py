"""Socket.IO above an Engine.IO session: CONNECT and its answer, events in order, leaving, and every end (appendix C)."""

from __future__ import annotations

import gc
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest
import trio

from gateway.delivery.timers import Wheel
from gateway.net.engine import EngineSession, EngineSessions, EngineSettings, State
from gateway.net.mailboxes import Workers
from gateway.net.ports import Refused
from gateway.net.socketio import Socket, SocketIO, SocketSettings
from gateway.wire.socketio import Packet
from tests.net.fakes import settle

CONNECT_S = 45.0
INBOX = 8


class Application:
    """An application that lets in whoever does not say otherwise in ``auth``.

    CONNECT with ``{"wait": s}`` is decided after that time, ``{"refuse": message}`` refused, ``{"raise": true}`` is a bug.
    Event ``wait`` with a number of seconds waits, ``raise`` and ``raise-later`` are bugs, ``leave`` disconnects the client.
    """

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.gone_: list[tuple[str, str]] = []
        self.broken = False

    async def admit(self, socket: Socket, auth: dict[str, Any]) -> Callable[[], None]:
        await trio.sleep(auth.get("wait", 0))
        if "refuse" in auth:
            raise Refused(auth["refuse"])
        if "raise" in auth:
            raise RuntimeError("admit")
        return lambda: socket.send(b'2["welcome"]' if socket.namespace == "/" else b'2/chat,["welcome"]')

    def dispatch(self, socket: Socket, packet: Packet) -> Coroutine[Any, Any, None] | None:
        name, *arguments = packet.data
        if name == "wait":
            return self._wait(arguments[0])
        if name == "raise-later":
            return self._raise()
        if name == "raise":
            raise RuntimeError("dispatch")
        self.events.append(packet.data)
        if name == "leave":
            socket.disconnect()
        return None

    async def _wait(self, seconds: float) -> None:
        await trio.sleep(seconds)
        self.events.append(["wait", seconds])

    async def _raise(self) -> None:
        await trio.sleep(1)
        raise RuntimeError("dispatch")

    def gone(self, socket: Socket, reason: str) -> None:
        self.gone_.append((socket.namespace, reason))
        if self.broken:
            raise RuntimeError("gone")


class Client:
    """One client, heard and spoken to in Engine.IO packets."""

    def __init__(self, sessions: EngineSessions) -> None:
        self.session = sessions.open(State.POLLING)
        self.session.outbox.take()  # the open packet

    def send(self, *messages: str | bytes) -> None:
        for message in messages:
            if isinstance(message, bytes):
                self.session.binary(message)
            else:
                self.session.text("4" + message)

    def received(self) -> list[str]:
        """The packets that wait for the client; ``sid`` is left out of CONNECT answers."""
        packets = [item.packet.decode() for item in self.session.outbox.take()]
        self.session.outbox.size = 0
        return [_without_sid(packet) for packet in packets]

    @property
    def lives(self) -> bool:
        return self.session.state is not State.CLOSED


def _without_sid(packet: str) -> str:
    head, brace, rest = packet.partition("{")
    if not head.startswith("40"):
        return packet
    assert set(msgspec.json.decode(brace + rest)) == {"sid"}
    return head


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def sessions(wheel: Wheel, workers: Workers, application: Application) -> EngineSessions:
    return _sessions(wheel, workers, application)


def _sessions(wheel: Wheel, workers: Workers, application: Application) -> EngineSessions:
    def accept(engine: EngineSession) -> SocketIO:
        return SocketIO(
            engine,
            application=application,
            settings=SocketSettings(connect_s=CONNECT_S, inbox=INBOX, max_attachments=2),
            wheel=wheel,
            workers=workers,
        )

    settings = EngineSettings(
        ping_interval_ms=10_000_000, ping_timeout_ms=1_000, message_bytes=10_000, outbox_bytes=100_000
    )
    return EngineSessions(settings=settings, wheel=wheel, accept=accept)


@pytest.fixture
def client(sessions: EngineSessions) -> Client:
    return Client(sessions)


async def connected(client: Client, *, namespace: str = "/") -> Client:
    client.send("0" if namespace == "/" else f"0{namespace},")
    await settle()
    assert len(client.received()) == 2
    return client


class TestConnect:
    async def test_it_is_answered_before_anything_the_application_says(self, client: Client) -> None:
        client.send("0")
        await settle()
        assert client.received() == ["40", '42["welcome"]']

    async def test_of_another_namespace_is_answered_there(self, client: Client) -> None:
        client.send("0/chat,{}")
        await settle()
        assert client.received() == ["40/chat,", '42/chat,["welcome"]']

    async def test_the_answer_carries_an_id_of_its_own(self, sessions: EngineSessions) -> None:
        sids = set()
        for _ in range(20):
            client = Client(sessions)
            client.send("0")
            await settle()
            answer = client.session.outbox.take()[0].packet
            sids |= {msgspec.json.decode(answer[2:])["sid"], client.session.sid}
        assert len(sids) == 40

    async def test_refused_it_is_answered_with_why_and_may_be_tried_again(
        self, client: Client, application: Application
    ) -> None:
        client.send('0{"refuse":"no \\"you\\""}')
        await settle()
        assert client.received() == ['44{"message":"no \\"you\\""}']
        client.send("0")
        await settle()
        assert client.received() == ["40", '42["welcome"]']
        assert application.gone_ == []

    async def test_a_refusal_elsewhere_leaves_the_root_alone(self, client: Client) -> None:
        await connected(client)
        client.send('0/chat,{"refuse":"Invalid namespace"}', '2["event"]')
        await settle()
        assert client.received() == ['44/chat,{"message":"Invalid namespace"}']
        assert client.lives

    async def test_clients_are_admitted_side_by_side(self, sessions: EngineSessions) -> None:
        slow, quick = Client(sessions), Client(sessions)
        slow.send('0{"wait":10}')
        quick.send("0")
        await settle()
        assert (slow.received(), len(quick.received())) == ([], 2)

    async def test_a_second_one_ends_the_connection(self, client: Client, application: Application) -> None:
        await connected(client)
        client.send("0")
        assert not client.lives
        assert application.gone_ == [("/", "parse error: already_connected")]

    async def test_a_bug_in_admission_ends_this_client_only(self, sessions: EngineSessions) -> None:
        client, other = Client(sessions), Client(sessions)
        client.send('0{"raise":true}')
        other.send("0")
        await settle()
        assert (client.lives, other.lives) == (False, True)


class TestConnectTimeout:
    async def test_a_client_that_never_connects_is_closed(self, client: Client) -> None:
        await trio.sleep(CONNECT_S - 0.1)
        assert client.lives
        await trio.sleep(0.2)
        assert not client.lives

    async def test_one_that_was_refused_and_stays_is_closed(self, client: Client) -> None:
        client.send('0{"refuse":"no"}')
        await trio.sleep(CONNECT_S + 0.1)
        assert not client.lives

    async def test_one_that_is_connected_stays(self, client: Client) -> None:
        await connected(client)
        await trio.sleep(CONNECT_S * 2)
        assert client.lives

    async def test_one_that_was_connected_and_left_its_namespace_stays(self, client: Client) -> None:
        await connected(client)
        client.send("1")
        await trio.sleep(CONNECT_S * 2)
        assert client.lives


class TestEvents:
    async def test_one_that_need_not_wait_is_done_at_once(
        self, client: Client, application: Application
    ) -> None:
        await connected(client)
        client.send('2["now",1]')
        assert application.events == [["now", 1]]

    async def test_they_are_done_in_their_order_when_one_must_wait(
        self, client: Client, application: Application
    ) -> None:
        await connected(client)
        client.send('2["a"]', '2["wait",3]', '2["b"]', '2["wait",1]', '2["c"]')
        assert application.events == [["a"]]
        await trio.sleep(2)
        client.send('2["d"]')
        await trio.sleep(5)
        assert application.events == [["a"], ["wait", 3], ["b"], ["wait", 1], ["c"], ["d"]]
        client.send('2["now"]')
        assert application.events[-1] == ["now"]

    async def test_one_client_that_waits_holds_no_other_up(
        self, sessions: EngineSessions, application: Application
    ) -> None:
        slow, quick = await connected(Client(sessions)), await connected(Client(sessions))
        slow.send('2["wait",100]')
        quick.send('2["quick"]')
        assert application.events == [["quick"]]

    @pytest.mark.parametrize("early", ['2["event"]', "31[]", '2/chat,["event"]'])
    async def test_one_before_connect_ends_the_connection(
        self, client: Client, application: Application, early: str
    ) -> None:
        client.send(early)
        assert not client.lives
        assert application.events == []

    async def test_one_before_the_answer_to_connect_ends_the_connection(
        self, client: Client, application: Application
    ) -> None:
        client.send('0{"wait":1}', '2["event"]')
        assert not client.lives
        await trio.sleep(2)
        assert (application.events, application.gone_) == ([], [])

    async def test_one_for_a_namespace_that_was_left_ends_the_connection(self, client: Client) -> None:
        await connected(client)
        client.send("1", '2["event"]')
        assert not client.lives

    @pytest.mark.parametrize("garbage", ["4abc", "2{}", '2abc["x"]', "9", "", '2["disconnect"]', b"bytes"])
    async def test_garbage_ends_the_connection(
        self, client: Client, application: Application, garbage: str | bytes
    ) -> None:
        await connected(client)
        client.send(garbage)
        assert not client.lives
        ((namespace, reason),) = application.gone_
        assert namespace == "/"
        assert reason.startswith("parse error: ")

    async def test_attachments_are_put_where_they_belong(
        self, client: Client, application: Application
    ) -> None:
        await connected(client)
        client.send('51-["file",{"_placeholder":true,"num":0}]', b"data")
        assert application.events == [["file", b"data"]]

    async def test_more_attachments_than_allowed_end_the_connection(self, client: Client) -> None:
        await connected(client)
        client.send('53-["file"]')
        assert not client.lives

    async def test_an_ack_from_the_client_does_no_harm(self, client: Client) -> None:
        await connected(client)
        client.send("317[]")
        assert client.lives

    @pytest.mark.parametrize("bug", ["raise", "raise-later"])
    async def test_a_bug_in_the_application_ends_this_client_only(
        self, sessions: EngineSessions, application: Application, bug: str
    ) -> None:
        client, other = await connected(Client(sessions)), await connected(Client(sessions))
        client.send(f'2["{bug}"]', '2["never"]')
        await trio.sleep(2)
        assert not client.lives
        assert application.gone_ == [("/", "internal error")]
        other.send('2["fine"]')
        assert application.events == [["fine"]]

    async def test_a_bug_in_an_event_that_had_to_wait_its_turn_ends_this_client(
        self, client: Client, application: Application
    ) -> None:
        await connected(client)
        client.send('2["wait",1]', '2["raise"]', '2["never"]')
        await trio.sleep(2)
        assert not client.lives
        assert application.events == [["wait", 1]]


class TestBound:
    async def test_a_client_with_too_much_in_flight_is_paused_until_half_is_done(
        self, client: Client
    ) -> None:
        await connected(client)
        client.send(*['2["wait",1]'] * INBOX)
        assert client.session.poll_paused is not None
        await trio.sleep(INBOX / 2 - 0.5)
        assert client.session.poll_paused is not None
        await trio.sleep(1)
        assert client.session.poll_paused is None

    async def test_one_that_goes_away_is_forgotten_at_once(
        self, client: Client, application: Application
    ) -> None:
        await connected(client)
        client.send(*['2["wait",1]'] * INBOX)
        await trio.sleep(1.5)
        client.session.close("transport close")
        assert application.gone_ == [("/", "transport close")]
        await trio.sleep(INBOX * 2)
        assert len(application.events) <= 2  # the one that was running may end


class TestLeaving:
    async def test_the_client_leaves_one_namespace_and_the_transport_lives_on(
        self, client: Client, application: Application
    ) -> None:
        await connected(client)
        await connected(client, namespace="/chat")
        client.send("1/chat,")
        assert application.gone_ == [("/chat", "client namespace disconnect")]
        client.send('2["still here"]', "1/chat,", "1/never,")
        assert application.events == [["still here"]]
        assert client.lives

    async def test_having_left_it_may_come_back(self, client: Client) -> None:
        await connected(client)
        client.send("1")
        await connected(client)
        assert client.lives

    async def test_the_server_leaves_for_the_client_and_tells_it(
        self, client: Client, application: Application
    ) -> None:
        await connected(client)
        client.send('2["leave"]')
        assert client.received() == ["41"]
        assert application.gone_ == [("/", "server namespace disconnect")]
        assert client.lives

    async def test_events_behind_one_that_made_the_server_leave_are_not_done(
        self, client: Client, application: Application
    ) -> None:
        await connected(client)
        client.send('2["wait",1]', '2["leave"]', '2["never"]')
        await trio.sleep(2)
        assert application.events == [["wait", 1], ["leave"]]

    async def test_it_leaves_after_the_events_before_it(
        self, client: Client, application: Application
    ) -> None:
        await connected(client)
        client.send('2["wait",1]', "1")
        assert application.gone_ == []
        await trio.sleep(2)
        assert application.events == [["wait", 1]]
        assert application.gone_ == [("/", "client namespace disconnect")]

    async def test_every_namespace_is_left_once_when_the_transport_is_lost(
        self, client: Client, application: Application
    ) -> None:
        await connected(client)
        await connected(client, namespace="/chat")
        client.send("1/chat,", "0/chat,")
        await settle()
        client.session.close("ping timeout")
        client.session.close("again")
        assert sorted(application.gone_) == [
            ("/", "ping timeout"),
            ("/chat", "client namespace disconnect"),
            ("/chat", "ping timeout"),
        ]


class TestABugInTheFarewell:
    """``gone`` raises: a bug in the application, which costs nobody else anything."""

    async def test_when_the_transport_is_lost_every_namespace_is_left_all_the_same(
        self, client: Client, application: Application
    ) -> None:
        await connected(client)
        await connected(client, namespace="/chat")
        application.broken = True
        client.session.close("transport close")
        assert sorted(application.gone_) == [("/", "transport close"), ("/chat", "transport close")]

    @pytest.mark.parametrize("before", ['2["now"]', '2["wait",1]'])
    async def test_when_a_client_leaves_the_others_are_served_as_before(
        self, sessions: EngineSessions, application: Application, before: str
    ) -> None:
        client, other = await connected(Client(sessions)), await connected(Client(sessions))
        application.broken = True
        client.send(before, "1")
        await trio.sleep(2)
        assert application.gone_ == [("/", "client namespace disconnect")]
        application.events.clear()
        other.send('2["wait",1]', '2["served"]')
        await trio.sleep(2)
        assert application.events == [["wait", 1], ["served"]]


class TestWhileAdmissionWaits:
    async def test_a_client_that_leaves_is_not_answered(
        self, client: Client, application: Application
    ) -> None:
        client.send('0{"wait":1}')
        await settle()
        client.send("1")
        await trio.sleep(2)
        assert client.received() == []
        assert application.gone_ == []
        await connected(client)

    async def test_a_client_that_is_refused_after_it_left_is_not_told(self, client: Client) -> None:
        client.send('0{"wait":1,"refuse":"no"}')
        await settle()
        client.send("1")
        await trio.sleep(2)
        assert client.received() == []
        await connected(client)

    async def test_a_client_whose_transport_is_lost_is_not_let_in(
        self, client: Client, application: Application
    ) -> None:
        client.send('0{"wait":1}')
        await settle()
        client.session.close("transport close")
        await trio.sleep(2)
        assert application.gone_ == []

    @pytest.mark.parametrize("pause_s", [0, 0.5])
    async def test_a_client_that_leaves_and_comes_back_is_answered_once_and_let_in(
        self, client: Client, application: Application, pause_s: float
    ) -> None:
        client.send('0{"wait":1}')
        await trio.sleep(pause_s)
        client.send("1", "0")
        await trio.sleep(5)
        assert client.received() == ["40", '42["welcome"]']
        client.send('2["hello"]')
        assert application.events == [["hello"]]
        assert client.lives

    async def test_a_client_that_leaves_and_comes_back_behind_an_event_that_waits_is_let_in(
        self, client: Client, application: Application
    ) -> None:
        await connected(client)
        client.send('2["wait",1]', "1", "0")
        await trio.sleep(5)
        assert client.received() == ["40", '42["welcome"]']
        client.send('2["hello"]')
        assert application.events == [["wait", 1], ["hello"]]
        assert application.gone_ == [("/", "client namespace disconnect")]

    async def test_a_node_that_stops_lets_nobody_in(self, wheel: Wheel, application: Application) -> None:
        workers = Workers()
        async with trio.open_nursery() as nursery:
            await nursery.start(workers.run)
            client = Client(_sessions(wheel, workers, application))
            client.send('0{"wait":1}', "1", '0{"wait":1}')
            await settle()
            nursery.cancel_scope.cancel()
        assert client.received() == []
        client.session.close("server shutting down")
        assert application.gone_ == []

    async def test_a_client_that_connects_and_is_lost_in_the_same_moment_leaves_nothing_behind(
        self, client: Client, application: Application
    ) -> None:
        client.send("0")
        client.session.close("transport close")
        await settle()
        assert application.gone_ == []
        gc.collect()  # a coroutine that nobody awaited would warn now, which fails the test
