"""Long-polling: what a GET and a POST are answered, one at a time and at once (contract, appendix C)."""

from __future__ import annotations

import msgspec
import pytest
import trio

from gateway.wire.http import Request, Response
from gateway.wire.prepared import join, prepare_binary, prepare_event, prepare_text
from tests.net.engines import PING_INTERVAL_S, PING_TIMEOUT_S, Engine
from tests.net.fakes import settle


class TestOpening:
    @pytest.mark.parametrize(
        "query",
        [
            "",
            "transport=polling",
            "EIO=3&transport=polling",
            "EIO=&transport=polling",
            "EIO=4",
            "EIO=4&transport=carrier-pigeon",
            "EIO=4&transport=websocket",
            "EIO=4&transport=polling&sid=unknown",
            "EIO=4&transport=polling&sid=%ff%00",
        ],
    )
    async def test_a_query_that_makes_no_sense_is_400(self, engine: Engine, query: str) -> None:
        answer = await engine.endpoint.handle(Request("GET", "/engine.io/", query=query))
        assert answer.status == 400
        assert set(msgspec.json.decode(answer.body)) == {"code", "message"}
        assert engine.sessions.statistics() == {"sessions": 0}

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
    async def test_only_a_get_opens_a_session(self, engine: Engine, method: str) -> None:
        assert (await engine.ask(method)).status == 400
        assert engine.sessions.statistics() == {"sessions": 0}

    @pytest.mark.parametrize(
        "query", ["transport=websocket", "EIO=4&transport=polling", "EIO=4&transport=websocket&sid=unknown"]
    )
    async def test_an_upgrade_that_makes_no_sense_is_refused(self, engine: Engine, query: str) -> None:
        refused = engine.endpoint.open(Request("GET", "/engine.io/", query=query))
        assert isinstance(refused, Response)
        assert refused.status == 400

    async def test_a_preflight_lets_every_origin_in(self, engine: Engine) -> None:
        answer = await engine.ask("OPTIONS")
        assert answer.status == 204
        assert ("Access-Control-Allow-Origin", "*") in answer.headers


