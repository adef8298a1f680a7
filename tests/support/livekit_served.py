"""The fake LiveKit behind a real port, sending its webhooks over HTTP as they are told to fare."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import httpx2

from tests.support.livekit_fake import FakeLiveKit, Webhook

Fate = Callable[[Webhook], list[float]]
"""After how many seconds a webhook arrives, each time that it does: ``[]`` loses it, two numbers send it twice."""


def at_once(webhook: Webhook) -> list[float]:
    return [0.0]


class Post:
    """Sends webhooks when they are due, one after the other, from a thread of its own.

    Attributes:
        url: where to; None sends nothing yet.
        fate: of the webhooks from now on.
        answers: the status of each that was sent, in order; 0 for one that did not get through.
    """

    def __init__(self) -> None:
        self.url: str | None = None
        self.fate: Fate = at_once
        self.answers: list[int] = []
        self._due: list[tuple[float, int, Webhook]] = []
        self._numbers = count()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="webhooks of the fake LiveKit")
        self._thread.start()

    def put(self, webhook: Webhook) -> None:
        with self._changed:
            for delay_s in self.fate(webhook):
                heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._numbers), webhook))
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        with httpx2.Client(trust_env=False, timeout=5) as http:
            while (webhook := self._next()) is not None:
                if self.url is not None:
                    self.answers.append(self._send(http, self.url, webhook))

    def _next(self) -> Webhook | None:
        with self._changed:
            while not self._closed:
                if self._due and self._due[0][0] <= time.monotonic():
                    return heapq.heappop(self._due)[2]
                self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
            return None

    def _send(self, http: httpx2.Client, url: str, webhook: Webhook) -> int:
        headers = {"authorization": webhook.authorization, "content-type": "application/webhook+json"}
        try:
            return http.post(url, content=webhook.body, headers=headers).status_code
        except httpx2.HTTPError:
            return 0


class ServedLiveKit:
    """
    Attributes:
        fake: its state.
        post: its webhooks.
        url: where it listens.
    """

    def __init__(self, fake: FakeLiveKit, post: Post, url: str) -> None:
        self.fake, self.post, self.url = fake, post, url

    @property
    def environ(self) -> dict[str, str]:
        """The variables that tell a gateway of it (contract 5.6)."""
        return {
            "LIVEKIT_URL": self.url,
            "LIVEKIT_PUBLIC_URL": "wss://media.example.org",
            "LIVEKIT_API_KEY": self.fake.key,
            "LIVEKIT_API_SECRET": self.fake.secret,
        }


@contextmanager
def serve_livekit(*, webhooks_to: str | None = None) -> Iterator[ServedLiveKit]:
    """A fake LiveKit on a free port of this machine."""
    fake, post = FakeLiveKit(), Post()
    fake.on_webhook = post.put
    post.url = webhooks_to
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake))
    thread = threading.Thread(
        target=server.serve_forever, name="fake LiveKit", kwargs={"poll_interval": 0.05}
    )
    thread.start()
    try:
        yield ServedLiveKit(fake, post, f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        post.close()
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(fake: FakeLiveKit) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if fake.away:
                self.close_connection = True
                return
            status, kind, content = fake.handle(self.path, self.headers, body)
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing: the log of the test is pytest's."""

    return Handler
