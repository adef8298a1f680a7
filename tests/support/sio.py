"""Devices by python-socketio, the Socket.IO client of the Python world."""

from __future__ import annotations

import threading
from typing import Any

import requests
import socketio

from tests.support.devices import WEBSOCKET, Device, Refused, Transports
from tests.support.inbox import PATIENCE_S, Inbox


class PythonDevice:
    """One ``socketio.Client``; its threads record what comes."""

    def __init__(self, *, namespace: str, ca: str | None, reconnection: bool) -> None:
        self.inbox = Inbox()
        self.refusal: Any = None
        self._namespace = namespace
        self._http = requests.Session()
        self._http.trust_env = False  # neither the machine's proxies nor its certificates
        options: dict[str, Any] = {}
        if ca is not None:
            self._http.verify = ca
            options["websocket_extra_options"] = {"sslopt": {"ca_certs": ca}}
        self._client = socketio.Client(
            reconnection=reconnection,
            reconnection_delay=0.1,
            reconnection_delay_max=0.5,
            handle_sigint=False,
            http_session=self._http,
            **options,
        )
        self._client.on("*", self._received, namespace=namespace)
        self._client.on("connect", lambda: self.inbox.note("@connected", None), namespace=namespace)
        self._client.on("disconnect", self._disconnected, namespace=namespace)
        self._client.on("connect_error", self._refused, namespace=namespace)

    def open(self, url: str, *, auth: Any, transports: Transports) -> None:
        try:
            self._client.connect(
                url,
                auth=auth,
                transports=list(transports),
                namespaces=[self._namespace],
                wait_timeout=PATIENCE_S,
            )
        except socketio.exceptions.ConnectionError as error:
            self.close()
            raise Refused(self.refusal if self.refusal is not None else str(error)) from error

    @property
    def transport(self) -> str:
        return str(self._client.transport())

    def emit(self, event: str, *arguments: Any) -> None:
        self._client.emit(event, arguments, namespace=self._namespace)

    def call(self, event: str, *arguments: Any) -> list[Any]:
        answered = threading.Event()
        answer: list[Any] = []

        def take(*arguments: Any) -> None:
            answer.extend(arguments)
            answered.set()

        self._client.emit(event, arguments, namespace=self._namespace, callback=take)
        assert answered.wait(PATIENCE_S), f"{event} was not acknowledged"
        return answer

    def close(self) -> None:
        # shutdown() also ends a client that is waiting to reconnect; disconnect() one that was refused half-way.
        self._client.shutdown()
        self._client.eio.disconnect()
        self._http.close()

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