class TestPoll:
    async def test_it_waits_until_there_is_something(self, engine: Engine) -> None:
        sid, session, _ = await engine.open_polling()
        poll = engine.waiting_poll(sid)
        await settle()
        assert poll.answer is None
        session.outbox.put(prepare_text(b"4hello"))
        await settle()
        assert poll.body == b"4hello"

    async def test_it_brings_no_more_packets_than_pythons_client_takes_and_the_next_brings_the_rest(
        self, engine: Engine
    ) -> None:
        engine.headers = {"user-agent": "python-requests/2.34"}
        sid, session, _ = await engine.open_polling()
        packets = [b"4%d" % number for number in range(20)]
        session.outbox.put(prepare_text(packets[0]))
        session.outbox.put(
            join([prepare_text(packet) for packet in packets[1:18]])
        )  # one unit, as presence is
        session.outbox.put(prepare_binary(b"two"))
        session.outbox.put(prepare_text(packets[18]))

        assert (await engine.ask(sid=sid)).body == b"\x1e".join(packets[:16])
        assert session.outbox.size == sum(len(item.frame) for item in session.outbox.queue) > 0
        assert (await engine.ask(sid=sid)).body == b"\x1e".join([*packets[16:18], b"bdHdv", packets[18]])
        assert session.outbox.size == 0

    async def test_an_event_and_its_offset_come_in_one_answer(self, engine: Engine) -> None:
        engine.headers = {"user-agent": "python-requests/2.34"}
        sid, session, _ = await engine.open_polling()
        session.outbox.put(prepare_text(b"4one"))
        for number in range(1, 9):
            session.outbox.put(prepare_event("new-message", b"{}", f"e-{number}"))

        first, second = (await engine.ask(sid=sid)).body, (await engine.ask(sid=sid)).body

        assert first.split(b"\x1e")[-1] == b'42["offset","e-7"]'
        assert second == b'42["new-message",{}]\x1e42["offset","e-8"]'

    async def test_the_last_answer_of_all_brings_everything(self, engine: Engine) -> None:
        sid, session, _ = await engine.open_polling()
        poll = engine.waiting_poll(sid)
        await settle()
        for _ in range(20):
            session.outbox.put(prepare_text(b"4x"))
        session.close("server shutting down")
        await settle()
        assert poll.body == b"\x1e".join([b"4x"] * 20)

    async def test_the_end_is_told_by_a_close(self, engine: Engine) -> None:
        sid, session, _ = await engine.open_polling()
        poll = engine.waiting_poll(sid)
        await settle()
        session.close("server shutting down")
        await settle()
        assert poll.body == b"1"

    async def test_to_pythons_client_which_would_stay_away_by_a_session_that_is_gone(
        self, engine: Engine
    ) -> None:
        engine.headers = {"user-agent": "Python/3.11 aiohttp/3.13"}
        sid, session, _ = await engine.open_polling()
        poll = engine.waiting_poll(sid)
        await settle()
        session.close("server shutting down")
        await settle()
        assert poll.body == b"6"
        assert (await engine.ask(sid=sid)).status == 400

    async def test_it_brings_everything_queued_in_order(self, engine: Engine) -> None:
        sid, session, _ = await engine.open_polling()
        session.outbox.put(prepare_text(b"4one"))
        session.outbox.put(prepare_binary(b"two"))
        session.outbox.put(prepare_text(b"4three"))
        assert (await engine.ask(sid=sid)).body == b"4one\x1ebdHdv\x1e4three"
        assert session.outbox.size == 0

    async def test_what_comes_between_two_polls_is_kept(self, engine: Engine) -> None:
        sid, session, _ = await engine.open_polling()
        for number in range(10):
            session.outbox.put(prepare_text(b"4%d" % number))
            assert (await engine.ask(sid=sid)).body == b"4%d" % number

    async def test_it_is_never_cached(self, engine: Engine) -> None:
        assert ("Cache-Control", "no-store") in (await engine.ask()).headers

    async def test_a_second_one_at_once_ends_the_session(self, engine: Engine) -> None:
        sid, _, upper = await engine.open_polling()
        first = engine.waiting_poll(sid)
        await settle()
        second = engine.waiting_poll(sid)
        await settle()
        assert (first.body, second.status) == (b"1", 400)
        assert upper.reasons == ["overlapping polls"]
        assert (await engine.ask(sid=sid)).status == 400

    async def test_one_whose_client_goes_away_ends_the_session(self, engine: Engine) -> None:
        sid, _, upper = await engine.open_polling()
        poll = engine.waiting_poll(sid)
        await settle()
        poll.scope.cancel()
        await settle()
        assert upper.reasons == ["transport close"]
        assert (await engine.ask(sid=sid)).status == 400

    async def test_one_that_waits_is_let_go_with_a_close_when_the_server_ends_the_session(
        self, engine: Engine
    ) -> None:
        sid, session, _ = await engine.open_polling()
        poll = engine.waiting_poll(sid)
        await settle()
        session.close("server shutting down")
        await settle()
        assert poll.body == b"1"

    async def test_last_words_have_no_close_behind_them_which_the_client_would_see_to_first(
        self, engine: Engine
    ) -> None:
        sid, session, _ = await engine.open_polling()
        poll = engine.waiting_poll(sid)
        await settle()
        session.outbox.put(prepare_text(b"4last words"))
        session.close("server shutting down")
        await settle()
        assert poll.body == b"4last words"
        assert (await engine.ask(sid=sid)).status == 400

    async def test_one_that_waits_gets_the_ping(self, engine: Engine) -> None:
        sid, _, _ = await engine.open_polling()
        poll = engine.waiting_poll(sid)
        await trio.sleep(PING_INTERVAL_S + 0.1)
        assert poll.body == b"2"

    async def test_at_the_very_end_of_the_timeout_it_is_400(self, engine: Engine) -> None:
        sid, _, upper = await engine.open_polling()
        await trio.sleep(PING_INTERVAL_S + PING_TIMEOUT_S)
        assert (await engine.ask(sid=sid)).status == 400
        assert upper.reasons == ["ping timeout"]

    async def test_a_client_that_polls_but_does_not_pong_is_dropped(self, engine: Engine) -> None:
        sid, _, upper = await engine.open_polling()
        assert (await engine.ask(sid=sid)).body == b"2"
        poll = engine.waiting_poll(sid)
        await trio.sleep(PING_TIMEOUT_S + 0.1)
        assert upper.reasons == ["ping timeout"]
        assert poll.body == b"1"

    async def test_a_client_that_pongs_stays(self, engine: Engine) -> None:
        sid, _, upper = await engine.open_polling()
        for _ in range(10):
            assert (await engine.ask(sid=sid)).body == b"2"
            assert (await engine.ask("POST", sid, b"3")).body == b"ok"
        assert upper.reasons == []


