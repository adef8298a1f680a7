"""What an operator is told when LiveKit cannot be used."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from email.utils import formatdate
from functools import partial

import httpx2
import pytest
import trio
from trio.testing import MockClock

from signaling.livekit.probe import trouble
from tests.signaling.livekit.world import SETTINGS
from tests.support.livekit_fake import FakeLiveKit, InProcess


async def test_a_livekit_that_works_is_no_trouble() -> None:
    assert await trouble(SETTINGS, transport=InProcess(FakeLiveKit())) is None


async def test_an_unknown_key() -> None:
    fake = FakeLiveKit(key="another")
    assert await trouble(SETTINGS, transport=InProcess(fake)) == (
        "http://livekit.test:7880 does not know the API key devkey"
    )


async def test_a_wrong_secret_of_which_nothing_is_shown() -> None:
    fake = FakeLiveKit(secret="another secret of thirty-two bytes")
    said = await trouble(SETTINGS, transport=InProcess(fake))
    assert said == "http://livekit.test:7880 knows the API key devkey, but with another secret"


async def test_something_else_that_answers_there() -> None:
    web = httpx2.MockTransport(lambda request: httpx2.Response(200, html="<p>It works!</p>"))
    assert await trouble(SETTINGS, transport=web) == (
        "http://livekit.test:7880 does not answer as LiveKit does (status 200)"
    )


@pytest.mark.parametrize("status", [200, 401])
async def test_a_clock_that_runs_ahead(status: int) -> None:
    ahead = {"date": formatdate(time.time() + 300, usegmt=True), "content-type": "application/protobuf"}
    server = httpx2.MockTransport(lambda request: httpx2.Response(status, headers=ahead))
    said = await trouble(SETTINGS, transport=server)
    assert said is not None
    assert said.startswith("the clock of http://livekit.test:7880 differs from this machine's by ")


async def test_a_port_that_nobody_listens_on() -> None:
    with socket.socket() as bound:  # and so no other program's either
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        assert await trouble(replace(SETTINGS, url=url)) == f"{url} cannot be reached: nothing listens there"


async def test_a_port_that_does_not_speak_tls() -> None:
    async def answer(stream: trio.SocketStream) -> None:
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
        url = f"https://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        assert await trouble(replace(SETTINGS, url=url)) == f"{url} cannot be reached: it does not speak TLS"
        nursery.cancel_scope.cancel()


async def test_a_port_that_takes_connections_and_never_answers(autojump_clock: MockClock) -> None:
    class Silent(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            await trio.sleep(60)
            raise AssertionError("nobody waits so long")

    with trio.fail_after(10):
        assert await trouble(SETTINGS, transport=Silent()) == (
            "http://livekit.test:7880 cannot be reached: it does not answer in time"
        )
