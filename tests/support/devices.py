"""A user's device: one Socket.IO client, whichever implementation of it, as the chat tests see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from tests.support.inbox import Inbox

Transports: TypeAlias = Sequence[str]

WEBSOCKET: Transports = ("websocket",)
POLLING: Transports = ("polling",)
UPGRADE: Transports = ("polling", "websocket")


class Refused(Exception):
    """The connection was not let in: the transport failed, or CONNECT_ERROR said so.

    Attributes:
        data: what CONNECT_ERROR carried, or what the transport said.
    """

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self.data = data

    @property
    def message(self) -> Any:
        return self.data.get("message") if isinstance(self.data, dict) else self.data


class Device(Protocol):
    """A connected client. Whoever opened it closes it."""

    @property
    def inbox(self) -> Inbox: ...

    @property
    def transport(self) -> str:
        """The transport in use now: ``polling`` or ``websocket``."""
        ...

    def emit(self, event: str, *arguments: Any) -> None: ...

    def call(self, event: str, *arguments: Any) -> list[Any]:
        """Emit with an ack, and wait for it; its arguments."""
        ...

    def close(self) -> None:
        """Leave as a client that is closed does; nothing to do when it is gone already."""
        ...


class Clients(Protocol):
    """One implementation of Socket.IO's client side."""

    def connect(
        self,
        url: str,
        *,
        auth: Any = None,
        transports: Transports = WEBSOCKET,
        namespace: str = "/",
        ca: str | None = None,
    ) -> Device:
        """Open a connection and wait until the server has let it in.

        Args:
            auth: the CONNECT payload: ``{"token": …}``.
            ca: file of the certificate authority to trust.

        Raises:
            Refused: the server did not let it in.
        """
        ...

    def close(self) -> None:
        """Close every device that is still open."""
        ...
