"""Engine.IO sessions on WebSockets: handshake, heartbeat, and the ways they end."""

from __future__ import annotations

import gc

import msgspec
import pytest
import trio
from trio.testing import MockClock

from gateway.delivery.outbox import Outbox
from gateway.delivery.timers import Wheel
from gateway.net.engine import EngineSession
from gateway.net.multiplexer import Multiplexed, Multiplexer
from gateway.wire.prepared import prepare_text
from tests.net.engines import PING_INTERVAL_S, PING_TIMEOUT_S, Engine, packet
from tests.net.fakes import CLOSE, Adopter, Peer, settle
from tests.wire.client import masked

MOMENT_S = 0.05  # longer than the wheel may be late


class TestHandshake:
    async def test_the_open_packet_comes_first_and_says_everything(self, engine: Engine) -> None:
        peer, _, session, _ = engine.open_websocket()
        session.outbox.put(prepare_text(b"4behind it"))
        await settle()
        opened, behind = peer.texts()
        assert opened[0] == "0"
        assert msgspec.json.decode(opened[1:]) == {
            "sid": session.sid,
            "upgrades": [],
            "pingInterval": PING_INTERVAL_S * 1000,
            "pingTimeout": PING_TIMEOUT_S * 1000,
            "maxPayload": 10_000,
        }
        assert behind == "4behind it"

    async def test_over_polling_it_offers_the_websocket(self, engine: Engine) -> None:
        answer = await engine.ask()
        assert msgspec.json.decode(answer.body[1:])["upgrades"] == ["websocket"]

    async def test_no_two_sessions_have_one_sid(self, engine: Engine) -> None:
        assert len({(await engine.open_polling())[0] for _ in range(50)}) == 50


class TestMessages:
    async def test_text_and_binary_are_handed_up_in_order(self, engine: Engine) -> None:
        peer, _, _, upper = engine.open_websocket()
        peer.send(packet("4one") + masked(0x82, b"two") + packet("4") + packet("4three"))
        await settle()
        assert upper.messages == ["one", b"two", "", "three"]

    @pytest.mark.parametrize("bad", ["", "0", "2", "5", "6", "7", "x", "٤"])
    async def test_a_packet_that_makes_no_sense_ends_the_session(self, engine: Engine, bad: str) -> None:
        peer, _, session, upper = engine.open_websocket()
        peer.send(packet("4fine") + packet(bad) + packet("4late"))
        await settle()
        assert upper.messages == ["fine"]
        assert upper.reasons == ["parse error: unexpected_packet"]
        assert peer.frames()[-1].code == 1002
        assert engine.sessions.get(session.sid) is None


def stand_still(seconds: float) -> None:
    """Let time pass in which nothing of the process runs."""
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, MockClock)
    clock.jump(seconds)


