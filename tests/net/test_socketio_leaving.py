"""Leaving a Socket.IO namespace: from either side, while something waits, and when the transport is lost."""

from __future__ import annotations

import gc

import pytest
import trio

from gateway.delivery.timers import Wheel
from gateway.net.engine import EngineSessions
from gateway.net.mailboxes import Workers
from tests.net.fakes import settle
from tests.net.sockets import Application, Client, connected, sessions_of


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
            client = Client(sessions_of(wheel, workers, application))
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


class TestWhileAnEventWaits:
    async def test_a_client_that_has_left_and_is_lost_is_gone_once(
        self, client: Client, application: Application
    ) -> None:
        await connected(client)
        client.send('2["wait",1]', "1")
        await settle()
        client.session.close("transport close")
        assert application.gone_ == [("/", "transport close")]
        await trio.sleep(5)
        assert application.gone_ == [("/", "transport close")]

    async def test_a_client_that_is_lost_before_its_event_is_begun_leaves_nothing_behind(
        self, client: Client, application: Application
    ) -> None:
        await connected(client)
        client.send('2["wait",1]')
        client.session.close("transport close")
        await trio.sleep(5)
        assert application.events == []
        gc.collect()  # as above
