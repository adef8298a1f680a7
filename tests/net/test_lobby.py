"""Requests that are answered without their connection's own task: what waits, what does not, and what comes meanwhile."""

from __future__ import annotations

import socket

import trio

from gateway.net.lobby import AHEAD_BYTES, BATCH, FOLLOWERS
from gateway.wire.http import Response
from gateway.wire.prepared import prepare_text
from tests.net.doors import API, HTTP, POSTED, Front, parse_answers, request, upgrade
from tests.net.fakes import Peer, settle

PROMISE = request("GET", "/v1/promise")


def statuses(peer: Peer) -> list[int]:
    return [answer.status for answer in parse_answers(peer.read())]


class TestWaiting:
    async def test_a_request_that_waits_holds_up_nobody(self, front: Front) -> None:
        waiting, other = front.connect(), front.connect()
        waiting.send(request("GET", "/v1/wait?10"))
        other.send(API)
        await settle()
        assert (statuses(waiting), statuses(other)) == ([], [200])
        await trio.sleep(11)
        assert statuses(waiting) == [200]

    async def test_very_many_may_wait_at_once_and_leave_few_tasks_behind(
        self, front: Front, nursery: trio.Nursery
    ) -> None:
        peers = [front.connect() for _ in range(FOLLOWERS * 3)]
        await settle()
        tasks = trio.lowlevel.current_statistics().tasks_living
        for peer in peers:
            peer.send(request("GET", "/v1/wait?10"))
        await trio.sleep(11)
        assert all(statuses(peer) == [200] for peer in peers)
        assert trio.lowlevel.current_statistics().tasks_living <= tasks + FOLLOWERS
        for peer in peers:
            peer.send(request("GET", "/v1/wait?10"))
        await trio.sleep(11)
        assert all(statuses(peer) == [200] for peer in peers)

    async def test_those_who_come_at_once_are_begun_in_a_few_turns_of_the_loop(self, front: Front) -> None:
        peers = [front.connect() for _ in range(BATCH)]
        await settle()
        for peer in peers:
            peer.send(request("GET", "/v1/wait?10"))
        turns = 0
        while front.door.statistics()["idle"]:
            await trio.lowlevel.checkpoint()
            turns += 1
        assert turns < BATCH / 4

    async def test_a_bug_in_one_answer_ends_that_connection_and_no_other(self, front: Front) -> None:
        buggy, late, other = front.connect(), front.connect(), front.connect()
        buggy.send(request("GET", "/v1/raise"))
        late.send(request("GET", "/v1/raise?5"))
        other.send(API)
        await settle()
        assert (buggy.read(), buggy.ended) == (b"", True)
        assert statuses(other) == [200]
        await trio.sleep(6)
        assert (late.read(), late.ended) == (b"", True)
        other.send(API)
        await settle()
        assert statuses(other) == [200]
        assert front.door.load == 1

    async def test_an_answer_that_cannot_be_said_ends_no_other_connection(self, front: Front) -> None:
        mute, promised, other = front.connect(), front.connect(), front.connect()
        mute.send(request("GET", "/v1/unsayable"))
        promised.send(PROMISE)
        await settle()
        front.promises[0].keep(Response(200, b"", headers=(("X", "\N{EURO SIGN}"),)))
        other.send(API)
        await settle()
        assert (mute.read(), mute.ended) == (b"", True)
        assert (promised.read(), promised.ended) == (b"", True)
        assert statuses(other) == [200]
        assert front.door.load == 1