class TestPost:
    async def test_its_packets_are_taken_in_order(self, engine: Engine) -> None:
        sid, _, upper = await engine.open_polling()
        answer = await engine.ask("POST", sid, "4one\x1ebdHdv\x1e4drei ☃".encode())
        assert (answer.status, answer.body) == (200, b"ok")
        assert upper.messages == ["one", b"two", "drei ☃"]

    @pytest.mark.parametrize(
        "body", [b"", b"abc", b"\x1e", b"4\xff", b"b!!!", b"2", b"0{}", b"4a\x1e9", b"4a\x1e" * 2_000]
    )
    async def test_one_that_makes_no_sense_ends_the_session(self, engine: Engine, body: bytes) -> None:
        sid, _, upper = await engine.open_polling()
        assert (await engine.ask("POST", sid, body)).status == 400
        assert len(upper.reasons) == 1
        assert upper.reasons[0].startswith("parse error")
        assert (await engine.ask(sid=sid)).status == 400

    async def test_one_over_the_limit_is_413(self, engine: Engine) -> None:
        sid, _, upper = await engine.open_polling()
        assert (await engine.ask("POST", sid, b"4" * 10_001)).status == 413
        assert upper.reasons == ["payload too large"]

    async def test_a_close_packet_lets_the_waiting_poll_go_in_peace(self, engine: Engine) -> None:
        sid, _, upper = await engine.open_polling()
        poll = engine.waiting_poll(sid)
        await settle()
        assert (await engine.ask("POST", sid, b"1")).status == 200
        await settle()
        assert poll.body == b"6"
        assert upper.reasons == ["transport close"]
        assert (await engine.ask(sid=sid)).status == 400
        assert (await engine.ask("POST", sid, b"4late")).status == 400

    async def test_nothing_behind_a_close_packet_is_taken(self, engine: Engine) -> None:
        sid, _, upper = await engine.open_polling()
        await engine.ask("POST", sid, b"4before\x1e1\x1e4after")
        assert upper.messages == ["before"]

    @pytest.mark.parametrize("method", ["PUT", "DELETE"])
    async def test_other_methods_are_400_and_harmless(self, engine: Engine, method: str) -> None:
        sid, _, upper = await engine.open_polling()
        assert (await engine.ask(method, sid, b"4x")).status == 400
        assert (upper.messages, upper.reasons) == ([], [])

    async def test_it_waits_while_its_client_has_too_much_in_flight(
        self, engine: Engine, nursery: trio.Nursery
    ) -> None:
        sid, session, upper = await engine.open_polling()
        upper.on_message = lambda message: session.pause()
        answers: list[Response] = []

        async def post() -> None:
            answers.append(await engine.ask("POST", sid, b"4one\x1e4two"))

        nursery.start_soon(post)
        await settle()
        assert (upper.messages, answers) == (["one"], [])
        session.resume()
        await settle()
        assert upper.messages == ["one", "two"]
        session.resume()
        await settle()
        assert answers[0].body == b"ok"

    async def test_one_that_waits_is_let_go_when_the_session_ends(
        self, engine: Engine, nursery: trio.Nursery
    ) -> None:
        sid, session, upper = await engine.open_polling()
        upper.on_message = lambda message: session.pause()
        answers: list[Response] = []

        async def post() -> None:
            answers.append(await engine.ask("POST", sid, b"4one\x1e4two"))

        nursery.start_soon(post)
        await settle()
        session.close("enough")
        await settle()
        assert upper.messages == ["one"]
        assert len(answers) == 1

    async def test_one_that_is_cancelled_while_it_waits_takes_nothing_more(self, engine: Engine) -> None:
        sid, session, upper = await engine.open_polling()
        upper.on_message = lambda message: session.pause()
        with trio.move_on_after(1) as scope:
            await engine.ask("POST", sid, b"4one\x1e4two")
        assert scope.cancelled_caught
        session.resume()
        await settle()
        assert upper.messages == ["one"]
