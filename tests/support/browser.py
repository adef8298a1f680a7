"""A real Chromium without a window, driven over its DevTools protocol: pages with a profile each, and camera and microphone
that it makes up."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.support.require import missing

START_S = 60.0
ANSWER_S = 30.0
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # which is small in a container
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-port=0",
)


class PageFailed(Exception):
    """Script in a page has thrown."""


class Page:
    """One page, in a profile of its own."""

    def __init__(self, browser: Browser, session_id: str) -> None:
        self._browser = browser
        self._session_id = session_id

    def open(self, url: str) -> None:
        """Load this address and wait until its scripts have run."""
        self._browser.call("Page.enable", session_id=self._session_id)
        self._browser.call("Page.navigate", {"url": url}, session_id=self._session_id)
        self._browser.wait_for("Page.loadEventFired", session_id=self._session_id)

    def evaluate(self, expression: str) -> Any:
        """The value of this JavaScript, waited for if it is a promise.

        Raises:
            PageFailed: it throws.
        """
        done = self._browser.call(
            "Runtime.evaluate",
            {"expression": expression, "awaitPromise": True, "returnByValue": True},
            session_id=self._session_id,
        )
        if "exceptionDetails" in done:
            raise PageFailed(done["exceptionDetails"].get("exception", {}).get("description", done))
        return done["result"].get("value")


class Browser:
    """A connection to Chromium. One call at a time: the test is its only user."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._last = 0
        self._happened: list[dict[str, Any]] = []

    def page(self) -> Page:
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", {"url": "about:blank", "browserContextId": context})
        attached = self.call("Target.attachToTarget", {"targetId": target["targetId"], "flatten": True})
        return Page(self, attached["sessionId"])

    def call(
        self, method: str, params: dict[str, Any] | None = None, *, session_id: str | None = None
    ) -> dict[str, Any]:
        self._last += 1
        self._happened.clear()
        message = {"id": self._last, "method": method, "params": params or {}}
        self._connection.send(json.dumps(message | ({"sessionId": session_id} if session_id else {})))
        while (answer := self._receive()).get("id") != self._last:
            self._happened.append(answer)
        if "error" in answer:
            raise PageFailed(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def wait_for(self, event: str, *, session_id: str) -> None:
        """Until this has happened, since the last call was made."""
        wanted = (event, session_id)
        while wanted not in [(one.get("method"), one.get("sessionId")) for one in self._happened]:
            self._happened.append(self._receive())

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._connection.recv(ANSWER_S))
        return message


@contextmanager
def start_browser() -> Iterator[Browser]:
    """A Chromium with an empty profile."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if binary is None:
        missing("Chromium", get="Install your system's chromium package.")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        child = subprocess.Popen(
            [binary, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            env={**os.environ, "HOME": profile},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with connect(_address(Path(profile), child), max_size=None, proxy=None) as connection:
                yield Browser(connection)
        finally:
            child.terminate()
            with suppress(subprocess.TimeoutExpired):
                child.wait(5)
            child.kill()
            child.wait()


def _address(profile: Path, child: subprocess.Popen[bytes]) -> str:
    """Where it listens, which it writes into its profile."""
    file = profile / "DevToolsActivePort"
    for _ in range(int(START_S / 0.05)):
        assert child.poll() is None, f"Chromium ended with {child.returncode}"
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        threading.Event().wait(0.05)
    raise AssertionError("Chromium does not say where it listens")
