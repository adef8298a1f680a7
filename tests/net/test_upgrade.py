"""From polling to WebSocket (Engine.IO 4): the probe, the move, and everything that can come between."""

from __future__ import annotations

import pytest
import trio

from gateway.delivery.timers import Wheel
from gateway.net.engine import State
from gateway.net.multiplexer import Multiplexer
from gateway.net.probe import Probe
from gateway.wire.http import Request
from gateway.wire.prepared import prepare_text
from tests.net.engines import PING_INTERVAL_S, Engine, packet
from tests.net.fakes import CLOSE, TEXT, Adopter, Frame, Pairs, settle


async def test_the_probe_is_answered_and_lets_the_waiting_poll_go(engine: Engine) -> None:
    sid, _, _ = await engine.open_polling()
    poll = engine.waiting_poll(sid)
    peer, _ = engine.probe(sid)
    await settle()
    assert poll.answer is None
    peer.send(packet("2probe"))
    await settle()
    assert peer.texts() == ["3probe"]
    assert poll.body == b"6"


async def test_after_the_upgrade_everything_goes_over_the_websocket(engine: Engine) -> None:
    sid, session, upper = await engine.open_polling()
    peer, _ = engine.probe(sid)
    peer.send(packet("2probe"))
    await settle()
    peer.send(packet("5") + packet("4in"))
    await settle()
    session.outbox.put(prepare_text(b"4out"))
    await settle()
    assert peer.texts() == ["3probe", "4out"]
    assert upper.messages == ["in"]
    assert (await engine.ask(sid=sid)).status == 400
    assert (await engine.ask("POST", sid, b"4x")).status == 400
    assert upper.reasons == []


async def test_what_is_queued_during_the_upgrade_comes_once_and_in_order(engine: Engine) -> None:
    sid, session, _ = await engine.open_polling()
    peer, _ = engine.probe(sid)
    session.outbox.put(prepare_text(b"4one"))
    peer.send(packet("2probe") + packet("5"))
    await settle()
    session.outbox.put(prepare_text(b"4two"))
    await settle()
    assert peer.texts() == ["3probe", "4one", "4two"]
    assert session.outbox.size == 0


async def test_a_poll_during_the_upgrade_may_still_fetch_what_is_queued(engine: Engine) -> None:
    sid, session, _ = await engine.open_polling()
    peer, _ = engine.probe(sid)
    peer.send(packet("2probe"))
    await settle()
    session.outbox.put(prepare_text(b"4one"))
    assert (await engine.ask(sid=sid)).body == b"4one"
    peer.send(packet("5"))
    await settle()
    assert peer.texts() == ["3probe"]


async def test_a_poll_during_the_upgrade_is_soon_let_go(engine: Engine) -> None:
    sid, _, _ = await engine.open_polling()
    peer, _ = engine.probe(sid)
    peer.send(packet("2probe"))
    await settle()
    before = trio.current_time()
    assert (await engine.ask(sid=sid)).body == b"6"
    assert trio.current_time() - before <= 0.1


async def test_a_poll_that_waits_when_the_upgrade_is_done_takes_nothing_from_the_websocket(
    engine: Engine,
) -> None:
    sid, session, _ = await engine.open_polling()
    poll = engine.waiting_poll(sid)
    await settle()
    peer, link = engine.probe(sid)
    link.received(packet("2probe") + packet("5"))
    session.outbox.put(prepare_text(b"4for the websocket"))
    await settle()
    assert poll.body == b"6"
    assert peer.texts() == ["3probe", "4for the websocket"]
    assert session.outbox.size == 0


async def test_a_probe_that_is_lost_leaves_the_session_polling(engine: Engine) -> None:
    sid, session, upper = await engine.open_polling()
    peer, _ = engine.probe(sid)
    peer.send(packet("2probe"))
    await settle()
    peer.close()
    await settle()
    assert session.state is State.POLLING
    poll = engine.waiting_poll(sid)
    await trio.sleep(1)
    assert poll.answer is None
    session.outbox.put(prepare_text(b"4still here"))
    await settle()
    assert poll.body == b"4still here"
    assert upper.reasons == []


async def test_after_a_lost_probe_the_next_one_may_succeed(engine: Engine) -> None:
    sid, session, _ = await engine.open_polling()
    first, _ = engine.probe(sid)
    first.send(packet("2probe"))
    await settle()
    first.close()
    await settle()
    second, _ = engine.probe(sid)
    second.send(packet("2probe"))
    await settle()
    second.send(packet("5"))
    await settle()
    assert session.state is State.WEBSOCKET


async def test_a_probe_that_never_completes_is_closed_and_the_session_polls_on(engine: Engine) -> None:
    sid, session, _ = await engine.open_polling()
    peer, _ = engine.probe(sid)
    peer.send(packet("2probe"))
    end = trio.current_time() + Probe.UPGRADE_S + 0.1
    while trio.current_time() < end:  # the client goes on polling
        if (await engine.ask(sid=sid)).body == b"2":
            await engine.ask("POST", sid, b"3")
    assert session.state is State.POLLING
    assert peer.frames()[-1].opcode == CLOSE


