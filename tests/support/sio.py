"""Devices by python-socketio, the Socket.IO client of the Python world."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import aiohttp
import socketio

from tests.support.devices import WEBSOCKET, Device, Refused, Transports
from tests.support.inbox import PATIENCE_S, Inbox

T = TypeVar("T")


class PythonDevice:
    """One ``socketio.AsyncClient`` in a thread with a loop of its own, which records what comes.

    Not ``socketio.Client``: its threads read and write one TLS connection at once, which OpenSSL does not bear: now and
    then a packet is lost or the process crashes.
    """

    def __init__(self, *, namespace: str, ca: str | None, reconnection: bool) -> None:
        self.inbox = Inbox(apart=True)
        self.refusal: Any = None
        self._namespace = namespace
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self._prepare(ca, reconnection))

    async def _prepare(self, ca: str | None, reconnection: bool) -> None:
        trust = ssl.create_default_context(cafile=ca) if ca is not None else True
        # Without trust_env (the default): neither the machine's proxies nor its .netrc.
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust))
        self._client = socketio.AsyncClient(
            reconnection=reconnection,
            reconnection_delay=0.1,
            reconnection_delay_max=0.5,
            handle_sigint=False,
            http_session=self._http,
        )
        self._client.on("*", self._received, namespace=self._namespace)
        self._client.on("connect", lambda: self.inbox.note("@connected", None), namespace=self._namespace)
        self._client.on("disconnect", self._disconnected, namespace=self._namespace)
        self._client.on("connect_error", self._refused, namespace=self._namespace)

    def open(self, url: str, *, auth: Any, transports: Transports) -> None:
        try:
            self._run(
                self._client.connect(
                    url,
                    auth=auth,
                    transports=list(transports),
                    namespaces=[self._namespace],
                    wait_timeout=PATIENCE_S,
                )
            )
        except socketio.exceptions.ConnectionError as error:
            self.close()
            raise Refused(self.refusal if self.refusal is not None else str(error)) from error

    @property
    def transport(self) -> str:
        return str(self._client.transport())

    def emit(self, event: str, *arguments: Any) -> None:
        self._run(self._client.emit(event, arguments, namespace=self._namespace))

    def call(self, event: str, *arguments: Any) -> list[Any]:
        answered = threading.Event()
        answer: list[Any] = []

        def take(*arguments: Any) -> None:
            answer.extend(arguments)
            answered.set()

        self._run(self._client.emit(event, arguments, namespace=self._namespace, callback=take))
        assert answered.wait(PATIENCE_S), f"{event} was not acknowledged"
        return answer

    def close(self) -> None:
        if self._loop.is_closed():
            return
        self._run(self._leave())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    async def _leave(self) -> None:
        # shutdown() also ends a client that is waiting to reconnect; disconnect() one that was refused half-way.
        await self._client.shutdown()
        await self._client.eio.disconnect()
        await self._http.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        # What a refused or half-open connection has left; there is no public way to ask the loop for it.
        for transport in list(self._loop._transports.values()):  # type: ignore[attr-defined]
            transport.abort()
        await asyncio.sleep(0)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(2 * PATIENCE_S)

    def _received(self, event: str, *arguments: Any) -> None:
        self.inbox.put(event, list(arguments))

    def _disconnected(self, reason: str) -> None:
        self.inbox.note("@disconnected", {"reason": reason})

    def _refused(self, data: Any) -> None:
        self.refusal = data


class PythonClients:
    """python-socketio. Closing it closes every device it opened."""

    def __init__(self) -> None:
        self._opened: list[PythonDevice] = []

    def connect(
        self,
        url: str,
        *,
        auth: Any = None,
        transports: Transports = WEBSOCKET,
        namespace: str = "/",
        ca: str | None = None,
        reconnection: bool = False,
    ) -> Device:
        device = PythonDevice(namespace=namespace, ca=ca, reconnection=reconnection)
        device.open(url, auth=auth, transports=transports)
        self._opened.append(device)
        return device

    def close(self) -> None:
        for device in self._opened:
            device.close()
        self._opened.clear()