class TestHeartbeat:
    async def test_the_server_pings_when_the_interval_is_over(self, engine: Engine) -> None:
        peer, _, _, _ = engine.open_websocket()
        await trio.sleep(PING_INTERVAL_S - MOMENT_S)
        assert len(peer.texts()) == 1  # the open packet
        await trio.sleep(2 * MOMENT_S)
        assert peer.texts() == ["2"]

    async def test_the_next_interval_begins_with_the_pong(self, engine: Engine) -> None:
        peer, _, _, upper = engine.open_websocket()
        await trio.sleep(PING_INTERVAL_S + 1)
        peer.send(packet("3"))
        peer.read()
        await trio.sleep(PING_INTERVAL_S - MOMENT_S)
        assert peer.texts() == []
        await trio.sleep(2 * MOMENT_S)
        assert peer.texts() == ["2"]
        assert upper.reasons == []

    async def test_a_client_that_answers_stays(self, engine: Engine) -> None:
        peer, _, _, upper = engine.open_websocket()
        for _ in range(50):
            await trio.sleep(PING_INTERVAL_S + MOMENT_S)
            assert peer.texts()[-1] == "2"
            peer.send(packet("3"))
            await settle()
        assert upper.reasons == []

    async def test_a_client_that_does_not_answer_is_dropped_when_the_timeout_is_over(
        self, engine: Engine
    ) -> None:
        peer, _, _, upper = engine.open_websocket()
        await trio.sleep(PING_INTERVAL_S + PING_TIMEOUT_S - MOMENT_S)
        assert upper.reasons == []
        await trio.sleep(2 * MOMENT_S)
        assert upper.reasons == ["ping timeout"]
        peer.read()
        assert peer.ended

    async def test_a_server_that_stood_still_pings_before_it_judges(self, engine: Engine) -> None:
        peer, _, _, upper = engine.open_websocket()
        stand_still(PING_INTERVAL_S + PING_TIMEOUT_S + 5)
        await settle()
        assert peer.texts()[-1] == "2"
        await trio.sleep(PING_TIMEOUT_S - MOMENT_S)
        assert upper.reasons == []
        await trio.sleep(2 * MOMENT_S)
        assert upper.reasons == ["ping timeout"]

    async def test_a_pong_that_came_while_the_server_stood_still_counts(self, engine: Engine) -> None:
        peer, _, _, upper = engine.open_websocket()
        await trio.sleep(PING_INTERVAL_S + MOMENT_S)
        peer.send(packet("3"))
        stand_still(PING_TIMEOUT_S + 5)
        await trio.sleep(2)
        assert upper.reasons == []

    async def test_a_pong_that_did_not_come_while_the_server_stood_still_is_missed_soon(
        self, engine: Engine
    ) -> None:
        _, _, _, upper = engine.open_websocket()
        await trio.sleep(PING_INTERVAL_S + MOMENT_S)
        stand_still(PING_TIMEOUT_S + 5)
        await trio.sleep(2)
        assert upper.reasons == ["ping timeout"]

    async def test_messages_do_not_stand_for_a_pong(self, engine: Engine) -> None:
        peer, _, _, upper = engine.open_websocket()
        for _ in range(100):
            if not upper.reasons:
                peer.send(packet("4busy"))
            await trio.sleep(0.1)
        assert upper.reasons == ["ping timeout"]

    async def test_a_session_that_has_ended_pings_no_more(self, engine: Engine, wheel: Wheel) -> None:
        peer, link, _, upper = engine.open_websocket()
        await settle()
        peer.read()
        link.abort("gone")
        await trio.sleep(10 * PING_INTERVAL_S)
        assert upper.reasons == ["gone"]


class TestEnding:
    async def test_closing_sends_what_is_queued_and_says_why(self, engine: Engine) -> None:
        peer, _, session, upper = engine.open_websocket()
        session.outbox.put(prepare_text(b"4last words"))
        session.close("server shutting down", code=1001)
        assert upper.reasons == ["server shutting down"]
        await settle()
        _, message, close = peer.frames()
        assert message.payload == b"4last words"
        assert (close.opcode, close.code) == (CLOSE, 1001)

    async def test_a_close_packet_of_the_client_ends_the_session(self, engine: Engine) -> None:
        peer, _, session, upper = engine.open_websocket()
        peer.send(packet("1") + packet("4late"))
        await settle()
        assert upper.reasons == ["transport close"]
        assert upper.messages == []
        assert engine.sessions.get(session.sid) is None

    async def test_a_lost_connection_ends_the_session(self, engine: Engine, multiplexer: Multiplexer) -> None:
        peer, _, session, upper = engine.open_websocket()
        await settle()
        peer.close()
        await settle()
        assert upper.reasons == ["transport close"]
        assert engine.sessions.get(session.sid) is None
        assert multiplexer.count == 0

    async def test_the_upper_side_hears_of_the_end_once(self, engine: Engine) -> None:
        peer, link, session, upper = engine.open_websocket()
        session.close("first")
        session.close("second")
        session.fail("third")
        link.abort("fourth")
        peer.close()
        await trio.sleep(60)
        assert upper.reasons == ["first"]

    async def test_all_that_remains_of_many_is_nothing(self, engine: Engine) -> None:
        peers = [engine.open_websocket()[0] for _ in range(20)]
        await settle()
        assert engine.sessions.statistics() == {"sessions": 20}
        for peer in peers:
            peer.close()
        await settle()
        assert engine.sessions.statistics() == {"sessions": 0}


