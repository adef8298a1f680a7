"""Socket.IO above an Engine.IO session: CONNECT and its answer, events in order, and their bound (appendix C)."""

from __future__ import annotations

import msgspec
import pytest
import trio

from gateway.net.engine import EngineSessions
from tests.net.fakes import settle
from tests.net.sockets import CONNECT_S, INBOX, Application, Client, connected


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

    async def test_who_cannot_be_judged_now_is_cut_off_so_that_he_comes_back(self, client: Client) -> None:
        client.send('0{"away":true}')
        await settle()
        assert not client.lives
        assert client.received() == ["1"]  # the end of the transport, and no CONNECT_ERROR

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