class TestPromises:
    async def test_is_answered_when_it_is_kept_and_the_next_request_is_taken(self, front: Front) -> None:
        peer = front.connect()
        for _ in range(2):
            peer.send(PROMISE)
            await settle()
            assert peer.read() == b""
            front.promises[-1].keep()
            await settle()
            assert statuses(peer) == [200]
        assert len(front.promises) == 2

    async def test_leaves_behind_what_others_hear_of_it(self, front: Front) -> None:
        listener, peer = front.connect(), front.connect()
        listener.send(upgrade("/echo/"))
        peer.send(PROMISE)
        await settle()
        listener.read()
        front.endpoint.receivers[0].outbox.put(prepare_text(b"news"))
        front.promises[0].keep()
        assert listener.texts() == ["news"]
        assert statuses(peer) == [200]

    async def test_costs_no_task(self, front: Front) -> None:
        peers = [front.connect() for _ in range(10)]
        await settle()
        tasks = trio.lowlevel.current_statistics().tasks_living
        for peer in peers:
            peer.send(PROMISE)
        await settle()
        assert len(front.promises) == 10
        assert trio.lowlevel.current_statistics().tasks_living == tasks

    async def test_outlives_the_time_for_the_next_request(self, front: Front) -> None:
        peer = front.connect()
        peer.send(PROMISE)
        await trio.sleep(HTTP.keep_alive_s * 2)
        front.promises[0].keep()
        await settle()
        assert statuses(peer) == [200]
        await trio.sleep(HTTP.keep_alive_s + 1)
        assert (peer.read(), peer.ended) == (b"", True)

    async def test_what_is_sent_meanwhile_is_answered_after_it(self, front: Front) -> None:
        peer = front.connect()
        peer.send(PROMISE)
        await settle()
        peer.send(API + POSTED[:-3])
        await settle()
        front.promises[0].keep()
        await settle()
        assert statuses(peer) == [200, 200]
        peer.send(POSTED[-3:])
        await settle()
        assert statuses(peer) == [200]

    async def test_what_is_sent_right_behind_it_is_answered_after_it(self, front: Front) -> None:
        peer = front.connect()
        peer.send(PROMISE + API)
        await settle()
        assert peer.read() == b""
        front.promises[0].keep()
        await settle()
        assert statuses(peer) == [200, 200]

    async def test_who_sends_on_and_on_meanwhile_is_not_read_on_and_on(self, front: Front) -> None:
        peer = front.connect()
        peer.send(PROMISE)
        await settle()
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        sent = 0
        while True:
            try:
                sent += peer.sock.send(API * 100)
            except BlockingIOError:
                break
            await settle()
        assert sent < AHEAD_BYTES * 10
        front.promises[0].keep()
        answers = 0
        while answers < 1 + sent // len(API):
            await settle()
            answers += len(statuses(peer))
        assert answers == 1 + sent // len(API)

    async def test_one_who_has_ended_his_side_gets_it_all_the_same(self, front: Front) -> None:
        peer = front.connect()
        peer.send(PROMISE)
        peer.sock.shutdown(socket.SHUT_WR)
        await settle()
        assert not peer.ended
        front.promises[0].keep()
        await settle()
        assert (statuses(peer), peer.ended) == ([200], True)
        assert front.door.load == 0

    async def test_one_who_has_gone_is_noticed_when_it_is_kept(self, front: Front) -> None:
        peer = front.connect()
        peer.send(PROMISE)
        await settle()
        peer.close()
        await settle()
        front.promises[0].keep()
        await settle()
        assert front.door.load == 0

    async def test_is_kept_in_vain_when_the_connection_was_cancelled(self, front: Front) -> None:
        async with trio.open_nursery() as connections:
            front.nursery = connections
            peer = front.connect()
            peer.send(PROMISE)
            await settle()
            connections.cancel_scope.cancel()
        assert (peer.read(), peer.ended, front.door.load) == (b"", True, 0)
        front.promises[0].keep()
        await settle()
        assert front.door.load == 0

    async def test_is_the_last_on_its_connection_when_the_door_stops_meanwhile(self, front: Front) -> None:
        peer = front.connect()
        peer.send(PROMISE)
        await settle()
        front.door.stop()
        await settle()
        assert not peer.ended
        front.promises[0].keep()
        with trio.fail_after(1):
            await front.door.wait_empty()
        (answer,) = parse_answers(peer.read())
        assert (answer.headers["connection"], peer.ended) == ("close", True)

    async def test_is_awaited_by_a_task_where_the_body_comes_in_pieces(self, front: Front) -> None:
        peer = front.connect()
        sent = request("POST", "/v1/promise", b"body")
        peer.send(sent[:-1])
        await settle()
        peer.send(sent[-1:])
        await settle()
        front.promises[0].keep()
        await settle()
        assert statuses(peer) == [200]


async def test_who_does_not_read_a_large_answer_is_served_on_when_he_does(front: Front) -> None:
    peer = front.connect(buffer_bytes=2_048)
    peer.send(request("GET", "/v1/large?100000"))
    await settle()
    received = b""
    while len(received) < 100_002 or not received.endswith(b'"'):
        received += peer.read(5_000)
        await settle()
    peer.send(API)
    await settle()
    assert statuses(peer) == [200]


async def test_a_door_that_stops_lets_a_slow_reader_finish(front: Front) -> None:
    peer = front.connect(buffer_bytes=2_048)
    peer.send(request("GET", "/v1/large?100000"))
    await settle()
    front.door.stop()
    received = b""
    while not peer.ended:
        received += peer.read(5_000)
        await settle()
    assert len(parse_answers(received)[0].body) == 100_002