class TestOverflow:
    def flooded(self, engine: Engine) -> tuple[Peer, EngineSession]:
        peer, _, session, _ = engine.open_websocket(buffer_bytes=4_096)
        for _ in range(100):
            session.outbox.put(prepare_text(b"4" + b"x" * 2_000))
        return peer, session

    async def test_a_client_that_lags_too_far_is_dropped(
        self, engine: Engine, multiplexer: Multiplexer
    ) -> None:
        peer, session = self.flooded(engine)
        await trio.sleep(MOMENT_S)
        assert engine.uppers[session.sid].reasons == ["slow consumer"]
        assert multiplexer.count == 0
        peer.read()
        assert peer.ended

    async def test_it_is_not_told_in_the_middle_of_a_fan_out(self, engine: Engine) -> None:
        _, session = self.flooded(engine)
        assert engine.uppers[session.sid].reasons == []

    async def test_one_that_polls_is_dropped_too(self, engine: Engine) -> None:
        sid, session, upper = await engine.open_polling()
        for _ in range(100):
            session.outbox.put(prepare_text(b"4" + b"x" * 2_000))
        await trio.sleep(MOMENT_S)
        assert upper.reasons == ["slow consumer"]
        assert (await engine.ask(sid=sid)).status == 400

    async def test_a_session_that_ends_meanwhile_is_told_once(self, engine: Engine) -> None:
        _, session = self.flooded(engine)
        session.close("something else")
        await trio.sleep(MOMENT_S)
        assert engine.uppers[session.sid].reasons == ["something else"]


class TestPausing:
    async def test_a_client_with_too_much_in_flight_is_not_read(self, engine: Engine, adopt: Adopter) -> None:
        peer, _, session, upper = engine.open_websocket()
        upper.on_message = lambda message: session.pause()
        peer.send(packet("4one"))
        await settle()
        peer.send(packet("4two"))
        await settle()
        assert upper.messages == ["one"]
        session.resume()
        await settle()
        assert upper.messages == ["one", "two"]

    async def test_it_can_be_closed_and_seen_to_go(self, engine: Engine, multiplexer: Multiplexer) -> None:
        peer, _, session, _ = engine.open_websocket()
        session.pause()
        session.close("enough")
        await settle()
        peer.close()
        await settle()
        assert multiplexer.count == 0


class TestLettingGo:
    @pytest.mark.parametrize("ended_by", ["the client", "the server", "its slowness"])
    async def test_what_a_session_was_made_of_is_freed_when_it_is_over_and_not_when_the_collector_comes(
        self, engine: Engine, ended_by: str
    ) -> None:
        def there() -> int:
            return sum(isinstance(one, EngineSession | Multiplexed | Outbox) for one in gc.get_objects())

        other, *_ = engine.open_websocket()
        gc.collect()
        gc.disable()
        try:
            before = there()
            peer, link, session, upper = engine.open_websocket()
            # As Socket.IO does, it knows its session.
            upper.on_message = lambda _, session=session: session.pause()  # type: ignore[misc]
            assert there() == before + 3
            if ended_by == "the client":
                peer.close()
            elif ended_by == "the server":
                session.close("enough")
                await settle()
                peer.close()
            else:
                session.overflow()
            await trio.sleep(MOMENT_S)
            other.send(packet("4"))  # the multiplexer looks at somebody else
            await settle()
            engine.uppers.clear()
            del link, session, upper
            assert there() == before
        finally:
            gc.enable()
