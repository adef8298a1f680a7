"""Phones in a browser: pages with ``socket.io-client``, ``livekit-client`` and ``phone.js``."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.browser import Browser, Page
from tests.support.node import node_modules
from tests.support.platform import Person
from tests.support.require import missing

PATIENCE_S = 20.0
SCRIPTS = {
    "/socket.io.js": ("socket.io-client@4.8", "socket.io-client/dist/socket.io.min.js"),
    "/livekit.js": ("livekit-client@2", "livekit-client/dist/livekit-client.umd.js"),
}
PHONE = Path(__file__).with_name("phone.js")


class Phone:
    """One person's phone, in a page."""

    def __init__(self, page: Page, address: str, person: Person, room_id: str) -> None:
        self._page = page
        self._address = address
        self._arguments = ", ".join(json.dumps(one) for one in (person.url, person.token, room_id))
        self.load()

    def load(self) -> None:
        """Load the page, again if need be: a new phone, which knows of no call."""
        self._page.open(self._address)
        self._page.evaluate(f"globalThis.phone = new Phone({self._arguments}); phone.connected()")

    def do(self, action: str, *arguments: Any) -> Any:
        """Call a method of the phone and wait for what it returns."""
        return self._page.evaluate(f"phone.{action}({', '.join(json.dumps(one) for one in arguments)})")

    @property
    def state(self) -> str:
        return str(self._page.evaluate("phone.state"))

    def events(self, name: str) -> list[dict[str, Any]]:
        """What has come of this event so far."""
        return [payload for event, payload in self._page.evaluate("phone.events") if event == name]

    def wait_until(self, condition: str, *, within_s: float = PATIENCE_S) -> None:
        """Until this JavaScript about ``phone`` holds."""
        deadline = time.monotonic() + within_s
        while not self._page.evaluate(f"Boolean({condition})"):
            assert time.monotonic() < deadline, (
                condition,
                self._page.evaluate("[phone.state, phone.events]"),
            )
            time.sleep(0.1)


@contextmanager
def serve_phones() -> Iterator[str]:
    """The address of a page that has all a phone needs."""
    files = {path: node_modules(package) / "node_modules" / file for path, (package, file) in SCRIPTS.items()}
    for package, file in SCRIPTS.values():
        if not (node_modules(package) / "node_modules" / file).exists():
            missing(package, get="npm install it into the folder that GATEWAY_TEST_NODE_MODULES names.")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, {**files, "/phone.js": PHONE}))
    thread = threading.Thread(target=server.serve_forever, name="pages", kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def open_phone(browser: Browser, address: str, person: Person, room_id: str) -> Phone:
    """A phone in a page of its own, connected."""
    return Phone(browser.page(), address, person, room_id)


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, files: dict[str, Path], *arguments: Any) -> None:
        self._files = files
        super().__init__(*arguments)

    def do_GET(self) -> None:
        file = self._files.get(self.path)
        if file is None:
            scripts = "".join(f'<script src="{path}"></script>' for path in self._files)
            body, kind = f"<!doctype html><title>Phone</title>{scripts}".encode(), "text/html"
        else:
            body, kind = file.read_bytes(), "text/javascript"
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the log of the test is pytest's."""
