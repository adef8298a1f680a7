"""Files that are sent: taken in as fast as they are stored, within their time, and every refusal heard."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from gateway.api.answers import failure
from gateway.errors import Forbidden
from gateway.web.receiving import DRAIN_BYTES, DRAIN_S, Receiving

SILENT_S, PUT_S = 10.0, 100.0


class Sink:
    """Takes a file in, as slowly as it is told to.

    Attributes:
        refusal: raised before anything is read.
    """

    def __init__(self, *, store_s: float = 0.0, refusal: Exception | None = None) -> None:
        self.received: list[bytes] = []
        self.asked: dict[str, Any] = {}
        self._store_s = store_s
        self._refusal = refusal

    async def receive(self, upload_id: str, chunks: AsyncIterable[bytes], **asked: Any) -> None:
        self.asked = {"upload_id": upload_id, **asked}
        if self._refusal is not None:
            raise self._refusal
        async for chunk in chunks:
            await trio.sleep(self._store_s)
            self.received.append(chunk)

    async def open(self, upload_id: str, **_: Any) -> Any:
        raise AssertionError("nothing is read here")

    def read(self, file: Any, *, begin: int, end: int) -> Any:
        raise AssertionError("nothing is read here")


class Sender:
    """A client and the server between: pieces at intervals, and then the end or silence."""

    def __init__(self, *pieces: bytes, every_s: float = 0.0, then: str = "end") -> None:
        self.handed = 0
        self.sent: list[Any] = []
        self._pieces = pieces
        self._every_s = every_s
        self._then = then

    async def receive(self) -> Any:
        if self.handed < len(self._pieces):
            await trio.sleep(self._every_s)
            self.handed += 1
            return {"type": "http.request", "body": self._pieces[self.handed - 1], "more_body": True}
        if self._then == "end":
            return {"type": "http.request", "body": b"", "more_body": False}
        if self._then == "gone":
            return {"type": "http.disconnect"}
        await trio.sleep_forever()

    async def send(self, event: Any) -> None:
        self.sent.append(event)

    @property
    def status(self) -> int | None:
        return self.sent[0]["status"] if self.sent else None

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.sent[1]["body"])


async def put(
    sink: Sink, sender: Sender, *headers: tuple[bytes, bytes], silent_s: float = SILENT_S
) -> Sender:
    async def elsewhere(*_: Any) -> None:
        raise AssertionError("this is for files")

    receiving = Receiving(elsewhere, files=sink, failure=failure, silent_s=silent_s, put_s=PUT_S)
    scope = {
        "type": "http",
        "method": "PUT",
        "path": "/files/up-1",
        "query_string": b"expires=1&signature=s",
        "headers": list(headers),
        "http_version": "1.1",
    }
    await receiving(scope, sender.receive, sender.send)
    return sender


async def test_a_file_goes_where_its_url_says(autojump_clock: MockClock) -> None:
    sink = Sink()
    answered = await put(sink, Sender(b"ab", b"cd"), (b"content-length", b"4"))
    assert answered.status == 200
    assert b"".join(sink.received) == b"abcd"
    assert sink.asked == {"upload_id": "up-1", "expires": "1", "signature": "s", "length": 4}
    assert b"connection" not in answered.headers


async def test_the_next_piece_is_asked_for_when_the_last_is_stored(autojump_clock: MockClock) -> None:
    sink, sender = Sink(store_s=3), Sender(*[b"x"] * 10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(put, sink, sender)
        for seconds in range(1, 10):
            await trio.sleep(1)
            assert sender.handed <= seconds // 3 + 1
        nursery.cancel_scope.cancel()


async def test_a_client_that_falls_silent_is_told_so(autojump_clock: MockClock) -> None:
    before = trio.current_time()
    answered = await put(Sink(), Sender(b"ab", then="silence"))
    assert (answered.status, answered.json["statusCode"], answered.json["code"]) == (408, 408, "timeout")
    assert answered.headers[b"connection"] == b"close"
    assert trio.current_time() - before == pytest.approx(SILENT_S)


async def test_a_client_that_only_trickles_has_its_time_too(autojump_clock: MockClock) -> None:
    before = trio.current_time()
    answered = await put(Sink(), Sender(*[b"x"] * 1_000, every_s=SILENT_S - 1))
    assert answered.status == 408
    assert trio.current_time() - before == pytest.approx(PUT_S)


async def test_who_went_away_is_not_answered(autojump_clock: MockClock) -> None:
    assert (await put(Sink(), Sender(b"ab", then="gone"))).sent == []


async def test_a_refusal_is_heard_after_what_is_still_coming(autojump_clock: MockClock) -> None:
    sender = Sender(*[b"x" * 1_000] * 50)
    answered = await put(Sink(refusal=Forbidden("No.")), sender)
    assert sender.handed == 50
    assert (answered.status, answered.headers[b"access-control-allow-origin"]) == (403, b"*")
    assert b"connection" not in answered.headers


@pytest.mark.parametrize(
    "sender",
    [Sender(*[b"x" * 1_000_000] * 100), Sender(*[b"x"] * 1_000, every_s=0.5)],
    ids=["too much", "too slow"],
)
async def test_but_not_for_ever(autojump_clock: MockClock, sender: Sender) -> None:
    before = trio.current_time()
    answered = await put(Sink(refusal=Forbidden("No.")), sender)
    assert (answered.status, answered.headers[b"connection"]) == (403, b"close")
    assert sender.handed <= DRAIN_BYTES / 1_000_000 + DRAIN_S / 0.5 + 1
    assert trio.current_time() - before <= DRAIN_S


async def test_a_refusal_is_heard_by_who_waits_for_it_and_sends_no_more(autojump_clock: MockClock) -> None:
    answered = await put(Sink(refusal=Forbidden("No.")), Sender(b"ab", then="silence"), silent_s=DRAIN_S / 2)
    assert (answered.status, answered.headers[b"connection"]) == (403, b"close")


async def test_a_bug_is_an_answer_and_not_the_end_of_the_server(autojump_clock: MockClock) -> None:
    answered = await put(Sink(refusal=ZeroDivisionError()), Sender(b"ab"))
    assert answered.status == 500


async def test_everything_else_goes_on_to_the_pages(autojump_clock: MockClock) -> None:
    passed: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        passed.append((scope["type"], scope.get("method"), scope.get("path")))

    receiving = Receiving(app, files=Sink(), failure=failure, silent_s=1, put_s=1)
    scopes = [
        {"type": "http", "method": "GET", "path": "/files/up-1"},
        {"type": "http", "method": "PUT", "path": "/v1/files/up-1"},
        {"type": "lifespan"},
    ]
    sender = Sender()
    for scope in scopes:
        await receiving(scope, sender.receive, sender.send)
    assert len(passed) == 3