@pytest.mark.parametrize("wrong", ["5", "2", "4hello", "2probes", "1", ""])
async def test_a_probe_that_says_anything_else_is_closed(engine: Engine, wrong: str) -> None:
    sid, session, upper = await engine.open_polling()
    peer, _ = engine.probe(sid)
    peer.send(packet(wrong))
    await settle()
    (frame,) = peer.frames()
    assert frame.opcode == CLOSE
    assert session.state is State.POLLING
    assert (upper.messages, upper.reasons) == ([], [])


async def test_a_second_websocket_is_closed_and_the_first_stays(engine: Engine) -> None:
    sid, session, upper = await engine.open_polling()
    first, _ = engine.probe(sid)
    first.send(packet("2probe"))
    await settle()
    first.send(packet("5"))
    await settle()
    first.read()
    second, _ = engine.probe(sid)
    await settle()
    assert [frame.opcode for frame in second.frames()] == [CLOSE]
    session.outbox.put(prepare_text(b"4to the first"))
    first.send(packet("4from the first"))
    await settle()
    assert first.texts() == ["4to the first"]
    assert upper.messages == ["from the first"]


async def test_a_second_probe_does_not_disturb_the_first(engine: Engine) -> None:
    sid, session, _ = await engine.open_polling()
    first, _ = engine.probe(sid)
    first.send(packet("2probe"))
    await settle()
    second, _ = engine.probe(sid)
    await settle()
    second.close()
    await settle()
    first.send(packet("5") + packet("4moved"))
    await settle()
    assert session.state is State.WEBSOCKET
    assert first.texts() == ["3probe"]


async def test_a_session_on_a_websocket_cannot_be_taken_over(engine: Engine) -> None:
    peer, _, session, _ = engine.open_websocket()
    other, _ = engine.probe(session.sid)
    other.send(packet("2probe") + packet("5"))
    session.outbox.put(prepare_text(b"4mine"))
    await settle()
    assert [frame.opcode for frame in other.frames()] == [CLOSE]
    assert peer.texts()[-1] == "4mine"


async def test_a_session_that_ends_during_the_upgrade_takes_the_probe_with_it(
    engine: Engine, multiplexer: Multiplexer
) -> None:
    sid, session, upper = await engine.open_polling()
    peer, _ = engine.probe(sid)
    peer.send(packet("2probe"))
    await settle()
    session.close("server shutting down")
    peer.send(packet("5"))
    await settle()
    assert upper.reasons == ["server shutting down"]
    assert [frame.opcode for frame in peer.frames()] == [TEXT, CLOSE]
    peer.close()
    await settle()
    assert multiplexer.count == 0


async def test_a_probe_whose_handshake_fails_leaves_the_session_alone(engine: Engine) -> None:
    sid, session, upper = await engine.open_polling()
    probe = engine.endpoint.open(Request("GET", "/engine.io/", query=f"EIO=4&transport=websocket&sid={sid}"))
    assert isinstance(probe, Probe)
    probe.lost("transport error")  # its client has gone before the 101 was out
    assert session.state is State.POLLING
    assert upper.reasons == []


async def test_the_heartbeat_goes_on_over_the_new_transport(engine: Engine) -> None:
    sid, _, upper = await engine.open_polling()
    peer, _ = engine.probe(sid)
    peer.send(packet("2probe") + packet("5"))
    await trio.sleep(PING_INTERVAL_S + 0.1)
    assert peer.texts() == ["3probe", "2"]
    peer.send(packet("3"))
    await trio.sleep(PING_INTERVAL_S + 0.1)
    assert peer.frames() == [Frame(TEXT, b"2")]
    assert upper.reasons == []


async def test_too_much_in_flight_holds_the_new_transport_as_it_held_the_old(engine: Engine) -> None:
    sid, session, upper = await engine.open_polling()
    session.pause()
    peer, _ = engine.probe(sid)
    peer.send(packet("2probe"))
    await settle()
    peer.send(packet("5"))
    await settle()
    peer.send(packet("4too much"))
    await settle()
    assert upper.messages == []
    session.resume()
    await settle()
    assert upper.messages == ["too much"]


async def test_a_node_that_stops_in_the_middle_leaves_the_session_to_be_ended(
    wheel: Wheel, pairs: Pairs, nursery: trio.Nursery
) -> None:
    multiplexer = Multiplexer(wheel=wheel, close_s=1)
    engine = Engine(wheel, Adopter(multiplexer, pairs), nursery)
    async with trio.open_nursery() as running:
        await running.start(multiplexer.run)
        sid, session, upper = await engine.open_polling()
        peer, _ = engine.probe(sid)
        peer.send(packet("2probe"))
        await settle()
        running.cancel_scope.cancel()
    assert (session.state, upper.reasons) == (State.POLLING, [])
    session.close("server shutting down")
    assert (await engine.ask(sid=sid)).status == 400
