"""A Socket.IO client on Trio that comes back as the published one does (contract D12).

It shows the ``pid`` of its last CONNECT answer and the last string that stood at the end of any event's arguments; when the
answer has the same ``pid``, it has been recovered. When it has not, an app must look for itself what there is.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

import trio
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, wrap_client_stream

from tests.history.line import Line
from tests.history.records import ROSTER, Told, Visit
from tests.support.contract import DURABLE

OPEN_S = 2.0
"""How long a client waits for a connection, and for the answer to its CONNECT."""

BACK_S = (0.02, 0.3)
"""How long it waits before it tries again, at random between the two."""

FORGETS = 0.15
"""How often it has forgotten what it was, when it comes back: an app that was started again."""

ENDPOINT = "/socket.io/?EIO=4&transport=websocket"


class Diary:
    """What one device of a user is told, session by session.

    Args:
        fetch: fills a visit's ``fetched``, however often it has to ask.
        strange: where it says what it has no place for.
    """

    def __init__(
        self,
        *,
        device: str,
        user: str,
        fetch: Callable[[Visit], Awaitable[None]],
        strange: Callable[[str], None],
    ) -> None:
        self.visits: list[Visit] = []
        self.connected = False
        self._device = device
        self._user = user
        self._fetch = fetch
        self._strange = strange

    @property
    def visit(self) -> Visit | None:
        return self.visits[-1] if self.visits else None

    def welcome(self, nursery: trio.Nursery, *, recovered: bool) -> None:
        """The server has let it in."""
        self.connected = True
        if recovered:
            self.visits[-1].recoveries += 1
        else:
            self.visits.append(Visit(self._device, self._user, trio.current_time()))
            nursery.start_soon(self._fetch, self.visits[-1])

    def note(self, event: str, arguments: list[Any]) -> None:
        if event in DURABLE:
            payload, offset = arguments
            concerns = payload["targetUserId"] if event == ROSTER else payload.get("id", "")
            self.visits[-1].told.append(
                Told(
                    event,
                    payload["roomId"],
                    concerns,
                    int(offset.rpartition("-")[2]),
                    payload.get("action", ""),
                    trio.current_time(),
                )
            )
        elif event == "error":
            self._strange(f"{self._device} was told {arguments}")


class Device:
    """The client itself, behind its user's line."""

    def __init__(self, *, line: Line, token: str, diary: Diary, chance: random.Random) -> None:
        self.diary = diary
        self._line = line
        self._token = token
        self._chance = chance
        self._pid: str | None = None
        self._offset: str | None = None

    async def run(self, nursery: trio.Nursery) -> None:
        """Be connected, again and again.

        Args:
            nursery: of what goes on beside the connection, however often that breaks.
        """
        while True:
            with contextlib.suppress(OSError):
                stream = await trio.open_tcp_stream("127.0.0.1", self._line.port)
                # Not trio-websocket's own way to open: given up before it is open, it waits for its reader for ever.
                async with stream, trio.open_nursery() as reader:
                    with contextlib.suppress(HandshakeError, ConnectionClosed, trio.TooSlowError):
                        with trio.fail_after(OPEN_S):
                            websocket = await wrap_client_stream(reader, stream, "gateway", ENDPOINT)
                        await self._live(websocket, nursery)
                    reader.cancel_scope.cancel()
            self.diary.connected = False
            await trio.sleep(self._chance.uniform(*BACK_S))

    async def _live(self, websocket: WebSocketConnection, nursery: trio.Nursery) -> None:
        with trio.fail_after(OPEN_S):
            opened = json.loads((await _text(websocket))[1:])
            silence_s = (opened["pingInterval"] + opened["pingTimeout"]) / 1000
            if self._chance.random() < FORGETS:
                self._pid = self._offset = None
            shown = {} if self._pid is None else {"pid": self._pid, "offset": self._offset}
            await websocket.send_message("40" + json.dumps({**shown, "token": self._token}))
            while not (packet := await _text(websocket)).startswith("40"):
                if packet.startswith("44"):
                    return
                assert packet == "2", packet
        pid = json.loads(packet[2:])["pid"]
        recovered, self._pid = pid == self._pid, pid
        self.diary.welcome(nursery, recovered=recovered)
        while True:
            with trio.fail_after(silence_s):
                packet = await _text(websocket)
            if packet == "2":
                await websocket.send_message("3")
            elif packet.startswith("42"):
                event, *arguments = json.loads(packet[2:])
                self.diary.note(event, arguments)
                if isinstance(arguments[-1], str):
                    self._offset = arguments[-1]
            else:
                return


async def _text(websocket: WebSocketConnection) -> str:
    message = await websocket.get_message()
    assert isinstance(message, str)
    return message
