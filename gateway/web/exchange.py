"""One HTTP exchange at the ASGI boundary, ended so that its connection lives on.

An application may answer before it has read the request's body: an unknown path, a refused credential, a body
over the limit. Hypercorn then recycles the connection, or closes it, from *inside* the ``send`` of the
answer's last event, and its first step there is to tell the application ``http.disconnect``. Quart-Trio takes
that as "the client has left" and cancels the very task that is recycling: the connection is neither reused
nor closed, and its next request hangs.

Two differences to Quart-Trio's own exchange end that:

- the last event is sent under a shield, with a deadline, so that recycling runs to its end;
- before it, the rest of the body is read and dropped, within bounds. A connection whose request has been read
  can be used again; one closed on unread bytes is reset, and the client may never see the answer.
"""

from __future__ import annotations

from functools import partial

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, HTTPScope
from quart import Quart
from quart.wrappers import Request
from quart_trio.asgi import TrioASGIHTTPConnection

LINGER_S = 5.0
"""How long an answered client may go on sending its request (nginx's default for ``lingering_timeout``)."""


class Exchange(TrioASGIHTTPConnection):
    """Quart-Trio's exchange with the two differences above; ``QuartTrio.asgi_http_class``.

    Bounds: ``LINGER_S``, and in bytes twice ``MAX_CONTENT_LENGTH`` in all; ``RESPONSE_TIMEOUT`` for the last
    send.
    """

    def __init__(self, app: Quart, scope: HTTPScope) -> None:
        super().__init__(app, scope)
        self._read = trio.Event()  # the body has arrived, or more of it than we are ready to drop

    async def handle_messages(  # type: ignore[override]
        self, nursery: trio.Nursery, request: Request, receive: ASGIReceiveCallable
    ) -> None:
        """Hand the body to the request until the server says that the exchange is over.

        It goes on receiving beyond the bound: Hypercorn's queue to us is short, and it would wait forever to
        put its ``http.disconnect`` in.
        """
        limit = 2 * self.app.config["MAX_CONTENT_LENGTH"]
        received = 0
        while (event := await receive())["type"] == "http.request":
            body = event.get("body", b"")
            received += len(body)
            request.body.append(body)
            if not event.get("more_body", False):
                request.body.set_complete()
                self._read.set()
            elif received > limit:
                self._read.set()
        nursery.cancel_scope.cancel()

    async def handle_request(  # type: ignore[override]
        self, nursery: trio.Nursery, request: Request, send: ASGISendCallable
    ) -> None:
        await super().handle_request(nursery, request, partial(self._send, send))

    async def _send(self, send: ASGISendCallable, event: ASGISendEvent) -> None:
        if event["type"] != "http.response.body" or event.get("more_body", False):
            await send(event)
            return
        with trio.move_on_after(LINGER_S):
            await self._read.wait()
        deadline = trio.current_time() + self.app.config["RESPONSE_TIMEOUT"]
        with trio.CancelScope(shield=True, deadline=deadline):
            await send(event)
